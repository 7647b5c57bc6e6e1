//! The box, layer by layer: hostile files, bombs, and a program that tries everything.
//!
//! The hostile files are shared between projects and found by `REELWAY_TEST_SECURITY`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bombs;
mod hostile;
mod inside;
mod shared;
