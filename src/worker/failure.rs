//! From what went wrong below to what a user is told.

use std::io;

use ffmpeg::{Cause, RunError};

use crate::input::FetchError;
use crate::output::StorageError;
use crate::package::PackageError;
use crate::task::{ErrorKind, Failure};

/// Why work ended without outputs.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl WorkError {
    /// The failure; work that was stopped without a reason counts as our own fault.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Stopped => Failure::new(ErrorKind::InternalError, "the work was stopped"),
        }
    }
}

impl From<FetchError> for WorkError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Stopped => Self::Stopped,
            FetchError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<io::Error> for WorkError {
    fn from(error: io::Error) -> Self {
        tracing::error!(%error, "the scratch folder cannot be used");
        Self::Failed(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(),
            _ => Failure::new(ErrorKind::InternalError, "the server's work folder cannot be used"),
        })
    }
}

impl From<StorageError> for WorkError {
    fn from(error: StorageError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "an output cannot be stored");
        if is_full(&error) {
            return Self::Failed(disk_full());
        }
        let refused = "the storage did not take the output";
        let failure = Failure::new(ErrorKind::OutputFailed, refused);
        Self::Failed(failure.hint("the server's log says why"))
    }
}

impl From<PackageError> for WorkError {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Io(error) => error.into(),
            PackageError::Malformed(_) => {
                tracing::error!(%error, "a package cannot be made");
                Self::Failed(Failure::new(
                    ErrorKind::InternalError,
                    "the renditions cannot be put together",
                ))
            }
        }
    }
}

impl From<RunError> for WorkError {
    fn from(error: RunError) -> Self {
        let (kind, message, log) = match error {
            RunError::Stopped => return Self::Stopped,
            RunError::Missing { program, source } => {
                tracing::error!(%program, error = %source, "a program cannot be started");
                (ErrorKind::FfmpegMissing, format!("{program} cannot be started"), vec![])
            }
            RunError::Stalled { secs, log } => {
                (ErrorKind::FfmpegStalled, format!("no progress for {secs} s; it was stopped"), log)
            }
            RunError::TimedOut { secs, log } => {
                (ErrorKind::FfmpegTimedOut, format!("not done after {secs} s; it was stopped"), log)
            }
            RunError::Crashed { signal, log } => {
                (ErrorKind::FfmpegCrashed, format!("ffmpeg was ended by signal {signal}"), log)
            }
            RunError::Output(source) => {
                tracing::error!(error = %source, "ffprobe's answer cannot be read");
                (ErrorKind::InternalError, "the file's facts cannot be read".to_owned(), vec![])
            }
            RunError::Input(source) | RunError::Lost(source) => return source.into(),
            RunError::Refused { cause: Cause::NoSpace, .. } => return Self::Failed(disk_full()),
            RunError::Refused { cause, log } => {
                let failure = Failure::new(kind_of(cause), cause.message()).log(log);
                return Self::Failed(match advice(cause) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
            }
        };
        Self::Failed(Failure::new(kind, message).log(log))
    }
}

/// Whether there was no room, however deep in the causes that is said.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}

fn disk_full() -> Failure {
    Failure::new(ErrorKind::DiskFull, "the server's disk is full")
        .hint("free space in the data folder; the task is tried again")
}

const fn advice(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::NotMedia => Some("check that the URL leads to the media itself"),
        Cause::UnsupportedCodec => Some("convert it to a usual codec first"),
        Cause::Heic => Some("whoever runs this server installs it, from Debian's libheif-examples"),
        Cause::Corrupt => Some("check that the file plays, and send it again"),
        Cause::TooManyPixels => Some("send a smaller picture"),
        Cause::FileTooLarge => Some("ask for a lower quality, a smaller size or a shorter part"),
        Cause::TooManyStreams => Some("take the streams that are needed out of it first"),
        Cause::NoSpace | Cause::OutOfMemory | Cause::NothingWritten | Cause::Unknown => None,
    }
}

const fn kind_of(cause: Cause) -> ErrorKind {
    match cause {
        Cause::NotMedia | Cause::UnsupportedCodec | Cause::Heic => ErrorKind::InputUnsupported,
        Cause::Corrupt => ErrorKind::InputCorrupt,
        Cause::TooManyPixels | Cause::TooManyStreams | Cause::OutOfMemory => {
            ErrorKind::InputOverLimit
        }
        Cause::NoSpace => ErrorKind::DiskFull,
        Cause::FileTooLarge => ErrorKind::OutputTooLarge,
        Cause::NothingWritten => ErrorKind::OutputEmpty,
        Cause::Unknown => ErrorKind::FfmpegFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cause: io::ErrorKind) -> ErrorKind {
        let source = Box::new(io::Error::from(cause));
        let error = object_store::Error::Generic { store: "LocalFileSystem", source };
        WorkError::from(StorageError::from(error)).into_failure().kind
    }

    #[test]
    fn a_storage_without_room_is_a_full_disk_and_not_a_storage_that_refuses() {
        assert_eq!(kind(io::ErrorKind::StorageFull), ErrorKind::DiskFull);
        assert_eq!(kind(io::ErrorKind::QuotaExceeded), ErrorKind::DiskFull);
        assert_eq!(kind(io::ErrorKind::PermissionDenied), ErrorKind::OutputFailed);
    }
}
