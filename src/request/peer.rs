//! Who is at the other end of a request's connection.

use std::net::SocketAddr;

/// The address at the other end of the connection that a request came over: an extension of every
/// request that a listener took. Behind a proxy it is the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);
