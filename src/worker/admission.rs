//! Memory for the programs that a worker runs, given out before they begin and taken back after.
//!
//! Who asks first is served first, so that a large task is never overtaken for ever by small ones.
//! A task asks once and for all it will need, while it holds nothing: no two can wait for each
//! other. One that needs more than there is gets all of it, and so runs alone. Each lane has a
//! share of its own: a thumbnail does not wait for the end of an encode.

use std::sync::Arc;

use bytesize::ByteSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::WorkError;
use crate::metrics;
use crate::task::Lane;

/// Memory is given out in pieces of this size, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// Which part of the memory is the light lane's, where both lanes have slots: one of so many.
const LIGHT_SHARE: u64 = 4;

/// Memory for the programs of a process, by lane; without a bound where nobody knows one.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    heavy: Option<Pool>,
    light: Option<Pool>,
}

/// What may be taken in a lane.
#[derive(Clone, Debug)]
struct Pool {
    pieces: Arc<Semaphore>,
    whole: u32,
}

/// Memory that was given to a task, until it is dropped.
#[derive(Debug)]
#[must_use = "what is dropped is given to the next"]
pub struct Admitted(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);

impl Admission {
    /// So many bytes for all programs together, of a process that has slots in these lanes.
    #[must_use]
    pub fn of(bytes: u64, lanes: &[Lane]) -> Self {
        let light = match (lanes.contains(&Lane::Heavy), lanes.contains(&Lane::Light)) {
            (true, true) => bytes / LIGHT_SHARE,
            (false, true) => bytes,
            (_, false) => 0,
        };
        Self { heavy: Some(Pool::of(bytes - light)), light: Some(Pool::of(light)) }
    }

    /// Waits until there are so many bytes for a task of this lane, and tells `waits` if they are
    /// not there at once.
    ///
    /// # Errors
    ///
    /// The work was stopped before.
    pub async fn admit(
        &self,
        lane: Lane,
        bytes: u64,
        waits: impl FnOnce(),
        stop: &CancellationToken,
    ) -> Result<Admitted, WorkError> {
        let Some(pool) = self.pool(lane) else { return Ok(Admitted(None)) };
        let pieces = pool.pieces_of(bytes);
        if let Ok(permit) = pool.pieces.clone().try_acquire_many_owned(pieces) {
            return Ok(Admitted(Some(permit)));
        }
        waits();
        let _waiting = metrics::TASKS_WAITING_FOR_MEMORY.hold(&[lane.name()]);
        let permit = pool.pieces.clone().acquire_many_owned(pieces);
        match stop.run_until_cancelled(permit).await {
            Some(Ok(permit)) => Ok(Admitted(Some(permit))),
            // Nobody closes the semaphore.
            Some(Err(_)) | None => Err(WorkError::Stopped),
        }
    }

    /// Whether there can ever be so many bytes for a task of this lane.
    #[must_use]
    pub fn fits(&self, lane: Lane, bytes: u64) -> bool {
        self.pool(lane).is_none_or(|pool| bytes <= u64::from(pool.whole) * PIECE_BYTES)
    }

    /// What there is for both lanes together, in bytes, for a log.
    #[must_use]
    pub fn whole(&self) -> Option<ByteSize> {
        let (heavy, light) = (self.heavy.as_ref()?, self.light.as_ref()?);
        Some(ByteSize((u64::from(heavy.whole) + u64::from(light.whole)) * PIECE_BYTES))
    }

    const fn pool(&self, lane: Lane) -> Option<&Pool> {
        match lane {
            Lane::Heavy => self.heavy.as_ref(),
            Lane::Light => self.light.as_ref(),
        }
    }
}

impl Pool {
    fn of(bytes: u64) -> Self {
        // With none at all nobody would wait for anybody.
        let whole = u32::try_from(bytes / PIECE_BYTES).unwrap_or(u32::MAX).max(1);
        Self { pieces: Arc::new(Semaphore::new(whole as usize)), whole }
    }

