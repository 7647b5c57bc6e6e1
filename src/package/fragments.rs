//! MPEG-4 in fragments, as ffmpeg writes it: `moov`, `sidx`, then one `moof` and `mdat` a segment.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::{PackageError, Segment, Track, codec};

/// The longest box that is read whole. What is longer is media, or not ffmpeg's.
const MAX_BOX_BYTES: u64 = 64 << 20;

/// Reads what is in the file at `path`, without its media.
pub(super) fn read(path: &Path) -> Result<Track, PackageError> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut at, mut moov, mut sidx) = (0, None, None);
    while sidx.is_none() && at < end {
        let (name, range) = head(&mut file, at)?;
        at = range.end;
        match &name {
            b"moov" => moov = Some((body(&mut file, &range)?, range)),
            b"sidx" => sidx = Some((body(&mut file, &range)?, range)),
            _ => {}
        }
    }
    let (moov, moov_range) = moov.ok_or(PackageError::Malformed("it has no moov"))?;
    let (sidx, sidx_range) = sidx.ok_or(PackageError::Malformed("it has no sidx"))?;
    let mut track = Track {
        init: Some(0..moov_range.end),
        index: Some(sidx_range.clone()),
        segments: Vec::new(),
        codec: codec_of(&moov).ok_or(PackageError::Malformed("its codec is not known"))?,
        samples: 0,
    };
    let references = references(&sidx).ok_or(PackageError::Malformed("its sidx is cut off"))?;
    let mut start = sidx_range.end + references.first_offset;
    for (bytes, secs) in references.segments {
        let range = start..start + bytes;
        start = range.end;
        if secs <= 0.0 {
            continue;
        }
        let (name, moof_range) = head(&mut file, range.start)?;
        if &name != b"moof" {
            return Err(PackageError::Malformed("a segment does not begin with moof"));
        }
        let moof = body(&mut file, &moof_range)?;
        let (samples, first_end) =
            first_sample(&moof).ok_or(PackageError::Malformed("a moof is cut off"))?;
        track.samples += samples;
        let keyframe_end = Some(range.start + first_end).filter(|end| *end <= range.end);
        track.segments.push(Segment { range, secs, keyframe_end });
    }
    Ok(track)
}

/// The name of the box at `at`, and its whole range.
fn head(file: &mut File, at: u64) -> Result<([u8; 4], Range<u64>), PackageError> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; 16];
    file.read_exact(&mut head[..8])?;
    let mut bytes = u64::from(u32_at(&head, 0).unwrap_or(0));
    if bytes == 1 {
        file.read_exact(&mut head[8..])?;
        bytes = u64_at(&head, 8).unwrap_or(0);
    }
    if bytes < 8 {
        return Err(PackageError::Malformed("a box has no length"));
    }
    Ok(([head[4], head[5], head[6], head[7]], at..at + bytes))
}

/// What is in a box with a short head.
fn body(file: &mut File, range: &Range<u64>) -> Result<Vec<u8>, PackageError> {
    let bytes = range.end - range.start - 8;
    if bytes > MAX_BOX_BYTES {
        return Err(PackageError::Malformed("a box is too long"));
    }
    file.seek(SeekFrom::Start(range.start + 8))?;
    let mut body = vec![0; bytes as usize];
    file.read_exact(&mut body)?;
    Ok(body)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The boxes that stand one behind the other in `bytes`.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let (whole, after) = rest.split_at_checked(length.max(8))?;
        rest = after;
        Some((&whole[4..8], &whole[8..]))
    })
}

fn within<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| {
        boxes(bytes).find(|(found, _)| found == name).map(|(_, body)| body)
    })
}

/// The codec that a `moov` names.
fn codec_of(moov: &[u8]) -> Option<String> {
    let stsd = within(moov, &[b"trak", b"mdia", b"minf", b"stbl", b"stsd"])?;
    let (name, entry) = boxes(stsd.get(8..)?).next()?;
    match name {
        b"avc1" => {
            let settings = within(entry.get(78..)?, &[b"avcC"])?;
            let [_, profile, constraints, level] = *settings.first_chunk()?;
            Some(codec::avc(profile, constraints, level))
        }
        b"hvc1" => codec::hevc(within(entry.get(78..)?, &[b"hvcC"])?),
        b"mp4a" => Some(codec::AAC.to_owned()),
        _ => None,
    }
}

struct References {
    first_offset: u64,
    /// Bytes and seconds.
    segments: Vec<(u64, f64)>,
}

/// What a `sidx` says of the segments behind it.
fn references(sidx: &[u8]) -> Option<References> {
    let timescale = f64::from(u32_at(sidx, 8)?);
    let (first_offset, counted) = match sidx.first()? {
        0 => (u64::from(u32_at(sidx, 16)?), 20),
        _ => (u64_at(sidx, 20)?, 28),
    };
    let count = u32_at(sidx, counted)? & 0xffff;
    let segments = (0..count as usize).map(|n| {
        let at = counted + 4 + 12 * n;
        // The first bit says that it leads to another index, which ffmpeg does not write.
        let bytes = u64::from(u32_at(sidx, at)? & 0x7fff_ffff);
        Some((bytes, f64::from(u32_at(sidx, at + 4)?) / timescale))
    });
    Some(References { first_offset, segments: segments.collect::<Option<_>>()? })
}

/// How many samples a `moof` has, and where the first one ends, from the beginning of the box.
fn first_sample(moof: &[u8]) -> Option<(u64, u64)> {
    const DATA_OFFSET: u32 = 0x1;
    const FIRST_FLAGS: u32 = 0x4;
    const DURATION: u32 = 0x100;
    const SIZE: u32 = 0x200;
    let traf = within(moof, &[b"traf"])?;
    let samples = boxes(traf)
        .filter(|(name, _)| name == b"trun")
        .map(|(_, trun)| u32_at(trun, 4).map(u64::from))
        .sum::<Option<u64>>()?;
    let trun = within(traf, &[b"trun"])?;
    let flags = u32_at(trun, 0)?;
    if flags & DATA_OFFSET == 0 {
        return None;
    }
    let offset = u64::from(u32_at(trun, 8)?);
    let size = if flags & SIZE == 0 {
        usual_size(within(traf, &[b"tfhd"])?)?
    } else {
        let skipped = u32::count_ones(flags & FIRST_FLAGS) + u32::count_ones(flags & DURATION);
        u32_at(trun, 12 + 4 * skipped as usize)?
    };
    Some((samples, offset + u64::from(size)))
}

/// The size of all samples that a `tfhd` tells.
fn usual_size(tfhd: &[u8]) -> Option<u32> {
    let flags = u32_at(tfhd, 0)?;
    let widths = [(0x1, 8), (0x2, 4), (0x8, 4)];
    let before: usize =
        widths.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, width)| width).sum();
    if flags & 0x10 == 0 { None } else { u32_at(tfhd, 8 + before) }
}
