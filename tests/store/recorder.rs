//! A store that writes down which of its verbs were used.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reelway::access::{AuditEntry, By, Key, Project};
use reelway::clock::Timestamp;
use reelway::connection::Connection;
use reelway::id::{
    AuditId, BatchId, ConnectionId, DeliveryId, JobId, KeyId, TaskId, UploadId, WorkerId,
};
use reelway::job::{Batch, Counts, File, Job, Piece, PieceFile};
use reelway::store::{
    AppendUpload, Appended, Asked, Attempt, Backlog, BatchFilter, BatchPage, Beat, BeatReply,
    CancelOutcome, Claim, DeletedJob, Delivery, DeliveryFilter, Destination, Disk, DueDelivery,
    Garbage, HandOver, Heard, Hints, Idempotency, JobFilter, JobPage, Lease, Newest, Overdue, Page,
    PieceClaim, PieceLease, PieceSeen, Pressure, Published, Rescued, Room, SettleDelivery, Settled,
    Store, StoreResult, Submission, Submitted, Upload, UploadPart, Usage, Want, Word, WorkerReport,
    WorkerSeen,
};
use reelway::task::{Failure, Next, RetryPolicy, Stages};

/// The trait as it is written: the one list of verbs that cannot be out of date.
const SOURCE: &str = include_str!("../../src/store/mod.rs");

/// The verbs that were used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verbs(Arc<Mutex<BTreeSet<&'static str>>>);

impl Verbs {
    fn note(&self, verb: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(verb);
    }

    /// The verbs that were used so far.
    pub(crate) fn used(&self) -> BTreeSet<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The verbs that the trait has.
    pub(crate) fn of_the_trait() -> BTreeSet<&'static str> {
        let (_, store) = SOURCE.split_once("pub trait Store").expect("the trait");
        let (body, _) = store.split_once("\n}").expect("its end");
        body.lines().filter_map(verb).collect()
    }
}

/// The verb that a line declares, if it does.
fn verb(line: &'static str) -> Option<&'static str> {
    let line = line.trim_start();
    let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
    rest.split_once('(').map(|(name, _)| name)
}

/// Hands every verb on and notes its name.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) verbs: Verbs,
}

#[async_trait]
impl Store for Recorder {
    async fn submit(&self, submission: Submission) -> StoreResult<Submitted> {
        self.verbs.note("submit");
        self.store.submit(submission).await
    }

    async fn job(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.verbs.note("job");
        self.store.job(project, id).await
    }

    async fn task(&self, project: &Project, id: TaskId) -> StoreResult<Option<Job>> {
        self.verbs.note("task");
        self.store.task(project, id).await
    }

    async fn jobs(&self, project: &Project, filter: &JobFilter) -> StoreResult<JobPage> {
        self.verbs.note("jobs");
        self.store.jobs(project, filter).await
    }

    async fn batch(&self, project: &Project, id: BatchId) -> StoreResult<Option<Batch>> {
        self.verbs.note("batch");
        self.store.batch(project, id).await
    }

    async fn batches(&self, project: &Project, filter: &BatchFilter) -> StoreResult<BatchPage> {
        self.verbs.note("batches");
        self.store.batches(project, filter).await
    }

    async fn cancel(&self, project: &Project, id: JobId) -> StoreResult<CancelOutcome> {
        self.verbs.note("cancel");
        self.store.cancel(project, id).await
    }

    async fn retry(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.verbs.note("retry");
        self.store.retry(project, id).await
    }

    async fn delete(&self, project: &Project, id: JobId) -> StoreResult<Option<DeletedJob>> {
        self.verbs.note("delete");
        self.store.delete(project, id).await
    }

    async fn pressure(&self) -> StoreResult<Pressure> {
        self.verbs.note("pressure");
        self.store.pressure().await
    }

    async fn backlog(&self) -> StoreResult<Backlog> {
        self.verbs.note("backlog");
        self.store.backlog().await
    }

    async fn add_key(
        &self,
        key: &Key,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.verbs.note("add_key");
        self.store.add_key(key, by, idempotency).await
    }

    async fn key(&self, id: KeyId) -> StoreResult<Option<Key>> {
        self.verbs.note("key");
        self.store.key(id).await
    }

    async fn keys(&self, which: &Newest<KeyId>) -> StoreResult<Page<Key>> {
        self.verbs.note("keys");
        self.store.keys(which).await
    }

    async fn revoke_key(&self, id: KeyId, by: &By) -> StoreResult<Option<Key>> {
        self.verbs.note("revoke_key");
        self.store.revoke_key(id, by).await
    }

    async fn note_key_use(&self, id: KeyId) -> StoreResult<()> {
        self.verbs.note("note_key_use");
        self.store.note_key_use(id).await
    }

    async fn audit(&self, which: &Newest<AuditId>) -> StoreResult<Page<AuditEntry>> {
        self.verbs.note("audit");
        self.store.audit(which).await
    }

    async fn add_connection(
        &self,
        connection: &Connection,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.verbs.note("add_connection");
        self.store.add_connection(connection, by, idempotency).await
    }

