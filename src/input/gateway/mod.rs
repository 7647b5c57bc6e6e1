//! Inputs that are read before they are here.
//!
//! A URL comes in; a port of this machine goes out, where ffmpeg reads the file as if it were
//! here: what it has not come to yet is fetched when it is asked for, a little ahead of it, or
//! all at once for those who need all. Each part comes through the same guard as a download and
//! keeps to the same limits; a file whose parts are not all of one version is none.
//! `docs/decisions/0023-inputs-are-read-before-they-are-here.md` says why.

mod blocks;
mod cache;
mod kind;
mod open;
mod remote;
mod runs;
mod serve;
#[cfg(test)]
mod tests;

pub(super) use cache::Cache;
pub(super) use open::Opened;
pub(super) use serve::Ticket;

pub use serve::Gateway;
