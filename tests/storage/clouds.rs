//! How requests to the other clouds look, to a server that only writes them down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use reelway::output::{Bucket, BucketSettings, Cloud, Storage};
use tokio::net::TcpListener;

/// Longer than an RSA key takes to be made without optimisation.
const HOUR: Duration = Duration::from_hours(1);

/// Azurite's own account: a key that everybody knows.
pub(crate) const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A request as it came in.
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A server that takes everything and has every object, ten bytes long.
async fn scribe() -> (String, Log) {
    let log = Log::default();
    let app = Router::new().fallback(write_down).with_state(log.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    (url, log)
}

async fn write_down(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let line = format!("{} {}", parts.method, parts.uri);
    let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    log.lock().expect("a log").push(Seen { line, headers: parts.headers, body });
    let response = Response::builder()
        .header("etag", "\"tag\"")
        .header("last-modified", "Wed, 25 Nov 2026 09:00:00 GMT");
    let response = match parts.method {
        Method::HEAD => response.header("content-length", "10"),
        Method::DELETE => response.status(StatusCode::NO_CONTENT),
        _ => response.status(StatusCode::CREATED),
    };
    response.body(Body::empty()).expect("an answer")
}

fn storage(cloud: Cloud, options: &[(&str, &str)]) -> Storage {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    let settings = BucketSettings {
        cloud,
        name: "media".to_owned(),
        prefix: "made".to_owned(),
        options: options.collect(),
    };
    Storage::bucket(Bucket::open(&settings).expect("a bucket"))
}

async fn put(storage: &Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source");
    std::fs::write(&source, b"0123456789").expect("a file");
    storage.put("job_1/1/a.mp4", &source).await.expect("stored");
}

#[tokio::test]
async fn azure_is_sent_a_block_blob_that_must_not_be_there_yet() {
    let (url, log) = scribe().await;
    let options = [
        ("azure_storage_account_name", "account"),
        ("azure_storage_account_key", AZURE_KEY),
        ("azure_storage_endpoint", &url),
        ("azure_allow_http", "true"),
    ];
    put(&storage(Cloud::Azure, &options)).await;
    let log = log.lock().expect("a log");
    let lines: Vec<&str> = log.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(lines, ["PUT /media/made/job_1/1/a.mp4", "HEAD /media/made/job_1/1/a.mp4"]);
    let headers = &log[0].headers;
    assert_eq!(headers["x-ms-blob-type"], "BlockBlob");
    assert_eq!(headers["if-none-match"], "*");
    assert_eq!(headers["x-ms-blob-content-type"], "video/mp4");
    let authorization = headers["authorization"].to_str().expect("text");
    assert!(authorization.starts_with("SharedKey account:"), "{authorization}");
    assert_eq!(log[0].body, b"0123456789");
}

#[tokio::test]
async fn azures_links_carry_a_signature_for_reading_and_an_end() {
    let options =
        [("azure_storage_account_name", "account"), ("azure_storage_account_key", AZURE_KEY)];
    let link = storage(Cloud::Azure, &options).link("job_1/1/a.mp4", HOUR).expect("a link");
    assert_eq!(link.host_str(), Some("account.blob.core.windows.net"));
    assert_eq!(link.path(), "/media/made/job_1/1/a.mp4");
    let has = |name: &str| link.query_pairs().find(|(known, _)| known == name);
    assert_eq!(has("sp").expect("permissions").1, "r");
    for name in ["sig", "se", "sv"] {
        assert!(has(name).is_some(), "{name}: {link}");
    }
}

#[tokio::test]
async fn google_is_sent_an_object_that_must_not_be_there_yet() {
    let (url, log) = scribe().await;
    // What emulators are reached with: an account that asks nobody for a token.
    let account = serde_json::json!({
        "gcs_base_url": url, "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    let account = account.to_string();
    let options = [("google_service_account_key", account.as_str()), ("google_allow_http", "true")];
    put(&storage(Cloud::Gcs, &options)).await;
    let log = log.lock().expect("a log");
    let lines: Vec<&str> = log.iter().map(|seen| seen.line.as_str()).collect();
    let path = "/media/made%2Fjob%5F1%2F1%2Fa%2Emp4";
    assert_eq!(lines, [format!("PUT {path}"), format!("HEAD {path}")]);
    assert_eq!(log[0].headers["x-goog-if-generation-match"], "0");
    assert_eq!(log[0].headers["content-type"], "video/mp4");
    assert_eq!(log[0].body, b"0123456789");
}

#[tokio::test]
async fn googles_links_are_signed_with_the_service_accounts_key() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    let lines = base64::engine::general_purpose::STANDARD.encode(key.serialize_der());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
    let account = serde_json::json!({
        "type": "service_account",
        "private_key": pem,
        "private_key_id": "1",
        "client_email": "reelway@example.iam.gserviceaccount.com",
    });
    let account = account.to_string();
    let options = [("google_service_account_key", account.as_str())];
    let link = storage(Cloud::Gcs, &options).link("job_1/1/a.mp4", HOUR).expect("a link");
    assert_eq!(link.host_str(), Some("storage.googleapis.com"));
    assert_eq!(link.path(), "/media/made/job_1/1/a.mp4");
    let query: std::collections::HashMap<_, _> = link.query_pairs().collect();
    assert_eq!(query["X-Goog-Expires"], "3600");
    assert_eq!(query["response-content-disposition"], "inline; filename=\"a.mp4\"");
    assert!(query["X-Goog-Credential"].starts_with("reelway@example.iam"), "{link}");
    assert!(query["X-Goog-Signature"].len() >= 256, "{link}");
}
