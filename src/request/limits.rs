//! How fast a key and an address may ask.
//!
//! Whoever has a key is counted by the key, wherever they are: many good callers behind one address
//! do not stand in each other's way. Whoever has none is counted by the address, so that keys are
//! not guessed. A process counts for itself.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use super::Problem;
use crate::access::{Caller, KeyName, Rates};
use crate::id::KeyId;

/// After so many keys, those that have been silent for a while are forgotten.
const KEYS_BEFORE_TIDYING: usize = 10_000;

/// The time since some moment, which never goes back: not the date, which may.
#[derive(Clone)]
struct Ticks(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0)()
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Duration>>;

/// One of so many places in which addresses are counted. Two addresses may share one; nobody can
/// tell which, and however many come, there are no more.
pub type Place = u16;

/// Which place an address has: another one in every process.
#[derive(Clone, Debug, Default)]
pub struct Places(RandomState);

impl Places {
    /// The place of an address. Whoever has one address of IPv6 has a whole /64 of them.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let network = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        self.0.hash_one((address.is_ipv4(), network)) as Place
    }
}

/// Counts requests. Cheap to clone.
#[derive(Clone)]
pub struct RateLimits(Arc<Counts>);

struct Counts {
    keys: Option<Limiter<KeyName>>,
    refused: Option<Limiter<Place>>,
    places: Places,
    ticks: Ticks,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Until when an address asks too often.
    until: HashMap<Place, Duration>,
    /// Where keys of the settings have been good. There are few such keys.
    good_from: HashSet<(Place, KeyName)>,
}

impl RateLimits {
    /// Counts by the clock of this machine.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let start = Instant::now();
        Self::by(rates, move || start.elapsed())
    }

    /// Counts by another clock, which tells the time since some moment.
    #[must_use]
    pub fn by(rates: Rates, ticks: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let ticks = Ticks(Arc::new(ticks));
        let Rates { per_key, refused_per_address } = rates;
        Self(Arc::new(Counts {
            keys: per_key.map(|rate| {
                RateLimiter::hashmap_with_clock(Quota::per_minute(rate), ticks.clone())
            }),
            refused: refused_per_address.map(|rate| {
                RateLimiter::hashmap_with_clock(Quota::per_minute(rate), ticks.clone())
            }),
            places: Places::default(),
            ticks,
            memory: Mutex::default(),
        }))
    }

    /// Lets a caller with a good key pass, unless the key asks too often.
    ///
    /// From an address that asks too often without one, a key of the settings passes only if it has
    /// been good from there before: people choose those, and a guess must not be told from a miss.
    /// A key that was made here cannot be guessed.
    pub(super) fn admit(&self, caller: Caller) -> Result<Caller, Problem> {
        if caller.key.as_str().parse::<KeyId>().is_err()
            && let Some(address) = caller.address
        {
            self.admit_from(address, &caller.key)?;
        }
        if let Some(keys) = &self.0.keys {
            if keys.len() > KEYS_BEFORE_TIDYING {
                keys.retain_recent();
            }
            keys.check_key(&caller.key).map_err(|not_until| {
                let rate = not_until.quota().burst_size();
                let wait = self.wait(&not_until);
                let hint = format!(
                    "a key may send {rate} requests a minute (REELWAY_MAX_REQUESTS_PER_KEY); a \
                     webhook or an event stream tells of a job without asking"
                );
                too_many("this API key sends too many requests", wait).hint(hint)
            })?;
        }
        Ok(caller)
    }

    fn admit_from(&self, address: IpAddr, key: &KeyName) -> Result<(), Problem> {
        if self.0.refused.is_none() {
            return Ok(());
        }
        let place = self.0.places.of(address);
        let now = self.0.ticks.now();
        let mut memory = self.memory();
        let wait = memory.until.get(&place).map(|until| until.saturating_sub(now));
        let was_good = memory.good_from.contains(&(place, key.clone()));
        match wait {
            Some(wait) if !wait.is_zero() && !was_good => Err(too_many_refused(wait)),
            _ => {
                if !was_good {
                    memory.good_from.insert((place, key.clone()));
                }
                Ok(())
            }
        }
    }

    /// What to tell somebody without a good key: why not, or that they ask too often.
    pub(super) fn refuse(&self, address: Option<IpAddr>, why: Problem) -> Problem {
        let (Some(refused), Some(address)) = (&self.0.refused, address) else { return why };
        if why.status() != StatusCode::UNAUTHORIZED {
            return why;
        }
        let place = self.0.places.of(address);
        match refused.check_key(&place) {
            Ok(()) => why,
            Err(not_until) => {
                let wait = self.wait(&not_until);
                let until = self.0.ticks.now() + wait;
                self.memory().until.insert(place, until);
                too_many_refused(wait)
            }
        }
    }

    fn wait(&self, not_until: &NotUntil<Duration>) -> Duration {
        not_until.wait_time_from(self.0.ticks.now())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_on = [self.0.keys.is_some(), self.0.refused.is_some()];
        write!(f, "RateLimits(keys: {}, addresses: {})", is_on[0], is_on[1])
    }
}

