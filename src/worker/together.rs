//! Claims of one input, worked on together: fetched, probed and decoded once.
//!
//! Each has its own plan, progress, files and end. What cannot be made with others goes ahead
//! alone, and when the shared process fails, each is tried alone: nobody's bad luck is another's.
//! When one of them has to stop, the others begin anew without it.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use futures::future::{join_all, select_all};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};

use ffmpeg::{Command, Conversion, Progress};

use super::engine::while_it_lasts;
use super::{Engine, Ingredients, Made, Ready, Room, WorkError, Worker, ending, notes, step};
use crate::claim::Held;
use crate::clock::Timestamp;
use crate::input::InputFile;
use crate::job::plan::{Known, Memory, Plan};
use crate::metrics::{self, Holding};
use crate::store::{Claim, Published};
use crate::task::{Failure, StageKind};

/// A claim among others of its input.
struct Member {
    claim: Claim,
    held: Held,
    begun: Timestamp,
    _at_work: Holding,
}

/// A member's part of the shared process.
struct Part {
    plan: Plan,
    room: Room,
}

/// What the shared process came to for a member.
enum Outcome {
    /// Its files.
    Made(Room, Vec<Made>),
    /// Nobody can tell whether its files are good, or what was copied is not as it should be: it is
    /// made alone.
    Alone,
    /// Its own failure, which it would have alone too.
    Failed(WorkError),
}

/// Why nothing was made together.
enum Apart {
    /// One of the members has to stop.
    Stopped,
    /// They cannot share a process, or it failed.
    Alone(Option<Failure>),
}

impl From<WorkError> for Apart {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Stopped => Self::Stopped,
            WorkError::Failed(failure) => Self::Alone(Some(failure)),
        }
    }
}

/// Works on claims of one input and spends their leases.
pub(super) async fn perform(worker: &Worker, claims: Vec<(Claim, Held)>) {
    let begun = worker.clock.now();
    let jobs: Vec<_> = claims.iter().map(|(claim, _)| claim.lease.job.to_string()).collect();
    tracing::info!(jobs = jobs.join(", "), "tasks of one input claimed together");
    let since = claims.iter().map(|(claim, _)| claim.job.created_at).max();
    let members = claims.into_iter().map(|(claim, held)| {
        let at_work = metrics::TASKS_AT_WORK.hold(&[claim.job.spec.options.kind().name()]);
        Member { claim, held, begun, _at_work: at_work }
    });
    // As many seats at one download: whoever has to stop leaves its own.
    let coming = members.map(|member| member.arrive(worker, since.unwrap_or(begun)));
    let (mut members, inputs): (Vec<_>, Vec<_>) =
        join_all(coming).await.into_iter().flatten().unzip();
    let Some(input) = inputs.into_iter().next() else { return };
    let ready = loop {
        match until_one_stops(&members, |stop| {
            Box::pin(probe(worker, &members, input.clone(), stop))
        })
        .await
        {
            Ok(ready) => break ready,
            Err(WorkError::Stopped) => members = settle_stopped(worker, members).await,
            Err(WorkError::Failed(failure)) => return fail_all(worker, members, &failure).await,
        }
        if members.is_empty() {
            return;
        }
    };
    for member in &members {
        member.held.begin(StageKind::Encode(member.claim.job.spec.options.kind()));
    }
    // A long video is quicker in pieces, by all who have room, than decoded once by one.
    let is_cut = Box::pin(worker.helpers(&ready.facts)).await.is_some();
    let (mut sharing, alone): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| !is_cut && member.can_share(worker, &ready));
    // What is copied takes a moment: its webhook need not wait for the others.
    for member in alone {
        member.go_alone(worker, &ready).await;
    }
    loop {
        sharing = settle_stopped(worker, sharing).await;
        if sharing.len() < 2 {
            break;
        }
        match until_one_stops(&sharing, |stop| Box::pin(make(worker, &sharing, &ready, stop))).await
        {
            Ok(outcomes) => return end_all(worker, sharing, outcomes, &ready).await,
            Err(Apart::Stopped) => {}
            Err(Apart::Alone(None)) => break,
            Err(Apart::Alone(Some(failure))) => {
                // Of what cannot be had, nobody alone makes anything either.
                if let Err(failure) = ready.input.check_source() {
                    return fail_all(worker, sharing, &failure).await;
                }
                tracing::warn!(error = %failure, "tasks could not be made together; each is made alone");
                for member in &sharing {
                    member.held.sum_up("that failed: made alone");
                }
                break;
            }
        }
    }
    for member in sharing {
        member.go_alone(worker, &ready).await;
    }
}

