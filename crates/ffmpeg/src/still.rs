//! What a still picture is, from its own first bytes: no process is started for it.
//!
//! A file that was sent is read here only where the answer is sure to be ffprobe's own
//! ([`jpeg`]); a file that was made here is one of four kinds, and its size is all that is asked.
//! Whatever looks odd has no answer, and ffprobe is asked.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use crate::facts::{Facts, Stream, VideoStream};
use crate::jpeg;

/// How many bytes are looked at. Profiles, thumbnails and notes of a camera's maker come first.
const HEAD_BYTES: u64 = 512 << 10;

/// The first bytes of a file, and its size.
pub(crate) async fn head(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = tokio::fs::File::open(path).await?;
    let size_bytes = file.metadata().await?.len();
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).await?;
    Ok((head, size_bytes))
}

/// The facts of a picture that was made here; nothing where the file is no such picture.
pub async fn made(path: &Path) -> io::Result<Option<Facts>> {
    let (head, size_bytes) = head(path).await?;
    Ok(read(&head, size_bytes))
}

fn read(head: &[u8], size_bytes: u64) -> Option<Facts> {
    let (format, codec, (width, height)) = match head {
        [0xff, 0xd8, ..] => return jpeg::read(head, size_bytes),
        [0x89, b'P', b'N', b'G', ..] => ("png_pipe", "png", png(head)?),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            ("webp_pipe", "webp", webp(head)?)
        }
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => {
            ("avif", "av1", avif(head)?)
        }
        _ => return None,
    };
    let is_seen = width > 0 && height > 0;
    let video = VideoStream {
        codec: codec.to_owned(),
        width,
        height,
        frames: Some(1),
        bit_depth: 8,
        ..VideoStream::default()
    };
    let streams = vec![Stream::Video(video)];
    is_seen.then(|| Facts { format: format.to_owned(), size_bytes, streams, ..Facts::default() })
}

/// The header is always the first chunk.
fn png(head: &[u8]) -> Option<(u32, u32)> {
    let is_header = head.get(12..16)? == b"IHDR";
    is_header.then_some((big(head, 16)?, big(head, 20)?))
}

/// Lossy, lossless, or extended by transparency.
fn webp(head: &[u8]) -> Option<(u32, u32)> {
    let body = head.get(20..30)?;
    let pair = |at: usize| u32::from(u16::from_le_bytes([body[at], body[at + 1]]));
    let triple = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], 0]);
    match head.get(12..16)? {
        b"VP8 " if body[3..6] == [0x9d, 0x01, 0x2a] => Some((pair(6) & 0x3fff, pair(8) & 0x3fff)),
        b"VP8L" if body[0] == 0x2f => {
            let bits = u32::from_le_bytes([body[1], body[2], body[3], body[4]]);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((triple(4) + 1, triple(7) + 1)),
        _ => None,
    }
}

/// The property of the one picture: box, version, sides.
fn avif(head: &[u8]) -> Option<(u32, u32)> {
    let at = head.windows(4).position(|name| name == b"ispe")?;
    Some((big(head, at + 8)?, big(head, at + 12)?))
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(head: &[u8]) -> Option<(u32, u32)> {
        Some(read(head, 1)?.video()?.display_size())
    }

    #[test]
    fn the_size_stands_in_the_head() {
        let png = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0\0\xb4"[..], &[8, 2]].concat();
        assert_eq!(size(&png), Some((320, 180)));
        let lossy = b"RIFF____WEBPVP8 ____\x10\0\0\x9d\x01\x2a\x40\x01\xb4\0";
        assert_eq!(size(lossy), Some((320, 180)));
        let bits = (0x13f_u32 | 0xb3 << 14).to_le_bytes();
        let lossless = [&b"RIFF____WEBPVP8L____\x2f"[..], &bits, &[0; 5]].concat();
        assert_eq!(size(&lossless), Some((320, 180)));
        let extended = b"RIFF____WEBPVP8X____\x10\0\0\0\x3f\x01\0\xb3\0\0";
        assert_eq!(size(extended), Some((320, 180)));
        let avif = b"\0\0\0\x1cftypavif____meta____ispe\0\0\0\0\0\0\x01\x40\0\0\0\xb4";
        assert_eq!(size(avif), Some((320, 180)));
    }

    #[test]
    fn what_is_cut_off_or_empty_or_foreign_has_no_facts() {
        for head in [
            &b""[..],
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x40\0\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08",
            b"RIFF____WEBPVP8 ____",
            b"RIFF____WEBPABCD____0123456789",
            b"\0\0\0\x1cftypavif____meta____",
            b"#EXTM3U",
        ] {
            assert_eq!(size(head), None, "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 0..4_usize, rest in any::<Vec<u8>>()) {
            let starts: [&[u8]; 4] =
                [b"\xff\xd8", b"\x89PNG", b"RIFF____WEBPVP8X", b"\0\0\0\x1cftypavif"];
            let _facts = read(&[starts[kind], &rest].concat(), 1);
        }
    }
}
