//! Small things that every story needs.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a story waits for anything before it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for something that happens in another process and cannot call us: looks, again and
/// again, until it is so.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// The same with another patience.
pub(crate) async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = tokio::time::timeout(patience, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: not within {patience:?}"))
}

/// A plain client that does not wait for ever.
#[expect(clippy::disallowed_methods, reason = "tests talk to their own server on loopback")]
pub(crate) fn client() -> reqwest::Client {
    let timeout = Duration::from_secs(10);
    reqwest::Client::builder().no_proxy().timeout(timeout).build().expect("a client")
}

/// Says something that belongs to the result of a story, such as a figure.
#[expect(clippy::print_stdout, reason = "figures are what these tests are for")]
pub(crate) fn say(words: &str) {
    println!("chaos: {words}");
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A process of Reelway or of its ffmpeg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

/// The processes that belong to a folder, whoever their parent is: their command line names it
/// (ffmpeg), or their environment does (reelway).
pub(crate) fn processes_of(folder: &Path) -> Vec<Running> {
    let needle = folder.to_str().expect("a path in UTF-8").to_owned();
    let entries = fs::read_dir("/proc").expect("a Linux").filter_map(Result::ok);
    let of_folder = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let read = |name| fs::read(entry.path().join(name)).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let environment = read("environ");
        let names_it =
            command.contains(&needle) || String::from_utf8_lossy(&environment).contains(&needle);
        (names_it && pid != std::process::id()).then_some(Running { pid, command })
    });
    of_folder.collect()
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Runs something of the test's own to its end.
pub(crate) async fn run(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) {
    #[expect(clippy::disallowed_methods, reason = "the test makes its own surroundings")]
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = within(PATIENCE * 2, output).await.expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {words}", program.display());
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("in time")
}
