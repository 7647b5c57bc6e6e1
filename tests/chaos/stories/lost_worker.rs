//! A worker dies, or stands still as if it had.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::fleet::{Process, ffmpeg_that};
use crate::stage::Stage;
use crate::support::{eventually, eventually_within, processes_of, say};

/// How soon a lost task must be at work elsewhere.
const PROMISED: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_dead_or_frozen_worker_is_at_work_elsewhere_within_45_s() {
    let Some(stage) = Stage::open().await else { return };
    let slow = ffmpeg_that(stage.folder.path(), "sleep 50");
    let worker = |name| stage.worker(name).with("REELWAY_FFMPEG", &slow);
    let video = async || stage.submit(&stage.source.clip(1, 0), "video", json!({})).await;
    let mut dead = worker("dead").start().await;
    let first = video().await;
    stage.begun(&first).await;
    let mut frozen = worker("frozen").start().await;
    let second = video().await;
    let before = stage.begun(&second).await;
    let mut other = worker("other").with("REELWAY_SLOTS", "2").start().await;
    eventually("the second one's ffmpeg runs", async || has_ffmpeg(&frozen).then_some(())).await;

    let lost_at = Instant::now();
    dead.kill().await;
    frozen.signal(Signal::STOP);
    for (job, what) in [(&first, "kill -9"), (&second, "SIGSTOP")] {
        let what = format!("the task of a worker after {what} is at work elsewhere");
        eventually_within(PROMISED, &what, async || {
            let task = stage.task(job).await;
            (task.state == "processing" && task.attempt == 2).then_some(())
        })
        .await;
        say(&format!("{what}: {:.1} s", lost_at.elapsed().as_secs_f64()));
    }

    // The one that wakes up changes nothing, and lets go.
    assert!(has_ffmpeg(&frozen), "it has something to let go of");
    frozen.signal(Signal::CONT);
    eventually("the woken one's ffmpeg has ended", async || (!has_ffmpeg(&frozen)).then_some(()))
        .await;
    let after = stage.task(&second).await;
    assert_eq!((after.state.as_str(), after.attempt), ("processing", 2));
    assert_ne!(after.lease_owner, before.lease_owner);
    assert!(frozen.lives() && frozen.end().await, "it goes on as if nothing had been");
    other.kill().await;
    stage.close().await;
}

fn has_ffmpeg(worker: &Process) -> bool {
    let running = processes_of(&worker.launch.data_dir());
    running.iter().any(|running| Some(running.pid) != worker.pid())
}
