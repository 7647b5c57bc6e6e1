//! When a provider is asked again.

use std::time::Duration;

/// The first and the longest wait of a task that the provider could not be given.
pub const SUBMIT_WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// How long a task is kept for a provider that is away.
pub const SUBMIT_PATIENCE: Duration = Duration::from_hours(24);

/// The longest wait between two questions about a job.
pub const LONGEST_ASK: Duration = Duration::from_mins(10);

/// How long a provider may have a job.
pub const JOB_PATIENCE: Duration = Duration::from_hours(72);

/// How often in a row a provider may not know a job before it counts as lost.
pub const MAX_MISSED: u32 = 3;

/// How often a provider is told that a job is not wanted.
pub const MAX_TELLS: u32 = 5;

/// What a provider may ask for by `Retry-After`.
pub const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// The wait after something has gone on for `age`: half as long again, within `first` and
/// `longest`, spread by ±20 % as `chance` from 0 to 1 says. So the waits grow by half each time,
/// and nothing has to be counted.
#[must_use]
pub fn wait(age: Duration, first: Duration, longest: Duration, chance: f64) -> Duration {
    let wait = (age / 2).min(longest).max(first);
    wait.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

/// What a provider asked for, within [`RETRY_AFTER`].
#[must_use]
pub fn asked_for(wait: Duration) -> Duration {
    wait.clamp(RETRY_AFTER.0, RETRY_AFTER.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_half_up_to_the_longest() {
        let (first, longest) = SUBMIT_WAITS;
        let mut age = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..12 {
            let next = wait(age, first, longest, 0.5);
            waits.push(next.as_secs());
            age += next;
        }
        assert_eq!(waits, [5, 5, 5, 7, 11, 16, 25, 37, 56, 85, 128, 192]);
        assert_eq!(wait(SUBMIT_PATIENCE, first, longest, 0.5), longest);
        assert_eq!(wait(SUBMIT_PATIENCE, first, longest, 0.0), longest.mul_f64(0.8));
        assert_eq!(wait(SUBMIT_PATIENCE, first, longest, 9.0), longest.mul_f64(1.2));
    }

    #[test]
    fn a_provider_cannot_ask_for_no_wait_or_for_ever() {
        assert_eq!(asked_for(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(asked_for(Duration::MAX), Duration::from_hours(1));
        assert_eq!(asked_for(Duration::from_secs(7)), Duration::from_secs(7));
    }
}
