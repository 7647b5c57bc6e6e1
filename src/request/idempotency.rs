//! A request that the client has named may be sent again without being done again.

use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use super::Problem;
use crate::access::Caller;
use crate::job::Owner;
use crate::store::Idempotency;

/// The client's name of its request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest name.
const MAX_KEY_LEN: usize = 255;

/// The name that `caller` gave a POST to `path`, with a digest of what it asks, if it has one.
///
/// `response` is what the same request will be answered from now on.
pub(super) fn named(
    headers: &HeaderMap,
    caller: &Caller,
    path: &str,
    body: &[u8],
    response: &str,
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = key(headers)? else { return Ok(None) };
    let mut digest = Sha256::new();
    for part in [b"POST ".as_slice(), path.as_bytes(), b"\n", body] {
        digest.update(part);
    }
    Ok(Some(Idempotency {
        owner: Owner::from(caller),
        key: key.to_owned(),
        body_hash: hex::encode(digest.finalize()),
        response: response.to_owned(),
    }))
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(first) = keys.next() else { return Ok(None) };
    let visible = first.as_bytes().iter().all(u8::is_ascii_graphic);
    let allowed = visible && (1..=MAX_KEY_LEN).contains(&first.len()) && keys.next().is_none();
    match first.to_str() {
        Ok(key) if allowed => Ok(Some(key)),
        _ => Err(Problem::invalid_input(
            "Idempotency-Key",
            format!("`Idempotency-Key` must be 1 to {MAX_KEY_LEN} visible ASCII characters, once"),
        )
        .hint("a fresh UUID for every new request is a good key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::KeyName;

    fn hash(path: &str, body: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(KEY, "k".parse().expect("a header"))]);
        let named =
            named(&headers, &Caller::admin(KeyName::default()), path, body, "").expect("a key");
        named.expect("a key").body_hash
    }

    #[test]
    fn the_digest_differs_when_route_or_body_differ() {
        assert_eq!(hash("/jobs", b"{}"), hash("/jobs", b"{}"));
        assert_ne!(hash("/jobs", b"{}"), hash("/process", b"{}"));
        assert_ne!(hash("/jobs", b"{}"), hash("/jobs", b"{ }"));
    }

    #[test]
    fn a_key_is_short_visible_and_alone() {
        let of = |values: &[&[u8]]| {
            let value = |value: &&[u8]| (KEY, (*value).try_into().expect("a header"));
            key(&values.iter().map(value).collect()).map(|key| key.map(str::to_owned))
        };
        assert_eq!(of(&[]).expect("none"), None);
        assert_eq!(of(&[b"a-1"]).expect("a key").as_deref(), Some("a-1"));
        assert!(of(&[&[b'x'; 255]]).is_ok());
        for wrong in [&[&b""[..]][..], &[&[b'x'; 256]], &[b"a b"], &["ü".as_bytes()], &[b"a", b"b"]]
        {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
