//! What a stage tells a person beside how it went. Pure.
//!
//! Nothing of this server's paths is in it: files are called what they are to the job.

use std::borrow::Cow;
use std::path::Path;

use bytesize::ByteSize;
use ffmpeg::{Command, Facts, Media, RunError, Still, Stream};

/// How many lines of a program's own are kept of one run.
const SAID_LINES: usize = 5;

/// What the input is, a line for the file and one for each stream.
pub(super) fn facts(facts: &Facts) -> Vec<String> {
    let mut of_file = vec![facts.format.clone(), format!("{} bytes", facts.size_bytes)];
    of_file.extend(facts.duration.map(|secs| format!("{secs:.2} s")));
    of_file.extend(facts.bit_rate.map(|bits| format!("{} kbit/s", bits / 1000)));
    let streams = facts.streams.iter().map(|stream| match stream {
        Stream::Video(video) => {
            let mut told = vec![
                format!("video: {}", video.codec),
                format!("{} × {}", video.width, video.height),
            ];
            told.extend(video.fps.map(|fps| format!("{:.2} fps", fps.value())));
            told.push(video.pixel_format.clone());
            told.extend(Some(video.color.transfer.clone()).filter(|name| !name.is_empty()));
            told.join(", ")
        }
        Stream::Audio(audio) => {
            format!("audio: {}, {} Hz, {} channels", audio.codec, audio.sample_rate, audio.channels)
        }
        Stream::Other(other) => format!("{}: {}", other.kind, other.codec),
    });
    std::iter::once(of_file.join(", ")).chain(streams).collect()
}

/// What says what may be read at all: long, and the same for every job.
const LIMITS: [&str; 4] =
    ["-protocol_whitelist", "-format_whitelist", "-codec_whitelist", "-max_alloc"];

/// What is run, as a line for a shell, without [`LIMITS`]; the input is called `input`, and what is
/// made has the names that it has in its folder.
pub(super) fn command(command: &Command, folder: &Path) -> String {
    line(command, &[(folder, String::new())])
}

/// The same of a process that makes the outputs of several jobs: each has a folder with its number.
pub(super) fn shared_command(command: &Command, folders: &[&Path]) -> String {
    let folders: Vec<_> =
        (1..).zip(folders).map(|(n, folder)| (*folder, format!("{n}/"))).collect();
    line(command, &folders)
}

fn line(command: &Command, folders: &[(&Path, String)]) -> String {
    let mut argv = command.argv().iter().map(|word| word.to_string_lossy());
    let mut words = Vec::new();
    while let Some(word) = argv.next() {
        if LIMITS.contains(&&*word) {
            argv.next();
        } else {
            words.push(word);
        }
    }
    let is_between = |path: &Path| folders.iter().any(|(folder, _)| path.starts_with(folder));
    let inputs = command.inputs.iter().filter_map(|input| match input {
        Media::File(path) => (!is_between(path)).then(|| path.display().to_string()),
        port @ Media::Loopback(_) => Some(port.argument().to_string_lossy().into_owned()),
    });
    words_of("ffmpeg", words, &inputs.collect::<Vec<_>>(), folders)
}

/// The same for a picture that libvips makes.
pub(super) fn still(still: &Still, folder: &Path) -> String {
    let argv = still.argv();
    let words = argv.iter().map(|word| word.to_string_lossy());
    let inputs = [still.input.display().to_string()];
    words_of("vipsthumbnail", words, &inputs, &[(folder, String::new())])
}

/// That what is run needs so much memory, which is not there yet.
pub(super) fn waits_for_memory(bytes: u64) -> String {
    format!("waits for memory: {} are needed", ByteSize(bytes))
}

/// The last of what a program said that went well.
pub(super) fn said(log: &[String]) -> impl Iterator<Item = String> {
    log[log.len().saturating_sub(SAID_LINES)..].iter().cloned()
}

/// Why a first way was given up.
pub(super) fn given_up(error: &RunError) -> String {
    format!("given up ({error}); made in another way")
}

/// What a program said that failed.
pub(super) fn said_of(error: &RunError) -> impl Iterator<Item = String> {
    let log = match error {
        RunError::Refused { log, .. }
        | RunError::Crashed { log, .. }
        | RunError::Stalled { log, .. }
        | RunError::TimedOut { log, .. } => log.as_slice(),
        _ => &[],
    };
    log.iter().take(SAID_LINES).cloned()
}

/// A line for a shell, in which inputs are called `input` and each folder has its name.
fn words_of<'a>(
    program: &str,
    words: impl IntoIterator<Item = Cow<'a, str>>,
    inputs: &[String],
    folders: &[(&Path, String)],
) -> String {
    let words = words.into_iter().map(|word| {
        let word =
            inputs.iter().fold(word.into_owned(), |word, input| word.replace(input, "input"));
        folders.iter().fold(word.replace('\0', ""), |word, (folder, name)| {
            word.replace(&format!("{}/", folder.display()), name)
        })
    });
    let words: Vec<String> = std::iter::once(program.to_owned()).chain(words).collect();
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
