//! Where a request comes from, when proxies stand before the server.
//!
//! Anyone can write `X-Forwarded-For`. What a trusted proxy has added to its end is believed, hop by
//! hop from the right, up to the first address that is no such proxy's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;

use super::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word is believed; none when nobody says so.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Those in these networks.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who sends a request, if its listener has said who is at the other end of the connection.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let Peer(peer) = extensions.get::<Peer>()?;
        let mut client = peer.ip().to_canonical();
        for said in hops(headers).into_iter().rev() {
            if !self.trust(client) {
                break;
            }
            // What cannot be read was not written by a proxy that is believed.
            let Some(hop) = address(said) else { break };
            client = hop;
        }
        Some(client)
    }
}

/// What stands in all headers of the kind, first to last.
fn hops(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(FORWARDED_FOR).iter();
    // What is no text hides what stands before it.
    let texts = values.map(|value| value.to_str().unwrap_or("?"));
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|with| with.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> Option<String> {
        let networks = trusted.iter().map(|network| network.parse().expect("a network"));
        let mut extensions = Extensions::new();
        extensions.insert(Peer(SocketAddr::new(peer.parse().expect("an address"), 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header"));
        }
        let client = TrustedProxies::new(networks).client(&headers, &extensions);
        client.map(|address| address.to_string())
    }

    #[test]
    fn the_word_of_strangers_is_not_believed() {
        let forged = ["192.0.2.9"];
        assert_eq!(client(&[], "192.0.2.1", &forged).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &forged).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &[]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        for (forwarded, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.9", "192.0.2.1,10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1,"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let found = client(&["10.0.0.0/8"], "10.0.0.1", forwarded);
            assert_eq!(found.as_deref(), Some(expected), "{forwarded:?}");
            let found = client(&["10.0.0.0/8"], "::ffff:10.0.0.1", forwarded);
            assert_eq!(found.as_deref(), Some(expected), "{forwarded:?} over IPv6");
        }
    }

    #[test]
    fn nobody_is_guessed_where_the_listener_says_nothing() {
        let proxies = TrustedProxies::new(["0.0.0.0/0".parse().expect("a network")]);
        assert_eq!(proxies.client(&HeaderMap::new(), &Extensions::new()), None);
    }
}
