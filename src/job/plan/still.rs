//! A picture of a picture by libvips, where that is faster and at least as good.
//!
//! It is so for what is written as WebP, AVIF or PNG: of one size a JPEG of ffmpeg's is the
//! better one. Whatever of a wish libvips does in another way than ffmpeg is left to ffmpeg: a
//! ground, a cut that is not the middle, more pixels than there were.

use ffmpeg::{Rotation, Shaping, Still, StillEncoder, VideoStream};

use super::color::{Coding, to_standard};
use super::picture::Picture;
use super::size::Geometry;
use super::{FileType, Given, quality};
use crate::job::options::{ImageFormat, ImageOptions, Position, Quality};

/// The codecs whose files are given to libvips, and nothing that only looks like them.
const CODECS: [(&str, &str); 3] =
    [("jpeg_pipe", "mjpeg"), ("png_pipe", "png"), ("webp_pipe", "webp")];

/// Eight bits, in colours that both read alike.
const PIXELS: [&str; 10] = [
    "yuvj420p", "yuvj422p", "yuvj444p", "gray", "yuv420p", "yuva420p", "argb", "rgb24", "rgba",
    "pal8",
];

/// How libvips makes the picture, if it is the one to do so.
pub(super) fn by_vips(
    options: &ImageOptions,
    format: ImageFormat,
    picture: Picture<'_>,
    file: FileType,
    given: Given<'_>,
) -> Option<Still> {
    let encoder = encoder(format, options.quality)?;
    let savers = given.settings.vips?;
    let video = picture.video;
    let keeps_alpha = format != ImageFormat::Avif && options.background.is_none();
    let is_fit = savers.write(encoder) && is_read(given, video) && (!video.alpha || keeps_alpha);
    if !is_fit {
        return None;
    }
    let geometry = picture.geometry();
    let still = Still {
        input: given.files.input.path()?.to_owned(),
        output: file.path(given),
        size: geometry.size(),
        shape: shape(&geometry, options.position, video.display_size())?,
        turns: video.rotation != Rotation::None,
        encoder,
        threads: given.settings.threads,
    };
    still.has_plain_names().then_some(still)
}

fn encoder(format: ImageFormat, level: Quality) -> Option<StillEncoder> {
    match format {
        ImageFormat::Jpeg => None,
        ImageFormat::Png => Some(StillEncoder::Png),
        ImageFormat::Webp => Some(quality::webp_still(level)),
        ImageFormat::Avif => Some(quality::avif_still(level)),
    }
}

/// Whether libvips reads of the picture what ffmpeg reads: the same pixels in the same light. Only
/// of a JPEG do both know how it is turned, and libvips 8.14 spoils mirrored ones.
fn is_read(given: Given<'_>, video: &VideoStream) -> bool {
    let is_turned = video.rotation != Rotation::None;
    CODECS.contains(&(given.facts.format.as_str(), video.codec.as_str()))
        && PIXELS.contains(&video.pixel_format.as_str())
        && video.color.primaries != "smpte432"
        && to_standard(video, Coding::of(video, true)).is_none()
        && (!is_turned || video.codec == "mjpeg")
        && !video.mirrored
}

/// Scaled to the size, or cut to it around the middle; never made larger.
fn shape(geometry: &Geometry, position: Position, source: (u32, u32)) -> Option<Shaping> {
    let (width, height) = geometry.scaled;
    if geometry.pad.is_some() || width > source.0 || height > source.1 {
        return None;
    }
    match (geometry.crop, position) {
        (None, _) => Some(Shaping::Scaled),
        (Some(_), Position::Center) => Some(Shaping::Middle),
        (Some(_), _) => None,
    }
}
