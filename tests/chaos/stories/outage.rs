//! The database is away for a while, or starts anew.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::time::sleep;

use crate::database::{Cluster, connect};
use crate::fleet::{Launch, ffmpeg_that};
use crate::proxy::Mode;
use crate::source::{SLOW, Source};
use crate::stage::{Stage, submit};
use crate::support::{PATIENCE, client, eventually, say};

/// How long the database may be away without harm.
const OUTAGE: Duration = Duration::from_secs(15);

/// A moment before the next heartbeat: the outage that begins here is the hardest to survive.
const JUST_BEFORE_A_BEAT: Duration = Duration::from_millis(4_600);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_for_15_s_kills_no_work() {
    let Some(stage) = Stage::open().await else { return };
    let mut workers = Vec::new();
    for name in ["first", "second"] {
        workers.push(stage.worker(name).with("REELWAY_KINDS", "image").start().await);
    }
    let slow = ffmpeg_that(stage.folder.path(), "sleep 20");
    let third = stage.worker("third").with("REELWAY_KINDS", "video");
    workers.push(third.with("REELWAY_FFMPEG", &slow).start().await);

    // One that comes to its end while the database is away, and one that goes on through it, of
    // which there is nothing to tell: its worker beats at its slowest.
    let image = json!({"width": 64});
    let ends_within = stage.submit(&stage.source.slow_clip(), "image", image.clone()).await;
    stage.begun(&ends_within).await;
    sleep(SLOW / 2).await;
    let goes_on = stage.submit(&stage.source.slow_clip(), "image", image).await;
    stage.begun(&goes_on).await;
    let encode = stage.submit(&stage.source.clip(1, 0), "video", json!({})).await;
    stage.begun(&encode).await;
    let renewed = stage.renewed(&goes_on).await;
    sleep(JUST_BEFORE_A_BEAT.saturating_sub(renewed.elapsed())).await;
    stage.wire.set(Mode::Hold);
    sleep(OUTAGE).await;
    stage.wire.set(Mode::Pass);

    for (job, what) in
        [(&ends_within, "ended meanwhile"), (&goes_on, "went on"), (&encode, "encoded")]
    {
        let task = stage.ended(job, PATIENCE * 2).await;
        let logs = workers.iter().map(|worker| worker.launch.log()).collect::<Vec<_>>().join("\n");
        assert_eq!((task.state.as_str(), task.attempt), ("succeeded", 1), "{what}:\n{logs}");
    }
    say("an outage of 15 s: three jobs succeeded at their first attempt");
    drop(workers);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_at_once_kills_no_work() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::start(folder.path()).await;
    let server = Launch::server(folder.path(), "server", &cluster.url).start().await;
    let slow = ffmpeg_that(folder.path(), "sleep 12");
    let worker = Launch::worker(folder.path(), "worker", &cluster.url);
    let worker = worker.with("REELWAY_FFMPEG", &slow).start().await;
    let body = json!({"input": source.clip(1, 0), "kind": "video"});
    let job = submit(&server, &body).await;
    let row = async |url: &str| {
        let mut database = connect(url).await.ok()?;
        let text = "select state, attempt from tasks where job_id = $1";
        let row = sqlx::query_as::<_, (String, i64)>(text).bind(&job);
        row.fetch_one(&mut database).await.ok()
    };
    for restart in 0..2 {
        eventually("it is at work", async || {
            row(&cluster.url).await.filter(|(state, _)| restart > 0 || state == "processing")
        })
        .await;
        cluster.restart_immediately().await;
    }
    let end = eventually("the job ends", async || {
        row(&cluster.url).await.filter(|(state, _)| state != "processing")
    })
    .await;
    assert_eq!(end, ("succeeded".to_owned(), 1), "{}", worker.launch.log());
}

/// What a request gets that comes while nothing can be done.
async fn is_asked_to_come_again(answer: reqwest::Response) {
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "5");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["kind"], "server_unavailable", "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_database_cannot_answer_now_is_asked_to_come_again() {
    let Some(stage) = Stage::open().await else { return };
    let by_wire = stage.database.by(stage.wire.address);
    let server = Launch::server(stage.folder.path(), "by-wire", &by_wire);
    let mut server = server.with("REELWAY_DATABASE_CONNECTIONS", "2").start().await;
    let jobs = format!("{}/jobs", server.launch.url());
    let body = json!({"input": stage.source.clip(1, 0), "kind": "image"});
    let send = async || {
        let request = client().post(&jobs).header("idempotency-key", "the-one");
        request.json(&body).send().await.expect("an answer")
    };
    for mode in [Mode::Reset, Mode::Hold] {
        stage.wire.set(mode);
        is_asked_to_come_again(send().await).await;
    }
    stage.wire.set(Mode::Pass);
    eventually("it is taken", async || send().await.status().is_success().then_some(())).await;

    // The database is there, and every connection to it waits.
    let mut other = stage.database.connect().await;
    let mut lock = other.begin().await.expect("a transaction");
    let text = "lock table jobs in access exclusive mode";
    sqlx::query(text).execute(&mut *lock).await.expect("the lock");
    let ask = async |_| {
        let request = client().get(&jobs).timeout(PATIENCE);
        request.send().await.expect("an answer")
    };
    let asked = (0..6).map(ask);
    for answer in join_all(asked).await {
        is_asked_to_come_again(answer).await;
    }
    lock.rollback().await.expect("the end of it");
    let listed = eventually("it goes on", async || {
        let answer = client().get(&jobs).send().await.expect("an answer");
        if answer.status() == 200 { answer.json::<Vec<Value>>().await.ok() } else { None }
    })
    .await;
    assert_eq!(listed.len(), 1, "however often it was sent");
    server.kill().await;
    stage.close().await;
}
