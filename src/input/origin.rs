//! Where the bytes of an input come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::id::ConnectionId;
use crate::job::InputUrl;
use crate::task::Failure;

/// Bytes that are had without the network.
#[async_trait]
pub trait Supply: Send + Sync {
    /// How many bytes there are, and the bytes.
    async fn open(&self) -> Result<Supplied, Failure>;
}

/// What a [`Supply`] gives.
pub struct Supplied {
    /// How many bytes there are.
    pub size_bytes: u64,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, Failure>>,
}

/// Where the bytes of an input come from: tasks whose origins have one name share a download.
#[derive(Clone)]
pub struct Origin {
    name: String,
    url: InputUrl,
    supply: Option<Arc<dyn Supply>>,
}

impl Origin {
    /// The URL itself.
    #[must_use]
    pub fn of(url: &InputUrl) -> Self {
        Self { name: url.as_str().to_owned(), url: url.clone(), supply: None }
    }

    /// An object behind a connection, to be had at `signed` for a while: a new link each time,
    /// and the same object.
    #[must_use]
    pub fn behind(connection: ConnectionId, object: &InputUrl, signed: InputUrl) -> Self {
        Self { name: format!("{connection} {object}"), url: signed, supply: None }
    }

    /// A file that is here already, called `name`: its URL is not asked for.
    #[must_use]
    pub fn here(name: String, url: &InputUrl, supply: Arc<dyn Supply>) -> Self {
        Self { name, url: url.clone(), supply: Some(supply) }
    }

    /// What tells it from others.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn supply(&self) -> Option<&dyn Supply> {
        self.supply.as_deref()
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
