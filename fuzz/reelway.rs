//! The part of the product that is fuzzed: its own files, under their own names.
//!
//! Pure modules alone. `crate::job` is here what it is there, so nothing in them changes.

#[path = "../src/access/mod.rs"]
pub mod access;
#[path = "../src/clock.rs"]
pub mod clock;
#[path = "../src/id.rs"]
pub mod id;
#[path = "../src/job/mod.rs"]
pub mod job;
#[path = "../src/package/mod.rs"]
pub mod package;
#[path = "../src/task/mod.rs"]
pub mod task;

#[path = "../src/request/range.rs"]
mod range;
#[path = "../src/webhook/sign/mod.rs"]
pub mod sign;

pub use ffmpeg;

/// Of the requests: how a part of a file is asked for.
pub mod request {
    pub use crate::range::Ranged;
}

/// Of the webhooks: how they are signed.
pub mod webhook {
    pub use crate::sign;
}