fn too_many_refused(wait: Duration) -> Problem {
    too_many("too many requests without a good API key have come from this address", wait)
        .hint("send the header `Authorization: Bearer KEY` with a key that is good, and wait as long as `Retry-After` says")
}

fn too_many(message: &'static str, wait: Duration) -> Problem {
    let secs = wait.as_secs_f64().ceil() as u32;
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).retry_after(secs.max(1))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// So many a minute, by a clock that tests move.
    fn limits(per_key: u32, refused: u32) -> (RateLimits, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(0));
        let ticks = now.clone();
        let rates = Rates {
            per_key: NonZeroU32::new(per_key),
            refused_per_address: NonZeroU32::new(refused),
        };
        let by = move || Duration::from_secs(ticks.load(Ordering::SeqCst));
        (RateLimits::by(rates, by), now)
    }

    fn caller(name: &str, address: &str) -> Caller {
        let address = Some(address.parse().expect("an address"));
        Caller::admin(KeyName::named(name)).calling_from(address)
    }

    fn unauthorized() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "token_invalid", "no")
    }

    fn refused(limits: &RateLimits, address: &str) -> &'static str {
        limits.refuse(Some(address.parse().expect("an address")), unauthorized()).kind()
    }

    #[test]
    fn a_key_is_counted_wherever_it_is_and_comes_again_a_little_later() {
        let (limits, now) = limits(3, 0);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            assert!(limits.admit(caller("a", address)).is_ok());
        }
        assert_eq!(
            limits.admit(caller("a", "192.0.2.4")).map_err(|it| it.kind()),
            Err("rate_limited")
        );
        assert!(limits.admit(caller("b", "192.0.2.1")).is_ok(), "another key");
        now.store(20, Ordering::SeqCst);
        assert!(limits.admit(caller("a", "192.0.2.1")).is_ok(), "a third of a minute is one");
        assert!(limits.admit(caller("a", "192.0.2.1")).is_err());
    }

    #[test]
    fn an_address_is_counted_with_its_whole_network_of_ipv6() {
        let (limits, now) = limits(0, 2);
        for address in ["2001:db8::1", "2001:db8::ffff:2"] {
            assert_eq!(refused(&limits, address), "token_invalid");
        }
        assert_eq!(refused(&limits, "2001:db8::3"), "rate_limited");
        assert_eq!(refused(&limits, "192.0.2.1"), "token_invalid");
        assert_eq!(refused(&limits, "::ffff:192.0.2.1"), "token_invalid", "the same, written long");
        assert_eq!(refused(&limits, "192.0.2.1"), "rate_limited");
        now.store(30, Ordering::SeqCst);
        assert_eq!(refused(&limits, "192.0.2.1"), "token_invalid");
        let fault = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "ours");
        assert_eq!(limits.refuse("192.0.2.1".parse().ok(), fault).kind(), "internal_error");
        assert_eq!(limits.refuse(None, unauthorized()).kind(), "token_invalid");
    }

    #[test]
    fn where_keys_are_guessed_only_those_pass_that_were_good_there_or_cannot_be_guessed() {
        let (limits, now) = limits(0, 1);
        assert!(limits.admit(caller("known", "192.0.2.1")).is_ok());
        refused(&limits, "192.0.2.1");
        assert_eq!(refused(&limits, "192.0.2.1"), "rate_limited");
        assert!(limits.admit(caller("known", "192.0.2.1")).is_ok());
        let made = "key_01h2xcejqtf2nbrexx3vqjhp41";
        assert!(limits.admit(caller(made, "192.0.2.1")).is_ok());
        let guessed = limits.admit(caller("guessed", "192.0.2.1"));
        assert_eq!(guessed.map_err(|problem| problem.kind()), Err("rate_limited"));
        assert!(limits.admit(caller("guessed", "192.0.2.9")).is_ok(), "elsewhere");
        now.store(61, Ordering::SeqCst);
        assert!(limits.admit(caller("guessed", "192.0.2.1")).is_ok(), "later");
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (limits, _now) = limits(0, 1);
        for n in 0..200_000_u32 {
            let address = IpAddr::V4(n.into());
            limits.refuse(Some(address), unauthorized());
            limits.refuse(Some(address), unauthorized());
        }
        assert!(limits.memory().until.len() <= 1 << 16);
        assert!(limits.0.refused.as_ref().is_some_and(|refused| refused.len() <= 1 << 16));
    }
}
