//! A moving WebP's facts, from its own chunks: ffmpeg 5 to 8 write the format and cannot read it.
//!
//! A file comes in, [`Facts`] go out, or [`WebpError::Malformed`]. Only the heads of chunks are read, a
//! bounded number of them, and no picture is decoded. The layout is that of the WebP container
//! specification: RIFF with `VP8X` (canvas), `ANIM` and an `ANMF` for each picture.

use std::io::{self, Read, Seek, SeekFrom};

use crate::facts::{Facts, Ratio, Stream, VideoStream};

/// The most pictures that are counted: an hour at 25 a second.
const MAX_PICTURES: u64 = 90_000;

/// Fewer chunks than these lie beside the pictures: colour profile, EXIF, XMP.
const MAX_CHUNKS: u64 = MAX_PICTURES + 100;

/// What a [`Facts::format`] of a moving WebP is called.
const FORMAT: &str = "webp";

/// `RIFF`, a size, `WEBP`.
const RIFF_HEAD: u64 = 12;

const ALPHA: u8 = 0x10;
const MOVING: u8 = 0x02;

/// Whether the first bytes of a file are those of a moving WebP.
pub(crate) fn is_moving(head: &[u8]) -> bool {
    let is = |at: usize, name: &[u8; 4]| head.get(at..at + 4) == Some(name);
    let flags = head.get(20).copied().unwrap_or(0);
    is(0, b"RIFF") && is(8, b"WEBP") && is(12, b"VP8X") && flags & MOVING != 0
}

/// Why there are no facts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebpError {
    /// It is not built as a moving WebP is.
    #[error("not a whole moving WebP")]
    Malformed,
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the facts of a moving WebP of `size_bytes`.
pub(crate) fn read(mut file: impl Read + Seek, size_bytes: u64) -> Result<Facts, WebpError> {
    let [_, _, _, _, a, b, c, d, ..] = take::<{ RIFF_HEAD as usize }>(&mut file)?;
    if u64::from(u32::from_le_bytes([a, b, c, d])) + 8 > size_bytes {
        return Err(WebpError::Malformed);
    }
    let mut canvas = Canvas::default();
    let (mut pictures, mut millis) = (0_u64, 0_u64);
    let (mut at, mut chunks) = (RIFF_HEAD, 0);
    while at + 8 <= size_bytes {
        file.seek(SeekFrom::Start(at))?;
        let [a, b, c, d, size @ ..] = take::<8>(&mut file)?;
        let size = u64::from(u32::from_le_bytes(size));
        if at + 8 + size > size_bytes || chunks == MAX_CHUNKS {
            return Err(WebpError::Malformed);
        }
        match &[a, b, c, d] {
            b"VP8X" => canvas = Canvas::of(take(&mut file)?),
            b"ANMF" => {
                let head: [u8; 16] = take(&mut file)?;
                pictures += 1;
                millis += u64::from(u24(head[12], head[13], head[14]));
            }
            _ => {}
        }
        at += 8 + size + size % 2;
        chunks += 1;
    }
    if pictures == 0 || canvas.width == 0 {
        return Err(WebpError::Malformed);
    }
    Ok(canvas.facts(pictures, millis, size_bytes))
}

#[derive(Default)]
struct Canvas {
    width: u32,
    height: u32,
    alpha: bool,
}

impl Canvas {
    /// Flags, three bytes of nothing, then both sides less one.
    const fn of(head: [u8; 10]) -> Self {
        let [flags, _, _, _, wide @ .., high0, high1, high2] = head;
        let [wide0, wide1, wide2] = wide;
        Self {
            width: u24(wide0, wide1, wide2) + 1,
            height: u24(high0, high1, high2) + 1,
            alpha: flags & ALPHA != 0,
        }
    }

    fn facts(self, pictures: u64, millis: u64, size_bytes: u64) -> Facts {
        let duration = (millis > 0).then(|| millis as f64 / 1000.0);
        let video = VideoStream {
            codec: FORMAT.to_owned(),
            width: self.width,
            height: self.height,
            fps: Ratio::reduced(pictures * 1000, millis),
            frames: Some(pictures),
            duration,
            pixel_format: if self.alpha { "yuva420p" } else { "yuv420p" }.to_owned(),
            bit_depth: 8,
            alpha: self.alpha,
            ..VideoStream::default()
        };
        Facts {
            format: FORMAT.to_owned(),
            duration,
            size_bytes,
            bit_rate: duration.map(|secs| (size_bytes as f64 * 8.0 / secs) as u64),
            streams: vec![Stream::Video(video)],
        }
    }
}

/// Cut off in the middle is malformed, not a failure to read.
fn take<const N: usize>(file: &mut impl Read) -> Result<[u8; N], WebpError> {
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(WebpError::Malformed),
        Err(error) => Err(error.into()),
    }
}

const fn u24(first: u8, second: u8, third: u8) -> u32 {
    u32::from_le_bytes([first, second, third, 0])
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len()).unwrap().to_le_bytes();
        let padding = vec![0; body.len() % 2];
        [name, size.as_slice(), body, &padding].concat()
    }

    /// 320 × 180 with as many pictures as lengths in milliseconds.
    fn webp(flags: u8, millis: &[u8]) -> Vec<u8> {
        let mut chunks = chunk(b"VP8X", &[flags, 0, 0, 0, 63, 1, 0, 179, 0, 0]);
        chunks.extend(chunk(b"ICCP", b"odd"));
        chunks.extend(chunk(b"ANIM", &[0; 6]));
        for &millis in millis {
            let mut body = vec![0; 12];
            body.extend([millis, 1, 0, 0, b'V', b'P', b'8', b' ', 3, 0, 0, 0, 1, 2, 3]);
            chunks.extend(chunk(b"ANMF", &body));
        }
        let size = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
        [b"RIFF", size.as_slice(), b"WEBP", &chunks].concat()
    }

    fn read(bytes: &[u8]) -> Result<Facts, WebpError> {
        super::read(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn canvas_pictures_and_length_are_read_from_the_chunks() {
        let bytes = webp(MOVING | ALPHA, &[44, 244, 144, 0]);
        assert!(is_moving(&bytes) && !is_moving(&webp(ALPHA, &[])) && !is_moving(&bytes[..20]));
        let facts = read(&bytes).unwrap();
        // 300, 500, 400 and 256 milliseconds.
        assert_eq!(facts.duration, Some(1.456));
        let video = facts.video().unwrap();
        assert_eq!((video.width, video.height, video.frames), (320, 180, Some(4)));
        assert_eq!(video.fps, Some(Ratio { num: 250, den: 91 }));
        assert!(video.alpha && !facts.is_still());
    }

    #[test]
    fn what_is_cut_off_or_has_no_pictures_is_malformed() {
        let bytes = webp(MOVING, &[100, 100]);
        for end in [13, 30, bytes.len() - 8, bytes.len() - 30] {
            assert!(matches!(read(&bytes[..end]), Err(WebpError::Malformed)), "{end}");
        }
        assert!(matches!(read(&webp(MOVING, &[])), Err(WebpError::Malformed)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_lie_about_its_size(
            change in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = webp(MOVING, &[1, 2, 3]);
            let at = change.index(bytes.len());
            bytes[at] = byte;
            if let Ok(facts) = read(&bytes) {
                prop_assert!(facts.duration.is_none_or(|secs| secs.is_finite() && secs > 0.0));
                prop_assert!(facts.video().is_some());
            }
        }
    }
}
