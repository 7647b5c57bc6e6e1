//! What holds for every input, one file a target.
//!
//! `fuzz/targets` looks for inputs for which it does not; `tests/fuzz` goes through those in
//! `fuzz/corpus`, wherever the tests run.

pub(crate) mod options;
pub(crate) mod probe;
pub(crate) mod progress;
pub(crate) mod range;
pub(crate) mod signature;
