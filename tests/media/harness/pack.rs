//! A package for players, read as a player reads it, apart from the product's own reading.

use std::path::{Path, PathBuf};

use m3u8_rs::{ByteRange, MasterPlaylist, MediaPlaylist, VariantStream};
use serde_json::Value;

use super::process::run;
use super::{Output, Seen};

/// A folder with a master playlist in it.
pub(crate) struct Pack {
    pub(crate) folder: PathBuf,
    pub(crate) master: MasterPlaylist,
}

/// A rendition as its playlist tells it.
pub(crate) struct Track {
    pub(crate) name: String,
    pub(crate) list: MediaPlaylist,
    folder: PathBuf,
}

impl Pack {
    pub(crate) fn of(outputs: &[Output]) -> Self {
        let master = outputs.iter().find(|output| output.path.ends_with("master.m3u8"));
        let path = &master.expect("a master playlist").path;
        let text = std::fs::read(path).expect("the master playlist");
        let (rest, master) = m3u8_rs::parse_master_playlist(&text).expect("a master playlist");
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(rest));
        Self { folder: path.parent().expect("a folder").to_owned(), master }
    }

    /// The variants with pictures to be played, largest first.
    pub(crate) fn variants(&self) -> Vec<&VariantStream> {
        let played = self.master.variants.iter().filter(|variant| !variant.is_i_frame);
        let mut variants: Vec<_> = played.collect();
        variants.sort_by_key(|variant| std::cmp::Reverse(size(variant).0));
        variants
    }

    pub(crate) fn sizes(&self) -> Vec<(u64, u64)> {
        self.variants().into_iter().map(size).collect()
    }

    pub(crate) fn tracks(&self) -> Vec<Track> {
        self.variants().iter().map(|variant| self.track(&variant.uri)).collect()
    }

    pub(crate) fn track(&self, name: &str) -> Track {
        let text = std::fs::read(self.folder.join(name)).expect("a playlist that is named");
        let (rest, list) = m3u8_rs::parse_media_playlist(&text).expect("a media playlist");
        assert!(rest.is_empty(), "{name}: {}", String::from_utf8_lossy(rest));
        assert!(list.end_list, "{name}");
        let longest = list.segments.iter().map(|segment| segment.duration).fold(0.0, f32::max);
        assert!(longest.round() as u64 <= list.target_duration, "{name}: {longest}");
        Track { name: name.to_owned(), list, folder: self.folder.clone() }
    }

    /// The playlist of the one rendition of this type beside the pictures.
    pub(crate) fn other(&self, kind: &m3u8_rs::AlternativeMediaType) -> Option<Track> {
        let other = self.master.alternatives.iter().find(|other| other.media_type == *kind)?;
        Some(self.track(other.uri.as_deref().expect("a URI")))
    }
}

pub(crate) fn size(variant: &VariantStream) -> (u64, u64) {
    let size = variant.resolution.expect("a resolution");
    (size.width, size.height)
}

impl Track {
    pub(crate) fn secs(&self) -> f64 {
        self.list.segments.iter().map(|segment| f64::from(segment.duration)).sum()
    }

    /// What stands in front of every segment.
    pub(crate) fn init(&self) -> Vec<u8> {
        let map = self.list.segments.first().and_then(|segment| segment.map.as_ref());
        map.map_or_else(Vec::new, |map| self.bytes(&map.uri, map.byte_range.as_ref()))
    }

    /// Each segment's bytes.
    pub(crate) fn segments(&self) -> Vec<Vec<u8>> {
        let segments = self.list.segments.iter();
        segments.map(|segment| self.bytes(&segment.uri, segment.byte_range.as_ref())).collect()
    }

    fn bytes(&self, uri: &str, range: Option<&ByteRange>) -> Vec<u8> {
        assert!(!uri.contains('/'), "{uri} stands beside its playlist");
        let bytes = std::fs::read(self.folder.join(uri)).expect("a file that is named");
        let Some(range) = range else { return bytes };
        let start = range.offset.expect("an offset") as usize;
        bytes[start..start + range.length as usize].to_vec()
    }

    /// The most bits a second of a segment that is not a short rest.
    pub(crate) fn peak_bits(&self) -> u64 {
        let long = |secs: f32| f64::from(secs) >= self.list.target_duration as f64 / 2.0;
        let segments = self.list.segments.iter().filter(|segment| long(segment.duration));
        let bits = segments.map(|segment| {
            let length = segment.byte_range.as_ref().expect("a range").length;
            (length as f64 * 8.0 / f64::from(segment.duration)) as u64
        });
        bits.max().unwrap_or(0)
    }

    /// The file that a player has after reading all segments.
    pub(crate) fn played(&self) -> PathBuf {
        self.joined("played", self.segments().concat())
    }

    /// The file that a player has after reading this one segment.
    pub(crate) fn played_from(&self, number: usize) -> PathBuf {
        self.joined(&number.to_string(), self.segments().swap_remove(number))
    }

    pub(crate) fn joined(&self, what: &str, segments: Vec<u8>) -> PathBuf {
        let path = self.folder.join(format!("{}.{what}.bin", self.name));
        std::fs::write(&path, [self.init(), segments].concat()).expect("written");
        path
    }
}

/// The moments of a file's keyframes, in seconds after its first picture.
pub(crate) fn keyframes(path: &Path) -> Vec<f64> {
    let times = packets(path).into_iter();
    let mut times: Vec<(f64, bool)> = times.collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = times.first().map_or(0.0, |time| time.0);
    let keyframes = times.iter().filter(|(_, is_keyframe)| *is_keyframe);
    keyframes.map(|(secs, _)| secs - first).collect()
}

/// When each picture is shown, and whether it is a keyframe.
fn packets(path: &Path) -> Vec<(f64, bool)> {
    let path = path.to_str().expect("a path in UTF-8");
    let shown = "packet=pts_time,flags";
    let arguments =
        ["-v", "error", "-select_streams", "v:0", "-show_entries", shown, "-of", "json", path];
    let told: Value = serde_json::from_slice(&run("ffprobe", &arguments)).expect("JSON");
    let packets = told["packets"].as_array().expect("packets").iter();
    packets
        .map(|packet| {
            let secs = packet["pts_time"].as_str().and_then(|secs| secs.parse().ok());
            let flags = packet["flags"].as_str().expect("flags");
            (secs.expect("a time"), flags.starts_with('K'))
        })
        .collect()
}

/// What ffmpeg says of a file that it decodes whole: nothing, when all is well.
pub(crate) fn complaints(path: &Path) -> String {
    let path = path.to_str().expect("a path in UTF-8");
    let decode = ["-v", "error", "-i", path, "-f", "null", "-"];
    super::process::said("ffmpeg", &decode)
}

/// How many pictures or packets of sound ffmpeg gets out of a file.
pub(crate) fn decoded(path: &Path) -> usize {
    let path = path.to_str().expect("a path in UTF-8");
    let decode = ["-v", "quiet", "-i", path, "-f", "framecrc", "-"];
    let told = super::process::output("ffmpeg", &decode);
    String::from_utf8_lossy(&told.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

/// The codec as RFC 6381 names it, from what ffprobe sees.
pub(crate) fn codec(seen: &Seen) -> String {
    let video = seen.video();
    let level = video["level"].as_u64().expect("a level");
    match (video["codec_name"].as_str(), video["profile"].as_str()) {
        (Some("h264"), Some("High")) => format!("avc1.6400{level:02x}"),
        (Some("hevc"), Some("Main")) => format!("hvc1.1.6.L{level}.90"),
        other => panic!("{other:?}"),
    }
}
