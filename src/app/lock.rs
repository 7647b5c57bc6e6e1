//! One server, one data folder.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, bail};

/// The data folder, held by this process alone for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is not there, and takes it.
    ///
    /// # Errors
    ///
    /// It cannot be made or written, or another process has it.
    pub fn lock(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| {
            format!("the data folder {shown} cannot be made; choose another with REELWAY_DATA_DIR")
        })?;
        let lock = File::create(folder.join(".lock"))
            .with_context(|| format!("the data folder {shown} cannot be written"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another reelway is using the data folder {shown}; stop it, or give this one \
                 another with REELWAY_DATA_DIR"
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).context("the data folder cannot be locked")
            }
        }
    }
}
