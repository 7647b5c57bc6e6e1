//! `POST /files` and `/uploads`: files that callers send, and jobs of them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use insta::assert_snapshot;
use reelway::access::Scopes;
use reelway::job::Kept;
use reelway::worker::{Retention, Sweeper};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

use crate::answer::Answer;
use crate::app::TestApp;

/// So many bytes that look like the beginning of a video; parts have 1 KiB here.
fn video(size: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    bytes.extend((bytes.len()..size).map(|n| (n % 251) as u8));
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
    app.call(Method::POST, path, headers, body).await
}

/// A body that breaks off behind these bytes.
fn cut(bytes: &[u8]) -> Body {
    let bytes = Bytes::copy_from_slice(bytes);
    Body::from_stream(stream::iter([
        Ok(bytes),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    ]))
}

/// The path of a URL of this server.
fn path(url: &Value) -> String {
    let url = url.as_str().expect("a URL");
    url.strip_prefix("https://media.example.com").expect("a URL of this server").to_owned()
}

/// What lies in storage for uploads.
fn stored(app: &TestApp) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(app.files().join("uploads")).into_iter().flatten();
    let folders = folders.filter_map(Result::ok).map(|entry| entry.path());
    folders
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok))
        .map(|entry| entry.path())
        .collect()
}

async fn count(app: &TestApp, query: &str) -> i64 {
    let url = format!("sqlite://{}", app.database().display());
    let mut conn = sqlx::SqliteConnection::connect(&url).await.expect("a reader");
    let query = sqlx::AssertSqlSafe(query.to_owned());
    sqlx::query_scalar(query).fetch_one(&mut conn).await.expect("a number")
}

