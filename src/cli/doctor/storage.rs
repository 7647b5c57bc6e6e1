//! Whether outputs can be kept where the settings say.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config;
use crate::output::{Abandoned, Bucket, BucketSettings, Storage, StorageError};

/// What is written to see whether it can be read.
const WORDS: &[u8] = b"reelway doctor was here";

/// What to do about a folder that cannot be used.
const FOLDER_FIX: &str = "name a folder of the server's own with --storage or REELWAY_STORAGE";

/// How long a link is that nobody follows.
const LIFE: Duration = Duration::from_mins(1);

/// A folder and a bucket are written to, read and cleaned.
pub(super) async fn check(storage: &config::Storage) -> Vec<Check> {
    let settings = match storage {
        config::Storage::Folder(folder) => return vec![folder_round_trip(folder)],
        config::Storage::Bucket(settings) => settings,
    };
    let url = settings.url();
    match try_out(settings).await {
        Ok(Abandoned::Aborted(_)) => {
            let found = format!("{url} can be written to, read and cleaned; {}", links(settings));
            vec![Check::good("storage", found)]
        }
        Ok(Abandoned::NotListed) => {
            let found = format!("{url} can be written to and read; {}", links(settings));
            let fix = "unfinished uploads of killed workers are not listed: give the bucket a \
                lifecycle rule that ends incomplete multipart uploads after a day, or allow \
                s3:ListBucketMultipartUploads";
            vec![Check::doubtful("storage", found, fix)]
        }
        Err(error) => {
            let found = format!("{url}: {error}");
            let fix = "check the bucket's name, region, endpoint and keys; docs/storage.md says \
                what the keys must be allowed to do";
            vec![Check::bad("storage", found, fix)]
        }
    }
}

/// How outputs are reached, which depends on the kind of keys.
fn links(settings: &BucketSettings) -> &'static str {
    if settings.signs_links() {
        "links lead into the bucket"
    } else {
        "its keys are on loan, so links lead through this server"
    }
}

async fn try_out(settings: &BucketSettings) -> Result<Abandoned, StorageError> {
    let storage = Storage::bucket(Bucket::open(settings)?);
    let prefix = format!("reelway-doctor/{:016x}", rand::random::<u64>());
    let tried = try_at(&storage, &format!("{prefix}/probe.json")).await;
    // What was written goes, whatever came of it.
    storage.remove(&prefix).await?;
    tried?;
    storage.abort_uploads(&prefix).await
}

async fn try_at(storage: &Storage, key: &str) -> Result<(), StorageError> {
    let mut file = tempfile::NamedTempFile::new().map_err(StorageError::Source)?;
    file.write_all(b"{}").map_err(StorageError::Source)?;
    let stored = storage.put(key, file.path()).await?;
    let found_bytes = storage.size(key).await?.unwrap_or(0);
    if found_bytes != stored.size_bytes {
        return Err(StorageError::Size { sent_bytes: stored.size_bytes, found_bytes });
    }
    storage.signed(key, LIFE).await?;
    Ok(())
}
/// Whether bytes come back from a folder, which need not be there yet.
fn folder_round_trip(folder: &Path) -> Check {
    let shown = folder.display();
    let Some(there) = folder.ancestors().find(|folder| folder.exists()) else {
        return Check::bad("storage", format!("no part of {shown} is there"), FOLDER_FIX);
    };
    let back = || -> std::io::Result<bool> {
        let mut file = tempfile::tempfile_in(there)?;
        file.write_all(WORDS)?;
        file.sync_all()?;
        file.rewind()?;
        let mut read = Vec::new();
        file.read_to_end(&mut read)?;
        Ok(read == WORDS)
    };
    match back() {
        Ok(true) if there == folder => {
            Check::good("storage", format!("outputs are kept in {shown}; what is written is read"))
        }
        Ok(true) => Check::good("storage", format!("outputs are kept in {shown}, which is made")),
        Ok(false) => {
            Check::bad("storage", format!("{shown} gives back other bytes than it got"), FOLDER_FIX)
        }
        Err(error) => {
            Check::bad("storage", format!("{shown} cannot be written to: {error}"), FOLDER_FIX)
        }
    }
}
