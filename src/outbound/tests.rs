//! The client against servers of every sort.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::loopback::{Act, Server, answer, client, client_with, fixtures, ok, redirect};
use super::{Client, MAX_ANSWER_BYTES, OutboundError, TableResolver, TlsProblem};

/// A table of the security fixtures; `None` where they are not at hand.
pub(crate) fn security_table(name: &str) -> Option<String> {
    let folder = fixtures("REELWAY_TEST_SECURITY")?;
    Some(std::fs::read_to_string(folder.join(name)).expect("a table"))
}

/// Longer than any test needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn body(client: &Client, url: &Url) -> Result<String, OutboundError> {
    let mut response = client.get(url, HeaderMap::new()).await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body).expect("text"))
}

async fn class(client: &Client, url: &Url) -> &'static str {
    body(client, url).await.map_or_else(|error| error.class(), |_| "ok")
}

async fn post(client: &Client, url: &Url) -> Result<super::Answer, OutboundError> {
    client.post(url, HeaderMap::new(), Bytes::from_static(b"{}"), PATIENCE).await
}

#[tokio::test]
async fn a_good_answer_comes_whole_and_the_request_says_who_asks() {
    let server = Server::start(|_, _| ok(b"hello")).await;
    let names = TableResolver::default().with("media.example", &["127.0.0.2"]);
    let url = server.named("http", "media.example", "/a?b=c#d");
    assert_eq!(body(&client(names), &url).await.expect("a body"), "hello");

    let request = &server.requests().await[0];
    assert_eq!(request.path(), "/a?b=c");
    assert_eq!(request.header("host"), Some(&*format!("media.example:{}", server.port())));
    assert_eq!(
        request.header("user-agent"),
        Some(&*format!("reelway/{}", env!("CARGO_PKG_VERSION")))
    );
    for name in ["accept-encoding", "cookie", "referer"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_private_literal_is_refused_without_a_connection() {
    let server = Server::start_at("127.0.0.1:0", |_, _| ok(b"secret")).await;
    let client = client(TableResolver::default());
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "127.0.0.1."] {
        let url = server.named("http", host, "/");
        assert_eq!(class(&client, &url).await, "blocked_address", "{host}");
        assert!(matches!(post(&client, &url).await, Err(OutboundError::BlockedAddress)), "{host}");
    }
    assert!(server.requests().await.is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_after_the_check_gains_nothing() {
    let server = Server::start(|_, _| ok(b"public")).await;
    let same_port = format!("127.0.0.1:{}", server.port());
    let private = Server::start_at(&same_port, |_, _| ok(b"secret")).await;
    let names = TableResolver::default()
        .with("rebind.example", &["127.0.0.2"])
        .with("rebind.example", &["127.0.0.1"]);
    let names = Arc::new(names);
    let client = client_with(names.clone(), rustls::RootCertStore::empty());
    let url = server.named("http", "rebind.example", "/");

    assert_eq!(body(&client, &url).await.expect("a body"), "public");
    assert_eq!(names.asked("rebind.example"), 1, "one request asks once");
    // No kept connection hides the change either.
    assert_eq!(class(&client, &url).await, "blocked_address");
    assert!(private.requests().await.is_empty());
}

#[tokio::test]
async fn a_name_with_one_forbidden_address_is_refused_whole() {
    let server = Server::start(|_, _| ok(b"x")).await;
    let names = TableResolver::default().with("mixed.example", &["127.0.0.2", "127.0.0.1"]);
    let url = server.named("http", "mixed.example", "/");
    assert_eq!(class(&client(names), &url).await, "blocked_address");
    assert!(server.requests().await.is_empty());
}

#[tokio::test]
async fn an_unknown_name_is_a_dns_error_and_a_closed_port_a_connect_error() {
    let server = Server::start(|_, _| ok(b"x")).await;
    let client = client(TableResolver::default());
    assert_eq!(class(&client, &server.named("http", "nobody.example", "/")).await, "dns");
    let closed = server.url("/");
    drop(server);
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.expect("a port");
    let mut free = closed;
    free.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
    drop(listener);
    assert_eq!(class(&client, &free).await, "connect");
}

#[tokio::test]
async fn redirects_of_every_status_are_followed_for_inputs() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let server = Server::start(move |request, _| match request.path() {
            "/end" => ok(b"end"),
            _ => redirect(status, "/end"),
        })
        .await;
        let client = client(TableResolver::default());
        assert_eq!(body(&client, &server.url("/")).await.expect(status), "end");
    }
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_place_is_refused_and_not_asked() {
    let private = Server::start_at("127.0.0.1:0", |_, _| ok(b"secret")).await;
    let port = private.port();
    let names = || TableResolver::default().with("inside.example", &["127.0.0.1"]);
    let cases = [
        (format!("http://127.0.0.1:{port}/"), "blocked_address"),
        (format!("http://2130706433:{port}/"), "blocked_address"),
        (format!("http://0x7f000001:{port}/"), "blocked_address"),
        (format!("//127.0.0.1:{port}/"), "blocked_address"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "blocked_address"),
        (format!("http://localhost:{port}/"), "blocked_address"),
        (format!("http://inside.example:{port}/"), "blocked_address"),
        ("file:///etc/passwd".to_owned(), "invalid_url"),
        ("gopher://127.0.0.1/".to_owned(), "invalid_url"),
        ("data:video/mp4;base64,AAAA".to_owned(), "invalid_url"),
        (format!("http://user:pass@127.0.0.2:{port}/"), "invalid_url"),
        (format!("http://127.0.0.2\\@127.0.0.1:{port}/"), "invalid_url"),
    ];
    for (location, wanted) in cases {
        for status in ["302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
            let target = location.clone();
            let server = Server::start(move |_, _| redirect(status, &target)).await;
            assert_eq!(class(&client(names()), &server.url("/")).await, wanted, "{location}");
        }
    }
    assert!(private.requests().await.is_empty());
}

#[tokio::test]
async fn a_name_is_checked_again_at_each_hop() {
    let server = Server::start(|_, _| redirect("302 Found", "/again")).await;
    let names = TableResolver::default()
        .with("rebind.example", &["127.0.0.2"])
        .with("rebind.example", &["127.0.0.1"]);
    let url = server.named("http", "rebind.example", "/");
    assert_eq!(class(&client(names), &url).await, "blocked_address");
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn five_redirects_are_followed_and_the_sixth_is_not() {
    let server = Server::start(|request, _| {
        let hop: usize = request.path().trim_start_matches('/').parse().expect("a number");
        if hop == 0 { ok(b"end") } else { redirect("302 Found", &format!("/{}", hop - 1)) }
    })
    .await;
    let client = client(TableResolver::default());
    assert_eq!(class(&client, &server.url("/5")).await, "ok");
    assert_eq!(class(&client, &server.url("/6")).await, "too_many_redirects");
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let server = Server::start(|_, _| redirect("302 Found", "/")).await;
    let client = client(TableResolver::default());
    assert_eq!(class(&client, &server.url("/")).await, "too_many_redirects");
    assert_eq!(server.requests().await.len(), 6);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let other = Server::start(|_, _| ok(b"x")).await;
    let location = other.url("/").to_string();
    let server = Server::start(move |request, _| match request.path() {
        "/" => redirect("302 Found", "/same"),
        _ => redirect("302 Found", &location),
    })
    .await;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer key"));
    headers.insert("x-plain", HeaderValue::from_static("1"));
    let client = client(TableResolver::default());
    client.get(&server.url("/"), headers).await.expect("an answer");

    let sent: Vec<bool> = (server.requests().await.iter())
        .map(|request| request.header("authorization").is_some())
        .collect();
    assert_eq!(sent, [true, true]);
    let stranger = &other.requests().await[0];
    assert_eq!((stranger.header("authorization"), stranger.header("x-plain")), (None, Some("1")));
}

#[tokio::test]
async fn a_refresh_header_is_no_redirect() {
    let server = Server::start(|_, _| {
        vec![Act::Send(answer("200 OK", "refresh: 0; url=/x\r\ncontent-length: 1\r\n", b"a"))]
    })
    .await;
    assert_eq!(body(&client(TableResolver::default()), &server.url("/")).await.expect("a"), "a");
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn a_packed_body_is_handed_over_as_it_is() {
    let server = Server::start(|_, _| {
        let headers = "content-encoding: gzip\r\ncontent-length: 4\r\n";
        vec![Act::Send(answer("200 OK", headers, b"\x1f\x8b\x08\x00"))]
    })
    .await;
    let client = client(TableResolver::default());
    let mut response = client.get(&server.url("/"), HeaderMap::new()).await.expect("an answer");
    assert_eq!(response.chunk().await.expect("bytes").as_deref(), Some(&b"\x1f\x8b\x08\x00"[..]));
}

#[tokio::test]
async fn nonsense_instead_of_http_is_a_protocol_error() {
    for nonsense in ["SSH-2.0-OpenSSH_9.6\r\n", "<html>no headers</html>\r\n\r\n"] {
        let server = Server::start(move |_, _| vec![Act::Send(nonsense.into())]).await;
        let client = client(TableResolver::default());
        assert_eq!(class(&client, &server.url("/")).await, "protocol", "{nonsense}");
    }
}

#[tokio::test]
async fn endless_headers_are_cut() {
    for line in ["x: y\r\n".to_owned(), format!("x: {}", "y".repeat(4096))] {
        let server = Server::start(move |_, _| {
            vec![
                Act::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
                Act::SendForever(line.clone().into_bytes()),
            ]
        })
        .await;
        let client = client(TableResolver::default());
        assert_eq!(class(&client, &server.url("/")).await, "protocol");
    }
}

#[tokio::test]
async fn a_broken_connection_is_a_reset_before_and_in_the_body() {
    let part = answer("200 OK", "content-length: 10\r\n", b"abc");
    let chunked = answer("200 OK", "transfer-encoding: chunked\r\n", b"5\r\nab");
    for acts in [
        vec![Act::Reset],
        vec![],
        vec![Act::Send(part.clone())],
        vec![Act::Send(part), Act::Reset],
        vec![Act::Send(chunked)],
    ] {
        let server = Server::start({
            let acts = acts.clone();
            move |_, _| acts.clone()
        })
        .await;
        let client = client(TableResolver::default());
        assert_eq!(class(&client, &server.url("/")).await, "reset", "{acts:?}");
    }
}

#[tokio::test]
async fn bytes_after_the_announced_length_are_dropped() {
    let server =
        Server::start(|_, _| vec![Act::Send(answer("200 OK", "content-length: 3\r\n", b"abcdef"))])
            .await;
    assert_eq!(
        body(&client(TableResolver::default()), &server.url("/")).await.expect("abc"),
        "abc"
    );
}

#[tokio::test]
async fn a_webhook_is_posted_and_the_answer_told() {
    let server = Server::start(|_, _| {
        let headers = "retry-after: 120\r\ncontent-length: 4\r\n";
        vec![Act::Send(answer("503 Busy", headers, b"busy"))]
    })
    .await;
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let client = client(TableResolver::default());
    let body = Bytes::from_static(br#"{"a":1}"#);
    let answer = client.post(&server.url("/hook"), headers, body, PATIENCE).await.expect("told");
    assert_eq!((answer.status, &*answer.body), (503, "busy"));
    assert_eq!(answer.retry_after.as_deref(), Some("120"));

    let request = &server.requests().await[0];
    assert!(request.head.starts_with("post /hook http/1.1"), "{}", request.head);
    assert_eq!(request.header("webhook-id"), Some("evt_1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_webhook_does_not_follow_a_redirect() {
    let server = Server::start(|_, _| redirect("307 Temporary", "/elsewhere")).await;
    let answer = post(&client(TableResolver::default()), &server.url("/")).await.expect("told");
    assert_eq!(answer.status, 307);
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn a_receivers_endless_answer_is_cut_at_16_kib() {
    let server = Server::start(|_, _| {
        vec![Act::Send(answer("200 OK", "", b"")), Act::SendForever(vec![b'a'; 5000])]
    })
    .await;
    let answer = post(&client(TableResolver::default()), &server.url("/")).await.expect("told");
    assert_eq!((answer.status, answer.body.len()), (200, MAX_ANSWER_BYTES));
}

#[tokio::test]
async fn a_silent_receiver_runs_into_the_time_limit() {
    let server = Server::start(|_, _| vec![Act::Hang]).await;
    let client = client(TableResolver::default());
    let limit = Duration::from_millis(50);
    let timed = client.post(&server.url("/"), HeaderMap::new(), Bytes::new(), limit).await;
    assert!(matches!(timed, Err(OutboundError::Timeout)), "{timed:?}");
}

#[tokio::test]
async fn a_status_counts_though_its_body_never_ends() {
    let server = Server::start(|_, _| {
        vec![Act::Send(answer("200 OK", "content-length: 9\r\n", b"abc")), Act::Hang]
    })
    .await;
    let client = client(TableResolver::default());
    let limit = Duration::from_secs(1);
    let told = client.post(&server.url("/"), HeaderMap::new(), Bytes::new(), limit).await;
    let told = told.expect("an answer");
    assert_eq!((told.status, &*told.body), (200, "abc"));
}

/// A certificate for `host`, a server that shows it, and a client that trusts who signed it.
fn tls(host: &str) -> (TlsAcceptor, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a key for the certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    (TlsAcceptor::from(Arc::new(config)), roots)
}

#[tokio::test]
async fn https_asks_for_the_name_of_the_url_and_not_for_its_address() {
    let (acceptor, roots) = tls("secure.example");
    let server = Server::start_tls(acceptor, |_, _| ok(b"sealed")).await;
    let names = TableResolver::default().with("secure.example", &["127.0.0.2"]);
    let client = client_with(Arc::new(names), roots);
    let url = server.named("https", "secure.example", "/");
    assert_eq!(body(&client, &url).await.expect("a body"), "sealed");
    let request = &server.requests().await[0];
    assert_eq!(request.server_name.as_deref(), Some("secure.example"));
    assert_eq!(request.header("host"), Some(&*format!("secure.example:{}", server.port())));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Server::start(|_, _| ok(b"x")).await;
    let location = plain.url("/").to_string();
    let (acceptor, roots) = tls("secure.example");
    let server = Server::start_tls(acceptor, move |_, _| redirect("302 Found", &location)).await;
    let names = TableResolver::default().with("secure.example", &["127.0.0.2"]);
    let client = client_with(Arc::new(names), roots);
    let url = server.named("https", "secure.example", "/");
    assert_eq!(class(&client, &url).await, "redirect_downgrade");
    assert!(plain.requests().await.is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_host_or_an_unknown_signer_is_refused() {
    let (acceptor, roots) = tls("other.example");
    let server = Server::start_tls(acceptor, |_, _| ok(b"x")).await;
    let names = || Arc::new(TableResolver::default().with("secure.example", &["127.0.0.2"]));
    let url = server.named("https", "secure.example", "/");
    for (roots, wanted) in [
        (roots, TlsProblem::WrongHost),
        (rustls::RootCertStore::empty(), TlsProblem::UnknownAuthority),
    ] {
        let refused = post(&client_with(names(), roots), &url).await.expect_err("refused");
        assert_eq!(refused.class(), "tls", "{refused:?}");
        assert!(matches!(refused, OutboundError::Tls { problem, .. } if problem == wanted));
    }
    assert!(server.requests().await.is_empty());
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_a_tls_error() {
    let server = Server::start(|_, _| ok(b"x")).await;
    let (_, roots) = tls("secure.example");
    let names = TableResolver::default().with("secure.example", &["127.0.0.2"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(server);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _sent =
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 No\r\n\r\n").await;
        std::future::pending::<()>().await;
    });
    let url = Url::parse(&format!("https://secure.example:{port}/")).expect("a URL");
    assert_eq!(class(&client_with(Arc::new(names), roots), &url).await, "tls");
}

/// The name of the test below and of the variable that says that it runs in its own child.
const PROXY_TEST: &str = "outbound::tests::a_proxy_of_the_environment_is_not_used";

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let server = Server::start(|_, _| ok(b"direct")).await;
    if std::env::var_os(PROXY_TEST).is_some() {
        let answer = body(&client(TableResolver::default()), &server.url("/")).await;
        assert_eq!(answer.expect("a body"), "direct");
        return;
    }
    // The environment of a process is set before it starts: the test runs itself again.
    let proxy = Server::start(|_, _| ok(b"proxied")).await;
    let program = std::env::current_exe().expect("this program");
    #[expect(clippy::disallowed_methods, reason = "the child is this test and no ffmpeg")]
    let mut child = tokio::process::Command::new(program);
    child.args(["--exact", PROXY_TEST]).env(PROXY_TEST, "1").env_remove("NO_PROXY");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy.url("/").as_str());
    }
    let ended = child.output().await.expect("a child");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    assert!(proxy.requests().await.is_empty());
}

#[tokio::test]
async fn no_error_text_names_an_address() {
    let client = client(TableResolver::default().with("inside.example", &["10.1.2.3"]));
    for url in ["http://inside.example/", "http://127.0.0.2:1/", "http://nobody.example/"] {
        let url = Url::parse(url).expect("a URL");
        let text = body(&client, &url).await.expect_err("refused").to_string();
        assert!(!text.contains("10.1.2.3") && !text.contains("127.0.0"), "{text}");
    }
}
