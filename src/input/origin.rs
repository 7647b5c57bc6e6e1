//! Where the bytes of an input come from.

use std::fmt;

use crate::id::ConnectionId;
use crate::job::InputUrl;

/// Where the bytes of an input come from: tasks whose origins have one name share a download.
#[derive(Clone)]
pub struct Origin {
    name: String,
    url: InputUrl,
}

impl Origin {
    /// The URL itself.
    #[must_use]
    pub fn of(url: &InputUrl) -> Self {
        Self { name: url.as_str().to_owned(), url: url.clone() }
    }

    /// An object behind a connection, to be had at `signed` for a while: a new link each time,
    /// and the same object.
    #[must_use]
    pub fn behind(connection: ConnectionId, object: &InputUrl, signed: InputUrl) -> Self {
        Self { name: format!("{connection} {object}"), url: signed }
    }

    /// What tells it from others.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn url(&self) -> &InputUrl {
        &self.url
    }
}

/// Without the URL, which may be signed.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}
