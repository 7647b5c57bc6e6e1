//! One ffmpeg process as a value: a typed [`Conversion`] in, the arguments of a [`Command`] out.
//!
//! Paths are the only free text, and each stands behind `file:`. What a user wrote never becomes
//! an argument: numbers, enums and names from this crate's own tables do. Every output has a
//! bound in pictures, in seconds and in bytes, and carries nothing of its source's metadata.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::codec::{AudioEncoder, Muxer, VideoEncoder};
use crate::facts::Facts;
use crate::filter::Graph;
use crate::hardware::HardwareEncoder;
use crate::loudness::{self, Gain};
use crate::media::Media;
use crate::policy;

/// One ffmpeg process: what it reads, what it makes of it, where it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub(crate) arguments: Vec<OsString>,
    /// How long the output will be in seconds, for progress in per cent; if it is known.
    pub expected_secs: Option<f64>,
    /// What it reads.
    pub inputs: Vec<Media>,
    /// The files it writes.
    pub outputs: Vec<PathBuf>,
    /// Where ffmpeg ends them.
    pub bounds: Bounds,
    /// The encoder in hardware that it needs, if it needs one.
    pub hardware: Option<HardwareEncoder>,
}

impl Command {
    /// The arguments, without the program's name and without the runner's own flags.
    #[must_use]
    pub fn argv(&self) -> &[OsString] {
        &self.arguments
    }
}

/// A time base in which every usual frame rate is a whole number.
pub(crate) const FINE_TIME: &str = "1/90000";

/// Its ticks in a second.
pub(crate) const FINE_TICKS: u32 = 90_000;

/// From inputs through at most one filter graph to one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// Threads of each decoder, filter graph and encoder; ffmpeg's own choice when not given.
    pub threads: Option<u32>,
    /// What is read; [`Source::input`] and the graph count them from 0.
    pub inputs: Vec<Input>,
    /// What becomes of the picture on its way.
    pub graph: Option<Graph>,
    /// The one file that is written.
    pub output: Output,
    /// How long the output will be in seconds, if that is known.
    pub expected_secs: Option<f64>,
}

/// A file that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Where it is.
    pub media: Media,
    /// The demuxer that ffprobe found, so that the file's name has no say in it: ffmpeg takes
    /// `IMG_1.jpg` for a series of files.
    pub demuxer: Option<Demuxer>,
    /// Where reading begins.
    pub seek: Seek,
    /// How many seconds are read at most.
    pub span_secs: Option<f64>,
    /// Whether ffmpeg turns pictures upright itself, by the container's display matrix.
    pub autorotate: bool,
}

/// A demuxer of [`policy::FORMATS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demuxer(&'static str);

impl Demuxer {
    /// The demuxer of a file whose [`crate::Facts::format`] this is: one of several names.
    #[must_use]
    pub fn of(format: &str) -> Option<Self> {
        let mut names = format.split(',');
        names
            .find_map(|name| policy::FORMATS.iter().copied().find(|known| *known == name))
            .map(Self)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seek {
    /// At the beginning.
    Start,
    /// Exactly at this second: what lies between the keyframe before it and it is decoded and
    /// thrown away.
    At(f64),
    /// At the keyframe before this second; past the end that is the last one.
    KeyframeBefore(f64),
    /// At the keyframe before this moment of the file's own time stamps, in microseconds.
    Moment(i64),
}

/// A stream of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The input's number.
    pub input: usize,
    /// The stream's number in that file.
    pub stream: u32,
}

/// A file that is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Where it goes.
    pub path: PathBuf,
    /// The container, whatever the file is called.
    pub muxer: Muxer,
    /// How the graph's picture is coded; without it the output has none.
    pub video: Option<Video>,
    /// How which sound is coded.
    pub audio: Option<Audio>,
    /// What it may cost at most.
    pub bounds: Bounds,
}

/// The picture of an output: the graph's result, coded.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The encoder and its settings.
    pub encoder: VideoEncoder,
    /// When pictures are shown.
    pub timing: Timing,
}

/// When pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// At the source's own moments, as exactly as the source tells them.
    Source,
    /// As the graph's `fps` filter says.
    Graph,
}

