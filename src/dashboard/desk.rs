//! Who is signed in: a cookie that this server alone can have made.
//!
//! It names a key by its public name and carries no secret: name, end and a number of its own
//! under a MAC. It is worth as much as the key is: when the server does not know that key any more,
//! the session is over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::throttle::Throttle;
use crate::access::{Caller, KeyName};
use crate::clock::Timestamp;
use crate::store::AttemptRecord;

/// How long somebody stays signed in.
pub(super) const SESSION_LIFE: Duration = Duration::from_hours(7 * 24);

/// The session of a server without keys.
const OPEN: &str = "open";

/// What all pages share.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    secret: SecretString,
    seats: Arc<Semaphore>,
    throttle: Throttle,
    tester: Tester,
}

/// Sends one message that tells nothing to a receiver and says what was seen.
#[derive(Clone)]
pub struct Tester(Arc<dyn Fn(Url) -> BoxFuture<'static, AttemptRecord> + Send + Sync>);

impl Tester {
    /// One that sends by `send`.
    #[must_use]
    pub fn new(
        send: impl Fn(Url) -> BoxFuture<'static, AttemptRecord> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(send))
    }
}

impl fmt::Debug for Tester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tester")
    }
}

/// Somebody who may see pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    /// Who that is to the API.
    pub(super) caller: Caller,
    /// Proves that a form is of a page that this visitor was shown.
    pub(super) token: String,
    /// Whether there is something to sign out of.
    pub(super) is_signed_in: bool,
}

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// The key that its bearer has shown.
    pub(super) key: KeyName,
    /// The token of its forms.
    pub(super) token: String,
}

impl Desk {
    /// A desk that makes sessions with `secret` and lets so many pages be live at once.
    #[must_use]
    pub fn new(secret: SecretString, seats: usize, tester: Tester) -> Self {
        let seats = Arc::new(Semaphore::new(seats.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner { secret, seats, throttle: Throttle::default(), tester }))
    }

    /// Tries a receiver out.
    pub(super) async fn test(&self, url: Url) -> AttemptRecord {
        (self.0.tester.0)(url).await
    }

    /// A place for one live page, if there is one left.
    pub(super) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        self.0.seats.clone().try_acquire_owned().ok()
    }

    pub(super) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// A session for the bearer of a key, as the cookie's value.
    pub(super) fn begin(&self, key: &KeyName, now: Timestamp) -> String {
        let nonce: [u8; 16] = rand::random();
        let bare =
            format!("v1.{}.{}.{}", key.as_str(), now.plus(SESSION_LIFE).secs(), hex::encode(nonce));
        let mac = self.mac("session", &bare);
        format!("{bare}.{mac}")
    }

    /// What a cookie's value says, if it was made here and its time is not over.
    pub(super) fn session(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (bare, mac) = cookie.rsplit_once('.')?;
        self.keyed("session", bare).verify_slice(&hex::decode(mac).ok()?).ok()?;
        let mut parts = bare.split('.');
        let (Some("v1"), Some(key), Some(end)) = (parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let is_over = end.parse::<i64>().ok()? <= now.secs();
        let token = self.mac("form", bare);
        (!is_over).then(|| Session { key: KeyName::named(key), token })
    }

    /// The token of forms where nobody signs in.
    pub(super) fn open_token(&self) -> String {
        self.mac("form", OPEN)
    }

    fn mac(&self, what: &str, text: &str) -> String {
        hex::encode(self.keyed(what, text).finalize().into_bytes())
    }

    fn keyed(&self, what: &str, text: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.secret.expose_secret().as_bytes())
            .expect("any key length");
        mac.update(format!("{what}\n{text}").as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    fn desk(secret: &str) -> Desk {
        let nobody = Tester::new(|_| Box::pin(std::future::pending()));
        Desk::new(secret.into(), 1, nobody)
    }

    #[test]
    fn a_session_is_its_owners_until_its_time_is_over() {
        let (desk, key) = (desk("secret"), KeyName::named("key_0123456789ab".to_owned()));
        let cookie = desk.begin(&key, NOW);
        let session = desk.session(&cookie, NOW).expect("a session");
        assert_eq!(session.key, key);
        let late = NOW.plus(SESSION_LIFE);
        assert_eq!(desk.session(&cookie, late), None);
        assert_eq!(self::desk("other").session(&cookie, NOW), None);
        let again = desk.begin(&key, NOW);
        assert_ne!(again, cookie);
        assert_ne!(desk.session(&again, NOW).expect("a session").token, session.token);
    }

    #[test]
    fn every_changed_letter_of_a_session_is_found_out() {
        let desk = desk("secret");
        let cookie = desk.begin(&KeyName::named("key_0123456789ab".to_owned()), NOW);
        for at in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).expect("text");
            assert_eq!(desk.session(&changed, NOW), None, "letter {at}");
        }
        for short in ["", ".", "v1", "v1.key.9999999999", "a.b.c.d.e"] {
            assert_eq!(desk.session(short, NOW), None, "{short}");
        }
    }

    #[test]
    fn a_form_is_no_session_and_a_session_no_form() {
        let desk = desk("secret");
        assert_eq!(desk.session(&format!("open.{}", desk.open_token()), NOW), None);
        assert!(!format!("{desk:?}").contains("secret\""));
    }
}
