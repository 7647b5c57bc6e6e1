//! The engine on real ffmpeg: what it makes, measured on the files that it made.
//!
//! No server, no store. What is true of a file is asked of ffprobe and of its pixels here,
//! apart from the product's own reading; clips are made on the spot by lavfi and kept between
//! runs.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod harness;

mod clips;
mod copy;
mod pieces;

mod adaptive;
mod animation;
mod audio;
mod image;
mod video;

mod options;
mod private;
mod together;

mod coming;
mod hardware;
mod inputs;
mod light;
mod series;
mod stills;
mod subtitles;
mod tracks;
mod upright;

mod refused;
