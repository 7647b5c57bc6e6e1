//! Inputs that are read while they come: the same outputs as of files, of fewer bytes, sooner.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ffmpeg::{Conversion, Demuxer, Facts, Limits, Loopback, Media, Tools, Waiting};
use reelway::clock::{Clock as _, SystemClock};
use reelway::input::{Downloads, FetchLimits, Fetcher, Gateway, InputFile};
use reelway::job::Options;
use reelway::job::plan::{Known, Plan};
use reelway::outbound::{Client, Guard, SystemResolver};
use reelway::task::{Failure, Kind};
use reelway::worker::{Engine, EngineSettings, Ingredients, Made, Told, WorkError};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{Clip, Seen, Source, Trouble, clip, kept, likeness, run};

/// Half a minute of pictures that are hard to code, so that it has some megabytes.
const NOISE: &str = "testsrc2=s=640x360:r=25:d=30,noise=alls=60:allf=t";
const CODED: &str = "-c:v libx264 -preset ultrafast -b:v 4M -maxrate 4M -bufsize 8M -g 50 \
     -pix_fmt yuv420p -c:a aac -b:a 96k";

/// A film with its index at the end.
fn film() -> PathBuf {
    clip(&Clip { name: "film.mp4", sources: &[NOISE, "sine=440:d=30"], coded: CODED })
}

/// The same pictures and sounds in another file.
fn copied(name: &str, options: &[&str]) -> PathBuf {
    let source = film();
    let source = source.to_str().expect("a path in UTF-8");
    let arguments = [&["-v", "error", "-nostdin", "-y"], options, &["-c", "copy"]].concat();
    kept(name, &[&arguments[..], &["film 1"]].concat(), |path| {
        let at = arguments.iter().position(|it| *it == "-c").expect("a place");
        let (before, after) = arguments.split_at(at);
        let (input, output): (Vec<&str>, Vec<&str>) =
            before.iter().partition(|it| !it.contains("movflags") && !it.contains("faststart"));
        let path = path.to_str().expect("a path in UTF-8");
        run("ffmpeg", &[&input[..], &["-i", source], after, &output, &[path]].concat());
    })
}

/// A long film with its index in front or at the end: the same half minute again and again.
fn long(name: &str, flags: &[&str]) -> PathBuf {
    copied(name, &[&["-stream_loop", "5"], flags].concat())
}

fn sound(name: &str, coded: &str, secs: u32) -> PathBuf {
    let noise = format!("anoisesrc=r=48000:d={secs}:a=0.3:seed=1");
    clip(&Clip { name, sources: &[&noise], coded: &format!("-ac 2 {coded}") })
}

/// An engine whose inputs come through a gateway.
struct Worker {
    engine: Engine,
    downloads: Downloads,
    folder: TempDir,
}

