//! One run of ffmpeg, from a [`Command`] to its outputs on disk, or why not.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::child::spawn;
use crate::progress::{Parser, Progress};
use crate::tail::Tail;
use crate::watch::{End, Heard, Watch};
use crate::{Cause, Command, Media, Scope, Tools, Waiting};

/// Why a run has no result. A `log` is what the program said: at most 20 lines, without paths.
#[derive(Debug, Error)]
pub enum RunError {
    /// The program could not be started.
    #[error("{program} could not be started")]
    Missing {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The input could not be read at all.
    #[error("the input could not be read")]
    Input(#[source] io::Error),
    /// Whoever asked for it asked to stop.
    #[error("stopped")]
    Stopped,
    /// It made no progress and was killed.
    #[error("no progress in {secs} seconds")]
    Stalled {
        /// How long there was none, in seconds.
        secs: u64,
        /// What it said.
        log: Vec<String>,
    },
    /// It was not done in time, its own or the processors', and was killed.
    #[error("not done in {secs} seconds")]
    TimedOut {
        /// How long it had, in seconds.
        secs: u64,
        /// What it said.
        log: Vec<String>,
    },
    /// It was killed by a signal that is not ours, such as 9 (memory) or 11 (a fault of its own).
    #[error("ended by signal {signal}")]
    Crashed {
        /// The signal's number.
        signal: i32,
        /// What it said.
        log: Vec<String>,
    },
    /// It gave up.
    #[error("{cause}")]
    Refused {
        /// Why.
        cause: Cause,
        /// What it said.
        log: Vec<String>,
    },
    /// It gave an answer that cannot be read.
    #[error("the answer could not be read")]
    Output(#[source] OutputError),
    /// Talking to the process failed.
    #[error("lost the process")]
    Lost(#[source] io::Error),
}

/// How a run went that ended well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ran {
    /// How far it came.
    pub written: Progress,
    /// Whether ffmpeg said that the input ends before it should. It makes do with what is there.
    pub input_is_cut_off: bool,
    /// Whether ffmpeg said that two pictures are further apart than an MPEG-4 file can tell. It
    /// then shows the second one at once.
    pub time_is_lost: bool,
    /// Whether ffmpeg said that what it copied has time stamps that a file cannot have. It then
    /// makes some up.
    pub times_are_made_up: bool,
    /// A character of the subtitles that no font of this machine has; 0 when there is no font.
    pub missing_glyph: Option<char>,
    /// The last lines of weight that ffmpeg said, none when all was well; files have their names
    /// without their folders.
    pub log: Vec<String>,
}

/// Why an answer of ffprobe cannot be read.
#[derive(Debug, Error)]
pub enum OutputError {
    /// More than there may be.
    #[error("more than {limit} bytes")]
    TooLong {
        /// The most there may be, in bytes.
        limit: usize,
    },
    /// Without the summary that it should end with.
    #[error("no summary")]
    NoSummary,
    /// Not the JSON it should be.
    #[error("not what ffprobe answers")]
    Json(#[from] serde_json::Error),
}

impl Tools {
    /// Runs ffmpeg and tells how far it is about twice a second.
    ///
    /// Paths in `command` are absolute: the process runs in the folder of its first output. A
    /// file among `command.outputs` that is missing or empty afterwards is an error. When `stop`
    /// is cancelled, the process is asked to end, killed after [`crate::Limits::grace`], and
    /// reaped before this returns; when the future is dropped, it is killed at once.
    ///
    /// Call it from an async task, never from `spawn_blocking` or inside `block_in_place`: the
    /// process dies with the thread that started it.
    pub async fn run(
        &self,
        command: &Command,
        on_progress: impl FnMut(Progress) + Send,
        stop: &CancellationToken,
    ) -> Result<Ran, RunError> {
        let outputs = &command.outputs;
        let folders = outputs.iter().filter_map(|output| output.parent()).map(Path::to_owned);
        let mut given = Given::reading(&command.inputs);
        given.scope.write = folders.collect();
        if let Some(encoder) = command.hardware {
            given.scope = encoder.add_to(given.scope);
        }
        let ran = self.run_argv(command.argv(), given, outputs, on_progress, stop).await?;
        if command.bounds.frames > 0 && ran.written.frame == 0 {
            // Time stamps past every bound: a file without a picture, and not a word.
            return Err(RunError::Refused { cause: Cause::NothingWritten, log: Vec::new() });
        }
        Ok(ran)
    }

    /// What a person would type to run `command`: the program's path and its arguments, without
    /// those by which [`Tools::run`] listens to it.
    #[must_use]
    pub fn command_line(&self, command: &Command) -> Vec<OsString> {
        let program = [self.ffmpeg().into(), "-hide_banner".into()];
        program.into_iter().chain(command.argv().iter().cloned()).collect()
    }

    pub(crate) async fn run_argv(
        &self,
        arguments: &[OsString],
        given: impl Into<Given>,
        outputs: &[PathBuf],
        on_progress: impl FnMut(Progress) + Send,
        stop: &CancellationToken,
    ) -> Result<Ran, RunError> {
        let given = given.into();
        self.run_heard(arguments, given, outputs, on_progress, stop).await.map(|(ran, _)| ran)
    }

    /// The same, and what was said.
    pub(crate) async fn run_heard(
        &self,
        arguments: &[OsString],
        given: Given,
        outputs: &[PathBuf],
        mut on_progress: impl FnMut(Progress) + Send,
        stop: &CancellationToken,
    ) -> Result<(Ran, Tail), RunError> {
        let argv: Vec<_> = TALK.iter().map(OsString::from).chain(arguments.to_vec()).collect();
        let (mut parser, mut last) = (Parser::default(), Progress::default());
        let hear = |bytes: &[u8]| {
            let mut heard = Heard::Noise;
            parser.push(bytes, |progress| {
                if progress.moved_since(&last) {
                    heard = Heard::Life;
                }
                last = progress;
                on_progress(progress);
            });
            heard
        };
        let tail = self.to_good_end(&argv, folder(outputs), given, hear, stop).await?;
        // Some containers are not empty without a picture in them.
        if tail.cause() == Cause::NothingWritten || missing(outputs).await {
            return Err(RunError::Refused { cause: Cause::NothingWritten, log: tail.log() });
        }
        let ran = Ran {
            written: last,
            input_is_cut_off: tail.says_any(&CUT_OFF),
            time_is_lost: tail.says_any(&TIME_LOST),
            times_are_made_up: tail.says_any(&TIMES_MADE_UP),
            missing_glyph: tail.after(NO_GLYPH).find_map(glyph),
            log: tail.log(),
        };
        Ok((ran, tail))
    }

    /// Runs ffmpeg in `folder`, where it has what it is `given`, until it has ended well; what
    /// it writes to standard output goes to `hear`.
    pub(crate) async fn to_good_end(
        &self,
        argv: &[OsString],
        folder: &Path,
        given: Given,
        hear: impl FnMut(&[u8]) -> Heard,
        stop: &CancellationToken,
    ) -> Result<Tail, RunError> {
        let limits = self.limits();
        let Given { scope, waiting } = given;
        let containment = self.containment(scope, limits.memory_bytes);
        let (child, pipes) = spawn(self.ffmpeg(), argv, folder, &containment)
            .map_err(|source| RunError::Missing { program: "ffmpeg", source })?;
        let watch = Watch {
            wall: limits.wall,
            stall: Some(limits.stall),
            grace: limits.grace,
            processor: None,
            memory_bytes: limits.memory_bytes,
            waiting: &waiting,
            stop,
        };
        let mut tail = Tail::new(argv);
        let end = watch.over(child, pipes, &mut tail, hear).await.map_err(RunError::Lost)?;
        let log = tail.log();
        match end {
            End::Stopped => Err(RunError::Stopped),
            End::Stalled => Err(RunError::Stalled { secs: limits.stall.as_secs(), log }),
            End::TimedOut | End::OutOfProcessor => {
                Err(RunError::TimedOut { secs: limits.wall.as_secs(), log })
            }
            End::TooMuch => Err(RunError::Refused { cause: Cause::Unknown, log }),
            End::OutOfMemory => Err(RunError::Refused { cause: Cause::OutOfMemory, log }),
            End::Exited(status) if !status.success() => Err(failed(status, &tail)),
            End::Exited(_) => Ok(tail),
        }
    }
}

/// What a process is given, and who keeps it waiting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) scope: Scope,
    /// Of each input that comes bit by bit.
    pub(crate) waiting: Vec<Waiting>,
}

impl Given {
    /// Whatever it takes to read `inputs`, and nothing else.
    pub(crate) fn reading<'a>(inputs: impl IntoIterator<Item = &'a Media>) -> Self {
        let mut given = Self::default();
        for input in inputs {
            match input {
                Media::File(path) => given.scope.read.push(path.clone()),
                Media::Loopback(loopback) => {
                    given.scope.tcp_port = Some(loopback.port);
                    given.waiting.push(loopback.waiting.clone());
                }
            }
        }
        given
    }
}

impl From<Scope> for Given {
    fn from(scope: Scope) -> Self {
        Self { scope, waiting: Vec::new() }
    }
}

/// How ffmpeg is to talk: errors and warnings marked as such, progress as `key=value` lines.
const TALK: [&str; 8] = [
    "-hide_banner",
    "-nostdin",
    "-v",
    "level+warning",
    "-progress",
    "pipe:1",
    "-stats_period",
    "0.5",
];

/// What ffmpeg says of a file that is cut off and has told its length: MPEG-4, Matroska, MP3, of
/// the last sounds of a FLAC, and of anything that comes from a port.
const CUT_OFF: [&str; 5] = [
    ": partial file",
    "File ended prematurely",
    "filesize and duration do not match",
    "decode_frame() failed",
    "Stream ends prematurely",
];

/// What ffmpeg says of a gap that it cannot write.
const TIME_LOST: [&str; 2] = ["Packet duration: ", "Application provided duration: "];

/// What ffmpeg says of packets whose times are missing, or not in order.
const TIMES_MADE_UP: [&str; 4] = [
    "Timestamps are unset in a packet",
    "Non-monotonous DTS",
    "non monotonically increasing dts",
    "Invalid DTS",
];

/// What libass says of a character that no font has.
const NO_GLYPH: &str = "failed to find any fallback with glyph 0x";

/// The letter behind [`NO_GLYPH`]. What is no letter is missed less than the film would be.
fn glyph(text: &str) -> Option<char> {
    let digits = text.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    let found = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    (found == '\0' || found.is_alphanumeric()).then_some(found)
}

/// What an exit that is no success means.
pub(crate) fn failed(status: ExitStatus, tail: &Tail) -> RunError {
    let log = tail.log();
    match status.signal() {
        Some(signal) if signal == Signal::XFSZ.as_raw() => {
            RunError::Refused { cause: Cause::FileTooLarge, log }
        }
        Some(signal) => RunError::Crashed { signal, log },
        None => RunError::Refused { cause: tail.cause(), log },
    }
}

fn folder(outputs: &[PathBuf]) -> &Path {
    let folder = outputs.first().and_then(|output| output.parent());
    folder.filter(|folder| folder.is_absolute()).unwrap_or(Path::new("/"))
}

/// ffmpeg ends well although it wrote no picture, for instance after the end of the input. A
/// name with `%` is a pattern for many files.
async fn missing(outputs: &[PathBuf]) -> bool {
    for output in outputs.iter().filter(|output| !output.to_string_lossy().contains('%')) {
        match tokio::fs::metadata(output).await {
            Ok(found) if found.len() > 0 || found.is_dir() => {}
            Ok(_) | Err(_) => return true,
        }
    }
    false
}
