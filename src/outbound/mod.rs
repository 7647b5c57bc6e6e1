//! The one HTTP client that reaches out, and the guard in front of it.
//!
//! A URL that a stranger chose comes in; bytes from a server that this machine may reach for
//! strangers come out. Inputs, webhooks and users' buckets go through here and nothing else
//! does. Every hop is checked anew: the URL by [`Target`], each of its addresses by the
//! [`Guard`], and the connection goes to one of the addresses that were checked. It never asks
//! the name twice, never uses a proxy of the environment, never keeps a connection or a cookie,
//! and its words never name an address.

mod address;
mod client;
mod error;
#[cfg(test)]
pub(crate) mod loopback;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

pub use address::{Guard, PORTS};
pub use client::{
    Answer, CONNECT_TIMEOUT, Call, CallAnswer, Client, MAX_ANSWER_BYTES, MAX_CALL_BYTES,
    MAX_REDIRECTS, Response,
};
pub use error::{OutboundError, TlsProblem, UrlProblem};
pub use resolve::{Resolve, SystemResolver, TableResolver};
pub use target::{Pinned, Target};
