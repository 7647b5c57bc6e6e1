//! Which blocks of a file are here. Pure.

use std::ops::Range;

/// How much is fetched and kept as one: large enough that a film of hours has few of them, small
/// enough that a picture does not take many bytes that nobody reads.
pub(super) const BLOCK_BYTES: u64 = 256 << 10;

/// Which blocks of a file are here.
#[derive(Debug)]
pub(super) struct Blocks {
    total_bytes: u64,
    here: Vec<bool>,
    missing: u64,
}

impl Blocks {
    /// None of a file of so many bytes.
    pub(super) fn new(total_bytes: u64) -> Self {
        let missing = total_bytes.div_ceil(BLOCK_BYTES);
        Self { total_bytes, here: vec![false; missing as usize], missing }
    }

    /// How many blocks the file has.
    pub(super) const fn count(&self) -> u64 {
        self.here.len() as u64
    }

    /// Whether it is here. What is no block of the file is not.
    pub(super) fn has(&self, block: u64) -> bool {
        self.here.get(block as usize).copied().unwrap_or(false)
    }

    /// It is here from now on.
    pub(super) fn add(&mut self, block: u64) {
        if let Some(here) = self.here.get_mut(block as usize)
            && !std::mem::replace(here, true)
        {
            self.missing -= 1;
        }
    }

    /// Whether all are here.
    pub(super) const fn is_full(&self) -> bool {
        self.missing == 0
    }

    /// How many bytes are here, to the block.
    pub(super) const fn here_bytes(&self) -> u64 {
        let bytes = (self.count() - self.missing) * BLOCK_BYTES;
        if bytes < self.total_bytes { bytes } else { self.total_bytes }
    }

    /// Where blocks lie in the file.
    pub(super) fn bytes(&self, blocks: &Range<u64>) -> Range<u64> {
        let end = blocks.end.saturating_mul(BLOCK_BYTES).min(self.total_bytes);
        blocks.start.saturating_mul(BLOCK_BYTES).min(end)..end
    }

    /// From `block`, which is missing, to the first one that is here or that `is_other` says
    /// somebody else sees to; at most so many.
    pub(super) fn gap_at(
        &self,
        block: u64,
        most: u64,
        is_other: impl Fn(u64) -> bool,
    ) -> Range<u64> {
        let limit = self.count().min(block.saturating_add(most));
        let end = (block + 1..limit).find(|&next| self.has(next) || is_other(next));
        block..end.unwrap_or(limit)
    }

    /// The first stretch of missing blocks that nobody else sees to.
    pub(super) fn first_gap(&self, is_other: impl Fn(u64) -> bool) -> Option<Range<u64>> {
        let first = (0..self.count()).find(|&block| !self.has(block) && !is_other(block))?;
        Some(self.gap_at(first, u64::MAX, is_other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn filling_one_gap_after_the_other_fills_the_file_and_fetches_nothing_twice(
            total in 1_u64..40 * BLOCK_BYTES,
            there in prop::collection::vec(0_u64..45, 0..20),
        ) {
            let mut blocks = Blocks::new(total);
            there.iter().for_each(|&block| blocks.add(block));
            let mut fetched = blocks.here_bytes();
            while let Some(gap) = blocks.first_gap(|_| false) {
                prop_assert!(gap.clone().all(|block| !blocks.has(block)));
                let bytes = blocks.bytes(&gap);
                prop_assert!(bytes.start < bytes.end && bytes.end <= total);
                gap.for_each(|block| blocks.add(block));
                fetched += bytes.end - bytes.start;
            }
            prop_assert!(blocks.is_full());
            prop_assert_eq!(blocks.here_bytes(), total);
            // The last block is shorter than others; where it was there, it was counted whole.
            prop_assert!(fetched >= total && fetched < total + BLOCK_BYTES);
        }

        #[test]
        fn a_gap_ends_before_what_is_here_or_anothers(
            total in 1_u64..40,
            there in prop::collection::vec(0_u64..40, 0..20),
            others in prop::collection::vec(0_u64..40, 0..20),
            most in 1_u64..50,
        ) {
            let mut blocks = Blocks::new(total * BLOCK_BYTES);
            there.iter().for_each(|&block| blocks.add(block));
            if let Some(first) = blocks.first_gap(|block| others.contains(&block)) {
                let gap = blocks.gap_at(first.start, most, |block| others.contains(&block));
                prop_assert!(gap.end - gap.start <= most && gap.start < gap.end);
                prop_assert!(gap.clone().all(|it| !blocks.has(it) && !others.contains(&it)));
                let stops = gap.end == total || gap.end - gap.start == most
                    || blocks.has(gap.end) || others.contains(&gap.end);
                prop_assert!(stops);
            }
        }
    }
}
