//! One file of this machine on a loopback port, for a server that takes URLs only.
//!
//! A request for the one path gets the file or a range of it; the path holds 128 random bits,
//! so no web page and no other user of the machine can guess it. Nothing else is ever served.

use std::io::SeekFrom;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use clap::Args;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;
use url::Url;

use super::{CliError, Terminal, interrupt};

/// How much of the file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What to share.
#[derive(Clone, Debug, Args)]
pub struct ShareArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
}

/// Shares a file until Ctrl-C.
///
/// # Errors
///
/// The file cannot be read, or the port is taken.
pub async fn run(args: &ShareArgs, terminal: &Terminal) -> Result<(), CliError> {
    let shared = Shared::open(&args.file, args.port).await?;
    if terminal.is_read_by_a_person() {
        terminal.line(shared.url().as_str())?;
        terminal.say("shared until Ctrl-C, with this machine only");
    } else {
        terminal.json(&serde_json::json!({"url": shared.url()}))?;
    }
    tokio::select! {
        error = shared.serve() => Err(error),
        () = interrupt::asked() => Ok(()),
    }
}

/// A file with a URL.
#[derive(Debug)]
pub(super) struct Shared {
    listener: TcpListener,
    router: Router,
    url: Url,
}

impl Shared {
    /// Gives the file a URL on 127.0.0.1, on a free port when `port` is 0.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is none, or the port is taken.
    pub(super) async fn open(file: &Path, port: u16) -> Result<Self, CliError> {
        let unreadable = |error: &std::io::Error| {
            CliError::failed(format!("cannot read {}", file.display())).because(error)
        };
        let opened = File::open(file).await.map_err(|error| unreadable(&error))?;
        if !opened.metadata().await.map_err(|error| unreadable(&error))?.is_file() {
            return Err(CliError::usage(format!("{} is not a file", file.display())));
        }
        let listener = bind(port).await?;
        let port = listener.local_addr().map_err(|error| unreadable(&error))?.port();
        let url = url(port, file)?;
        let router =
            Router::new().route(url.path(), get(answer)).with_state(Arc::new(file.to_path_buf()));
        Ok(Self { listener, router, url })
    }

    /// Where the file is while [`Shared::serve`] runs.
    #[must_use]
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Serves the file for as long as it is waited for.
    pub(super) async fn serve(self) -> CliError {
        match axum::serve(self.listener, self.router).await {
            Ok(()) => CliError::failed("sharing ended by itself"),
            Err(error) => CliError::failed("cannot share the file").because(&error),
        }
    }
}

/// Listens on 127.0.0.1.
///
/// # Errors
///
/// The port is taken or not allowed.
pub(super) async fn bind(port: u16) -> Result<TcpListener, CliError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        CliError::failed(format!("cannot listen on 127.0.0.1:{port}"))
            .because(&error)
            .hint("choose another port with --port; 0 takes a free one")
    })
}

/// The path keeps only the characters of the name that mean nothing in a URL or a route.
fn url(port: u16, file: &Path) -> Result<Url, CliError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let text =
        format!("http://127.0.0.1:{port}/{}/{name}", hex::encode(rand::random::<[u8; 16]>()));
    Url::parse(&text).map_err(|error| CliError::failed("cannot name the file").because(&error))
}

async fn answer(
    State(file): State<Arc<PathBuf>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, StatusCode> {
    // The file may be gone by now; its reader learns so, the person who shares it knows.
    let file = File::open(file.as_path()).await.map_err(|_| StatusCode::NOT_FOUND)?;
    let metadata = file.metadata().await.map_err(|_| StatusCode::NOT_FOUND)?;
    let tag = tag(metadata.len(), metadata.modified().ok());
    let range = Wanted::from_headers(&headers, &tag, metadata.len());
    let mut answer = respond(file, metadata.len(), range, method == Method::HEAD).await?;
    let headers = answer.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ETAG, HeaderValue::try_from(tag).map_err(internal)?);
    Ok(answer)
}

