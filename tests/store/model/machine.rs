//! What does happen, in a real store.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use reelway::id::{JobId, WorkerId, fresh};
use reelway::job::{Job, Kind, Status};
use reelway::store::{
    Beat, CancelOutcome, DeliveryFilter, JobFilter, Lease, Settled, StoreError, Want,
};
use reelway::task::{Lane, Next, TaskState};
use tokio::runtime::{Builder, Runtime};

use super::reference::{JobModel, LeaseModel, Reference, Said, Spend, Step, WORKERS, policy};
use crate::backend::Backend;
use crate::fixture::{encoding, key, stolen, together};
use crate::world::{MANY, NOW, OURS, RECEIVER, World, is_under};

/// A store, and the names of what the reference tells by its place.
#[derive(Debug)]
pub(super) struct Machine {
    runtime: Runtime,
    world: World,
    jobs: Vec<JobId>,
    leases: Vec<Lease>,
    workers: [WorkerId; WORKERS],
    /// The highest attempt and seq of each job that was ever seen.
    seen: RefCell<HashMap<JobId, (u32, u32)>>,
}

impl Machine {
    pub(super) fn new(backend: Backend, start: &Reference) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = runtime.block_on(World::of(backend));
        world.clock.set(start.now);
        let workers = std::array::from_fn(|_| fresh(NOW));
        let (jobs, leases, seen) = (Vec::new(), Vec::new(), RefCell::default());
        Self { runtime, world, jobs, leases, workers, seen }
    }

    /// Takes a step, and compares what was said with the reference after it.
    pub(super) fn apply(&mut self, after: &Reference, step: Step) {
        self.world.clock.set(after.now);
        let said = match step {
            Step::Submit { lane, is_told } => self.submit(lane, is_told),
            Step::Claim { worker, lane } => self.claim(worker, lane, &after.leases),
            Step::Beat { lease, percent } => self.beat(lease, percent),
            Step::Spend { lease, spend } => self.spend(&self.leases[lease], spend),
            Step::Steal { lease, thief, spend } => {
                self.spend(&stolen(&self.leases[lease], self.workers[thief]), spend)
            }
            Step::Cancel { job } => self.cancel(self.jobs[job]),
            Step::Retry { job } => self.retry(self.jobs[job]),
            Step::Delete { job } => self.delete(self.jobs[job]),
            Step::Rescue => {
                let policy = policy();
                let rescue = self.world.store.rescue(&policy, 0.0);
                Said::Rescued(self.runtime.block_on(rescue).expect("an answer").tasks)
            }
            Step::Jump { .. } => Said::Nothing,
        };
        assert_eq!(said, after.said);
    }

    fn submit(&mut self, lane: Lane, is_told: bool) -> Said {
        let job = self.world.job().kind(match lane {
            Lane::Heavy => Kind::Video,
            Lane::Light => Kind::Image,
        });
        let job = if is_told { job.webhook(RECEIVER) } else { job };
        // Names sort by the place, whatever the clock says: tasks of one moment take their turns.
        let named_at = NOW.plus(Duration::from_millis(self.jobs.len() as u64));
        let now = self.world.now();
        let mut job = Job { id: fresh(named_at), created_at: now, ..job.build() };
        self.world.clock.set(now);
        job.tasks[0].id = fresh(named_at);
        job.tasks[0].job_id = job.id;
        job.tasks[0].state = TaskState::Queued { run_at: now };
        self.jobs.push(job.id);
        self.runtime.block_on(self.world.store.submit(together([job]))).expect("an answer");
        Said::Nothing
    }

    fn claim(&mut self, worker: usize, lane: Lane, leases: &[LeaseModel]) -> Said {
        let want = match lane {
            Lane::Heavy => Want { heavy: MANY, ..Want::default() },
            Lane::Light => Want { light: MANY, ..Want::default() },
        };
        let claim = self.world.store.claim(self.workers[worker], want);
        let mut claims = self.runtime.block_on(claim).expect("claims");
        for expected in &leases[self.leases.len()..] {
            let job = self.jobs[expected.job];
            let place = claims.iter().position(|claim| claim.lease.job == job);
            let claim = claims.swap_remove(place.expect("a claim of each task that is due"));
            assert_eq!(claim.lease.worker, self.workers[expected.worker]);
            assert_eq!(claim.lease.attempt, expected.attempt);
            self.leases.push(claim.lease);
        }
        assert!(claims.is_empty(), "not theirs to take: {claims:?}");
        Said::Nothing
    }

    fn beat(&self, lease: usize, percent: f32) -> Said {
        let Lease { task, worker, attempt, .. } = self.leases[lease];
        let beats = [Beat { task, worker, attempt, stages: encoding(percent) }];
        let replies = self.runtime.block_on(self.world.store.beat(&beats)).expect("replies");
        let [reply] = replies[..] else { panic!("{replies:?}") };
        Said::Replied(reply)
    }

    fn spend(&self, lease: &Lease, spend: Spend) -> Said {
        let settled: Settled = self.runtime.block_on(async {
            match spend {
                Spend::Finish => self.world.finish(lease).await,
                Spend::TryAgain { secs } => {
                    self.world.fail(lease, Next::RetryIn(Duration::from_secs(secs))).await
                }
                Spend::Fail => self.world.fail(lease, Next::End).await,
                Spend::Cancel => self.world.end_cancelled(lease).await,
                Spend::HandBack => self.world.hand_back(lease).await,
            }
        });
        Said::Settled(settled)
    }

    fn cancel(&self, id: JobId) -> Said {
        match self.runtime.block_on(self.world.cancel(id)) {
            CancelOutcome::Unknown => Said::Unknown,
            CancelOutcome::Cancelled(_) => Said::Cancelled,
            CancelOutcome::Asked(_) => Said::Asked,
            CancelOutcome::AlreadyEnded(_) => Said::AlreadyEnded,
        }
    }

    fn retry(&self, id: JobId) -> Said {
        match self.runtime.block_on(self.world.store.retry(OURS, id)) {
            Ok(Some(_)) => Said::Retried,
            Ok(None) => Said::Unknown,
            Err(StoreError::Transition(_)) => Said::Refused,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn delete(&self, id: JobId) -> Said {
        let deleted = self.runtime.block_on(self.world.store.delete(OURS, id)).expect("an answer");
        deleted.map_or(Said::Unknown, |_| Said::Deleted)
    }

    /// Compares everything that can be seen with the reference.
    pub(super) fn check(&self, reference: &Reference) {
        self.runtime.block_on(async {
            self.check_jobs(reference).await;
            self.check_outputs(reference).await;
            self.check_events(reference).await;
            self.check_pressure(reference).await;
        });
    }

    async fn check_jobs(&self, reference: &Reference) {
        let filter = JobFilter { limit: MANY, ascending: true, ..JobFilter::default() };
        let page = self.world.store.jobs(OURS, &filter).await.expect("a page");
        let expected: Vec<_> =
            self.jobs.iter().zip(&reference.jobs).filter(|(_, model)| !model.is_deleted).collect();
        assert_eq!(page.jobs.len(), expected.len());
        let mut seen = self.seen.borrow_mut();
        for (job, (id, model)) in page.jobs.iter().zip(expected) {
            assert_eq!(job.id, *id);
            check_job(job, model);
            // A lost lease is told by its number: it must never be given again.
            let highest = seen.entry(job.id).or_default();
            assert!(job.tasks[0].attempt >= highest.0 && job.seq >= highest.1, "{job:?}");
            *highest = (job.tasks[0].attempt, job.seq);
        }
    }

    /// An output is seen if its job has succeeded, and what is seen is never swept.
    async fn check_outputs(&self, reference: &Reference) {
        let garbage = self.world.garbage().await;
        for (lease, model) in self.leases.iter().zip(&reference.leases) {
            let key = key(lease, "video.mp4");
            let is_shown = self.world.shows(&key).await;
            let job = &reference.jobs[model.job];
            assert_eq!(is_shown, job.shown == Some(model.attempt), "{key}");
            assert!(!is_shown || job.status == Status::Succeeded);
            assert!(!is_shown || !garbage.iter().any(|prefix| is_under(&key, prefix)), "{key}");
        }
    }

    /// Each end has one event, each event a name of its own.
    async fn check_events(&self, reference: &Reference) {
        let filter = DeliveryFilter { limit: MANY, ..DeliveryFilter::default() };
        let told = self.world.store.deliveries(OURS, &filter).await.expect("a log");
        let names: BTreeSet<_> = told.iter().map(|told| told.event_id).collect();
        assert_eq!(names.len(), told.len());
        for (id, model) in self.jobs.iter().zip(&reference.jobs) {
            let of_job = told.iter().filter(|told| told.job_id == Some(*id));
            let mut kinds: Vec<_> = of_job.map(|told| told.kind.name()).collect();
            let ends: &[_] = if model.is_told { &model.ends } else { &[] };
            let mut ends: Vec<_> = ends.iter().map(|kind| kind.name()).collect();
            // The clock may have jumped back between two ends: the log's order is not theirs.
            kinds.sort_unstable();
            ends.sort_unstable();
            assert_eq!(kinds, ends);
        }
    }

    async fn check_pressure(&self, reference: &Reference) {
        let pressure = self.world.store.pressure().await.expect("an answer");
        let count = |status| reference.jobs.iter().filter(|job| job.status == status).count();
        assert_eq!(pressure.queued, count(Status::Queued) as u64);
        assert_eq!(pressure.processing, count(Status::Processing) as u64);
    }

    /// In the end nothing is left in storage that nobody can see and nobody writes.
    pub(super) fn check_end(&self, reference: &Reference) {
        self.world.pass(Duration::from_hours(48));
        let garbage = self.runtime.block_on(self.world.garbage());
        for (lease, model) in self.leases.iter().zip(&reference.leases) {
            let is_seen = reference.jobs[model.job].shown == Some(model.attempt);
            let is_written = reference.holds(*model, model.worker);
            let key = key(lease, "video.mp4");
            let is_doomed = garbage.iter().any(|prefix| is_under(&key, prefix));
            assert!(is_doomed || is_seen || is_written, "{key} would be kept for ever");
        }
    }
}

fn check_job(job: &Job, model: &JobModel) {
    let task = &job.tasks[0];
    assert_eq!(job.state.status(), model.status);
    assert_eq!((task.attempt, task.tries), (model.attempt, model.tries));
    assert_eq!(job.progress.to_bits(), model.progress.to_bits());
    assert_eq!(job.seq as usize, model.ends.len());
    assert_eq!(job.state.finished_at().is_some(), model.status.is_final());
    assert_eq!(job.state.outputs().len(), usize::from(model.shown.is_some()));
    let state = match model.status {
        Status::Queued => TaskState::Queued { run_at: model.run_at },
        Status::Processing => TaskState::Processing,
        Status::Succeeded => TaskState::Succeeded,
        Status::Failed => TaskState::Failed,
        Status::Cancelled => TaskState::Cancelled,
    };
    assert_eq!(task.state, state);
}
