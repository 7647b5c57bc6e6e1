//! What a file looks like by its first bytes. Pure.
//!
//! ffmpeg follows playlists, manifests and scripts to other files whatever their name says
//! (`reliability.md` section 0, item 1), so they are refused here, in words that a user can act
//! on, and again by ffmpeg's own lists of formats. What is unknown passes: ffmpeg decides.

use crate::task::{ErrorKind, Failure};

/// How many bytes from the start of a file are looked at.
pub const HEAD_BYTES: usize = 512;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// Nothing that is known not to be media.
    Media,
    /// An HTML page.
    WebPage,
    /// An HLS or other M3U playlist.
    Playlist,
    /// A DASH manifest.
    Manifest,
    /// A script that tells ffmpeg to join other files.
    ConcatScript,
    /// An SVG drawing.
    Svg,
    /// XML of another sort.
    Xml,
    /// JSON.
    Json,
    /// A ZIP, gzip, tar or other archive.
    Archive,
    /// A PDF document.
    Pdf,
    /// A program.
    Program,
    /// Text of another sort.
    Text,
}

const ARCHIVES: [&[u8]; 9] = [
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"\x28\xb5\x2f\xfd",
    b"Rar!\x1a\x07",
    b"!<arch>\n",
];

const PAGES: [&str; 8] =
    ["<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta", "<!--"];

/// What a file that starts with `head` looks like; [`HEAD_BYTES`] of it are enough.
#[must_use]
pub fn sniff(head: &[u8]) -> Sniff {
    let head = &head[..head.len().min(HEAD_BYTES)];
    if ARCHIVES.iter().any(|magic| head.starts_with(magic)) || is_tar(head) {
        return Sniff::Archive;
    }
    if head.starts_with(b"%PDF-") {
        return Sniff::Pdf;
    }
    if head.starts_with(b"\x7fELF") || head.starts_with(b"#!/") {
        return Sniff::Program;
    }
    if head.starts_with(b"\xff\xfe") && head.get(3) == Some(&0)
        || head.starts_with(b"\xfe\xff") && head.get(2) == Some(&0)
    {
        return Sniff::Text; // UTF-16
    }
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    // Only the start counts for these: what follows may be binary and still be followed.
    let start_text = String::from_utf8_lossy(start).to_ascii_lowercase();
    sniff_markup(&start_text)
        .unwrap_or_else(|| if is_text(head) { sniff_text(start) } else { Sniff::Media })
}

fn sniff_markup(text: &str) -> Option<Sniff> {
    if text.starts_with("#extm3u") || text.starts_with("#ext-x-") {
        return Some(Sniff::Playlist);
    }
    if text.starts_with("ffconcat") {
        return Some(Sniff::ConcatScript);
    }
    if !text.starts_with('<') {
        return None;
    }
    if text.contains("<mpd") {
        return Some(Sniff::Manifest);
    }
    if text.contains("<svg") || text.starts_with("<!doctype svg") {
        return Some(Sniff::Svg);
    }
    if PAGES.iter().any(|tag| text.starts_with(tag)) || text.contains("<html") {
        return Some(Sniff::WebPage);
    }
    text.starts_with("<?xml").then_some(Sniff::Xml)
}

const fn sniff_text(start: &[u8]) -> Sniff {
    match start.first() {
        Some(b'{' | b'[') => Sniff::Json,
        _ => Sniff::Text,
    }
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Whether `head` is UTF-8 without control characters; its last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.contains(|c: char| c.is_control() && !"\t\n\r\u{c}".contains(c))
}

