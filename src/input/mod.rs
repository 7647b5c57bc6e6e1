//! Inputs: fetched through the guard, shared by all tasks of an input.
//!
//! A URL (or, on the command line, a path) comes in; a whole file on this worker's disk goes
//! out, with limits on its size, its speed and the disk it may take, and with a look at its
//! first bytes, so that what opens other files never reaches ffmpeg. Where the server gives parts
//! of it and ffmpeg can be held to one port, it is handed out before it is whole, and `gateway`
//! gives ffmpeg what it reads. It never leaves a file behind after an error.

mod answer;
mod download;
mod fetch;
mod file;
mod gateway;
mod obtain;
mod origin;
mod part;
mod side;
mod sniff;

#[cfg(test)]
mod tests;

pub use download::Downloads;
pub use fetch::{FetchError, FetchLimits, Fetched, Fetcher};
pub use file::{InputFile, Known, StandIn};
pub use gateway::Gateway;
pub use origin::{Origin, Supplied, Supply};
pub use sniff::{HEAD_BYTES, Sniff, sniff};
