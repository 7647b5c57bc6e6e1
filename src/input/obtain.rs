//! Where an input comes from, and how: copied, downloaded, or opened to come as it is read.

use std::path::PathBuf;
use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use super::file::{Coming, Known, Stored};
use super::gateway::{Gateway, Opened};
use super::{FetchError, Fetcher, Origin};
use crate::metrics;

/// The file, or as much of it as it takes to read it.
pub(super) async fn obtain(
    fetcher: &Fetcher,
    gateway: Option<&Gateway>,
    origin: Origin,
    path: PathBuf,
    mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
    stop: &CancellationToken,
) -> Result<Stored, FetchError> {
    let (url, on_bytes) = (origin.url(), &mut on_bytes);
    let opened = match (origin.supply(), gateway) {
        (Some(supply), _) => {
            Opened::Whole(fetcher.copy(supply, &path, &mut *on_bytes, stop).await?)
        }
        (None, None) => Opened::Whole(fetcher.fetch(url, &path, &mut *on_bytes, stop).await?),
        (None, Some(_)) => fetcher.open(url, &path, &mut *on_bytes, stop).await?,
    };
    let (size_bytes, coming) = match opened {
        Opened::Whole(fetched) => {
            metrics::INPUT_BYTES.add(fetched.size_bytes, &[]);
            metrics::INPUT_WAYS.add(1, &["file"]);
            (fetched.size_bytes, None)
        }
        Opened::Parts(cache) => {
            let ticket = gateway.filter(|_| cache.demuxer().is_some());
            let ticket = ticket.map(|gateway| gateway.admit(&cache));
            metrics::INPUT_WAYS.add(1, &[if ticket.is_some() { "gateway" } else { "file" }]);
            (cache.total_bytes(), Some(Coming { cache, ticket }))
        }
    };
    let (known, stand_in) = (Known::default(), OnceLock::new());
    let stored = Stored { path, size_bytes, origin, known, stand_in, coming };
    if let Some(Coming { cache, ticket: None }) = &stored.coming {
        // Nobody reads it before it is whole.
        let whole = stop.run_until_cancelled(cache.whole(on_bytes)).await;
        whole.ok_or(FetchError::Stopped)??;
    }
    Ok(stored)
}
