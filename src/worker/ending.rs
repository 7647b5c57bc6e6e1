//! How work on a claim came to its end, in words that can be counted.

use std::time::Duration;

use super::Made;
use crate::metrics;
use crate::store::Settled;
use crate::task::{Kind, Next, StageKind, StageStatus, Stages};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With outputs.
    Succeeded,
    /// Badly, and there is another attempt.
    Retried,
    /// Badly, for good.
    Failed,
    /// Because somebody asked for it.
    Cancelled,
    /// Because the process ends.
    HandedBack,
    /// In another's hands.
    Lost,
}

impl Ending {
    /// The end that was meant, unless the lease was lost before it was written.
    pub(super) const fn unless_lost(self, settled: Settled) -> Self {
        match settled {
            Settled::Done => self,
            Settled::Lost => Self::Lost,
        }
    }

    /// The end of an attempt that failed, by what follows.
    pub(super) const fn of_failure(next: Next) -> Self {
        match next {
            Next::End => Self::Failed,
            Next::RetryIn(_) | Next::PostponeBy(_) => Self::Retried,
        }
    }

    /// Its name in logs and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
        }
    }
}

/// Counts an attempt that has ended.
pub(super) fn count(kind: Kind, ending: Ending, took: Duration, stages: &Stages) {
    metrics::ATTEMPTS.add(1, &[kind.name(), ending.name()]);
    metrics::ATTEMPT_SECONDS.observe(took.as_secs_f64(), &[kind.name()]);
    for stage in stages.as_slice() {
        let (StageStatus::Succeeded, Some(end)) = (stage.status, stage.finished_at) else {
            continue;
        };
        let name = match stage.kind {
            StageKind::Encode(_) => "encode",
            other => other.name(),
        };
        metrics::STAGE_SECONDS.observe(end.since(stage.started_at).as_secs_f64(), &[name]);
    }
}

/// Counts how fast the first of the outputs was made, when it has a length.
pub(super) fn count_speed(kind: Kind, made: &[Made], took: Duration) {
    let length = made.first().and_then(|made| made.facts.duration);
    if let Some(length) = length.filter(|_| !took.is_zero()) {
        metrics::ENCODE_SPEED.observe(length / took.as_secs_f64(), &[kind.name()]);
    }
}
