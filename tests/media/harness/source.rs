//! A server of one file that gives parts of it, as slowly and as badly as a test says.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use reelway::job::InputUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How much is written at once.
const PIECE_BYTES: usize = 64 << 10;

/// What stands in the way of the bytes.
#[derive(Clone, Default)]
pub(crate) struct Trouble {
    /// These come only when the token is cancelled.
    pub(crate) held: Option<(Range<usize>, CancellationToken)>,
    /// Here every connection breaks.
    pub(crate) breaks_at: Option<usize>,
    /// Here every connection breaks, and from then on who asks is told that the link ran out.
    pub(crate) runs_out_at: Option<usize>,
    /// So many connections break after a piece.
    pub(crate) breaks: usize,
}

/// A server of one file.
pub(crate) struct Source {
    address: SocketAddr,
    served: Arc<Served>,
    _stop: DropGuard,
}

struct Served {
    film: Vec<u8>,
    trouble: Trouble,
    requests: AtomicUsize,
    sent: AtomicU64,
    has_run_out: AtomicBool,
}

impl Source {
    pub(crate) async fn of(path: &Path) -> Self {
        Self::with(path, Trouble::default()).await
    }

    pub(crate) async fn with(path: &Path, trouble: Trouble) -> Self {
        let film = std::fs::read(path).expect("the file");
        let (requests, sent, has_run_out) = (0.into(), 0.into(), false.into());
        let served = Served { film, trouble, requests, sent, has_run_out };
        let served = Arc::new(served);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let (all, until) = (served.clone(), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, until) = (all.clone(), until.clone());
                tokio::spawn(until.run_until_cancelled_owned(async move {
                    // Whoever has enough hangs up.
                    let _gone = served.answer(stream).await;
                }));
            }
        }));
        Self { address, served, _stop: stop.drop_guard() }
    }

    pub(crate) fn url(&self) -> InputUrl {
        InputUrl::parse(&format!("http://{}/film", self.address)).expect("a URL")
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.served.film.len() as u64
    }

    pub(crate) fn requests(&self) -> usize {
        self.served.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of the file went out.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.served.sent.load(Ordering::SeqCst)
    }
}

impl Served {
    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let head = head(&mut stream).await?;
        if self.has_run_out.load(Ordering::SeqCst) {
            let refused =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(refused.as_bytes()).await?;
            return stream.shutdown().await;
        }
        let total = self.film.len();
        let part = asked(&head, total);
        let (status, range) = match &part {
            Some(part) => {
                let (from, last) = (part.start, part.end - 1);
                ("206 Partial Content", format!("content-range: bytes {from}-{last}/{total}\r\n"))
            }
            None => ("200 OK", String::new()),
        };
        let part = part.unwrap_or(0..total);
        let length = part.len();
        let head = format!(
            "HTTP/1.1 {status}\r\netag: \"film\"\r\n{range}content-length: {length}\r\n\
             connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut at = part.start;
        while at < part.end {
            let end = (at + PIECE_BYTES).min(part.end);
            if let Some((held, until)) = &self.trouble.held
                && end > held.start
                && at < held.end
            {
                until.cancelled().await;
            }
            let runs_out = self.trouble.runs_out_at.is_some_and(|place| end > place);
            self.has_run_out.fetch_or(runs_out, Ordering::SeqCst);
            let is_broken = self.trouble.breaks_at.is_some_and(|place| end > place);
            if runs_out || is_broken || (number < self.trouble.breaks && at > part.start) {
                stream.set_zero_linger()?;
                return Ok(());
            }
            stream.write_all(&self.film[at..end]).await?;
            self.sent.fetch_add((end - at) as u64, Ordering::SeqCst);
            at = end;
        }
        stream.shutdown().await
    }
}

async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).to_lowercase())
}

fn asked(head: &str, total: usize) -> Option<Range<usize>> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    let (from, last) = range.split_once('-')?;
    let end = last.parse().map_or(total, |last: usize| (last + 1).min(total));
    Some(from.parse().ok()?..end)
}
