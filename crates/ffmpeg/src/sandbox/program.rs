//! What must be executable for a program to start: its file, and what its file names.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What a program's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Machine code, with the loader of its libraries if it has any.
    Binary {
        /// Such as `/lib64/ld-linux-x86-64.so.2`.
        loader: Option<PathBuf>,
    },
    /// A script: an operator's own wrapper, which starts other programs.
    Script,
}

/// The type of the program header that names the loader.
const PT_INTERP: u32 = 3;

/// The longest path of a loader.
const PATH_BYTES: u64 = 4096;

impl Program {
    /// Reads what the file at `path` is.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; 64];
        let read = file.read_at(&mut head, 0)?;
        match &head[..read] {
            [b'#', b'!', ..] => Ok(Self::Script),
            // 64 bits, little end first: what this crate is built for.
            [0x7f, b'E', b'L', b'F', 2, 1, ..] if read == head.len() => {
                Ok(Self::Binary { loader: loader(&file, &head)? })
            }
            _ => Ok(Self::Binary { loader: None }),
        }
    }
}

/// Looks through the program headers for the one that names the loader.
fn loader(file: &File, head: &[u8; 64]) -> io::Result<Option<PathBuf>> {
    let (offset, size) = (number(&head[32..40]), number(&head[54..56]));
    for nth in 0..number(&head[56..58]) {
        let mut header = [0; 40];
        file.read_exact_at(&mut header, offset.saturating_add(nth * size))?;
        if number(&header[..4]) != u64::from(PT_INTERP) {
            continue;
        }
        let length = number(&header[32..40]).min(PATH_BYTES);
        let mut name = vec![0; length as usize];
        file.read_exact_at(&mut name, number(&header[8..16]))?;
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        return Ok(Some(OsString::from_vec(name).into()));
    }
    Ok(None)
}

/// A number with its little end first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_names_its_loader() {
        let own = std::env::current_exe().unwrap();
        let Program::Binary { loader: Some(loader) } = Program::read(&own).unwrap() else {
            panic!("the tests are linked dynamically")
        };
        assert!(loader.is_absolute() && loader.exists(), "{}", loader.display());
        assert_eq!(Program::read(&loader).unwrap(), Program::Binary { loader: None });
    }

    #[test]
    fn a_script_is_told_by_its_first_line_and_anything_else_has_no_loader() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let script = at("script", b"#!/bin/sh\nexit 0\n");
        assert_eq!(Program::read(&script).unwrap(), Program::Script);
        for bytes in [&b""[..], b"\x7fELF\x02\x01", b"text"] {
            let other = Program::read(&at("other", bytes)).unwrap();
            assert_eq!(other, Program::Binary { loader: None });
        }
        let mut damaged = vec![0xff; 64];
        damaged[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert!(Program::read(&at("damaged", &damaged)).is_err());
    }
}
