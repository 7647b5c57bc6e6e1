//! What a process reads: a file, or a port of this machine behind which somebody has one.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::args::Demuxer;

/// What a process reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// A file.
    File(PathBuf),
    /// A port of this machine.
    Loopback(Loopback),
}

/// A file behind a port of this machine, which is asked by HTTP for the parts that are read.
#[derive(Clone)]
pub struct Loopback {
    /// The port, at 127.0.0.1.
    pub port: u16,
    /// The path of the file there, which nobody else knows. Letters and digits.
    pub secret: String,
    /// What its first bytes say it is.
    pub demuxer: Demuxer,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Whether it has nothing for its readers just now.
    pub waiting: Waiting,
}

/// How many readers wait for bytes that are on their way. Clones tell of the same.
///
/// Time in which a process can do nothing but wait is not held against it.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

/// One more reader that waits, while it lives.
#[derive(Debug)]
pub struct Wait(Arc<AtomicUsize>);

impl Waiting {
    /// Somebody waits from now on.
    #[must_use]
    pub fn begin(&self) -> Wait {
        self.0.fetch_add(1, Ordering::Relaxed);
        Wait(self.0.clone())
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn is_anybody(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Media {
    /// Where the file is, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Loopback(_) => None,
        }
    }

    /// What ffmpeg is told to open. `file:` keeps a path from being read as a protocol, an option
    /// or a device.
    #[must_use]
    pub fn argument(&self) -> OsString {
        match self {
            Self::File(path) => {
                let mut argument = OsString::from("file:");
                argument.push(path);
                argument
            }
            Self::Loopback(Loopback { port, secret, .. }) => {
                format!("http://127.0.0.1:{port}/{secret}").into()
            }
        }
    }

    /// The protocols that it takes to open it.
    pub(crate) const fn protocols(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Loopback(_) => "http,tcp",
        }
    }

    /// The same with its whole path.
    pub(crate) fn absolute(self) -> std::io::Result<Self> {
        Ok(match self {
            Self::File(path) => Self::File(std::path::absolute(path)?),
            loopback @ Self::Loopback(_) => loopback,
        })
    }
}

impl From<PathBuf> for Media {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Media {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Media {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&str> for Media {
    fn from(path: &str) -> Self {
        Self::File(path.into())
    }
}

impl From<&Self> for Media {
    fn from(media: &Self) -> Self {
        media.clone()
    }
}

/// Two that lead to the same are the same, whoever waits there.
impl PartialEq for Loopback {
    fn eq(&self, other: &Self) -> bool {
        (self.port, &self.secret) == (other.port, &other.secret)
    }
}

impl Eq for Loopback {}

/// Without the secret.
impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("port", &self.port)
            .field("demuxer", &self.demuxer)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}