impl Worker {
    async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let tools = Tools::find(None, None, limits).await.expect("ffmpeg is installed");
        let folder = tempfile::tempdir().expect("a folder");
        let loopback = "127.0.0.0/8".parse().expect("a network");
        let client = Client::new(Guard::new(vec![loopback]), Arc::new(SystemResolver));
        let pause = Duration::from_millis(10);
        let limits = FetchLimits { resume_pause: pause, ..FetchLimits::default() };
        let (fetcher, inputs) = (Fetcher::new(client, limits), folder.path().join("inputs"));
        let downloads = Downloads::new(fetcher, inputs, Duration::ZERO, Arc::new(SystemClock));
        let downloads = downloads.through(Gateway::open().expect("a port"));
        Self { engine: Engine::new(tools, EngineSettings::default()), downloads, folder }
    }

    /// An input that is not here yet.
    async fn input(&self, source: &Source) -> Arc<InputFile> {
        let stop = CancellationToken::new();
        let got = self.downloads.get(&source.url(), SystemClock.now(), |_, _| {}, &stop).await;
        let input = got.expect("an input");
        assert!(matches!(input.media(), Media::Loopback(_)), "it comes as it is read");
        input
    }

    async fn probe(&self, input: &InputFile) -> Facts {
        self.engine.probe(input, &CancellationToken::new()).await.expect("facts")
    }

    async fn try_make(
        &self,
        (kind, options): (Kind, &Value),
        input: &InputFile,
        report: impl Fn(Told<'_>) + Send + Sync,
    ) -> Result<Made, Failure> {
        let options = options.as_object().expect("options are an object");
        let options = Options::decode(kind, options).expect("valid options");
        if options.read_all() {
            input.read_ahead();
        }
        let made = async {
            let stop = CancellationToken::new();
            let facts = self.engine.probe(input, &stop).await?;
            let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep();
            let from = Ingredients { input, facts: &facts, subtitles: None };
            self.engine.make(&options, &from, &folder, report, &stop).await
        };
        made.await.map(|mut made| made.remove(0)).map_err(WorkError::into_failure)
    }

    /// Videos of one input by one ffmpeg.
    async fn make_together(&self, wanted: &[Value], input: &InputFile) -> Vec<PathBuf> {
        let (facts, known) = (self.probe(input).await, Known::default());
        let from = Ingredients { input, facts: &facts, subtitles: None };
        let plan = |options: &Value| {
            let options = options.as_object().expect("options are an object");
            let options = Options::decode(Kind::Video, options).expect("valid options");
            let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep();
            self.engine.plan(&options, &from, &known, &folder).expect("a plan")
        };
        let plans: Vec<Plan> = wanted.iter().map(plan).collect();
        let conversions: Vec<_> = plans.iter().filter_map(|it| it.shareable.as_ref()).collect();
        let command = Conversion::together(&conversions).expect("one process");
        assert_eq!(command.inputs.first(), Some(&input.media()));
        input.read_ahead();
        let stop = CancellationToken::new();
        self.engine.tools().run(&command, |_| {}, &stop).await.expect("they are made");
        input.check_source().expect("all that was read was there");
        plans.iter().map(|plan| plan.main_path().expect("a file")).collect()
    }

    async fn make(&self, asked: (Kind, &Value), input: &InputFile) -> Made {
        self.try_make(asked, input, |_| {}).await.expect("it is made")
    }
}

/// What a file is to its viewers, without what an encoder with several threads may change.
fn line(made: &Made) -> String {
    Seen::of(&made.path).line()
}

async fn same_by_both_ways(clips: &[PathBuf], kinds: &[(Kind, Value)]) {
    let worker = Worker::open().await;
    for clip in clips {
        let source = Source::of(clip).await;
        let here = InputFile::local(clip).await.expect("a file");
        let facts = worker.probe(&here).await;
        assert_eq!(worker.probe(&*worker.input(&source).await).await, facts, "{}", clip.display());
        for (kind, options) in kinds {
            let coming = worker.make((*kind, options), &*worker.input(&source).await).await;
            let made = worker.make((*kind, options), &here).await;
            let what = format!("{} of {}", kind.name(), clip.display());
            assert_eq!(line(&coming), line(&made), "{what}");
            if *kind != Kind::Video {
                let bytes = [&coming, &made].map(|it| std::fs::read(&it.path).expect("a file"));
                assert!(bytes[0] == bytes[1], "{what}: other bytes");
            }
        }
    }
}

#[tokio::test]
async fn films_are_the_same_whether_they_are_here_or_come_as_they_are_read() {
    let faststart = ["-movflags", "+faststart"];
    let films = [
        film(),
        copied("first.mp4", &faststart),
        copied("film.mkv", &[]),
        copied("film.ts", &[]),
        copied("film.mov", &[]),
        clip(&Clip {
            name: "film.webm",
            sources: &["testsrc2=s=640x360:r=25:d=12,noise=alls=60:allf=t", "sine=440:d=12"],
            coded: "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 6M -g 50 -c:a libopus",
        }),
    ];
    let kinds = [
        (Kind::Image, json!({ "start": 5.5, "width": 320, "format": "png" })),
        (Kind::Audio, json!({ "format": "wav", "start": 3, "end": 8 })),
        (Kind::Video, json!({ "width": 160, "end": 4 })),
    ];
    same_by_both_ways(&films, &kinds).await;
}

