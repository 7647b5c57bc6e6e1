//! PostgreSQL for a story: a database of its own on the tests' server, or a server of its own
//! that it may kill.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, eventually, free_port, run, say};

/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The server that the tests share, where there is one. Where there is none a story is skipped,
/// with a line that says so; a run that calls itself continuous integration fails.
pub(crate) fn shared_server() -> Option<String> {
    let server = std::env::var("REELWAY_TEST_POSTGRES").ok();
    if server.is_none() {
        assert!(std::env::var_os("CI").is_none(), "REELWAY_TEST_POSTGRES is not set");
        say("skipped: run it under scripts/with-postgres");
    }
    server
}

/// Connects, or says why not.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    let connected = tokio::time::timeout(CONNECT, PgConnection::connect(url)).await;
    connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A fresh database on the shared server, dropped by [`Database::remove`].
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
    server: String,
}

impl Database {
    pub(crate) async fn create() -> Option<Self> {
        let server = shared_server()?;
        let name = format!("chaos_{:016x}", rand::random::<u64>());
        let mut admin = connect(&server).await.expect("the tests' server");
        execute(&mut admin, format!("create database {name}")).await;
        let mut url = url::Url::parse(&server).expect("a URL");
        url.set_path(&name);
        Some(Self { url: url.into(), name, server })
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> String {
        let url = url::Url::parse(&self.url).expect("a URL");
        format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432))
    }

    /// The same database by another address, such as a proxy's.
    pub(crate) fn by(&self, address: std::net::SocketAddr) -> String {
        by(&self.url, address)
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        connect(&self.url).await.expect("the database")
    }

    /// When a story has ended well; after a failure it stays to be looked at.
    pub(crate) async fn remove(self) {
        let mut admin = connect(&self.server).await.expect("the tests' server");
        execute(&mut admin, format!("drop database {} with (force)", self.name)).await;
    }
}

/// A database's URL with another address in it.
pub(crate) fn by(url: &str, address: std::net::SocketAddr) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_ip_host(address.ip()).expect("a host");
    url.set_port(Some(address.port())).expect("a port");
    url.into()
}

async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.expect("it is done");
}

/// A server of one story's own, which can be ended at once and started again.
pub(crate) struct Cluster {
    pub(crate) url: String,
    /// Who it says it is: `localhost`, on its own word.
    pub(crate) certificate: PathBuf,
    postmaster: Child,
    port: u16,
    folder: TempDir,
    programs: PathBuf,
}

impl Cluster {
    pub(crate) async fn start() -> Option<Self> {
        shared_server()?;
        let programs = programs();
        let folder = tempfile::tempdir().expect("a folder");
        if is_root() {
            run(Path::new("chown"), [Path::new("postgres:"), folder.path()]).await;
        }
        let data = folder.path().join("data");
        let mut initdb = as_owner(&programs.join("initdb"));
        initdb.current_dir(folder.path()).arg("-D").arg(&data);
        initdb.args(["-U", "reelway", "-A", "trust", "--no-sync", "-E", "UTF8"]);
        let made = initdb.output().await.expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificate = certify(folder.path()).await;
        let port = free_port();
        let postmaster = postmaster(&programs, folder.path(), port);
        let url = format!("postgres://reelway@127.0.0.1:{port}/postgres");
        let cluster = Self { url, certificate, postmaster, port, folder, programs };
        cluster.answers().await;
        Some(cluster)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What `pg_ctl restart -m immediate` does: every process of the server ends at once, and
    /// the next start recovers from the log.
    pub(crate) async fn restart_immediately(&mut self) {
        let pid = self.postmaster.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).expect("the server runs");
        rustix::process::kill_process(pid, Signal::QUIT).expect("it can be signalled");
        let ended = tokio::time::timeout(PATIENCE, self.postmaster.wait()).await;
        ended.expect("it ends in time").expect("its status");
        self.postmaster = postmaster(&self.programs, self.folder.path(), self.port);
        self.answers().await;
    }

    async fn answers(&self) {
        eventually("the server answers", async || connect(&self.url).await.ok()).await;
    }
}

/// Makes the server's key and certificate; the key may be read by the server alone.
async fn certify(folder: &Path) -> PathBuf {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    std::fs::write(&certificate, signed.cert.pem()).expect("a file");
    std::fs::write(&key, signed.signing_key.serialize_pem()).expect("a file");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("its rights");
    if is_root() {
        run(Path::new("chown"), [Path::new("postgres:"), &certificate, &key]).await;
    }
    certificate
}

/// In the foreground and bound to this process, so that nothing remains of a test that dies.
fn postmaster(programs: &Path, folder: &Path, port: u16) -> Child {
    let mut command = as_owner(&programs.join("postgres"));
    let log = std::fs::File::options().create(true).append(true).open(folder.join("server.log"));
    command
        .current_dir(folder)
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", &format!("unix_socket_directories={}", folder.display())])
        .args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}/server.crt", folder.display())])
        .args(["-c", &format!("ssl_key_file={}/server.key", folder.display())])
        .args(["-c", "max_connections=200", "-c", "fsync=off", "-c", "deadlock_timeout=200ms"])
        .stdout(Stdio::null())
        .stderr(log.expect("a log"))
        .kill_on_drop(true);
    command.spawn().expect("the server starts")
}

/// PostgreSQL refuses to run as root.
fn as_owner(program: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test starts its own server")]
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg(program).stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where PostgreSQL's programs are: as `scripts/with-postgres` says, else where Debian has them.
fn programs() -> PathBuf {
    if let Some(said) = std::env::var_os("REELWAY_TEST_POSTGRES_BIN") {
        return said.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> =
        versions.filter_map(Result::ok).map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed (scripts/setup postgres)")
}
