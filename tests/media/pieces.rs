//! A video that was made in pieces is the video that would have been made in one.

use std::path::{Path, PathBuf};

use ffmpeg::{Conversion, Limits, Muxer, Slice, Stitch, Tools, VideoEncoder};
use reelway::job::Piece;
use reelway::job::plan::{moments, pieces};
use reelway::task::Kind::Video;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Clip, clip, kept, media, run, tones, turn};

/// Shorter than any that a server makes.
const PIECE_SECS: f64 = 2.0;

/// Each picture or sound of a file: when it is there, and what it is.
fn packets(path: &Path, stream: &str) -> Vec<(i64, String)> {
    let path = path.to_str().expect("UTF-8");
    let entries = "packet=pts,data_hash";
    let ask = ["-v", "error", "-select_streams", stream, "-show_data_hash", "MD5"];
    let arguments = [&ask[..], &["-show_entries", entries, "-of", "csv=p=0", path]].concat();
    let said = String::from_utf8(run("ffprobe", &arguments)).expect("text");
    let mut packets: Vec<(i64, String)> = said
        .lines()
        .filter_map(|line| line.split_once(','))
        // What is said beside a packet has lines without a time of their own.
        .filter(|(pts, _)| !pts.is_empty())
        .map(|(pts, hash)| (pts.parse().expect("a time stamp"), hash.trim_matches(',').to_owned()))
        .collect();
    packets.sort();
    packets
}

/// Each picture of a file as it is seen: when, and what.
fn pictures(path: &Path) -> Vec<(i64, String)> {
    let path = path.to_str().expect("UTF-8");
    let read = ["-v", "error", "-copyts", "-i", path, "-map", "0:v"];
    let arguments = [&read[..], &["-fps_mode", "passthrough", "-f", "framemd5", "-"]].concat();
    let said = String::from_utf8(run("ffmpeg", &arguments)).expect("text");
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    let pictures = lines.map(|line| {
        let mut columns = line.split(',').map(str::trim);
        let pts = columns.nth(2).and_then(|pts| pts.parse().ok()).expect("a time stamp");
        (pts, columns.next_back().expect("a sum").to_owned())
    });
    pictures.collect()
}

