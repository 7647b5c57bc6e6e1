//! Files that were made: into storage under the attempt's own key, linked when they are read.

mod links;
mod storage;

pub use links::{LinkError, Links, MAX_LINK_LIFE, SignedQuery};
pub use storage::{Storage, StorageError, Stored};
