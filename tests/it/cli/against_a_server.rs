//! The commands that talk to a server, and a server for them to talk to.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::typed::{Desk, Running, Said};

const KEY: &str = "a-key-of-the-test";

/// A running `reelway serve`, and a person who knows its key.
struct Served {
    desk: Desk,
    url: String,
    _server: Running,
}

impl Served {
    async fn start() -> Self {
        let desk = Desk::new();
        let env = [("REELWAY_API_KEY", KEY), ("REELWAY_SLOTS", "1")];
        let mut server = desk.start(&["serve", "--port", "0"], &env);
        let url = server.line().await["listening"].as_str().expect("a URL").to_owned();
        Self { desk, url, _server: server }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let env = [("REELWAY_SERVER", self.url.as_str()), ("REELWAY_API_KEY", KEY)];
        self.desk.run_with(arguments, &env)
    }

    /// Submits a shared file that orders something and waits for its end.
    fn submit_and_wait(&self, name: &str, order: &str, more: &[&str]) -> Said {
        let file = self.desk.input(name, order);
        self.run(&[&["submit", file, "--kind", "video", "--wait"], more].concat())
    }
}

fn id(job: &Value) -> String {
    job["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_local_file_is_submitted_shared_followed_and_shown() {
    let served = Served::start().await;
    let said = served.submit_and_wait("clip.mp4", "ok", &["--metadata", r#"{"user": 7}"#]);
    said.assert_well();
    let told = said.lines();
    let last = told.last().expect("a line");
    assert_eq!((&last["status"], &last["metadata"]), (&json!("succeeded"), &json!({"user": 7})));
    let shown = served.run(&["jobs", &id(last)]).line();
    assert_eq!((&shown["id"], &shown["status"]), (&last["id"], &json!("succeeded")));
    assert_eq!(served.run(&["jobs", "--status", "succeeded"]).lines().len(), 1);
    assert_eq!(served.run(&["jobs", "--status", "failed"]).lines().len(), 0);
    let words = served.run(&["jobs", "--human"]);
    assert!(words.out.contains("succeeded") && !words.out.contains('{'), "{words:?}");
    let watched = served.run(&["watch", &id(last)]);
    watched.assert_well();
    assert_eq!(watched.line()["status"], "succeeded");
}

#[tokio::test]
async fn a_job_that_fails_fails_the_command_that_waited_for_it() {
    let served = Served::start().await;
    let said = served.submit_and_wait("clip.mp4", "refuse", &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("failed: ffmpeg failed"), "{said:?}");
    let last = said.lines().pop().expect("a line");
    let id = id(&last);
    assert_eq!(served.run(&["watch", &id]).code, Some(1));
    let again = served.run(&["retry", &id]);
    again.assert_well();
    assert_eq!(again.line()["status"], "queued");
}

#[tokio::test]
async fn a_job_is_cancelled_and_cannot_be_cancelled_into_success() {
    let served = Served::start().await;
    let file = served.desk.input("clip.mp4", "busy");
    let mut sharing = served.desk.start(&["share", file], &[]);
    let url = sharing.line().await["url"].as_str().expect("a URL").to_owned();
    let accepted = served.run(&["submit", &url, "--kind", "video"]);
    accepted.assert_well();
    let job = id(&accepted.line());
    let cancelled = served.run(&["cancel", &job]);
    cancelled.assert_well();
    assert_eq!(served.run(&["watch", &job]).code, Some(1), "it has not succeeded");
    assert_eq!(served.run(&["jobs", &job]).line()["status"], "cancelled");
    let unknown = "job_01h2xcejqtf2nbrexx3vqjhp41";
    let both = served.run(&["retry", &job, unknown]);
    assert_eq!(both.code, Some(1), "{both:?}");
    assert!(both.err.contains("1 of 2 jobs refused") && both.err.contains(unknown), "{both:?}");
    assert_eq!(both.line()["status"], "queued", "the other one was asked all the same");
}

#[tokio::test]
async fn several_jobs_of_one_input_are_submitted_at_once() {
    let served = Served::start().await;
    let file = served.desk.input("clip.mp4", "ok");
    let tasks = r#"[{"kind": "video"}, {"kind": "image", "options": {"format": "webp"}}]"#;
    let said = served.run(&["submit", file, "--tasks", tasks, "--wait"]);
    said.assert_well();
    let ended = said.lines().into_iter().filter(|job| job["status"] == "succeeded");
    assert_eq!(ended.count(), 2, "{said:?}");
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_one_job() {
    let served = Served::start().await;
    let submit = ["submit", "https://a.example/b.mp4", "--kind", "video"];
    let submit = [submit.as_slice(), &["--idempotency-key", "order-1"]].concat();
    let (first, again) = (served.run(&submit).line(), served.run(&submit).line());
    assert_eq!(first["id"], again["id"]);
}

#[tokio::test]
async fn the_delivery_log_is_shown_and_a_delivery_is_replayed() {
    let served = Served::start().await;
    let listen = ["webhooks", "listen", "--port", "0", "--count", "2"];
    let mut receiver = served.desk.start(&listen, &[]);
    let hook = receiver.line().await["listening"].as_str().expect("a URL").to_owned();
    let said = served.submit_and_wait("clip.mp4", "ok", &["--webhook", &hook]);
    let job = id(said.lines().last().expect("a line"));
    let first = receiver.line().await;
    assert_eq!((&first["verified"], &first["body"]["id"]), (&json!(true), &json!(job)));

    let listed = served.run(&["webhooks", "deliveries", "--job", &job]);
    let delivery = listed.line();
    assert_eq!(delivery["type"], "job.succeeded");
    let replayed = served.run(&["webhooks", "replay", &id(&delivery)]);
    replayed.assert_well();
    let second = receiver.line().await;
    assert_eq!(second["headers"]["webhook-id"], first["headers"]["webhook-id"]);
    assert_eq!(second["headers"]["webhook-attempt"], "2");
    assert_eq!(receiver.ended().await, Some(0));
    let all = served.run(&["webhooks", "replay", "--failed-since", "2h"]);
    assert_eq!(all.line(), json!({"replayed": 0}));
}

#[tokio::test]
async fn what_the_server_refuses_is_told_in_its_own_words() {
    let served = Served::start().await;
    let env = [("REELWAY_SERVER", served.url.as_str())];
    let nobody = served.desk.run_with(&["jobs"], &env);
    nobody.assert_refused(1, &["401 token_missing", "hint: ", "--key or REELWAY_API_KEY"]);
    let stranger = served.desk.run_with(&["jobs", "--key", "wrong"], &env);
    stranger.assert_refused(1, &["401 token_invalid"]);
    let wrong = ["submit", "https://a.example/b", "--kind", "video", "--quality", "best"];
    served.run(&wrong).assert_refused(1, &["400 invalid_option", "options.quality", "very_high"]);
    let unknown = served.run(&["jobs", "job_01h2xcejqtf2nbrexx3vqjhp41"]);
    unknown.assert_refused(1, &["404 job_not_found"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let said = Desk::new().run(&["jobs", "--server", &url]);
    said.assert_refused(1, &["cannot reach the server", "refused", "hint: ", "reelway serve"]);
}
