//! A second, small input of a job, named by an option: fetched through the same guard as the
//! first, and refused in the same words, with the option's name before them.

use std::path::Path;

use ffmpeg::subtitles::{self, Subtitles};
use tokio_util::sync::CancellationToken;

use super::{FetchError, Fetcher};
use crate::job::InputUrl;
use crate::task::{ErrorKind, Failure};

/// The option that names subtitles.
const SUBTITLE_URL: &str = "subtitle_url";

/// What the file is called while it is fetched; nothing of it is left afterwards.
const FETCHED: &str = "subtitles.fetched";

impl Fetcher {
    /// The subtitles behind `url`, read by ourselves; `folder` is room to work in.
    ///
    /// # Errors
    ///
    /// As of [`Fetcher::fetch`]; and it is too large for subtitles, or is none.
    pub async fn subtitles(
        &self,
        url: &InputUrl,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<Subtitles, FetchError> {
        let path = folder.join(FETCHED);
        let bytes = self.small(url, &path, subtitles::MAX_BYTES as u64, stop).await;
        let bytes = bytes.map_err(|error| of_option(SUBTITLE_URL, error))?;
        let read = Subtitles::parse(&bytes).map_err(|error| {
            let kind = ErrorKind::InputUnsupported;
            Failure::new(kind, format!("`{SUBTITLE_URL}`: {error}"))
                .hint("send a SubRip (.srt) or WebVTT (.vtt) file in UTF-8")
        });
        Ok(read?)
    }

    /// The bytes behind `url`, at most so many; `path` is where they lie meanwhile.
    async fn small(
        &self,
        url: &InputUrl,
        path: &Path,
        max_bytes: u64,
        stop: &CancellationToken,
    ) -> Result<Vec<u8>, FetchError> {
        self.for_small_text(max_bytes).fetch(url, path, |_, _| {}, stop).await?;
        let bytes = tokio::fs::read(path).await;
        super::part::remove(path);
        bytes.map_err(|error| {
            tracing::error!(%error, "a file that was fetched cannot be read");
            Failure::new(ErrorKind::InternalError, "the file cannot be read").into()
        })
    }
}

/// The same error with the option that the URL stands in.
fn of_option(option: &str, error: FetchError) -> FetchError {
    match error {
        FetchError::Stopped => FetchError::Stopped,
        FetchError::Failed(failure) => {
            let message = format!("`{option}`: {}", failure.message);
            FetchError::Failed(Failure { message, ..failure })
        }
    }
}
