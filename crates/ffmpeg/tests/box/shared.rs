//! Where the shared hostile files are, and what tests of processes need.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A folder of the shared hostile files. Without it a test says that it is skipped, but where
/// CI is set it fails.
pub(crate) fn security(folder: &str) -> Option<PathBuf> {
    let path = std::env::var_os("REELWAY_TEST_SECURITY").map(|root| Path::new(&root).join(folder));
    match path.filter(|path| path.is_dir()) {
        Some(path) => Some(path),
        None if std::env::var_os("CI").is_some() => {
            panic!("REELWAY_TEST_SECURITY does not name the folder of hostile files")
        }
        None => {
            #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
            {
                eprintln!("skipped: REELWAY_TEST_SECURITY does not name the hostile files");
            }
            None
        }
    }
}

/// The files of a folder by name.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Waits for a child that might not end by itself; kills it after `patience`.
pub(crate) fn wait(mut child: Child, patience: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    // There is no wait with an end in the standard library, and nothing that could call us.
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// A command, not yet confined.
#[expect(clippy::disallowed_methods, reason = "the test is about what is around a command")]
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    Command::new(program.as_ref())
}

/// A port on loopback that counts who connects.
pub(crate) struct Port {
    pub(crate) number: u16,
    connections: Arc<AtomicUsize>,
}

impl Port {
    /// One that answers everything with these bytes.
    pub(crate) fn serving(body: Vec<u8>) -> Self {
        use std::io::{Read as _, Write as _};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let body = body.clone();
                std::thread::spawn(move || {
                    let Ok(mut stream) = stream else { return };
                    let mut request = [0; 4096];
                    let _asked = stream.read(&mut request);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    // Whoever hangs up has been counted.
                    let _sent = stream.write_all(head.as_bytes());
                    let _sent = stream.write_all(&body);
                });
            }
        });
        Self { number, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The most memory that any process this test waited for had in use at once, in bytes.
pub(crate) fn peak_memory_of_children() -> u64 {
    usage_of_children().ru_maxrss.unsigned_abs() * 1024
}

/// How long the processors worked for the processes that this test waited for. On a machine that
/// does other things too, the time on the wall says little.
pub(crate) fn work_of_children() -> Duration {
    let usage = usage_of_children();
    let span = |time: libc::timeval| {
        let micros = Duration::from_micros(time.tv_usec.unsigned_abs());
        Duration::from_secs(time.tv_sec.unsigned_abs()) + micros
    };
    span(usage.ru_utime) + span(usage.ru_stime)
}

#[expect(unsafe_code, reason = "a system call that no safe crate at hand wraps")]
fn usage_of_children() -> libc::rusage {
    // SAFETY: the kernel fills a structure of plain numbers that we own.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    }
}
