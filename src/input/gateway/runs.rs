//! Who fetches which blocks, and what a reader's wish changes about it. Pure, but for the tokens
//! by which a run is told to stop.
//!
//! A run is one long request, from a block to another. A reader that wishes for a block waits for
//! the run that is about to come there; where there is none, one is begun, and runs that nobody
//! waits for are cut. A run that takes up where another one ended is twice as long as that: who
//! reads on is read ahead, who jumps about is given little.

use std::collections::VecDeque;
use std::ops::Range;

use tokio_util::sync::CancellationToken;

use super::blocks::{BLOCK_BYTES, Blocks};

/// How far a run may be from a wish that it will fulfil: nearer than a new request is.
const NEAR: u64 = (1 << 20) / BLOCK_BYTES;

/// How much the first run at a place fetches.
const SHORTEST: u64 = (1 << 20) / BLOCK_BYTES;

/// How much a run fetches at most, unless it fetches all.
const LONGEST: u64 = (32 << 20) / BLOCK_BYTES;

/// How many runs there are at most for readers: a film and its sound may be far apart.
const MOST_RUNS: usize = 3;

/// How many ends of runs are remembered.
const MOST_ENDS: usize = 8;

/// The runs of one file, and what is wished for.
#[derive(Debug, Default)]
pub(super) struct Runs {
    list: Vec<Run>,
    /// What readers wait for.
    wishes: Vec<u64>,
    /// Where runs ended, and how long they were.
    ends: VecDeque<(u64, u64)>,
    next_id: u64,
}

#[derive(Debug)]
struct Run {
    id: u64,
    /// The next block that comes.
    next: u64,
    end: u64,
    length: u64,
    /// Whether it is there for readers, and not to have the whole.
    is_for_readers: bool,
    stop: CancellationToken,
}

/// What somebody is to fetch.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: u64,
    pub(super) blocks: Range<u64>,
    pub(super) stop: CancellationToken,
}

/// What becomes of a wish.
#[derive(Debug)]
pub(super) enum Wish {
    /// It is fulfilled.
    Here,
    /// Somebody sees to it, or must end first.
    Coming,
    /// Somebody has to fetch this.
    Fetch(Task),
}

impl Runs {
    /// A reader waits for `block`, until [`Self::waits_no_more`].
    pub(super) fn waits(&mut self, block: u64) {
        self.wishes.push(block);
    }

    /// It does not any more.
    pub(super) fn waits_no_more(&mut self, block: u64) {
        if let Some(at) = self.wishes.iter().position(|wish| *wish == block) {
            self.wishes.swap_remove(at);
        }
    }

    /// What becomes of the wish for `block`, which is among those that readers wait for.
    pub(super) fn wish(&mut self, block: u64, blocks: &Blocks) -> Wish {
        if blocks.has(block) {
            return Wish::Here;
        }
        if self.list.iter().any(|run| run.is_near(block)) {
            return Wish::Coming;
        }
        self.cut(|run, readers| readers >= MOST_RUNS || run.end - run.next > NEAR);
        if self.readers() >= MOST_RUNS {
            return Wish::Coming;
        }
        let length = self.length_at(block);
        let gap = blocks.gap_at(block, length, |it| self.is_seen_to(it));
        Wish::Fetch(self.begin(gap, length, true))
    }

    /// The next stretch on the way to the whole; none where all is here or under way.
    pub(super) fn fill(&mut self, blocks: &Blocks) -> Option<Task> {
        let gap = blocks.first_gap(|block| self.is_seen_to(block))?;
        let length = gap.end - gap.start;
        Some(self.begin(gap, length, false))
    }

    /// A run that is under way already, for nobody in particular.
    pub(super) fn first(&mut self, blocks: Range<u64>) -> Task {
        self.begin(blocks, SHORTEST, true)
    }

    /// A run has come to `next`.
    pub(super) fn advance(&mut self, id: u64, next: u64) {
        if let Some(run) = self.list.iter_mut().find(|run| run.id == id) {
            run.next = next;
        }
    }

    /// A run has ended.
    pub(super) fn end(&mut self, id: u64) {
        if let Some(at) = self.list.iter().position(|run| run.id == id) {
            let run = self.list.swap_remove(at);
            self.remember(&run);
        }
    }

    /// The readers are gone: what is not nearly at its end is cut.
    pub(super) fn let_go(&mut self) {
        self.cut(|run, _| run.end - run.next > SHORTEST);
    }

    /// Everything ends.
    pub(super) fn stop_all(&mut self) {
        self.list.iter().for_each(|run| run.stop.cancel());
    }

    fn begin(&mut self, blocks: Range<u64>, length: u64, is_for_readers: bool) -> Task {
        let (id, stop) = (self.next_id, CancellationToken::new());
        self.next_id += 1;
        let (next, end) = (blocks.start, blocks.end);
        self.list.push(Run { id, next, end, length, is_for_readers, stop: stop.clone() });
        Task { id, blocks, stop }
    }