#[tokio::test]
async fn a_file_is_sent_as_the_body_and_read_back_by_its_url() {
    let app = TestApp::new().await;
    let bytes = video(5000);
    let answer = post(&app, "/files?name=%2Ftmp%2Fmy%20clip.mp4", &[], bytes.clone().into()).await;
    assert_snapshot!(answer.shown());
    let file = answer.json();
    assert_eq!(file["sha256"], sha256(&bytes));
    assert_eq!(answer.header("location"), file["url"]);
    let read = app.get(&path(&file["url"])).await;
    assert_eq!((read.status.as_u16(), read.header("content-type")), (200, "video/mp4"));
    for (name, value) in [
        ("content-disposition", "attachment"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(read.header(name), value);
    }
    assert_eq!(&read.body[..], &bytes[..]);
    assert_eq!(stored(&app).len(), 5, "in parts");
}

#[tokio::test]
async fn a_file_is_sent_as_a_field_of_a_form() {
    let app = TestApp::new().await;
    let bytes = video(3000);
    let mut form = b"--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"clip.png\"\r\n\
        content-type: image/png\r\n\r\n"
        .to_vec();
    form.extend(&bytes);
    form.extend(b"\r\n--x--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    let answer = post(&app, "/files", &headers, form.clone().into()).await;
    let file = answer.json();
    assert_eq!(answer.status, 201, "{file}");
    assert_eq!(
        [&file["name"], &file["kind"], &file["format"], &file["sha256"]],
        [&json!("clip.png"), &json!("video"), &json!("mp4"), &json!(sha256(&bytes))],
        "the type is read from the file and not from the form"
    );
    let halves = post(&app, "/files", &headers, cut(&form[..2000])).await;
    assert_eq!((halves.status.as_u16(), halves.kind().as_str()), (400, "invalid_input"));
    let empty = post(&app, "/files", &headers, "--x--\r\n".into()).await;
    assert_eq!((empty.status.as_u16(), empty.json()["field"].as_str()), (400, Some("file")));
    let bare = [("content-type", "multipart/form-data")];
    assert_eq!(post(&app, "/files", &bare, form.into()).await.status, 400);
    assert_eq!(count(&app, "select count(*) from uploads").await, 1);
}

#[tokio::test]
async fn what_does_not_arrive_whole_leaves_nothing() {
    let app = TestApp::with(|state| state.uploads.limits.max_bytes = 6000).await;
    for (body, status, kind) in [
        (cut(&video(4500)), 400, "invalid_input"),
        (Body::empty(), 400, "invalid_input"),
        (b"<!doctype html><title>no</title>".to_vec().into(), 415, "unsupported_media_type"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n".to_vec().into(), 415, "unsupported_media_type"),
        (video(6001).into(), 413, "body_too_large"),
        (Body::from_stream(stream::iter([Ok::<_, io::Error>(video(7000))])), 413, "body_too_large"),
    ] {
        let answer = post(&app, "/files", &[], body).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (status, kind), "{answer:?}");
        assert!(answer.json()["hint"].is_string(), "{answer:?}");
        assert_eq!(stored(&app), [] as [PathBuf; 0], "{kind}");
        assert_eq!(count(&app, "select count(*) from uploads").await, 0, "{kind}");
    }
    assert_eq!(post(&app, "/files", &[], video(6000).into()).await.status, 201);
}

#[tokio::test]
async fn a_full_disk_is_told_as_such() {
    let app = TestApp::with(|state| state.uploads.limits.reserve_bytes = u64::MAX / 2).await;
    let answer = post(&app, "/files", &[], video(100).into()).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (507, "disk_full"));
    let tus = [("tus-resumable", "1.0.0"), ("upload-length", "100")];
    assert_eq!(post(&app, "/uploads", &tus, Body::empty()).await.status, 507);
}

#[tokio::test]
async fn a_sender_that_says_nothing_is_not_waited_for() {
    let stall = Duration::from_millis(50);
    let app = TestApp::with(|state| state.uploads.limits.stall = stall).await;
    let silent = Body::from_stream(futures::StreamExt::chain(
        stream::iter([Ok::<_, io::Error>(video(2000))]),
        stream::pending(),
    ));
    let answer = post(&app, "/files", &[], silent).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (408, "request_timeout"));
    assert_eq!(stored(&app), [] as [PathBuf; 0]);
}

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const PIECE: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// Begins an upload of so many bytes; returns its path.
async fn begin(app: &TestApp, size: usize) -> String {
    let size = size.to_string();
    let headers = [TUS, ("upload-length", &size), ("upload-metadata", "filename Y2xpcC5tcDQ=")];
    let answer = post(app, "/uploads/", &headers, Body::empty()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!((answer.header("upload-offset"), answer.header("tus-resumable")), ("0", "1.0.0"));
    answer.header("location").to_owned()
}

async fn patch(
    app: &TestApp,
    path: &str,
    from: usize,
    more: &[(&str, &str)],
    body: Body,
) -> Answer {
    let from = from.to_string();
    let headers = [&[TUS, PIECE, ("upload-offset", &from)], more].concat();
    app.call(Method::PATCH, path, &headers, body).await
}

async fn head(app: &TestApp, path: &str) -> Answer {
    app.call(Method::HEAD, path, &[TUS], Body::empty()).await
}

#[tokio::test]
async fn an_upload_grows_piece_by_piece_to_a_file() {
    let app = TestApp::new().await;
    let bytes = video(5000);
    let path = begin(&app, bytes.len()).await;
    assert!(path.starts_with("/uploads/upl_"), "{path}");
    for (from, to) in [(0, 10), (10, 1500), (1500, 4999)] {
        let answer = patch(&app, &path, from, &[], bytes[from..to].to_vec().into()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("upload-offset")),
            (204, &*to.to_string())
        );
        let seen = head(&app, &path).await;
        assert_eq!(
            (seen.header("upload-offset"), seen.header("upload-length")),
            (&*to.to_string(), "5000")
        );
        assert_eq!(seen.header("cache-control"), "no-store");
        assert_eq!(seen.header("upload-metadata"), "filename Y2xpcC5tcDQ=");
        assert_eq!(app.get(&path).await.kind(), "upload_unfinished");
    }
    let tomorrow = "Tue, 25 Nov 2025 16:00:00 GMT";
    assert_eq!(head(&app, &path).await.header("upload-expires"), tomorrow);
    let last = patch(&app, &path, 4999, &[], bytes[4999..].to_vec().into()).await;
    assert_eq!(last.header("upload-expires"), "Mon, 01 Dec 2025 16:00:00 GMT");
    assert_eq!(&app.get(&path).await.body[..], &bytes[..]);
    let digest = format!("select count(*) from uploads where sha256 = '{}'", sha256(&bytes));
    assert_eq!(count(&app, &digest).await, 1, "over all pieces");
}

