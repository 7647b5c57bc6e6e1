//! HEIC photographs, which no ffmpeg before 7.1 opens: `heif-convert` makes a PNG of one.
//!
//! The program runs in the same box as ffmpeg, under the same limits. It turns pictures upright
//! and leaves EXIF out, so that nothing turns them a second time.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::run::failed;
use crate::{Cause, RunError, Tools};

/// How long a photograph may take; one of 12 megapixels takes a second.
const WALL: Duration = Duration::from_mins(2);

/// How much of a file is searched for its colours.
const HEAD_BYTES: u64 = 1 << 20;

/// What the PNG of a HEIC photograph is called.
pub const PNG_OF_HEIC: &str = "picture.png";

/// What is written; of a file with several pictures the first one gets a number.
const MADE: [&str; 2] = [PNG_OF_HEIC, "picture-1.png"];

impl Tools {
    /// Makes a PNG of the HEIC at `path` in `folder`, which is empty and this run's own.
    ///
    /// The same rules as for [`Tools::run`] hold for `stop`, for dropping and for where to call
    /// it from.
    pub async fn heic_to_png(
        &self,
        path: &Path,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<PathBuf, RunError> {
        let refused = |cause, log| RunError::Refused { cause, log };
        let Some(program) = self.heif_convert() else {
            return Err(refused(Cause::Heic, Vec::new()));
        };
        let path = std::path::absolute(path).map_err(RunError::Input)?;
        let argv = argv(&path, &folder.join(MADE[0]));
        let run = Beside {
            name: "heif-convert",
            program,
            argv: &argv,
            environment: Vec::new(),
            input: &path,
            folder,
            wall: WALL,
        };
        let (status, tail) = self.run_beside(run, stop).await?;
        if !status.success() {
            // It has one code for everything that is wrong with a file.
            return Err(match failed(status, &tail) {
                RunError::Refused { log, .. } => refused(Cause::Corrupt, log),
                error => error,
            });
        }
        let made = MADE.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        made.ok_or_else(|| refused(Cause::Corrupt, tail.log()))
    }

    /// What a person would type to make a PNG of the HEIC at `path`: the program's path and its
    /// arguments. Of a file with several pictures it writes each under a number behind the name,
    /// the first one as `-1`.
    #[must_use]
    pub fn heic_line(&self, path: &Path, png: &Path) -> Vec<OsString> {
        let program = self.heif_convert().unwrap_or(Path::new("heif-convert"));
        std::iter::once(program.into()).chain(argv(path, png)).collect()
    }
}

fn argv(path: &Path, png: &Path) -> [OsString; 3] {
    ["--quiet".into(), path.into(), png.into()]
}

/// Whether the colours of the HEIC at `path` are those of Display P3, as of most phones.
pub async fn is_display_p3(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    tokio::fs::File::open(path).await?.take(HEAD_BYTES).read_to_end(&mut head).await?;
    Ok(says_display_p3(&head))
}

/// A colour box of HEIF holds numbers that stand for the primaries, or a whole ICC profile.
fn says_display_p3(head: &[u8]) -> bool {
    let after = |name: &[u8]| {
        let at = head.windows(name.len()).position(|found| found == name)?;
        head.get(at + name.len()..)
    };
    let numbers = after(b"colrnclx").and_then(|rest| rest.get(..2));
    numbers == Some(&[0, P3_PRIMARIES]) || after(b"colrprof").is_some_and(profile_is_display_p3)
}

/// Display P3 in ISO/IEC 23091-2.
const P3_PRIMARIES: u8 = 12;

/// The places of red, green and blue of Display P3 in the space of ICC profiles.
const P3_COLORANTS: [(&[u8; 4], [f64; 3]); 3] = [
    (b"rXYZ", [0.5151, 0.2412, -0.0011]),
    (b"gXYZ", [0.2920, 0.6922, 0.0419]),
    (b"bXYZ", [0.1571, 0.0666, 0.7841]),
];

/// How far a profile's numbers may be from them.
const NEAR: f64 = 0.01;

/// Reads the table of tags behind the head of 128 bytes.
fn profile_is_display_p3(profile: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = profile.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let tags = number(128).unwrap_or(0).min(100) as usize;
    let place = |name: &[u8; 4]| {
        let tag = (0..tags).map(|tag| 132 + 12 * tag);
        let mut tag = tag.filter(|&at| profile.get(at..at + 4) == Some(name));
        number(tag.next()? + 4)
    };
    P3_COLORANTS.iter().all(|(name, wanted)| {
        let Some(at) = place(name) else { return false };
        wanted.iter().enumerate().all(|(axis, wanted)| {
            // Behind the type and four bytes of nothing; 16 bits before the point, 16 after it.
            let found = number((at as usize).saturating_add(8 + 4 * axis));
            found.is_some_and(|found| (f64::from(found as i32) / 65_536.0 - wanted).abs() < NEAR)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn profile(colorants: [[f64; 3]; 3]) -> Vec<u8> {
        let mut profile = vec![0; 128];
        profile.extend(3_u32.to_be_bytes());
        for (number, name) in [b"rXYZ", b"gXYZ", b"bXYZ"].into_iter().enumerate() {
            profile.extend(name);
            profile.extend((168 + 20 * number as u32).to_be_bytes());
            profile.extend(20_u32.to_be_bytes());
        }
        for colorant in colorants {
            profile.extend(b"XYZ \0\0\0\0");
            for value in colorant {
                profile.extend(((value * 65_536.0) as i32).to_be_bytes());
            }
        }
        profile
    }

    fn boxed(name: &[u8], body: &[u8]) -> Vec<u8> {
        [b"\0\0\0\x18ftypheic....meta....iprpipco....colr", name, body].concat()
    }

    #[test]
    fn wide_colours_are_told_by_a_profile_or_by_a_number() {
        let p3 = P3_COLORANTS.map(|(_, place)| place);
        assert!(says_display_p3(&boxed(b"prof", &profile(p3))));
        let srgb = [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]];
        assert!(!says_display_p3(&boxed(b"prof", &profile(srgb))));
        assert!(says_display_p3(&boxed(b"nclx", &[0, 12, 0, 13, 0, 6, 0x80])));
        assert!(!says_display_p3(&boxed(b"nclx", &[0, 1, 0, 13, 0, 6, 0x80])));
        assert!(!says_display_p3(b"nothing"));
    }

    proptest! {
        #[test]
        fn no_profile_makes_it_panic(mut body in any::<Vec<u8>>(), tags in any::<[u8; 4]>()) {
            body.resize(body.len().max(132), 0);
            body[128..132].copy_from_slice(&tags);
            let _told = says_display_p3(&boxed(b"prof", &body));
        }
    }
}
