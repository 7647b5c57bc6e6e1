//! How often one may ask.

use std::num::NonZeroU32;

/// How often each may ask; none is as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Requests of one key in a minute.
    pub per_key: Option<NonZeroU32>,
    /// Requests without a good key from one address in a minute.
    pub refused_per_address: Option<NonZeroU32>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { per_key: NonZeroU32::new(6000), refused_per_address: NonZeroU32::new(120) }
    }
}
