//! Files that were made: into storage under the attempt's own key, linked when they are read.
//!
//! A file on this worker's disk comes in; an object in a folder or a bucket and a link to it go
//! out. Nothing here makes an object public: a link is signed and has an end, or leads to where
//! the operator has said that outputs are public.

mod abandoned;
mod bucket;
mod guarded;
mod links;
mod root;
mod storage;
mod upload;

pub use abandoned::Abandoned;
pub use bucket::{Bucket, BucketSettings, Cloud};
pub use links::{LinkError, LinkPath, Links, MAX_LINK_LIFE, PublicUrls, SignedQuery};
pub use storage::{Storage, StorageError};
pub use upload::Stored;
