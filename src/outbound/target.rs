//! A URL that may be asked for, and the addresses that it was checked to lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;
use url::{Host, Url};

use super::{Guard, OutboundError, Resolve, UrlProblem};

/// The longest URL in bytes, in a redirect as well.
const MAX_URL_BYTES: usize = 8192;

/// How many addresses of a name are tried; all of them are checked.
const MAX_ADDRESSES: usize = 8;

/// A URL whose text and literal host have been checked; its name has not been resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// A URL and the addresses it may be fetched from, every one of them checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The URL.
    pub url: Url,
    /// Where to connect to; never empty.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// Checks the text of a URL and everything that can be known of it without asking a name
    /// server.
    ///
    /// # Errors
    ///
    /// `invalid_url` or `blocked_address`.
    pub fn parse(text: &str, guard: &Guard) -> Result<Self, OutboundError> {
        check_text(text)?;
        Self::of(&Url::parse(text).map_err(|_| UrlProblem::NotAUrl)?, guard)
    }

    /// Checks a URL that has been parsed already; what its raw text held cannot be known.
    ///
    /// # Errors
    ///
    /// `invalid_url` or `blocked_address`.
    pub fn of(url: &Url, guard: &Guard) -> Result<Self, OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlProblem::Scheme.into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlProblem::UserInfo.into());
        }
        // A host may hold more as a URL has it (`{`, `"`) than as a request has it.
        if url.as_str().parse::<Uri>().is_err() {
            return Err(UrlProblem::NotAUrl.into());
        }
        let (host, port) = host_and_port(url)?;
        match host {
            Host::Ipv4(address) => check_address(guard, SocketAddr::new(address.into(), port))?,
            Host::Ipv6(address) => check_address(guard, SocketAddr::new(address.into(), port))?,
            // The name means this machine whatever a name server says (RFC 6761).
            Host::Domain(name) if is_localhost(name) => {
                let loopbacks: [IpAddr; 2] =
                    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                if !loopbacks.into_iter().any(|address| guard.permits(address)) {
                    return Err(OutboundError::BlockedAddress);
                }
            }
            Host::Domain(_) => {}
        }
        Ok(Self { url: url.clone() })
    }

    /// Where a redirect from `from` leads to: `location` is the header's raw value.
    ///
    /// # Errors
    ///
    /// `invalid_url`, `blocked_address` or `redirect_downgrade`.
    pub fn redirected(from: &Url, location: &[u8], guard: &Guard) -> Result<Self, OutboundError> {
        let text = std::str::from_utf8(location).map_err(|_| UrlProblem::Characters)?;
        check_text(text)?;
        let url = from.join(text).map_err(|_| UrlProblem::NotAUrl)?;
        let target = Self::of(&url, guard)?;
        if from.scheme() == "https" && url.scheme() != "https" {
            return Err(OutboundError::RedirectDowngrade);
        }
        Ok(target)
    }

    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Asks once where the name leads to. One forbidden answer among good ones refuses all: a
    /// name that mixes them is built to get past a guard.
    ///
    /// # Errors
    ///
    /// `dns` or `blocked_address`.
    pub async fn resolve(
        self,
        guard: &Guard,
        resolver: &dyn Resolve,
    ) -> Result<Pinned, OutboundError> {
        let (host, port) = host_and_port(&self.url)?;
        let found = match host {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => resolver.resolve(name).await.map_err(OutboundError::Dns)?,
        };
        let mut addresses: Vec<SocketAddr> =
            found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        for address in &addresses {
            check_address(guard, *address)?;
        }
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(OutboundError::Dns(std::io::ErrorKind::NotFound.into()));
        }
        Ok(Pinned { url: self.url, addresses })
    }
}

/// Refuses what one parser drops and another one keeps.
fn check_text(text: &str) -> Result<(), UrlProblem> {
    if text.len() > MAX_URL_BYTES {
        return Err(UrlProblem::TooLong);
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(UrlProblem::Characters);
    }
    Ok(())
}

