//! MPEG transport streams of one track, beside ffmpeg's list of their segments.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::{PackageError, Segment, Track, codec};

const PACKET_BYTES: usize = 188;

/// Ticks of a time stamp a second, and the bits that it has.
const CLOCK: f64 = 90_000.0;
const CLOCK_MASK: u64 = (1 << 33) - 1;

/// Reads the segments from the list, and from the stream where their first pictures end.
pub(super) fn read(path: &Path, list: &Path, is_video: bool) -> Result<Track, PackageError> {
    let listed = listed(&fs::read_to_string(list)?)?;
    let mut track = Track {
        init: None,
        index: None,
        segments: Vec::new(),
        codec: codec::AAC.to_owned(),
        samples: 0,
    };
    if !is_video {
        track.segments = listed
            .into_iter()
            .map(|(range, secs)| Segment { range, secs, keyframe_end: None })
            .collect();
        return Ok(track);
    }
    let (mut file, mut parameters, mut shown) = (File::open(path)?, None, Vec::new());
    for (range, secs) in listed {
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact(&mut bytes)?;
        let pictures = pictures(&bytes);
        track.samples += pictures.shown.len() as u64;
        parameters = parameters.or(pictures.parameters);
        shown.push(pictures.shown);
        let keyframe_end = Some(range.start + pictures.first_end);
        track.segments.push(Segment { range, secs, keyframe_end });
    }
    for (segment, secs) in track.segments.iter_mut().zip(lengths(&shown)) {
        segment.secs = secs.unwrap_or(segment.secs);
    }
    let [profile, constraints, level] =
        parameters.ok_or(PackageError::Malformed("no sequence parameters were found"))?;
    track.codec = codec::avc(profile, constraints, level);
    Ok(track)
}

/// How long segments are by the time stamps of their pictures. ffmpeg's list takes the picture
/// that is coded last for the one that is shown last.
fn lengths(shown: &[Vec<u64>]) -> impl Iterator<Item = Option<f64>> {
    let ticks = |from: u64, to: u64| (to.wrapping_sub(from) & CLOCK_MASK) as f64 / CLOCK;
    shown.iter().enumerate().map(move |(n, times)| {
        let first = *times.first()?;
        if let Some(next) = shown.get(n + 1).and_then(|next| next.first()) {
            return Some(ticks(first, *next));
        }
        // The last picture is shown about as long as the others were.
        let end = times.iter().map(|time| ticks(first, *time)).fold(0.0, f64::max);
        (times.len() > 1).then(|| end + end / (times.len() - 1) as f64)
    })
}

/// The ranges and lengths of a list's segments.
fn listed(list: &str) -> Result<Vec<(Range<u64>, f64)>, PackageError> {
    let wrong = PackageError::Malformed("the list of segments cannot be read");
    let (mut segments, mut secs) = (Vec::new(), None);
    for line in list.lines() {
        if let Some(length) = line.strip_prefix("#EXTINF:") {
            secs = length.trim_end_matches(',').parse::<f64>().ok();
        } else if let Some(range) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let numbers = range.split_once('@').and_then(|(bytes, start)| {
                Some((bytes.parse::<u64>().ok()?, start.parse::<u64>().ok()?))
            });
            let (Some((bytes, start)), Some(secs)) = (numbers, secs.take()) else {
                return Err(wrong);
            };
            segments.push((start..start + bytes, secs));
        }
    }
    Ok(segments)
}

#[derive(Default)]
struct Pictures {
    /// When each is shown, in ticks, in the order in which they are coded.
    shown: Vec<u64>,
    /// Where the first one ends, from the segment's beginning.
    first_end: u64,
    /// Profile, constraints and level.
    parameters: Option<[u8; 3]>,
}

/// What a segment has of pictures.
fn pictures(segment: &[u8]) -> Pictures {
    let (mut found, mut first) = (Pictures::default(), Vec::new());
    let mut stream = None;
    for (n, packet) in segment.chunks_exact(PACKET_BYTES).enumerate() {
        let id = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let payload = payload(packet);
        let begins = packet[1] & 0x40 != 0 && matches!(payload, [0, 0, 1, 0xe0..=0xef, ..]);
        if begins {
            stream = Some(id);
            found.shown.push(time_stamp(payload).unwrap_or_default());
            if found.shown.len() == 2 {
                found.first_end = (n * PACKET_BYTES) as u64;
            }
        }
        if found.shown.len() == 1 && stream == Some(id) {
            first.extend_from_slice(payload);
        }
    }
    if found.shown.len() < 2 {
        found.first_end = segment.len() as u64;
    }
    found.parameters = first
        .windows(7)
        .find(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 7)
        .map(|bytes| [bytes[4], bytes[5], bytes[6]]);
    found
}

/// When the picture is shown whose first packet this is.
fn time_stamp(payload: &[u8]) -> Option<u64> {
    let bytes: &[u8; 14] = payload.first_chunk()?;
    let part = |byte: usize, mask: u8| u64::from(bytes[byte] & mask);
    (bytes[7] & 0x80 != 0).then(|| {
        part(9, 0x0e) << 29
            | part(10, 0xff) << 22
            | part(11, 0xfe) << 14
            | part(12, 0xff) << 7
            | part(13, 0xfe) >> 1
    })
}

/// What a packet carries behind its head and its adaptation field.
fn payload(packet: &[u8]) -> &[u8] {
    let start = match packet[3] & 0x30 {
        0x10 => 4,
        0x30 => 5 + usize::from(packet[4]),
        _ => PACKET_BYTES,
    };
    packet.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_go_from_picture_to_picture_and_over_the_end_of_the_clock() {
        let shown =
            [vec![CLOCK_MASK - 89_999, CLOCK_MASK - 44_999], vec![90_000, 180_000, 135_000]];
        let secs: Vec<_> = lengths(&shown).flatten().collect();
        assert_eq!(secs, [2.0, 1.5]);
        assert_eq!(lengths(&[vec![7]]).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn a_list_is_read_or_refused() {
        let list = "#EXTM3U\n#EXTINF:4.000000,\n#EXT-X-BYTERANGE:376@0\na.ts\n\
                    #EXTINF:1.500000,\n#EXT-X-BYTERANGE:188@376\na.ts\n#EXT-X-ENDLIST\n";
        assert_eq!(listed(list).expect("a list"), [(0..376, 4.0), (376..564, 1.5)]);
        assert!(listed("#EXTINF:x,\n#EXT-X-BYTERANGE:1@2\n").is_err());
        assert!(listed("#EXTINF:1,\n#EXT-X-BYTERANGE:12\n").is_err());
    }
}
