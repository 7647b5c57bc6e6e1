//! The product as processes: servers that take requests, workers that work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::support::{PATIENCE, client, free_port};

/// The secret that every server signs webhooks with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// How long a process may try to start while its database is away, again and again.
const START: Duration = Duration::from_mins(2);

/// What a process is started as, each time it is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Unique in its fleet.
    pub(crate) name: String,
    /// Where the whole fleet keeps its things.
    pub(crate) folder: PathBuf,
    pub(crate) role: Role,
    pub(crate) env: Vec<(String, String)>,
}

/// What a process does, and where it is asked whether it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes requests and pushes webhooks.
    Server { port: u16 },
    /// Works.
    Worker { health_port: u16 },
}

/// A running process, killed when it is dropped.
pub(crate) struct Process {
    pub(crate) launch: Launch,
    child: Child,
}

impl Launch {
    /// A server that does not work itself.
    pub(crate) fn server(folder: &Path, name: &str, database_url: &str) -> Self {
        Self::of(Role::Server { port: free_port() }, folder, name, database_url)
    }

    /// A worker with one slot of each lane.
    pub(crate) fn worker(folder: &Path, name: &str, database_url: &str) -> Self {
        Self::of(Role::Worker { health_port: free_port() }, folder, name, database_url)
    }

    fn of(role: Role, folder: &Path, name: &str, database_url: &str) -> Self {
        let this = Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            role,
            env: vec![
                ("DATABASE_URL".to_owned(), database_url.to_owned()),
                ("REELWAY_STORAGE".to_owned(), format!("file://{}/files", folder.display())),
                ("REELWAY_PUBLIC_URL".to_owned(), "http://127.0.0.1:9".to_owned()),
            ],
        };
        this.with("REELWAY_SLOTS", "1").with("REELWAY_LIGHT_SLOTS", "1").with("REELWAY_DRAIN", "5s")
    }

    /// The same with another setting; the last one said counts.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        let (Role::Server { port } | Role::Worker { health_port: port }) = self.role;
        format!("http://127.0.0.1:{port}")
    }

    /// Its own folder, which its ffmpeg processes name.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// What it has logged, all its lives together.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Starts it and waits until it is ready. One that ends because its database is away is
    /// started again, as every platform does.
    pub(crate) async fn start(&self) -> Process {
        let give_up = Instant::now() + START;
        loop {
            let mut process = self.spawn();
            if process.is_ready().await {
                return process;
            }
            assert!(Instant::now() < give_up, "{} does not start:\n{}", self.name, self.log());
            process.kill().await;
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "the test starts the product")]
    pub(crate) fn spawn(&self) -> Process {
        fs::create_dir_all(self.data_dir()).expect("a folder");
        let log = fs::File::options().create(true).append(true).open(self.log_path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_reelway"));
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("REELWAY_DATA_DIR", self.data_dir())
            .env("REELWAY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
            .env("REELWAY_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("REELWAY_MIN_FREE_MEMORY", "0")
            .env("REELWAY_LOG", "info")
            .env("REELWAY_LOG_FORMAT", "text")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .kill_on_drop(true);
        match self.role {
            Role::Server { port } => {
                command.args(["serve", "--no-workers", "--port", &port.to_string()]);
            }
            Role::Worker { health_port } => {
                command.args(["worker", "--health-port", &health_port.to_string()]);
            }
        }
        let child = command.spawn().expect("the binary starts");
        Process { launch: self.clone(), child }
    }
}

/// An ffmpeg that does something first when it is to make a file with a picture or sound in it:
/// a line of shell in which `$*` are its arguments.
pub(crate) fn ffmpeg_that(folder: &Path, first: &str) -> String {
    let path = folder.join("ffmpeg-that");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" -progress \"*) {first};; esac\nexec ffmpeg \"$@\"\n"
    );
    fs::write(&path, script).expect("a file");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a program");
    path.to_str().expect("a path in UTF-8").to_owned()
}

impl Process {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it answers; false when it ends first.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let url = format!("{}/healthz", self.launch.url());
        let ready = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                if !self.lives() {
                    return false;
                }
                if client().get(&url).send().await.is_ok() {
                    return true;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap_or(false)
    }

    /// Whether it has not ended by itself.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// kill -9, whatever state it is in.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        // One that has ended meanwhile needs no signal.
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, signal).expect("it can be signalled");
        }
    }

    /// SIGTERM, and the wait for its end; returns whether it ended well.
    pub(crate) async fn end(&mut self) -> bool {
        self.signal(Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("it ends in time").expect("its status").success()
    }
}
