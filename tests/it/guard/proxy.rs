//! No client goes through a proxy that the environment names.

use std::sync::Arc;

use reelway::outbound::TableResolver;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::clients::Who;
use super::ground::{Act, Door, Ground, PRIVATE};

/// The name of the test below, and of the variable that says that it runs in its own child.
const TEST: &str = "guard::proxy::no_client_uses_a_proxy_of_the_environment";

#[tokio::test]
async fn no_client_uses_a_proxy_of_the_environment() {
    if std::env::var_os(TEST).is_some() {
        return all_go_straight().await;
    }
    // The environment of a process is set before it starts: the test runs itself again.
    let proxy = TcpListener::bind((PRIVATE, 0)).await.expect("a port");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    let program = std::env::current_exe().expect("this program");
    #[expect(clippy::disallowed_methods, reason = "the child is this test and no ffmpeg")]
    let mut child = tokio::process::Command::new(program);
    child.args(["--exact", TEST]).env(TEST, "1");
    for name in ["NO_PROXY", "no_proxy"] {
        child.env_remove(name);
    }
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        child.env(name, &url);
    }
    let asked = async {
        let (mut stream, _) = proxy.accept().await.expect("a connection");
        let mut head = [0; 512];
        let read = stream.read(&mut head).await.unwrap_or(0);
        String::from_utf8_lossy(&head[..read]).into_owned()
    };
    tokio::select! {
        ended = child.output() => {
            let ended = ended.expect("a child");
            let said = String::from_utf8_lossy(&ended.stdout);
            assert!(ended.status.success() && said.contains("1 passed"), "{said}");
        }
        head = asked => panic!("the proxy was asked: {head}"),
    }
}

/// Each client reaches the public server by its name and by its address.
async fn all_go_straight() {
    for who in Who::ALL {
        for host in ["public.example", "127.0.0.2"] {
            let names = TableResolver::default().with("public.example", &["127.0.0.2"]);
            let (headers, body) = who.good();
            let head =
                format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
            let answer = vec![Act::Send([head.as_bytes(), body].concat())];
            let roots = rustls::RootCertStore::empty();
            let script = Arc::new(move |_| answer.clone());
            let ground = Ground::of(names, Door::Open, roots, script, false).await;
            let url = format!("http://{host}:{}/", ground.port);
            assert_eq!(who.ask(&url, ground.client(), 1).await, "ok", "{} {host}", who.name());
            let heads = ground.heads();
            assert!(!heads.is_empty(), "{}", who.name());
            assert!(!heads[0].contains(" http://"), "a request line for a proxy: {}", heads[0]);
        }
    }
}