/// The sound of an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Which stream.
    pub source: Source,
    /// The encoder and its settings.
    pub encoder: AudioEncoder,
    /// Mixed to so many channels; the source's when not given.
    pub channels: Option<u32>,
    /// Samples a second; the nearest to the source's that the encoder takes when not given.
    pub sample_rate: Option<u32>,
    /// How its loudness is changed, after the mix.
    pub gain: Option<Gain>,
}

/// What an output may cost at most. ffmpeg ends the file there and calls it a success.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Number of pictures.
    pub frames: u64,
    /// Length in seconds.
    pub secs: f64,
    /// Size in bytes.
    pub bytes: u64,
}

impl Conversion {
    /// The process that does it.
    #[must_use]
    pub fn command(&self) -> Command {
        let hardware = self.output.video.as_ref().and_then(|video| video.encoder.hardware());
        let graph = self.graph.as_ref().map(|graph| match hardware {
            Some(encoder) => encoder.fed_by(graph.clone()).to_string(),
            None => graph.to_string(),
        });
        let mut args = Arguments::begin(self.threads, hardware, &self.inputs, graph.as_ref());
        self.output.write(&mut args, Graph::OUTPUT, self.threads);
        Command {
            arguments: args.list,
            expected_secs: self.expected_secs,
            inputs: self.inputs.iter().map(|input| input.media.clone()).collect(),
            outputs: vec![self.output.path.clone()],
            bounds: self.output.bounds,
            hardware,
        }
    }
}

impl Input {
    /// All of `media`, which is as `facts` say, as it lies there.
    #[must_use]
    pub fn whole(media: impl Into<Media>, facts: &Facts) -> Self {
        Self {
            media: media.into(),
            demuxer: Demuxer::of(&facts.format),
            seek: Seek::Start,
            span_secs: None,
            autorotate: false,
        }
    }

    pub(crate) fn write(&self, args: &mut Arguments, threads: Option<u32>) {
        args.list.extend(policy::before(&self.media));
        if let Some(threads) = threads {
            args.pair("-threads", threads);
        }
        if !self.autorotate {
            args.flag("-noautorotate");
        }
        if let Some(Demuxer(name)) = self.demuxer {
            args.pair("-f", name);
        }
        match self.seek {
            Seek::Start => {}
            Seek::At(secs) => args.pair("-ss", number(secs)),
            Seek::KeyframeBefore(secs) => {
                args.flag("-noaccurate_seek");
                args.pair("-ss", number(secs));
            }
            Seek::Moment(moment_us) => {
                args.flag("-noaccurate_seek");
                args.pair("-seek_timestamp", 1);
                args.pair("-ss", micros(moment_us));
            }
        }
        if let Some(secs) = self.span_secs {
            args.pair("-t", number(secs));
        }
        args.flag("-i");
        args.list.push(self.media.argument());
    }
}

impl Output {
    /// Its pictures come from the graph's `pad`.
    pub(crate) fn write(&self, args: &mut Arguments, pad: &str, threads: Option<u32>) {
        if let Some(video) = &self.video {
            video.write(args, pad, threads);
        }
        if let Some(audio) = &self.audio {
            audio.write(args);
        }
        if let Some(threads) = threads {
            args.pair("-threads", threads);
        }
        args.flag("-sn");
        args.flag("-dn");
        self.write_bounds(args);
        self.muxer.write(args);
        if self.muxer == Muxer::Pictures {
            args.file(&numbered(&self.path));
        } else {
            args.file(&self.path);
        }
    }

    /// Nothing of the source's metadata, and an end.
    fn write_bounds(&self, args: &mut Arguments) {
        args.pair("-map_metadata", -1);
        args.pair("-map_chapters", -1);
        if self.video.is_some() {
            args.pair("-frames:v", self.bounds.frames);
        }
        args.pair("-t", number(self.bounds.secs));
        args.pair("-fs", self.bounds.bytes);
    }

