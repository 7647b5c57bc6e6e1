//! `reelway keys`, and what becomes of everything secret in the life of a server.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reelway::access::Digest;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::typed::{Desk, Running, SECRET, Said};

/// The key of the settings.
const FIRST: &str = "the-first-key-of-this-test";

/// Seals the secrets of connections.
const SEALING: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The secret half of a user's own key to a bucket.
const OF_BUCKET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A server that logs all it can, and everything that anybody was told by it.
struct Served {
    desk: Desk,
    server: Running,
    url: String,
    told: Vec<String>,
}

impl Served {
    async fn start() -> Self {
        let desk = Desk::new();
        let env = [
            ("REELWAY_API_KEY", FIRST),
            ("REELWAY_SECRET_KEY", SEALING),
            ("REELWAY_SLOTS", "1"),
            ("REELWAY_LOG", "debug"),
        ];
        let mut server = desk.start_logged(&["serve", "--port", "0"], &env, "log");
        let url = server.line().await["listening"].as_str().expect("a URL").to_owned();
        Self { desk, server, url, told: Vec::new() }
    }

    /// A command, typed by somebody with this key.
    fn run(&mut self, key: &str, arguments: &[&str]) -> Said {
        let env = [("REELWAY_SERVER", self.url.as_str()), ("REELWAY_API_KEY", key)];
        let said = self.desk.run_with(arguments, &env);
        self.told.push(format!("{said:?}"));
        said
    }

    /// A request with this header of authorization; its status and its body.
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own server on loopback")]
    async fn ask(
        &mut self,
        method: Method,
        url: &str,
        as_whom: &str,
        body: Option<&str>,
    ) -> (u16, Value) {
        let url =
            if url.starts_with("http") { url.to_owned() } else { format!("{}{url}", self.url) };
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut request = client.request(method, url).header("authorization", as_whom);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let bytes = answer.bytes().await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let value = serde_json::from_str(&text).unwrap_or_default();
        self.told.push(format!("{status} {headers} {text}"));
        (status, value)
    }
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_taken_back() {
    let mut served = Served::start().await;
    let create = ["keys", "create", "--name", "the app", "--project", "team-a", "--expires", "2h"];
    let made = served.run(FIRST, &create);
    made.assert_well();
    let made = made.line();
    assert_eq!((&made["project"], &made["name"]), (&json!("team-a"), &json!("the app")));
    assert!(made["expires_at"].is_i64(), "{made}");
    let (key, name) = (made["key"].as_str().expect("a key").to_owned(), id(&made));

    served.run(&key, &["jobs"]).assert_well();
    served.run(&key, &["keys", "list"]).assert_refused(1, &["403 scope_missing", "`admin`"]);
    let listed = served.run(FIRST, &["keys", "list"]).line();
    assert_eq!((id(&listed), &listed["key"]), (name.clone(), &Value::Null));
    let other = ["keys", "create", "--scopes", "jobs:read,files:read"];
    let other = served.run(FIRST, &other).line();
    assert_eq!(other["scopes"], json!(["jobs:read", "files:read"]));

    let revoked = served.run(FIRST, &["keys", "revoke", &name]);
    assert_eq!(revoked.line(), json!({"id": name, "status": "revoked"}));
    served.run(&key, &["jobs"]).assert_refused(1, &["401 token_invalid"]);
    assert_eq!(served.run(FIRST, &["keys", "list"]).line()["id"], other["id"]);
    assert_eq!(served.run(FIRST, &["keys", "list", "--all"]).lines().len(), 2);
    served.run(FIRST, &["keys", "revoke", &key]).assert_refused(2, &["not the key itself"]);
    served.run(FIRST, &["keys", "create", "--scopes", "all"]).assert_refused(2, &["jobs:write"]);
}

/// Everything of the database, as it lies on the disk.
fn database(served: &Served) -> Vec<u8> {
    let entries = fs::read_dir(served.desk.path("data")).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let of_database = paths.filter(|path| path.display().to_string().contains("reelway.db"));
    of_database.flat_map(|path| fs::read(path).expect("a file")).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|at| at == text.as_bytes())
}

