//! Inputs that are here already: read straight from storage.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;

use crate::access::Project;
use crate::input::{Origin, Supplied, Supply};
use crate::job::{InputUrl, Kept};
use crate::output::Storage;
use crate::store::Store;
use crate::task::{ErrorKind, Failure};
use crate::upload::{UploadError, Uploads};

/// A file that is here already, and what it takes to read it.
pub(super) struct Here {
    pub(super) kept: Kept,
    /// Whose job it is for: what is another's is not here.
    pub(super) project: Project,
    pub(super) uploads: Uploads,
    pub(super) store: Arc<dyn Store>,
    pub(super) storage: Storage,
}

impl Here {
    /// Where the bytes come from: all jobs of one file share one copy.
    pub(super) fn origin(self, url: &InputUrl) -> Origin {
        let name = match &self.kept {
            Kept::Upload(id) => id.to_string(),
            Kept::Output(key) => format!("output {key}"),
        };
        Origin::here(name, url, Arc::new(self))
    }

    async fn output(&self, key: &str) -> Result<Supplied, Failure> {
        let file =
            self.store.output(&self.project, key).await.map_err(|error| unreadable(&error))?;
        let file = file.filter(|file| file.delivered_to.is_none()).ok_or_else(gone)?;
        let bytes = self.storage.get(key, None).await.map_err(|error| unreadable(&error))?;
        let bytes = bytes.map(|bytes| bytes.map_err(|error| unreadable(&error))).boxed();
        Ok(Supplied { size_bytes: file.filesize, bytes })
    }
}

#[async_trait]
impl Supply for Here {
    async fn open(&self) -> Result<Supplied, Failure> {
        let id = match &self.kept {
            Kept::Upload(id) => *id,
            Kept::Output(key) => return self.output(key).await,
        };
        let upload = self.uploads.make_use_of(&self.project, id).await.map_err(failure)?;
        let bytes = self.uploads.read(&upload, None).await.map_err(failure)?;
        let bytes = bytes.map(|bytes| bytes.map_err(|error| unreadable(&error))).boxed();
        Ok(Supplied { size_bytes: upload.received, bytes })
    }
}

fn failure(error: UploadError) -> Failure {
    if matches!(error, UploadError::Unknown) { gone() } else { unreadable(&error) }
}

fn gone() -> Failure {
    Failure::new(ErrorKind::InputNotFound, "the file is not here any more").hint(
        "uploads are kept for a while after their last use, outputs as long as their job; \
         send the file again",
    )
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    tracing::error!(error, "a file of this server cannot be read");
    Failure::new(ErrorKind::InputUnavailable, "the file cannot be read just now")
}
