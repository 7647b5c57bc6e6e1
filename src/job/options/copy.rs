//! `kind: "import"` and `kind: "export"`: the input itself, put elsewhere.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::id::{ConnectionId, ConnectionTag};
use crate::job::ObjectUrl;

/// A copy in this server's storage has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {}

/// Where a copy goes. The same may be said beside `options`, as of every job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportOptions {
    /// The keys to the bucket of `output`.
    #[schema(value_type = Option<ConnectionTag>)]
    pub connection_id: Option<ConnectionId>,
    /// Where the copy goes: `s3://bucket/key`, or `s3://bucket/folder/`.
    #[schema(value_type = Option<String>, pattern = "^[sS]3://[A-Za-z0-9]")]
    pub output: Option<ObjectUrl>,
}
