//! What Prometheus sees of a server at work.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use reelway::metrics::TABLE;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::harness::{Receiver, Server, Source, client, eventually, is_here, short_clip};

async fn scrape(server: &Server) -> String {
    let answer = client().get(format!("{}/metrics", server.url)).send().await.expect("an answer");
    assert!(answer.status().is_success());
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.expect("text")
}

/// The value of the one series of this name and these labels.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

#[tokio::test]
async fn a_job_is_seen_in_every_metric_of_its_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;
    let tasks = json!([{"kind": "video", "options": {"width": 160}}, {"kind": "image"}]);
    let good = json!({"url": source.url, "tasks": tasks, "webhook_url": receiver.url});
    server.post("/process", &good).await;
    let (origin, _) = source.url.rsplit_once('/').expect("a path");
    let missing = json!({"input": format!("{origin}/nothing.mp4"), "kind": "audio"});
    let missing = server.post("/jobs", &missing).await;
    let id = missing["id"].as_str().expect("an id");
    server.job_when(id, |job| job["finished_at"].is_number()).await;
    for _ in 0..3 {
        receiver.next().await;
    }

    let page = eventually("the last webhook is counted", async || {
        let page = scrape(&server).await;
        let sent = "reelway_webhook_attempts_total{outcome=\"delivered\",answer=\"2xx\"}";
        (value(&page, sent) == Some(3.0)).then_some(page)
    })
    .await;
    let said: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let listed: BTreeSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
    let unseen: Vec<_> = listed.difference(&said).collect();
    assert!(unseen.is_empty(), "not seen: {unseen:?}\n{page}");
    let unlisted: Vec<_> = said.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not in the table: {unlisted:?}");

    for (series, expected) in [
        ("reelway_claims_total{lane=\"light\",kind=\"image\"}", 1.0),
        ("reelway_attempts_total{kind=\"video\",outcome=\"succeeded\"}", 1.0),
        ("reelway_input_uses_total{cache=\"hit\"}", 1.0),
        ("reelway_stage_seconds_count{stage=\"export\"}", 2.0),
        ("reelway_encode_speed_ratio_count{kind=\"video\"}", 1.0),
        ("reelway_tasks_queued{lane=\"heavy\",kind=\"video\"}", 0.0),
        ("reelway_sandbox_level", 2.0),
        ("reelway_database_up", 1.0),
        ("reelway_leases_lost_total", 0.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    assert!(value(&page, "reelway_disk_free_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(!page.contains(id), "no label has an id");
    promtool_takes(&page).await;
}

#[expect(clippy::disallowed_methods, reason = "the test starts Prometheus' tool")]
async fn promtool_takes(page: &str) {
    let tool =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/prometheus/usr/bin/promtool");
    if !is_here("promtool", tool.is_file()) {
        return;
    }
    let mut child = Command::new(tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(page.as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.trim().is_empty(), "{words}");
}

#[tokio::test]
async fn metrics_ask_for_a_key_where_the_server_has_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "a-key-of-the-test";
    let server = Server::start_with(folder.path(), &[("REELWAY_API_KEY", key)]).await;
    let ask = || client().get(format!("{}/metrics", server.url));
    assert_eq!(ask().send().await.expect("an answer").status(), 401);
    let answer = ask().bearer_auth(key).send().await.expect("an answer");
    assert!(answer.text().await.expect("text").contains("reelway_build_info{"));
}
