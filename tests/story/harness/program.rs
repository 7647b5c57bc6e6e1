//! Somebody else's program beside the product: a user's own server.

use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::{eventually, is_here};

/// A server that a user would write, on a port of its own, killed when it is dropped.
pub(crate) struct Program {
    _child: Child,
    pub(crate) url: String,
}

impl Program {
    /// Starts it in `folder` and waits until it takes connections.
    ///
    /// `{port}` in an argument is its port, which it also finds in `PORT`.
    #[expect(clippy::disallowed_methods, reason = "the test starts a user's program")]
    pub(crate) async fn start(
        program: impl AsRef<Path>,
        arguments: &[&str],
        folder: &Path,
        env: &[(&str, &str)],
    ) -> Self {
        let port = free_port().await;
        let arguments = arguments.iter().map(|argument| argument.replace("{port}", &port));
        let mut child = Command::new(program.as_ref())
            .args(arguments)
            .current_dir(folder)
            .env("PORT", &port)
            .envs(env.iter().copied())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let address = format!("127.0.0.1:{port}");
        eventually("it listens", async || {
            let ended = child.try_wait().expect("its status");
            assert_eq!(ended, None, "{} ended before it listened", program.as_ref().display());
            TcpStream::connect(&address).await.ok()
        })
        .await;
        Self { _child: child, url: format!("http://{address}") }
    }
}

/// A port that nobody listens on just now: these programs cannot say which one they got.
async fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").port().to_string()
}

/// The folder `examples/{name}`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// What `scripts/setup clients` has installed for `examples/{client}`, or `scripts/setup browser`
/// for `tests/browser`, if it has.
pub(crate) fn installed(client: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(client);
    let what = format!("{} (scripts/setup clients browser)", folder.display());
    is_here(&what, folder.exists()).then_some(folder)
}

/// Copies the files of `examples/{name}` beside the packages that were installed for `client`.
pub(crate) fn node_project(folder: &Path, packages: &Path, files: &[PathBuf]) {
    let package = packages.join("package.json");
    for file in files.iter().chain([&package]) {
        let name = file.file_name().expect("a name");
        std::fs::copy(file, folder.join(name)).expect("a copy");
    }
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).expect("a link");
}
