//! A long video in pieces: where it can be cut, the process that makes a piece, and the one that
//! puts all of them together again.
//!
//! Nothing is cut but time. Every piece reads the source by its own time stamps (`-copyts`),
//! begins to decode at a keyframe, and takes the pictures from one moment up to another: a moment
//! between two pictures, so that each picture is in one piece, and in no other. The pieces are put
//! together by copying, and show their pictures when one encode of the whole would. Sound is never
//! cut: it is one piece, made beside the others.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::args::{Arguments, Command, Conversion, Demuxer, Input, Output, Seek, micros};
use crate::filter::Filter;
use crate::media::Media;
use crate::run::OutputError;
use crate::{RunError, Tools, policy};

/// How much earlier than it is told ffmpeg seeks where pictures are coded before they are shown,
/// in microseconds: 3/23 of a second (`open_input_file` in ffmpeg's `fftools`).
const SEEK_EARLIER_US: i64 = 130_435;

/// Behind this a keyframe is found where its own time was rounded, in microseconds.
const ROUNDED_US: i64 = 1_000;

/// The most moments that are asked for at once: a process has only so much time for its answer.
const AT_ONCE: usize = 50;

/// What is known of the time of a stream of pictures, in microseconds of its own time stamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Where the file's time begins: the first picture or the first sound.
    pub start_us: i64,
    /// When the first picture is shown, as far as its first packet tells.
    pub first_us: i64,
    /// The keyframes before the moments that were asked for, in their order, each once.
    pub keyframes_us: Vec<i64>,
    /// Whether pictures are coded before they are shown.
    pub is_reordered: bool,
}

impl Grid {
    /// Where to seek so that decoding begins at a keyframe.
    #[must_use]
    pub const fn seek_us(&self, keyframe_us: i64) -> i64 {
        let earlier_us = if self.is_reordered { SEEK_EARLIER_US } else { 0 };
        keyframe_us + earlier_us + ROUNDED_US
    }
}

/// The pictures of a time, in microseconds of the source's own time stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Where decoding begins ([`Grid::seek_us`]); at the start where it is not given.
    pub seek_us: Option<i64>,
    /// Pictures from here on; from the first where it is not given.
    pub from_us: Option<i64>,
    /// Pictures before this; to the last where it is not given.
    pub until_us: Option<i64>,
}

/// When the pictures of a file are shown, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// How many there are.
    pub pictures: u64,
    /// When the first is shown.
    pub first_us: i64,
    /// When the last is shown.
    pub last_us: i64,
    /// How many are shown at the same moment as another.
    pub doubled: u64,
}

/// Files that are put together to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Stitch {
    /// The pieces, in their order, and when the first picture of each is shown.
    pub pictures: Vec<(PathBuf, i64)>,
    /// The sound, when there is some.
    pub sound: Option<PathBuf>,
    /// Where the source's time begins, in microseconds.
    pub start_us: i64,
    /// The file that they become.
    pub output: Output,
}

impl Conversion {
    /// Whether [`Conversion::slice`] has an answer.
    #[must_use]
    pub fn can_be_cut(&self) -> bool {
        self.slice(Slice::default(), &self.output.path).is_some()
    }

    /// The process that makes the pictures of a time into a file at `path`; nothing where a
    /// picture depends on others than itself, or nothing is coded.
    #[must_use]
    pub fn slice(&self, slice: Slice, path: &Path) -> Option<Command> {
        let graph = self
            .graph
            .clone()?
            .after(Filter::Slice { from_us: slice.from_us, until_us: slice.until_us })?;
        let [input] = self.inputs.as_slice() else { return None };
        if input.seek != Seek::Start || input.span_secs.is_some() {
            return None;
        }
        let seek = slice.seek_us.map_or(Seek::Start, Seek::Moment);
        let inputs = [Input { seek, ..input.clone() }];
        let mut args = Arguments::begin(self.threads, None, &inputs, Some(&graph));
        // In front of the inputs it is of no input and no output, and so of both.
        args.list.splice(0..0, ["-copyts".into()]);
        let output = Output { path: path.to_owned(), audio: None, ..self.output.clone() };
        output.write_slice(&mut args, self.threads);
        let secs = slice.until_us.zip(slice.from_us.or(Some(0)));
        Some(Command {
            arguments: args.list,
            expected_secs: secs.map(|(until, from)| (until - from) as f64 / 1e6),
            inputs: vec![input.media.clone()],
            outputs: vec![path.to_owned()],
            bounds: output.bounds,
            hardware: None,
        })
    }

