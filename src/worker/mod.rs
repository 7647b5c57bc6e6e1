//! The story of one claimed task, from input to output.
//!
//! A claim comes in; its lease is spent, whatever happens. The engine under it knows neither
//! store nor lease, and is the same that the one-shot commands run.

mod admission;
mod buckets;
mod disk;
mod ending;
mod engine;
mod failure;
mod headroom;
mod here;
mod loudness;
mod made;
mod notes;
mod pieces;
mod processors;
mod scratch;
mod stand_in;
mod sweeper;
mod together;
mod told;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use ffmpeg::Facts;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};

use crate::claim::{Held, Interrupt, Perform, persist};
use crate::clock::{Clock, Timestamp};
use crate::id::WorkerId;
use crate::input::{Downloads, InputFile, Origin};
use crate::job::{File, Job, Kept, ObjectUrl, Options};
use crate::metrics;
use crate::output::{Links, Storage, Stored};
use crate::package::{KEY_BYTES, KEY_FILE};
use crate::store::{Claim, Lease, PieceClaim, Published, Store, StoreResult};
use crate::task::{Failure, Lane, RetryPolicy, StageKind};
use crate::trace;
use crate::upload::Uploads;
use ending::Ending;
use here::Here;

use told::{copy_name, summed, told};

pub use admission::{Admission, Admitted};
pub use buckets::Buckets;
pub use disk::DiskWatch;
pub use engine::{Engine, EngineSettings, Ingredients, Told};
pub use failure::WorkError;
pub use headroom::{Headroom, Resource, free_memory_bytes};
pub use made::Made;
pub use pieces::{Cutting, When};
pub use processors::{AtWork, Processors};
pub use scratch::{Room, Scratch};
pub use sweeper::{Retention, SweepError, Sweeper};

/// Does the work of claims.
#[derive(Debug)]
pub struct Worker {
    /// Who it is.
    pub id: WorkerId,
    /// Where ends are written.
    pub store: Arc<dyn Store>,
    /// Where inputs come from.
    pub downloads: Downloads,
    /// Makes outputs of inputs.
    pub engine: Engine,
    /// Where outputs go.
    pub storage: Storage,
    /// Where inputs are that callers have sent.
    pub uploads: Uploads,
    /// Where inputs and outputs are that stay with their owners.
    pub buckets: Buckets,
    /// How outputs are reached.
    pub links: Links,
    /// Where work in progress lies.
    pub scratch: Arc<Scratch>,
    /// What must be free before more work is taken.
    pub headroom: Headroom,
    /// When long videos are made in pieces.
    pub cutting: Cutting,
    /// What the programs may take of memory together.
    pub admission: Admission,
    /// What the programs share of processors.
    pub processors: Processors,
    /// When failed work is tried again.
    pub retries: RetryPolicy,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// An input that is there, and what it is.
#[derive(Clone, Debug)]
struct Ready {
    input: Arc<InputFile>,
    facts: Facts,
}

impl Perform for Worker {
    fn has_room(&self) -> bool {
        self.headroom.is_there()
    }

    async fn perform(&self, claim: Claim, held: Held) {
        let begun = self.clock.now();
        let kind = claim.job.spec.options.kind();
        tracing::info!(kind = kind.name(), "task claimed");
        let at_work = metrics::TASKS_AT_WORK.hold(&[kind.name()]);
        let _processors = self.processors.begin(claim.lane);
        // Each part of the story in a place of its own: together they are more than a stack is
        // made for.
        let outcome = Box::pin(self.work(&claim, &held, None)).await;
        Box::pin(self.conclude(&claim, &held, begun, outcome)).await;
        drop(at_work);
    }

    async fn perform_piece(&self, piece: PieceClaim, end: CancellationToken) {
        let _processors = self.processors.begin(Lane::Heavy);
        Box::pin(self.help(&piece, &end)).await;
    }

