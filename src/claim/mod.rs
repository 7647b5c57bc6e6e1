//! A task taken on a lease, and the heartbeat that keeps it.
//!
//! The [`Claimer`] takes what there is room for; the [`Heart`] renews every lease from a task of
//! its own, carries progress up and cancellation down, and gives up a lease before the store
//! does; the [`Rescuer`] finds what dead workers left. None of them knows what the work is.

mod claimer;
mod heart;
mod hold;
mod persist;
mod piece;
mod rescuer;

pub use claimer::{Claimer, Perform, Slots, Terms};
pub use heart::{BEAT, FENCE, Heart};
pub use hold::{Held, Hold, Interrupt};
pub use persist::persist;
pub use piece::{PieceProgress, while_kept};
pub use rescuer::{RESCUE_EVERY, Rescuer};