    async fn connections(
        &self,
        project: &Project,
        which: &Newest<ConnectionId>,
    ) -> StoreResult<Page<Connection>> {
        self.verbs.note("connections");
        self.store.connections(project, which).await
    }

    async fn connection(
        &self,
        project: &Project,
        id: ConnectionId,
    ) -> StoreResult<Option<Connection>> {
        self.verbs.note("connection");
        self.store.connection(project, id).await
    }

    async fn delete_connection(
        &self,
        project: &Project,
        id: ConnectionId,
        by: &By,
    ) -> StoreResult<bool> {
        self.verbs.note("delete_connection");
        self.store.delete_connection(project, id, by).await
    }

    async fn begin_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.verbs.note("begin_upload");
        self.store.begin_upload(upload).await
    }

    async fn upload(&self, project: &Project, id: UploadId) -> StoreResult<Option<Upload>> {
        self.verbs.note("upload");
        self.store.upload(project, id).await
    }

    async fn upload_parts(&self, upload: &Upload) -> StoreResult<Vec<UploadPart>> {
        self.verbs.note("upload_parts");
        self.store.upload_parts(upload).await
    }

    async fn append_upload(&self, append: &AppendUpload) -> StoreResult<Appended> {
        self.verbs.note("append_upload");
        self.store.append_upload(append).await
    }

    async fn use_upload(
        &self,
        project: &Project,
        id: UploadId,
        keep: Duration,
    ) -> StoreResult<Option<Upload>> {
        self.verbs.note("use_upload");
        self.store.use_upload(project, id, keep).await
    }

    async fn remove_upload(&self, project: &Project, id: UploadId) -> StoreResult<bool> {
        self.verbs.note("remove_upload");
        self.store.remove_upload(project, id).await
    }

    async fn expire_uploads(&self, limit: u32) -> StoreResult<u64> {
        self.verbs.note("expire_uploads");
        self.store.expire_uploads(limit).await
    }

    async fn claim(&self, worker: WorkerId, want: Want) -> StoreResult<Vec<Claim>> {
        self.verbs.note("claim");
        self.store.claim(worker, want).await
    }

    async fn beat(&self, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
        self.verbs.note("beat");
        self.store.beat(beats).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        stages: Stages,
        outputs: Vec<Published>,
    ) -> StoreResult<Settled> {
        self.verbs.note("finish");
        self.store.finish(lease, stages, outputs).await
    }

    async fn fail(
        &self,
        lease: &Lease,
        stages: Stages,
        failure: Failure,
        next: Next,
    ) -> StoreResult<Settled> {
        self.verbs.note("fail");
        self.store.fail(lease, stages, failure, next).await
    }

    async fn end_cancelled(&self, lease: &Lease, stages: Stages) -> StoreResult<Settled> {
        self.verbs.note("end_cancelled");
        self.store.end_cancelled(lease, stages).await
    }

    async fn hand_back(&self, lease: &Lease) -> StoreResult<Settled> {
        self.verbs.note("hand_back");
        self.store.hand_back(lease).await
    }

    async fn rescue(&self, policy: &RetryPolicy, chance: f64) -> StoreResult<Rescued> {
        self.verbs.note("rescue");
        self.store.rescue(policy, chance).await
    }

    async fn recover(&self) -> StoreResult<usize> {
        self.verbs.note("recover");
        self.store.recover().await
    }

    async fn cut(&self, lease: &Lease, recipe: &str, pieces: &[Piece]) -> StoreResult<Settled> {
        self.verbs.note("cut");
        self.store.cut(lease, recipe, pieces).await
    }

    async fn claim_piece(
        &self,
        worker: WorkerId,
        of: Option<&Lease>,
    ) -> StoreResult<Option<PieceClaim>> {
        self.verbs.note("claim_piece");
        self.store.claim_piece(worker, of).await
    }

    async fn keep_piece(&self, lease: &PieceLease, percent: f32) -> StoreResult<Settled> {
        self.verbs.note("keep_piece");
        self.store.keep_piece(lease, percent).await
    }

    async fn finish_piece(&self, lease: &PieceLease, file: &PieceFile) -> StoreResult<Settled> {
        self.verbs.note("finish_piece");
        self.store.finish_piece(lease, file).await
    }

    async fn release_piece(&self, lease: &PieceLease) -> StoreResult<Settled> {
        self.verbs.note("release_piece");
        self.store.release_piece(lease).await
    }

    async fn pieces(&self, lease: &Lease) -> StoreResult<Vec<PieceSeen>> {
        self.verbs.note("pieces");
        self.store.pieces(lease).await
    }

    async fn hand_over(
        &self,
        lease: &Lease,
        provider_id: &str,
        ask_in: Duration,
    ) -> StoreResult<Settled> {
        self.verbs.note("hand_over");
        self.store.hand_over(lease, provider_id, ask_in).await
    }

    async fn hear(&self, word: &Word, ask_in: Duration) -> StoreResult<Heard> {
        self.verbs.note("hear");
        self.store.hear(word, ask_in).await
    }

    async fn early_word(&self, of: HandOver) -> StoreResult<Option<String>> {
        self.verbs.note("early_word");
        self.store.early_word(of).await
    }

    async fn overdue(&self, limit: u32, lease: Duration) -> StoreResult<Vec<Overdue>> {
        self.verbs.note("overdue");
        self.store.overdue(limit, lease).await
    }

    async fn asked(&self, overdue: &Overdue, asked: Asked) -> StoreResult<()> {
        self.verbs.note("asked");
        self.store.asked(overdue, asked).await
    }

    async fn output(&self, project: &Project, key: &str) -> StoreResult<Option<File>> {
        self.verbs.note("output");
        self.store.output(project, key).await
    }

    async fn linked_output(&self, key: &str) -> StoreResult<Option<File>> {
        self.verbs.note("linked_output");
        self.store.linked_output(key).await
    }

    async fn garbage(&self, limit: u32) -> StoreResult<Vec<Garbage>> {
        self.verbs.note("garbage");
        self.store.garbage(limit).await
    }

    async fn garbage_removed(&self, garbage: &Garbage) -> StoreResult<()> {
        self.verbs.note("garbage_removed");
        self.store.garbage_removed(garbage).await
    }

    async fn claim_deliveries(
        &self,
        limit: u32,
        per_destination: u32,
        lease: Duration,
    ) -> StoreResult<Vec<DueDelivery>> {
        self.verbs.note("claim_deliveries");
        self.store.claim_deliveries(limit, per_destination, lease).await
    }

    async fn settle_delivery(&self, settle: SettleDelivery) -> StoreResult<Settled> {
        self.verbs.note("settle_delivery");
        self.store.settle_delivery(settle).await
    }

    async fn next_delivery_at(&self) -> StoreResult<Option<Timestamp>> {
        self.verbs.note("next_delivery_at");
        self.store.next_delivery_at().await
    }

    async fn deliveries(
        &self,
        project: &Project,
        filter: &DeliveryFilter,
    ) -> StoreResult<Vec<Delivery>> {
        self.verbs.note("deliveries");
        self.store.deliveries(project, filter).await
    }

    async fn replay(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<Delivery>> {
        self.verbs.note("replay");
        self.store.replay(project, id).await
    }

    async fn replay_failed(&self, project: &Project, since: Timestamp) -> StoreResult<u64> {
        self.verbs.note("replay_failed");
        self.store.replay_failed(project, since).await
    }

    async fn attempts(&self, project: &Project, job: JobId) -> StoreResult<Vec<Attempt>> {
        self.verbs.note("attempts");
        self.store.attempts(project, job).await
    }

    async fn report_worker(&self, report: &WorkerReport) -> StoreResult<()> {
        self.verbs.note("report_worker");
        self.store.report_worker(report).await
    }

    async fn say_goodbye(&self, worker: WorkerId) -> StoreResult<()> {
        self.verbs.note("say_goodbye");
        self.store.say_goodbye(worker).await
    }

    async fn miss_workers(&self) -> StoreResult<Vec<WorkerReport>> {
        self.verbs.note("miss_workers");
        self.store.miss_workers().await
    }

    async fn note_disk(&self, disk: &Disk, room: Room) -> StoreResult<bool> {
        self.verbs.note("note_disk");
        self.store.note_disk(disk, room).await
    }

    async fn workers(&self) -> StoreResult<Vec<WorkerSeen>> {
        self.verbs.note("workers");
        self.store.workers().await
    }

    async fn destinations(&self, project: &Project) -> StoreResult<Vec<Destination>> {
        self.verbs.note("destinations");
        self.store.destinations(project).await
    }

    async fn pushed(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<DueDelivery>> {
        self.verbs.note("pushed");
        self.store.pushed(project, id).await
    }

    async fn usage(&self) -> StoreResult<Usage> {
        self.verbs.note("usage");
        self.store.usage().await
    }

    async fn tally(&self, project: &Project, since: Timestamp) -> StoreResult<Counts> {
        self.verbs.note("tally");
        self.store.tally(project, since).await
    }

    async fn secret(&self, name: &str, fresh: &str) -> StoreResult<String> {
        self.verbs.note("secret");
        self.store.secret(name, fresh).await
    }

    async fn tidy(&self, keys_before: Timestamp, deliveries_before: Timestamp) -> StoreResult<u64> {
        self.verbs.note("tidy");
        self.store.tidy(keys_before, deliveries_before).await
    }

    async fn expire_outputs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.verbs.note("expire_outputs");
        self.store.expire_outputs(ended_before, limit).await
    }

    async fn forget_jobs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.verbs.note("forget_jobs");
        self.store.forget_jobs(ended_before, limit).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.verbs.note("ping");
        self.store.ping().await
    }

    fn hints(&self) -> &Hints {
        self.verbs.note("hints");
        self.store.hints()
    }

    async fn close(&self) {
        self.verbs.note("close");
        self.store.close().await;
    }
}
