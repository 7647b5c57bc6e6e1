//! The box, tried out: a good clip must work inside it, and hostile files must get nothing.
//!
//! ffmpeg runs here as a novice would start it, without the lists of [`crate::policy`], so that
//! only the box is between a playlist and the file it names.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::Scope;
use crate::child::spawn;
use crate::tail::Tail;
use crate::watch::{End, Heard, Watch};
use crate::{RunError, Tools};

/// How long one run may take; on an idle machine each takes a tenth of a second.
const WALL: Duration = Duration::from_secs(20);

/// How long ffmpeg waits for an answer from the network, in microseconds.
const NETWORK_MICROS: &str = "500000";

/// Why the box cannot be relied on.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The trial could not be prepared or a program not be started.
    #[error("the sandbox could not be tried out")]
    Start(#[from] io::Error),
    /// What should work inside does not.
    #[error("ffmpeg does not work inside its sandbox")]
    Broken {
        /// What it said.
        log: Vec<String>,
    },
    /// A hostile file got the bytes of another.
    #[error("ffmpeg read a file that it was not given ({hostile})")]
    Leak {
        /// Which kind of hostile file.
        hostile: &'static str,
    },
    /// A hostile file reached the network.
    #[error("ffmpeg reached the network")]
    Network,
}

impl Tools {
    /// Tries the box out in `folder`, which is empty and may be written to.
    ///
    /// The same rule as for [`Tools::run`] holds for where to call it from.
    pub async fn try_sandbox(&self, folder: &Path) -> Result<(), TrialError> {
        let trial = Trial::prepare(self, folder)?;
        let clip = trial.clip().await?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}/clip.ts", listener.local_addr()?);
        let (playlist, script) = (playlist(&trial.private), script(&trial.private));
        let (good, from_playlist, from_script, network) = tokio::join!(
            self.probe(&clip, &trial.stop),
            trial.read_through(&playlist),
            trial.read_through(&script),
            trial.copy(&["-rw_timeout", NETWORK_MICROS], url.into(), "network.ts", vec![]),
        );
        good.map_err(broken)?;
        from_playlist?;
        from_script?;
        network?;
        // Whoever connected waits in the queue, even if gone.
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(_) | Err(_) => Err(TrialError::Network),
        }
    }
}

/// What a probe's failure says.
fn broken(error: RunError) -> TrialError {
    match error {
        RunError::Refused { log, .. } | RunError::TimedOut { log, .. } => {
            TrialError::Broken { log }
        }
        error => TrialError::Broken { log: vec![error.to_string()] },
    }
}

/// A file that leads to another.
struct Hostile {
    what: &'static str,
    name: &'static str,
    words: String,
    /// What makes ffmpeg follow it.
    options: &'static [&'static str],
}

/// A playlist whose only part is the file at `private`.
fn playlist(private: &Path) -> Hostile {
    let part = private.display();
    let words =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nfile://{part}\n#EXT-X-ENDLIST\n");
    Hostile { what: "a playlist", name: "list.m3u8", words, options: &[] }
}

/// A script that has the file at `private` played.
fn script(private: &Path) -> Hostile {
    let words = format!("ffconcat version 1.0\nfile 'file:{}'\n", private.display());
    let options = &["-f", "concat", "-safe", "0"];
    Hostile { what: "a concat script", name: "list.ffconcat", words, options }
}

struct Trial<'a> {
    tools: &'a Tools,
    /// What a run is given.
    given: PathBuf,
    /// Where it writes.
    made: PathBuf,
    /// A file that it is not given.
    private: PathBuf,
    stop: CancellationToken,
}