async fn respond(
    mut file: File,
    size: u64,
    wanted: Wanted,
    head_only: bool,
) -> Result<Response<Body>, StatusCode> {
    let answer = Response::builder();
    let (answer, start, length) = match wanted {
        Wanted::Whole => (answer, 0, size),
        Wanted::Part { start, end } => {
            let range = format!("bytes {start}-{}/{size}", end - 1);
            let part = answer.status(StatusCode::PARTIAL_CONTENT);
            (part.header(header::CONTENT_RANGE, range), start, end - start)
        }
        Wanted::Nothing => {
            let none = answer.status(StatusCode::RANGE_NOT_SATISFIABLE);
            let range = format!("bytes */{size}");
            return none.header(header::CONTENT_RANGE, range).body(Body::empty()).map_err(internal);
        }
    };
    let answer = answer.header(header::CONTENT_LENGTH, length);
    if head_only {
        return answer.body(Body::empty()).map_err(internal);
    }
    file.seek(SeekFrom::Start(start)).await.map_err(internal)?;
    let bytes = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    answer.body(Body::from_stream(bytes)).map_err(internal)
}

fn internal<E>(_: E) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Another size or time means another file, and a download must not be continued with it.
fn tag(size: u64, modified: Option<SystemTime>) -> String {
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("\"{size:x}-{:x}\"", since.unwrap_or_default().as_nanos())
}

/// Which bytes a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From `start` to before `end`, never empty.
    Part {
        start: u64,
        end: u64,
    },
    /// Bytes that are not there.
    Nothing,
}

impl Wanted {
    fn from_headers(headers: &HeaderMap, tag: &str, size: u64) -> Self {
        let changed = headers.get(header::IF_RANGE).is_some_and(|sent| sent != tag);
        match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
            Some(range) if !changed => Self::parse(range, size),
            _ => Self::Whole,
        }
    }

    /// One range is answered; what is no range or several are is answered with all, as RFC 9110
    /// allows.
    fn parse(range: &str, size: u64) -> Self {
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|set| set.split_once('-'))
        else {
            return Self::Whole;
        };
        let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(size)),
            (Ok(start), Err(_)) if last.is_empty() => (start, size),
            (Err(_), Ok(length)) if first.is_empty() => (size.saturating_sub(length), size),
            _ => return Self::Whole,
        };
        if start < end { Self::Part { start, end } } else { Self::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_answered_as_it_is_asked() {
        let part = |start, end| Wanted::Part { start, end };
        let cases = [
            ("bytes=0-9", part(0, 10)),
            ("bytes=5-", part(5, 100)),
            ("bytes=-10", part(90, 100)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=90-1000", part(90, 100)),
            ("bytes=0-18446744073709551615", part(0, 100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=0-9", Wanted::Whole),
        ];
        for (range, wanted) in cases {
            assert_eq!(Wanted::parse(range, 100), wanted, "{range}");
        }
        assert_eq!(Wanted::parse("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn a_range_of_a_file_that_has_changed_is_the_whole_file() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=5-"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"old\""));
        assert_eq!(Wanted::from_headers(&headers, "\"new\"", 10), Wanted::Whole);
        let part = Wanted::Part { start: 5, end: 10 };
        assert_eq!(Wanted::from_headers(&headers, "\"old\"", 10), part);
    }

    #[test]
    fn no_name_of_a_file_can_change_the_path() {
        for name in ["../{x}.mp4", "a b?c#d.mp4", "ä*.mp4", ".."] {
            let url = url(1, Path::new("/tmp").join(name).as_path()).expect("a URL");
            let segments: Vec<&str> = url.path_segments().expect("a path").collect();
            assert_eq!(segments.len(), 2, "{url}");
            assert_eq!(segments[0].len(), 32, "{url}");
            assert_eq!((url.query(), url.fragment()), (None, None));
        }
    }
}
