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
    if streams > settings.max_streams as usize {
        let message =
            format!("the input has {streams} streams; at most {} are taken", settings.max_streams);
        return Err(over_limit(message, "REELWAY_MAX_STREAMS"));
    }
    let limit = settings.max_duration_secs;
    match facts.duration {
        Some(secs) if secs > limit => {
            let message = format!("the input is {secs:.0} s long; at most {limit:.0} s are taken");
            Err(over_limit(message, "REELWAY_MAX_INPUT_DURATION"))
        }
        _ => Ok(()),
    }
}

/// The moving picture of the input.
pub(super) fn moving<'a>(
    facts: &'a Facts,
    settings: &Settings,
) -> Result<&'a VideoStream, Failure> {
    let Some(video) = facts.video() else {
        return Err(no_video(facts));
    };
    if is_still(facts, video) {
        return Err(Failure::new(ErrorKind::InputNoVideo, "the input is a still picture")
            .hint("ask for an image"));
    }
    check_picture(video, MAX_SIDE, settings)?;
    Ok(video)
}

/// The picture of the input that a still can be taken from, and whether it is one itself.
pub(super) fn any_picture<'a>(
    facts: &'a Facts,
    settings: &Settings,
) -> Result<(&'a VideoStream, bool), Failure> {
    let (video, still) = match (facts.video(), facts.cover()) {
        (Some(video), _) => (video, is_still(facts, video)),
        (None, Some(cover)) => (cover, true),
        (None, None) => return Err(no_video(facts)),
    };
    check_picture(video, if still { MAX_STILL_SIDE } else { MAX_SIDE }, settings)?;
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

fn check_picture(video: &VideoStream, max_side: u32, settings: &Settings) -> Result<(), Failure> {
    if !is_decoded(&video.codec) {
        return Err(unknown_codec("picture", &video.codec));
    }
    let (width, height) = (video.width, video.height);
    if width == 0 || height == 0 {
        return Err(Failure::new(ErrorKind::InputCorrupt, "the input's picture has no size"));
    }
    if width.max(height) > max_side {
        let message = format!(
            "the input's picture has {width}×{height} pixels; at most {max_side} a side are taken"
        );
        return Err(Failure::new(ErrorKind::InputOverLimit, message).hint("send a smaller picture"));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > settings.max_pixels {
        let message = format!(
            "the input's picture has {width}×{height} = {pixels} pixels; at most {} are taken",
            settings.max_pixels
        );
        return Err(over_limit(message, "REELWAY_MAX_PIXELS"));
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

/// The setting is the server's; whose file it is can only ask for it.
fn over_limit(message: String, setting: &str) -> Failure {
    Failure::new(ErrorKind::InputOverLimit, message)
        .hint(format!("whoever runs this server sets the limit with {setting}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, codec: &str) -> VideoStream {
        VideoStream { codec: codec.to_owned(), width, height, ..VideoStream::default() }
    }

    fn facts(format: &str, duration: f64, streams: Vec<Stream>) -> Facts {
        Facts { format: format.to_owned(), duration: Some(duration), streams, ..Facts::default() }
    }

    /// A film of 30 s with so many streams.
    fn film(width: u32, height: u32, streams: usize) -> Facts {
        let first = Stream::Video(picture(width, height, "h264"));
        let more = std::iter::repeat_n(Stream::Video(picture(2, 2, "h264")), streams - 1);
        facts("mov,mp4", 30.0, std::iter::once(first).chain(more).collect())
    }

    fn film_of(codec: &str) -> Facts {
        facts("mov,mp4", 30.0, vec![Stream::Video(picture(64, 64, codec))])
    }

    /// What is said of a film at this gate: its kind, its words and its hint.
    fn said(facts: &Facts, settings: &Settings) -> Option<String> {
        let refused = check_whole(facts, settings)
            .and_then(|()| moving(facts, settings).map(drop))
            .and_then(|()| sound(facts).map(drop));
        let failure = refused.err()?;
        let hint = failure.hint.unwrap_or_default();
        Some(format!("{}: {} ({hint})", failure.kind.name(), failure.message))
    }

    #[test]
    fn each_limit_lets_its_last_value_through_and_tells_the_next_with_its_setting() {
        let settings = Settings {
            max_duration_secs: 30.0,
            max_pixels: 640 * 480,
            max_streams: 4,
            ..Settings::default()
        };
        let longer = Facts { duration: Some(31.0), ..film(64, 64, 1) };
        let cases = [
            (film(640, 480, 4), None),
            (
                longer,
                Some(
                    "input_over_limit: the input is 31 s long; at most 30 s are taken \
                (whoever runs this server sets the limit with REELWAY_MAX_INPUT_DURATION)",
                ),
            ),
            (
                film(64, 64, 5),
                Some(
                    "input_over_limit: the input has 5 streams; at most 4 are taken \
                (whoever runs this server sets the limit with REELWAY_MAX_STREAMS)",
                ),
            ),
            (
                film(641, 480, 1),
                Some(
                    "input_over_limit: the input's picture has 641×480 = 307680 \
                pixels; at most 307200 are taken (whoever runs this server sets the limit with \
                REELWAY_MAX_PIXELS)",
                ),
            ),
            (
                film(8193, 2, 1),
                Some(
                    "input_over_limit: the input's picture has 8193×2 pixels; at \
                most 8192 a side are taken (send a smaller picture)",
                ),
            ),
            (film(0, 2, 1), Some("input_corrupt: the input's picture has no size ()")),
            (
                film_of("magicyuv"),
                Some(
                    "input_unsupported: the input's picture is coded in \
                magicyuv, which is not taken (convert it to a usual codec first)",
                ),
            ),
            (
                facts("png_pipe", 30.0, vec![Stream::Video(picture(2, 2, "png"))]),
                Some("input_no_video: the input is a still picture (ask for an image)"),
            ),
            (
                facts("wav", 30.0, Vec::new()),
                Some("input_unsupported: the input has neither picture nor sound ()"),
            ),
        ];
        for (facts, wanted) in cases {
            assert_eq!(said(&facts, &settings).as_deref(), wanted, "{facts:?}");
        }
    }

    #[test]
    fn no_limit_lets_more_through_than_ffmpeg_is_told_to_take() {
        let usual = Settings::default();
        assert_eq!(
            (usual.max_pixels, usual.max_streams),
            (policy::MAX_PIXELS, policy::MAX_STREAMS)
        );
        let still = facts("png_pipe", 0.0, vec![Stream::Video(picture(8192, 8193, "png"))]);
        assert!(any_picture(&still, &usual).is_err());
        let still = facts("png_pipe", 0.0, vec![Stream::Video(picture(16_384, 4096, "png"))]);
        assert!(any_picture(&still, &usual).is_ok());
    }
}
