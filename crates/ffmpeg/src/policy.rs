//! What ffmpeg and ffprobe may open and what it may cost: the argument layer of containment.
//!
//! Whitelists hold for one input only, so [`before_input`] is repeated before every `-i`, of
//! ffprobe as well. Measured against ffmpeg 5.1: without the format list a playlist named
//! `.mp4` reads any file of the disk; without the pixel limit a 2 MB PNG costs ffprobe 2 GB.

use std::ffi::OsString;

use crate::Media;

/// The largest picture in pixels: 64 Mi, which covers 8K video and the usual phone still.
pub const MAX_PIXELS: u64 = 64 << 20;

/// The most streams a file may have.
pub const MAX_STREAMS: u32 = 64;

/// The largest single allocation in bytes.
pub const MAX_ALLOCATION_BYTES: u64 = 1 << 30;

/// How much of a file may be read to find out what it is, in bytes.
pub const PROBE_BYTES: u64 = 20_000_000;

/// How much of a file may be looked at to find out what it is, in microseconds of its own time.
pub const ANALYZE_MICROS: u64 = 20_000_000;

/// The demuxers that may be used. No playlist, no manifest, no script, no text, no vector
/// picture: those open other files.
pub const FORMATS: &[&str] = &[
    "mov",
    "mp4",
    "m4a",
    "3gp",
    "3g2",
    "mj2",
    "matroska",
    "webm",
    "avi",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "flv",
    "asf",
    "mxf",
    "ogg",
    "wav",
    "w64",
    "mp3",
    "flac",
    "aac",
    "ac3",
    "eac3",
    "aiff",
    "caf",
    "amr",
    "png_pipe",
    "apng",
    "jpeg_pipe",
    "webp_pipe",
    "gif",
    "bmp_pipe",
    "tiff_pipe",
];

/// The decoders that may be used: those of current browsers, phones and cameras. Subtitles
/// are listed because ffprobe gives up on a whole film when it may not open one of them.
pub const CODECS: &[&str] = &[
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "libvpx",
    "libvpx-vp9",
    "libdav1d",
    "av1",
    "mpeg4",
    "msmpeg4v1",
    "msmpeg4v2",
    "msmpeg4v3",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "prores",
    "dnxhd",
    "cfhd",
    "theora",
    "h263",
    "flv",
    "wmv1",
    "wmv2",
    "wmv3",
    "vc1",
    "dvvideo",
    "rawvideo",
    "aac",
    "aac_latm",
    "mp3",
    "mp3float",
    "mp2",
    "mp2float",
    "ac3",
    "eac3",
    "dca",
    "truehd",
    "opus",
    "libopus",
    "vorbis",
    "libvorbis",
    "flac",
    "alac",
    "amrnb",
    "amrwb",
    "libopencore_amrnb",
    "libopencore_amrwb",
    "wmav1",
    "wmav2",
    "wmapro",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
    "pcm_u8",
    "pcm_s8",
    "pcm_alaw",
    "pcm_mulaw",
    "pcm_bluray",
    "pcm_dvd",
    "adpcm_ima_wav",
    "adpcm_ima_qt",
    "adpcm_ms",
    "png",
    "apng",
    "gif",
    "webp",
    "bmp",
    "tiff",
    "srt",
    "subrip",
    "ass",
    "ssa",
    "webvtt",
    "mov_text",
    "text",
    "dvdsub",
    "dvbsub",
    "pgssub",
    "cc_dec",
];

/// The arguments that must stand before every `-i` of a file.
#[must_use]
pub fn before_input() -> Vec<OsString> {
    allowing("file")
}

/// The arguments that must stand before `media` is opened.
pub(crate) fn before(media: &Media) -> Vec<OsString> {
    allowing(media.protocols())
}

/// The arguments that must stand before a list of files is opened that was written here: the one
/// that may open others.
pub(crate) fn before_a_list() -> Vec<OsString> {
    let formats = ["concat"].iter().chain(FORMATS).copied().collect::<Vec<_>>();
    allowing_formats("file", &formats)
}

fn allowing(protocols: &str) -> Vec<OsString> {
    allowing_formats(protocols, FORMATS)
}

fn allowing_formats(protocols: &str, formats: &[&str]) -> Vec<OsString> {
    let options = [
        ("-protocol_whitelist", protocols.to_owned()),
        ("-format_whitelist", formats.join(",")),
        ("-codec_whitelist", CODECS.join(",")),
        ("-max_pixels", MAX_PIXELS.to_string()),
        ("-max_streams", MAX_STREAMS.to_string()),
        ("-probesize", PROBE_BYTES.to_string()),
        ("-analyzeduration", ANALYZE_MICROS.to_string()),
    ];
    options.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect()
}
