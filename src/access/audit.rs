//! Who changed which key or connection: one row each, written with the change itself.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Caller, KeyName, Project};
use crate::clock::Timestamp;
use crate::id::{AuditId, AuditTag};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Act {
    /// A key was made.
    #[serde(rename = "key.created")]
    KeyCreated,
    /// A key was taken back.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// A connection was made.
    #[serde(rename = "connection.created")]
    ConnectionCreated,
    /// A connection was forgotten.
    #[serde(rename = "connection.deleted")]
    ConnectionDeleted,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::KeyCreated, Self::KeyRevoked, Self::ConnectionCreated, Self::ConnectionDeleted];

    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::ConnectionCreated => "connection.created",
            Self::ConnectionDeleted => "connection.deleted",
        }
    }

    /// The act called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

/// Who does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// With which key.
    pub key: KeyName,
    /// From where.
    pub address: Option<IpAddr>,
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        Self { key: caller.key.clone(), address: caller.address }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its name.
    #[schema(value_type = AuditTag)]
    pub id: AuditId,
    /// When it was done.
    pub at: Timestamp,
    /// What was done.
    pub action: Act,
    /// The key with which it was done; none on a server that asks for no keys.
    #[schema(required = true)]
    pub key_id: Option<String>,
    /// The address from which it was done.
    #[schema(required = true, value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The project of what was changed.
    #[schema(value_type = String)]
    pub project: Project,
    /// What was changed: the id of a key or a connection.
    pub subject: String,
    /// How it was then, without anything secret.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}
