//! How often clients may ask.

use std::num::NonZeroU32;

use super::parse::{Reader, number};
use crate::access::Rates;

impl Reader<'_> {
    pub(super) fn rates(&mut self) -> Rates {
        let usual = Rates::default();
        let mut rate = |key, usual| self.parsed(key, number).map_or(usual, NonZeroU32::new);
        Rates {
            per_key: rate("max_requests_per_key", usual.per_key),
            refused_per_address: rate("max_refused_per_address", usual.refused_per_address),
        }
    }
}
