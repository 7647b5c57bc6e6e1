//! Inputs that ffmpeg does not open, made into files that it does.
//!
//! A HEIC photograph becomes a PNG, a moving WebP a moving PNG, once for all tasks of the input.
//! The facts stay those of what was sent, as far as they are its own.

use std::path::Path;

use ffmpeg::{Cause, Facts, RunError, Stream, Tools, VideoStream, policy};
use tokio_util::sync::CancellationToken;

use super::WorkError;
use crate::input::{InputFile, StandIn};
use crate::task::{ErrorKind, Failure};

/// The most pixels of all pictures of a moving WebP together: half a minute of 1080p at 60 a
/// second, or an hour of a small sticker.
const MAX_FILM_PIXELS: u64 = 4_000_000_000;

/// The facts of an input, for which a stand-in is made where it takes one.
pub(super) async fn probe(
    tools: &Tools,
    input: &InputFile,
    stop: &CancellationToken,
) -> Result<Facts, WorkError> {
    let media = input.media();
    if media.path().is_none() {
        match tools.probe(media, stop).await {
            // Whoever reads a file from its first byte to its last may see more in it, or less:
            // what is refused is refused by that way.
            Err(RunError::Refused { .. }) if input.check_source().is_ok() => {}
            probed => return Ok(probed?),
        }
    }
    match tools.probe(input.whole(|_, _| {}, stop).await?, stop).await {
        Ok(facts) if facts.format == "webp" => film(input, facts, stop).await,
        Err(RunError::Refused { cause: Cause::Heic, .. }) => photograph(tools, input, stop).await,
        probed => Ok(probed?),
    }
}

async fn photograph(
    tools: &Tools,
    input: &InputFile,
    stop: &CancellationToken,
) -> Result<Facts, WorkError> {
    let (folder, sent) = (folder(input)?, input.whole(|_, _| {}, stop).await?);
    let path = tools.heic_to_png(sent, folder.path(), stop).await?;
    let facts = tools.probe(&path, stop).await?;
    let is_wide = ffmpeg::is_display_p3(sent).await?;
    input.replace(StandIn { folder, path });
    let streams = facts.streams.into_iter().map(|stream| match stream {
        Stream::Video(mut video) => {
            video.codec = "hevc".to_owned();
            if is_wide {
                video.color.primaries = "smpte432".to_owned();
            }
            Stream::Video(video)
        }
        other => other,
    });
    Ok(Facts { size_bytes: input.size_bytes(), streams: streams.collect(), ..facts })
}

async fn film(
    input: &InputFile,
    facts: Facts,
    stop: &CancellationToken,
) -> Result<Facts, WorkError> {
    check_cost(facts.video())?;
    let folder = folder(input)?;
    let path = folder.path().join("film.png");
    ffmpeg::webp_to_apng(input.whole(|_, _| {}, stop).await?, &path, stop).await?;
    input.replace(StandIn { folder, path });
    Ok(Facts { format: "apng".to_owned(), ..facts })
}

/// Every picture is decoded whole, before any limit of ffmpeg's has a say.
fn check_cost(video: Option<&VideoStream>) -> Result<(), Failure> {
    let Some(video) = video else { return Ok(()) };
    let pixels = u64::from(video.width) * u64::from(video.height);
    let all = pixels.saturating_mul(video.frames.unwrap_or(1));
    if pixels <= policy::MAX_PIXELS && all <= MAX_FILM_PIXELS {
        return Ok(());
    }
    let message = format!(
        "the input is a moving WebP of {} million pixels; at most {} million are taken",
        all / 1_000_000,
        MAX_FILM_PIXELS / 1_000_000
    );
    Err(Failure::new(ErrorKind::InputOverLimit, message).hint("send it as a video"))
}

/// Beside what was downloaded, where a sweep finds it; never beside a user's own file.
fn folder(input: &InputFile) -> std::io::Result<tempfile::TempDir> {
    let beside = input.folder();
    let temporary = std::env::temp_dir();
    let folder = beside.map_or(temporary.as_path(), Path::new);
    // ffmpeg is given whole paths.
    tempfile::tempdir_in(folder.canonicalize()?)
}
