//! When a delivery is attempted again, and when no more.
//!
//! Pure. In comes the receiver's answer and what is known of the destination; out comes what
//! follows. The time and chance are parameters, so the three days of a schedule are tested in
//! microseconds.

use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;
use crate::store::AttemptOutcome;

/// How many attempts a delivery has.
pub const MAX_ATTEMPTS: u32 = 10;

/// The waits between the attempts: 75 h 35 min 5 s from the first to the last.
pub const WAITS: [Duration; MAX_ATTEMPTS as usize - 1] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// How long a destination must have failed, with no success between, before it is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(5 * 24);

/// The shortest wait that a receiver can ask for.
const SHORTEST_ASKED: Duration = Duration::from_secs(1);

/// The longest wait that a receiver can ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

const OK: std::ops::RangeInclusive<u16> = 200..=299;
const GONE: u16 = 410;

/// How the receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With a status code.
    Status {
        /// The code.
        code: u16,
        /// How long it asked us to stay away.
        retry_after: Option<Duration>,
    },
    /// Not at all.
    None,
}

/// What follows the `tries`-th attempt (from 1), made at `now`.
///
/// `failing_since` is when the destination's present row of failures began, this one not
/// counted; `chance` from 0 to 1 spreads the wait by ±20 %. A wait that the receiver asks for,
/// at most a day, can lengthen the schedule and never shorten it: ten quick answers of "later"
/// must not use up the attempts of three days.
#[must_use]
pub fn decide(
    reply: Reply,
    tries: u32,
    failing_since: Option<Timestamp>,
    now: Timestamp,
    chance: f64,
) -> AttemptOutcome {
    let asked = match reply {
        Reply::Status { code, .. } if OK.contains(&code) => return AttemptOutcome::Delivered,
        Reply::Status { code: GONE, .. } => return AttemptOutcome::Disable,
        Reply::Status { retry_after, .. } => retry_after,
        Reply::None => None,
    };
    if let Some(wait) = wait_after(tries, chance) {
        let asked = asked.map(|wait| wait.clamp(SHORTEST_ASKED, LONGEST_ASKED));
        AttemptOutcome::RetryIn(asked.map_or(wait, |asked| asked.max(wait)))
    } else if failing_since.is_some_and(|since| now.since(since) >= GIVE_UP_AFTER) {
        AttemptOutcome::Disable
    } else {
        AttemptOutcome::Failed
    }
}

/// The wait between the `tries`-th attempt and the next, if there is a next.
fn wait_after(tries: u32, chance: f64) -> Option<Duration> {
    let index = usize::try_from(tries.max(1) - 1).ok()?;
    WAITS.get(index).map(|wait| wait.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0)))
}

