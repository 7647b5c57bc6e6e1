//! What servers, names and URLs do, sort by sort.

mod answers;
mod wires;

use std::sync::Arc;

use reelway::outbound::TableResolver;

pub(super) use self::answers::{bodies, heads};
pub(super) use self::wires::connections;
use super::clients::Who;
use super::ground::{Act, Door, Ground};
use super::tls::{Certificate, acceptor};

/// The acts for each request of a client at a port; the last are repeated.
type Answers = Arc<dyn Fn(Who, u16) -> Vec<Vec<Act>> + Send + Sync>;

/// Looks at what no verdict tells.
type Check = fn(what: &str, ground: &Ground, heads: &[String], ended: &str);

/// One way to misbehave, or one way to behave that must be taken.
pub(super) struct Behaviour {
    pub(super) name: String,
    /// Where the client is sent; `{port}` is that of both servers.
    pub(super) url: String,
    /// How often.
    pub(super) times: usize,
    pub(super) door: Entrance,
    pub(super) answers: Answers,
    /// The most requests that the public server may see.
    pub(super) max_requests: usize,
    pub(super) check: Option<Check>,
    /// Clients for which it makes no sense, and why.
    pub(super) skipped: Vec<(Who, &'static str)>,
    names: Vec<(&'static str, Vec<String>)>,
}

/// How the public server takes connections, and whom the client trusts.
#[derive(Clone, Copy)]
pub(super) enum Entrance {
    Open,
    Full,
    Tls(Certificate),
}

impl Entrance {
    pub(super) fn open(self) -> (Door, rustls::RootCertStore) {
        match self {
            Self::Open => (Door::Open, rustls::RootCertStore::empty()),
            Self::Full => (Door::Full, rustls::RootCertStore::empty()),
            Self::Tls(certificate) => {
                let (acceptor, roots) = acceptor(certificate);
                (Door::Tls(acceptor), roots)
            }
        }
    }
}

impl Behaviour {
    /// A public server with a good answer, asked at its address.
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: "http://127.0.0.2:{port}/".to_owned(),
            times: 1,
            door: Entrance::Open,
            answers: Arc::new(|who, _| vec![good(who)]),
            max_requests: 1,
            check: None,
            skipped: Vec::new(),
            names: vec![
                ("public.example", vec!["127.0.0.2".to_owned()]),
                ("private.example", vec!["127.0.0.1".to_owned()]),
            ],
        }
    }

    fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Asked by this name, which leads to these addresses.
    fn named(mut self, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        self.names.push(("named.example", addresses));
        self.at("http://named.example:{port}/")
    }

    fn times(self, times: usize) -> Self {
        Self { times, max_requests: times, ..self }
    }

    fn door(self, door: Entrance) -> Self {
        Self { door, ..self }
    }

    /// Every request is answered so.
    fn with(self, acts: impl Fn(Who) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(move |who, _| vec![acts(who)]), ..self }
    }

    /// The requests are answered so, one after the other.
    fn with_each(self, acts: impl Fn(Who, u16) -> Vec<Vec<Act>> + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(acts), ..self }
    }

    fn up_to(self, max_requests: usize) -> Self {
        Self { max_requests, ..self }
    }

    fn check(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    fn not_for(mut self, who: &[Who], why: &'static str) -> Self {
        self.skipped.extend(who.iter().map(|who| (*who, why)));
        self
    }

    pub(super) fn names(&self) -> TableResolver {
        let table = TableResolver::default();
        self.names.iter().fold(table, |table, (name, addresses)| {
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            table.with(name, &addresses)
        })
    }
}

/// What is sent after a status line: headers, each with its end, and a body.
fn said(status: &str, headers: &str, body: &[u8]) -> Act {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Act::Send(bytes)
}

/// The good answer of a client with more headers.
fn good_with(who: Who, more: &str) -> Vec<Act> {
    let (headers, body) = who.good();
    let headers = format!("{headers}{more}content-length: {}\r\n", body.len());
    vec![said(who.good_status(), &headers, body)]
}

fn good(who: Who) -> Vec<Act> {
    good_with(who, "")
}

/// The head of an answer with a body of no announced length, or of a length.
fn head(who: Who, more: &str) -> Act {
    said(who.good_status(), &format!("{}{more}", who.good().0), b"")
}