fn host_and_port(url: &Url) -> Result<(Host<&str>, u16), UrlProblem> {
    url.host().zip(url.port_or_known_default()).ok_or(UrlProblem::NotAUrl)
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn check_address(guard: &Guard, socket: SocketAddr) -> Result<(), OutboundError> {
    if !guard.permits(socket.ip()) {
        return Err(OutboundError::BlockedAddress);
    }
    if !guard.permits_port(socket) {
        return Err(OutboundError::BlockedPort);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::TableResolver;
    use crate::outbound::tests::security_table;

    /// What name servers say: in a cloud, in an office, and of names made to get past a guard.
    fn names() -> TableResolver {
        TableResolver::default()
            .with("metadata", &["169.254.169.254"])
            .with("metadata.google.internal", &["169.254.169.254"])
            .with("127.0.0.1.nip.io", &["127.0.0.1"])
            .with("example.com", &["93.184.215.14"])
    }

    async fn reach(text: &str) -> Result<Pinned, OutboundError> {
        let guard = Guard::default();
        Target::parse(text, &guard)?.resolve(&guard, &names()).await
    }

    #[tokio::test]
    async fn every_row_of_the_url_table_is_judged_as_wanted() {
        let Some(table) = security_table("urls.txt") else { return };
        let mut rows = 0;
        for row in table.lines() {
            let (wanted, url) = row.split_once('\t').expect("two fields");
            let reached = reach(url).await;
            match (wanted, url) {
                ("allow", _) | (_, "http://example.com/a.mp4") => {
                    assert!(reached.is_ok(), "{url}: {reached:?}");
                }
                _ => assert!(reached.is_err(), "{url}: {reached:?}"),
            }
            rows += 1;
        }
        assert_eq!(rows, 88);
    }

    #[tokio::test]
    async fn literal_private_hosts_are_refused_before_any_name_is_asked() {
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://[::1]/", "http://localhost/"]
        {
            let refused = Target::parse(url, &Guard::default());
            assert!(matches!(refused, Err(OutboundError::BlockedAddress)), "{url}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn one_forbidden_answer_among_good_ones_refuses_the_name() {
        let guard = Guard::default();
        for answers in [["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"], ["fd00::1", "1.1.1.1"]] {
            let resolver = TableResolver::default().with("mixed.example", &answers);
            let target = Target::parse("http://mixed.example/", &guard).expect("a target");
            let refused = target.resolve(&guard, &resolver).await;
            assert!(matches!(refused, Err(OutboundError::BlockedAddress)), "{answers:?}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_not_for_http_is_refused() {
        for url in ["http://1.1.1.1:22/", "http://example.com:6379/"] {
            let refused = reach(url).await;
            assert!(matches!(refused, Err(OutboundError::BlockedPort)), "{url}: {refused:?}");
        }
        assert!(reach("http://example.com:8080/").await.is_ok());
    }

    #[test]
    fn a_redirect_is_checked_like_a_url_of_its_own() {
        let guard = Guard::default();
        let from = Url::parse("https://example.com/a/b").expect("a URL");
        let class = |location: &str| {
            Target::redirected(&from, location.as_bytes(), &guard)
                .map(|target| target.url().to_string())
                .map_err(|error| error.class())
        };
        assert_eq!(class("c.mp4").as_deref(), Ok("https://example.com/a/c.mp4"));
        assert_eq!(class("//cdn.example/c").as_deref(), Ok("https://cdn.example/c"));
        assert_eq!(class("http://example.com/c"), Err("redirect_downgrade"));
        for location in ["//127.0.0.1/", "https://2130706433/", "https://[::ffff:7f00:1]/"] {
            assert_eq!(class(location), Err("blocked_address"), "{location}");
        }
        for location in [
            "file:///etc/passwd",
            "gopher://example.com/",
            "data:video/mp4;base64,AAAA",
            "https://user:pass@example.com/",
            "https://example.com\\@127.0.0.1/",
            "https://example.com/a b",
            "https://example.com/\r\nx: y",
        ] {
            assert_eq!(class(location), Err("invalid_url"), "{location}");
        }
        assert_eq!(class(&format!("/{}", "a".repeat(9000))), Err("invalid_url"));
    }
}
