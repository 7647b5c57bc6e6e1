//! How often somebody may try to sign in.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::request::{Place, Places};

/// How many tries may come at once, and how long it takes until there is one more.
const TRIES: NonZeroU32 = NonZeroU32::new(10).expect("ten");
const ONE_MORE_IN: Duration = Duration::from_secs(6);

/// Counts tries by address, in as many places as the API's own limits do.
#[derive(Debug)]
pub(super) struct Throttle {
    places: Places,
    tries: DefaultKeyedRateLimiter<Option<Place>>,
}

impl Default for Throttle {
    fn default() -> Self {
        let quota = Quota::with_period(ONE_MORE_IN).unwrap_or(Quota::per_minute(TRIES));
        Self { places: Places::default(), tries: RateLimiter::keyed(quota.allow_burst(TRIES)) }
    }
}

impl Throttle {
    /// Whether another try may be made from there; it counts as one.
    pub(super) fn lets_try(&self, from: Option<IpAddr>) -> bool {
        self.tries.check_key(&from.map(|address| self.places.of(address))).is_ok()
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
