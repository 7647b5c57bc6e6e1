//! Who may do what: keys, the projects that they belong to, and what they are good for.
//!
//! Pure: no clock, no I/O, no database, no HTTP. A key's text comes in from a request and is told
//! apart here from a slip of the pen; what the store keeps of it is a digest. A [`Caller`] goes
//! out: whoever has passed the door, and what is theirs. A key's text is in no row, no log and no
//! `Debug`.

mod audit;
mod caller;
mod key;
mod project;
mod rates;
mod scope;
mod text;

pub use audit::{Act, AuditEntry, By};
pub use caller::{Caller, KeyName};
pub use key::{Key, Standing};
pub use project::{Project, ProjectError};
pub use rates::Rates;
pub use scope::{Scope, Scopes, ScopesError};
pub use text::{Digest, DigestError, Presented, TextError, fresh_text};
