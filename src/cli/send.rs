//! A file of this machine on its way to a server: in one piece as long as nothing breaks, gone on
//! with where it broke off.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::sleep;
use tokio_util::io::ReaderStream;
use url::Url;

use super::client::{Client, ClientError};
use super::output::clean;
use super::terminal::Bar;
use super::{CliError, Terminal};

/// How much of the file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The waits between tries that bring nothing forward.
const WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

const RESUMABLE: (&str, &str) = ("tus-resumable", "1.0.0");

/// Sends the file; returns its URL at the server, which jobs take as their input.
///
/// # Errors
///
/// The file cannot be read or is none, the server refuses it, or cannot be reached for a while.
pub(super) async fn send(
    client: &Client,
    path: &Path,
    terminal: &Terminal,
) -> Result<Url, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::failed(format!("cannot read {}", path.display())).because(&error)
    };
    let facts = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !facts.is_file() {
        return Err(CliError::usage(format!("{} is not a file", path.display())));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (size, id) = (facts.len(), begin(client, &name, facts.len()).await?);
    let bars = terminal.bars();
    let bar = Arc::new(bars.add(&clean(&name)));
    let mut waits = WAITS.into_iter();
    let mut from = 0;
    while from < size {
        let file = File::open(path).await.map_err(unreadable)?;
        let sent = piece(client, &id, file, from, size, bar.clone()).await;
        let Err(error) = sent else { break };
        // Whoever gets anywhere may be cut off as often as it takes.
        let at = offset(client, &id).await.unwrap_or(from);
        if at > from {
            waits = WAITS.into_iter();
        }
        from = at;
        let is_elsewhere = matches!(&error, SendError::Client(ClientError::Refused { problem, .. })
            if problem.kind == "upload_conflict");
        match (error, waits.next()) {
            (SendError::Client(error), Some(wait)) if error.is_passing() || is_elsewhere => {
                sleep(wait).await;
            }
            (SendError::Client(error), _) => return Err(error.into()),
            (SendError::File(error), _) => return Err(unreadable(error)),
        }
    }
    Ok(client.url(&["uploads", &id]))
}

enum SendError {
    Client(ClientError),
    File(std::io::Error),
}

/// Announces the file; returns what the server calls it.
async fn begin(client: &Client, name: &str, size: u64) -> Result<String, CliError> {
    use base64::Engine as _;
    let name = base64::engine::general_purpose::STANDARD.encode(name);
    let headers = [
        (RESUMABLE.0, RESUMABLE.1.to_owned()),
        ("upload-length", size.to_string()),
        ("upload-metadata", format!("filename {name}")),
    ];
    let answer = client.raw(Method::POST, &["uploads"], &headers, None).await?;
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let id = location.and_then(|location| location.rsplit('/').next());
    id.map(str::to_owned).ok_or_else(|| CliError::failed("the server does not say where to send"))
}

/// Sends everything from `from` on.
async fn piece(
    client: &Client,
    id: &str,
    mut file: File,
    from: u64,
    size: u64,
    bar: Arc<Bar>,
) -> Result<(), SendError> {
    file.seek(SeekFrom::Start(from)).await.map_err(SendError::File)?;
    let mut sent = from;
    let bytes = ReaderStream::with_capacity(file.take(size - from), CHUNK_BYTES);
    let bytes = bytes.inspect_ok(move |bytes| {
        sent += bytes.len() as u64;
        bar.show(sent as f32 / size as f32 * 100.0, "uploading");
    });
    let headers = [
        (RESUMABLE.0, RESUMABLE.1.to_owned()),
        ("upload-offset", from.to_string()),
        (CONTENT_TYPE.as_str(), "application/offset+octet-stream".to_owned()),
        (CONTENT_LENGTH.as_str(), (size - from).to_string()),
    ];
    let body = reqwest::Body::wrap_stream(bytes);
    let sent = client.raw(Method::PATCH, &["uploads", id], &headers, Some(body)).await;
    sent.map(drop).map_err(SendError::Client)
}

/// How much the server has.
async fn offset(client: &Client, id: &str) -> Option<u64> {
    let headers = [(RESUMABLE.0, RESUMABLE.1.to_owned())];
    let answer = client.raw(Method::HEAD, &["uploads", id], &headers, None).await.ok()?;
    answer.headers().get("upload-offset")?.to_str().ok()?.parse().ok()
}
