//! The input itself as a file: what `probe` answers, and what `import` and `export` copy.

use std::io;
use std::path::{Path, PathBuf};

use ffmpeg::{Facts, VideoStream};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::WorkError;
use crate::input::InputFile;
use crate::job::{Codecs, File, FileKind};
use crate::output::Stored;

/// A format and its media type.
type Name = (&'static str, &'static str);

/// What containers are called: a name of ffprobe's, ours with a picture, ours without.
const CONTAINERS: &[(&str, Name, Name)] = &[
    ("mp4", ("mp4", "video/mp4"), ("m4a", "audio/mp4")),
    ("webm", ("webm", "video/webm"), ("webm", "audio/webm")),
    ("mpegts", ("ts", "video/mp2t"), ("ts", "video/mp2t")),
    ("mpeg", ("mpeg", "video/mpeg"), ("mpeg", "video/mpeg")),
    ("avi", ("avi", "video/x-msvideo"), ("avi", "video/x-msvideo")),
    ("ogg", ("ogg", "video/ogg"), ("ogg", "audio/ogg")),
    ("mp3", ("mp3", "audio/mpeg"), ("mp3", "audio/mpeg")),
    ("wav", ("wav", "audio/wav"), ("wav", "audio/wav")),
    ("flac", ("flac", "audio/flac"), ("flac", "audio/flac")),
    ("aac", ("aac", "audio/aac"), ("aac", "audio/aac")),
    ("gif", ("gif", "image/gif"), ("gif", "image/gif")),
    ("png_pipe", ("png", "image/png"), ("png", "image/png")),
    ("jpeg_pipe", ("jpeg", "image/jpeg"), ("jpeg", "image/jpeg")),
    ("webp_pipe", ("webp", "image/webp"), ("webp", "image/webp")),
    ("apng", ("apng", "image/apng"), ("apng", "image/apng")),
    ("bmp_pipe", ("bmp", "image/bmp"), ("bmp", "image/bmp")),
    ("tiff_pipe", ("tiff", "image/tiff"), ("tiff", "image/tiff")),
];

/// `input` as its facts tell it, when its bytes are `stored` under `key`.
pub(super) fn told(input: &InputFile, facts: &Facts, key: String, stored: Stored) -> File {
    let Named { kind, format, content_type } = named(input, facts);
    let video = facts.video().or_else(|| facts.cover());
    let size = video.map(VideoStream::display_size);
    let moves = kind != FileKind::Image;
    File {
        key,
        kind,
        format,
        content_type: content_type.to_owned(),
        filesize: stored.size_bytes,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        duration: facts.duration.filter(|_| moves),
        fps: video.filter(|_| moves).and_then(|it| it.fps).map(ffmpeg::Ratio::value),
        bitrate: facts.bit_rate.filter(|_| moves),
        codecs: Some(Codecs {
            video: video.map(|video| video.codec.clone()),
            audio: facts.audio().map(|audio| audio.codec.clone()),
        }),
        loudness: None,
        sha256: stored.sha256,
        delivered_to: None,
        remote_url: None,
    }
}

/// What a copy of `input` is called: `video.mp4`.
pub(super) fn copy_name(input: &InputFile, facts: &Facts) -> String {
    let Named { kind, mut format, .. } = named(input, facts);
    // ffprobe's own word where there is no other.
    format.retain(|letter| letter.is_ascii_alphanumeric());
    format!("{}.{format}", kind.name())
}

struct Named {
    kind: FileKind,
    format: String,
    content_type: &'static str,
}

fn named(input: &InputFile, facts: &Facts) -> Named {
    Named::of(facts, input.has_stand_in())
}

impl Named {
    fn of(facts: &Facts, has_stand_in: bool) -> Self {
        let (format, content_type) = name(facts, has_stand_in);
        let is_image = content_type.starts_with("image/");
        let may_move = !is_image || format == "gif" || facts.format == "apng";
        let kind = match facts.video() {
            Some(_) if !may_move || facts.is_still() => FileKind::Image,
            Some(_) if is_image => FileKind::Animation,
            Some(_) => FileKind::Video,
            None => FileKind::Audio,
        };
        Self { kind, format: format.to_owned(), content_type }
    }
}