impl<'a> Trial<'a> {
    fn prepare(tools: &'a Tools, folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        let within = |name: &str| {
            let path = folder.join(name);
            fs::create_dir(&path).map(|()| path)
        };
        let private = within("private")?.join("clip.ts");
        let stop = CancellationToken::new();
        Ok(Self { tools, given: within("given")?, made: within("made")?, private, stop })
    }

    /// A clip, made inside the box: one to read, and the same again where nobody may read it.
    async fn clip(&self) -> Result<PathBuf, TrialError> {
        let made = self.made.join("clip.ts");
        let picture = "testsrc2=size=64x64:rate=10:duration=0.5";
        let encode = ["-f", "lavfi", "-i", picture, "-c:v", "mpeg2video", "-f", "mpegts"];
        let argv = encode.map(OsString::from).into_iter().chain([file(&made)]).collect();
        let log = self.run(argv, vec![]).await?;
        if !has_bytes(&made) {
            return Err(TrialError::Broken { log });
        }
        fs::copy(&made, &self.private)?;
        Ok(made)
    }

    /// Whether a hostile file gets at the bytes of the private one.
    async fn read_through(&self, hostile: &Hostile) -> Result<(), TrialError> {
        let path = self.given.join(hostile.name);
        fs::write(&path, &hostile.words)?;
        let (input, output) = (file(&path), format!("{}.ts", hostile.name));
        let leaked = self.copy(hostile.options, input, &output, vec![path]).await?;
        if leaked { Err(TrialError::Leak { hostile: hostile.what }) } else { Ok(()) }
    }

    /// Copies what `input` leads to; whether anything came of it.
    async fn copy(
        &self,
        options: &[&str],
        input: OsString,
        name: &str,
        read: Vec<PathBuf>,
    ) -> io::Result<bool> {
        let output = self.made.join(name);
        let mut argv: Vec<OsString> = options.iter().map(Into::into).collect();
        argv.extend(["-i".into(), input]);
        argv.extend(["-c", "copy", "-f", "mpegts"].map(OsString::from));
        argv.push(file(&output));
        self.run(argv, read).await?;
        Ok(has_bytes(&output))
    }

    /// Runs ffmpeg in the box to its end; what it said.
    async fn run(&self, argv: Vec<OsString>, read: Vec<PathBuf>) -> io::Result<Vec<String>> {
        let quiet = ["-hide_banner", "-nostdin", "-v", "level+error", "-y"];
        let argv: Vec<_> = quiet.iter().map(OsString::from).chain(argv).collect();
        let scope = Scope { read, write: vec![self.made.clone()], ..Scope::default() };
        let limits = self.tools.limits();
        let containment = self.tools.containment(scope, limits.memory_bytes);
        let (child, pipes) = spawn(self.tools.ffmpeg(), &argv, &self.made, &containment)?;
        let watch = Watch {
            wall: WALL,
            stall: None,
            grace: Duration::ZERO,
            processor: None,
            memory_bytes: limits.memory_bytes,
            waiting: &[],
            stop: &self.stop,
        };
        let mut tail = Tail::new(&argv);
        let end = watch.over(child, pipes, &mut tail, |_| Heard::Noise).await?;
        let mut log = tail.log();
        if !matches!(end, End::Exited(_)) {
            log.push(format!("it was stopped: {end:?}"));
        }
        Ok(log)
    }
}

/// `file:` keeps a path from being read as anything else.
fn file(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

fn has_bytes(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Level, Limits, Sandbox};

    async fn trial_in(sandbox: impl Fn(Sandbox) -> Sandbox) -> Result<(), TrialError> {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::find(None, None, Limits::default()).await.unwrap();
        let tools = tools.in_sandbox(sandbox(tools.sandbox()));
        tools.try_sandbox(folder.path()).await
    }

    #[tokio::test]
    async fn the_whole_box_stands_its_trial() {
        assert_eq!(Sandbox::detect().level(), Level::Full, "these tests need the whole box");
        trial_in(|whole| whole).await.unwrap();
        trial_in(Sandbox::with_first_landlock).await.unwrap();
        trial_in(Sandbox::without_namespaces).await.unwrap();
        trial_in(Sandbox::with_own_users).await.unwrap();
    }

    #[tokio::test]
    async fn without_landlock_files_leak_and_the_trial_says_so() {
        let outcome = trial_in(Sandbox::without_landlock).await;
        assert!(matches!(outcome, Err(TrialError::Leak { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn without_anything_that_knows_ports_the_network_is_reached_and_the_trial_says_so() {
        let unaware = |whole: Sandbox| whole.with_first_landlock().without_seccomp();
        let outcome = trial_in(|whole| unaware(whole).without_namespaces()).await;
        assert!(matches!(outcome, Err(TrialError::Network)), "{outcome:?}");
        if Sandbox::detect().layers().contains(&Layer::Namespaces) {
            trial_in(unaware).await.expect("there is nobody in its own network");
        }
    }

    #[tokio::test]
    async fn a_tool_that_makes_nothing_fails_its_trial() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::find(None, None, Limits::default()).await.unwrap();
        let outcome = tools.with_ffmpeg("/bin/true").try_sandbox(folder.path()).await;
        assert!(matches!(outcome, Err(TrialError::Broken { .. })), "{outcome:?}");
    }
}
