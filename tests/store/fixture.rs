//! Values that stand for what workers and receivers say.

use std::sync::Arc;
use std::time::Duration;

use reelway::clock::Timestamp;
use reelway::id::WorkerId;
use reelway::job::view::JobView;
use reelway::job::{Codecs, File, FileKind, Job, Kind};
use reelway::store::{
    AttemptRecord, Beat, Claim, DueDelivery, EventBody, Lease, Published, Submission,
};
use reelway::task::{ErrorKind, Failure, StageKind, Stages};

use crate::world::NOW;

/// Jobs in one submission, without a key and without a limit.
pub(crate) fn together(jobs: impl Into<Arc<[Job]>>) -> Submission {
    Submission { jobs: jobs.into(), idempotency: None, max_queued: u64::MAX }
}

/// A file that an attempt has put into storage under its own key.
pub(crate) fn made(lease: &Lease, name: &str) -> Published {
    let key = key(lease, name);
    let url = format!("https://media.example.com/files/{key}?sig=1");
    let file = File {
        key,
        kind: FileKind::Video,
        format: "mp4".to_owned(),
        content_type: "video/mp4".to_owned(),
        filesize: 5_000_000_000,
        width: Some(1280),
        height: Some(720),
        duration: Some(2.04),
        fps: Some(29.97),
        bitrate: Some(800_000),
        codecs: Some(Codecs { video: Some("h264".to_owned()), audio: None }),
        sha256: "ab".repeat(32),
        loudness: None,
        delivered_to: None,
        remote_url: None,
    };
    Published { file, url }
}

/// Where an attempt puts a file.
pub(crate) fn key(lease: &Lease, name: &str) -> String {
    format!("{}/{}/{name}", lease.job, lease.attempt)
}

/// An attempt that has come to `percent` of its encode.
pub(crate) fn encoding(percent: f32) -> Stages {
    let mut stages = Stages::default();
    stages.begin(StageKind::Import, NOW);
    stages.begin(StageKind::Encode(Kind::Video), NOW.plus(Duration::from_secs(1)));
    stages.advance(percent);
    stages
}

/// A sign of life of a claim that has come to `percent` of its encode.
pub(crate) fn beat(claim: &Claim, percent: f32) -> Beat {
    let Lease { task, worker, attempt, .. } = claim.lease;
    Beat { task, worker, attempt, stages: encoding(percent) }
}

/// The same lease as if it were another worker's.
pub(crate) fn stolen(lease: &Lease, worker: WorkerId) -> Lease {
    Lease { worker, ..*lease }
}

/// The same lease as if it were another claim's.
pub(crate) fn of_attempt(lease: &Lease, attempt: u32) -> Lease {
    Lease { attempt, ..*lease }
}

/// A failure that a worker may report.
pub(crate) fn broken() -> Failure {
    Failure::new(ErrorKind::InputCorrupt, "the file is media but broken")
        .hint("check that it plays")
        .log(vec!["moov atom not found".to_owned()])
}

/// The job that a delivery tells of.
pub(crate) fn job_of(due: &DueDelivery) -> &JobView {
    match &due.body {
        EventBody::Job(job) => job,
        EventBody::Batch(batch) => panic!("a batch: {batch:?}"),
        EventBody::Condition(told) => panic!("a condition: {told:?}"),
    }
}

/// What a receiver answered.
pub(crate) fn answer(status: u16, at: Timestamp) -> AttemptRecord {
    let response = Some("grüße".to_owned());
    AttemptRecord { at, duration_ms: 12, status: Some(status), error: None, response }
}

/// That no receiver answered.
pub(crate) fn silence(at: Timestamp) -> AttemptRecord {
    let error = Some("timeout".to_owned());
    AttemptRecord { at, duration_ms: 15_000, status: None, error, response: None }
}