    /// Never more than there is: that would be waited for in vain.
    fn pieces_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX).min(self.whole)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn hundred() -> Admission {
        Admission::of(100 * MIB, &[Lane::Heavy])
    }

    /// Runs tasks that come in this order, each a second after the one before, and takes 10 s each;
    /// when each began, in seconds.
    async fn begun(admission: &Admission, mib: &[u64]) -> Vec<u64> {
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let tasks = mib.iter().enumerate().map(|(number, mib)| {
            let stop = stop.clone();
            async move {
                sleep(Duration::from_secs(number as u64)).await;
                let room = admission.admit(Lane::Heavy, mib * MIB, || {}, &stop).await;
                let begun = start.elapsed().as_secs();
                sleep(Duration::from_secs(10)).await;
                drop(room.expect("nobody stops it"));
                begun
            }
        });
        futures::future::join_all(tasks).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_fits_beside_the_others_begins_at_once_and_the_rest_waits() {
        assert_eq!(begun(&hundred(), &[50, 50, 50, 10]).await, [0, 1, 10, 11]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_task_is_not_overtaken_by_small_ones_that_come_after_it() {
        assert_eq!(begun(&hundred(), &[60, 80, 10, 10]).await, [0, 10, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_larger_than_all_there_is_runs_alone() {
        assert_eq!(begun(&hundred(), &[10, 4000, 10]).await, [0, 10, 20]);
        assert!(!hundred().fits(Lane::Heavy, 101 * MIB));
        assert!(hundred().fits(Lane::Heavy, 100 * MIB));
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_memory_at_all_tasks_run_one_after_the_other() {
        let none = Admission::of(0, &[Lane::Heavy, Lane::Light]);
        assert_eq!(begun(&none, &[10, 10, 10]).await, [0, 10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_stopped_while_it_waits_goes_and_lets_the_next_one_in() {
        let (admission, stop) = (hundred(), CancellationToken::new());
        let told = Mutex::new(0);
        let waits = || *told.lock().unwrap() += 1;
        let all = admission.admit(Lane::Heavy, 90 * MIB, waits, &stop).await.unwrap();
        assert_eq!(*told.lock().unwrap(), 0, "it did not wait");
        let mine = CancellationToken::new();
        let large = admission.admit(Lane::Heavy, 100 * MIB, waits, &mine);
        let small = admission.admit(Lane::Heavy, 10 * MIB, waits, &stop);
        let cancel = async {
            sleep(Duration::from_secs(5)).await;
            mine.cancel();
        };
        let (large, small, ()) = tokio::join!(large, small, cancel);
        assert!(matches!(large, Err(WorkError::Stopped)));
        assert!(small.is_ok(), "it was behind the one that has gone");
        assert_eq!(*told.lock().unwrap(), 2);
        drop(all);
    }

    #[tokio::test(start_paused = true)]
    async fn a_light_task_does_not_wait_for_the_end_of_a_heavy_one() {
        let (both, stop) = ([Lane::Heavy, Lane::Light], CancellationToken::new());
        let admission = Admission::of(100 * MIB, &both);
        let never = || panic!("it waits");
        let heavy = admission.admit(Lane::Heavy, 4000 * MIB, never, &stop).await;
        let light = admission.admit(Lane::Light, 25 * MIB, never, &stop).await;
        assert!(heavy.is_ok() && light.is_ok());
        assert_eq!(admission.whole(), Some(ByteSize(100 * MIB)));
    }

    #[tokio::test]
    async fn where_nobody_knows_what_there_is_everything_begins_at_once() {
        let (admission, stop) = (Admission::default(), CancellationToken::new());
        let never = || panic!("it waits");
        assert!(admission.admit(Lane::Heavy, u64::MAX, never, &stop).await.is_ok());
        assert!(admission.fits(Lane::Heavy, u64::MAX));
    }
}
