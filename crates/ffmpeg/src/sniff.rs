//! What the first bytes of a file say it is, where ffprobe needs a hint.

/// A kind of file that is not simply handed to ffprobe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JPEG: ffprobe takes `.jpg` for a numbered series of files unless told otherwise.
    Jpeg,
    /// PNG, WebP or TIFF.
    Still,
    /// HEIC: the container of MP4 without a film in it, which ffmpeg before 7 calls damaged.
    Heic,
    /// Anything else.
    Other,
}

/// How many bytes [`kind`] wants to see.
pub(crate) const HEAD_BYTES: u64 = 64;

/// Looks at the first bytes of a file.
pub(crate) fn kind(head: &[u8]) -> Kind {
    match head {
        [0xff, 0xd8, 0xff, ..] => Kind::Jpeg,
        [0x89, b'P', b'N', b'G', ..]
        | [b'I', b'I', 42, 0, ..]
        | [b'M', b'M', 0, 42, ..]
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Kind::Still,
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] if is_heic(brand) => Kind::Heic,
        _ => Kind::Other,
    }
}

fn is_heic(brand: &[u8]) -> bool {
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"].iter().any(|b| brand.starts_with(*b))
        || (brand.starts_with(b"mif1") && !brand.windows(4).any(|brand| brand == b"avif"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_by_their_first_bytes() {
        assert_eq!(kind(b"\xff\xd8\xff\xe1"), Kind::Jpeg);
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), Kind::Still);
        assert_eq!(kind(b"RIFF\x10\0\0\0WEBPVP8 "), Kind::Still);
        assert_eq!(kind(b"RIFF\x10\0\0\0WAVEfmt "), Kind::Other);
        assert_eq!(kind(b"\0\0\0\x18ftypheic\0\0\0\0"), Kind::Heic);
        assert_eq!(kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Kind::Heic);
        assert_eq!(kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"), Kind::Other);
        assert_eq!(kind(b"\0\0\0\x18ftypisom"), Kind::Other);
        assert_eq!(kind(b""), Kind::Other);
    }
}
