//! A web server with media on it, that counts who asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use tokio_util::io::ReaderStream;

/// A server of one file at `/media`.
pub(crate) struct Source {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Source {
    pub(crate) async fn of(path: &Path) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let state = (path.to_owned(), requests.clone());
        let app = Router::new().route("/media", get(serve)).with_state(state);
        let url = format!("{}/media", super::serve(app).await);
        Self { url, requests }
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(State((path, requests)): State<(PathBuf, Arc<AtomicUsize>)>) -> Body {
    requests.fetch_add(1, Ordering::SeqCst);
    let file = tokio::fs::File::open(path).await.expect("the file is there");
    Body::from_stream(ReaderStream::new(file))
}