    /// The process that makes the sound of the whole into a file at `path`; nothing where there is
    /// none.
    ///
    /// Its container is [`crate::Muxer::of_sound`].
    #[must_use]
    pub fn sound(&self, path: &Path) -> Option<Command> {
        self.output.audio.as_ref()?;
        let muxer = self.output.muxer.of_sound();
        let path = path.to_owned();
        let mut output = Output { path, muxer, video: None, ..self.output.clone() };
        output.bounds.frames = 0;
        let sound = Self { graph: None, output, ..self.clone() };
        Some(sound.command())
    }
}

impl Stitch {
    /// What the list of the pieces is called, in the folder of the output.
    pub const LIST: &'static str = "pieces.ffconcat";

    /// The list of the pieces, which lie in the folder of the output: each is shown until the next.
    #[must_use]
    pub fn list(&self) -> String {
        let mut text = String::from("ffconcat version 1.0\n");
        for (number, (path, first_us)) in self.pictures.iter().enumerate() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "file {name}");
            if let Some((_, next_us)) = self.pictures.get(number + 1) {
                let _ = writeln!(text, "duration {}", micros(next_us - first_us));
            }
        }
        text
    }

    /// The process that does it, in the folder where the list is.
    #[must_use]
    pub fn command(&self, folder: &Path) -> Command {
        let mut args = Arguments::default();
        args.flag("-y");
        let list = folder.join(Self::LIST);
        args.list.extend(policy::before_a_list());
        let first_us = self.pictures.first().map_or(0, |(_, first_us)| *first_us);
        args.pair("-itsoffset", micros(first_us - self.start_us));
        args.pair("-f", "concat");
        args.flag("-i");
        args.list.push(Media::from(&list).argument());
        let mut inputs = vec![Media::from(&list)];
        inputs.extend(self.pictures.iter().map(|(path, _)| Media::from(path)));
        if let Some(sound) = &self.sound {
            let sound = Media::from(sound);
            args.list.extend(policy::before(&sound));
            args.flag("-i");
            args.list.push(sound.argument());
            inputs.push(sound);
        }
        args.pair("-map", "0:v:0");
        if self.sound.is_some() {
            args.pair("-map", "1:a:0");
        }
        args.pair("-c", "copy");
        self.output.write_stitched(&mut args);
        Command {
            arguments: args.list,
            expected_secs: None,
            inputs,
            outputs: vec![self.output.path.clone()],
            bounds: self.output.bounds,
            hardware: None,
        }
    }
}

impl Tools {
    /// The keyframes at or before each of the moments, which are seconds from the start of `media`,
    /// in the stream with this number.
    ///
    /// A few parts of the file are read, not all of it. The same rules as for [`Tools::probe`]
    /// hold.
    pub async fn grid(
        &self,
        media: &Media,
        demuxer: Option<Demuxer>,
        stream: u32,
        moments_secs: &[f64],
        stop: &CancellationToken,
    ) -> Result<Grid, RunError> {
        // Times are the file's own, and only the file knows where they begin.
        let first = self.look(media, demuxer, stream, &[], stop).await?;
        let start_us = first.format.start_time.us().unwrap_or(0);
        let first_us = first.packets.iter().find_map(|packet| packet.pts_time.us());
        let mut grid = Grid {
            start_us,
            first_us: first_us.unwrap_or(start_us),
            keyframes_us: Vec::new(),
            is_reordered: first.streams.iter().any(|stream| stream.has_b_frames > 0),
        };
        for some in moments_secs.chunks(AT_ONCE) {
            let moments: Vec<i64> =
                some.iter().map(|secs| start_us + (secs * 1e6) as i64).collect();
            let seen = self.look(media, demuxer, stream, &moments, stop).await?;
            for packet in seen.packets.iter().filter(|packet| packet.flags.contains('K')) {
                grid.keyframes_us.extend(packet.pts_time.us());
            }
        }
        grid.keyframes_us.sort_unstable();
        grid.keyframes_us.dedup();
        Ok(grid)
    }

