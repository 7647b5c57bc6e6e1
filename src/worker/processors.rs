//! Processors, shared among the tasks that are at work.
//!
//! An encoder that has more threads than processors keeps more pictures at hand and is no faster;
//! one that has fewer leaves processors idle. So a task gets its share of those that are there when
//! its commands are made: all of them where it is alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;

use crate::task::Lane;

/// Threads for a moment of the input: a thumbnail is no sooner there with more.
const MOMENT_THREADS: u32 = 1;

/// The processors that this process may use, and how many heavy tasks are at work on them.
#[derive(Clone, Debug)]
pub struct Processors {
    count: u32,
    heavy: Arc<AtomicU32>,
}

/// A task that is at work, until it is dropped.
#[derive(Debug)]
pub struct AtWork(Option<Arc<AtomicU32>>);

impl Processors {
    /// So many.
    #[must_use]
    pub fn of(count: u32) -> Self {
        Self { count: count.max(1), heavy: Arc::default() }
    }

    /// Those that the machine, the container and the affinity leave to this process.
    #[must_use]
    pub fn available() -> Self {
        let count = available_parallelism().map_or(1, std::num::NonZero::get);
        Self::of(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// A task is at work from now on, or several that share a slot.
    #[must_use]
    pub fn begin(&self, lane: Lane) -> AtWork {
        AtWork((lane == Lane::Heavy).then(|| {
            self.heavy.fetch_add(1, Ordering::Relaxed);
            self.heavy.clone()
        }))
    }

    /// How many threads each decoder and encoder of a task gets that begins to encode now; a light
    /// one may read all of a film, or only a moment.
    #[must_use]
    pub fn threads(&self, lane: Lane, reads_all: bool) -> u32 {
        match lane {
            Lane::Light if !reads_all => MOMENT_THREADS,
            Lane::Light | Lane::Heavy => {
                self.count.div_ceil(self.heavy.load(Ordering::Relaxed).max(1))
            }
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(heavy) = &self.0 {
            heavy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_all_processors_while_it_is_alone_and_its_share_while_it_is_not() {
        let processors = Processors::of(16);
        let mut at_work = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..5 {
            at_work.push(processors.begin(Lane::Heavy));
            threads.push(processors.threads(Lane::Heavy, true));
        }
        assert_eq!(threads, [16, 8, 6, 4, 4]);
        let light = processors.begin(Lane::Light);
        assert_eq!(processors.threads(Lane::Heavy, false), 4, "a picture is no encode");
        assert_eq!(processors.threads(Lane::Light, false), 1);
        assert_eq!(processors.threads(Lane::Light, true), 4, "pictures of a whole film");
        drop((at_work, light));
        assert_eq!(processors.threads(Lane::Heavy, true), 16);
    }

    #[test]
    fn everybody_has_a_thread() {
        let processors = Processors::of(0);
        let _all = [processors.begin(Lane::Heavy), processors.begin(Lane::Heavy)];
        assert_eq!(processors.threads(Lane::Heavy, true), 1);
        assert_eq!(processors.threads(Lane::Light, true), 1);
        assert!(Processors::available().threads(Lane::Heavy, true) >= 1);
    }
}
