//! Lists of batches: what is asked for, and what comes.

use crate::id::BatchId;
use crate::job::BatchSummary;

/// Which batches to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Only batches of this input, as it was sent.
    pub input: Option<String>,
    /// Only batches that stand after this one in the list's order.
    pub after: Option<BatchId>,
    /// Only batches that stand before this one in the list's order.
    pub before: Option<BatchId>,
    /// Oldest first.
    pub ascending: bool,
    /// How many at most.
    pub limit: u32,
}

/// A page of batches in the order asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches.
    pub batches: Vec<BatchSummary>,
    /// Whether there are more in the direction of travel.
    pub has_more: bool,
}