#[tokio::test]
async fn what_came_before_a_cut_counts_and_the_rest_follows() {
    let app = TestApp::new().await;
    let bytes = video(5000);
    let path = begin(&app, bytes.len()).await;
    let broken = patch(&app, &path, 0, &[], cut(&bytes[..2500])).await;
    assert_eq!(broken.status, 400);
    assert_eq!(head(&app, &path).await.header("upload-offset"), "2500");
    for elsewhere in [0, 2499, 2501] {
        let answer = patch(&app, &path, elsewhere, &[], "more".into()).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (409, "upload_conflict"));
    }
    let rest = patch(&app, &path, 2500, &[], bytes[2500..].to_vec().into()).await;
    assert_eq!(rest.header("upload-offset"), "5000");
    assert_eq!(&app.get(&path).await.body[..], &bytes[..]);
}

#[tokio::test]
async fn an_upload_begins_with_its_first_bytes_if_they_are_there() {
    let app = TestApp::new().await;
    let bytes = video(3000);
    let headers = [TUS, PIECE, ("upload-length", "3000")];
    for route in ["/uploads", "/files"] {
        let answer = post(&app, route, &headers, bytes[..2000].to_vec().into()).await;
        assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (201, "2000"));
        let whole = post(&app, route, &headers, bytes.clone().into()).await;
        assert_eq!((whole.status.as_u16(), whole.header("upload-offset")), (201, "3000"));
        assert_eq!(&app.get(whole.header("location")).await.body[..], &bytes[..]);
    }
    let more = post(&app, "/uploads", &headers, video(3001).into()).await;
    assert_eq!((more.status.as_u16(), more.kind().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn bytes_that_are_not_those_of_their_checksum_do_not_count() {
    let app = TestApp::new().await;
    let bytes = video(4000);
    let path = begin(&app, bytes.len()).await;
    let checksum = |bytes: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(bytes)));
    let wrong = checksum(b"other bytes");
    let wrong = [("upload-checksum", &*wrong)];
    let answer = patch(&app, &path, 0, &wrong, bytes[..2500].to_vec().into()).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (460, "checksum_mismatch"));
    assert_eq!(head(&app, &path).await.header("upload-offset"), "0");
    assert_eq!(stored(&app), [] as [PathBuf; 0]);
    let broken = checksum(&bytes);
    let broken = [("upload-checksum", &*broken)];
    assert_eq!(patch(&app, &path, 0, &broken, cut(&bytes[..2500])).await.status, 400);
    assert_eq!(head(&app, &path).await.header("upload-offset"), "0");
    for (from, to) in [(0, 2500), (2500, 4000)] {
        let right = checksum(&bytes[from..to]);
        let right = [("upload-checksum", &*right)];
        let answer = patch(&app, &path, from, &right, bytes[from..to].to_vec().into()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("upload-offset")),
            (204, &*to.to_string())
        );
    }
    assert_eq!(&app.get(&path).await.body[..], &bytes[..]);
    let md5 = [("upload-checksum", "md5 AAAA")];
    assert_eq!(patch(&app, &path, 4000, &md5, Body::empty()).await.status, 400);
}

