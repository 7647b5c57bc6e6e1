//! Whether there is room in the queue for what comes.
//!
//! To count what waits takes the longer the more waits, so that it is not done for every
//! submission. What was counted a moment ago, and what this process has written since, tell as well
//! that there is room; whoever would be refused is counted for anew.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::database::Transaction;
use super::statement::sql;
use crate::job::Job;
use crate::store::StoreResult;
use crate::task::TaskState;

/// How long a count is good for: so much may other processes submit, or workers hand back, before
/// it is seen here.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How much waits, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Queue {
    counted: Mutex<Option<Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    /// How many waited, and how many this process has written since.
    waiting: u64,
    at: Instant,
}

/// The queue as one transaction sees it, and what it adds.
pub(super) struct Room {
    counted: Option<Counted>,
    /// Whether it was counted in this transaction.
    is_new: bool,
    /// What is still to be written.
    coming: u64,
    /// No limit is larger.
    largest: u64,
}

impl Queue {
    /// For a transaction with limits up to `largest`.
    pub(super) fn look(&self, largest: u64) -> Room {
        let counted = self.lock().filter(|counted| counted.at.elapsed() < GOOD_FOR);
        Room { counted, is_new: false, coming: 0, largest }
    }

    /// After the transaction was written.
    pub(super) fn note(&self, room: Room) {
        let mut counted = self.lock();
        if room.is_new {
            // What was not counted to its end is no count of it.
            *counted = room.counted.filter(|counted| counted.waiting < room.largest);
        }
        if let Some(counted) = counted.as_mut() {
            counted.waiting = counted.waiting.saturating_add(room.coming);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Counted>> {
        // No step between two consistent counts can panic.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Whether no more than `max_queued` tasks would wait; then these jobs' wait from now on. Where
    /// many processes submit at the same moment a limit may be passed by what they submit.
    pub(super) async fn take(
        &mut self,
        tx: &mut Transaction,
        jobs: &[Job],
        max_queued: u64,
    ) -> StoreResult<bool> {
        let coming = self.coming.saturating_add(queued(jobs));
        let has_room = self.has_room(coming, max_queued) || {
            self.count(tx).await?;
            self.has_room(coming, max_queued)
        };
        if has_room {
            self.coming = coming;
        }
        Ok(has_room)
    }

    fn has_room(&self, coming: u64, max_queued: u64) -> bool {
        self.counted.is_some_and(|counted| counted.waiting.saturating_add(coming) <= max_queued)
    }

    /// Counts no further than the largest limit, and once in a transaction.
    async fn count(&mut self, tx: &mut Transaction) -> StoreResult<()> {
        if self.is_new {
            return Ok(());
        }
        let text = "
            select count(*) from (select 1 from tasks where state = 'queued' limit $1) as waiting
            ";
        let at = Instant::now();
        let limit = i64::try_from(self.largest).unwrap_or(i64::MAX);
        let waiting: Option<i64> = sql(text).bind(limit).value(tx).await?;
        let waiting = waiting.unwrap_or_default().unsigned_abs();
        (self.counted, self.is_new) = (Some(Counted { waiting, at }), true);
        Ok(())
    }
}

/// How many of their tasks wait for a worker.
fn queued(jobs: &[Job]) -> u64 {
    let tasks = jobs.iter().flat_map(|job| &job.tasks);
    tasks.filter(|task| matches!(task.state, TaskState::Queued { .. })).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(queue: &Queue) -> Option<u64> {
        queue.look(u64::MAX).counted.map(|counted| counted.waiting)
    }

    fn note(queue: &Queue, waiting: Option<u64>, coming: u64, largest: u64) {
        let mut room = queue.look(largest);
        room.coming = coming;
        if let Some(waiting) = waiting {
            let at = Instant::now();
            (room.counted, room.is_new) = (Some(Counted { waiting, at }), true);
        }
        queue.note(room);
    }

    #[test]
    fn what_is_written_after_a_count_is_part_of_it() {
        let queue = Queue::default();
        note(&queue, None, 3, 10);
        assert_eq!(counted(&queue), None, "it was never counted");
        note(&queue, Some(4), 2, 10);
        note(&queue, None, 3, 10);
        assert_eq!(counted(&queue), Some(9));
        let room = queue.look(10);
        assert!(room.has_room(1, 10) && !room.has_room(2, 10));
        note(&queue, Some(1), 0, 10);
        assert_eq!(counted(&queue), Some(1), "what was done meanwhile waits no more");
    }

    #[test]
    fn a_count_that_stopped_at_a_limit_is_good_for_nothing_else() {
        let queue = Queue::default();
        note(&queue, Some(10), 0, 10);
        assert_eq!(counted(&queue), None);
    }

    #[test]
    fn a_count_grows_old() {
        let queue = Queue::default();
        let at = Instant::now().checked_sub(GOOD_FOR).expect("a moment");
        *queue.lock() = Some(Counted { waiting: 1, at });
        assert_eq!(counted(&queue), None);
    }
}
