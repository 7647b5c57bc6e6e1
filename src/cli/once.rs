//! One job here and now: `reelway video -i IN -o OUT …`, no server, no database.
//!
//! Flags come in, a file at OUT goes out. The work itself is done by whoever the composition
//! hands in as `make`, the same engine that a worker uses. OUT is written whole or not at all:
//! the file is made in a hidden folder beside it and renamed when it is finished.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use super::flags::{OfKind, OptionFlags};
use super::output::{clean, size, span, times_real};
use super::{CliError, Terminal, interrupt};
use crate::job::{File, InputUrl, Options};
use crate::task::{Failure, Kind, StageKind};

/// What to make of what.
#[derive(Clone, Debug, Args)]
pub struct OneShot<K: OfKind> {
    /// The input: a file or an http(s) URL
    #[arg(short, long, value_name = "IN")]
    pub input: String,
    /// The file to write; its ending chooses the format unless --format does (adaptive: the folder)
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Write over OUT if it is there
    #[arg(short, long)]
    pub force: bool,
    /// Print the ffmpeg command for a shell, and make nothing
    #[arg(long)]
    pub print_command: bool,
    /// Options of the job.
    #[command(flatten)]
    pub flags: OptionFlags<K>,
}

/// Where the media is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A file of this machine, which is there.
    File(PathBuf),
    /// A URL, fetched through the guard.
    Url(InputUrl),
}

impl Source {
    /// What has a scheme is a URL, the rest a path.
    ///
    /// # Errors
    ///
    /// There is no such file, or the URL cannot be an input.
    pub fn typed(text: &str) -> Result<Self, CliError> {
        if text.contains("://") {
            let url = InputUrl::parse(text);
            let url = url.map_err(|error| CliError::usage("IN").because(&error))?;
            if url.object().is_some() {
                return Err(CliError::usage(
                    "objects in buckets are reached by a server, through a connection",
                ));
            }
            return Ok(Self::Url(url));
        }
        match std::fs::metadata(text) {
            Ok(metadata) if metadata.is_file() => Ok(Self::File(text.into())),
            Ok(_) => Err(CliError::usage(format!("{text} is not a file"))),
            Err(error) => Err(CliError::failed(format!("cannot read {text}")).because(&error)),
        }
    }
}

/// One job for the engine.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// What to make.
    pub options: &'a Options,
    /// Of what.
    pub source: &'a Source,
    /// A folder of its own, removed afterwards; on the disk of the output.
    pub scratch: &'a Path,
    /// To be told the stage and its progress in per cent.
    pub report: &'a (dyn Fn(StageKind, f32) + Sync),
    /// Set when the job is to stop, with all its processes.
    pub stop: &'a CancellationToken,
}

/// A file that the engine made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Where it is: inside the scratch folder.
    pub path: PathBuf,
    /// What it is called by the others that were made with it.
    pub name: String,
    /// Its facts; the storage key is not looked at.
    pub file: File,
}

/// Why the engine made nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// The job failed.
    Failed(Failure),
    /// It was told to stop.
    Stopped,
}

impl From<NotMade> for CliError {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Failed(failure) => failure.into(),
            NotMade::Stopped => Self::interrupted(),
        }
    }
}

