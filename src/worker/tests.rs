//! What tasks of one input share: its facts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use ffmpeg::{Limits, Tools};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineSettings, WorkError};
use crate::clock::{ManualClock, Timestamp};
use crate::input::{Downloads, FetchLimits, Fetcher, InputFile};
use crate::job::InputUrl;
use crate::outbound::TableResolver;
use crate::outbound::loopback::{Server, client, ok};
use crate::task::ErrorKind;

/// Answers with its own process id as the duration: two answers that are alike are one run.
const WHO_AM_I: &str = r#"echo "{\"format\": {\"format_name\": \"mov\", \"duration\": $$}}""#;

/// Refuses the file for good, and says who it is.
const REFUSE: &str = "echo \"[error] $$: Invalid data found when processing input\" >&2; exit 1";

/// Dies as of a fault of its own, and says who it is.
const CRASH: &str = "echo \"[error] $$\" >&2; kill -SEGV $$";

/// Never answers.
const HANG: &str = "exec sleep 1000";

/// Never answers, and keeps a processor busy with that.
const SPIN: &str = "while :; do :; done";

/// An engine whose ffprobe is a script, and one download that any number of tasks may take.
struct Bench {
    engine: Engine,
    downloads: Downloads,
    url: InputUrl,
    _server: Server,
    _folder: TempDir,
}

impl Bench {
    async fn with_ffprobe(answer: &str) -> Self {
        Self::limited(answer, Limits::default()).await
    }

    async fn limited(answer: &str, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ffprobe = folder.path().join("ffprobe");
        let known = "[ \"$1\" = -version ] && { echo ffprobe version 5.1; exit; }";
        fs::write(&ffprobe, format!("#!/bin/sh\n{known}\n{answer}\n")).expect("a script");
        fs::set_permissions(&ffprobe, fs::Permissions::from_mode(0o755)).expect("a program");
        let tools = Tools::find(None, Some(&ffprobe), limits).await.expect("the tools");

        let film = b"\0\0\0\x20ftypisom";
        let server = Server::start(|_, _| ok(film)).await;
        let limits = FetchLimits { reserve_bytes: 0, ..FetchLimits::default() };
        let fetcher = Fetcher::new(client(TableResolver::default()), limits);
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
        let inputs = folder.path().join("inputs");
        Self {
            engine: Engine::new(tools, EngineSettings::default()),
            downloads: Downloads::new(fetcher, inputs, Duration::from_hours(1), clock),
            url: InputUrl::parse(server.url("/film.mp4").as_str()).expect("a URL"),
            _server: server,
            _folder: folder,
        }
    }

    /// The input as one more task gets it.
    async fn input(&self) -> Arc<InputFile> {
        let (since, stop) = (Timestamp::from_millis(0), CancellationToken::new());
        self.downloads.get(&self.url, since, |_, _| {}, &stop).await.expect("the input")
    }

    async fn probe(&self, input: &InputFile) -> Result<ffmpeg::Facts, WorkError> {
        self.engine.probe(input, &CancellationToken::new()).await
    }
}

/// The log of a failure of this kind: it names the process that said it.
fn log_of(outcome: Result<ffmpeg::Facts, WorkError>, kind: ErrorKind) -> Vec<String> {
    match outcome {
        Err(WorkError::Failed(failure)) if failure.kind == kind => failure.log,
        other => panic!("not {}: {other:?}", kind.name()),
    }
}

#[tokio::test]
async fn the_tasks_of_one_input_read_its_facts_once() {
    let bench = Bench::with_ffprobe(WHO_AM_I).await;
    let (one, two, three) = tokio::join!(bench.input(), bench.input(), bench.input());
    let (first, second) = tokio::join!(bench.probe(&one), bench.probe(&two));
    let first = first.expect("facts");
    assert!(first.duration.is_some(), "the process says who it is: {first:?}");
    assert_eq!(first, second.expect("facts"), "two that ask at once");
    drop((one, two));
    assert_eq!(first, bench.probe(&three).await.expect("facts"), "one that asks later");
}

#[tokio::test]
async fn a_file_that_is_no_media_is_refused_by_one_probe() {
    let bench = Bench::with_ffprobe(REFUSE).await;
    let (one, two) = tokio::join!(bench.input(), bench.input());
    let first = log_of(bench.probe(&one).await, ErrorKind::InputUnsupported);
    assert!(!first.is_empty());
    assert_eq!(first, log_of(bench.probe(&two).await, ErrorKind::InputUnsupported));
}

#[tokio::test]
async fn a_failure_that_may_pass_is_nobody_elses() {
    let bench = Bench::with_ffprobe(CRASH).await;
    let (one, two) = tokio::join!(bench.input(), bench.input());
    let first = log_of(bench.probe(&one).await, ErrorKind::FfmpegCrashed);
    assert!(!first.is_empty());
    assert_ne!(first, log_of(bench.probe(&two).await, ErrorKind::FfmpegCrashed));
}

#[tokio::test]
async fn a_probe_that_had_no_time_may_have_some_later_and_one_that_takes_too_much_never_has_enough()
{
    let limits = |processor, wall| Limits {
        probe_processor: Duration::from_millis(processor),
        probe_wall: Duration::from_millis(wall),
        ..Limits::default()
    };
    let bench = Bench::limited(HANG, limits(60_000, 500)).await;
    log_of(bench.probe(&*bench.input().await).await, ErrorKind::FfmpegStalled);
    assert!(ErrorKind::FfmpegStalled.is_retryable());
    let bench = Bench::limited(SPIN, limits(300, 60_000)).await;
    log_of(bench.probe(&*bench.input().await).await, ErrorKind::FfmpegTimedOut);
    assert!(!ErrorKind::FfmpegTimedOut.is_retryable());
}

#[tokio::test]
async fn a_task_that_waits_for_anothers_probe_can_be_stopped() {
    let bench = Bench::with_ffprobe(HANG).await;
    let input = bench.input().await;
    let (asker, waiter) = (CancellationToken::new(), CancellationToken::new());
    let asked = bench.engine.probe(&input, &asker);
    let waited = async {
        waiter.cancel();
        let outcome = bench.engine.probe(&input, &waiter).await;
        asker.cancel();
        outcome
    };
    // The first is polled first, and so is the one whose process hangs.
    let (asked, waited) = tokio::join!(biased; asked, waited);
    assert!(matches!(waited, Err(WorkError::Stopped)), "{waited:?}");
    assert!(matches!(asked, Err(WorkError::Stopped)), "{asked:?}");
}