#[tokio::test]
async fn an_upload_that_is_ended_is_gone_with_its_bytes() {
    let app = TestApp::new().await;
    let path = begin(&app, 3000).await;
    patch(&app, &path, 0, &[], video(2000).into()).await;
    let ended = app.call(Method::DELETE, &path, &[TUS], Body::empty()).await;
    assert_eq!(ended.status, 204);
    assert_eq!(stored(&app), [] as [PathBuf; 0]);
    assert_eq!(head(&app, &path).await.status, 404);
    assert_eq!(patch(&app, &path, 2000, &[], "x".into()).await.kind(), "upload_not_found");
    assert_eq!(app.delete(&path).await.kind(), "upload_not_found");
}

#[tokio::test]
async fn what_is_no_media_is_refused_with_its_first_piece_and_gone() {
    let app = TestApp::new().await;
    let path = begin(&app, 3000).await;
    let answer = patch(&app, &path, 0, &[], "<!doctype html><title>x</title>".into()).await;
    assert_snapshot!(answer.shown());
    assert_eq!(head(&app, &path).await.status, 404);
}

#[tokio::test]
async fn requests_that_do_not_speak_the_protocol_are_told_what_it_is() {
    let app = TestApp::new().await;
    let spoken = app.call(Method::OPTIONS, "/uploads", &[], Body::empty()).await;
    assert_eq!(spoken.status, 204);
    let said = ["tus-version", "tus-extension", "tus-max-size", "tus-checksum-algorithm"];
    assert_snapshot!(said.map(|name| format!("{name}: {}", spoken.header(name))).join("\n"));
    let path = begin(&app, 10).await;
    let length = ("upload-length", "10");
    let offset = ("upload-offset", "0");
    for (method, path, headers, status) in [
        (Method::POST, "/uploads", &[length][..], 412),
        (Method::POST, "/uploads", &[("tus-resumable", "0.2.2"), length], 412),
        (Method::POST, "/uploads", &[TUS], 400),
        (Method::POST, "/uploads", &[TUS, ("upload-defer-length", "1")], 400),
        (Method::POST, "/uploads", &[TUS, ("upload-length", "-1")], 400),
        (Method::POST, "/uploads", &[TUS, ("upload-length", "0")], 400),
        (Method::POST, "/uploads", &[TUS, ("upload-length", "99999999999999")], 413),
        (Method::POST, "/uploads", &[TUS, length, ("upload-metadata", "a b c")], 400),
        (Method::HEAD, &*path, &[], 412),
        (Method::PATCH, &*path, &[PIECE, offset], 412),
        (Method::PATCH, &*path, &[TUS, offset], 415),
        (Method::PATCH, &*path, &[TUS, PIECE], 400),
        (Method::PATCH, "/uploads/upl_1", &[TUS, PIECE, offset], 404),
        (Method::PUT, &*path, &[TUS], 405),
    ] {
        let answer = app.call(method.clone(), path, headers, Body::empty()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {headers:?}");
        if method != Method::HEAD {
            assert!(answer.json()["hint"].is_string() || status == 400, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_job_takes_the_file_of_its_own_project_alone() {
    let app = TestApp::new().await;
    let key = async |project| app.key_of(project, Scopes::usual().iter()).await;
    let (sender, same, other) = (key("one").await, key("one").await, key("two").await);
    let [one, one_too, two] = [&sender, &same, &other].map(|(name, value)| (*name, &**value));
    let file = post(&app, "/files", &[one], video(2000).into()).await.json();
    let url = file["url"].as_str().expect("a URL");
    let body = json!({"input": url, "kind": "video"});
    let job = app.post_with("/jobs", &[one], &body).await;
    assert_eq!((job.status.as_u16(), &job.json()["input"]), (201, &json!(url)), "as it was sent");
    let claim = app.claim().await;
    let Some(Kept::Upload(id)) = claim.job.spec.input.kept() else { panic!("an upload") };
    assert_eq!(json!(id.to_string()), file["id"]);

    let theirs = app.post_with("/jobs", &[two], &body).await;
    assert_snapshot!(theirs.shown());
    let batch = json!({"url": url, "tasks": [{"kind": "image"}]});
    assert_eq!(app.post_with("/process", &[two], &batch).await.kind(), "invalid_input");
    assert_eq!(app.post_with("/process", &[one_too], &batch).await.status, 200);
    let read = app.call(Method::GET, &path(&file["url"]), &[two], Body::empty()).await;
    assert_eq!(read.kind(), "upload_not_found");
}

#[tokio::test]
async fn a_job_takes_no_file_that_is_not_whole_or_not_there() {
    let app = TestApp::new().await;
    let half = begin(&app, 3000).await;
    patch(&app, &half, 0, &[], video(2000).into()).await;
    let gone = "/uploads/upl_01h2xcejqtf2nbrexx3vqjhp41";
    for path in [half.as_str(), gone] {
        let url = format!("https://media.example.com{path}");
        let answer = app.post("/jobs", &json!({"input": url, "kind": "video"})).await;
        assert_eq!((answer.status.as_u16(), answer.json()["field"].as_str()), (400, Some("input")));
        let elsewhere = format!("https://elsewhere.example.com{path}");
        let answer = app.post("/jobs", &json!({"input": elsewhere, "kind": "video"})).await;
        assert_eq!(answer.status, 201, "another server's file is fetched from there");
    }
    let whole = post(&app, "/files", &[], video(2000).into()).await.json();
    let reached = format!("http://localhost:3000{}", path(&whole["url"]));
    let host = [("host", "localhost:3000")];
    let job = json!({"input": reached, "kind": "video"});
    let answer = app.post_with("/jobs", &host, &job).await;
    assert_eq!(answer.status, 201, "where the caller has reached this server: {answer:?}");
    let private = json!({"input": format!("http://127.0.0.1:3000{gone}"), "kind": "video"});
    assert_eq!(app.post("/jobs", &private).await.status, 400, "a private address is one");
}

#[tokio::test]
async fn uploads_that_nobody_uses_go_with_the_sweep() {
    let app = TestApp::new().await;
    let half = begin(&app, 3000).await;
    patch(&app, &half, 0, &[], video(2000).into()).await;
    let whole = post(&app, "/files", &[], video(2000).into()).await.json();
    let sweeper = Sweeper {
        store: app.store.clone(),
        storage: app.storage.clone(),
        retention: Retention::default(),
        clock: app.clock.clone(),
    };
    app.clock.advance(Duration::from_hours(26));
    sweeper.sweep().await.expect("swept");
    assert_eq!(head(&app, &half).await.status, 404);
    app.clock.advance(Duration::from_hours(2));
    sweeper.sweep().await.expect("swept");
    assert_eq!(stored(&app).len(), 2, "the parts of the whole one");
    app.clock.advance(Duration::from_hours(6 * 24));
    sweeper.sweep().await.expect("swept");
    assert_eq!(app.get(&path(&whole["url"])).await.status, 404);
}

#[tokio::test]
async fn pages_of_named_origins_may_call_and_others_may_not() {
    let origin = HeaderValue::from_static("https://app.example.com");
    let open = TestApp::with(|state| state.cors_origins = vec![origin]).await;
    let closed = TestApp::new().await;
    let asked = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "tus-resumable,upload-offset,authorization"),
    ];
    let path = "/uploads/upl_1";
    let preflight = open.call(Method::OPTIONS, path, &asked, Body::empty()).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example.com");
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    for name in ["tus-resumable", "upload-offset", "upload-metadata", "authorization"] {
        assert!(preflight.header("access-control-allow-headers").contains(name), "{name}");
    }
    let headers = [TUS, asked[0], ("upload-length", "10")];
    let answer = post(&open, "/uploads", &headers, Body::empty()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    for name in ["location", "upload-offset", "tus-resumable", "upload-expires"] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    let stranger = [("origin", "https://evil.example"), asked[1], asked[2]];
    let refused = open.call(Method::OPTIONS, path, &stranger, Body::empty()).await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    let shut = closed.call(Method::OPTIONS, path, &asked, Body::empty()).await;
    assert_eq!(shut.header("access-control-allow-origin"), "");
}