/// Makes OUT with `make`; what comes with it goes beside it, under its own names.
///
/// # Errors
///
/// What was typed cannot be meant, the job fails, OUT cannot be written, or Ctrl-C.
pub async fn run<K: OfKind>(
    args: &OneShot<K>,
    terminal: &Terminal,
    make: impl AsyncFnOnce(Order<'_>) -> Result<Vec<Made>, NotMade>,
) -> Result<(), CliError> {
    let options = options(args)?;
    let source = Source::typed(&args.input)?;
    let folder = check_output(&options, &args.output, args.force)?;
    let scratch = tempfile::Builder::new()
        .prefix(".reelway-")
        .tempdir_in(folder)
        .map_err(|error| unwritable(&args.output, &error))?;
    let begun = Instant::now();
    let bars = terminal.bars();
    let bar = bars.add(&clean(&args.output.display().to_string()));
    let report = |stage: StageKind, percent: f32| bar.show(percent, stage.name());
    let stop = CancellationToken::new();
    let order = Order {
        options: &options,
        source: &source,
        scratch: scratch.path(),
        report: &report,
        stop: &stop,
    };
    let made = stopped_by_interrupt(make(order), &stop).await?;
    drop(bar);
    let places = places(&options, &made, &args.output, folder);
    if options.makes_folder() {
        publish_folder(&made, &places, scratch.path(), &args.output)?;
    } else {
        publish_files(&made, &places, args.force)?;
    }
    // A person who asked for a folder is told of it, a program of every file.
    let told =
        if terminal.is_read_by_a_person() && options.makes_folder() { 1 } else { made.len() };
    for (made, place) in made.iter().zip(&places).take(told) {
        tell(&made.file, place, begun.elapsed(), terminal)?;
    }
    Ok(())
}

/// Where the files go: into OUT, or the first to OUT and the others beside it.
fn places(options: &Options, made: &[Made], output: &Path, folder: &Path) -> Vec<PathBuf> {
    let place = |(n, made): (usize, &Made)| {
        if options.makes_folder() {
            output.join(&made.name)
        } else if n == 0 {
            output.to_owned()
        } else {
            folder.join(&made.name)
        }
    };
    made.iter().enumerate().map(place).collect()
}

/// Waits for the engine even after Ctrl-C: it has processes to end.
pub(super) async fn stopped_by_interrupt<T>(
    work: impl Future<Output = Result<T, NotMade>>,
    stop: &CancellationToken,
) -> Result<T, NotMade> {
    tokio::pin!(work);
    tokio::select! {
        made = &mut work => return made,
        () = interrupt::asked() => stop.cancel(),
    }
    // What was finished before it could be stopped is not wanted any more.
    work.await.and(Err(NotMade::Stopped))
}

/// The options as the API would decode them, with the format that OUT's ending says.
pub(super) fn options<K: OfKind>(args: &OneShot<K>) -> Result<Options, CliError> {
    let Some(kind) = K::KIND else { return Err(CliError::usage("the kind is missing")) };
    if args.output.as_os_str() == "-" {
        return Err(CliError::usage("the output cannot be a pipe")
            .hint("most formats are finished by going back in the file: give a file name to -o"));
    }
    let mut options = args.flags.options.clone();
    if kind == Kind::AdaptiveVideo {
        return Ok(Options::decode(kind, &options)?);
    }
    // Before the format is looked for: most folders have no ending.
    if args.output.is_dir() {
        return Err(CliError::usage(format!("{} is a folder", args.output.display()))
            .hint("give -o the name of a file"));
    }
    set_format(kind, &args.output, &mut options)?;
    Ok(Options::decode(kind, &options)?)
}

fn set_format(kind: Kind, path: &Path, options: &mut Map<String, Value>) -> Result<(), CliError> {
    // What comes first of sheets of pictures is their list.
    let is_list = options.contains_key("sprite") && path.extension().is_some_and(|it| it == "vtt");
    if !options.contains_key("format") && !is_list {
        options.insert("format".to_owned(), format_of(kind, path)?.into());
    }
    Ok(())
}

/// The file name endings of a kind, each with its format; the first are named to users.
const fn endings(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Video => &[("mp4", "mp4"), ("webm", "webm"), ("mov", "mov")],
        Kind::Audio => &[
            ("mp3", "mp3"),
            ("m4a", "aac"),
            ("aac", "aac"),
            ("ogg", "ogg"),
            ("opus", "opus"),
            ("wav", "wav"),
            ("flac", "flac"),
        ],
        Kind::Image => {
            &[("jpg", "jpeg"), ("jpeg", "jpeg"), ("png", "png"), ("webp", "webp"), ("avif", "avif")]
        }
        Kind::Animation => &[("gif", "gif"), ("webp", "webp")],
        // A folder has no ending, an answer is no file, and a copy is the server's to make.
        Kind::AdaptiveVideo | Kind::Probe | Kind::Import | Kind::Export => &[],
    }
}

