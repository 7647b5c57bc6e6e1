//! Runs the real binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::fake::{FakeTools, media};
use crate::loopback::patiently;

/// The secret that every server and every receiver of these tests has.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// A folder to type commands in, with an ffmpeg that obeys its input.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    tools: FakeTools,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Every line of the output, which must be JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"));
        self.out.lines().map(parse).collect()
    }

    /// The one line of the output.
    pub(crate) fn line(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines.remove(0)
    }

    /// The command ended with this code and said all of these words on stderr.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "data is for stdout, talk for stderr");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }

    #[track_caller]
    pub(crate) fn assert_well(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tools = FakeTools::write(folder.path());
        Self { folder, tools }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes media that orders something, and returns its name.
    pub(crate) fn input<'a>(&self, name: &'a str, order: &str) -> &'a str {
        std::fs::write(self.path(name), media(order)).expect("a file");
        name
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        Said::of(self.command(arguments, env).output().expect("the binary starts"))
    }

    /// The binary in this folder, in an environment of its own.
    pub(crate) fn command(&self, arguments: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_reelway"));
        command.args(arguments);
        self.environment(&mut command);
        command.envs(env.iter().copied());
        command
    }

    pub(crate) fn environment(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("REELWAY_DATA_DIR", self.path("data"))
            .env("REELWAY_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("REELWAY_WEBHOOK_SECRET", SECRET)
            .env("REELWAY_LOG", "warn")
            .env("REELWAY_FFMPEG", &self.tools.ffmpeg)
            .env("REELWAY_FFPROBE", &self.tools.ffprobe)
            // A script cannot make the clip that the trial of the sandbox asks for.
            .env("REELWAY_SANDBOX", "permissive");
    }

    /// Starts a command that goes on until it is told to end.
    pub(crate) fn start(&self, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        Self::go_on(self.command(arguments, env))
    }

    /// The same, with its talk and its logs in a file of this folder.
    pub(crate) fn start_logged(
        &self,
        arguments: &[&str],
        env: &[(&str, &str)],
        log: &str,
    ) -> Running {
        let mut command = self.command(arguments, env);
        command.stderr(std::fs::File::create(self.path(log)).expect("a file"));
        Self::go_on(command)
    }

    fn go_on(mut command: Command) -> Running {
        command.stdout(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Running { child, out }
    }

    /// What lies in the folder, but for what was there from the start.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
        names.retain(|name| !["ffmpeg", "ffprobe", "data"].contains(&name.as_str()));
        names.sort();
        names
    }
}

/// A command that goes on.
pub(crate) struct Running {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// The next line of its output.
    pub(crate) async fn line(&mut self) -> Value {
        let line = patiently("a line", self.out.next_line()).await.expect("a readable pipe");
        serde_json::from_str(&line.expect("one more line")).expect("JSON")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Its exit code, once it has ended.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        patiently("it ends", self.child.wait()).await.expect("a status").code()
    }
}

#[expect(clippy::disallowed_methods, reason = "the test starts the product and its like")]
pub(crate) fn program(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Two seconds of picture and sound, made on the spot by the real ffmpeg.
pub(crate) fn real_clip(folder: &Path) -> PathBuf {
    let path = folder.join("clip.mp4");
    let status = program("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=320x180:rate=25:duration=2", "-f", "lavfi"])
        .args(["-i", "sine=duration=2", "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg could not make the clip");
    path
}