struct Maker {
    tools: Tools,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Maker {
    async fn open() -> Self {
        let tools = Tools::find(None, None, Limits::default()).await.expect("ffmpeg is installed");
        let folder = tempfile::tempdir().expect("a folder");
        Self { tools, stop: CancellationToken::new(), folder }
    }

    async fn run(&self, command: &ffmpeg::Command) {
        self.tools.run(command, |_| {}, &self.stop).await.expect("it is made");
    }

    /// The whole in one, and the same in pieces; how many pieces those were.
    async fn both_ways(&self, conversion: &Conversion, input: &Path) -> (PathBuf, PathBuf, usize) {
        let folder = self.folder.path();
        let to = |name: &str| {
            let end = if conversion.output.muxer == Muxer::Webm { "webm" } else { "mov" };
            folder.join(format!("{name}.{end}"))
        };
        let mut whole = conversion.clone();
        whole.output.path = to("whole");
        self.run(&whole.command()).await;

        let facts = self.tools.probe(input, &self.stop).await.expect("facts");
        let (secs, video) = (facts.duration.expect("a length"), facts.video().expect("pictures"));
        let reading = &conversion.inputs[0];
        let at = moments(secs, PIECE_SECS, 64);
        let grid = self.tools.grid(&reading.media, reading.demuxer, video.index, &at, &self.stop);
        let grid = grid.await.expect("keyframes");
        let pieces = pieces(&grid, secs, PIECE_SECS, conversion.output.audio.is_some());
        if pieces.is_empty() {
            return (to("whole"), to("whole"), 0);
        }
        let (mut pictures, mut sound) = (Vec::new(), None);
        for (number, piece) in pieces.iter().enumerate() {
            let path = to(&number.to_string());
            match piece {
                Piece::Sound => {
                    self.run(&conversion.sound(&path).expect("a sound")).await;
                    sound = Some(path);
                }
                Piece::Pictures(cut) => {
                    let slice = Slice {
                        seek_us: cut.from.map(|edge| edge.seek_us),
                        from_us: cut.from.map(|edge| edge.at_us),
                        until_us: cut.until_us,
                    };
                    self.run(&conversion.slice(slice, &path).expect("a slice")).await;
                    let shown = self.tools.moments(&path, &self.stop).await.expect("moments");
                    assert_eq!(shown.doubled, 0, "{piece:?}");
                    pictures.push((path, shown.first_us));
                }
            }
        }
        let mut output = conversion.output.clone();
        output.path = to("pieces");
        let stitch = Stitch { pictures, sound, start_us: grid.start_us, output };
        std::fs::write(folder.join(Stitch::LIST), stitch.list()).expect("the list is written");
        self.run(&stitch.command(folder)).await;
        (to("whole"), to("pieces"), pieces.len())
    }
}

/// The conversion that a video is made by.
async fn conversion(bench: &Bench, options: Value, input: &Path) -> Conversion {
    let plans = bench.plans(Video, &[options], input).await;
    plans[0].cuttable.clone().unwrap_or_else(|| panic!("{} can be cut", input.display()))
}

/// Every picture is coded by itself and without loss: what differs, differs in the picture.
fn without_loss(mut conversion: Conversion) -> Conversion {
    if let Some(video) = &mut conversion.output.video {
        video.encoder = VideoEncoder::Png;
    }
    conversion.output.muxer = Muxer::Mov;
    conversion
}

/// Six seconds, with pictures before and after those that they are made of.
fn film(name: &str, picture: &str, coded: &str) -> PathBuf {
    let picture = format!("testsrc2=s=160x120:{picture},noise=alls=6:allf=t");
    clip(&Clip { name, sources: &[&picture, &tones("stereo", 48_000, 6)], coded })
}

fn films() -> Vec<PathBuf> {
    let h264 = "-pix_fmt yuv420p -c:v libx264 -preset veryfast -g 40 -bf 3 -c:a aac";
    let film_30 = film("thirty.mp4", "r=30:d=6", h264);
    let delayed = kept("delayed.mp4", &["delayed by 0.7 s"], |path| {
        let [source, path] = [film_30.as_path(), path].map(|it| it.to_str().expect("UTF-8"));
        let mut arguments = vec!["-v", "error", "-y", "-itsoffset", "0.7", "-i", source];
        arguments.extend(["-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy", path]);
        run("ffmpeg", &arguments);
    });
    vec![
        film("ntsc.mp4", "r=30000/1001:d=6", h264),
        film("cinema.mov", "r=24000/1001:d=6", h264),
        film("film.mkv", "r=25:d=6", h264),
        film(
            "open.mp4",
            "r=25:d=6",
            &format!("{h264} -x264-params open-gop=1:keyint=40:scenecut=0"),
        ),
        film(
            "open265.mp4",
            "r=25:d=6",
            "-pix_fmt yuv420p -c:v libx265 -preset ultrafast \
            -x265-params log-level=error:open-gop=1:keyint=40 -tag:v hvc1 -c:a aac",
        ),
        film(
            "film.webm",
            "r=25:d=6",
            "-pix_fmt yuv420p -c:v libvpx-vp9 -deadline realtime \
            -cpu-used 8 -g 40 -c:a libopus",
        ),
        film("intra.mov", "r=25:d=6", "-pix_fmt yuvj420p -c:v mjpeg -c:a pcm_s16le"),
        film(
            "vfr.mp4",
            "r=30:d=6,setpts=N/30/TB+if(mod(floor(N/45)\\,2)\\,0.011\\,0)",
            &format!("{h264} -fps_mode passthrough -enc_time_base 1/90000"),
        ),
        kept("turned.mp4", &["turned thirty"], |path| turn(&film_30, path)),
        film("interlaced.mp4", "r=25:d=6,interlace", &format!("{h264} -flags +ilme+ildct")),
        delayed,
    ]
}

#[tokio::test]
async fn every_picture_and_sound_is_there_at_its_moment() {
    let (bench, maker) = (Bench::open().await, Maker::open().await);
    for input in films() {
        let options = json!({"width": 80, "copy": "never"});
        let conversion = without_loss(conversion(&bench, options, &input).await);
        let (whole, made, count) = maker.both_ways(&conversion, &input).await;
        let what = input.display();
        assert!(count >= 3, "{what} is cut into {count}");
        let films =
            [(pictures(&whole), pictures(&made)), (packets(&whole, "a"), packets(&made, "a"))];
        for (whole, made) in films {
            assert!(whole.len() > 100, "{what}: {}", whole.len());
            let differ = whole.iter().zip(&made).position(|(one, other)| one != other);
            assert_eq!((differ, whole.len()), (None, made.len()), "{what}");
        }
    }
}

#[tokio::test]
async fn every_codec_keeps_the_moments_of_its_pictures() {
    let (bench, maker) = (Bench::open().await, Maker::open().await);
    let coded = "-pix_fmt yuv420p -c:v libx264 -preset veryfast -g 40 -bf 3 -c:a aac";
    let input = film("ntsc.mp4", "r=30000/1001:d=6", coded);
    let wanted = [
        json!({"copy": "never"}),
        json!({"codec": "h265", "width": 96}),
        json!({"format": "webm", "width": 96}),
        json!({"format": "webm", "codec": "av1", "width": 96, "mute": true}),
        json!({"format": "mov", "width": 96}),
    ];
    for options in wanted {
        let conversion = conversion(&bench, options.clone(), &input).await;
        let (whole, made, count) = maker.both_ways(&conversion, &input).await;
        assert!(count >= 3, "{options}: {count}");
        let shown = |path: &Path, stream| -> Vec<i64> {
            packets(path, stream).into_iter().map(|(pts, _)| pts).collect()
        };
        for stream in ["v", "a"] {
            assert_eq!(shown(&whole, stream), shown(&made, stream), "{stream} of {options}");
        }
    }
}

#[tokio::test]
async fn real_films_are_the_same_in_pieces() {
    let Some(media) = media() else { return };
    let (bench, maker) = (Bench::open().await, Maker::open().await);
    let mut cut = 0;
    for input in media {
        let facts = bench.probe(&input).await;
        let is_film = facts.video().is_some_and(|video| !video.attached_picture);
        if !is_film || facts.duration.is_none_or(|secs| !(4.0..60.0).contains(&secs)) {
            continue;
        }
        let options = json!({"width": 80, "copy": "never"});
        let plans = bench.plans(Video, &[options], &input).await;
        let Some(conversion) = plans[0].cuttable.clone() else { continue };
        let (whole, made, count) = maker.both_ways(&without_loss(conversion), &input).await;
        cut += usize::from(count > 0);
        if count > 0 {
            let is_same = pictures(&whole) == pictures(&made);
            assert!(is_same, "{}", input.display());
        }
    }
    assert!(cut >= 2, "{cut} of the real films were cut");
}
