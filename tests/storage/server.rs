//! An S3 server in the test's own process that checks signatures: `s3s-fs` on a free port.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// Whose key it is.
pub(crate) const ACCESS_KEY_ID: &str = "test-key-id";

/// The key.
pub(crate) const SECRET_ACCESS_KEY: &str = "test-secret-access-key";

/// A running server, stopped with the test's runtime.
pub(crate) struct S3Server {
    /// Its endpoint.
    pub(crate) url: String,
    root: TempDir,
}

/// What the server refuses before it looks at it, and with which status.
type Refuses = fn(&Request) -> Option<StatusCode>;

#[derive(Clone)]
struct Served {
    service: S3Service,
    refuses: Refuses,
}

impl S3Server {
    /// Starts one with an empty bucket called `media`.
    pub(crate) async fn start() -> Self {
        Self::refusing(|_| None).await
    }

    /// The same, with trouble.
    pub(crate) async fn refusing(refuses: Refuses) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join("media")).expect("a bucket");
        let files = s3s_fs::FileSystem::new(root.path()).expect("a file system");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let served = Served { service: builder.build(), refuses };
        let app = Router::new().fallback(serve).with_state(served);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, root }
    }

    /// Where an object of the bucket `media` is on the disk.
    pub(crate) fn object(&self, key: &str) -> PathBuf {
        self.root.path().join("media").join(key)
    }

    /// What lies about of uploads that have not come to their end.
    pub(crate) fn unfinished(&self) -> Vec<PathBuf> {
        files(self.root.path()).into_iter().filter(|path| is_of_an_upload(path)).collect()
    }
}

/// Parts and the notes about them, as this server names them.
fn is_of_an_upload(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("upload")
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

async fn serve(State(served): State<Served>, request: Request) -> Response {
    if let Some(status) = (served.refuses)(&request) {
        return status.into_response();
    }
    match served.service.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}