/// The wait that a `Retry-After` header asks for at `now`: seconds, or a date of HTTP.
///
/// A date in the past is no wait at all; what is neither is `None`.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds still mean "very long".
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let date = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).ok()?);
    Some(date.since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
    const SPAN: Duration = Duration::from_secs(75 * 3600 + 35 * 60 + 5);

    fn status(code: u16) -> Reply {
        Reply::Status { code, retry_after: None }
    }

    fn asking(code: u16, secs: u64) -> Reply {
        Reply::Status { code, retry_after: Some(Duration::from_secs(secs)) }
    }

    /// All waits until the delivery ends, and how it ends.
    fn follow(reply: Reply, chances: &[f64]) -> (Vec<Duration>, AttemptOutcome) {
        let mut waits = Vec::new();
        loop {
            let tries = waits.len() as u32 + 1;
            let chance = chances[waits.len() % chances.len()];
            match decide(reply, tries, None, NOW, chance) {
                AttemptOutcome::RetryIn(wait) => waits.push(wait),
                end => return (waits, end),
            }
            assert!(waits.len() < 1000, "a schedule without an end");
        }
    }

    #[test]
    fn a_receiver_that_always_fails_gets_ten_attempts_over_75_hours() {
        let (waits, end) = follow(status(500), &[0.5]);
        assert_eq!(waits, WAITS);
        assert_eq!(waits.iter().sum::<Duration>(), SPAN);
        assert_eq!(end, AttemptOutcome::Failed);
    }

    #[test]
    fn every_2xx_is_delivered_and_nothing_else_is() {
        for code in 100..=599 {
            let delivered = decide(status(code), 1, None, NOW, 0.5) == AttemptOutcome::Delivered;
            assert_eq!(delivered, (200..300).contains(&code), "{code}");
        }
        assert_ne!(decide(Reply::None, 1, None, NOW, 0.5), AttemptOutcome::Delivered);
    }

    #[test]
    fn gone_disables_at_once() {
        assert_eq!(decide(status(410), 1, None, NOW, 0.5), AttemptOutcome::Disable);
    }

    #[test]
    fn a_redirect_is_a_failure_like_any_other() {
        let expected = AttemptOutcome::RetryIn(Duration::from_secs(5));
        for reply in [301, 302, 307, 308, 400, 404, 429, 500, 503].map(status) {
            assert_eq!(decide(reply, 1, None, NOW, 0.5), expected, "{reply:?}");
        }
        assert_eq!(decide(Reply::None, 1, None, NOW, 0.5), expected);
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_up_to_a_day() {
        let wait = |reply, tries| decide(reply, tries, None, NOW, 0.5);
        let retry_in = |secs| AttemptOutcome::RetryIn(Duration::from_secs(secs));
        assert_eq!(wait(asking(429, 120), 1), retry_in(120));
        assert_eq!(wait(asking(503, 7200), 2), retry_in(7200));
        assert_eq!(wait(asking(503, u64::MAX), 1), retry_in(24 * 3600));
        assert_eq!(wait(asking(200, 120), 1), AttemptOutcome::Delivered);
    }

    #[test]
    fn a_receiver_cannot_use_up_the_schedule_by_asking_for_less() {
        let (waits, _) = follow(asking(429, 0), &[0.5]);
        assert_eq!(waits, WAITS);
    }

    #[test]
    fn a_destination_that_failed_for_five_days_is_disabled_at_the_last_attempt() {
        let five_days_ago = Some(NOW.minus(GIVE_UP_AFTER));
        let less = Some(NOW.minus(GIVE_UP_AFTER.checked_sub(Duration::from_millis(1)).unwrap()));
        assert_eq!(decide(status(500), 10, five_days_ago, NOW, 0.5), AttemptOutcome::Disable);
        assert_eq!(decide(status(500), 10, less, NOW, 0.5), AttemptOutcome::Failed);
        assert!(matches!(
            decide(status(500), 9, five_days_ago, NOW, 0.5),
            AttemptOutcome::RetryIn(_)
        ));
        assert_eq!(decide(status(204), 10, five_days_ago, NOW, 0.5), AttemptOutcome::Delivered);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let at = |millis: u64| {
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
        };
        let now_ms = 1_764_000_000_000;
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(retry_after("120", NOW), secs(120));
        assert_eq!(retry_after(" 0 ", NOW), secs(0));
        assert_eq!(retry_after("99999999999999999999999999", NOW), secs(u64::MAX));
        assert_eq!(retry_after(&at(now_ms + 90_000), NOW), secs(90));
        assert_eq!(retry_after(&at(now_ms - 90_000), NOW), secs(0));
        for nonsense in ["", " ", "-5", "1.5", "soon", "Mon, 99 Nov 2025 00:00:00 GMT", "１２"] {
            assert_eq!(retry_after(nonsense, NOW), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn the_whole_span_stays_within_a_fifth_and_never_has_an_eleventh_attempt(
            chances in proptest::collection::vec(0.0..=1.0, 9),
            code in prop_oneof![300_u16..410, 411_u16..600],
        ) {
            let (waits, end) = follow(status(code), &chances);
            let span: Duration = waits.iter().sum();
            prop_assert_eq!(waits.len() + 1, 10);
            prop_assert_eq!(end, AttemptOutcome::Failed);
            prop_assert!(span >= SPAN.mul_f64(0.799_999) && span <= SPAN.mul_f64(1.200_001));
        }

        #[test]
        fn no_attempt_follows_the_tenth_whatever_is_asked_for(
            tries in 10_u32.., secs: u64, chance: f64, since: i64, code in 300_u16..600,
        ) {
            let since = Some(Timestamp::from_millis(since));
            let next = decide(asking(code, secs), tries, since, NOW, chance);
            prop_assert!(matches!(next, AttemptOutcome::Failed | AttemptOutcome::Disable));
        }

        #[test]
        fn no_wait_is_longer_than_the_last_one_with_its_jitter(
            tries in 0_u32..10, secs: u64, chance in -1.0..2.0, code in 411_u16..600,
        ) {
            let next = decide(asking(code, secs), tries, None, NOW, chance);
            let AttemptOutcome::RetryIn(wait) = next else { panic!("must retry") };
            prop_assert!(wait >= SHORTEST_ASKED);
            prop_assert!(wait <= LONGEST_ASKED.mul_f64(1.2));
        }

        #[test]
        fn no_header_makes_retry_after_panic(value in ".*") {
            let _wait = retry_after(&value, NOW);
        }
    }
}
