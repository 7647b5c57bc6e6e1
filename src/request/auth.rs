//! Who may call: everyone who knows one of the configured keys.
//!
//! Keys are kept and compared as SHA-256 digests in constant time, every key at every request,
//! so that the time of an answer tells nothing about them.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{AppState, Problem};
use crate::job::Owner;

/// The keys that open the server. None at all means that it is open to whoever reaches it.
#[derive(Clone, Default)]
pub struct Auth {
    digests: std::sync::Arc<[[u8; 32]]>,
}

impl Auth {
    /// Whoever knows one of `keys` may call; without any key, everyone may.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a SecretString>) -> Self {
        Self { digests: keys.into_iter().map(|key| digest(key.expose_secret())).collect() }
    }

    /// Whether everyone may call.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.digests.is_empty()
    }

    /// Lets the bearer of a key pass, and says whose key it is.
    ///
    /// # Errors
    ///
    /// 401 `token_missing` or `token_invalid`.
    pub fn check(&self, headers: &HeaderMap) -> Result<Owner, Problem> {
        if self.is_open() {
            return Ok(Owner::default());
        }
        let token = bearer(headers).ok_or_else(|| {
            unauthorized("token_missing", "this request has no API key")
                .hint("send the header `Authorization: Bearer KEY`")
        })?;
        let given = digest(token);
        let known =
            self.digests.iter().fold(Choice::from(0), |known, key| known | key.ct_eq(&given));
        if known.into() {
            Ok(owner(&given))
        } else {
            Err(unauthorized("token_invalid", "this server does not know this API key")
                .hint("use one of the keys that the server was started with"))
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} keys)", self.digests.len())
    }
}

fn unauthorized(kind: &'static str, message: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, kind, message)
}

/// The public name of a key: enough of its digest to tell keys apart, and nothing to guess it by.
fn owner(digest: &[u8; 32]) -> Owner {
    Owner::named(format!("key_{}", hex::encode(&digest[..6])))
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Asks for a key before the handler sees the request, and tells the handler whose it is.
pub(super) async fn require(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let owner = state.auth.check(request.headers())?;
    request.extensions_mut().insert(owner);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(auth: &Auth, value: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        }
        auth.check(&headers).err().map(|problem| problem.kind())
    }

    #[test]
    fn each_configured_key_opens_and_nothing_else_does() {
        let auth = Auth::new(&["one".into(), "two".into()]);
        for open in ["Bearer one", "bearer two", "BEARER  two"] {
            assert_eq!(kind(&auth, Some(open)), None, "{open}");
        }
        for missing in ["", "one", "Basic one", "Bearer", "Bearer "] {
            assert_eq!(kind(&auth, Some(missing)), Some("token_missing"), "{missing}");
        }
        for wrong in ["Bearer on", "Bearer one two", "Bearer ONE"] {
            assert_eq!(kind(&auth, Some(wrong)), Some("token_invalid"), "{wrong}");
        }
        assert_eq!(kind(&auth, None), Some("token_missing"));
    }

    #[test]
    fn without_keys_everyone_may_call_and_an_empty_key_opens_nothing() {
        assert_eq!(kind(&Auth::default(), None), None);
        assert_eq!(kind(&Auth::new(&["".into()]), Some("Bearer ")), Some("token_missing"));
        assert_eq!(kind(&Auth::new(&["".into()]), Some("Bearer x")), Some("token_invalid"));
    }

    #[test]
    fn keys_are_not_in_the_debug_text() {
        assert_eq!(format!("{:?}", Auth::new(&["secret".into()])), "Auth(1 keys)");
    }
}