#[tokio::test]
async fn sounds_are_the_same_whether_they_are_here_or_come_as_they_are_read() {
    let sounds = [
        sound("long.mp3", "-c:a libmp3lame -b:a 320k", 140),
        sound("long.ogg", "-c:a libvorbis -q:a 10", 100),
        sound("long.wav", "-c:a pcm_s16le", 30),
        sound("long.flac", "-c:a flac", 40),
    ];
    let kinds = [
        (Kind::Audio, json!({ "format": "flac" })),
        (Kind::Audio, json!({ "format": "wav", "start": 9, "end": 11 })),
    ];
    same_by_both_ways(&sounds, &kinds).await;
}

#[tokio::test]
async fn videos_by_one_ffmpeg_are_the_same_whether_their_input_is_here_or_comes() {
    let worker = Worker::open().await;
    let wanted = [
        json!({ "width": 320, "quality": "low" }),
        json!({ "width": 160, "quality": "very_low", "fps": 10, "mute": true }),
        json!({ "width": 96, "quality": "very_low", "format": "webm" }),
    ];
    for film in [film(), copied("first.mp4", &["-movflags", "+faststart"]), copied("film.mkv", &[])]
    {
        let source = Source::of(&film).await;
        let here = InputFile::local(&film).await.expect("a file");
        let coming = worker.make_together(&wanted, &*worker.input(&source).await).await;
        let of_file = worker.make_together(&wanted, &here).await;
        for (one, other) in coming.iter().zip(&of_file) {
            let what = format!("{} of {}", one.display(), film.display());
            let (seen, expected) = (Seen::of(one), Seen::of(other));
            assert_eq!(seen.line(), expected.line(), "{what}");
            assert_eq!(seen.times(), expected.times(), "{what}");
            let alike = likeness(one, other);
            assert!(alike > 0.98, "{what}: {alike}");
        }
        let sent = source.sent_bytes() as f64 / source.size_bytes() as f64;
        assert!(sent < 1.5, "it comes once, not for each: {sent}");
    }
}

#[tokio::test]
async fn a_picture_of_a_long_film_takes_its_index_and_a_few_blocks() {
    let worker = Worker::open().await;
    for film in [long("long.mp4", &[]), long("long first.mp4", &["-movflags", "+faststart"])] {
        let source = Source::of(&film).await;
        assert!(source.size_bytes() > 60 << 20, "{}", source.size_bytes());
        for start in [2, 100] {
            let (before, asked) = (source.sent_bytes(), source.requests());
            let input = worker.input(&source).await;
            let options = json!({ "start": start, "width": 320 });
            worker.make((Kind::Image, &options), &input).await;
            let (sent, requests) = (source.sent_bytes() - before, source.requests() - asked);
            let told = input.how_it_came().expect("it comes");
            assert!(told.contains(" read, in "), "{told}");
            // What is on its way when a connection is cut is sent too.
            assert!(sent < 12 << 20, "{}: {sent} bytes, {told}", film.display());
            assert!(requests < 12, "{}: {requests} requests, {told}", film.display());
        }
    }
}

#[tokio::test]
async fn an_encode_begins_before_the_download_ends() {
    for film in [long("long.mp4", &[]), long("long first.mp4", &["-movflags", "+faststart"])] {
        let size = std::fs::metadata(&film).expect("the film").len() as usize;
        // All of the second half but for the index, which may be at the end.
        let (gate, held) = (CancellationToken::new(), size / 2..size / 10 * 9);
        let trouble = Trouble { held: Some((held, gate.clone())), ..Trouble::default() };
        let (begun, source) = (gate.clone(), Source::with(&film, trouble).await);
        let worker = Worker::open().await;
        let input = worker.input(&source).await;
        let progress = |told: Told<'_>| {
            if let Told::Percent(percent) = told
                && percent > 0.0
                && !begun.is_cancelled()
            {
                begun.cancel();
            }
        };
        let options = json!({ "width": 160 });
        let made = worker.try_make((Kind::Video, &options), &input, progress).await;
        let secs = Seen::of(&made.expect("it is made").path).secs();
        assert!((secs - 180.0).abs() < 1.0, "{secs}");
        assert!(gate.is_cancelled(), "progress came");
    }
}

#[tokio::test]
async fn a_broken_connection_is_taken_up_and_nothing_of_it_is_seen() {
    let worker = Worker::open().await;
    let source = Source::with(&film(), Trouble { breaks: 3, ..Trouble::default() }).await;
    let (input, options) = (worker.input(&source).await, json!({ "width": 160 }));
    let made = worker.make((Kind::Video, &options), &input).await;
    let secs = Seen::of(&made.path).secs();
    assert!((secs - 30.0).abs() < 0.2, "{secs}");
}