    /// Cuts runs for readers that no reader waits for, where `may` says so; it is told how many
    /// there are still.
    fn cut(&mut self, may: impl Fn(&Run, usize) -> bool) {
        let mut at = 0;
        while at < self.list.len() {
            let run = &self.list[at];
            let is_needed = self.wishes.iter().any(|wish| run.is_near(*wish));
            if run.is_for_readers && !is_needed && may(run, self.readers()) {
                let run = self.list.swap_remove(at);
                run.stop.cancel();
                self.remember(&run);
            } else {
                at += 1;
            }
        }
    }

    fn readers(&self) -> usize {
        self.list.iter().filter(|run| run.is_for_readers).count()
    }

    fn is_seen_to(&self, block: u64) -> bool {
        self.list.iter().any(|run| (run.next..run.end).contains(&block))
    }

    fn length_at(&self, block: u64) -> u64 {
        let before = self.ends.iter().find(|(end, _)| *end == block);
        before.map_or(SHORTEST, |(_, length)| (length * 2).clamp(SHORTEST, LONGEST))
    }

    fn remember(&mut self, run: &Run) {
        self.ends.retain(|(end, _)| *end != run.next);
        self.ends.push_back((run.next, run.length));
        if self.ends.len() > MOST_ENDS {
            self.ends.pop_front();
        }
    }
}

impl Run {
    fn is_near(&self, block: u64) -> bool {
        (self.next..self.end).contains(&block) && block - self.next <= NEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(wish: Wish) -> Task {
        match wish {
            Wish::Fetch(task) => task,
            other => panic!("nothing is to be fetched: {other:?}"),
        }
    }

    /// The run comes to its end.
    fn complete(runs: &mut Runs, blocks: &mut Blocks, task: &Task) {
        for block in task.blocks.clone() {
            blocks.add(block);
            runs.advance(task.id, block + 1);
        }
        runs.end(task.id);
    }

    fn wish(runs: &mut Runs, blocks: &Blocks, block: u64) -> Wish {
        runs.waits(block);
        let wish = runs.wish(block, blocks);
        runs.waits_no_more(block);
        wish
    }

    #[test]
    fn who_reads_on_is_read_ahead_and_who_jumps_is_given_little() {
        let (mut runs, mut blocks) = (Runs::default(), Blocks::new(1000 * BLOCK_BYTES));
        let (mut at, mut lengths) = (0, Vec::new());
        for _ in 0..8 {
            let task = fetched(wish(&mut runs, &blocks, at));
            lengths.push(task.blocks.end - task.blocks.start);
            complete(&mut runs, &mut blocks, &task);
            at = task.blocks.end;
        }
        assert_eq!(lengths, [4, 8, 16, 32, 64, 128, 128, 128]);
        let jump = fetched(wish(&mut runs, &blocks, 900));
        assert_eq!(jump.blocks, 900..904);
    }

    #[test]
    fn a_reader_waits_for_a_run_that_is_near_and_does_not_wait_for_one_that_is_far() {
        let (mut runs, blocks) = (Runs::default(), Blocks::new(1000 * BLOCK_BYTES));
        let all = runs.fill(&blocks).expect("a run");
        assert_eq!(all.blocks, 0..1000);
        assert!(matches!(wish(&mut runs, &blocks, 3), Wish::Coming));
        let index = fetched(wish(&mut runs, &blocks, 998));
        assert_eq!(index.blocks, 998..999, "the rest of it is under way, far from here");
        assert!(!all.stop.is_cancelled(), "a jump does not cut what is to have the whole");
    }

    #[test]
    fn a_jump_cuts_the_run_that_nobody_waits_for() {
        let (mut runs, blocks) = (Runs::default(), Blocks::new(1000 * BLOCK_BYTES));
        let first = runs.first(0..16);
        runs.waits(0);
        let second = fetched(wish(&mut runs, &blocks, 990));
        assert!(!first.stop.is_cancelled(), "somebody waits for it");
        runs.waits_no_more(0);
        let third = fetched(wish(&mut runs, &blocks, 500));
        assert!(first.stop.is_cancelled(), "nobody waits, and it has far to go");
        assert!(!second.stop.is_cancelled(), "what is nearly there may as well arrive");
        assert_eq!(third.blocks, 500..504);
    }

    #[test]
    fn there_are_never_more_runs_for_readers_than_three() {
        let (mut runs, blocks) = (Runs::default(), Blocks::new(1000 * BLOCK_BYTES));
        for block in [100, 200, 300] {
            runs.waits(block);
            fetched(runs.wish(block, &blocks));
        }
        runs.waits(400);
        assert!(matches!(runs.wish(400, &blocks), Wish::Coming));
        runs.waits_no_more(200);
        assert_eq!(fetched(runs.wish(400, &blocks)).blocks, 400..404);
        assert_eq!(runs.readers(), 3);
    }
}