    async fn perform_together(&self, first: (Claim, Held), companions: Vec<(Claim, Held)>) {
        let _processors = self.processors.begin(first.0.lane);
        Box::pin(together::perform(self, std::iter::once(first).chain(companions).collect())).await;
    }
}

impl Worker {
    /// Writes down what became of a claim.
    async fn conclude(
        &self,
        claim: &Claim,
        held: &Held,
        begun: Timestamp,
        outcome: Result<Vec<Published>, WorkError>,
    ) {
        let kind = claim.job.spec.options.kind();
        let settled = self.settle(claim, held, outcome).await;
        let took = self.clock.now().since(begun);
        let duration_ms = took.as_millis() as u64;
        match settled {
            Ok(ending) => {
                trace::note(&Span::current(), "task.outcome", ending.name());
                ending::count(kind, ending, took, &held.stages());
                if ending == Ending::Lost {
                    tracing::warn!(duration_ms, "the lease was lost; another attempt goes on");
                    self.discard(&claim.lease).await;
                } else {
                    tracing::info!(duration_ms, outcome = ending.name(), "task settled");
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, duration_ms, "the end of the task could not be written");
            }
        }
    }

    /// Input, facts, ffmpeg, output: what a job is made of. `ready` is an input that is there
    /// already, at the stage of the encode.
    async fn work(
        &self,
        claim: &Claim,
        held: &Held,
        ready: Option<Ready>,
    ) -> Result<Vec<Published>, WorkError> {
        let Claim { job, lease, .. } = claim;
        let options = &job.spec.options;
        if let Some(Ready { input, facts }) = ready {
            let room = self.scratch.room(lease.task, lease.attempt)?;
            let from = Ingredients { input: &input, facts: &facts, subtitles: None };
            return Box::pin(self.make(claim, held, &from, &room)).await;
        }

        held.begin(StageKind::Import);
        let report = |percent| held.advance(percent);
        let import = Box::pin(self.import(job, job.created_at, report, held.stop()));
        let input = step(info_span!("input"), import).await?;
        if options.read_all() {
            input.read_ahead();
        }
        let room = self.scratch.room(lease.task, lease.attempt)?;
        let subtitles = match options.subtitle_url() {
            Some(url) => {
                let fetcher = self.downloads.fetcher();
                Some(fetcher.subtitles(url, room.path(), held.stop()).await?)
            }
            None => None,
        };
        if let Some(url) = options.key_url() {
            let key = self.downloads.key::<KEY_BYTES>(url, held.stop()).await?;
            tokio::fs::write(room.path().join(KEY_FILE), key).await?;
        }

        held.begin(StageKind::Probe);
        let facts =
            step(info_span!("probe"), Box::pin(self.engine.probe(&input, held.stop()))).await?;
        notes::facts(&facts).into_iter().for_each(|note| held.note(note));
        if matches!(options, Options::Probe(_)) {
            let url = &job.spec.input;
            let key = format!("{}/input", attempt_prefix(lease));
            let sent = input.whole(|_, _| {}, held.stop()).await?;
            let told = told(&input, &facts, key, summed(sent).await?);
            let delivered_to = url.object();
            let remote_url = delivered_to.is_none().then(|| url.url().clone());
            held.succeed();
            let file = File { delivered_to, remote_url, ..told };
            return Ok(vec![Published { file, url: url.to_string() }]);
        }
        if matches!(options, Options::Import(_) | Options::Export(_)) {
            held.begin(StageKind::Export);
            let copy = self.publish_input(claim, held, &input, &facts);
            let copied = step(info_span!("output"), unless_stopped(held, copy)).await?;
            held.succeed();
            return Ok(vec![copied]);
        }

        held.begin(StageKind::Encode(options.kind()));
        let from = Ingredients { input: &input, facts: &facts, subtitles: subtitles.as_ref() };
        self.make(claim, held, &from, &room).await
    }

    /// ffmpeg and output.
    async fn make(
        &self,
        claim: &Claim,
        held: &Held,
        from: &Ingredients<'_>,
        room: &Room,
    ) -> Result<Vec<Published>, WorkError> {
        let made = match Box::pin(self.make_in_pieces(claim, held, from, room)).await {
            Ok(None) => Box::pin(self.make_in_one(claim, held, from, room)).await,
            Ok(Some(made)) => Ok(made),
            Err(error) => Err(error),
        };
        if let Some(how) = from.input.how_it_came() {
            held.sum_up_on(StageKind::Import, how);
        }
        Box::pin(self.export(claim, held, &made?)).await
    }

