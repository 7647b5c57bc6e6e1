//! Connections: buckets of users' own, and the keys to them.
//!
//! Pure: no clock, no I/O, no store. The secret of a connection comes in once, is sealed at once
//! and never goes out again but to sign a request; it is in no answer, no log and no `Debug`.

mod seal;

use url::Url;

use crate::access::Project;
use crate::clock::Timestamp;
use crate::id::ConnectionId;

pub use seal::{KeyError, Keyring, OpenError, Sealed};

/// A bucket server that a user has an account with. (Today there is one kind: S3.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name in requests.
    pub id: ConnectionId,
    /// Whose jobs may use it.
    pub project: Project,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The server; Amazon's own for the region when it is not said.
    pub endpoint: Option<Url>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whose secret it is.
    pub access_key_id: String,
    /// The secret, sealed.
    pub sealed_secret: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}
