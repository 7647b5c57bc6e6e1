//! When a failed task is tried again.

use std::time::Duration;

use super::Failure;

/// How many claims a task may use up before it is failed.
pub const MAX_TRIES: u32 = 3;

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back into the queue, to run after this long.
    RetryIn(Duration),
    /// The same, and the claim does not count: nothing was tried, because a provider was away or
    /// asked for patience.
    PostponeBy(Duration),
    /// The task has failed.
    End,
}

/// How often and when a failed task is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Claims that a task may use up, the first included.
    pub max_tries: u32,
    /// The wait before the second claim; each further wait is four times as long.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// The longest wait before the claim that follows a first loss, four times as long with each
    /// further one. The lease that ran out was wait enough: this only keeps apart what was lost
    /// together.
    pub spread: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: MAX_TRIES,
            base: Duration::from_secs(5),
            cap: Duration::from_mins(5),
            spread: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// What follows when the `tries`-th claim ends in `failure`.
    ///
    /// `chance` from 0 to 1 spreads the wait by ±20 %.
    #[must_use]
    pub fn after(&self, failure: &Failure, tries: u32, chance: f64) -> Next {
        if failure.kind.is_retryable() {
            self.next(tries, self.base, 0.8 + 0.4 * chance.clamp(0.0, 1.0))
        } else {
            Next::End
        }
    }

    /// What follows when the worker was lost with the `tries`-th claim in its hands.
    ///
    /// `chance` from 0 to 1 is the share of the longest wait.
    #[must_use]
    pub fn after_loss(&self, tries: u32, chance: f64) -> Next {
        self.next(tries, self.spread, chance.clamp(0.0, 1.0))
    }

    fn next(&self, tries: u32, first: Duration, factor: f64) -> Next {
        if tries >= self.max_tries {
            return Next::End;
        }
        let growth = 4_u32.saturating_pow(tries.saturating_sub(1));
        Next::RetryIn(first.saturating_mul(growth).min(self.cap).mul_f64(factor))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::ErrorKind;

    #[test]
    fn bad_input_is_not_tried_again() {
        let failure = Failure::new(ErrorKind::InputNotFound, "gone");
        assert_eq!(RetryPolicy::default().after(&failure, 1, 0.5), Next::End);
    }

    #[test]
    fn a_passing_error_is_tried_again_later_each_time_and_then_no_more() {
        let failure = Failure::new(ErrorKind::InputUnavailable, "503");
        let policy = RetryPolicy::default();
        let waits: Vec<Next> = (1..=3).map(|tries| policy.after(&failure, tries, 0.5)).collect();
        assert_eq!(
            waits,
            [
                Next::RetryIn(Duration::from_secs(5)),
                Next::RetryIn(Duration::from_secs(20)),
                Next::End
            ]
        );
    }

    #[test]
    fn a_first_loss_costs_no_more_than_what_keeps_tasks_apart() {
        let policy = RetryPolicy::default();
        for (chance, millis) in [(0.0, 0), (0.5, 1_000), (1.0, 2_000)] {
            let next = policy.after_loss(1, chance);
            assert_eq!(next, Next::RetryIn(Duration::from_millis(millis)));
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_over_the_cap_by_more_than_the_jitter(tries in 0_u32..100, chance in 0.0..1.0) {
            let policy = RetryPolicy { max_tries: u32::MAX, ..RetryPolicy::default() };
            let failure = Failure::new(ErrorKind::InputUnavailable, "503");
            let next = policy.after(&failure, tries, chance);
            let Next::RetryIn(wait) = next else { panic!("must retry") };
            prop_assert!(wait >= policy.base.mul_f64(0.8));
            prop_assert!(wait <= policy.cap.mul_f64(1.2));
            let Next::RetryIn(wait) = policy.after_loss(tries, chance) else { panic!("must retry") };
            prop_assert!(wait <= policy.cap);
        }
    }
}
