//! What a test of media needs: an engine, clips, and eyes of its own.

mod bench;
mod clip;
mod loud;
mod pack;
mod pixels;
mod process;
mod seen;
mod shared;
mod source;
mod webp;

pub(crate) use bench::{Bench, KEY, Output};
pub(crate) use clip::{Clip, H264, clip, colors, heic, kept, title, tones, turn};
pub(crate) use loud::loudness;
pub(crate) use pack::{Pack, Track, codec, complaints, decoded, keyframes, size};
pub(crate) use pixels::{Picture, likeness};
pub(crate) use process::run;
pub(crate) use seen::Seen;
pub(crate) use shared::{media, photos, security};
pub(crate) use source::{Source, Trouble};
pub(crate) use webp::Webp;
