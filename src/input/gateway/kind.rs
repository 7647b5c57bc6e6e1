//! Which demuxer opens a file, by its first bytes, where it may be read bit by bit. Pure.
//!
//! What is not known here is read as a file, by whatever demuxer ffprobe finds: pictures, which
//! are small and may be in need of another program, and containers that are rare or read from
//! their first byte to their last.

use ffmpeg::Demuxer;

/// How many bytes are looked at.
pub(super) const HEAD_BYTES: usize = 4096;

/// The distance of two packets of a transport stream.
const PACKET_BYTES: usize = 188;

/// The demuxer of a film or a sound that begins with `head`.
pub(super) fn demuxer(head: &[u8]) -> Option<Demuxer> {
    let name = match head {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] if is_film(brand) => "mov",
        [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..] => "mov",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "matroska",
        [b'O', b'g', b'g', b'S', 0, ..] => "ogg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "wav",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "avi",
        [b'f', b'L', b'a', b'C', ..] => "flac",
        [b'F', b'L', b'V', 1, ..] => "flv",
        [b'I', b'D', b'3', ..] => behind_tag(head)?,
        _ if is_mp3(head) => "mp3",
        _ if is_transport_stream(head) => "mpegts",
        _ => return None,
    };
    Demuxer::of(name)
}

/// Whether this brand is not one of pictures.
fn is_film(brand: &[u8]) -> bool {
    let pictures = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"];
    !pictures.iter().chain([b"avif", b"avis"].iter()).any(|it| brand.starts_with(*it))
}

/// What a tag of ID3 stands before: an MP3, if that can be seen.
fn behind_tag(head: &[u8]) -> Option<&'static str> {
    let size =
        head.get(6..10)?.iter().fold(0_usize, |size, &byte| size << 7 | usize::from(byte & 0x7f));
    is_mp3(head.get(10 + size..)?).then_some("mp3")
}

/// Whether this is the head of a frame of MPEG audio, layer III.
fn is_mp3(head: &[u8]) -> bool {
    let [0xff, second, third, ..] = head else { return false };
    let (is_synced, is_layer_3) = (second & 0xe0 == 0xe0, second & 0x06 == 0x02);
    let (is_old, rate, bits) = (second & 0x18 == 0x08, third & 0x0c, third & 0xf0);
    is_synced && is_layer_3 && !is_old && rate != 0x0c && bits != 0xf0 && bits != 0
}

fn is_transport_stream(head: &[u8]) -> bool {
    (0..5).all(|packet| head.get(packet * PACKET_BYTES) == Some(&0x47))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outbound::loopback::fixtures;

    fn name(head: &[u8]) -> Option<&'static str> {
        demuxer(head).map(Demuxer::name)
    }

    #[test]
    fn films_and_sounds_are_told_by_their_first_bytes_and_pictures_are_not_among_them() {
        let mut packets = [0; 1000];
        packets.iter_mut().step_by(PACKET_BYTES).for_each(|byte| *byte = 0x47);
        for (head, wanted) in [
            (&b"\0\0\0\x20ftypisom"[..], Some("mov")),
            (b"\0\0\0\x14ftypqt  ", Some("mov")),
            (b"\0\0\0\x08wide\0\0\0\0mdat", Some("mov")),
            (b"\x1a\x45\xdf\xa3\x01", Some("matroska")),
            (b"OggS\0\x02", Some("ogg")),
            (b"RIFF\x24\x08\0\0WAVEfmt ", Some("wav")),
            (b"RIFF\x24\x08\0\0AVI LIST", Some("avi")),
            (b"fLaC\0\0\0\x22", Some("flac")),
            (b"\xff\xfb\x90\x64", Some("mp3")),
            (b"ID3\x04\0\0\0\0\0\x02xx\xff\xfb\x90\x64", Some("mp3")),
            (b"ID3\x04\0\0\0\0\0\x02xxfLaC", None),
            (b"ID3\x04\0\0\0\0\x20\x02 a large picture", None),
            (b"\xff\xf1\x50\x80", None),
            (&packets, Some("mpegts")),
            (&packets[..600], None),
            (b"\0\0\0\x18ftypheic\0\0\0\0", None),
            (b"\0\0\0\x1cftypavif\0\0\0\0", None),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"RIFF\x10\0\0\0WEBPVP8 ", None),
            (b"", None),
        ] {
            assert_eq!(name(head), wanted, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn real_clips_are_told_by_their_first_bytes() {
        let Some(folder) = fixtures("REELWAY_TEST_MEDIA") else { return };
        for (file, wanted) in [
            ("sample.mp4", Some("mov")),
            ("phone-portrait.mov", Some("mov")),
            ("sample.mkv", Some("matroska")),
            ("sample.avi", Some("avi")),
            ("sample.ts", Some("mpegts")),
            ("sample.mp3", Some("mp3")),
            ("sample.ogg", Some("ogg")),
            ("sample.wav", Some("wav")),
            ("sample.flac", Some("flac")),
            ("fixture-heic.heic", None),
            ("fixture-yuv420-8bit.avif", None),
        ] {
            let bytes = std::fs::read(folder.join(file)).expect("a clip");
            assert_eq!(name(&bytes[..bytes.len().min(HEAD_BYTES)]), wanted, "{file}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in any::<Vec<u8>>(), tag in any::<[u8; 12]>()) {
            let _seen = name(&head);
            let _seen = name(&[&b"ID3"[..], &tag].concat());
        }
    }
}
