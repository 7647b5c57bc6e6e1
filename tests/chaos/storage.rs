//! Where the outputs of a run go, and how that can be in trouble.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::history::Object;
use crate::support::files;

/// A folder that every process of the run shares.
pub(crate) struct Storage {
    folder: PathBuf,
    trouble: Mutex<()>,
}

impl Storage {
    pub(crate) fn below(folder: &Path) -> Self {
        let folder = folder.join("files");
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder, trouble: Mutex::default() }
    }

    /// Refuses every write for a while: a file stands where the folder was.
    pub(crate) async fn refuse(&self, lasts: Duration) {
        let _one_at_a_time = self.trouble.lock().await;
        let aside = self.folder.with_extension("aside");
        fs::rename(&self.folder, &aside).expect("a folder");
        fs::write(&self.folder, b"away").expect("a file");
        sleep(lasts).await;
        fs::remove_file(&self.folder).expect("the file");
        fs::rename(&aside, &self.folder).expect("the folder");
    }

    /// Everything that lies in it.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let objects = files(&self.folder).into_iter().map(|path| {
            let bytes = fs::read(&path).expect("a readable object");
            let key = path.strip_prefix(&self.folder).expect("a path below");
            Object {
                key: key.to_str().expect("UTF-8").to_owned(),
                sha256: hex::encode(Sha256::digest(&bytes)),
                size: bytes.len() as i64,
            }
        });
        objects.collect()
    }
}