    /// All of it here, by one process after the other.
    async fn make_in_one(
        &self,
        claim: &Claim,
        held: &Held,
        from: &Ingredients<'_>,
        room: &Room,
    ) -> Result<Vec<Made>, WorkError> {
        let options = &claim.job.spec.options;
        let report = |told: Told<'_>| match told {
            Told::Percent(percent) => held.advance(percent),
            Told::Runs(command) => {
                if let Some(encoder) = command.hardware {
                    held.sum_up(&format!("encoder {}", encoder.name()));
                }
                held.note(notes::command(command, room.path()));
            }
            Told::Said(lines) => notes::said(lines).for_each(|line| held.note(line)),
            Told::Note(text) => held.sum_up(text),
            Told::MakesStill(still) => {
                held.sum_up("made by libvips");
                held.note(notes::still(still, room.path()));
            }
            Told::GivesUp(error) => {
                metrics::FALLBACKS.add(1, &[]);
                held.sum_up(&notes::given_up(error));
                notes::said_of(error).for_each(|line| held.note(line));
            }
        };
        let engine = self.engine_for(claim);
        let need_bytes = engine.memory(options, from, room.path())?.bytes();
        let _admitted = self.admit(claim.lane, need_bytes, &[held], held.stop()).await?;
        let begun = self.clock.now();
        let make = Box::pin(engine.make(options, from, room.path(), report, held.stop()));
        let made = step(info_span!("ffmpeg"), make).await?;
        ending::count_speed(options.kind(), &made, self.clock.now().since(begun));
        Ok(made)
    }

    /// The engine with the threads that this task has now.
    fn engine_for(&self, claim: &Claim) -> Engine {
        let reads_all = claim.job.spec.options.read_all();
        self.engine.with_threads(self.processors.threads(claim.lane, reads_all))
    }

    /// Waits until there is memory for what is made; who waits is told.
    async fn admit(
        &self,
        lane: Lane,
        bytes: u64,
        told: &[&Held],
        stop: &CancellationToken,
    ) -> Result<Admitted, WorkError> {
        // One that takes more is killed.
        let bytes = bytes.min(self.engine.tools().limits().memory_bytes);
        let waits = || told.iter().for_each(|held| held.note(notes::waits_for_memory(bytes)));
        self.admission.admit(lane, bytes, waits, stop).await
    }

    /// Output.
    async fn export(
        &self,
        claim: &Claim,
        held: &Held,
        made: &[Made],
    ) -> Result<Vec<Published>, WorkError> {
        held.begin(StageKind::Export);
        let publish = self.publish_all(claim, held, made);
        let published = step(info_span!("output"), unless_stopped(held, publish)).await?;
        held.succeed();
        let bytes = published.iter().map(|published| published.file.filesize).sum();
        metrics::OUTPUT_BYTES.add(bytes, &[claim.job.spec.options.kind().name()]);
        Ok(published)
    }

