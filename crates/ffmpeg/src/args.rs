//! One ffmpeg process as a value.

use std::ffi::OsString;
use std::path::PathBuf;

/// One ffmpeg process: what it reads, what it makes of it, where it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    arguments: Vec<OsString>,
    /// How long the output will be in seconds, for progress in per cent; if it is known.
    pub expected_secs: Option<f64>,
    /// The files it writes.
    pub outputs: Vec<PathBuf>,
}

impl Command {
    /// The arguments, without the program's name.
    #[must_use]
    pub fn argv(&self) -> &[OsString] {
        &self.arguments
    }
}
