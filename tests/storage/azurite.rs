//! The same contract on Azure's own emulator, Azurite, which checks signatures and conditions.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reelway::output::{Bucket, BucketSettings, Cloud, Storage};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use url::Url;

use crate::clouds::AZURE_KEY;
use crate::contract::Place;
use crate::weed::client;

/// The account that every Azurite has.
const ACCOUNT: &str = "devstoreaccount1";

/// A cold start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program, where `scripts/setup azurite` has put it.
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/tools/azurite/node_modules/.bin/azurite-blob");
    if !program.exists() {
        let missing = format!("{} (scripts/setup azurite)", program.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "there is no {missing}");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: there is no {missing}");
        }
        return None;
    }
    Some(program)
}

struct Azurite {
    endpoint: String,
    _child: Child,
    _folder: TempDir,
}

impl Azurite {
    async fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        #[expect(clippy::disallowed_methods, reason = "the test starts the server")]
        let child = Command::new(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
        let azurite = Self { endpoint, _child: child, _folder: folder };
        azurite.make_container().await;
        azurite
    }

    /// Asks until it is up.
    async fn make_container(&self) {
        let mut ask = Url::parse(&self.endpoint).expect("a URL");
        ask.set_path(&format!("{ACCOUNT}/media"));
        ask.query_pairs_mut().append_pair("restype", "container").extend_pairs(account_signature());
        let client = client();
        let made = tokio::time::timeout(PATIENCE, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let answer = client.put(ask.clone()).header("content-length", 0).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
        });
        made.await.expect("it starts in time");
    }

    fn storage(&self, key: &str) -> Storage {
        let option = |name: &str, value: &str| (name.to_owned(), value.into());
        let settings = BucketSettings {
            cloud: Cloud::Azure,
            name: "media".to_owned(),
            prefix: "made".to_owned(),
            options: vec![
                option("azure_storage_account_name", ACCOUNT),
                option("azure_storage_account_key", key),
                option("azure_storage_endpoint", &self.endpoint),
                option("azure_allow_http", "true"),
            ],
        };
        Storage::bucket(Bucket::open(&settings).expect("a bucket"))
    }
}

/// The query of a request that may make containers (Azure's "Create an account SAS").
fn account_signature() -> [(&'static str, String); 6] {
    let (permissions, services, types) = ("rwdlac", "b", "sco");
    let (end, version) = ("2099-01-01T00:00:00Z", "2019-07-07");
    let signed = format!("{ACCOUNT}\n{permissions}\n{services}\n{types}\n\n{end}\n\n\n{version}\n");
    let key = STANDARD.decode(AZURE_KEY).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    [
        ("sp", permissions.to_owned()),
        ("ss", services.to_owned()),
        ("srt", types.to_owned()),
        ("se", end.to_owned()),
        ("sv", version.to_owned()),
        ("sig", signature),
    ]
}

#[tokio::test]
async fn the_contract_holds_on_azures_emulator() {
    let Some(program) = program() else { return };
    let azurite = Azurite::start(&program).await;
    let place = async || {
        let storage = azurite.storage(AZURE_KEY);
        for leftover in ["job_1", "job_10"] {
            storage.remove(leftover).await.expect("an empty place");
        }
        Place { storage, folder: tempfile::tempdir().expect("a folder"), server: None }
    };
    crate::contract::holds(&place).await;

    let place = place().await;
    let (source, whole) = place.source(1000);
    place.storage.put("job_8/1/a.mp4", &source).await.expect("stored");
    let link = place.storage.link("job_8/1/a.mp4", PATIENCE).expect("a link");
    let answer = client().get(link.clone()).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{link}");
    assert_eq!(answer.bytes().await.expect("the blob"), whole);
    let forged = link.as_str().replace("sp=r", "sp=rw");
    assert_eq!(client().get(forged).send().await.expect("an answer").status(), 403);

    let stranger = azurite.storage(&STANDARD.encode([7; 64]));
    assert!(stranger.put("job_8/1/b.mp4", &source).await.is_err(), "another key is refused");
}
