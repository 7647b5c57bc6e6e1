//! AES-128 as HLS knows it: each segment encrypted as a whole, numbered from 0.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};

use super::{KEY_BYTES, PackageError, Segment, Track};

/// Encrypts the segments of the file at `path` in its place; what stands in front of them stays
/// as it is, without the index, which would be wrong.
pub(super) fn seal(
    path: &Path,
    track: Track,
    key: &[u8; KEY_BYTES],
) -> Result<Track, PackageError> {
    let sealed_path = path.with_extension("sealed");
    let mut file = File::open(path)?;
    let mut sealed = BufWriter::new(File::create(&sealed_path)?);
    let mut at = 0;
    let init = match track.init {
        Some(range) => {
            let bytes = read(&mut file, &range)?;
            sealed.write_all(&bytes)?;
            at = bytes.len() as u64;
            Some(0..at)
        }
        None => None,
    };
    let mut segments = Vec::new();
    for (number, segment) in (0_u128..).zip(track.segments) {
        let bytes = read(&mut file, &segment.range)?;
        let cipher = cbc::Encryptor::<Aes128>::new(&(*key).into(), &number.to_be_bytes().into());
        let bytes = cipher.encrypt_padded_vec::<Pkcs7>(&bytes);
        sealed.write_all(&bytes)?;
        let range = at..at + bytes.len() as u64;
        at = range.end;
        segments.push(Segment { range, secs: segment.secs, keyframe_end: None });
    }
    sealed.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
    fs::rename(&sealed_path, path)?;
    Ok(Track { init, index: None, segments, ..track })
}

fn read(file: &mut File, range: &Range<u64>) -> Result<Vec<u8>, PackageError> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
