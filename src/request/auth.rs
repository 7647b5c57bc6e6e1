//! Who calls: whoever has a key of the settings, or one that was made here.
//!
//! Keys are kept and compared as SHA-256 digests in constant time: every key of the settings at
//! every request, and of those made here the one that the text names. So the time of an answer
//! tells nothing about them. Nothing is remembered between requests: a key that was taken back
//! opens nothing from then on, in no process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};

use super::{AppState, Problem};
use crate::access::{Caller, Digest, Key, KeyName, Presented, Standing, TextError};
use crate::clock::Timestamp;
use crate::id::KeyId;
use crate::store::{KEY_USE_GRAIN, Store};

/// The keys of the settings: they are administrators'. None at all means that the server is open
/// to whoever reaches it.
#[derive(Clone, Default)]
pub struct Auth {
    digests: Arc<[Digest]>,
    /// When it was last written down here that a key was used; no longer than the list of keys.
    noted: Arc<Mutex<HashMap<KeyId, Timestamp>>>,
}

impl Auth {
    /// Whoever knows one of `keys` may do everything; without any key, everyone may.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let digests = keys.into_iter().map(|key| Digest::of(key.expose_secret())).collect();
        Self { digests, noted: Arc::default() }
    }

    /// Whether everyone may call.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whose key a text is.
    ///
    /// # Errors
    ///
    /// 401 `token_invalid`; 503 where the store cannot be asked.
    pub async fn check(
        &self,
        store: &Arc<dyn Store>,
        now: Timestamp,
        text: &str,
    ) -> Result<Caller, Problem> {
        if let Some(name) = self.of_the_settings(text) {
            return Ok(Caller::admin(name));
        }
        let presented: Presented = text.parse().map_err(|error| match error {
            TextError::Foreign => not_known(),
            TextError::Damaged => damaged(),
        })?;
        // The same work whether there is such a key or not.
        let key = store.key(presented.id).await?;
        let kept = key.as_ref().map_or_else(|| Digest::of(""), |key| key.digest);
        let is_it = presented.digest.is(&kept);
        let key = key.filter(|_| is_it).ok_or_else(not_known)?;
        // Only who has the key is told what became of it.
        check_standing(&key, now)?;
        self.note_use(store, &key, now);
        Ok(Caller::with(&key))
    }

    /// The caller with this key, as long as the key is good: for whoever has shown it before.
    ///
    /// # Errors
    ///
    /// 401 `token_invalid`; 503 where the store cannot be asked.
    pub async fn check_again(
        &self,
        store: &Arc<dyn Store>,
        now: Timestamp,
        name: &KeyName,
    ) -> Result<Caller, Problem> {
        if name.is_nobody() && self.is_open() {
            return Ok(Caller::admin(KeyName::default()));
        }
        if self.digests.iter().any(|digest| name_of(digest) == *name) {
            return Ok(Caller::admin(name.clone()));
        }
        let id: KeyId = name.as_str().parse().map_err(|_| not_known())?;
        let key = store.key(id).await?.ok_or_else(not_known)?;
        check_standing(&key, now)?;
        Ok(Caller::with(&key))
    }

    /// The name of the key of the settings that a text is, if it is one.
    fn of_the_settings(&self, text: &str) -> Option<KeyName> {
        let given = Digest::of(text);
        let same = self.digests.iter().fold(None, |found, digest| {
            // Looks at all of them, whichever it is.
            if digest.is(&given) { Some(digest) } else { found }
        });
        same.map(name_of)
    }

    /// Writes down that a key was used, now and then, while the request goes on.
    fn note_use(&self, store: &Arc<dyn Store>, key: &Key, now: Timestamp) {
        let is_due = |at: Option<Timestamp>| at.is_none_or(|at| now.since(at) >= KEY_USE_GRAIN);
        if !is_due(key.last_used_at) {
            return;
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_due(noted.get(&key.id).copied()) {
            return;
        }
        noted.insert(key.id, now);
        let (store, id) = (store.clone(), key.id);
        tokio::spawn(async move {
            if let Err(error) = store.note_key_use(id).await {
                tracing::warn!(key.id = %id, %error, "the last use of a key was not written down");
            }
        });
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} keys)", self.digests.len())
    }
}

