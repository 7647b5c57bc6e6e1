//! How often somebody may try to sign in.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many tries may come at once, and how long it takes until there is one more.
const TRIES: NonZeroU32 = NonZeroU32::new(10).expect("ten");
const ONE_MORE_IN: Duration = Duration::from_secs(6);

/// How many addresses are remembered before those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;

/// Counts failed tries by address.
#[derive(Debug)]
pub(super) struct Throttle(DefaultKeyedRateLimiter<Option<IpAddr>>);

impl Default for Throttle {
    fn default() -> Self {
        let quota = Quota::with_period(ONE_MORE_IN).unwrap_or(Quota::per_minute(TRIES));
        Self(RateLimiter::keyed(quota.allow_burst(TRIES)))
    }
}

impl Throttle {
    /// Whether another try may be made from there; it counts as one.
    pub(super) fn lets_try(&self, from: Option<IpAddr>) -> bool {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&from).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_come_through_and_another_address_still_does() {
        let (throttle, one) = (Throttle::default(), Some(IpAddr::from([192, 0, 2, 1])));
        let lets = (0..12).filter(|_| throttle.lets_try(one)).count();
        assert_eq!(lets, 10);
        assert!(throttle.lets_try(Some(IpAddr::from([192, 0, 2, 2]))));
    }
}
