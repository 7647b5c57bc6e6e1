//! A JPEG's facts, from the segments in front of its pixels.
//!
//! Bytes come in; [`Facts`] go out that are those of ffprobe, or nothing where they might not be:
//! rare samplings, colours that are not those of a photograph, more than one EXIF. ffprobe takes
//! as long to start as a small picture takes to be made, and decodes a large one to see its turn.

use crate::facts::{Color, Facts, Rotation, Stream, VideoStream};

/// Fewer segments than these stand in front of the pixels of any photograph.
const MAX_SEGMENTS: usize = 1000;

/// What the segments have told so far.
#[derive(Default)]
struct Told {
    orientation: Option<u16>,
    has_exif: bool,
}

/// The facts of the JPEG that begins with `head` and has `size_bytes`.
pub(crate) fn read(head: &[u8], size_bytes: u64) -> Option<Facts> {
    let mut rest = head.strip_prefix(&[0xff, 0xd8])?;
    let mut told = Told::default();
    for _ in 0..MAX_SEGMENTS {
        let [0xff, marker, high, low, body @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
        let body = body.get(..length)?;
        match marker {
            // Usual, extended and progressive pictures: the pixels follow.
            0xc0..=0xc2 => return facts(frame(body)?, profile(*marker), &told, size_bytes),
            // Tables, and how often one begins anew.
            0xc4 | 0xdb | 0xdd => {}
            0xe0 => jfif(body)?,
            0xe1 => told.exif(body)?,
            0xee => adobe(body)?,
            // ffmpeg reads the names of some programs out of remarks, and treats their pictures
            // otherwise.
            0xfe => plain_remark(body)?,
            0xe2..=0xed | 0xef => {}
            _ => return None,
        }
        rest = rest.get(4 + length..)?;
    }
    None
}

/// Width, height, and ffmpeg's name of the pixel format.
fn frame(body: &[u8]) -> Option<(u32, u32, &'static str)> {
    let [8, h1, h0, w1, w0, parts @ ..] = body else { return None };
    let sides = [[*w1, *w0], [*h1, *h0]].map(u16::from_be_bytes).map(u32::from);
    let pixels = match parts {
        [1, _, _, _] => "gray",
        [3, 1, 0x22, _, 2, 0x11, _, 3, 0x11, _] => "yuvj420p",
        // The second of each as ffmpeg writes it: twice as many of everything.
        [3, 1, 0x21, _, 2, 0x11, _, 3, 0x11, _] | [3, 1, 0x22, _, 2, 0x12, _, 3, 0x12, _] => {
            "yuvj422p"
        }
        [3, 1, 0x11, _, 2, 0x11, _, 3, 0x11, _] | [3, 1, 0x12, _, 2, 0x12, _, 3, 0x12, _] => {
            "yuvj444p"
        }
        _ => return None,
    };
    let [width, height] = sides;
    (width > 0 && height > 0).then_some((width, height, pixels))
}

fn facts(
    (width, height, pixels): (u32, u32, &str),
    profile: &str,
    told: &Told,
    size_bytes: u64,
) -> Option<Facts> {
    let (rotation, mirrored) = turn(told.orientation.unwrap_or(1))?;
    let video = VideoStream {
        codec: "mjpeg".to_owned(),
        width,
        height,
        rotation,
        mirrored,
        frames: Some(1),
        pixel_format: pixels.to_owned(),
        bit_depth: 8,
        color: Color { range: "pc".to_owned(), space: "bt470bg".to_owned(), ..Color::default() },
        profile: profile.to_owned(),
        is_steady: true,
        ..VideoStream::default()
    };
    let (format, streams) = ("jpeg_pipe".to_owned(), vec![Stream::Video(video)]);
    Some(Facts { format, size_bytes, streams, ..Facts::default() })
}

/// What ffmpeg calls the way in which the pixels of a frame are coded.
const fn profile(marker: u8) -> &'static str {
    match marker {
        0xc0 => "Baseline",
        0xc1 => "Sequential",
        _ => "Progressive",
    }
}

/// EXIF's eight orientations, as "mirror left to right, then turn clockwise".
const fn turn(orientation: u16) -> Option<(Rotation, bool)> {
    Some(match orientation {
        1 => (Rotation::None, false),
        2 => (Rotation::None, true),
        3 => (Rotation::Half, false),
        4 => (Rotation::Half, true),
        5 => (Rotation::ThreeQuarters, true),
        6 => (Rotation::Quarter, false),
        7 => (Rotation::Quarter, true),
        8 => (Rotation::ThreeQuarters, false),
        _ => return None,
    })
}

/// Pixels are square; other densities are for ffprobe to judge.
fn jfif(body: &[u8]) -> Option<()> {
    match body {
        [b'J', b'F', b'I', b'F', 0, _, _, _, x1, x0, y1, y0, ..] => {
            ([x1, x0] == [y1, y0]).then_some(())
        }
        [b'J', b'F', b'X', b'X', 0, ..] => Some(()),
        _ => None,
    }
}

/// The colours are those of a photograph, and not red, green and blue.
fn adobe(body: &[u8]) -> Option<()> {
    match body {
        [b'A', b'd', b'o', b'b', b'e', rest @ ..] => (*rest.get(6)? == 1).then_some(()),
        _ => Some(()),
    }
}

fn plain_remark(body: &[u8]) -> Option<()> {
    const SPECIAL: [&[u8]; 3] = [b"CS=", b"Intel", b"Metasoft"];
    let is_special =
        SPECIAL.iter().any(|name| body.windows(name.len()).any(|found| found == *name));
    (!is_special).then_some(())
}

impl Told {
    /// EXIF is a TIFF in small; its first folder says how the camera was held.
    fn exif(&mut self, body: &[u8]) -> Option<()> {
        let Some(tiff) = body.strip_prefix(b"Exif\0\0") else { return Some(()) };
        if std::mem::replace(&mut self.has_exif, true) {
            return None;
        }
        let is_little = match tiff.get(..4)? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        let pair = |at: usize| {
            let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
        };
        let [high, low] = if is_little { [6, 4] } else { [4, 6] };
        let folder = usize::from(pair(high)?) << 16 | usize::from(pair(low)?);
        for entry in 0..usize::from(pair(folder)?) {
            let at = folder + 2 + 12 * entry;
            if pair(at)? != ORIENTATION {
                continue;
            }
            let [count_high, count_low] =
                if is_little { [at + 6, at + 4] } else { [at + 4, at + 6] };
            let is_one_number =
                pair(at + 2)? == SHORT && pair(count_high)? == 0 && pair(count_low)? == 1;
            if !is_one_number || self.orientation.replace(pair(at + 8)?).is_some() {
                return None;
            }
        }
        Some(())
    }
}

/// The tag of the orientation, and the type of its number.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

#[cfg(test)]
mod tests;
