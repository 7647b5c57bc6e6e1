//! `GET|HEAD /files/{key}`: links, ranges, conditions.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use insta::assert_snapshot;
use reelway::request::Auth;

use crate::answer::{Answer, redacted};
use crate::app::{LINK_LIFE, TestApp};

const BYTES: &[u8] = b"0123456789";

/// An open server with one output, and the output's path.
async fn with_file() -> (TestApp, String) {
    let app = TestApp::new().await;
    app.submit("video").await;
    let key = app.finish(app.claim().await, BYTES).await;
    (app, format!("/files/{key}"))
}

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.call(Method::GET, path, headers, Body::empty()).await
}

#[tokio::test]
async fn a_file_comes_whole_with_headers_that_keep_browsers_from_guessing() {
    let (app, path) = with_file().await;
    let answer = get(&app, &path, &[]).await;
    assert_eq!(&answer.body[..], BYTES);
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    headers.sort();
    assert_snapshot!(format!("{}\n{}", answer.status, redacted(&headers.join("\n"))));
}

#[tokio::test]
async fn head_answers_as_get_without_the_bytes() {
    let (app, path) = with_file().await;
    for headers in [&[][..], &[("range", "bytes=2-4")], &[("range", "bytes=99-")]] {
        let whole = get(&app, &path, headers).await;
        let head = app.call(Method::HEAD, &path, headers, Body::empty()).await;
        assert_eq!(head.status, whole.status);
        assert_eq!(head.body.len(), 0);
        let shown = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers
        };
        assert_eq!(shown(&head), shown(&whole), "{headers:?}");
    }
}

#[tokio::test]
async fn one_range_is_answered_with_its_part() {
    let (app, path) = with_file().await;
    for (range, status, content_range, body) in [
        ("bytes=0-0", 206, "bytes 0-0/10", "0"),
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=5-999", 206, "bytes 5-9/10", "56789"),
        ("bytes=0-1,4-5", 200, "", "0123456789"),
        ("bytes=x", 200, "", "0123456789"),
    ] {
        let answer = get(&app, &path, &[("range", range)]).await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{range}");
        assert_eq!(answer.body, body, "{range}");
    }
    let outside = get(&app, &path, &[("range", "bytes=10-")]).await;
    assert_eq!((outside.status.as_u16(), outside.header("content-range")), (416, "bytes */10"));
    assert_eq!(outside.kind(), "range_not_satisfiable");
}

#[tokio::test]
async fn a_file_that_is_known_already_is_not_sent_again() {
    let (app, path) = with_file().await;
    let etag = get(&app, &path, &[]).await.header("etag").to_owned();
    for known in [etag.as_str(), "*", &format!("\"other\", W/{etag}")] {
        let answer = get(&app, &path, &[("if-none-match", known)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), etag);
    }
    assert_eq!(get(&app, &path, &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn a_range_of_another_version_is_answered_with_the_whole() {
    let (app, path) = with_file().await;
    let etag = get(&app, &path, &[]).await.header("etag").to_owned();
    let same = get(&app, &path, &[("range", "bytes=1-2"), ("if-range", &etag)]).await;
    assert_eq!((same.status.as_u16(), &same.body[..]), (206, &b"12"[..]));
    let other = get(&app, &path, &[("range", "bytes=1-2"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status.as_u16(), &other.body[..]), (200, BYTES));
}

#[tokio::test]
async fn a_player_on_any_page_may_read_what_a_link_opens() {
    let (app, path) = with_file().await;
    let asked = app.call(Method::OPTIONS, &path, &[], Body::empty()).await;
    assert_eq!(asked.status, 204);
    let sent = get(&app, &path, &[("origin", "https://example.com")]).await;
    for answer in [asked, sent] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-headers"), "Range, Authorization");
        assert!(answer.header("access-control-expose-headers").contains("Content-Range"));
        // Nothing here goes by cookies, and none may be sent along.
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
}

/// A server that asks for a key, one output, and a link to it.
async fn locked() -> (TestApp, String, String) {
    let app = TestApp::with(|state| state.auth = Auth::new(&["k".into()])).await.key("k");
    app.submit("video").await;
    let key = app.finish(app.claim().await, BYTES).await;
    let link = app.links.link(&key).replace("https://media.example.com", "");
    (app.key("wrong"), format!("/files/{key}"), link)
}

#[tokio::test]
async fn a_link_opens_its_file_and_its_end_closes_it() {
    let (app, path, link) = locked().await;
    assert_eq!(get(&app, &link, &[]).await.status, 200);
    assert_eq!(get(&app, &path, &[]).await.kind(), "token_invalid");
    app.clock.advance(LINK_LIFE + Duration::from_secs(1));
    assert_snapshot!(get(&app, &link, &[]).await.shown());
    let app = app.key("k");
    assert_eq!(get(&app, &link, &[]).await.status, 200, "a key needs no link");
    assert_eq!(get(&app, &path, &[]).await.status, 200);
}

#[tokio::test]
async fn a_link_that_was_tampered_with_opens_nothing() {
    let (app, path, link) = locked().await;
    let query = link.split_once('?').expect("a query").1;
    let flipped = match link.as_bytes()[link.len() - 1] {
        b'0' => '1',
        _ => '0',
    };
    let other = format!("/files/job_other/1/video.mp4?{query}");
    let (expires, signature) = query.split_once('&').expect("two parts");
    for forged in [
        format!("{}{flipped}", &link[..link.len() - 1]),
        link.replace("expires=1", "expires=2"),
        other,
        format!("{path}?expires=x&{signature}"),
        format!("{path}?{expires}&signature=zz"),
        format!("{path}?{expires}&signature="),
        format!("{link}&expires=99999999999"),
    ] {
        let answer = get(&app, &forged, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.kind().as_str()),
            (401, "link_invalid"),
            "{forged}"
        );
    }
    for unsigned in [path.clone(), format!("{path}?{expires}"), format!("{path}?{signature}")] {
        assert_eq!(get(&app, &unsigned, &[]).await.kind(), "token_invalid", "{unsigned}");
    }
    assert_snapshot!(get(&app, &link.replace("signature=", "signature=00"), &[]).await.shown());
}

#[tokio::test]
async fn what_is_in_storage_but_was_not_published_is_not_there() {
    let (app, _) = with_file().await;
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("half");
    std::fs::write(&source, b"half").expect("a file");
    app.storage.put("job_1/1/half.mp4", &source).await.expect("stored");
    assert_eq!(get(&app, "/files/job_1/1/half.mp4", &[]).await.kind(), "file_not_found");
}