    /// The input as it was at `since` or later.
    async fn import(
        &self,
        job: &Job,
        since: Timestamp,
        report: impl Fn(f32) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<Arc<InputFile>, WorkError> {
        let report = |bytes: u64, of: Option<u64>| {
            if let Some(total) = of.filter(|total| *total > 0) {
                report(bytes as f32 / total as f32 * 100.0);
            }
        };
        let url = &job.spec.input;
        let origin = match (url.kept(), &job.spec.via) {
            (Some(kept), _) => self.supply(kept, job).origin(url),
            (None, Some(via)) if url.object().is_some() => {
                self.buckets.origin(&job.project, via, url).await?
            }
            _ => Origin::of(url),
        };
        let input = self.downloads.get_from(&origin, since, report, stop).await?;
        Ok(input)
    }

    /// Puts every file where it belongs, from the last to the first: whoever sees a playlist in
    /// a bucket of their own finds what it names.
    async fn publish_all(
        &self,
        claim: &Claim,
        held: &Held,
        made: &[Made],
    ) -> Result<Vec<Published>, WorkError> {
        let mut published = Vec::with_capacity(made.len());
        for (position, file) in made.iter().enumerate().rev() {
            published.push(self.publish(claim, file, position == 0).await?);
            held.advance(published.len() as f32 / made.len() as f32 * 100.0);
        }
        published.reverse();
        Ok(published)
    }

    fn supply(&self, kept: &Kept, job: &Job) -> Here {
        let (kept, project) = (kept.clone(), job.project.clone());
        let (uploads, store, storage) =
            (self.uploads.clone(), self.store.clone(), self.storage.clone());
        Here { kept, project, uploads, store, storage }
    }

    async fn publish(
        &self,
        claim: &Claim,
        made: &Made,
        is_main: bool,
    ) -> Result<Published, WorkError> {
        let file = |key, stored| made.file(key, stored);
        self.put(claim, &made.name, &made.path, is_main, file).await
    }

    /// The input as it is, byte for byte.
    async fn publish_input(
        &self,
        claim: &Claim,
        held: &Held,
        input: &InputFile,
        facts: &Facts,
    ) -> Result<Published, WorkError> {
        let sent = input.whole(|_, _| {}, held.stop()).await?;
        let file = |key, stored| told(input, facts, key, stored);
        self.put(claim, &copy_name(input, facts), sent, true, file).await
    }

    /// Under a key that no other attempt writes: it is seen only when the store says so. A bucket
    /// of the user's own gets the file under the name that was asked for, whole or not at all.
    async fn put(
        &self,
        Claim { job, lease, .. }: &Claim,
        name: &str,
        path: &Path,
        is_main: bool,
        file: impl FnOnce(String, Stored) -> File,
    ) -> Result<Published, WorkError> {
        let key = format!("{}/{name}", attempt_prefix(lease));
        if let Some(via) = &job.spec.via
            && let Some(output) = &via.output
        {
            let place = if is_main { ObjectUrl::place } else { ObjectUrl::place_beside };
            let object = place(output, job.id, name);
            let is_first = lease.attempt == 1;
            let stored = self.buckets.deliver((&job.project, via), &object, path, is_first).await?;
            let url = object.to_string();
            let file = File { delivered_to: Some(object), ..file(key, stored) };
            return Ok(Published { file, url });
        }
        let stored = self.storage.put(&key, path).await?;
        let url = self.links.lasting_link(&key);
        Ok(Published { file: file(key, stored), url })
    }

    /// Spends the lease on what became of the work.
    async fn settle(
        &self,
        claim: &Claim,
        held: &Held,
        outcome: Result<Vec<Published>, WorkError>,
    ) -> StoreResult<Ending> {
        let lease = &claim.lease;
        let (ending, settled) = match (outcome, held.interrupted()) {
            (Ok(outputs), _) => {
                let finish = || self.store.finish(lease, held.stages(), outputs.clone());
                (Ending::Succeeded, persist(finish).await?)
            }
            (Err(_), Some(Interrupt::Lost)) => return Ok(Ending::Lost),
            (Err(_), Some(Interrupt::Shutdown)) => {
                (Ending::HandedBack, persist(|| self.store.hand_back(lease)).await?)
            }
            (Err(_), Some(Interrupt::Cancelled)) => {
                held.cancel();
                let end = || self.store.end_cancelled(lease, held.stages());
                (Ending::Cancelled, persist(end).await?)
            }
            (Err(error), None) => {
                return self.settle_failure(claim, held, &error.into_failure()).await;
            }
        };
        Ok(ending.unless_lost(settled))
    }

    async fn settle_failure(
        &self,
        claim: &Claim,
        held: &Held,
        failure: &Failure,
    ) -> StoreResult<Ending> {
        let next = self.retries.after(failure, claim.tries, rand::random());
        tracing::warn!(error.kind = failure.kind.name(), error = %failure, ?next, "task failed");
        trace::failed(&Span::current(), failure.kind.name());
        let kind = claim.job.spec.options.kind();
        metrics::FAILURES.add(1, &[kind.name(), failure.kind.name()]);
        held.fail(failure);
        let fail = || self.store.fail(&claim.lease, held.stages(), failure.clone(), next);
        Ok(Ending::of_failure(next).unless_lost(persist(fail).await?))
    }

    /// Removes what a lost attempt has put into storage; nobody refers to it.
    async fn discard(&self, lease: &Lease) {
        if let Err(error) = self.storage.remove(&attempt_prefix(lease)).await {
            // The rescue that took the lease has doomed the prefix too: the sweep will find it.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "leftovers stay for the sweep"
            );
        }
    }
}

/// A step of the route, with a span of its own in the trace of the job.
async fn step<T>(
    span: Span,
    work: impl Future<Output = Result<T, WorkError>>,
) -> Result<T, WorkError> {
    let done = work.instrument(span.clone()).await;
    if let Err(WorkError::Failed(failure)) = &done {
        trace::failed(&span, failure.kind.name());
    }
    done
}

async fn unless_stopped<T>(
    held: &Held,
    work: impl Future<Output = Result<T, WorkError>>,
) -> Result<T, WorkError> {
    held.stop().run_until_cancelled(work).await.unwrap_or(Err(WorkError::Stopped))
}

/// Where an attempt's outputs lie in storage.
fn attempt_prefix(lease: &Lease) -> String {
    format!("{}/{}", lease.job, lease.attempt)
}