/// Does `work` with a token that is cancelled as soon as one of the members has to stop.
async fn until_one_stops<T, F: Future<Output = T>>(
    members: &[Member],
    work: impl FnOnce(CancellationToken) -> F,
) -> T {
    let stop = CancellationToken::new();
    let mut told = select_all(members.iter().map(|it| Box::pin(it.held.stop().cancelled())));
    let mut work = pin!(work(stop.clone()));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = &mut told, if !stop.is_cancelled() => stop.cancel(),
        }
    }
}

/// Ends those that have to stop; returns the others.
async fn settle_stopped(worker: &Worker, members: Vec<Member>) -> Vec<Member> {
    let (stopped, others): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| member.held.interrupted().is_some());
    for member in stopped {
        member.end(worker, Err(WorkError::Stopped)).await;
    }
    others
}

/// Ends all of them by what is wrong with their input.
async fn fail_all(worker: &Worker, members: Vec<Member>, failure: &Failure) {
    for member in members {
        member.end(worker, Err(failure.clone().into())).await;
    }
}

/// What the input is, told to each of them.
async fn probe(
    worker: &Worker,
    members: &[Member],
    input: Arc<InputFile>,
    stop: CancellationToken,
) -> Result<Ready, WorkError> {
    if members.iter().any(|member| member.claim.job.spec.options.read_all()) {
        input.read_ahead();
    }
    let _spans: Vec<Span> =
        members.iter().map(|it| info_span!(parent: it.held.span(), "probe")).collect();
    let facts = Box::pin(worker.engine.probe(&input, &stop)).await?;
    for member in members {
        notes::facts(&facts).into_iter().for_each(|note| member.held.note(note));
    }
    Ok(Ready { input, facts })
}

/// Makes the outputs of all of them by one process.
async fn make(
    worker: &Worker,
    members: &[Member],
    ready: &Ready,
    stop: CancellationToken,
) -> Result<Vec<Outcome>, Apart> {
    let Some(first) = members.first() else { return Err(Apart::Alone(None)) };
    let (lane, engine) = (first.claim.lane, worker.engine_for(&first.claim));
    let mut parts = Vec::new();
    for member in members {
        let lease = &member.claim.lease;
        let room = worker.scratch.room(lease.task, lease.attempt).map_err(WorkError::from)?;
        let plan = member.plan(&engine, ready, room.path())?;
        parts.push(Part { plan, room });
    }
    let conversions: Vec<&Conversion> =
        parts.iter().filter_map(|part| part.plan.shareable.as_ref()).collect();
    let command = Conversion::together(&conversions).filter(|_| parts.len() == conversions.len());
    let Some(command) = command else { return Err(Apart::Alone(None)) };
    let need_bytes = Memory::together(parts.iter().map(|part| part.plan.memory)).bytes();
    if !worker.admission.fits(lane, need_bytes) {
        return Err(Apart::Alone(None));
    }
    let told: Vec<&Held> = members.iter().map(|member| &member.held).collect();
    let admitted = Box::pin(worker.admit(lane, need_bytes, &told, &stop)).await?;
    tell(members, &parts, &command);
    let expected = command.expected_secs.filter(|secs| *secs > 0.0);
    let on_progress = |progress: Progress| {
        if let Some(expected) = expected {
            let percent = (progress.out_secs / expected).clamp(0.0, 1.0) as f32 * 100.0;
            members.iter().for_each(|member| member.held.advance(percent));
        }
    };
    let begun = worker.clock.now();
    // One process, and a part of the trace of each.
    let spans: Vec<Span> =
        members.iter().map(|it| info_span!(parent: it.held.span(), "ffmpeg")).collect();
    let run =
        |stop| async move { Ok(worker.engine.tools().run(&command, on_progress, &stop).await?) };
    let ran = while_it_lasts(&ready.input, &stop, run).await;
    drop(admitted);
    drop(spans);
    if let Some(how) = ready.input.how_it_came() {
        members.iter().for_each(|it| it.held.sum_up_on(StageKind::Import, how.clone()));
    }
    let ran = ran?;
    for member in members {
        notes::said(&ran.log).for_each(|line| member.held.note(line));
    }
    let took = worker.clock.now().since(begun);
    let mut outcomes = Vec::new();
    for (member, Part { plan, room }) in members.iter().zip(parts) {
        let made = worker.engine.made_of_shared(&plan, &ran, &ready.facts, &stop).await;
        outcomes.push(match made {
            Ok(Some(made)) => {
                ending::count_speed(member.claim.job.spec.options.kind(), &made, took);
                Outcome::Made(room, made)
            }
            Ok(None) => Outcome::Alone,
            Err(WorkError::Stopped) => return Err(Apart::Stopped),
            Err(error) => Outcome::Failed(error),
        });
    }
    Ok(outcomes)
}

