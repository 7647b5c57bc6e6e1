//! Bombs and hostile files through the whole product: each ends, and the work goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Server, Source, Tree, eventually, processes_naming, short_clip};

/// How each bomb ends: its kind of error, or nothing where it is harmless by then.
const BOMBS: &[(&str, Option<&str>)] = &[
    ("claim4g.wav", None),
    ("cmov512m.mov", Some("input_corrupt")),
    ("deepmoov.mp4", Some("input_corrupt")),
    ("gap10h.mkv", Some("input_corrupt")),
    ("hugepts.mkv", Some("output_empty")),
    ("magic.mkv", Some("input_unsupported")),
    ("moovsize.mp4", None),
    ("nomoov.mp4", Some("input_corrupt")),
    ("p16k.png", Some("input_over_limit")),
    ("p16k_rgba64.png", Some("input_over_limit")),
    ("p30k.png", Some("input_over_limit")),
    ("traks1000.mp4", Some("input_over_limit")),
    ("truncmoov.mp4", Some("input_unsupported")),
];

/// The most work that one file may cost, probe and conversion together: time of the processors,
/// for on a machine that does other things too the clock on the wall tells of those.
const WORK: Duration = Duration::from_secs(10);

/// The most memory that the server and all that runs below it may use together.
const MEMORY_BYTES: u64 = 1 << 30;

/// A folder of the shared hostile files. Without it a story says that it is skipped, but where
/// CI is set it fails.
fn security(folder: &str) -> Option<PathBuf> {
    let path = std::env::var_os("REELWAY_TEST_SECURITY").map(|root| Path::new(&root).join(folder));
    match path.filter(|path| path.is_dir()) {
        Some(path) => Some(path),
        None if std::env::var_os("CI").is_some() => {
            panic!("REELWAY_TEST_SECURITY does not name the folder of hostile files")
        }
        None => {
            #[expect(clippy::print_stderr, reason = "a story that is skipped says so")]
            {
                eprintln!("skipped: REELWAY_TEST_SECURITY does not name the hostile files");
            }
            None
        }
    }
}

/// Sends a file through the server; the job as it ended.
async fn send(server: &Server, file: &Path) -> Value {
    let source = Source::of(file).await;
    let extension = file.extension().and_then(|extension| extension.to_str());
    let kind = match extension {
        Some("png" | "svg") => "image",
        Some("wav") => "audio",
        _ => "video",
    };
    let job = server.post("/jobs", &json!({"input": source.url, "kind": kind})).await;
    let id = job["id"].as_str().expect("an id");
    server.job_when(id, |job| matches!(job["status"].as_str(), Some("succeeded" | "failed"))).await
}

/// No process and no file of any attempt is left; inputs stay a minute for tasks that follow.
async fn nothing_is_left(server: &Server) {
    eventually("attempts leave nothing", async || {
        let left = server.scratch_files();
        left.iter()
            .all(|path| path.components().any(|part| part.as_os_str() == "inputs"))
            .then_some(())
    })
    .await;
    assert_eq!(processes_naming(&server.data_dir.join("scratch")), Vec::<u32>::new());
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what each costs, for whoever looks")]
async fn every_bomb_ends_in_time_and_in_memory_and_the_worker_goes_on() {
    let Some(bombs) = security("bombs") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let good = short_clip(folder.path());
    let server = Server::start(folder.path()).await;
    let found = std::fs::read_dir(&bombs).expect("a folder").count();
    assert_eq!(found, BOMBS.len(), "each bomb has its end in the table");
    let mut ends = Vec::new();
    for (name, _) in BOMBS {
        let (start, before) = (Instant::now(), work_below(server.pid()));
        let tree = Tree::of(server.pid());
        let job = send(&server, &bombs.join(name)).await;
        let (work, took) = (work_below(server.pid()).saturating_sub(before), start.elapsed());
        let peak = tree.peak_bytes();
        println!("{name}: {work:?} of work in {took:?}, {} MiB", peak >> 20);
        assert!(work < WORK, "{name}: {work:?} of work in {took:?}: {job}");
        assert!(peak < MEMORY_BYTES, "{name}: {peak} bytes: {job}");
        ends.push((*name, job["error"]["kind"].as_str().map(str::to_owned)));
        nothing_is_left(&server).await;
        let next = send(&server, &good).await;
        assert_eq!(next["status"], "succeeded", "after {name} the worker goes on: {next}");
    }
    let wanted = BOMBS.iter().map(|&(name, kind)| (name, kind.map(str::to_owned)));
    assert_eq!(ends, wanted.collect::<Vec<_>>());
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended().await);
    // What was too short for a look from outside, the kernel has counted.
    let peak = peak_memory_of_children();
    assert!(peak < MEMORY_BYTES, "{peak} bytes");
}

#[tokio::test]
async fn every_hostile_file_is_refused_as_input_and_reaches_nothing() {
    let Some(inputs) = security("inputs") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path()).await;
    let trap = Source::of(&inputs.join("neighbour.mp4")).await;
    let port = trap.url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next());
    for entry in std::fs::read_dir(&inputs).expect("a folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_owned();
        let bytes = std::fs::read(&path).expect("a file");
        let Ok(words) = String::from_utf8(bytes) else { continue };
        let words = words.replace("@DIR@", inputs.to_str().expect("text"));
        let copy = folder.path().join(&name);
        std::fs::write(&copy, words.replace("@PORT@", port.expect("a port"))).expect("a file");
        let job = send(&server, &copy).await;
        let kind = job["error"]["kind"].as_str().unwrap_or("none");
        assert!(kind.starts_with("input_"), "{}: {job}", name.display());
    }
    assert_eq!(trap.requests(), 0);
    nothing_is_left(&server).await;
    let good = send(&server, &inputs.join("neighbour.mp4")).await;
    assert_eq!(good["status"], "succeeded", "{good}");
    server.kill().await;
}

/// How long the processors worked for the processes that `pid` has waited for. On a machine that
/// does other things too, the time on the wall says little.
fn work_below(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    // cutime and cstime, counted from the state, which follows the name.
    let ticks = after_name.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The most memory that any process below this one had in use at once, in bytes.
fn peak_memory_of_children() -> u64 {
    #[expect(unsafe_code, reason = "a system call that no safe crate at hand wraps")]
    // SAFETY: the kernel fills a structure of plain numbers that we own.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    };
    usage.ru_maxrss.unsigned_abs() * 1024
}
