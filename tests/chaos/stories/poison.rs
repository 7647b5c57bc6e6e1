//! A job that kills whoever works on it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::fleet::{Process, ffmpeg_that};
use crate::stage::Stage;
use crate::support::{eventually, processes_of, say};

/// The bit rate by which the poisonous job is known.
const POISON: u32 = 33_111;

/// How often another job comes.
const PACE: Duration = Duration::from_millis(1_500);

/// How many others come before the poison.
const BEFORE: usize = 8;

/// By how much the others' middle wait may be longer with a killer about, on a busy machine.
const SLACK_SECS: f64 = 2.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_failed_after_three_and_the_others_do_not_wait() {
    let Some(stage) = Stage::open().await else { return };
    // It cannot kill its worker itself: the sandbox keeps its signals inside.
    let wait = format!("case \" $* \" in *\" {POISON} \"*) while :; do sleep 1; done;; esac");
    let ffmpeg = ffmpeg_that(stage.folder.path(), &wait);
    let mut workers = Vec::new();
    for name in ["first", "second"] {
        workers.push(stage.worker(name).with("REELWAY_FFMPEG", &ffmpeg).start().await);
    }

    // The others come at their own pace, whatever happens.
    let (over, begins) = (CancellationToken::new(), Notify::new());
    let (others, ()) = tokio::join!(others(&stage, &begins, &over), async {
        begins.notified().await;
        let clip = stage.source.clip(1, 0);
        let options = json!({"format": "mp3", "bitrate": POISON});
        let poison = stage.submit(&clip, "audio", options).await;
        let kills = kill_until_it_ends(&stage, &mut workers, &poison).await;
        let end = stage.task(&poison).await;
        assert_eq!((end.state.as_str(), end.attempt, kills), ("failed", 3, 3));
        assert_eq!(error_of(&stage, &poison).await, "poison");
        over.cancel();
    });

    for job in &others {
        let task = stage.ended(job, Duration::from_mins(2)).await;
        assert_eq!(task.state, "succeeded", "{job} has done nothing");
    }
    let (before, with_it) = others.split_at(BEFORE);
    let counts = (before.len(), with_it.len());
    let (before, with_it) = (middle_wait(&stage, before).await, middle_wait(&stage, with_it).await);
    say(&format!(
        "poison: failed after 3 workers; the others waited {before:.2} s before it and \
         {with_it:.2} s with it about (medians of {} and {})",
        counts.0, counts.1
    ));
    assert!(with_it <= before + SLACK_SECS, "{with_it} s with it, {before} s before");
    drop(workers);
    stage.close().await;
}

/// Submits the others; tells when there have been enough to know how long they wait.
async fn others(stage: &Stage, enough: &Notify, over: &CancellationToken) -> Vec<String> {
    let mut others = Vec::new();
    let mut ticks = interval(PACE);
    while !over.is_cancelled() {
        ticks.tick().await;
        if others.len() == BEFORE {
            enough.notify_one();
        }
        others.push(other(stage, others.len() as u32).await);
    }
    others
}

/// Kills every worker that has the job, and brings it back; returns how many there were when it has ended.
async fn kill_until_it_ends(stage: &Stage, workers: &mut [Process], poison: &str) -> usize {
    let (begun, mut kills) = (Instant::now(), 0);
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let task = stage.task(poison).await;
        if !matches!(task.state.as_str(), "queued" | "processing") {
            return kills;
        }
        kill_who_works_on_it(stage, workers).await;
        let killed = bring_back(workers).await;
        kills += killed;
        if killed > 0 {
            // The time until it is tried again passes at once; that of the others does not.
            pass_time(stage, poison).await;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{task:?} after {kills} kills");
    }
}

async fn other(stage: &Stage, number: u32) -> String {
    stage.submit(&stage.source.clip(1, number), "image", json!({"width": 64})).await
}

/// What the poison does: the worker whose ffmpeg has it is gone.
async fn kill_who_works_on_it(stage: &Stage, workers: &mut [Process]) {
    let poison = format!(" {POISON} ");
    let running = processes_of(stage.folder.path());
    let at_work = running.iter().filter(|process| process.command.contains(&poison));
    let parents: Vec<u32> = at_work.filter_map(|process| parent_of(process.pid)).collect();
    for worker in workers {
        if worker.pid().is_some_and(|pid| parents.contains(&pid)) {
            worker.kill().await;
        }
    }
}

/// The parent of a process that has not ended.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; state and parent follow it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Starts the workers that were killed again; returns how many.
async fn bring_back(workers: &mut [Process]) -> usize {
    let mut killed = 0;
    for worker in workers {
        if !worker.lives() {
            killed += 1;
            *worker = worker.launch.start().await;
        }
    }
    killed
}

/// The job's lease has run out, it has been found, and its time has come again.
async fn pass_time(stage: &Stage, job: &str) {
    let mut database = stage.database.connect().await;
    let text = "update tasks set lease_until = 0 where job_id = $1 and state = 'processing'";
    sqlx::query(text).bind(job).execute(&mut database).await.expect("its lease runs out");
    eventually("it is found", async || {
        Some(stage.task(job).await).filter(|task| task.state != "processing")
    })
    .await;
    let text = "update tasks set run_at = 0 where job_id = $1 and state = 'queued'";
    sqlx::query(text).bind(job).execute(&mut database).await.expect("its time comes");
}

async fn error_of(stage: &Stage, job: &str) -> String {
    let text = "select failure::json ->> 'kind' from jobs where id = $1";
    let mut database = stage.database.connect().await;
    sqlx::query_scalar(text).bind(job).fetch_one(&mut database).await.expect("a failure")
}

/// The median time from acceptance to the end, in seconds.
async fn middle_wait(stage: &Stage, jobs: &[String]) -> f64 {
    let text = "
        select percentile_disc(0.5) within group (order by finished_at - created_at)
        from jobs
        where id = any($1)
        ";
    let mut database = stage.database.connect().await;
    let millis: i64 =
        sqlx::query_scalar(text).bind(jobs).fetch_one(&mut database).await.expect("times");
    millis as f64 / 1000.0
}
