//! The pipeline's own table, as its users ask for it.

use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::job::Job;
use reelway::store::Settled;

use crate::backend::MediaJob;
use crate::fixture::{encoding, made};
use crate::world::World;

fn row(job: &Job, status: &str, output_url: Option<&str>, ended: Option<Timestamp>) -> MediaJob {
    MediaJob {
        id: job.id.to_string(),
        task_id: job.id.to_string(),
        input_url: job.spec.input.to_string(),
        status: status.to_owned(),
        output_url: output_url.map(str::to_owned),
        created_at: job.created_at,
        completed_at: ended,
    }
}

pub(crate) async fn the_pipelines_table_has_a_row_for_each_job(world: World) {
    let claim = world.job().input("https://cdn.example.com/1.mp4?a=ü").running().await;
    let outputs = ["video.mp4", "poster.webp"].map(|name| made(&claim.lease, name));
    world.pass(Duration::from_millis(1_234));
    let url = outputs[0].url.clone();
    let settled = world.store.finish(&claim.lease, encoding(1.0), outputs.to_vec()).await;
    assert_eq!(settled.expect("an answer"), Settled::Done);
    let succeeded = world.read(claim.lease.job).await;
    let succeeded_at = world.now();
    let failed = world.job().failed().await;
    let failed_at = world.now();
    let hidden = world.job().succeeded().await;
    world.delete(hidden.id).await;
    let cancelled = world.job().cancelled().await;
    let cancelled_at = world.now();
    let running = world.job().running().await.job;
    let queued = world.job().submit().await;
    assert_eq!(
        world.database.query_media_jobs().await,
        [
            row(&succeeded, "succeeded", Some(&url), Some(succeeded_at)),
            row(&failed, "failed", None, Some(failed_at)),
            row(&cancelled, "cancelled", None, Some(cancelled_at)),
            row(&running, "processing", None, None),
            row(&queued, "queued", None, None),
        ]
    );
}

pub(crate) async fn the_pipelines_table_is_there_before_the_first_job(world: World) {
    assert_eq!(world.database.query_media_jobs().await, []);
}

/// Milliseconds are kept, at every point of a second.
pub(crate) async fn the_pipelines_times_are_those_of_the_jobs(world: World) {
    let mut created = Vec::new();
    for step in [0, 1, 9, 90, 499, 501, 999, 86_400_000] {
        world.pass(Duration::from_millis(step));
        created.push(world.job().submit().await.created_at);
    }
    let rows = world.database.query_media_jobs().await;
    assert_eq!(rows.iter().map(|row| row.created_at).collect::<Vec<_>>(), created);
}
