//! What is refused before any work: inputs that cost too much, and codecs that are not taken.
//!
//! ffmpeg is given the same limits as arguments. Here they become errors with a stable kind and
//! words, and nothing is started.

use ffmpeg::{AudioStream, Facts, Stream, VideoStream, policy};

use super::Settings;
use crate::job::options::MAX_SIDE;
use crate::task::{ErrorKind, Failure};

/// The largest side of a still picture that is read: panoramas are long.
const MAX_STILL_SIDE: u32 = 16_384;

/// Decoders whose name is not the codec's.
const DECODERS: &[(&str, &str)] =
    &[("amr_nb", "amrnb"), ("amr_wb", "amrwb"), ("dts", "dca"), ("flv1", "flv"), ("h263p", "h263")];

/// Refuses what no kind of output can be made of.
pub(super) fn check_whole(facts: &Facts, settings: &Settings) -> Result<(), Failure> {
    if !facts.streams.iter().any(|stream| !matches!(stream, Stream::Other(_))) {
        return Err(Failure::new(
            ErrorKind::InputUnsupported,
            "the input has neither picture nor sound",
        ));
    }
    let streams = facts.streams.len();
    if streams > policy::MAX_STREAMS as usize {
        return Err(over_limit(format!(
            "the input has {streams} streams; at most {} are taken",
            policy::MAX_STREAMS
        )));
    }
    let limit = settings.max_duration_secs;
    match facts.duration {
        Some(secs) if secs > limit => Err(over_limit(format!(
            "the input is {secs:.0} s long; at most {limit:.0} s are taken"
        ))),
        _ => Ok(()),
    }
}

/// The moving picture of the input.
pub(super) fn moving(facts: &Facts) -> Result<&VideoStream, Failure> {
    let Some(video) = facts.video() else {
        return Err(no_video(facts));
    };
    if is_still(facts, video) {
        return Err(Failure::new(ErrorKind::InputNoVideo, "the input is a still picture")
            .hint("ask for an image"));
    }
    check_picture(video, MAX_SIDE)?;
    Ok(video)
}

/// The picture of the input that a still can be taken from, and whether it is one itself.
pub(super) fn any_picture(facts: &Facts) -> Result<(&VideoStream, bool), Failure> {
    let (video, still) = match (facts.video(), facts.cover()) {
        (Some(video), _) => (video, is_still(facts, video)),
        (None, Some(cover)) => (cover, true),
        (None, None) => return Err(no_video(facts)),
    };
    check_picture(video, if still { MAX_STILL_SIDE } else { MAX_SIDE })?;
    Ok((video, still))
}

/// The sound of the input, if it has any: the one to play, else the first that can be decoded.
pub(super) fn sound(facts: &Facts) -> Result<Option<&AudioStream>, Failure> {
    let Some(first) = facts.audio() else { return Ok(None) };
    let decodable = facts.streams.iter().find_map(|stream| match stream {
        Stream::Audio(audio) if is_decoded(&audio.codec) => Some(audio),
        _ => None,
    });
    match decodable {
        _ if is_decoded(&first.codec) => Ok(Some(first)),
        Some(other) => Ok(Some(other)),
        None => Err(unknown_codec("sound", &first.codec)),
    }
}

fn no_video(facts: &Facts) -> Failure {
    let failure = Failure::new(ErrorKind::InputNoVideo, "the input has no picture");
    if facts.cover().is_some() {
        failure.hint("its cover art can be had as an image")
    } else {
        failure.hint("ask for audio")
    }
}

/// Whether the file is one picture and not a film: told by its demuxer, and for AVIF, which
/// comes through the demuxer of MP4, by its one picture without a length.
fn is_still(facts: &Facts, video: &VideoStream) -> bool {
    let pictures = ["png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "image2"];
    let avif = video.codec == "av1" && facts.duration.is_none() && facts.audio().is_none();
    let of_mp4 = facts.format.split(',').any(|name| name == "mp4" || name == "avif");
    pictures.contains(&facts.format.as_str()) || (avif && of_mp4)
}

fn check_picture(video: &VideoStream, max_side: u32) -> Result<(), Failure> {
    if !is_decoded(&video.codec) {
        return Err(unknown_codec("picture", &video.codec));
    }
    let (width, height) = (video.width, video.height);
    if width == 0 || height == 0 {
        return Err(Failure::new(ErrorKind::InputCorrupt, "the input's picture has no size"));
    }
    if u64::from(width) * u64::from(height) > policy::MAX_PIXELS || width.max(height) > max_side {
        return Err(over_limit(format!(
            "the input's picture has {width}×{height} pixels; at most {} million pixels and \
             {max_side} a side are taken",
            policy::MAX_PIXELS / 1_000_000
        )));
    }
    Ok(())
}

fn is_decoded(codec: &str) -> bool {
    let decoder =
        DECODERS.iter().find(|(name, _)| *name == codec).map_or(codec, |(_, decoder)| decoder);
    policy::CODECS.contains(&decoder)
}

fn unknown_codec(what: &str, codec: &str) -> Failure {
    // The name is ffprobe's own, but it comes from outside: kept short and plain.
    let name: String =
        codec.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(32).collect();
    let name = if name.is_empty() { "an unknown codec".to_owned() } else { name };
    Failure::new(
        ErrorKind::InputUnsupported,
        format!("the input's {what} is coded in {name}, which is not taken"),
    )
    .hint("convert it to a usual codec first")
}

fn over_limit(message: String) -> Failure {
    Failure::new(ErrorKind::InputOverLimit, message)
}
