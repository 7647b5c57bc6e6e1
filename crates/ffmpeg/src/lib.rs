#![doc = include_str!("../README.md")]

mod args;
mod cause;
mod cgroup;
mod child;
mod codec;
mod facts;
pub mod filter;
mod fork;
mod hardware;
mod heif;
mod jpeg;
mod limits;
mod loudness;
mod media;
mod pixel;
pub mod policy;
mod probe;
mod progress;
mod renditions;
mod report;
mod run;
mod sandbox;
mod shape;
mod sniff;
mod still;
pub mod subtitles;
mod tail;
mod together;
mod tools;
mod turn;
mod vips;
mod watch;
mod webp;
mod webp_bare;
mod webp_film;

pub use args::{
    Audio, Bounds, Command, Conversion, Demuxer, Input, Output, Seek, Source, Timing, Video,
};
pub use cause::Cause;
pub use cgroup::{Cgroup, CgroupError};
pub use codec::{AudioEncoder, Muxer, Preset, Rate, Syntax, VideoEncoder};
pub use facts::{AudioStream, Color, Facts, OtherStream, Ratio, Rotation, Stream, VideoStream};
pub use hardware::{Hardware, HardwareCodec, HardwareEncoder};
pub use heif::is_display_p3;
pub use limits::Limits;
pub use loudness::{Gain, Loudness, Sound};
pub use media::{Loopback, Media, Wait, Waiting};
pub use progress::{Parser as ProgressParser, Progress};
pub use renditions::{Rendition, Renditions, TRANSPORT_OFFSET_SECS, Track, Wrapping};
pub use run::{OutputError, Ran, RunError};
pub use sandbox::{Layer, Level, Sandbox, Scope, TrialError};
pub use shape::Shape;
pub use still::made as made_picture;
pub use tools::{Tools, ToolsError};
pub use vips::{Savers, Shaping, Still, StillEncoder, Vips};
pub use webp_film::webp_to_apng;
