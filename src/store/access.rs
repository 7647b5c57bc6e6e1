//! Keys and the audit log: what is asked for, and what comes.

use std::time::Duration;

use crate::access::AuditEntry;
use crate::id::AuditId;

/// How coarsely it is written down when a key was last used.
pub const KEY_USE_GRAIN: Duration = Duration::from_mins(1);

/// Which lines of the audit log to list: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only lines older than this one.
    pub after: Option<AuditId>,
    /// Only lines newer than this one.
    pub before: Option<AuditId>,
    /// How many at most.
    pub limit: u32,
}

/// A page of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// The lines.
    pub entries: Vec<AuditEntry>,
    /// Whether there are more in the direction of travel.
    pub has_more: bool,
}
