//! From options and probed facts to ffmpeg commands.
//!
//! Options, [`Facts`] and paths come in; a [`Plan`] goes out, or a [`Failure`] of a stable kind
//! that says why this input cannot become that output. Pure: the same question has the same
//! answer, and no file is touched. What costs too much is refused by `gate` before anything
//! else is asked, and nothing that a user wrote reaches an argument as text.

mod animation;
mod audio;
mod color;
mod gate;
mod image;
mod picture;
mod quality;
mod size;
mod span;
mod video;
mod whole;

use std::path::PathBuf;

use ffmpeg::{Command, Facts};

use super::{FileKind, Options};
use crate::task::Failure;

/// The commands that make a job's output.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Run one after the other.
    pub steps: Vec<Step>,
    /// Run when the steps ended well but the output is missing or empty.
    pub fallback: Option<Vec<Step>>,
    /// The file that the steps make.
    pub output: PathBuf,
    /// What the file is.
    pub file_kind: FileKind,
    /// Its format as in the options: `mp4`, `webp`, `aac`.
    pub format: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its name in storage, such as `video.mp4`.
    pub file_name: &'static str,
    /// Whether the output ends where the server's own limit of length is, if it comes so far.
    pub is_capped: bool,
}

impl Plan {
    const fn capped(mut self, is_capped: bool) -> Self {
        self.is_capped = is_capped;
        self
    }
}

/// One process of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The process.
    pub command: Command,
    /// Its share of the whole work's time, 0 to 1; a plan's shares are 1 together.
    pub share: f32,
}

/// Where a plan's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The input.
    pub input: PathBuf,
    /// The folder that outputs, and files between two steps, go into.
    pub output: PathBuf,
}

/// What the server allows a plan to cost, and what its ffmpeg can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Threads of each decoder and encoder; ffmpeg's own choice when not given.
    pub threads: Option<u32>,
    /// The longest input that is taken, in seconds, and so the longest output.
    pub max_duration_secs: f64,
    /// The largest output in bytes. ffmpeg stops there and calls it a success: an output of this
    /// size or more is cut off, which [`Plan::check_size`] refuses.
    pub max_output_bytes: u64,
    /// Which encoder makes AV1 video.
    pub av1: Av1Encoder,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: None,
            max_duration_secs: 24.0 * 3600.0,
            max_output_bytes: 16 << 30,
            av1: Av1Encoder::default(),
        }
    }
}

/// An encoder of AV1 video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Av1Encoder {
    /// SVT-AV1: many times faster.
    #[default]
    Svt,
    /// libaom, which every ffmpeg with AV1 has.
    Aom,
}

/// What the planner of each kind is given.
#[derive(Clone, Copy, Debug)]
struct Given<'a> {
    facts: &'a Facts,
    files: &'a Workspace,
    settings: &'a Settings,
}

/// The commands that make of the input, which is as `facts` say, what `options` ask for.
///
/// # Errors
///
/// The input costs too much, has nothing of what was asked for, or is of an unknown kind.
pub fn plan(
    options: &Options,
    facts: &Facts,
    files: &Workspace,
    settings: &Settings,
) -> Result<Plan, Failure> {
    gate::check_whole(facts, settings)?;
    let given = Given { facts, files, settings };
    match options {
        Options::Video(options) => video::plan(options, given),
        Options::Audio(options) => audio::plan(options, given),
        Options::Image(options) => image::plan(options, given),
        Options::Animation(options) => animation::plan(options, given),
    }
}

/// A kind of file: what it is called, in the options, in HTTP and in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileType {
    kind: FileKind,
    format: &'static str,
    content_type: &'static str,
    file_name: &'static str,
}

impl FileType {
    const fn new(
        kind: FileKind,
        format: &'static str,
        content_type: &'static str,
        file_name: &'static str,
    ) -> Self {
        Self { kind, format, content_type, file_name }
    }

    fn plan(self, given: Given<'_>, steps: Vec<Step>, fallback: Option<Vec<Step>>) -> Plan {
        Plan {
            steps,
            fallback,
            output: self.path(given),
            file_kind: self.kind,
            format: self.format,
            content_type: self.content_type,
            file_name: self.file_name,
            is_capped: false,
        }
    }

    fn path(self, given: Given<'_>) -> PathBuf {
        given.files.output.join(self.file_name)
    }
}
