//! The database is away for a while, or starts anew.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::database::{Cluster, connect};
use crate::fleet::{Launch, ffmpeg_that};
use crate::proxy::Mode;
use crate::source::{SLOW, Source};
use crate::stage::{Stage, submit};
use crate::support::{PATIENCE, eventually, say};

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
