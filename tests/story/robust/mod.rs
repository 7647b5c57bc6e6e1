//! Whatever is sent in ends: well, or with an error of a stable kind.
//!
//! A folder of arbitrary files goes through a real server, each file as every kind of job. No
//! file may bring the server down, keep it busy, fill its memory, or leave anything behind, and
//! none is answered with "something that should not happen".

mod mutate;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{self, State};
use axum::routing::get;
use futures::{StreamExt as _, stream};
use reelway::task::ErrorKind;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::harness::{
    Server, Tree, client, descendants, is_here, processes_naming, serve, short_clip,
};

/// How many files are under way at once; the server takes two jobs that encode at a time.
const AT_ONCE: usize = 3;

/// How long one file may take, as every kind together, beside two others.
const PATIENCE: Duration = Duration::from_mins(3);

/// The most memory of the server and all its processes together: two that encode and two that
/// do not, at their limit of [`PROCESS_MEMORY`] each, would have more.
const MEMORY_BYTES: u64 = 3 << 29;
const PROCESS_MEMORY: &str = "1GiB";

/// Each kind, with options that make it end soon and touch most of what there is.
fn every_kind() -> Value {
    json!([
        { "kind": "video", "options": { "width": 160, "end": 1 } },
        { "kind": "image", "options": { "width": 160 } },
        { "kind": "audio", "options": { "end": 2 } },
        { "kind": "animation", "options": { "width": 120, "end": 1 } },
        { "kind": "probe" },
    ])
}

/// What came of a folder of files.
#[derive(Default)]
struct Outcomes {
    files: usize,
    /// How many jobs ended how, by kind and by the error's kind.
    counts: BTreeMap<(String, String), usize>,
    /// Jobs that ended in a way that is nobody's fault but ours.
    ours: Vec<String>,
    /// What must not be.
    wrong: Vec<String>,
    slowest: (Duration, String),
    peak_bytes: u64,
}

impl Outcomes {
    fn add(&mut self, name: &str, took: Duration, jobs: Result<Value, String>) {
        self.files += 1;
        if took > self.slowest.0 {
            self.slowest = (took, name.to_owned());
        }
        let jobs = match jobs {
            Ok(jobs) => jobs,
            Err(wrong) => return self.wrong.push(format!("{name}: {wrong}")),
        };
        for job in jobs.as_array().expect("jobs") {
            let kind = job["kind"].as_str().expect("a kind");
            let error = job["error"]["kind"].as_str();
            let outcome = error.unwrap_or_else(|| job["status"].as_str().expect("a status"));
            *self.counts.entry((kind.to_owned(), outcome.to_owned())).or_default() += 1;
            let said = || format!("{name} as {kind}: {outcome}: {}", job["error"]);
            match (job["status"].as_str(), error.map(ErrorKind::from_name)) {
                (Some("succeeded"), None) => {}
                (Some("failed"), Some(Some(ErrorKind::InternalError))) => self.wrong.push(said()),
                (Some("failed"), Some(Some(error))) => {
                    if !error.name().starts_with("input_") {
                        self.ours.push(said());
                    }
                }
                _ => self.wrong.push(said()),
            }
        }
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, outcome), count) in &self.counts {
            writeln!(f, "{kind:<10} {outcome:<20} {count:>6}")?;
        }
        for ours in &self.ours {
            writeln!(f, "not the input's fault: {ours}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "WRONG: {wrong}")?;
        }
        let (took, name) = &self.slowest;
        let peak = self.peak_bytes >> 20;
        write!(
            f,
            "{} files; slowest {:.1} s ({name}); peak {peak} MiB",
            self.files,
            took.as_secs_f64()
        )
    }
}