fn format_of(kind: Kind, path: &Path) -> Result<&'static str, CliError> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let format = |kind| endings(kind).iter().find(|(known, _)| *known == ending);
    if let Some((_, format)) = format(kind) {
        return Ok(format);
    }
    let known: Vec<String> = endings(kind).iter().map(|(known, _)| format!(".{known}")).collect();
    let name = kind.name();
    let what = if ending.is_empty() {
        format!("{} has no ending that says the format", path.display())
    } else {
        format!("no {name} is made as .{ending}")
    };
    let error = CliError::usage(format!("{what}; there are {}", known.join(", ")));
    Err(match Kind::ALL.into_iter().find(|other| format(*other).is_some()) {
        Some(other) => error.hint(format!("for .{ending} use `reelway {}`", other.name())),
        None => error.hint("or say the format with --format"),
    })
}

/// The folder that the output goes into.
pub(super) fn check_output<'a>(
    options: &Options,
    output: &'a Path,
    force: bool,
) -> Result<&'a Path, CliError> {
    let is_free = if options.makes_folder() && output.is_dir() {
        output.read_dir().is_ok_and(|mut files| files.next().is_none())
    } else {
        output.symlink_metadata().is_err()
    };
    if !force && !is_free {
        return Err(taken(output));
    }
    if options.makes_folder() && output.is_file() {
        return Err(CliError::failed(format!("{} is a file", output.display()))
            .hint("give -o the name of a folder"));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(CliError::failed(format!("there is no folder {}", folder.display()))
            .hint("make it first"))
    }
}

fn taken(output: &Path) -> CliError {
    CliError::failed(format!("{} is already there", output.display()))
        .hint("write over it with --force, or choose another name")
}

fn unwritable(output: &Path, error: &dyn std::error::Error) -> CliError {
    CliError::failed(format!("cannot write {}", output.display())).because(error)
}

/// From the last to the first, so that what a file names is there before it.
fn publish_files(made: &[Made], places: &[PathBuf], force: bool) -> Result<(), CliError> {
    if !force && let Some(there) = places.iter().find(|place| place.symlink_metadata().is_ok()) {
        return Err(taken(there));
    }
    let files = made.iter().zip(places).rev();
    files.into_iter().try_for_each(|(made, place)| publish(&made.path, place, force))
}

/// A folder appears with everything in it. One that is there already gets its files from the last
/// to the first.
fn publish_folder(
    made: &[Made],
    places: &[PathBuf],
    scratch: &Path,
    output: &Path,
) -> Result<(), CliError> {
    if output.is_dir() {
        return publish_files(made, places, true);
    }
    let whole = scratch.join("whole");
    let moved = std::fs::create_dir(&whole).and_then(|()| {
        made.iter().try_for_each(|made| std::fs::rename(&made.path, whole.join(&made.name)))
    });
    moved.and_then(|()| std::fs::rename(&whole, output)).map_err(|error| unwritable(output, &error))
}

/// Renames what was made. Without `force` a file that has appeared meanwhile is kept.
fn publish(made: &Path, output: &Path, force: bool) -> Result<(), CliError> {
    let made = TempPath::try_from_path(made).map_err(|error| unwritable(output, &error))?;
    // Some of what comes with OUT has a folder beside it.
    let folder = output.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| unwritable(output, &error))?;
    let renamed = if force { made.persist(output) } else { made.persist_noclobber(output) };
    renamed.map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(output),
        _ => unwritable(output, &error.error),
    })
}

fn tell(file: &File, output: &Path, took: Duration, terminal: &Terminal) -> Result<(), CliError> {
    let path = output.display().to_string();
    if terminal.is_read_by_a_person() {
        return terminal.line(&format!("{}  {}", clean(&path), facts(file, took)));
    }
    let mut line = json!(file);
    if let Value::Object(line) = &mut line {
        line.remove("key");
        // As in the API: what does not apply, or is not known, is not there.
        line.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        line.insert("path".to_owned(), path.into());
    }
    terminal.json(&line)
}

fn facts(file: &File, took: Duration) -> String {
    let mut facts = vec![file.format.clone()];
    if let (Some(width), Some(height)) = (file.width, file.height) {
        facts.push(format!("{width} x {height}"));
    }
    facts.extend(file.duration.map(|secs| span((secs * 1000.0) as i64)));
    facts.push(size(file.filesize));
    facts.push(format!("in {}", span(took.as_millis() as i64)));
    facts.extend(file.duration.map(|secs| times_real(secs, took.as_secs_f64())));
    facts.join("  ")
}
