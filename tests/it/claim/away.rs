//! A store that can be away: then no verb is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reelway::access::{AuditEntry, By, Key, Project};
use reelway::clock::Timestamp;
use reelway::connection::Connection;
use reelway::id::{
    AuditId, BatchId, ConnectionId, DeliveryId, JobId, KeyId, TaskId, UploadId, WorkerId,
};
use reelway::job::{Batch, Counts, File, Job, Piece, PieceFile};
use reelway::store::sql::SqlStore;
use reelway::store::{
    AppendUpload, Appended, Asked, Attempt, Backlog, BatchFilter, BatchPage, Beat, BeatReply,
    CancelOutcome, Claim, DeletedJob, Delivery, DeliveryFilter, Destination, Disk, DueDelivery,
    Garbage, HandOver, Heard, Hints, Idempotency, JobFilter, JobPage, Lease, Newest, Overdue, Page,
    PieceClaim, PieceLease, PieceSeen, Pressure, Published, Rescued, Room, SettleDelivery, Settled,
    Store, StoreError, StoreResult, Submission, Submitted, Upload, UploadPart, Usage, Want, Word,
    WorkerReport, WorkerSeen,
};
use reelway::task::{Failure, Next, RetryPolicy, Stages};
use tokio::sync::watch;

/// How many beats were asked for and how many of them are over, in vain or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beats {
    begun: usize,
    pub(crate) over: usize,
}

impl Beats {
    pub(crate) const fn are_over(&self) -> bool {
        self.begun == self.over
    }
}

/// Counts a beat as over, also when its answer is not waited for any more.
struct Beating<'a>(&'a watch::Sender<Beats>);

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|beats| beats.over += 1);
    }
}

/// A real store behind a connection that can be cut.
#[derive(Debug)]
pub(crate) struct Away {
    inner: Arc<SqlStore>,
    is_away: AtomicBool,
    beats: watch::Sender<Beats>,
    /// How many ends could not be written.
    lost_ends: watch::Sender<usize>,
}

impl Away {
    pub(crate) fn new(inner: Arc<SqlStore>) -> Self {
        let is_away = AtomicBool::new(false);
        Self { inner, is_away, beats: watch::Sender::default(), lost_ends: watch::Sender::new(0) }
    }

    pub(crate) fn cut(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }

    pub(crate) fn beats(&self) -> watch::Receiver<Beats> {
        self.beats.subscribe()
    }

    pub(crate) fn lost_ends(&self) -> watch::Receiver<usize> {
        self.lost_ends.subscribe()
    }

    fn there(&self) -> StoreResult<&SqlStore> {
        let is_away = self.is_away.load(Ordering::SeqCst);
        if is_away { Err(StoreError::TimedOut) } else { Ok(&self.inner) }
    }

    fn there_to_end(&self) -> StoreResult<&SqlStore> {
        self.there().inspect_err(|_| self.lost_ends.send_modify(|ends| *ends += 1))
    }
}

#[async_trait]
impl Store for Away {
    async fn submit(&self, submission: Submission) -> StoreResult<Submitted> {
        self.there()?.submit(submission).await
    }
    async fn job(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.there()?.job(project, id).await
    }
    async fn task(&self, project: &Project, id: TaskId) -> StoreResult<Option<Job>> {
        self.there()?.task(project, id).await
    }
    async fn jobs(&self, project: &Project, filter: &JobFilter) -> StoreResult<JobPage> {
        self.there()?.jobs(project, filter).await
    }
    async fn batch(&self, project: &Project, id: BatchId) -> StoreResult<Option<Batch>> {
        self.there()?.batch(project, id).await
    }
    async fn batches(&self, project: &Project, filter: &BatchFilter) -> StoreResult<BatchPage> {
        self.there()?.batches(project, filter).await
    }
    async fn cancel(&self, project: &Project, id: JobId) -> StoreResult<CancelOutcome> {
        self.there()?.cancel(project, id).await
    }
    async fn retry(&self, project: &Project, id: JobId) -> StoreResult<Option<Job>> {
        self.there()?.retry(project, id).await
    }
    async fn delete(&self, project: &Project, id: JobId) -> StoreResult<Option<DeletedJob>> {
        self.there()?.delete(project, id).await
    }
    async fn pressure(&self) -> StoreResult<Pressure> {
        self.there()?.pressure().await
    }
    async fn backlog(&self) -> StoreResult<Backlog> {
        self.there()?.backlog().await
    }

