//! Whoever runs the server is told of what needs a person, once.

use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use rustix::process::Signal;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::harness::{Receiver, Server, Source, eventually, short_clip};

/// More than any disk has.
const MORE: &str = "8000PB";

/// How many conditions are known to be wrong just now.
async fn conditions(data_dir: &Path) -> i64 {
    let path = data_dir.join("reelway.db");
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await.expect("the database");
    sqlx::query_scalar("select count(*) from conditions").fetch_one(&mut conn).await.expect("rows")
}

#[tokio::test]
async fn a_low_disk_is_told_of_once_until_there_was_room() {
    let operator = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let start = async |least: &str| {
        let env = [("REELWAY_OPERATIONS_URL", &*operator.url), ("REELWAY_MIN_FREE_DISK", least)];
        Server::start_with(data_dir.path(), &env).await
    };
    let server = start(MORE).await;
    let first = operator.next().await;
    assert!(first.is_verified());
    assert_eq!((&first.body["type"], &first.body["seq"]), (&json!("disk.low"), &json!(0)));
    let data = &first.body["data"];
    assert!(data["free_bytes"].as_u64() < data["min_free_bytes"].as_u64(), "{data}");
    assert_eq!(data["folder"].as_str(), data_dir.path().to_str());
    assert_eq!(data["page"], format!("{}/ui/system", server.url));
    assert!(data["hint"].as_str().is_some_and(|hint| hint.contains("REELWAY_KEEP_OUTPUTS")));
    let log = server.get("/webhooks/deliveries?operations=true").await;
    assert_eq!((&log[0]["type"], &log[0]["job_id"]), (&json!("disk.low"), &json!(null)));
    assert_eq!(server.get("/webhooks/deliveries").await, json!([]), "it is of no project");
    server.kill().await;

    let server = start(MORE).await;
    assert!(operator.is_quiet_for(Duration::from_secs(3)).await, "it is low as it was");
    server.kill().await;

    let server = start("1").await;
    let dir = data_dir.path();
    eventually("it is well", async || (conditions(dir).await == 0).then_some(())).await;
    server.kill().await;

    let server = start(MORE).await;
    let second = operator.next().await;
    assert_eq!(second.body["type"], "disk.low");
    assert_ne!(second.id(), first.id(), "low again is news");
    server.kill().await;
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_is_told_of_and_an_operator_who_wants_no_more_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let (operator, receiver) = (Receiver::start().await, Receiver::start().await);
    receiver.answer(StatusCode::GONE);
    let data_dir = tempfile::tempdir().expect("a folder");
    let env = [("REELWAY_OPERATIONS_URL", &*operator.url)];
    let server = Server::start_with(data_dir.path(), &env).await;
    let disable = async |query: &str| {
        let url = format!("{}{query}", receiver.url);
        let body = json!({"input": source.url, "kind": "image", "webhook_url": url});
        server.post("/jobs", &body).await;
        receiver.next().await
    };
    disable("?token=secret").await;
    let push = operator.next().await;
    assert!(push.is_verified());
    assert_eq!(push.body["type"], "endpoint.disabled");
    let data = &push.body["data"];
    assert_eq!(data["endpoint_url"], *receiver.url, "without what is secret of it");
    assert_eq!((&data["status"], &data["held"]), (&json!(410), &json!(1)));
    assert_eq!(data["page"], format!("{}/ui/webhooks", server.url));

    operator.answer(StatusCode::GONE);
    let replayed = server.post("/webhooks/deliveries/replay", &json!({"since": 0})).await;
    assert_eq!(replayed["replayed"], 1);
    receiver.next().await;
    assert_eq!(operator.next().await.body["type"], "endpoint.disabled", "it was mended, and died");
    assert!(operator.is_quiet_for(Duration::from_secs(3)).await, "nobody is told of the operator");
    let log = server.get("/webhooks/deliveries?operations=true").await;
    let states: Vec<_> = log.as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["held", "delivered"]);
    server.signal(Signal::TERM);
    assert!(server.ended().await);
}

#[tokio::test]
async fn an_operator_in_a_private_network_is_reached_only_where_that_is_allowed() {
    let operator = Receiver::start().await;
    let data_dir = tempfile::tempdir().expect("a folder");
    let env = [
        ("REELWAY_OPERATIONS_URL", &*operator.url),
        ("REELWAY_MIN_FREE_DISK", MORE),
        ("REELWAY_ALLOW_NETWORKS", ""),
    ];
    let server = Server::start_with(data_dir.path(), &env).await;
    let log = eventually("it was tried", async || {
        let log = server.get("/webhooks/deliveries?operations=true").await;
        (log[0]["attempts"][0] != json!(null)).then_some(log)
    })
    .await;
    assert_eq!(log[0]["attempts"][0]["error"], "blocked_address");
    assert!(operator.is_quiet_for(Duration::from_millis(500)).await);
    server.kill().await;
}
