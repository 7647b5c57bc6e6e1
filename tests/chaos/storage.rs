//! Where the outputs of a run go, and how that can be in trouble.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::history::Object;
use crate::proxy::{Mode, Proxy};
use crate::s3::{ACCESS_KEY_ID, S3Server, SECRET_ACCESS_KEY};
use crate::support::files;

/// What S3 says when it has too much to do.
const SLOW_DOWN: &str = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How much of an answer comes through when connections break.
const A_LITTLE: usize = 40;

/// An S3 server behind a wire.
pub(crate) struct Storage {
    server: S3Server,
    wire: Proxy,
    /// One at a time.
    trouble: Mutex<()>,
}

impl Storage {
    pub(crate) async fn start() -> Self {
        let server = S3Server::start().await;
        let wire = Proxy::to(server.url.trim_start_matches("http://")).await;
        Self { server, wire, trouble: Mutex::default() }
    }

    /// The settings with which a process keeps its outputs in it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("REELWAY_STORAGE", "s3://media/made".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.wire.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ]
    }

    /// Refuses everything for a while.
    pub(crate) async fn refuse(&self, lasts: Duration) {
        self.be(Mode::Answer(SLOW_DOWN), lasts).await;
    }

    /// Swallows everything for a while.
    pub(crate) async fn hold(&self, lasts: Duration) {
        self.be(Mode::Hold, lasts).await;
    }

    /// Breaks connections in the middle of an answer for a while: what was asked has been done,
    /// and nobody hears of it.
    pub(crate) async fn cut(&self, lasts: Duration) {
        self.be(Mode::CutAfter(A_LITTLE), lasts).await;
    }

    async fn be(&self, mode: Mode, lasts: Duration) {
        let _one_at_a_time = self.trouble.lock().await;
        self.wire.set(mode);
        sleep(lasts).await;
        self.wire.set(Mode::Pass);
    }

    /// Everything that lies in it, halves of uploads too.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let folder = self.server.object("made");
        let objects = files(&folder).into_iter().map(|path| {
            let bytes = std::fs::read(&path).expect("a readable object");
            let key = path.strip_prefix(&folder).expect("a path below");
            Object {
                key: key.to_str().expect("UTF-8").to_owned(),
                sha256: hex::encode(Sha256::digest(&bytes)),
                size: bytes.len() as i64,
            }
        });
        let halves = self.server.unfinished().into_iter().map(|path| Object {
            key: path.display().to_string(),
            sha256: String::new(),
            size: 0,
        });
        objects.chain(halves).collect()
    }
}
