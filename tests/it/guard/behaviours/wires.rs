//! What servers do with connections.

use super::super::tls::Certificate;
use super::{Act, Behaviour, Entrance, Ground, Who, good_with, head, said, text};

/// Connections: how they are made, how they break, and how long they take.
pub(in crate::guard) fn connections() -> Vec<Behaviour> {
    let one = |name: &str, acts: fn(Who) -> Vec<Act>| Behaviour::new(name).with(acts).up_to(4);
    let tls = |name: &str, certificate| {
        Behaviour::new(name).door(Entrance::Tls(certificate)).at("https://public.example:{port}/")
    };
    vec![
        Behaviour::new("a port that nobody listens on").at("http://127.0.0.2:1/"),
        Behaviour::new("a connection that is never taken")
            .door(Entrance::Full)
            .at("http://public.example:{port}/"),
        one("a connection closed at once", |_| vec![]),
        one("a connection reset at once", |_| vec![Act::Reset]),
        one("a connection reset in the head", |_| vec![text("HTTP/1.1 200 OK\r\nx: "), Act::Reset]),
        one("a connection closed in the head", |_| vec![text("HTTP/1.1 200 OK\r\nx: ")]),
        one("a connection reset in the body", |who| {
            vec![head(who, "content-length: 99\r\n"), text("short"), Act::Reset]
        }),
        one("silence after the request", |_| vec![Act::Hang]),
        one("silence in the head", |_| vec![text("HTTP/1.1 200 OK\r\nx: "), Act::Hang]),
        one("a head that comes byte by byte", |_| {
            vec![text("HTTP/1.1 200 OK\r\nx: "), Act::Drip(b"y".to_vec())]
        }),
        one("silence in the body", |who| vec![head(who, "content-length: 99\r\n"), Act::Hang]),
        one("a body that comes byte by byte", |who| vec![head(who, ""), Act::Drip(b"a".to_vec())]),
        one("a body that comes in chunks of one byte, slowly", |who| {
            vec![head(who, "transfer-encoding: chunked\r\n"), Act::Drip(b"1\r\na\r\n".to_vec())]
        }),
        one("silence after the whole body, the connection kept", |who| {
            let mut acts = good_with(who, "connection: keep-alive\r\n");
            acts.push(Act::Hang);
            acts
        }),
        one("a connection kept for the next request", |who| {
            good_with(who, "connection: keep-alive\r\nkeep-alive: timeout=999\r\n")
        })
        .times(2)
        .check(every_request_is_good),
        tls("a good certificate", Certificate::Good).check(the_url_is_asked_for),
        tls("a certificate of another host", Certificate::OfAnotherHost).up_to(0),
        tls("a certificate that has expired", Certificate::Expired).up_to(0),
        tls("a certificate that nobody knows", Certificate::Unknown).up_to(0),
        Behaviour::new("TLS where plain HTTP is asked for")
            .door(Entrance::Tls(Certificate::Good))
            .at("http://public.example:{port}/")
            .up_to(0),
        Behaviour::new("plain HTTP where TLS is asked for")
            .at("https://public.example:{port}/")
            .up_to(0),
        tls("a redirect from https to http", Certificate::Good).up_to(1).with_each(|_, port| {
            let headers =
                format!("location: http://public.example:{port}/\r\ncontent-length: 0\r\n");
            vec![vec![said("302 Found", &headers, b"")]]
        }),
        tls("a redirect from https to a private host", Certificate::Good).up_to(1).with_each(
            |_, port| {
                let headers =
                    format!("location: https://127.0.0.1:{port}/\r\ncontent-length: 0\r\n");
                vec![vec![said("302 Found", &headers, b"")]]
            },
        ),
    ]
}

/// Each request comes over a connection of its own: the server takes one for each.
fn every_request_is_good(what: &str, _: &Ground, heads: &[String], ended: &str) {
    assert_eq!(ended, "ok", "{what}");
    assert!(heads.len() >= 2, "{what}: {heads:?}");
}

/// The name in the handshake and in the head is the URL's, not the address's.
fn the_url_is_asked_for(what: &str, ground: &Ground, heads: &[String], _: &str) {
    let host = format!("host: public.example:{}\r\n", ground.port);
    assert!(heads[0].contains(&host), "{what}: {heads:?}");
    assert!(heads[0].contains("tls-name: public.example\r\n"), "{what}: {heads:?}");
}
