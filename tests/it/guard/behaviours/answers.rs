//! What servers say: heads and bodies of answers.

use super::{Act, Behaviour, Who, good, good_with, head, said, text};

/// Heads of answers.
pub(in crate::guard) fn heads() -> Vec<Behaviour> {
    let one = |name: &str, acts: fn(Who) -> Vec<Act>| Behaviour::new(name).with(acts).up_to(4);
    let mut all = vec![
        one("the banner of SSH", |_| vec![text("SSH-2.0-OpenSSH_9.6\r\n")]),
        one("a page without a head (HTTP/0.9)", |_| vec![text("<html>hello</html>\r\n\r\n")]),
        one("binary nonsense", |_| vec![Act::Send(vec![0, 159, 146, 150, 13, 10, 13, 10])]),
        one("HTTP of another version", |_| vec![text("HTTP/9.1 200 OK\r\n\r\n")]),
        one("HTTP/2 unasked for", |_| vec![Act::Send(vec![0, 0, 0, 4, 0, 0, 0, 0, 0])]),
        one("an upgrade unasked for", |_| {
            vec![said("101 Switching", "connection: upgrade\r\nupgrade: h2c\r\n", b"")]
        }),
        one("a status that is no number", |_| vec![text("HTTP/1.1 abc OK\r\n\r\n")]),
        one("a status of 999", |_| vec![said("999 What", "content-length: 0\r\n", b"")]),
        one("headers without end", |_| {
            vec![text("HTTP/1.1 200 OK\r\n"), Act::Forever(b"x: y\r\n".to_vec())]
        }),
        one("one header without end", |_| {
            vec![text("HTTP/1.1 200 OK\r\nx: "), Act::Forever(vec![b'y'; 4096])]
        }),
        one("101 headers", |who| good_with(who, &"x: y\r\n".repeat(101))),
        one("interim answers without end", |who| {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
            // Nothing but time ends it, and it is a long time for these.
            let is_patient = matches!(who, Who::Bucket | Who::Part | Who::Provider);
            vec![if is_patient { Act::Drip(interim) } else { Act::Forever(interim) }]
        }),
        one("an interim answer before the real one", |who| {
            let mut acts = vec![text("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")];
            acts.extend(good(who));
            acts
        }),
        one("a header without a colon", |_| vec![text("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n")]),
        one("a header with a NUL", |_| vec![text("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n")]),
        one("a challenge for credentials", |_| {
            let headers = "www-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n";
            vec![said("401 Unauthorized", headers, b"")]
        }),
        one("a proxy's challenge for credentials", |_| {
            let headers = "proxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n";
            vec![said("407 Proxy Authentication Required", headers, b"")]
        }),
        one("a file name that leads out of its folder", |who| {
            good_with(
                who,
                "content-disposition: attachment; filename=\"../../../../etc/cron.d/x\"\r\n",
            )
        }),
    ];
    for status in [
        "204 Nothing",
        "205 Reset",
        "206 Partial",
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "408 Timeout",
        "410 Gone",
        "429 Too Many",
        "500 Error",
        "503 Busy",
    ] {
        let name = format!("status {}", &status[..3]);
        all.push(
            Behaviour::new(name)
                .up_to(4)
                .with(move |_| vec![said(status, "content-length: 0\r\n", b"")]),
        );
    }
    all
}

