//! Files that callers have sent: what goes into the store's verbs and what comes out.

use std::time::Duration;

use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::UploadId;
use crate::job::Owner;

/// A file that a caller has sent, or is sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// Whose it is: no other project can see it.
    pub project: Project,
    /// Who sends it.
    pub owner: Owner,
    /// What the sender calls it.
    pub name: Option<String>,
    /// Its media type, by its first bytes.
    pub media: Option<String>,
    /// What the sender's protocol wants to have back, as it was sent.
    pub metadata: Option<String>,
    /// How many bytes there will be, when that is known.
    pub size: Option<u64>,
    /// How many bytes there are.
    pub received: u64,
    /// In how many parts.
    pub part_count: u32,
    /// The state of the digest over the bytes that there are.
    pub digest_state: Option<String>,
    /// SHA-256 of the whole file, when it is there.
    pub sha256: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it goes, if nothing happens.
    pub expires_at: Timestamp,
    /// When its last byte came.
    pub finished_at: Option<Timestamp>,
}

/// A piece of an upload in storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    /// The number of its first byte.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
    /// Where it is in storage.
    pub key: String,
}

/// Parts that are in storage and shall count from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendUpload {
    /// The upload.
    pub id: UploadId,
    /// Whose it is.
    pub project: Project,
    /// Where they begin: it must be where the upload ends.
    pub from: u64,
    /// They follow on each other.
    pub parts: Vec<UploadPart>,
    /// The media type, once it has been seen.
    pub media: Option<String>,
    /// The state of the digest behind them.
    pub digest_state: String,
    /// The digest of the whole file, when they are the last.
    pub sha256: Option<String>,
    /// How long the upload is kept from now on.
    pub keep: Duration,
}

/// What became of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// They count.
    Done(Box<Upload>),
    /// The upload ends elsewhere: somebody else has sent these bytes, or it is finished.
    Elsewhere(u64),
    /// There is no such upload of this project any more.
    Gone,
}