/// Format and media type.
fn name(facts: &Facts, has_stand_in: bool) -> (&str, &'static str) {
    if has_stand_in {
        // The facts name what stands in: a moving PNG for a WebP, a PNG for a HEIC.
        let is_film = facts.format == "apng";
        return if is_film { ("webp", "image/webp") } else { ("heic", "image/heic") };
    }
    let names = facts.format.split(',');
    let known = CONTAINERS.iter().find(|(known, ..)| names.clone().any(|name| name == *known));
    match known {
        Some(("webm", ..)) if !is_webm(facts) => ("mkv", "video/x-matroska"),
        Some((_, with_picture, _)) if facts.video().is_some() => *with_picture,
        Some((_, _, without)) => *without,
        None => (facts.format.split(',').next().unwrap_or_default(), "application/octet-stream"),
    }
}

/// ffprobe gives Matroska both names; the one that browsers play has codecs of its own.
fn is_webm(facts: &Facts) -> bool {
    let video = facts.video().is_none_or(|it| ["vp8", "vp9", "av1"].contains(&&*it.codec));
    video && facts.audio().is_none_or(|it| ["opus", "vorbis"].contains(&&*it.codec))
}

/// Size and SHA-256 of a file that is not stored.
pub(super) async fn summed(path: &Path) -> Result<Stored, WorkError> {
    let path: PathBuf = path.to_owned();
    let sum = spawn_blocking(move || checksum(&path)).await.map_err(io::Error::other)?;
    let (size_bytes, sha256) = sum?;
    Ok(Stored { size_bytes, sha256 })
}

/// Size and SHA-256.
fn checksum(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut digest) = (std::fs::File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        let read = io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            return Ok((size_bytes, hex::encode(digest.finalize())));
        }
        digest.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg::{AudioStream, Stream};

    use super::*;

    fn facts(format: &str, video: &str, audio: &str, duration: Option<f64>) -> Facts {
        let frames = if duration.is_none() { Some(1) } else { None };
        let picture = VideoStream { codec: video.to_owned(), frames, ..VideoStream::default() };
        let sound = AudioStream { codec: audio.to_owned(), ..AudioStream::default() };
        let streams = [
            (!video.is_empty()).then_some(Stream::Video(picture)),
            (!audio.is_empty()).then_some(Stream::Audio(sound)),
        ];
        let streams = streams.into_iter().flatten().collect();
        Facts { format: format.to_owned(), duration, streams, ..Facts::default() }
    }

    #[test]
    fn a_file_is_called_what_it_is_and_not_what_stands_in_for_it() {
        use FileKind::{Animation, Audio, Image, Video};
        let (mp4, mkv) = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm");
        for (facts, has_stand_in, kind, format) in [
            (facts(mp4, "h264", "aac", Some(2.0)), false, Video, "mp4"),
            (facts(mp4, "", "aac", Some(2.0)), false, Audio, "m4a"),
            (facts(mkv, "vp9", "opus", Some(2.0)), false, Video, "webm"),
            (facts(mkv, "h264", "aac", Some(2.0)), false, Video, "mkv"),
            (facts(mkv, "", "opus", Some(2.0)), false, Audio, "webm"),
            (facts("png_pipe", "png", "", None), false, Image, "png"),
            (facts("png_pipe", "hevc", "", None), true, Image, "heic"),
            (facts("apng", "webp", "", Some(2.0)), true, Animation, "webp"),
            (facts("apng", "apng", "", Some(2.0)), false, Animation, "apng"),
            (facts("webp_pipe", "webp", "", None), false, Image, "webp"),
            (facts("gif", "gif", "", Some(2.0)), false, Animation, "gif"),
            (facts("nut", "ffv1", "", Some(2.0)), false, Video, "nut"),
        ] {
            let named = Named::of(&facts, has_stand_in);
            assert_eq!((named.kind, &*named.format), (kind, format), "{facts:?}");
        }
    }
}
