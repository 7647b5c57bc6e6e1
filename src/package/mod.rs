//! From renditions that ffmpeg has made to a package that players can choose from.
//!
//! Files of one track each come in; playlists and manifests beside them go out. What these say
//! is read from the files: where segments and keyframes are, how long, how many bits, which
//! codec. Each rendition stays one file, and playlists name ranges of it, so that a package is
//! few files however long it is. Knows no job, no ffmpeg and no storage.

mod codec;
mod fragments;
mod language;
mod manifest;
mod playlist;
mod seal;
mod transport;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use url::Url;

/// The master playlist's name.
pub const MASTER: &str = "master.m3u8";

/// The DASH manifest's name.
pub const MANIFEST: &str = "manifest.mpd";

/// The name of the file with the key that segments are encrypted with; it is no part of the
/// package.
pub const KEY_FILE: &str = "segments.key";

/// How long the key of AES-128 is, in bytes.
pub const KEY_BYTES: usize = 16;

/// What belongs together, by the names that the files have in their folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The pictures, largest first; at least one.
    pub videos: Vec<Video>,
    /// The sound.
    pub audio: Option<Audio>,
    /// Subtitles.
    pub subtitles: Vec<Subtitles>,
    /// What the renditions are wrapped in.
    pub wrapping: Wrapping,
    /// Where players get the key that the segments are to be encrypted with.
    pub key_url: Option<Url>,
    /// Where the time stamps of transport streams begin, in ticks of 90 kHz.
    pub transport_start: u64,
}

/// What renditions are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// MPEG-4 in fragments with an index in front.
    Fragments,
    /// MPEG transport streams, each beside a list of its segments.
    Transport,
}

/// A rendition of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// What its files are called, without ending.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// What its files are called, without ending.
    pub name: String,
    /// How many channels it has.
    pub channels: u32,
    /// Samples a second.
    pub sample_rate: u32,
}

/// Subtitles in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtitles {
    /// What the files are called, without ending.
    pub name: String,
    /// The language as in ISO 639-2, if it is known.
    pub language: Option<String>,
}

/// Why renditions are no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file cannot be read or written.
    #[error("a rendition cannot be read or a playlist written")]
    Io(#[from] io::Error),
    /// A file is not what ffmpeg makes.
    #[error("a rendition is not as it should be: {0}")]
    Malformed(&'static str),
}

impl Wrapping {
    /// The ending of a rendition's file.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Fragments => "mp4",
            Self::Transport => "ts",
        }
    }
}

/// A file of one track, as it is read back.
#[derive(Clone, Debug, PartialEq)]
struct Track {
    /// What stands in front of all segments and is needed for each of them.
    init: Option<Range<u64>>,
    /// The index of the segments, for players that read it.
    index: Option<Range<u64>>,
    segments: Vec<Segment>,
    /// The codec as in RFC 6381.
    codec: String,
    /// How many pictures there are; of sound, how many packets.
    samples: u64,
}

/// A part of a file that can be played by itself.
#[derive(Clone, Debug, PartialEq)]
struct Segment {
    range: Range<u64>,
    secs: f64,
    /// Where the picture that it begins with ends, if it can be read by itself.
    keyframe_end: Option<u64>,
}

impl Segment {
    const fn bits(&self) -> u64 {
        (self.range.end - self.range.start) * 8
    }
}

impl Track {
    fn secs(&self) -> f64 {
        self.segments.iter().map(|segment| segment.secs).sum()
    }

    /// Pictures a second.
    fn fps(&self) -> f64 {
        self.samples as f64 / self.secs().max(0.001)
    }

    /// Bits a second over all of it.
    fn average_bits(&self) -> u64 {
        let bits: u64 = self.segments.iter().map(Segment::bits).sum();
        per_second(bits, self.secs())
    }

    /// The most bits a second of any run of segments that is from half to one and a half times as
    /// long as the longest segment (RFC 8216, 4.1).
    fn peak_bits(&self) -> u64 {
        let longest = self.segments.iter().map(|segment| segment.secs).fold(0.0, f64::max);
        let mut peak = 0;
        for from in 0..self.segments.len() {
            let (mut bits, mut secs) = (0, 0.0);
            for segment in &self.segments[from..] {
                bits += segment.bits();
                secs += segment.secs;
                if secs > longest * 1.5 {
                    break;
                }
                if secs >= longest * 0.5 {
                    peak = peak.max(per_second(bits, secs));
                }
            }
        }
        peak.max(self.average_bits())
    }
}

fn per_second(bits: u64, secs: f64) -> u64 {
    (bits as f64 / secs.max(0.001)).ceil() as u64
}

/// A rendition and what was read of it.
type Read<'a, T> = (&'a T, Track);

