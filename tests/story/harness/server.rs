//! The product as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{PATIENCE, client, eventually};

/// The secret that every story's server signs webhooks with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// A running `reelway serve` on a free port, killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) data_dir: PathBuf,
}

impl Server {
    /// Starts one that may reach loopback, and waits until it listens.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[]).await
    }

    /// The same with more of an environment.
    pub(crate) async fn start_with(data_dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::listening(command(&["serve", "--port", "0"], data_dir, env), data_dir).await
    }

    /// The same with its log in a file.
    pub(crate) async fn start_logging(data_dir: &Path, env: &[(&str, &str)], log: &Path) -> Self {
        let mut command = command(&["serve", "--port", "0"], data_dir, env);
        command.stderr(fs::File::create(log).expect("a file"));
        Self::listening(command, data_dir).await
    }

    async fn listening(mut command: Command, data_dir: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("it says where it listens in time")
            .expect("a readable pipe");
        let Some(line) = first else {
            let status = child.wait().await.expect("it ended");
            panic!("the server ended before it listened: {status}");
        };
        let said: Value = serde_json::from_str(&line).expect("a JSON line");
        let url = said["listening"].as_str().expect("a URL").to_owned();
        Self { child, url, data_dir: data_dir.to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// kill -9.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(self.pid(), signal);
    }

    /// Waits for it to end by itself; returns whether it ended well.
    pub(crate) async fn ended(mut self) -> bool {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("it ends in time").expect("its status").success()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = client().get(format!("{}{path}", self.url)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = client().post(format!("{}{path}", self.url)).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "POST {path}: {status} {body}");
        body
    }

    /// The job once `is_so`.
    pub(crate) async fn job_when(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually("the job comes to it", async || {
            let job = self.get(&format!("/jobs/{id}")).await;
            is_so(&job).then_some(job)
        })
        .await
    }

    /// What lies in the folder for work in progress.
    pub(crate) fn scratch_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.data_dir.join("scratch")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
                let path = entry.path();
                let is_lock =
                    path.file_name().is_some_and(|name| name == ".lock" || name == ".gate");
                if path.is_dir() {
                    folders.push(path);
                } else if !is_lock {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// A running `reelway worker`, killed when it is dropped.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(data_dir: &Path, env: &[(&str, &str)]) -> Self {
        Self(command(&["worker"], data_dir, env).spawn().expect("the binary starts"))
    }

    /// SIGTERM; returns whether it ended well.
    pub(crate) async fn end(mut self) -> bool {
        send(self.0.id().expect("it runs"), rustix::process::Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.0.wait()).await;
        status.expect("it ends in time").expect("its status").success()
    }
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it can be signalled");
}

#[expect(clippy::disallowed_methods, reason = "the test starts the product")]
fn command(arguments: &[&str], data_dir: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelway"));
    command
        .args(arguments)
        .kill_on_drop(true)
        .current_dir(data_dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("REELWAY_DATA_DIR", data_dir)
        .env("REELWAY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
        .env("REELWAY_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("REELWAY_LOG", "warn")
        .envs(env.iter().copied());
    command
}

/// A command of the product, run to its end beside the data of a server.
#[expect(clippy::disallowed_methods, reason = "the test starts the product")]
pub(crate) fn run(data_dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_reelway"))
        .args(arguments)
        .current_dir(data_dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("REELWAY_DATA_DIR", data_dir)
        .envs(env.iter().copied())
        .output()
        .expect("the binary starts")
}

/// What a command said to a person.
pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The processes whose command line names `path`: whose work it is, whoever their parent is.
pub(crate) fn processes_naming(path: &Path) -> Vec<u32> {
    let needle = path.to_str().expect("a path in UTF-8").to_owned();
    let pids = fs::read_dir("/proc").expect("a Linux").filter_map(Result::ok).filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(&needle).then_some(pid)
    });
    pids.collect()
}
