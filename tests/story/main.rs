//! Stories of the whole product: the real binary, real ffmpeg, real sockets, real signals.

mod crash;
mod harness;
mod pipeline;
mod settings;
