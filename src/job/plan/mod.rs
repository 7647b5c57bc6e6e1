//! From options and probed facts to ffmpeg commands.
//!
//! Options, [`Facts`] and paths come in; a [`Plan`] goes out, or a [`Failure`] of a stable kind
//! that says why this input cannot become that output. Pure: the same question has the same
//! answer, and no file is touched. What costs too much is refused by `gate` before anything
//! else is asked, and nothing that a user wrote reaches an argument as text.

mod adaptive;
mod animation;
mod audio;
mod color;
mod copy;
mod gate;
mod image;
mod memory;
mod output;
mod picture;
mod pieces;
mod quality;
mod series;
mod size;
mod span;
mod still;
mod video;
mod whole;

use std::path::PathBuf;

use ffmpeg::subtitles::Subtitles;
use ffmpeg::{
    Command, Conversion, Facts, Gain, HardwareCodec, HardwareEncoder, Media, Ran, Savers, Sound,
    Still, policy,
};

use super::options::VideoCodec;
use super::{FileKind, Options};
use crate::package::Package;
use crate::task::{ErrorKind, Failure};

pub use copy::{Way, Ways, Why};
pub use memory::Memory;
pub use output::{FactsFrom, Place, Planned};
pub use pieces::{moments, pieces};
pub use series::Thumbnails;

/// What makes a job's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Done one after the other.
    pub steps: Vec<Step>,
    /// Done in place of the steps, when they came to nothing.
    pub fallback: Option<Fallback>,
    /// The folder that the steps write into.
    pub folder: PathBuf,
    /// The files that they make there, each in front of those that it names: the first is the
    /// job's output, and none is to be seen before those that come after it.
    pub outputs: Vec<Planned>,
    /// Whether the output ends where the server's own limit of length is, if it comes so far.
    pub is_capped: bool,
    /// What becomes of the streams of a film.
    pub ways: Option<Ways>,
    /// What the steps are, where that is one conversion that others of the same input can be made
    /// with, in one process.
    pub shareable: Option<Conversion>,
    /// The same, where many can each make a piece of it.
    pub cuttable: Option<Conversion>,
    /// What its largest process takes of memory.
    pub memory: Memory,
}

impl Plan {
    /// Whether something is copied that may have to be coded after all.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.ways.is_some_and(|ways| ways.copies())
    }

    const fn taking(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    const fn capped(mut self, is_capped: bool) -> Self {
        self.is_capped = is_capped;
        self
    }

    /// Whether what was copied of `source` did not come out as it was.
    #[must_use]
    pub fn is_off(&self, ran: &Ran, source: &Facts, made: Option<&Facts>) -> bool {
        self.ways.is_some_and(|ways| made.is_none_or(|made| ways.are_off(ran, source, made)))
            && self.copies()
    }

    /// The last ffmpeg of the plan, which the other way may be the first to run.
    fn last_command(&self) -> Option<&Command> {
        let other = self.fallback.iter().flat_map(|other| other.steps.iter().rev());
        self.steps.iter().rev().chain(other).find_map(Step::command)
    }
}

/// Another way to the same outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// When it is gone.
    pub after: After,
    /// Done one after the other.
    pub steps: Vec<Step>,
}

/// What a first way ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It ended well but an output is missing or empty.
    Nothing,
    /// The same, or something was copied that did not come out as it was.
    Copy,
    /// It failed, in whatever way.
    Failure,
}

/// A part of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub work: Work,
    /// Its share of the whole work's time, 0 to 1; a plan's shares are 1 together.
    pub share: f32,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs a process.
    Run(Command),
    /// Makes a picture of a picture by libvips.
    Still(Still),
    /// Makes an empty folder below the plan's own.
    Folder(&'static str),
    /// Writes the shape of a sound that was made.
    Shape {
        /// The name of the sound.
        sound: &'static str,
        /// The file's name.
        name: &'static str,
        /// How many points it has.
        points: u32,
    },
    /// Writes the list of the sheets that were made.
    Thumbnails(Thumbnails),
    /// Writes a small text into the plan's folder.
    Write {
        /// The file's name.
        name: String,
        /// What is in it.
        text: String,
    },
    /// Makes a package of renditions in the plan's folder.
    Package(Package),
}

impl Step {
    /// Writes a text, which takes no time.
    fn write(name: impl Into<String>, text: String) -> Self {
        Self::quick(Work::Write { name: name.into(), text })
    }

    /// Does what takes no time beside the rest.
    const fn quick(work: Work) -> Self {
        Self { work, share: 0.0 }
    }

    const fn run(command: Command, share: f32) -> Self {
        Self { work: Work::Run(command), share }
    }