    /// When the pictures of a file are shown that was made here.
    ///
    /// The same rules as for [`Tools::probe`] hold.
    pub async fn moments(
        &self,
        path: &Path,
        stop: &CancellationToken,
    ) -> Result<Moments, RunError> {
        let media = Media::from(path);
        let mut argv = begin(&media, None);
        argv.extend(["-select_streams", "v:0", "-show_entries", "packet=pts_time"].map(Into::into));
        argv.extend(["-of".into(), "csv=p=0".into(), media.argument()]);
        let (answer, _) = self.ask(&media, &argv, stop).await?;
        Ok(Moments::read(&String::from_utf8_lossy(&answer)))
    }

    async fn look(
        &self,
        media: &Media,
        demuxer: Option<Demuxer>,
        stream: u32,
        moments_us: &[i64],
        stop: &CancellationToken,
    ) -> Result<Look, RunError> {
        let mut argv = begin(media, demuxer);
        argv.extend(["-select_streams".into(), stream.to_string().into()]);
        let entries = "format=start_time:stream=has_b_frames:packet=pts_time,flags";
        argv.extend(["-show_entries", entries].map(Into::into));
        // One packet from each moment on: the keyframe that a seek comes to.
        let one = |at: &i64| format!("{}%+#1", micros(*at));
        let intervals = match moments_us {
            [] => "%+#1".to_owned(),
            some => some.iter().map(one).collect::<Vec<_>>().join(","),
        };
        argv.extend(["-read_intervals".into(), intervals.into()]);
        argv.extend(["-of".into(), "json".into(), media.argument()]);
        let (answer, _) = self.ask(media, &argv, stop).await?;
        serde_json::from_slice(&answer).map_err(|error| RunError::Output(OutputError::Json(error)))
    }
}

fn begin(media: &Media, demuxer: Option<Demuxer>) -> Vec<OsString> {
    let mut argv: Vec<OsString> = ["-v", "level+warning", "-hide_banner"].map(Into::into).into();
    argv.extend(policy::before(media));
    if let Some(demuxer) = demuxer {
        argv.extend(["-f", demuxer.name()].map(Into::into));
    }
    argv
}

impl Moments {
    /// Reads one moment a line; what has none counts as a picture that nobody sees.
    fn read(text: &str) -> Self {
        let time = |line: &str| Time(line.trim_end_matches(',').to_owned()).us();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut shown: Vec<Option<i64>> = lines.map(time).collect();
        shown.sort_unstable();
        let doubled = shown.windows(2).filter(|two| two[0] == two[1] || two[0].is_none()).count();
        let known = || shown.iter().flatten().copied();
        Self {
            pictures: shown.len() as u64,
            first_us: known().next().unwrap_or(0),
            last_us: known().next_back().unwrap_or(0),
            doubled: doubled as u64,
        }
    }
}

/// What ffprobe answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    format: LookFormat,
    streams: Vec<LookStream>,
    packets: Vec<LookPacket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LookFormat {
    start_time: Time,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LookStream {
    has_b_frames: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LookPacket {
    pts_time: Time,
    flags: String,
}

/// Seconds as ffprobe writes them.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Time(String);

impl Time {
    /// In microseconds, which is as fine as ffprobe tells them; a hundred years at most.
    fn us(&self) -> Option<i64> {
        let secs: f64 = self.0.trim().parse().ok()?;
        (secs.abs() < 3.2e9).then(|| (secs * 1e6).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Muxer;

    #[test]
    fn the_moments_of_pictures_are_sorted_and_counted() {
        let read = Moments::read("0.080000\n0.000000,\n0.040000\n\n0.040000\n");
        let expected = Moments { pictures: 4, first_us: 0, last_us: 80_000, doubled: 1 };
        assert_eq!(read, expected);
        assert_eq!(Moments::read("N/A\n0.5\n").doubled, 1);
        assert_eq!(Moments::read(""), Moments::default());
    }

    #[test]
    fn each_piece_is_shown_until_the_next() {
        let piece = |n: i64| (PathBuf::from(format!("/room/{n}.mp4")), n * 10_000_000 + 21_333);
        let stitch = Stitch {
            pictures: (0..3).map(piece).collect(),
            sound: None,
            start_us: 0,
            output: Output {
                path: "/room/video.mp4".into(),
                muxer: Muxer::Mp4,
                video: None,
                audio: None,
                bounds: crate::Bounds { frames: 1, secs: 1.0, bytes: 1 },
            },
        };
        insta::assert_snapshot!(stitch.list(), @r"
        ffconcat version 1.0
        file 0.mp4
        duration 10
        file 1.mp4
        duration 10
        file 2.mp4
        ");
    }
}
