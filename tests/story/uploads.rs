//! Files that callers send: with tus-js-client, curl and the command line, through wires that are
//! cut and servers that are killed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::harness::{
    Server, client, eventually, example, installed, is_here, node_project, short_clip,
};

const MIB: usize = 1 << 20;

/// A video of so many bytes: a short one, and behind it a box that players pass over.
fn large_clip(folder: &Path, size: usize) -> PathBuf {
    let mut bytes = std::fs::read(short_clip(folder)).expect("a clip");
    let rest = size - bytes.len();
    bytes.extend(u32::try_from(rest).expect("a box").to_be_bytes());
    bytes.extend(b"free");
    bytes.extend((8..rest).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8));
    let path = folder.join("large clip.mp4");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(&bytes).expect("written");
    path
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(path).expect("a file")))
}

/// A wire to a server that can be another one tomorrow. It holds its breath after so many bytes.
struct Wire {
    url: String,
    target: watch::Sender<String>,
    /// How many bytes may still pass towards the server.
    left: Arc<AtomicU64>,
    /// Cuts every connection that there is.
    cut: watch::Sender<u64>,
}

impl Wire {
    async fn to(server: &str, left: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let target = watch::Sender::new(address(server));
        let (left, cut) = (Arc::new(AtomicU64::new(left)), watch::Sender::new(0));
        let (targets, passing, cuts) = (target.subscribe(), left.clone(), cut.clone());
        tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await.expect("a caller");
                let (target, left) = (targets.borrow().clone(), passing.clone());
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(caller, &target, &left) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { url, target, left, cut }
    }

    /// Waits until nothing more may pass.
    async fn is_held(&self) {
        let is_held = async || (self.left.load(Ordering::SeqCst) == 0).then_some(());
        eventually("the wire holds its breath", is_held).await;
    }

    /// Breaks what is under way; from now on everything passes, to this server.
    fn mend(&self, server: &str) {
        self.target.send_replace(address(server));
        self.left.store(u64::MAX, Ordering::SeqCst);
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

fn address(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

async fn carry(mut caller: TcpStream, target: &str, left: &AtomicU64) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut from_caller, mut to_caller) = caller.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(read @ 1..) = from_caller.read(&mut buffer).await else { return };
            let mut may = left.load(Ordering::SeqCst);
            if may != u64::MAX {
                may = may.min(read as u64);
                left.fetch_sub(may, Ordering::SeqCst);
            }
            let passing = read.min(may as usize);
            if to_server.write_all(&buffer[..passing]).await.is_err() {
                return;
            }
            if passing < read {
                std::future::pending::<()>().await;
            }
        }
    };
    let down = async {
        let _ended = tokio::io::copy(&mut from_server, &mut to_caller).await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// The example, beside its packages.
fn project(folder: &Path) -> Option<()> {
    let packages = installed("upload")?;
    node_project(folder, &packages, &[example("upload").join("upload.js")]);
    Some(())
}

#[expect(clippy::disallowed_methods, reason = "the test starts a user's program")]
fn program(name: &str, arguments: &[&str], folder: &Path, env: &[(&str, &str)]) -> Child {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(folder).envs(env.iter().copied());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the program starts")
}

async fn said(child: Child) -> Value {
    let said = child.wait_with_output().await.expect("its end");
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}\n{err}");
    let line = out.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"))
}

/// The bytes that the server has for an upload.
async fn kept(url: &str) -> String {
    let answer = client().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    hex::encode(Sha256::digest(answer.bytes().await.expect("bytes")))
}

