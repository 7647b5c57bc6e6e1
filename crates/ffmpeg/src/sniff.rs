//! What the first bytes of a file say it is, where ffprobe needs a hint.

use crate::webp;

/// A kind of file that is not simply handed to ffprobe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A picture that this demuxer opens: ffprobe takes `.jpg` and `%d` in a name for a numbered
    /// series of files unless told otherwise.
    Still(&'static str),
    /// GIF, which ffprobe takes for a series by the same names.
    Gif,
    /// A moving WebP, which ffprobe cannot read.
    MovingWebp,
    /// HEIC: the container of MP4 without a film in it, which ffmpeg before 7 calls damaged.
    Heic,
    /// Anything else.
    Other,
}

/// The demuxer of JPEG.
pub(crate) const JPEG: &str = "jpeg_pipe";

/// How many bytes [`kind`] wants to see.
pub(crate) const HEAD_BYTES: u64 = 4096;

/// Looks at the first bytes of a file.
pub(crate) fn kind(head: &[u8]) -> Kind {
    match head {
        _ if webp::is_moving(head) => Kind::MovingWebp,
        [0xff, 0xd8, 0xff, ..] => Kind::Still(JPEG),
        // A moving PNG says so before its first picture, and has a demuxer of its own.
        [0x89, b'P', b'N', b'G', ..] if !contains(head, b"acTL") => Kind::Still("png_pipe"),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Kind::Still("tiff_pipe"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            Kind::Still("webp_pipe")
        }
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Kind::Still("bmp_pipe"),
        [b'G', b'I', b'F', b'8', ..] => Kind::Gif,
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] if is_heic(brand) => Kind::Heic,
        _ => Kind::Other,
    }
}

fn contains(head: &[u8], name: &[u8; 4]) -> bool {
    head.windows(4).any(|found| found == name)
}

/// How far the list of compatible brands may reach.
const BRANDS_BYTES: usize = 56;

fn is_heic(brand: &[u8]) -> bool {
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"].iter().any(|b| brand.starts_with(*b))
        || (brand.starts_with(b"mif1")
            && !contains(&brand[..brand.len().min(BRANDS_BYTES)], b"avif"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_by_their_first_bytes() {
        assert_eq!(kind(b"\xff\xd8\xff\xe1"), Kind::Still("jpeg_pipe"));
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), Kind::Still("png_pipe"));
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n\0\0\0\x08acTL"), Kind::Other);
        assert_eq!(kind(b"GIF89a"), Kind::Gif);
        assert_eq!(kind(b"BM\x36\0\0\0\0\0\0\0"), Kind::Still("bmp_pipe"));
        assert_eq!(kind(b"RIFF\x10\0\0\0WEBPVP8 "), Kind::Still("webp_pipe"));
        assert_eq!(kind(b"RIFF\x10\0\0\0WAVEfmt "), Kind::Other);
        assert_eq!(kind(b"\0\0\0\x18ftypheic\0\0\0\0"), Kind::Heic);
        assert_eq!(kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Kind::Heic);
        assert_eq!(kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"), Kind::Other);
        assert_eq!(kind(b"\0\0\0\x18ftypisom"), Kind::Other);
        assert_eq!(kind(b""), Kind::Other);
    }
}
