//! What a file is, by its first bytes. Pure.
//!
//! The name and the type that were sent are not believed. What is not known here may be media all
//! the same: ffmpeg has the last word when a job reads it.

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it is: `video`, `audio` or `image`.
    pub kind: &'static str,
    /// Its format: `mp4`, `png`.
    pub format: &'static str,
    /// Its media type: `video/mp4`.
    pub content_type: &'static str,
}

macro_rules! known {
    ($($name:ident = $kind:literal $format:literal $content_type:literal;)+) => {
        $(const $name: Media =
            Media { kind: $kind, format: $format, content_type: $content_type };)+

        const ALL: &[Media] = &[$($name),+];
    };
}

known! {
    MP4 = "video" "mp4" "video/mp4";
    MOV = "video" "mov" "video/quicktime";
    WEBM = "video" "webm" "video/webm";
    MKV = "video" "mkv" "video/x-matroska";
    AVI = "video" "avi" "video/x-msvideo";
    TS = "video" "ts" "video/mp2t";
    FLV = "video" "flv" "video/x-flv";
    ASF = "video" "asf" "video/x-ms-asf";
    M4A = "audio" "m4a" "audio/mp4";
    MP3 = "audio" "mp3" "audio/mpeg";
    AAC = "audio" "aac" "audio/aac";
    WAV = "audio" "wav" "audio/wav";
    OGG = "audio" "ogg" "audio/ogg";
    FLAC = "audio" "flac" "audio/flac";
    JPEG = "image" "jpeg" "image/jpeg";
    PNG = "image" "png" "image/png";
    GIF = "image" "gif" "image/gif";
    WEBP = "image" "webp" "image/webp";
    AVIF = "image" "avif" "image/avif";
    HEIC = "image" "heic" "image/heic";
}

/// The kind of file with this media type.
#[must_use]
pub fn media_named(content_type: &str) -> Option<Media> {
    ALL.iter().copied().find(|media| media.content_type == content_type)
}

/// What a file that starts with `head` is, if that is known here.
#[must_use]
pub fn media(head: &[u8]) -> Option<Media> {
    let at = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
    let begins = |magic: &[u8]| head.starts_with(magic);
    Some(match at(4, 8) {
        b"ftyp" => by_brand(at(8, 12)),
        b"moov" | b"mdat" | b"wide" => MOV,
        _ if begins(b"\x1a\x45\xdf\xa3") => {
            if head[..head.len().min(64)].windows(4).any(|word| word == b"webm") {
                WEBM
            } else {
                MKV
            }
        }
        _ if begins(b"RIFF") => match at(8, 12) {
            b"WAVE" => WAV,
            b"AVI " => AVI,
            b"WEBP" => WEBP,
            _ => return None,
        },
        _ if begins(b"\xff\xd8\xff") => JPEG,
        _ if begins(b"\x89PNG\r\n\x1a\n") => PNG,
        _ if begins(b"GIF8") => GIF,
        _ if begins(b"OggS") => OGG,
        _ if begins(b"fLaC") => FLAC,
        _ if begins(b"FLV\x01") => FLV,
        _ if begins(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => ASF,
        _ if begins(b"ID3") => MP3,
        _ => return by_sync(head),
    })
}

fn by_brand(brand: &[u8]) -> Media {
    match brand {
        b"qt  " => MOV,
        b"M4A " | b"M4B " => M4A,
        b"avif" | b"avis" => AVIF,
        b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" => HEIC,
        _ => MP4,
    }
}

/// Streams without a head, that are known by what comes again and again.
fn by_sync(head: &[u8]) -> Option<Media> {
    let first = *head.first()?;
    let second = *head.get(1)?;
    if first == 0x47 && head.get(188).is_none_or(|sync| *sync == 0x47) {
        return Some(TS);
    }
    match (first, second & 0xf6, second & 0xe6) {
        (0xff, 0xf0, _) => Some(AAC),
        (0xff, _, 0xe2 | 0xe4 | 0xe6) => Some(MP3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        let cases: &[(&[u8], Option<Media>)] = &[
            (b"\0\0\0\x20ftypisom\0\0\x02\0", Some(MP4)),
            (b"\0\0\0\x14ftypqt  \0\0\x02\0", Some(MOV)),
            (b"\0\0\0\x1cftypM4A \0\0\0\0", Some(M4A)),
            (b"\0\0\0\x1cftypavif\0\0\0\0", Some(AVIF)),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Some(HEIC)),
            (b"\0\0\0\x08wide\0\0\x10\0mdat", Some(MOV)),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", Some(WEBM)),
            (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", Some(MKV)),
            (b"RIFF\x24\x08\0\0WAVEfmt ", Some(WAV)),
            (b"RIFF\x24\x08\0\0AVI LIST", Some(AVI)),
            (b"RIFF\x24\x08\0\0WEBPVP8 ", Some(WEBP)),
            (b"RIFF\x24\x08\0\0ACON", None),
            (b"ID3\x04\0\0", Some(MP3)),
            (b"\xff\xfb\x90\x64", Some(MP3)),
            (b"\xff\xf1\x50\x80", Some(AAC)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(JPEG)),
            (b"\x89PNG\r\n\x1a\n\0\0", Some(PNG)),
            (b"GIF89a\x01\0", Some(GIF)),
            (b"OggS\0\x02", Some(OGG)),
            (b"fLaC\0\0\0\x22", Some(FLAC)),
            (b"\x47\x40\0\x10\0\0", Some(TS)),
            (b"", None),
            (b"\xff", None),
            (b"hello world", None),
        ];
        for (head, expected) in cases {
            assert_eq!(media(head), *expected, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn every_kind_is_found_by_its_media_type() {
        for known in ALL {
            assert_eq!(media_named(known.content_type), Some(*known));
        }
        assert_eq!(media_named("text/html"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in any::<Vec<u8>>()) {
            let _seen = media(&head);
        }
    }
}