impl Package {
    /// Writes the playlists and manifests of the renditions in `folder`, and encrypts these where
    /// that is asked for.
    ///
    /// # Errors
    ///
    /// A rendition is missing or not as ffmpeg makes it, or the folder cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<(), PackageError> {
        let mut videos = Vec::new();
        for video in &self.videos {
            videos.push((video, self.track(folder, &video.name, Some(video))?));
        }
        let audio = match &self.audio {
            Some(audio) => Some((audio, self.track(folder, &audio.name, None)?)),
            None => None,
        };
        let ending = self.wrapping.ending();
        for (name, track) in self.names().zip(videos.iter().map(|(_, track)| track)) {
            self.write_playlist(folder, name, ending, track)?;
            if self.has_keyframes() {
                let text = playlist::keyframes(&format!("{name}.{ending}"), track);
                fs::write(folder.join(keyframes_name(name)), text)?;
            }
        }
        if let Some((audio, track)) = &audio {
            self.write_playlist(folder, &audio.name, ending, track)?;
        }
        let secs = videos.first().map_or(0.0, |(_, track)| track.secs());
        for subtitles in &self.subtitles {
            let text = format!("{}.vtt", subtitles.name);
            if self.wrapping == Wrapping::Transport {
                tie_to_transport(&folder.join(&text), self.transport_start)?;
            }
            let list = playlist::whole(&text, secs);
            fs::write(folder.join(playlist_name(&subtitles.name)), list)?;
        }
        let master = playlist::master(self, &videos, audio.as_ref());
        fs::write(folder.join(MASTER), master)?;
        if self.has_manifest() {
            let manifest = manifest::write(&videos, audio.as_ref(), &self.subtitles);
            fs::write(folder.join(MANIFEST), manifest)?;
        }
        Ok(())
    }

    /// Whether there is a playlist of keyframes beside each of the pictures: not where a keyframe
    /// cannot be read without the rest of its segment.
    #[must_use]
    pub const fn has_keyframes(&self) -> bool {
        self.key_url.is_none()
    }

    /// Whether there is a DASH manifest: DASH knows no transport streams that play in browsers,
    /// and no segments that are encrypted as a whole.
    #[must_use]
    pub fn has_manifest(&self) -> bool {
        self.wrapping == Wrapping::Fragments && self.key_url.is_none()
    }

    /// The files of the package, each in front of those that it names: playlists and texts first,
    /// then the renditions. The master playlist and the manifest are not among them.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for name in self.names() {
            files.push(playlist_name(name));
            if self.has_keyframes() {
                files.push(keyframes_name(name));
            }
        }
        let audio = self.audio.as_ref().map(|audio| &audio.name);
        files.extend(audio.map(|name| playlist_name(name)));
        files.extend(self.subtitles.iter().map(|subtitles| playlist_name(&subtitles.name)));
        files.extend(self.subtitles.iter().map(|subtitles| format!("{}.vtt", subtitles.name)));
        let ending = self.wrapping.ending();
        files.extend(self.names().map(|name| format!("{name}.{ending}")));
        files.extend(audio.map(|name| format!("{name}.{ending}")));
        files
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.videos.iter().map(|video| &*video.name)
    }

    /// What a rendition holds, once it is as players will get it.
    fn track(
        &self,
        folder: &Path,
        name: &str,
        video: Option<&Video>,
    ) -> Result<Track, PackageError> {
        let path = folder.join(format!("{name}.{}", self.wrapping.ending()));
        let track = match self.wrapping {
            Wrapping::Fragments => fragments::read(&path)?,
            Wrapping::Transport => {
                transport::read(&path, &folder.join(list_name(name)), video.is_some())?
            }
        };
        if track.segments.is_empty() {
            return Err(PackageError::Malformed("there are no segments"));
        }
        if self.key_url.is_none() {
            return Ok(track);
        }
        let key = fs::read(folder.join(KEY_FILE))?;
        let key = key.try_into().map_err(|_| PackageError::Malformed("the key has no 16 bytes"))?;
        seal::seal(&path, track, &key)
    }

    fn write_playlist(
        &self,
        folder: &Path,
        name: &str,
        ending: &str,
        track: &Track,
    ) -> Result<(), PackageError> {
        let text = playlist::media(&format!("{name}.{ending}"), track, self.key_url.as_ref());
        Ok(fs::write(folder.join(playlist_name(name)), text)?)
    }
}

fn playlist_name(name: &str) -> String {
    format!("{name}.m3u8")
}

fn keyframes_name(name: &str) -> String {
    format!("{name}_keyframes.m3u8")
}

/// What ffmpeg's list of a transport stream's segments is called.
#[must_use]
pub fn list_name(name: &str) -> String {
    format!("{name}.segments")
}

/// Says which time stamp of a transport stream a text's 0 is at (RFC 8216, 3.5).
fn tie_to_transport(path: &Path, start: u64) -> Result<(), PackageError> {
    let text = fs::read_to_string(path)?;
    let rest = text.strip_prefix("WEBVTT\n").ok_or(PackageError::Malformed("it is no WebVTT"))?;
    let map = format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{start},LOCAL:00:00:00.000\n");
    Ok(fs::write(path, map + rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn track(segments: &[(u64, f64)]) -> Track {
        let mut at = 1000;
        let segments = segments.iter().map(|(bytes, secs)| {
            let range = at..at + bytes;
            at += bytes;
            Segment { keyframe_end: Some(range.start + bytes / 4), range, secs: *secs }
        });
        let segments: Vec<Segment> = segments.collect();
        let samples = (segments.iter().map(|segment| segment.secs).sum::<f64>() * 25.0) as u64;
        Track {
            init: Some(0..800),
            index: Some(800..1000),
            segments,
            codec: "avc1.64001f".into(),
            samples,
        }
    }

    #[test]
    fn the_peak_is_that_of_runs_about_as_long_as_a_segment() {
        // A short rest at the end counts only together with what is before it.
        let track = track(&[(500_000, 4.0), (1_000_000, 4.0), (400_000, 0.5)]);
        assert_eq!(track.peak_bits(), per_second(8 * 1_400_000, 4.5));
        assert_eq!(track.average_bits(), per_second(8 * 1_900_000, 8.5));
    }

    #[test]
    fn one_short_segment_is_its_own_peak() {
        let track = track(&[(1000, 0.1)]);
        assert_eq!((track.peak_bits(), track.average_bits()), (80_000, 80_000));
    }
}