#[tokio::test]
async fn a_source_that_fails_while_ffmpeg_reads_is_the_inputs_failure_and_makes_no_output() {
    let worker = Worker::open().await;
    let film = copied("first.mp4", &["-movflags", "+faststart"]);
    let size = std::fs::metadata(&film).expect("the film").len() as usize;
    let trouble = Trouble { breaks_at: Some(size / 2), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let input = worker.input(&source).await;
    let failure = worker.try_make((Kind::Video, &json!({ "width": 160 })), &input, |_| {}).await;
    let failure = failure.expect_err("half a film is none");
    assert_eq!(failure.kind.name(), "input_unavailable", "{failure:?}");
    // What was read before is not of a piece with what can be read now.
    let picture = worker.try_make((Kind::Image, &json!({ "start": 1 })), &input, |_| {}).await;
    assert_eq!(picture.expect_err("a failed input").kind.name(), "input_unavailable");
}

#[tokio::test]
async fn ffmpeg_and_ffprobe_that_wait_for_bytes_are_not_called_stalled() {
    let limits = Limits {
        stall: Duration::from_secs(1),
        probe_wall: Duration::from_secs(2),
        ..Limits::default()
    };
    let worker = Worker::with(limits).await;
    let film = copied("first.mp4", &["-movflags", "+faststart"]);
    let gate = CancellationToken::new();
    let trouble = Trouble { held: Some((100_000..usize::MAX, gate.clone())), ..Trouble::default() };
    let source = Source::with(&film, trouble).await;
    let input = worker.input(&source).await;
    // A source that is slow for longer than either may be silent.
    let opens = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        gate.cancel();
    };
    let (facts, ()) = tokio::join!(worker.probe(&input), opens);
    assert!(facts.duration.is_some());
}

/// A server that sends whoever asks for `/away` to another place.
async fn redirecting(to: impl Fn(u16) -> String + Send + 'static, film: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let answer = if head.starts_with(b"GET /away") {
                format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n", to(port)).into_bytes()
            } else {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", film.len());
                [head.as_bytes(), &film].concat()
            };
            let _gone = stream.write_all(&answer).await;
        }
    });
    port
}

#[tokio::test]
async fn ffprobe_is_given_one_port_and_reaches_no_other_wherever_it_is_sent() {
    let tools = Tools::find(None, None, Limits::default()).await.expect("ffmpeg is installed");
    assert!(tools.sandbox().has_tcp_ports(), "these tests need Linux 6.7 or later");
    let film = std::fs::read(copied("first.mp4", &["-movflags", "+faststart"])).expect("a film");
    let other = redirecting(|_| String::new(), film.clone()).await;
    let stop = CancellationToken::new();
    let probe = async |port| {
        let (secret, waiting) = ("away".to_owned(), Waiting::default());
        let demuxer = Demuxer::of("mov").expect("a demuxer");
        let size_bytes = film.len() as u64;
        let place = Loopback { port, secret, demuxer, size_bytes, waiting };
        tools.probe(Media::Loopback(place), &stop).await
    };
    let here = redirecting(|port| format!("http://127.0.0.1:{port}/film"), film.clone()).await;
    let facts = probe(here).await.expect("it follows a redirect within its port");
    assert!(facts.video().is_some());
    let away = redirecting(move |_| format!("http://127.0.0.1:{other}/film"), film.clone()).await;
    let refused = probe(away).await.expect_err("the other port is closed to it");
    assert!(format!("{refused:?}").contains("Permission denied"), "{refused:?}");
}

/// Whether there is a file of inputs left.
fn inputs(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("inputs")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn an_input_that_was_read_in_part_leaves_nothing_behind() {
    let worker = Worker::open().await;
    let source = Source::of(&film()).await;
    let input = worker.input(&source).await;
    worker.make((Kind::Image, &json!({ "start": 1 })), &input).await;
    assert_eq!(inputs(worker.folder.path()), 1);
    drop(input);
    assert_eq!(inputs(worker.folder.path()), 0);
}
