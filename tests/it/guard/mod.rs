//! Nothing gets in, nothing gets out: every way in which a server, a name or a URL can misbehave,
//! tried on every client that reaches out.
//!
//! One list of behaviours ([`behaviours`]) is run through the real clients ([`clients`]) against
//! servers on loopback ([`ground`]): 127.0.0.2 stands for the public internet, 127.0.0.1 for what
//! must never be asked. How each cell ends is in the snapshots, one matrix for each sort of
//! behaviour; that nothing forbidden was asked, and that no more bytes, requests and seconds were
//! spent than may be, is asserted for each cell.

mod behaviours;
mod clients;
mod ground;
mod matrix;
mod proxy;
mod rows;
mod tls;