impl Sniff {
    /// Refuses what is not media.
    ///
    /// # Errors
    ///
    /// `input_unsupported`, saying what the file looks like.
    pub fn check(self) -> Result<(), Failure> {
        let (what, hint) = match self {
            Self::Media => return Ok(()),
            Self::WebPage => (
                "a web page",
                "the URL leads to a web page, not to a file: use the direct link to the media file",
            ),
            Self::Playlist => {
                ("a playlist", "playlists are not followed: use the URL of one media file")
            }
            Self::Manifest => {
                ("a DASH manifest", "manifests are not followed: use the URL of one media file")
            }
            Self::ConcatScript => (
                "an ffmpeg concat script",
                "scripts are not followed: use the URL of one media file",
            ),
            Self::Svg => ("an SVG drawing", "convert the drawing to PNG first"),
            Self::Xml => ("an XML document", "check that the URL leads to the media itself"),
            Self::Json => ("a JSON document", "check that the URL leads to the media itself"),
            Self::Archive => ("an archive", "unpack it and use the URL of the media file"),
            Self::Pdf => ("a PDF document", "use the URL of a video, a sound or an image"),
            Self::Program => ("a program", "use the URL of a video, a sound or an image"),
            Self::Text => ("a text", "check that the URL leads to the media itself"),
        };
        let message = format!("the input is {what}, not a media file");
        Err(Failure::new(ErrorKind::InputUnsupported, message).hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outbound::loopback::fixtures;

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        let mut tar = [0; 512];
        tar[..4].copy_from_slice(b"file");
        tar[257..262].copy_from_slice(b"ustar");
        let cases: &[(&[u8], Sniff)] = &[
            (b"\0\0\0\x20ftypisom\0\0\x02\0", Sniff::Media),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0", Sniff::Media),
            (b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0", Sniff::Media),
            (b"ID3\x04\0\0\0\0\0\x23TSSE\0", Sniff::Media),
            (b"OggS\0\x02\0\0\0\0", Sniff::Media),
            (b"fLaC\0\0\0\x22", Sniff::Media),
            (b"GIF89a\x01\0\x01\0\x80\0\0", Sniff::Media),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Sniff::Media),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", Sniff::Media),
            (b"\x47\x40\0\x10\0\0\xb0\x0d", Sniff::Media),
            (b"\xff\xfe\x90\x64\x01", Sniff::Media),
            (b"<!DOCTYPE html><title>x", Sniff::WebPage),
            (b"\xef\xbb\xbf \n<HTML lang=de>", Sniff::WebPage),
            (b"<?xml version='1.0'?><html xmlns=''>", Sniff::WebPage),
            (b"#EXTM3U\n#EXT-X-VERSION:3\n", Sniff::Playlist),
            (b"#EXTM3U\0\0\0\x01", Sniff::Playlist),
            (b"\n  #EXTM3U\n", Sniff::Playlist),
            (b"<?xml version=\"1.0\"?>\n<MPD xmlns=''>", Sniff::Manifest),
            (b"<MPD>", Sniff::Manifest),
            (b"ffconcat version 1.0\nfile x", Sniff::ConcatScript),
            (b"ffconcat version 1.0\nfile x\n\0\x01", Sniff::ConcatScript),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", Sniff::Svg),
            (b"<?xml version='1.0'?><!DOCTYPE svg>", Sniff::Xml),
            (b"<?xml version='1.0'?><svg>", Sniff::Svg),
            (b"<?xml version='1.0'?><Error><Code>NoSuchKey", Sniff::Xml),
            (b"{\"error\": \"no\"}", Sniff::Json),
            (b"PK\x03\x04\x14\0", Sniff::Archive),
            (b"\x1f\x8b\x08\0", Sniff::Archive),
            (b"BZh91AY&SY", Sniff::Archive),
            (&tar, Sniff::Archive),
            (b"%PDF-1.7\n%\xe2\xe3", Sniff::Pdf),
            (b"\x7fELF\x02\x01\x01\0", Sniff::Program),
            (b"#!/bin/sh\nrm", Sniff::Program),
            (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", Sniff::Text),
            (b"WEBVTT\n\n00:00", Sniff::Text),
            ("gr\u{fc}n".as_bytes(), Sniff::Text),
            (b"h\xc3", Sniff::Text),
            (b"\xff\xfeh\0i\0", Sniff::Text),
            (b"", Sniff::Media),
        ];
        for (head, wanted) in cases {
            assert_eq!(sniff(head), *wanted, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn what_is_refused_says_what_it_is_and_what_to_do() {
        let said = sniff(b"<!doctype html>").check().expect_err("refused");
        assert_eq!(said.kind, ErrorKind::InputUnsupported);
        assert_eq!(said.message, "the input is a web page, not a media file");
        assert!(
            said.hint.expect("a hint").starts_with("the URL leads to a web page, not to a file")
        );
    }

    /// The heads of the files below a folder that an environment variable names.
    fn heads(variable: &str, below: &str) -> Vec<(String, Vec<u8>)> {
        let Some(folder) = fixtures(variable) else { return Vec::new() };
        let entries = std::fs::read_dir(folder.join(below)).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .map(|path| {
                let bytes = std::fs::read(&path).expect("a file");
                (path.display().to_string(), bytes)
            })
            .collect()
    }

    #[test]
    fn every_hostile_playlist_script_and_drawing_is_refused() {
        for (name, bytes) in heads("REELWAY_TEST_SECURITY", "inputs") {
            let passes = sniff(&bytes).check().is_ok();
            assert_eq!(passes, name.ends_with("neighbour.mp4"), "{name}: {:?}", sniff(&bytes));
        }
    }

    #[test]
    fn real_media_passes_and_so_do_bombs_which_others_defuse() {
        let media = heads("REELWAY_TEST_MEDIA", "");
        for (name, bytes) in media.into_iter().chain(heads("REELWAY_TEST_SECURITY", "bombs")) {
            if !name.ends_with("README.md") {
                assert_eq!(sniff(&bytes), Sniff::Media, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_playlist_is_seen_whatever_follows(tail in any::<Vec<u8>>()) {
            prop_assert_eq!(sniff(&[b"#EXTM3U".as_slice(), &tail].concat()), Sniff::Playlist);
        }

        #[test]
        fn no_bytes_make_it_panic(head in any::<Vec<u8>>()) {
            let _seen = sniff(&head);
        }
    }
}