    /// Pictures alone, each at the moment that its time stamp says, however far from 0 that is.
    pub(crate) fn write_slice(&self, args: &mut Arguments, threads: Option<u32>) {
        if let Some(video) = &self.video {
            args.pair("-map", format!("[{}]", Graph::OUTPUT));
            video.encoder.write(args, threads);
            args.pair("-fps_mode", "passthrough");
            args.pair("-enc_time_base", FINE_TIME);
        }
        if let Some(threads) = threads {
            args.pair("-threads", threads);
        }
        self.write_bounds(args);
        args.pair("-avoid_negative_ts", "disabled");
        self.muxer.write_slice(args);
        args.file(&self.path);
    }

    /// What was put together, as it is.
    pub(crate) fn write_stitched(&self, args: &mut Arguments) {
        self.write_bounds(args);
        self.muxer.write_stitched(args);
        args.file(&self.path);
    }
}

impl Video {
    fn write(&self, args: &mut Arguments, pad: &str, threads: Option<u32>) {
        if let VideoEncoder::Copy { source, .. } = self.encoder {
            args.pair("-map", format!("{}:{}", source.input, source.stream));
            return self.encoder.write(args, threads);
        }
        args.pair("-map", format!("[{pad}]"));
        self.encoder.write(args, threads);
        args.pair("-fps_mode", "vfr");
        if self.timing == Timing::Source {
            // With its usual 1/fps the pictures of a phone's clip would be pulled onto a grid, and
            // some dropped.
            args.pair("-enc_time_base", FINE_TIME);
        }
    }
}

impl Audio {
    pub(crate) fn write(&self, args: &mut Arguments) {
        args.pair("-map", format!("{}:{}", self.source.input, self.source.stream));
        self.encoder.write(args);
        if let Some(gain) = self.gain {
            args.pair("-filter:a", loudness::chain(self.channels, &gain.to_string()));
        }
        if let Some(channels) = self.channels {
            args.pair("-ac", channels);
        }
        if let Some(rate) = self.sample_rate {
            args.pair("-ar", rate);
        }
    }
}

/// The path of numbered files, in whose folder a `%` is no number.
fn numbered(path: &Path) -> PathBuf {
    let Some(name) = path.file_name() else { return path.to_owned() };
    let folder = path.parent().unwrap_or(Path::new("")).as_os_str().as_bytes();
    let escaped: Vec<u8> = folder
        .iter()
        .flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'%' { 2 } else { 1 }))
        .collect();
    PathBuf::from(OsString::from_vec(escaped)).join(name)
}

/// Arguments being collected: names are this crate's constants.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) list: Vec<OsString>,
}

impl Arguments {
    /// What every conversion begins with: its inputs, and what becomes of their pictures.
    pub(crate) fn begin(
        threads: Option<u32>,
        hardware: Option<HardwareEncoder>,
        inputs: &[Input],
        graph: Option<&impl ToString>,
    ) -> Self {
        let mut args = Self::default();
        args.flag("-y");
        args.pair("-max_alloc", policy::MAX_ALLOCATION_BYTES);
        if let Some(threads) = threads {
            args.pair("-filter_complex_threads", threads);
        }
        if let Some(encoder) = hardware {
            encoder.write_device(&mut args);
        }
        for input in inputs {
            input.write(&mut args, threads);
        }
        if let Some(graph) = graph {
            args.pair("-filter_complex", graph.to_string());
        }
        args
    }

    pub(crate) fn flag(&mut self, name: &'static str) {
        self.list.push(name.into());
    }

    pub(crate) fn pair(&mut self, name: &'static str, value: impl ToString) {
        self.list.push(name.into());
        self.list.push(value.to_string().into());
    }

    /// `file:` keeps a path from being read as a protocol, an option or a device.
    pub(crate) fn file(&mut self, path: &Path) {
        let mut argument = OsString::from("file:");
        argument.push(path);
        self.list.push(argument);
    }

    pub(crate) fn named_file(&mut self, name: &'static str, path: &Path) {
        self.flag(name);
        self.file(path);
    }
}

/// A number of seconds to the microsecond, which is as fine as ffmpeg reads it.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment in microseconds as a number of seconds, exactly.
pub(crate) fn micros(moment_us: i64) -> String {
    let (sign, size) = (if moment_us < 0 { "-" } else { "" }, moment_us.unsigned_abs());
    let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