#[tokio::test]
async fn no_secret_of_a_run_is_in_a_log_an_answer_or_the_database() {
    let mut served = Served::start().await;
    let made = served.run(FIRST, &["keys", "create"]).line();
    // What a key is told by is the one answer that may hold it.
    let first_word = served.told.pop().expect("an answer");
    let (key, name) = (made["key"].as_str().expect("a key").to_owned(), id(&made));
    assert!(first_word.contains(&key));
    let (first, bearer) = (format!("Bearer {FIRST}"), format!("Bearer {key}"));

    // Slips with it.
    for slip in
        [bearer[..bearer.len() - 1].to_owned(), format!("Basic {key}"), format!("bearer {FIRST}x")]
    {
        let (status, _) = served.ask(Method::GET, "/jobs", &slip, None).await;
        assert_eq!(status, 401, "{slip}");
    }
    let broken = format!("{{\"key\": \"{key}\", ");
    assert_eq!(served.ask(Method::POST, "/jobs", &bearer, Some(&broken)).await.0, 400);

    // A bucket of somebody's own.
    let bucket =
        json!({"kind": "s3", "access_key_id": "AKIAEXAMPLE", "secret_access_key": OF_BUCKET});
    let (status, connection) =
        served.ask(Method::POST, "/connections", &bearer, Some(&bucket.to_string())).await;
    assert_eq!(status, 201, "{connection}");
    let mut wrong = bucket.clone();
    wrong["region"] = json!("not a region");
    assert_eq!(
        served.ask(Method::POST, "/connections", &bearer, Some(&wrong.to_string())).await.0,
        400
    );
    served.ask(Method::GET, "/connections", &bearer, None).await;
    let exported = json!({
        "kind": "video", "input": "s3://media/in.mp4", "connection_id": id(&connection),
    });
    let (status, _) = served.ask(Method::POST, "/jobs", &bearer, Some(&exported.to_string())).await;
    assert_eq!(status, 201);

    // A job with a signed push and signed links.
    let listen = ["webhooks", "listen", "--port", "0", "--count", "1"];
    let mut receiver = served.desk.start(&listen, &[]);
    let hook = receiver.line().await["listening"].as_str().expect("a URL").to_owned();
    let file = served.desk.input("clip.mp4", "ok").to_owned();
    let submitted =
        served.run(&key, &["submit", &file, "--kind", "video", "--wait", "--webhook", &hook]);
    submitted.assert_well();
    let job = submitted.lines().pop().expect("a line");
    assert_eq!(receiver.line().await["verified"], true);
    let link = job["output"]["url"].as_str().expect("a link").to_owned();
    assert!(link.contains("signature="), "{link}");
    for (url, as_whom, expected) in [
        (link.as_str(), "none", 200),
        (&link[..link.len() - 1], "none", 401),
        (link.split('?').next().expect("a path"), &bearer, 200),
    ] {
        assert_eq!(served.ask(Method::GET, url, as_whom, None).await.0, expected, "{url}");
    }
    for path in ["/keys", "/audit"] {
        assert_eq!(served.ask(Method::GET, path, &first, None).await.0, 200);
    }
    served.ask(Method::GET, "/webhooks/deliveries", &bearer, None).await;
    served.ask(Method::DELETE, &format!("/keys/{name}"), &first, None).await;
    assert_eq!(served.ask(Method::GET, "/jobs", &bearer, None).await.0, 401);

    let kept = format!("sqlite://{}", served.desk.path("data/reelway.db").display());
    let mut reader = sqlx::SqliteConnection::connect(&kept).await.expect("the database");
    let links: String = sqlx::query_scalar("select value from secrets where name = 'links'")
        .fetch_one(&mut reader)
        .await
        .expect("the secret of links");
    reader.close().await.expect("closed");
    let database = database(&served);
    served.server.signal(Signal::TERM);
    assert_eq!(served.server.ended().await, Some(0));
    let log = fs::read(served.desk.path("log")).expect("the log");
    let told = served.told.join("\n").into_bytes();

    // All three were looked at while they were full.
    assert!(holds(&log, "request answered") && holds(&log, "DEBUG"), "the log");
    assert!(holds(&told, &name) && holds(&told, "signature="), "the answers");
    assert!(holds(&database, &Digest::of(&key).to_string()), "the database");
    assert!(holds(&database, "AKIAEXAMPLE"), "the database");
    let signing =
        STANDARD.decode(SECRET.strip_prefix("whsec_").expect("a secret")).expect("base64");
    for secret in [FIRST, &key, OF_BUCKET, SEALING, SECRET, &hex::encode(signing)] {
        for (what, bytes) in [("log", &log), ("answers", &told), ("database", &database)] {
            assert!(!holds(bytes, secret), "{secret} is in the {what}");
        }
    }
    // The secret of links has its one home in the database; a link is a secret to whoever has none.
    for (what, bytes) in [("log", &log), ("answers", &told)] {
        assert!(!holds(bytes, &links), "the secret of links is in the {what}");
    }
    assert!(!holds(&log, "signature="), "a link is in the log");
}
