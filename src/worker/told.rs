//! The input itself as a file: what a job of kind `probe` answers.

use std::io;
use std::path::{Path, PathBuf};

use ffmpeg::{Facts, VideoStream};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::WorkError;
use crate::job::{Codecs, File, FileKind, InputUrl};

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
    ("bmp_pipe", ("bmp", "image/bmp"), ("bmp", "image/bmp")),
    ("tiff_pipe", ("tiff", "image/tiff"), ("tiff", "image/tiff")),
];

/// The file at `path`, which came from `input`, as its facts tell it. Nothing is stored under
/// `key`.
pub(super) async fn told(
    input: &InputUrl,
    key: String,
    path: &Path,
    facts: &Facts,
) -> Result<File, WorkError> {
    let path: PathBuf = path.to_owned();
    let sum = spawn_blocking(move || checksum(&path)).await.map_err(io::Error::other)?;
    let (filesize, sha256) = sum?;
    let (video, audio) = (facts.video().or_else(|| facts.cover()), facts.audio());
    let (format, content_type) = name(facts);
    let is_still = content_type.starts_with("image/") && format != "gif" || facts.is_still();
    let kind = match (facts.video(), is_still) {
        (Some(_), true) => FileKind::Image,
        (Some(_), false) if format == "gif" => FileKind::Animation,
        (Some(_), false) => FileKind::Video,
        (None, _) => FileKind::Audio,
    };
    let size = video.map(VideoStream::display_size);
    Ok(File {
        key,
        kind,
        format,
        content_type,
        filesize,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        duration: facts.duration.filter(|_| !is_still),
        fps: video.filter(|_| !is_still).and_then(|it| it.fps).map(ffmpeg::Ratio::value),
        bitrate: facts.bit_rate.filter(|_| !is_still),
        codecs: Some(Codecs {
            video: video.map(|video| video.codec.clone()),
            audio: audio.map(|audio| audio.codec.clone()),
        }),
        loudness: None,
        sha256,
        delivered_to: input.object(),
        remote_url: input.object().is_none().then(|| input.url().clone()),
    })
}

/// Format and media type.
fn name(facts: &Facts) -> (String, String) {
    let names = facts.format.split(',');
    let known = CONTAINERS.iter().find(|(known, ..)| names.clone().any(|name| name == *known));
    let (format, content_type) = match known {
        Some((_, with_picture, _)) if facts.video().is_some() => *with_picture,
        Some((_, _, without)) => *without,
        None => (facts.format.split(',').next().unwrap_or_default(), "application/octet-stream"),
    };
    (format.to_owned(), content_type.to_owned())
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