    async fn add_key(
        &self,
        key: &Key,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.there()?.add_key(key, by, idempotency).await
    }
    async fn key(&self, id: KeyId) -> StoreResult<Option<Key>> {
        self.there()?.key(id).await
    }
    async fn keys(&self, which: &Newest<KeyId>) -> StoreResult<Page<Key>> {
        self.there()?.keys(which).await
    }
    async fn revoke_key(&self, id: KeyId, by: &By) -> StoreResult<Option<Key>> {
        self.there()?.revoke_key(id, by).await
    }
    async fn note_key_use(&self, id: KeyId) -> StoreResult<()> {
        self.there()?.note_key_use(id).await
    }
    async fn audit(&self, which: &Newest<AuditId>) -> StoreResult<Page<AuditEntry>> {
        self.there()?.audit(which).await
    }
    async fn add_connection(
        &self,
        connection: &Connection,
        by: &By,
        idempotency: Option<Idempotency>,
    ) -> StoreResult<Submitted> {
        self.there()?.add_connection(connection, by, idempotency).await
    }
    async fn connections(
        &self,
        project: &Project,
        which: &Newest<ConnectionId>,
    ) -> StoreResult<Page<Connection>> {
        self.there()?.connections(project, which).await
    }
    async fn connection(
        &self,
        project: &Project,
        id: ConnectionId,
    ) -> StoreResult<Option<Connection>> {
        self.there()?.connection(project, id).await
    }
    async fn delete_connection(
        &self,
        project: &Project,
        id: ConnectionId,
        by: &By,
    ) -> StoreResult<bool> {
        self.there()?.delete_connection(project, id, by).await
    }
    async fn begin_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.there()?.begin_upload(upload).await
    }
    async fn upload(&self, project: &Project, id: UploadId) -> StoreResult<Option<Upload>> {
        self.there()?.upload(project, id).await
    }
    async fn upload_parts(&self, upload: &Upload) -> StoreResult<Vec<UploadPart>> {
        self.there()?.upload_parts(upload).await
    }
    async fn append_upload(&self, append: &AppendUpload) -> StoreResult<Appended> {
        self.there()?.append_upload(append).await
    }
    async fn use_upload(
        &self,
        project: &Project,
        id: UploadId,
        keep: Duration,
    ) -> StoreResult<Option<Upload>> {
        self.there()?.use_upload(project, id, keep).await
    }
    async fn remove_upload(&self, project: &Project, id: UploadId) -> StoreResult<bool> {
        self.there()?.remove_upload(project, id).await
    }
    async fn expire_uploads(&self, limit: u32) -> StoreResult<u64> {
        self.there()?.expire_uploads(limit).await
    }
    async fn claim(&self, worker: WorkerId, want: Want) -> StoreResult<Vec<Claim>> {
        self.there()?.claim(worker, want).await
    }
    async fn beat(&self, beats: &[Beat]) -> StoreResult<Vec<BeatReply>> {
        self.beats.send_modify(|beats| beats.begun += 1);
        let _beating = Beating(&self.beats);
        self.there()?.beat(beats).await
    }
    async fn finish(
        &self,
        lease: &Lease,
        stages: Stages,
        outputs: Vec<Published>,
    ) -> StoreResult<Settled> {
        self.there_to_end()?.finish(lease, stages, outputs).await
    }
    async fn fail(
        &self,
        lease: &Lease,
        stages: Stages,
        failure: Failure,
        next: Next,
    ) -> StoreResult<Settled> {
        self.there_to_end()?.fail(lease, stages, failure, next).await
    }
    async fn end_cancelled(&self, lease: &Lease, stages: Stages) -> StoreResult<Settled> {
        self.there_to_end()?.end_cancelled(lease, stages).await
    }
    async fn hand_back(&self, lease: &Lease) -> StoreResult<Settled> {
        self.there_to_end()?.hand_back(lease).await
    }
    async fn rescue(&self, policy: &RetryPolicy, chance: f64) -> StoreResult<Rescued> {
        self.there()?.rescue(policy, chance).await
    }
    async fn recover(&self) -> StoreResult<usize> {
        self.there()?.recover().await
    }
    async fn expire_outputs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.there()?.expire_outputs(ended_before, limit).await
    }
    async fn forget_jobs(&self, ended_before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.there()?.forget_jobs(ended_before, limit).await
    }
    async fn cut(&self, lease: &Lease, recipe: &str, pieces: &[Piece]) -> StoreResult<Settled> {
        self.there()?.cut(lease, recipe, pieces).await
    }
    async fn claim_piece(
        &self,
        worker: WorkerId,
        of: Option<&Lease>,
    ) -> StoreResult<Option<PieceClaim>> {
        self.there()?.claim_piece(worker, of).await
    }
    async fn keep_piece(&self, lease: &PieceLease, percent: f32) -> StoreResult<Settled> {
        self.there()?.keep_piece(lease, percent).await
    }
    async fn finish_piece(&self, lease: &PieceLease, file: &PieceFile) -> StoreResult<Settled> {
        self.there()?.finish_piece(lease, file).await
    }
    async fn release_piece(&self, lease: &PieceLease) -> StoreResult<Settled> {
        self.there()?.release_piece(lease).await
    }
    async fn pieces(&self, lease: &Lease) -> StoreResult<Vec<PieceSeen>> {
        self.there()?.pieces(lease).await
    }
    async fn hand_over(
        &self,
        lease: &Lease,
        provider_id: &str,
        ask_in: Duration,
    ) -> StoreResult<Settled> {
        self.there_to_end()?.hand_over(lease, provider_id, ask_in).await
    }
    async fn hear(&self, word: &Word, ask_in: Duration) -> StoreResult<Heard> {
        self.there()?.hear(word, ask_in).await
    }
    async fn early_word(&self, of: HandOver) -> StoreResult<Option<String>> {
        self.there()?.early_word(of).await
    }
    async fn overdue(&self, limit: u32, lease: Duration) -> StoreResult<Vec<Overdue>> {
        self.there()?.overdue(limit, lease).await
    }
    async fn asked(&self, overdue: &Overdue, asked: Asked) -> StoreResult<()> {
        self.there()?.asked(overdue, asked).await
    }
    async fn output(&self, project: &Project, key: &str) -> StoreResult<Option<File>> {
        self.there()?.output(project, key).await
    }
    async fn linked_output(&self, key: &str) -> StoreResult<Option<File>> {
        self.there()?.linked_output(key).await
    }
    async fn garbage(&self, limit: u32) -> StoreResult<Vec<Garbage>> {
        self.there()?.garbage(limit).await
    }
    async fn garbage_removed(&self, garbage: &Garbage) -> StoreResult<()> {
        self.there()?.garbage_removed(garbage).await
    }
    async fn claim_deliveries(
        &self,
        limit: u32,
        per_destination: u32,
        lease: Duration,
    ) -> StoreResult<Vec<DueDelivery>> {
        self.there()?.claim_deliveries(limit, per_destination, lease).await
    }
    async fn settle_delivery(&self, settle: SettleDelivery) -> StoreResult<Settled> {
        self.there()?.settle_delivery(settle).await
    }
    async fn next_delivery_at(&self) -> StoreResult<Option<Timestamp>> {
        self.there()?.next_delivery_at().await
    }
    async fn deliveries(
        &self,
        project: &Project,
        filter: &DeliveryFilter,
    ) -> StoreResult<Vec<Delivery>> {
        self.there()?.deliveries(project, filter).await
    }
    async fn replay(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<Delivery>> {
        self.there()?.replay(project, id).await
    }
    async fn replay_failed(&self, project: &Project, since: Timestamp) -> StoreResult<u64> {
        self.there()?.replay_failed(project, since).await
    }
    async fn attempts(&self, project: &Project, job: JobId) -> StoreResult<Vec<Attempt>> {
        self.there()?.attempts(project, job).await
    }
    async fn report_worker(&self, report: &WorkerReport) -> StoreResult<()> {
        self.there()?.report_worker(report).await
    }
    async fn say_goodbye(&self, worker: WorkerId) -> StoreResult<()> {
        self.there()?.say_goodbye(worker).await
    }
    async fn miss_workers(&self) -> StoreResult<Vec<WorkerReport>> {
        self.there()?.miss_workers().await
    }
    async fn note_disk(&self, disk: &Disk, room: Room) -> StoreResult<bool> {
        self.there()?.note_disk(disk, room).await
    }
    async fn workers(&self) -> StoreResult<Vec<WorkerSeen>> {
        self.there()?.workers().await
    }
    async fn destinations(&self, project: &Project) -> StoreResult<Vec<Destination>> {
        self.there()?.destinations(project).await
    }
    async fn pushed(&self, project: &Project, id: DeliveryId) -> StoreResult<Option<DueDelivery>> {
        self.there()?.pushed(project, id).await
    }
    async fn usage(&self) -> StoreResult<Usage> {
        self.there()?.usage().await
    }
    async fn tally(&self, project: &Project, since: Timestamp) -> StoreResult<Counts> {
        self.there()?.tally(project, since).await
    }
    async fn secret(&self, name: &str, fresh: &str) -> StoreResult<String> {
        self.there()?.secret(name, fresh).await
    }
    async fn tidy(&self, keys_before: Timestamp, deliveries_before: Timestamp) -> StoreResult<u64> {
        self.there()?.tidy(keys_before, deliveries_before).await
    }
    async fn ping(&self) -> StoreResult<()> {
        self.there()?.ping().await
    }
    fn hints(&self) -> &Hints {
        self.inner.hints()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}