    /// The process, if it is one.
    #[must_use]
    pub const fn command(&self) -> Option<&Command> {
        match &self.work {
            Work::Run(command) => Some(command),
            Work::Folder(_)
            | Work::Package(_)
            | Work::Shape { .. }
            | Work::Still(_)
            | Work::Thumbnails(_)
            | Work::Write { .. } => None,
        }
    }
}

/// Where a plan's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The input.
    pub input: Media,
    /// The folder that outputs, and files between two steps, go into.
    pub output: PathBuf,
}

/// What has been found out for a plan, beside the facts of the input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// How the loudness is to be changed, once [`to_level`] has been measured; a silent input has
    /// none.
    pub gain: Option<Gain>,
    /// The subtitles that the options name.
    pub subtitles: Option<Subtitles>,
}

/// What the server allows a plan to cost, and what its ffmpeg can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Threads of each decoder and encoder; ffmpeg's own choice when not given.
    pub threads: Option<u32>,
    /// The longest input that is taken, in seconds, and so the longest output.
    pub max_duration_secs: f64,
    /// The largest picture that is taken, in pixels. ffmpeg takes no larger one than by default.
    pub max_pixels: u64,
    /// The most streams of an input that is taken. ffmpeg takes no more than by default.
    pub max_streams: u32,
    /// The most pictures a second that leave; an input that has more is thinned out.
    pub max_fps: f64,
    /// The largest output in bytes. ffmpeg stops there and calls it a success: an output of this
    /// size or more is cut off, which [`Plan::check_size`] refuses.
    pub max_output_bytes: u64,
    /// Which encoder makes AV1 video.
    pub av1: Av1Encoder,
    /// What encodes H.264 and H.265 in place of the processors, if anything does.
    pub hardware: Hardwares,
    /// What the libvips writes that makes pictures of pictures, if there is one.
    pub vips: Option<Savers>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: None,
            max_duration_secs: 24.0 * 3600.0,
            max_pixels: policy::MAX_PIXELS,
            max_streams: policy::MAX_STREAMS,
            // More than a screen shows is a broken clock.
            max_fps: 120.0,
            max_output_bytes: 16 << 30,
            av1: Av1Encoder::default(),
            hardware: Hardwares::default(),
            vips: None,
        }
    }
}

/// Encoders in hardware that have made a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Hardwares {
    pub h264: Option<HardwareEncoder>,
    pub h265: Option<HardwareEncoder>,
}

impl Hardwares {
    /// The first of each codec.
    #[must_use]
    pub fn first_of(found: &[HardwareEncoder]) -> Self {
        let first = |codec| found.iter().copied().find(|encoder| encoder.codec == codec);
        Self { h264: first(HardwareCodec::H264), h265: first(HardwareCodec::H265) }
    }

    fn of(self, codec: VideoCodec) -> Option<HardwareEncoder> {
        match codec {
            VideoCodec::H264 => self.h264,
            VideoCodec::H265 => self.h265,
            VideoCodec::Vp9 | VideoCodec::Av1 => None,
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
    known: &'a Known,
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
    known: &Known,
    files: &Workspace,
    settings: &Settings,
) -> Result<Plan, Failure> {
    gate::check_whole(facts, settings)?;
    let given = Given { facts, known, files, settings };
    match options {
        Options::Video(options) => video::plan(options, given),
        Options::Audio(options) => audio::plan(options, given),
        Options::Image(options) => image::plan(options, given),
        Options::Animation(options) => animation::plan(options, given),
        Options::AdaptiveVideo(options) => adaptive::plan(options, given),
        Options::Probe(_) | Options::Import(_) | Options::Export(_) => {
            Err(Failure::new(ErrorKind::InternalError, "nothing is made of this input"))
        }
    }
}

/// The sound whose loudness must be known before the plan, and the loudness that it is to have;
/// nothing where none is asked for.
///
/// # Errors
///
/// As of [`plan`].
pub fn to_level(
    options: &Options,
    facts: &Facts,
    files: &Workspace,
    settings: &Settings,
) -> Result<Option<(Sound, f64)>, Failure> {
    let Options::Audio(options) = options else { return Ok(None) };
    gate::check_whole(facts, settings)?;
    audio::to_level(options, Given { facts, known: &Known::default(), files, settings })
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

    fn plan(self, given: Given<'_>, steps: Vec<Step>, fallback: Option<Fallback>) -> Plan {
        Plan {
            steps,
            fallback,
            folder: given.files.output.clone(),
            outputs: vec![Planned::media(self)],
            is_capped: false,
            ways: None,
            shareable: None,
            cuttable: None,
            memory: Memory::reading(given),
        }
    }

    fn path(self, given: Given<'_>) -> PathBuf {
        given.files.output.join(self.file_name)
    }
}