/// Bodies of answers.
pub(in crate::guard) fn bodies() -> Vec<Behaviour> {
    let one = |name: &str, acts: fn(Who) -> Vec<Act>| Behaviour::new(name).with(acts).up_to(4);
    let chunked = "transfer-encoding: chunked\r\n";
    let in_chunks = move |name: &str, body: &'static str| {
        Behaviour::new(name).up_to(4).with(move |who| vec![head(who, chunked), text(body)])
    };
    vec![
        one("a body without end", |who| vec![head(who, ""), Act::Forever(vec![b'a'; 1 << 16])]),
        one("a body without end in chunks", |who| {
            let chunk = format!("ffff\r\n{}\r\n", "a".repeat(0xffff));
            vec![head(who, "transfer-encoding: chunked\r\n"), Act::Forever(chunk.into_bytes())]
        }),
        one("an announced size of a terabyte", |who| {
            vec![head(who, "content-length: 1000000000000\r\n"), Act::Forever(vec![b'a'; 1 << 16])]
        }),
        one("a body shorter than its length", |who| {
            vec![head(who, "content-length: 99\r\n"), text("short")]
        }),
        one("a body longer than its length", |who| {
            let mut acts = good(who);
            acts.push(Act::Send(vec![b'z'; 5000]));
            acts
        }),
        one("a length that is no number", |who| vec![head(who, "content-length: many\r\n")]),
        one("a negative length", |who| vec![head(who, "content-length: -1\r\n")]),
        one("a length beyond all numbers", |who| {
            vec![head(who, "content-length: 99999999999999999999\r\n")]
        }),
        one("two lengths", |who| {
            vec![head(who, "content-length: 3\r\ncontent-length: 5\r\n"), text("abcde")]
        }),
        one("a length and chunks", |who| {
            let (headers, body) = who.good();
            let headers = format!("{headers}content-length: 3\r\ntransfer-encoding: chunked\r\n");
            let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
            chunks.extend_from_slice(body);
            chunks.extend_from_slice(if body.is_empty() { b"\r\n" } else { b"\r\n0\r\n\r\n" });
            vec![said("200 OK", &headers, b""), Act::Send(chunks)]
        }),
        in_chunks("a chunk of 2^64 bytes", "ffffffffffffffff\r\nabc"),
        in_chunks("a chunk longer than numbers", "fffffffffffffffff\r\nabc"),
        in_chunks("a chunk whose size is none", "xyz\r\nabc"),
        in_chunks("a chunk that breaks off", "ff\r\nabc"),
        one("an extension of a chunk without end", |who| {
            let acts = [head(who, "transfer-encoding: chunked\r\n"), text("1;x=")];
            acts.into_iter().chain([Act::Forever(vec![b'y'; 4096])]).collect()
        }),
        one("trailers without end", |who| {
            let acts = [head(who, "transfer-encoding: chunked\r\n"), text("0\r\n")];
            acts.into_iter().chain([Act::Forever(b"x: y\r\n".to_vec())]).collect()
        }),
        one("tiny chunks without end", |who| {
            // One byte each where little is read in all; the test's own server is slow too.
            let size = if who.reads_at_most() > 1 << 20 { 64 } else { 1 };
            let chunk = format!("{size:x}\r\n{}\r\n", "a".repeat(size));
            let acts = [head(who, "transfer-encoding: chunked\r\n")];
            acts.into_iter().chain([Act::Forever(chunk.repeat(512).into_bytes())]).collect()
        }),
        one("a gzip bomb", |who| packed(who, "gzip")),
        one("a body said to be packed by deflate", |who| packed(who, "deflate")),
        one("a body said to be packed by brotli and gzip", |who| packed(who, "br, gzip")),
        one("a body that is packed twice", |who| packed(who, "gzip, gzip")),
        one("a transfer that is packed", |who| {
            vec![head(who, "transfer-encoding: gzip, chunked\r\n"), text("3\r\nabc\r\n0\r\n\r\n")]
        }),
        one("an answer without a body", |who| vec![head(who, "content-length: 0\r\n")]),
        one("a page in place of what was asked for", |who| {
            let page = b"<!doctype html><title>Log in</title>";
            let headers = format!("{}content-length: {}\r\n", who.good().0, page.len());
            vec![said("200 OK", &headers, page)]
        }),
    ]
}

/// Ten megabytes of zeros in ten kilobytes, said to be packed so.
fn packed(who: Who, encoding: &str) -> Vec<Act> {
    // Stored blocks would be no bomb: these are the first bytes of a deflate stream that repeats
    // one byte. Nobody here may unpack it, so that its end does not matter.
    let mut bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc1\x01\x01".to_vec();
    bomb.resize(10_000, 0);
    let headers = format!("content-encoding: {encoding}\r\ncontent-length: {}\r\n", bomb.len());
    vec![said("200 OK", &format!("{}{headers}", who.good().0), &bomb)]
}
