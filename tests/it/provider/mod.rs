//! Jobs that a provider makes: a scripted one over real HTTP, on a clock that stands still.

mod asking;
mod handing;
mod hearing;
mod stage;
