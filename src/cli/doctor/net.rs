//! Whether the server can listen, and whether others can reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use url::Url;

use super::super::client::{Client, ServerArgs, is_loopback};
use super::Check;

/// The port is free, or a Reelway has it.
pub(super) async fn check_port(bind: SocketAddr) -> Check {
    let Err(error) = TcpListener::bind(bind).await else {
        return Check::good("port", format!("{bind} is free"));
    };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        let found = format!("cannot listen on {bind}: {error}");
        return Check::bad("port", found, "choose another address with --bind and --port");
    }
    if answers(bind).await {
        Check::good("port", format!("a server answers on {bind}"))
    } else {
        let found = format!("{bind} is taken by another program");
        Check::bad("port", found, "choose another port with --port or PORT")
    }
}

/// Whether a Reelway answers at the address.
async fn answers(bind: SocketAddr) -> bool {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(ip, bind.port()));
    let Ok(server) = Url::parse(&url) else { return false };
    let Ok(client) = Client::new(&ServerArgs { server, key: None }) else { return false };
    client.is_up().await
}

/// What stands in front of links to outputs leads somewhere.
pub(super) fn check_public_url(url: Option<&Url>, bind: SocketAddr) -> Check {
    let say_it = "say how clients reach the server with --public-url or REELWAY_PUBLIC_URL";
    let Some(url) = url else {
        let found = format!("links to outputs begin with http://{bind}");
        return match bind.ip() {
            ip if ip.is_loopback() => Check::good("links", found + ", for this machine only"),
            ip if ip.is_unspecified() => {
                Check::doubtful("links", found + ", which leads nowhere", say_it)
            }
            _ => Check::doubtful("links", found + ", without encryption", say_it),
        };
    };
    let found = format!("links to outputs begin with {url}");
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Check::bad("links", found + ", which no browser opens", say_it);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Check::bad("links", found + ", where a path cannot be added", say_it);
    }
    let local = is_loopback(url);
    match (url.scheme(), local, bind.ip().is_loopback()) {
        ("https", false, _) | (_, true, true) => Check::good("links", found),
        (_, true, false) => Check::doubtful("links", found + ", for this machine only", say_it),
        _ => Check::doubtful("links", found + ", without encryption", "use https"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_public_url_is_judged_by_who_can_follow_it() {
        use Verdict::{Bad, Doubtful, Good};
        let cases = [
            (None, "127.0.0.1:3000", Good),
            (None, "[::]:3000", Doubtful),
            (None, "192.0.2.1:3000", Doubtful),
            (Some("https://media.example.com"), "[::]:3000", Good),
            (Some("http://media.example.com"), "[::]:3000", Doubtful),
            (Some("http://localhost:3000"), "127.0.0.1:3000", Good),
            (Some("http://localhost:3000"), "[::]:3000", Doubtful),
            (Some("ftp://media.example.com"), "[::]:3000", Bad),
            (Some("https://media.example.com/?a"), "[::]:3000", Bad),
        ];
        for (url, bind, verdict) in cases {
            let parsed = url.map(|url| Url::parse(url).expect("a URL"));
            let check = check_public_url(parsed.as_ref(), bind.parse().expect("an address"));
            assert_eq!(check.verdict, verdict, "{url:?} {bind}: {}", check.found);
        }
    }

    #[tokio::test]
    async fn a_port_that_another_program_has_is_bad() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let bind = listener.local_addr().expect("an address");
        let other = axum::Router::new().route("/healthz", axum::routing::get(|| async { "hello" }));
        tokio::spawn(axum::serve(listener, other).into_future());
        assert_eq!(check_port(bind).await.verdict, Verdict::Bad);
    }

    #[tokio::test]
    async fn a_free_port_is_good() {
        let any = "127.0.0.1:0".parse().expect("an address");
        assert_eq!(check_port(any).await.verdict, Verdict::Good);
    }
}