/// Sends every file through a server of their own, and looks at what is left.
async fn go_through(files: Vec<PathBuf>) -> Outcomes {
    let folder = tempfile::tempdir().expect("a folder");
    let good = short_clip(folder.path());
    let settings = [
        ("REELWAY_MAX_FFMPEG_MEMORY", PROCESS_MEMORY),
        ("REELWAY_SLOTS", "2"),
        ("REELWAY_LIGHT_SLOTS", "2"),
        ("REELWAY_LOG", "error"),
    ];
    let server = Server::start_with(folder.path(), &settings).await;
    let tree = Tree::of(server.pid());
    let mut outcomes = Outcomes::default();
    let all: Vec<_> = files.into_iter().chain([good]).collect();
    let source = serve_files(all.clone()).await;
    let jobs = all.iter().enumerate().map(|(number, path)| {
        let (server, url) = (&server, format!("{source}/{number}"));
        async move {
            let start = Instant::now();
            let jobs = tokio::time::timeout(PATIENCE, send(server, &url)).await;
            let jobs = jobs.unwrap_or_else(|_| Err(format!("not done in {PATIENCE:?}")));
            (path, start.elapsed(), jobs)
        }
    });
    let mut ended = stream::iter(jobs).buffer_unordered(AT_ONCE);
    while let Some((path, took, jobs)) = ended.next().await {
        outcomes.add(&path.display().to_string(), took, jobs);
    }
    drop(ended);
    outcomes.peak_bytes = tree.peak_bytes();
    drop(tree);
    if outcomes.peak_bytes > MEMORY_BYTES {
        outcomes.wrong.push(format!("{} bytes of memory", outcomes.peak_bytes));
    }
    look_for_leftovers(server, &mut outcomes).await;
    outcomes
}

/// Nothing of any attempt is left, and the server is alive and ends when it is told to.
async fn look_for_leftovers(server: Server, outcomes: &mut Outcomes) {
    let scratch = server.data_dir.join("scratch");
    let is_input = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "inputs");
    let left: Vec<_> = server.scratch_files().into_iter().filter(|it| !is_input(it)).collect();
    if !left.is_empty() {
        outcomes.wrong.push(format!("left in scratch: {left:?}"));
    }
    let processes = [descendants(server.pid()).split_off(1), processes_naming(&scratch)].concat();
    if !processes.is_empty() {
        outcomes.wrong.push(format!("left running: {processes:?}"));
    }
    server.signal(rustix::process::Signal::TERM);
    if !server.ended().await {
        outcomes.wrong.push("the server did not end well".to_owned());
    }
    if !processes_naming(&scratch).is_empty() {
        outcomes.wrong.push("something outlived the server".to_owned());
    }
}

/// Sends one file as every kind, and waits until all have ended.
async fn send(server: &Server, url: &str) -> Result<Value, String> {
    let asked = json!({ "url": url, "tasks": every_kind() });
    let taken = ask(client().post(format!("{}/process", server.url)).json(&asked)).await?;
    let batch = format!("{}/batches/{}", server.url, taken["batch_id"].as_str().expect("an id"));
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let mut batch = ask(client().get(&batch)).await?;
        if !batch["finished_at"].is_null() {
            return Ok(batch["jobs"].take());
        }
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| format!("the server is gone: {error}"))?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| error.to_string())?;
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
}

/// A web server of these files, by number.
async fn serve_files(files: Vec<PathBuf>) -> String {
    async fn one(State(files): State<Arc<Vec<PathBuf>>>, number: extract::Path<usize>) -> Body {
        let file = tokio::fs::File::open(&files[number.0]).await.expect("the file is there");
        Body::from_stream(ReaderStream::new(file))
    }
    let app = Router::new().route("/{number}", get(one)).with_state(Arc::new(files));
    serve(app).await
}

/// The plain files below a folder, by name.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// A folder named in the environment, where there is one.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_dir());
    is_here(name, folder.is_some()).then_some(folder?)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty())?.parse().ok()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a failure is repeated by its seed")]
async fn damaged_and_hostile_files_end_as_every_kind_of_job() {
    let Some(media) = shared("REELWAY_TEST_MEDIA") else { return };
    let Some(hostile) = shared("REELWAY_TEST_SECURITY") else { return };
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("a file"))
    };
    let clips: Vec<_> = files_below(&media).into_iter().map(read).collect();
    let seed = number("REELWAY_ROBUST_SEED").unwrap_or_else(rand::random);
    println!("REELWAY_ROBUST_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = files_below(&hostile);
    for nth in 0..number("REELWAY_ROBUST_FILES").unwrap_or(28) {
        let (name, bytes) = mutate::mutated(&clips, seed, nth);
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        files.push(path);
    }
    let outcomes = go_through(files).await;
    println!("{outcomes}");
    assert!(outcomes.wrong.is_empty(), "REELWAY_ROBUST_SEED={seed}\n{outcomes}");
}

#[tokio::test]
#[ignore = "`make robust DIR=…` runs it over a folder"]
#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
async fn a_folder_of_arbitrary_files_ends_as_every_kind_of_job() {
    let folder = std::env::var_os("REELWAY_ROBUST_DIR").expect("REELWAY_ROBUST_DIR is a folder");
    let outcomes = go_through(files_below(Path::new(&folder))).await;
    println!("{outcomes}");
    assert!(outcomes.wrong.is_empty(), "see WRONG above");
}