#[tokio::test]
async fn a_wire_that_is_cut_in_the_middle_of_an_upload_costs_nothing() {
    let (folder, data_dir) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let Some(()) = project(folder.path()) else { return };
    let clip = large_clip(folder.path(), 40 * MIB);
    let server = Server::start(data_dir.path()).await;
    let wire = Wire::to(&server.url, 21 * MIB as u64).await;

    let env = [("REELWAY_URL", wire.url.as_str())];
    let sending = program("node", &["upload.js", "large clip.mp4"], folder.path(), &env);
    wire.is_held().await;
    wire.mend(&server.url);
    let said = said(sending).await;
    let url = said["url"].as_str().expect("a URL");
    assert!(url.starts_with(&wire.url), "the address that the caller came by: {url}");
    assert_eq!(kept(url).await, sha256(&clip));
    let job = said["job"].as_str().expect("an id");
    let job = server.job_when(job, |job| job["finished_at"].is_i64()).await;
    assert_eq!((&job["status"], &job["input"]), (&json!("succeeded"), &json!(url)), "{job}");
    server.kill().await;
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_of_an_upload_goes_on_with_it() {
    let (folder, data_dir) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let Some(()) = project(folder.path()) else { return };
    let clip = large_clip(folder.path(), 40 * MIB);
    let server = Server::start(data_dir.path()).await;
    let wire = Wire::to(&server.url, 21 * MIB as u64).await;

    let env = [("REELWAY_URL", wire.url.as_str())];
    let sending = program("node", &["upload.js", "large clip.mp4"], folder.path(), &env);
    wire.is_held().await;
    server.kill().await;
    let server = Server::start(data_dir.path()).await;
    wire.mend(&server.url);
    let said = said(sending).await;
    assert_eq!(kept(said["url"].as_str().expect("a URL")).await, sha256(&clip));
    let job = said["job"].as_str().expect("an id");
    let job = server.job_when(job, |job| job["finished_at"].is_i64()).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    server.kill().await;
}

#[tokio::test]
async fn curl_sends_a_file_as_a_form_or_as_it_is() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_curl = std::env::split_paths(&path).any(|folder| folder.join("curl").is_file());
    if !is_here("curl", has_curl) {
        return;
    }
    let (folder, data_dir) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let clip = large_clip(folder.path(), 20 * MIB);
    let key = [("REELWAY_API_KEY", "the-key-of-the-story")];
    let server = Server::start_with(data_dir.path(), &key).await;
    let url = format!("{}/files?name=clip.mp4", server.url);
    for body in [["-F", "file=@large clip.mp4"], ["--data-binary", "@large clip.mp4"]] {
        let arguments =
            ["-sS", "-H", "authorization: Bearer the-key-of-the-story", body[0], body[1], &url];
        let file = said(program("curl", &arguments, folder.path(), &[])).await;
        let facts = [&file["kind"], &file["filesize"], &file["sha256"]];
        assert_eq!(facts, [&json!("video"), &json!(20 * MIB), &json!(sha256(&clip))], "{file}");
        let arguments = [
            "-sS",
            "-H",
            "authorization: Bearer the-key-of-the-story",
            "-H",
            "content-type: application/json",
            "-d",
            &json!({"input": file["url"], "kind": "image"}).to_string(),
            &format!("{}/jobs", server.url),
        ];
        let job = said(program("curl", &arguments, folder.path(), &[])).await;
        assert_eq!(job["input"], file["url"], "{job}");
    }
    server.kill().await;
}

#[tokio::test]
async fn the_command_line_sends_a_file_and_waits_for_its_job() {
    let (folder, data_dir) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    large_clip(folder.path(), 40 * MIB);
    let server = Server::start(data_dir.path()).await;
    let wire = Wire::to(&server.url, 21 * MIB as u64).await;
    let arguments = ["submit", "large clip.mp4", "--kind", "image", "--wait"];
    let env = [("REELWAY_SERVER", wire.url.as_str())];
    let binary = env!("CARGO_BIN_EXE_reelway");
    let sending = program(binary, &arguments, folder.path(), &env);
    wire.is_held().await;
    wire.mend(&server.url);
    let job = said(sending).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(job["input"].as_str().is_some_and(|url| url.contains("/uploads/upl_")), "{job}");
    server.kill().await;
}
