//! FFmpeg as a typed, contained subprocess.
//!
//! Options become a [`Command`] (pure), a command becomes a process that cannot read what it
//! was not given, cannot outlive its parent and cannot hang for ever ([`Tools::run`]), and what
//! was made is read back as [`Facts`] ([`Tools::probe`]). This crate knows no job, no database
//! and no HTTP.

mod args;
mod codec;
mod facts;
pub mod filter;
pub mod policy;

pub use args::{
    Audio, Bounds, Command, Conversion, Input, Output, Seek, Source, Timing, Video,
};
pub use codec::{AudioEncoder, Muxer, Preset, Rate, VideoEncoder};
pub use facts::{AudioStream, Color, Facts, OtherStream, Ratio, Rotation, Stream, VideoStream};