impl AppState {
    /// Whose key a text is, shown from `address`: for a door that is no header.
    ///
    /// # Errors
    ///
    /// 401 `token_invalid`; 429 where keys are guessed, or this one asks too often; 503 where the
    /// store cannot be asked.
    pub async fn check_key(&self, text: &str, address: Option<IpAddr>) -> Result<Caller, Problem> {
        match self.auth.check(&self.store, self.clock.now(), text).await {
            Ok(caller) => self.rates.admit(caller.calling_from(address)),
            Err(why) => Err(self.rates.refuse(address, why)),
        }
    }

    /// The caller with this key, as long as the key is good: for whoever has shown it before.
    ///
    /// # Errors
    ///
    /// 401 `token_invalid`; 503 where the store cannot be asked.
    pub async fn check_key_again(
        &self,
        key: &KeyName,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let caller = self.auth.check_again(&self.store, self.clock.now(), key).await?;
        Ok(caller.calling_from(address))
    }

    /// Who sends these headers.
    ///
    /// # Errors
    ///
    /// 401 `token_missing` or `token_invalid`; 429 where it is too often; 503 where the store cannot
    /// be asked.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        match bearer(headers) {
            // An open server looks at keys that were made here: what is theirs is not everybody's.
            Some(text) if !self.auth.is_open() || is_made_here(text) => {
                self.check_key(text, address).await
            }
            _ if self.auth.is_open() => Ok(Caller::admin(KeyName::default()).calling_from(address)),
            _ => {
                let missing = unauthorized("token_missing", "this request has no API key")
                    .hint("send the header `Authorization: Bearer KEY`");
                Err(self.rates.refuse(address, missing))
            }
        }
    }
}

/// Whether a text is, or was meant to be, a key that a Reelway server has made.
fn is_made_here(text: &str) -> bool {
    text.parse::<Presented>() != Err(TextError::Foreign)
}

fn check_standing(key: &Key, now: Timestamp) -> Result<(), Problem> {
    let message = match key.standing(now) {
        Standing::Good => return Ok(()),
        Standing::Expired => "this API key has expired",
        Standing::Revoked => "this API key was revoked",
    };
    Err(unauthorized("token_invalid", message)
        .hint("whoever runs this server makes another one with `reelway keys create`"))
}

fn not_known() -> Problem {
    unauthorized("token_invalid", "this server does not know this API key")
        .hint("use a key of REELWAY_API_KEY, or one that `reelway keys create` has told")
}

fn damaged() -> Problem {
    unauthorized("token_invalid", "a part of this API key is missing or wrong")
        .hint("copy the whole key: `rw_` and 76 letters, digits and `_`")
}

fn unauthorized(kind: &'static str, message: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, kind, message)
}

/// The public name of a key of the settings.
fn name_of(digest: &Digest) -> KeyName {
    KeyName::named(format!("key_{}", digest.beginning()))
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
    let address = state.proxies.client(request.headers(), request.extensions());
    let caller = state.caller(request.headers(), address).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        headers
    }

    #[test]
    fn a_key_comes_in_the_header_of_bearers() {
        for good in ["Bearer one", "bearer one", "BEARER  one"] {
            assert_eq!(bearer(&headers(good)), Some("one"), "{good}");
        }
        for none in ["", "one", "Basic one", "Bearer", "Bearer "] {
            assert_eq!(bearer(&headers(none)), None, "{none}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn each_key_of_the_settings_has_its_name_and_nothing_else_has_one() {
        let auth = Auth::new(&["one".into(), "two".into()]);
        let name = |text| auth.of_the_settings(text);
        assert!(name("one").is_some() && name("two").is_some());
        assert_ne!(name("one"), name("two"));
        for wrong in ["on", "one two", "ONE", ""] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(Auth::default().is_open() && !auth.is_open());
    }

    #[test]
    fn keys_are_not_in_the_debug_text() {
        assert_eq!(format!("{:?}", Auth::new(&["secret".into()])), "Auth(1 keys)");
    }
}
