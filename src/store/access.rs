//! Keys: how closely their use is followed.

use std::time::Duration;

/// How coarsely it is written down when a key was last used.
pub const KEY_USE_GRAIN: Duration = Duration::from_mins(1);
