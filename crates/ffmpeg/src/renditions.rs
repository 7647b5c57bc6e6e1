//! One ffmpeg process that makes several renditions of one source: decoded once, each coded in a
//! file of its own that can be begun at the same moments as the others.
//!
//! ffmpeg has a muxer that writes playlists too. It is used only to cut transport streams; what
//! it says of them is read by others, and no player ever sees it.

use std::path::{Path, PathBuf};

use crate::args::{Arguments, Audio, Bounds, Command, FINE_TIME, Input, Source, number};
use crate::codec::VideoEncoder;
use crate::filter::FanOut;

/// How far behind 0 all time stamps of transport streams begin, in seconds. Pictures that are
/// coded before they are shown have earlier time stamps yet; were these under 0, ffmpeg would
/// move this file and no other.
pub const TRANSPORT_OFFSET_SECS: u32 = 1;

/// From inputs through one graph to several files.
#[derive(Clone, Debug, PartialEq)]
pub struct Renditions {
    /// Threads of each decoder, filter graph and encoder; ffmpeg's own choice when not given.
    pub threads: Option<u32>,
    /// What is read; [`Source::input`] and the graph count them from 0.
    pub inputs: Vec<Input>,
    /// What becomes of the picture on its way, and how it is handed on.
    pub graph: FanOut,
    /// The files that are written.
    pub files: Vec<Rendition>,
    /// After how many seconds each file can be begun at anew.
    pub segment_secs: u32,
    /// What each of the files may cost at most.
    pub bounds: Bounds,
    /// How long they will be in seconds, if that is known.
    pub expected_secs: Option<f64>,
}

/// A file of one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendition {
    /// Where it goes.
    pub path: PathBuf,
    /// What is in it.
    pub track: Track,
    /// What it is wrapped in.
    pub wrapping: Wrapping,
}

/// What is in a rendition.
#[derive(Clone, Debug, PartialEq)]
pub enum Track {
    /// The result of the graph with this number.
    Video {
        /// Counted from 0.
        result: usize,
        /// The encoder and its settings.
        encoder: VideoEncoder,
    },
    /// Sound.
    Audio(Audio),
    /// Subtitles that are text, as `WebVTT`.
    Subtitles(Source),
}

/// What a rendition is wrapped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// MPEG-4 in fragments, one a segment, with an index of them in front (CMAF).
    Fragments,
    /// An MPEG transport stream, beside a list of its segments.
    TransportStream {
        /// Where the list goes.
        list: PathBuf,
    },
    /// A text of its own.
    WebVtt,
}

impl Renditions {
    /// The process that does it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut args = Arguments::begin(self.threads, None, &self.inputs, Some(&self.graph));
        for file in &self.files {
            self.write(file, &mut args);
        }
        let lists = self.files.iter().filter_map(|file| match &file.wrapping {
            Wrapping::TransportStream { list } => Some(list),
            Wrapping::Fragments | Wrapping::WebVtt => None,
        });
        Command {
            arguments: args.list,
            expected_secs: self.expected_secs,
            inputs: self.inputs.iter().map(|input| input.media.clone()).collect(),
            outputs: self.files.iter().map(|file| &file.path).chain(lists).cloned().collect(),
            bounds: self.bounds,
            hardware: None,
        }
    }

    fn write(&self, file: &Rendition, args: &mut Arguments) {
        match &file.track {
            Track::Video { result, encoder } => {
                args.pair("-map", format!("[{}]", FanOut::output(*result)));
                encoder.write_segmented(args, self.threads);
                let every = self.segment_secs;
                args.pair("-force_key_frames", format!("expr:gte(t,n_forced*{every})"));
                args.pair("-fps_mode", "vfr");
                args.pair("-enc_time_base", FINE_TIME);
                args.pair("-frames:v", self.bounds.frames);
            }
            Track::Audio(audio) => audio.write(args),
            Track::Subtitles(source) => {
                args.pair("-map", format!("{}:{}", source.input, source.stream));
                args.pair("-c:s", "webvtt");
            }
        }
        if let Some(threads) = self.threads {
            args.pair("-threads", threads);
        }
        args.pair("-map_metadata", -1);
        args.pair("-map_chapters", -1);
        args.pair("-t", number(self.bounds.secs));
        args.pair("-fs", self.bounds.bytes);
        self.wrap(file, args);
    }

    fn wrap(&self, file: &Rendition, args: &mut Arguments) {
        match &file.wrapping {
            Wrapping::Fragments => {
                let mut flags = FRAGMENTED.to_owned();
                match file.track {
                    // Every picture is shown when it says, with no edit list to shift it: the
                    // first one at 0, like the first sound.
                    Track::Video { .. } => {
                        flags += "+frag_keyframe+negative_cts_offsets";
                        args.pair("-video_track_timescale", 90_000);
                        args.pair("-use_editlist", 0);
                    }
                    Track::Audio(_) | Track::Subtitles(_) => {
                        args.pair("-frag_duration", u64::from(self.segment_secs) * 1_000_000);
                    }
                }
                args.pair("-movflags", flags);
                args.pair("-f", "mp4");
                args.file(&file.path);
            }
            Wrapping::TransportStream { list } => self.wrap_transport(&file.path, list, args),
            Wrapping::WebVtt => {
                args.pair("-f", "webvtt");
                args.file(&file.path);
            }
        }
    }

    fn wrap_transport(&self, path: &Path, list: &Path, args: &mut Arguments) {
        args.pair("-output_ts_offset", TRANSPORT_OFFSET_SECS);
        args.pair("-hls_time", self.segment_secs);
        args.pair("-hls_list_size", 0);
        args.pair("-hls_playlist_type", "vod");
        args.pair("-hls_flags", "single_file");
        args.pair("-hls_segment_type", "mpegts");
        args.named_file("-hls_segment_filename", path);
        args.pair("-f", "hls");
        args.file(list);
    }
}

/// An index of all fragments in front of them, and nothing in a fragment that depends on where
/// the file is cut.
const FRAGMENTED: &str = "+delay_moov+default_base_moof+dash+global_sidx+skip_trailer";
