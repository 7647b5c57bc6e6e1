//! `kind: "probe"`.

use serde::Deserialize;
use utoipa::ToSchema;

/// A question about the input has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeOptions {}
