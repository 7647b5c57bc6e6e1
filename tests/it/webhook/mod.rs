//! The end of a job, pushed, signed, retried, kept: the real deliverer over a real store, with
//! receivers on loopback and a clock that moves when it is told to.

mod answers;
mod fairness;
mod held;
mod outbox;
mod schedule;
mod sender;
mod signatures;

pub(crate) use sender::{SECRET, Sender, client};
