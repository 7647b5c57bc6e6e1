#![doc = include_str!("../README.md")]

mod args;
mod cause;
mod child;
mod facts;
mod limits;
mod pixel;
pub mod policy;
mod probe;
mod progress;
mod report;
mod run;
mod sniff;
mod tail;
mod tools;
mod turn;
mod watch;

pub use args::Command;
pub use cause::Cause;
pub use facts::{AudioStream, Color, Facts, OtherStream, Ratio, Rotation, Stream, VideoStream};
pub use limits::Limits;
pub use progress::{Parser as ProgressParser, Progress};
pub use run::{OutputError, RunError};
pub use tools::{Tools, ToolsError};
