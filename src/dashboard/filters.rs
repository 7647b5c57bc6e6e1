//! Words as templates show them.

#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "what the macro of askama makes of a filter"
)]

use std::fmt::Display;

use askama::{Result, Values};

/// `adaptive_video` as `adaptive video`.
#[askama::filter_fn]
pub(super) fn spaced(name: impl Display, _: &dyn Values) -> Result<String> {
    Ok(name.to_string().replace('_', " "))
}

/// A sentence from a message that begins with a small letter.
#[askama::filter_fn]
pub(super) fn capital(text: impl Display, _: &dyn Values) -> Result<String> {
    let text = text.to_string();
    let mut letters = text.chars();
    Ok(match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    })
}
