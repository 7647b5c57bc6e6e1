//! Where the time of a job went, as bars. Pure.

use std::time::Duration;

use super::words::span;
use crate::clock::Timestamp;
use crate::job::Job;
use crate::store::Attempt;
use crate::task::{Stage, StageStatus};

/// How many parts the whole width has.
const WIDTH: u64 = 1000;

/// The narrowest bar that is still seen.
const LEAST: u64 = 4;

/// A bar of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// `waited`, `import`, `probe`, the kind, `export`.
    pub(super) name: &'static str,
    /// `waiting`, or a stage's status.
    pub(super) status: &'static str,
    pub(super) from: u64,
    pub(super) width: u64,
    pub(super) took: String,
    /// Per cent of the stage while it is under way.
    pub(super) percent: Option<u8>,
    /// What was seen or done there.
    pub(super) notes: Vec<String>,
    pub(super) trouble: Option<String>,
}

/// One attempt: the wait before it, and its stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lap {
    /// From 1; none where nothing is known of attempts.
    pub(super) number: Option<u32>,
    /// Who made it.
    pub(super) worker: Option<String>,
    pub(super) bars: Vec<Bar>,
}

/// Every attempt, first to last, on one scale.
pub(super) fn laps(job: &Job, attempts: &[Attempt], now: Timestamp) -> Vec<Lap> {
    let end = job.state.finished_at().unwrap_or(now);
    let whole = end.since(job.created_at).max(Duration::from_millis(1));
    let scale = Scale { begin: job.created_at, whole };
    let latest = |attempt: &Attempt| {
        job.tasks.iter().find(|task| task.id == attempt.task && task.attempt == attempt.attempt)
    };
    let mut laps = Vec::new();
    let mut free_since = job.created_at;
    for attempt in attempts {
        let stages = latest(attempt).map_or(&attempt.stages, |task| &task.stages);
        let ended = attempt.ended_at.unwrap_or(end);
        let mut bars = vec![scale.bar("waited", "waiting", free_since, attempt.started_at)];
        bars.extend(stages.as_slice().iter().map(|stage| scale.stage(stage, ended)));
        let worker = attempt.worker_name.clone().unwrap_or_else(|| attempt.worker.to_string());
        laps.push(Lap { number: Some(attempt.attempt), worker: Some(worker), bars });
        free_since = ended;
    }
    let is_waiting = job.state.finished_at().is_none()
        && attempts.last().is_none_or(|attempt| attempt.ended_at.is_some());
    if laps.is_empty() || is_waiting {
        let stages = job.tasks.iter().flat_map(|task| task.stages.as_slice());
        let stages: Vec<&Stage> = stages.filter(|_| attempts.is_empty()).collect();
        let first = stages.first().map_or(end, |stage| stage.started_at);
        let mut bars = vec![scale.bar("waited", "waiting", free_since, first)];
        bars.extend(stages.into_iter().map(|stage| scale.stage(stage, end)));
        laps.push(Lap { number: None, worker: None, bars });
    }
    laps
}

struct Scale {
    begin: Timestamp,
    whole: Duration,
}

impl Scale {
    fn stage(&self, stage: &Stage, end: Timestamp) -> Bar {
        let ended = stage.finished_at.unwrap_or(end);
        let bar = self.bar(stage.kind.name(), status(stage.status), stage.started_at, ended);
        let is_open = stage.status == StageStatus::Processing;
        Bar {
            percent: is_open.then_some(stage.progress as u8),
            notes: stage.notes.clone(),
            trouble: stage.failure.as_ref().map(|failure| failure.message.clone()),
            ..bar
        }
    }

    fn bar(&self, name: &'static str, status: &'static str, from: Timestamp, to: Timestamp) -> Bar {
        let took = to.since(from);
        let from = self.share(from.since(self.begin)).min(WIDTH - LEAST);
        let width = self.share(took).clamp(LEAST, WIDTH - from);
        Bar {
            name,
            status,
            from,
            width,
            took: span(took),
            percent: None,
            notes: Vec::new(),
            trouble: None,
        }
    }

    fn share(&self, span: Duration) -> u64 {
        let share = span.as_millis() * u128::from(WIDTH) / self.whole.as_millis().max(1);
        u64::try_from(share).unwrap_or(WIDTH).min(WIDTH)
    }
}

const fn status(status: StageStatus) -> &'static str {
    match status {
        StageStatus::Processing => "processing",
        StageStatus::Succeeded => "succeeded",
        StageStatus::Failed => "failed",
        StageStatus::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn bars_stay_on_the_scale_and_are_seen() {
        let scale = Scale { begin: at(0), whole: Duration::from_secs(100) };
        for (from, to) in [(0, 0), (0, 100), (50, 51), (100, 100), (99, 200)] {
            let bar = scale.bar("probe", "succeeded", at(from), at(to));
            assert!(bar.width >= LEAST && bar.from + bar.width <= WIDTH, "{from} {to}: {bar:?}");
        }
        let bar = scale.bar("probe", "succeeded", at(25), at(75));
        assert_eq!((bar.from, bar.width, bar.took.as_str()), (250, 500, "50.0 s"));
    }
}
