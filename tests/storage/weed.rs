//! The same contract on a server that is not made of the same parts: SeaweedFS.
//!
//! It also lists uploads that were given up, which the in-process server does not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::signer::{Method, Signer as _};
use reelway::output::Abandoned;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::contract::{Place, bucket};
use crate::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A cold start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program, where it is at hand.
fn program() -> Option<PathBuf> {
    let program = std::env::var_os("REELWAY_TEST_WEED");
    if program.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "REELWAY_TEST_WEED is not set");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: REELWAY_TEST_WEED is not set");
        }
    }
    program.map(Into::into)
}

struct Weed {
    url: String,
    _child: Child,
    _folder: TempDir,
}

impl Weed {
    async fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            r#"{{"identities": [{{"name": "test", "actions": ["Admin"], "credentials":
                [{{"accessKey": "{ACCESS_KEY_ID}", "secretKey": "{SECRET_ACCESS_KEY}"}}]}}]}}"#
        );
        std::fs::write(folder.path().join("s3.json"), config).expect("a file");
        let ports = free_ports().await;
        let child = command(program, folder.path(), &ports).spawn().expect("it starts");
        let url = format!("http://127.0.0.1:{}", ports[6]);
        let weed = Self { url, _child: child, _folder: folder };
        weed.make_bucket().await;
        weed
    }

    /// Asks until it is up.
    async fn make_bucket(&self) {
        let (s3, bucket) = (s3(&self.url), Key::default());
        let ask = s3.signed_url(Method::PUT, &bucket, PATIENCE).await.expect("a signed request");
        let client = client();
        let made = tokio::time::timeout(PATIENCE, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let answer = client.put(ask.clone()).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
        });
        made.await.expect("it starts in time");
    }
}

/// Ports that were free a moment ago: held all at once, so that no two are the same.
async fn free_ports() -> Vec<u16> {
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    }
    held.iter().map(|it| it.local_addr().expect("an address").port()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the test starts the server")]
fn command(program: &Path, folder: &Path, ports: &[u16]) -> Command {
    let names = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
        "s3.port.grpc",
    ];
    let mut command = Command::new(program);
    command
        .arg("server")
        .arg(format!("-dir={}", folder.display()))
        .arg(format!("-s3.config={}", folder.join("s3.json").display()))
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=20"])
        .args(["-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0"])
        .args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

#[expect(clippy::disallowed_methods, reason = "tests talk to their own server on loopback")]
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn s3(url: &str) -> object_store::aws::AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_bucket_name("media")
        .with_access_key_id(ACCESS_KEY_ID)
        .with_secret_access_key(SECRET_ACCESS_KEY)
        .build()
        .expect("a bucket")
}

#[tokio::test]
async fn the_contract_holds_on_a_server_of_another_make() {
    let Some(program) = program() else { return };
    let weed = Weed::start(&program).await;
    let place = async || {
        let storage = bucket(&weed.url, SECRET_ACCESS_KEY);
        for leftover in ["job_1", "job_10"] {
            storage.remove(leftover).await.expect("an empty place");
        }
        Place { storage, folder: tempfile::tempdir().expect("a folder"), server: None }
    };
    crate::contract::holds(&place).await;
    let place = place().await;
    uploads_that_were_given_up_are_ended(&place, &weed.url).await;
    links_are_checked(&place).await;
}

/// What a killed worker leaves: an upload that nobody ends.
async fn uploads_that_were_given_up_are_ended(place: &Place, url: &str) {
    let s3 = s3(url);
    for key in ["made/job_7/1/a.mp4", "made/job_7/1/b.mp4", "made/job_7/10/a.mp4"] {
        let mut upload = s3.put_multipart(&Key::from(key)).await.expect("an upload");
        upload.put_part(vec![7; 5 << 20].into()).await.expect("a part");
    }
    let (source, _) = place.source(10);
    place.storage.put("job_7/1/c.mp4", &source).await.expect("stored");
    assert_eq!(place.storage.remove("job_7/1").await.expect("removed"), 1);
    let left = place.storage.abort_uploads("job_7/1").await.expect("a list");
    assert_eq!(left, Abandoned::Aborted(0), "removing has ended them");
    let left = place.storage.abort_uploads("job_7").await.expect("a list");
    assert_eq!(left, Abandoned::Aborted(1), "the one beside it was left alone");
}

async fn links_are_checked(place: &Place) {
    let (source, whole) = place.source(1000);
    place.storage.put("job_8/1/a.mp4", &source).await.expect("stored");
    let link = place.storage.link("job_8/1/a.mp4", PATIENCE).expect("a link");
    let answer = client().get(link.clone()).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-disposition"], "inline; filename=\"a.mp4\"");
    assert_eq!(answer.bytes().await.expect("the object"), whole);
    let forged = link.as_str().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    let answer = client().get(forged).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
}
