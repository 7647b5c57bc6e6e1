//! The end of a job, pushed to whoever asked for it.
//!
//! In comes a delivery that is due: an event that the store wrote in the transaction that ended
//! the job. Out goes one signed POST, and back into the store what was seen and what follows:
//! delivered, another attempt, given up, or the destination held. [`sign`], [`schedule`] and
//! [`message`] are pure; [`Deliverer`] is the shell around them. It never follows a redirect,
//! never lets one receiver hold another back, and never forgets an event.

//mod deliver;
pub mod message;
pub mod schedule;
pub mod sign;

//pub use deliver::{Deliverer, Limits};
pub use message::Message;
pub use sign::{Proof, Secret, SecretError, Secrets, VerifyError, verify};