/// Tells each member with whom it is made, and how.
fn tell(members: &[Member], parts: &[Part], command: &Command) {
    let folders: Vec<_> = parts.iter().map(|part| part.room.path()).collect();
    let line = notes::shared_command(command, &folders);
    for (number, (member, part)) in members.iter().zip(parts).enumerate() {
        let others =
            members.iter().filter(|other| other.claim.lease.task != member.claim.lease.task);
        let others: Vec<_> = others.map(|other| other.claim.lease.job.to_string()).collect();
        let with = others.join(", ");
        member.held.sum_up(&format!("made together with {with}, as output {}", number + 1));
        if let Some(ways) = part.plan.ways {
            member.held.sum_up(&ways.to_string());
        }
        member.held.note(line.clone());
    }
}

/// Publishes what each has, and spends its lease.
async fn end_all(worker: &Worker, members: Vec<Member>, outcomes: Vec<Outcome>, ready: &Ready) {
    let (mut ends, mut alone) = (Vec::new(), Vec::new());
    for (member, outcome) in members.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Made(room, made) => ends.push(member.publish(worker, Ok((room, made)))),
            Outcome::Failed(error) => ends.push(member.publish(worker, Err(error))),
            Outcome::Alone => alone.push(member),
        }
    }
    join_all(ends).await;
    // One after the other: they have one slot.
    for member in alone {
        member.held.sum_up("that did not do: made alone");
        member.go_alone(worker, ready).await;
    }
}

impl Member {
    /// Waits for the input, as it was at `since` or later; ends where it does not come.
    async fn arrive(self, worker: &Worker, since: Timestamp) -> Option<(Self, Arc<InputFile>)> {
        self.held.begin(StageKind::Import);
        let report = |percent| self.held.advance(percent);
        let job = &self.claim.job;
        let import = Box::pin(worker.import(job, since, report, self.held.stop()));
        match step(info_span!(parent: self.held.span(), "input"), import).await {
            Ok(input) => {
                self.held.begin(StageKind::Probe);
                Some((self, input))
            }
            Err(error) => {
                self.end(worker, Err(error)).await;
                None
            }
        }
    }

    fn plan(&self, engine: &Engine, ready: &Ready, folder: &Path) -> Result<Plan, WorkError> {
        let from = Ingredients { input: &ready.input, facts: &ready.facts, subtitles: None };
        let options = &self.claim.job.spec.options;
        Ok(engine.plan(options, &from, &Known::default(), folder)?)
    }

    /// Whether its output can be made with others.
    fn can_share(&self, worker: &Worker, ready: &Ready) -> bool {
        let plan = self.plan(&worker.engine, ready, Path::new("/"));
        plan.is_ok_and(|plan| plan.shareable.is_some())
    }

    /// Makes it with nobody else, from the input that is there.
    async fn go_alone(self, worker: &Worker, ready: &Ready) {
        let span = self.held.span().clone();
        let work = Box::pin(worker.work(&self.claim, &self.held, Some(ready.clone())));
        let outcome = work.instrument(span).await;
        self.end(worker, outcome).await;
    }

    /// Publishes what was made of it, and spends its lease.
    async fn publish(self, worker: &Worker, made: Result<(Room, Vec<Made>), WorkError>) {
        let published = match made {
            Ok((_room, made)) => {
                let export = Box::pin(worker.export(&self.claim, &self.held, &made));
                export.instrument(self.held.span().clone()).await
            }
            Err(error) => Err(error),
        };
        self.end(worker, published).await;
    }

    async fn end(self, worker: &Worker, outcome: Result<Vec<Published>, WorkError>) {
        let span = self.held.span().clone();
        let conclude = Box::pin(worker.conclude(&self.claim, &self.held, self.begun, outcome));
        conclude.instrument(span).await;
    }
}