fn text(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

pub(super) fn all() -> Vec<Behaviour> {
    [names(), urls(), redirects(), odd_redirects(), heads(), bodies(), connections()]
        .into_iter()
        .flatten()
        .collect()
}

/// What names lead to.
pub(super) fn names() -> Vec<Behaviour> {
    let private = |name: &str, addresses: &[&str]| Behaviour::new(name).named(addresses);
    let mut thousand = vec!["127.0.0.2"; 999];
    thousand.push("127.0.0.1");
    vec![
        private("a public name", &["127.0.0.2"]).check(asked_once),
        Behaviour::new("a name that turns private after it was looked at")
            .named(&["127.0.0.2"])
            .named(&["127.0.0.1"])
            .check(asked_once),
        Behaviour::new("a name that turns private before the second request")
            .named(&["127.0.0.2"])
            .named(&["127.0.0.1"])
            .times(2)
            .up_to(1),
        Behaviour::new("a name that turns private while a broken answer is resumed")
            .named(&["127.0.0.2"])
            .named(&["127.0.0.1"])
            .with(|who| {
                let (headers, body) = who.good();
                let headers = format!("{headers}content-length: 9999\r\netag: \"1\"\r\n");
                vec![said("200 OK", &headers, body), Act::Reset]
            }),
        Behaviour::new("a name that turns private while a busy server is asked again")
            .named(&["127.0.0.2"])
            .named(&["127.0.0.1"])
            .with(|_| vec![said("503 Busy", "content-length: 0\r\n", b"")]),
        private("a private name, as a chain of CNAMEs ends", &["127.0.0.1"]),
        private("a public and a private address", &["127.0.0.2", "127.0.0.1"]),
        private("a private and a public address", &["127.0.0.1", "127.0.0.2"]),
        private("a public IPv4 and a private IPv6 address", &["127.0.0.2", "::1"]),
        private("a private IPv4 and a public IPv6 address", &["2606:4700:4700::1111", "127.0.0.1"]),
        private("999 public addresses and a private one", &thousand),
        private("a private address mapped to IPv6", &["::ffff:127.0.0.1"]),
        private("a private address behind NAT64", &["64:ff9b::7f00:1"]),
        private("a private address in 6to4", &["2002:7f00:1::"]),
        private("a private address in an ISATAP id", &["2606:4700::5efe:7f00:1"]),
        private("a unique local address", &["fd00:ec2::254"]),
        private("a link-local address", &["fe80::1"]),
        private("the metadata of clouds", &["169.254.169.254"]),
        private("this network", &["0.0.0.0"]),
        private("the broadcast address", &["255.255.255.255"]),
        private("a name with no address", &[]),
        Behaviour::new("a name that nobody knows").at("http://nobody.example:{port}/"),
        Behaviour::new("a name server that never answers").at("http://silent.example:{port}/"),
        Behaviour::new("localhost").at("http://localhost:{port}/"),
        Behaviour::new("a name below localhost").at("http://a.localhost:{port}/"),
        Behaviour::new("localhost with a dot").at("http://LOCALHOST.:{port}/"),
    ]
}

/// The client looked at the name once for each request, those included that came to nothing.
fn asked_once(what: &str, ground: &Ground, heads: &[String], ended: &str) {
    let refused = usize::from(ended != "ok");
    assert_eq!(ground.names.table.asked("named.example"), heads.len() + refused, "{what}");
}

/// What a URL itself can hide.
pub(super) fn urls() -> Vec<Behaviour> {
    let urls = [
        ("the public server", "http://127.0.0.2:{port}/"),
        ("a private address", "http://127.0.0.1:{port}/"),
        ("a private address as one number", "http://2130706433:{port}/"),
        ("a private address in hexadecimal", "http://0x7f000001:{port}/"),
        ("a private address in octal", "http://0177.0.0.1:{port}/"),
        ("a private address, shortened", "http://127.1:{port}/"),
        ("a private address, percent-encoded", "http://%31%32%37.0.0.1:{port}/"),
        ("a private address in full-width digits", "http://１２７.０.０.１:{port}/"),
        ("a private address with a dot", "http://127.0.0.1.:{port}/"),
        ("a private address in IPv6", "http://[::ffff:127.0.0.1]:{port}/"),
        ("loopback in IPv6", "http://[::1]:{port}/"),
        ("a public host as the user of a private one", "http://public.example@127.0.0.1:{port}/"),
        ("a user and a password", "http://user:pass@public.example:{port}/"),
        ("a private host before a fragment", "http://127.0.0.1:{port}#@public.example/"),
        ("a port that is not for HTTP", "http://1.1.1.1:22/"),
        ("another port that is not for HTTP", "http://1.1.1.1:6379/"),
        ("a file", "file:///etc/passwd"),
        ("gopher", "gopher://127.0.0.1:{port}/_INFO"),
        ("data", "data:video/mp4;base64,AAAA"),
        ("ftp", "ftp://public.example:{port}/"),
        ("a host that a URL may have and a request may not", "http://a{b.example:{port}/"),
    ];
    urls.map(|(name, url)| Behaviour::new(name).at(url)).into()
}

/// Where an answer sends a client.
pub(super) fn redirects() -> Vec<Behaviour> {
    const STATUSES: [&str; 5] =
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"];
    let locations = [
        ("a private address", "http://127.0.0.1:{port}/"),
        ("a private name", "http://private.example:{port}/"),
        ("a private address as one number", "http://2130706433:{port}/"),
        ("a private address in IPv6", "http://[::ffff:127.0.0.1]:{port}/"),
        ("a private host without a scheme", "//127.0.0.1:{port}/"),
        ("a file", "file:///etc/passwd"),
        ("gopher", "gopher://127.0.0.1:{port}/"),
        ("data", "data:video/mp4;base64,AAAA"),
        ("a user and a password", "http://user:pass@127.0.0.2:{port}/"),
        ("a backslash before a private host", "http://127.0.0.2:{port}\\@127.0.0.1/"),
        ("a port that is not for HTTP", "http://1.1.1.1:22/"),
        ("itself, for ever", "/"),
    ];
    let mut all = Vec::new();
    for (place, (what, location)) in locations.into_iter().enumerate() {
        for status in STATUSES {
            let code = &status[..3];
            let sent_on =
                Behaviour::new(format!("{code} to {what}")).up_to(6).with_each(move |_, port| {
                    let location = location.replace("{port}", &port.to_string());
                    let headers = format!("location: {location}\r\ncontent-length: 0\r\n");
                    vec![vec![said(status, &headers, b"")]]
                });
            let is_new = place == 0 || code == "302";
            all.push(if is_new { sent_on } else { sent_on.not_for(&STAYING, STAYS) });
        }
    }
    all
}

/// Those that go nowhere else, wherever they are sent.
const STAYING: [Who; 3] = [Who::Webhook, Who::Bucket, Who::Provider];
const STAYS: &str =
    "follows no redirect; tried with each status and with each place, not with each pair";

/// A redirect answered with these headers, then good answers.
fn sent_on(name: &str, status: &'static str, headers: &'static str) -> Behaviour {
    Behaviour::new(name).up_to(2).with_each(move |who, port| {
        let headers = headers.replace("{port}", &port.to_string());
        vec![vec![said(status, &format!("{headers}content-length: 0\r\n"), b"")], good(who)]
    })
}

/// Redirects that are good, too many, or not quite what they should be.
pub(super) fn odd_redirects() -> Vec<Behaviour> {
    let hops = |name: &str, hops: usize| {
        Behaviour::new(name).up_to(6).with_each(move |who, _| {
            let hop = vec![said("302 Found", "location: /next\r\ncontent-length: 0\r\n", b"")];
            let mut answers = vec![hop; hops];
            answers.push(good(who));
            answers
        })
    };
    vec![
        hops("five redirects", 5),
        hops("six redirects", 6),
        sent_on("a redirect to a path", "302 Found", "location: /elsewhere\r\n"),
        sent_on(
            "a redirect to a public name",
            "307 Temporary",
            "location: http://public.example:{port}/\r\n",
        ),
        sent_on("a redirect that sets a cookie", "302 Found", "set-cookie: a=b\r\nlocation: /\r\n"),
        sent_on("a redirect to nowhere", "302 Found", ""),
        sent_on("a redirect to nothing", "302 Found", "location:\r\n"),
        Behaviour::new("a redirect to bytes that are no text").with(|_| {
            vec![Act::Send(
                b"HTTP/1.1 302 Found\r\nlocation: /\xe9\r\ncontent-length: 0\r\n\r\n".to_vec(),
            )]
        }),
        sent_on(
            "two places at once",
            "302 Found",
            "location: /\r\nlocation: http://127.0.0.1:{port}/\r\n",
        ),
        sent_on("300 with a place", "300 Choices", "location: http://127.0.0.1:{port}/\r\n"),
        sent_on("304 with a place", "304 Not Modified", "location: http://127.0.0.1:{port}/\r\n"),
        sent_on("201 with a place", "201 Created", "location: http://127.0.0.1:{port}/\r\n"),
        Behaviour::new("a redirect to a URL of 9,000 bytes").with(|_| {
            let headers = format!("location: /{}\r\ncontent-length: 0\r\n", "a".repeat(9000));
            vec![said("302 Found", &headers, b"")]
        }),
        Behaviour::new("a line break in a redirect").with(|_| {
            vec![text("HTTP/1.1 302 Found\r\nlocation: /\rhost: a\r\ncontent-length: 0\r\n\r\n")]
        }),
        Behaviour::new("a Refresh header to a private address").with_each(|who, port| {
            vec![good_with(who, &format!("refresh: 0; url=http://127.0.0.1:{port}/\r\n"))]
        }),
        Behaviour::new("a Content-Location of a private address").with_each(|who, port| {
            vec![good_with(who, &format!("content-location: http://127.0.0.1:{port}/\r\n"))]
        }),
        Behaviour::new("an Alt-Svc at a private address").times(2).with_each(|who, port| {
            vec![good_with(who, &format!("alt-svc: h2=\"127.0.0.1:{port}\"; ma=9999\r\n"))]
        }),
        Behaviour::new("a page that sends browsers to a private address").with_each(|_, port| {
            let page =
                format!("<meta http-equiv=refresh content='0; url=http://127.0.0.1:{port}/'>");
            let headers = format!("content-type: text/html\r\ncontent-length: {}\r\n", page.len());
            vec![vec![said("200 OK", &headers, page.as_bytes())]]
        }),
    ]
}
