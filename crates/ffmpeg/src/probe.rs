//! What a file is: one run of ffprobe, under the same limits as ffmpeg.
//!
//! A path comes in, [`Facts`] or a cause go out. A plain JPEG is read without it. A turned photograph says so only beside its
//! decoded picture, so stills are decoded here too; films are not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::child::spawn;
use crate::run::{Given, OutputError, failed};
use crate::sniff::{self, Kind};
use crate::tail::Tail;
use crate::watch::{End, Heard, Watch};
use crate::webp::{self, WebpError};
use crate::{Cause, Facts, Media, RunError, Tools, jpeg, policy, report, still};

/// The longest answer of ffprobe that is read, in bytes. 64 streams take 100 KB; titles and
/// other tags may be as long as their author likes.
const ANSWER_BYTES: usize = 4 << 20;

impl Tools {
    /// Asks ffprobe what `media` is.
    ///
    /// A file may be media and yet hold no picture and no sound: that is for the caller to
    /// judge. The same rules as for [`Tools::run`] hold for `stop`, for dropping and for where
    /// to call it from.
    pub async fn probe(
        &self,
        media: impl Into<Media>,
        stop: &CancellationToken,
    ) -> Result<Facts, RunError> {
        let media = media.into().absolute().map_err(RunError::Input)?;
        let (kind, size_bytes) = match &media {
            Media::File(path) => {
                let (kind, size_bytes) = look(path).await.map_err(RunError::Input)?;
                if kind == Kind::MovingWebp {
                    return moving_webp(path.clone(), size_bytes).await;
                }
                if kind == Kind::Still(sniff::JPEG) {
                    let (head, size_bytes) = still::head(path).await.map_err(RunError::Input)?;
                    if let Some(facts) = jpeg::read(&head, size_bytes) {
                        refuse_large(&facts, &Tail::new(&[]))?;
                        return Ok(facts);
                    }
                }
                (kind, size_bytes)
            }
            Media::Loopback(loopback) => (Kind::Other, loopback.size_bytes),
        };
        self.ask_ffprobe(&media, kind, size_bytes, stop).await
    }

    /// What ffprobe says of a file.
    pub(crate) async fn ask_ffprobe(
        &self,
        media: &Media,
        kind: Kind,
        size_bytes: u64,
        stop: &CancellationToken,
    ) -> Result<Facts, RunError> {
        let asked = self.ask(media, &argv(media, kind), stop).await;
        let (answer, tail) = asked.map_err(|error| better_cause(error, kind))?;
        let facts = report::read(&answer, size_bytes)
            .map_err(|error| RunError::Output(OutputError::Json(error)))?;
        refuse_large(&facts, &tail)?;
        Ok(facts)
    }

    /// What ffprobe answers, and what it says beside that.
    pub(crate) async fn ask(
        &self,
        media: &Media,
        argv: &[OsString],
        stop: &CancellationToken,
    ) -> Result<(Vec<u8>, Tail), RunError> {
        let limits = self.limits();
        let Given { scope, waiting } = Given::reading([media]);
        let containment = self.containment(scope, limits.probe_memory_bytes);
        let (child, pipes) = spawn(self.ffprobe(), argv, Path::new("/"), &containment)
            .map_err(|source| RunError::Missing { program: "ffprobe", source })?;
        let watch = Watch {
            wall: limits.probe_wall,
            stall: None,
            grace: limits.grace,
            processor: Some(limits.probe_processor),
            memory_bytes: limits.probe_memory_bytes,
            waiting: &waiting,
            stop,
        };
        let (mut tail, mut answer) = (Tail::new(argv), Vec::new());
        let hear = |bytes: &[u8]| {
            answer.extend_from_slice(bytes);
            if answer.len() > ANSWER_BYTES { Heard::TooMuch } else { Heard::Life }
        };
        let end = watch.over(child, pipes, &mut tail, hear).await.map_err(RunError::Lost)?;
        match end {
            End::Stopped => Err(RunError::Stopped),
            // It answers at its end: whoever has had no time to come to it may have some later.
            End::Stalled | End::TimedOut => {
                Err(RunError::Stalled { secs: limits.probe_wall.as_secs(), log: tail.log() })
            }
            End::OutOfProcessor => {
                Err(RunError::TimedOut { secs: limits.probe_processor.as_secs(), log: tail.log() })
            }
            End::TooMuch => Err(RunError::Output(OutputError::TooLong { limit: ANSWER_BYTES })),
            End::OutOfMemory => {
                Err(RunError::Refused { cause: Cause::OutOfMemory, log: tail.log() })
            }
            End::Exited(status) if !status.success() => Err(failed(status, &tail)),
            End::Exited(_) => Ok((answer, tail)),
        }
    }
}

/// What the first bytes say, and how many there are.
async fn look(path: &Path) -> std::io::Result<(Kind, u64)> {
    let file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let mut head = Vec::new();
    file.take(sniff::HEAD_BYTES).read_to_end(&mut head).await?;
    Ok((sniff::kind(&head), size))
}

fn argv(media: &Media, kind: Kind) -> Vec<OsString> {
    let mut argv: Vec<OsString> = ["-v", "level+warning", "-hide_banner"].map(Into::into).into();
    argv.extend(policy::before(media));
    if let Media::Loopback(loopback) = media {
        argv.extend(["-f", loopback.demuxer.name()].map(Into::into));
    }
    match kind {
        Kind::Still(demuxer) => argv.extend(["-f", demuxer].map(Into::into)),
        Kind::Gif => argv.extend(["-f", "gif"].map(Into::into)),
        Kind::MovingWebp | Kind::Heic | Kind::Other => {}
    }
    argv.extend(["-show_format", "-show_streams"].map(Into::into));
    if matches!(kind, Kind::Still(_)) {
        let side_data = "frame=stream_index:frame_side_data=side_data_type,displaymatrix,rotation";
        let one = ["-show_frames", "-read_intervals", "%+#1", "-show_entries", side_data];
        argv.extend(one.map(Into::into));
    }
    argv.extend(["-of".into(), "json".into(), media.argument()]);
    argv
}

async fn moving_webp(path: PathBuf, size_bytes: u64) -> Result<Facts, RunError> {
    let read = move || {
        let file = std::io::BufReader::new(std::fs::File::open(path)?);
        webp::read(file, size_bytes)
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|lost| RunError::Lost(lost.into()))?.map_err(|error| match error {
        WebpError::Malformed => RunError::Refused { cause: Cause::Corrupt, log: Vec::new() },
        WebpError::Io(error) => RunError::Input(error),
    })
}

/// ffprobe calls a HEIC damaged, for want of a film in it.
fn better_cause(error: RunError, kind: Kind) -> RunError {
    match error {
        RunError::Refused { cause: Cause::Corrupt | Cause::NotMedia, log }
            if kind == Kind::Heic =>
        {
            RunError::Refused { cause: Cause::Heic, log }
        }
        error => error,
    }
}

/// ffprobe is content with a picture that it was not allowed to look at; its size is then 0.
fn refuse_large(facts: &Facts, tail: &Tail) -> Result<(), RunError> {
    let Some(video) = facts.video() else { return Ok(()) };
    let pixels = u64::from(video.width) * u64::from(video.height);
    let unseen = pixels == 0 && tail.cause() == Cause::TooManyPixels;
    if unseen || pixels > policy::MAX_PIXELS {
        return Err(RunError::Refused { cause: Cause::TooManyPixels, log: tail.log() });
    }
    Ok(())
}
