//! `reelway webhooks listen` and `reelway share`.

use reelway::clock::{Clock as _, SystemClock};
use rustix::process::Signal;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::typed::{Desk, Running, SECRET};

const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A plain client for talking to our own processes.
#[expect(clippy::disallowed_methods, reason = "the test talks to a process on loopback")]
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

async fn listening(running: &mut Running) -> String {
    running.line().await["listening"].as_str().expect("a URL").to_owned()
}

/// Posts an event signed with `secret`, as sent `secs_ago`; returns the receiver's answer.
async fn push(url: &str, secret: &str, secs_ago: i64) -> u16 {
    let body = json!({"type": "job.succeeded", "id": "job_1"}).to_string();
    let timestamp = SystemClock.now().secs() - secs_ago;
    let webhook = Webhook::new(secret).expect("a secret");
    let signature = webhook.sign("evt_1", timestamp, body.as_bytes()).expect("a signature");
    let request = http()
        .post(format!("{url}/anywhere"))
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(body);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_right_signature_is_verified_and_a_wrong_or_an_old_one_is_refused() {
    let desk = Desk::new();
    let arguments = ["webhooks", "listen", "--port", "0", "--count", "3"];
    let mut running = desk.start(&arguments, &[]);
    let url = listening(&mut running).await;
    assert_eq!(push(&url, SECRET, 0).await, 200);
    assert_eq!(push(&url, OTHER, 0).await, 401, "as a receiver should answer");
    assert_eq!(push(&url, SECRET, 600).await, 401, "a signature of ten minutes ago is replayed");
    let (right, wrong, old) = (running.line().await, running.line().await, running.line().await);
    assert_eq!((&right["verified"], &right["body"]["id"]), (&json!(true), &json!("job_1")));
    for (line, words) in [(&wrong, "compare the secrets"), (&old, "clock")] {
        assert_eq!(line["verified"], json!(false));
        assert!(line["reason"].as_str().expect("a reason").contains(words), "{line}");
    }
    assert_eq!(running.ended().await, Some(0));
}

#[tokio::test]
async fn without_a_secret_nothing_is_claimed_to_be_verified() {
    let desk = Desk::new();
    let arguments = ["webhooks", "listen", "--port", "0", "--count", "1"];
    let mut running = desk.start(&arguments, &[("REELWAY_WEBHOOK_SECRET", "")]);
    let url = listening(&mut running).await;
    assert_eq!(push(&url, OTHER, 0).await, 200);
    assert_eq!(running.line().await["verified"], Value::Null);
    assert_eq!(running.ended().await, Some(0));
}

#[tokio::test]
async fn the_answer_is_what_was_asked_for_and_ctrl_c_ends_it_well() {
    let desk = Desk::new();
    let mut running = desk.start(&["webhooks", "listen", "--port", "0", "--answer", "503"], &[]);
    let url = listening(&mut running).await;
    assert_eq!(push(&url, SECRET, 0).await, 503);
    assert_eq!(running.line().await["verified"], json!(true));
    running.signal(Signal::INT);
    assert_eq!(running.ended().await, Some(0));
}

#[test]
fn events_that_do_not_come_in_time_are_a_failure() {
    let desk = Desk::new();
    let arguments = ["webhooks", "listen", "--port", "0", "--count", "1", "--timeout", "1"];
    let said = desk.run(&arguments);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("0 of 1 events came in 1 s"), "{said:?}");
}

#[test]
fn a_secret_that_is_none_is_refused_at_once() {
    let desk = Desk::new();
    let said = desk.run(&["webhooks", "listen", "--port", "0", "--secret", "whsec_no"]);
    said.assert_refused(2, &["a webhook secret cannot be used", "base64", "hint: "]);
}

#[tokio::test]
async fn a_shared_file_has_a_url_with_ranges_until_ctrl_c() {
    let desk = Desk::new();
    let clip = desk.input("clip.mp4", "ok");
    let mut running = desk.start(&["share", clip], &[]);
    let url = running.line().await["url"].as_str().expect("a URL").to_owned();
    let whole = http().get(&url).send().await.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(whole, std::fs::read(desk.path(clip)).expect("the file"));
    let part = http().get(&url).header("range", "bytes=4-7").send().await.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.expect("bytes"), "ftyp");
    let port = url.split('/').nth(2).expect("a port");
    let other = http().get(format!("http://{port}/clip.mp4")).send().await.expect("an answer");
    assert_eq!(other.status(), 404, "nothing else is served");
    running.signal(Signal::INT);
    assert_eq!(running.ended().await, Some(0));
}

#[test]
fn what_is_no_file_is_not_shared() {
    let desk = Desk::new();
    desk.run(&["share", "missing.mp4"]).assert_refused(1, &["cannot read missing.mp4"]);
    desk.run(&["share", "."]).assert_refused(2, &["is not a file"]);
}
