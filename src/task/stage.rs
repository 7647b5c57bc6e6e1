//! What a claim passes through: `import`, `probe`, the encode, `export`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Failure, Kind};
use crate::clock::Timestamp;
use crate::id::{TaskId, fresh};

/// A step of the work inside one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// The input comes onto the worker.
    Import,
    /// The input's facts are read.
    Probe,
    /// ffmpeg runs; on the wire this has the name of the job's kind.
    Encode(Kind),
    /// The outputs go into storage.
    Export,
}

impl StageKind {
    /// The stage's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Probe => "probe",
            Self::Encode(kind) => kind.name(),
            Self::Export => "export",
        }
    }

    /// The share of the whole job's progress, in per cent, that lies before this stage and in it.
    const fn span(self) -> (f32, f32) {
        match self {
            Self::Import => (0.0, 10.0),
            Self::Probe => (10.0, 11.0),
            Self::Encode(_) => (11.0, 97.0),
            Self::Export => (97.0, 100.0),
        }
    }
}

/// How a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says it all")]
pub enum StageStatus {
    Processing,
    Succeeded,
    Failed,
    Cancelled,
}

/// A stage that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name: the wire shows stages as tasks.
    pub id: TaskId,
    /// Which step of the work.
    pub kind: StageKind,
    /// How it stands.
    pub status: StageStatus,
    /// Per cent of this stage, 0 to 100.
    pub progress: f32,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What was seen or done, for a person: the input's facts, the commands that ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was done, in a line, where it could have been done in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// How many notes a stage has at most, and how long one of them is in bytes.
const MAX_NOTES: usize = 20;
const MAX_NOTE_BYTES: usize = 4 << 10;

/// How long a summary is at most, in bytes.
const MAX_SUMMARY_BYTES: usize = 1 << 10;

/// The stages of one attempt, in the order in which they began; at most the last one is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stages(Vec<Stage>);

impl Stage {
    fn note(&mut self, mut text: String) {
        text.truncate(text.floor_char_boundary(MAX_NOTE_BYTES));
        if self.notes.len() < MAX_NOTES {
            self.notes.push(text);
        }
    }
}

impl Stages {
    /// Ends the open stage well and begins the next one.
    pub fn begin(&mut self, kind: StageKind, at: Timestamp) {
        self.close(StageStatus::Succeeded, None, at);
        self.0.push(Stage {
            id: fresh(at),
            kind,
            status: StageStatus::Processing,
            progress: 0.0,
            failure: None,
            started_at: at,
            finished_at: None,
            notes: Vec::new(),
            summary: None,
        });
    }

    /// Writes down something about the open stage.
    pub fn note(&mut self, text: String) {
        if let Some(stage) = self.open() {
            stage.note(text);
        }
    }

    /// Writes down what was done in the open stage, behind what was said before.
    pub fn sum_up(&mut self, text: &str) {
        if let Some(stage) = self.open() {
            let before = stage.summary.take().map(|before| before + "; ").unwrap_or_default();
            let mut summary = before + text;
            summary.truncate(summary.floor_char_boundary(MAX_SUMMARY_BYTES));
            stage.summary = Some(summary);
        }
        self.note(text.to_owned());
    }

    /// Writes down what was done in the last stage of `kind`, which may have ended, in the place of
    /// what was said before.
    pub fn sum_up_on(&mut self, kind: StageKind, mut text: String) {
        text.truncate(text.floor_char_boundary(MAX_SUMMARY_BYTES));
        if let Some(stage) = self.0.iter_mut().rev().find(|stage| stage.kind == kind) {
            stage.note(text.clone());
            stage.summary = Some(text);
        }
    }

    /// Sets the open stage's progress in per cent; never back.
    pub fn advance(&mut self, percent: f32) {
        if let Some(stage) = self.open() {
            stage.progress = stage.progress.max(percent.clamp(0.0, 100.0));
        }
    }

    /// Ends the open stage well.
    pub fn succeed(&mut self, at: Timestamp) {
        self.close(StageStatus::Succeeded, None, at);
    }

    /// Ends the open stage with its failure.
    pub fn fail(&mut self, failure: &Failure, at: Timestamp) {
        self.close(StageStatus::Failed, Some(failure.clone()), at);
    }

    /// Ends the open stage because nobody wants it any more.
    pub fn cancel(&mut self, at: Timestamp) {
        self.close(StageStatus::Cancelled, None, at);
    }

    /// The whole work's progress in per cent, 0 to 100.
    #[must_use]
    pub fn progress(&self) -> f32 {
        self.0.last().map_or(0.0, |stage| {
            let (from, to) = stage.kind.span();
            from + (to - from) * stage.progress / 100.0
        })
    }

    /// The stages, first to last.
    #[must_use]
    pub fn as_slice(&self) -> &[Stage] {
        &self.0
    }

    fn open(&mut self) -> Option<&mut Stage> {
        self.0.last_mut().filter(|stage| stage.status == StageStatus::Processing)
    }

    fn close(&mut self, status: StageStatus, failure: Option<Failure>, at: Timestamp) {
        if let Some(stage) = self.open() {
            if status == StageStatus::Succeeded {
                stage.progress = 100.0;
            }
            stage.status = status;
            stage.failure = failure;
            stage.finished_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn progress_grows_from_stage_to_stage() {
        let mut stages = Stages::default();
        let mut seen = vec![stages.progress()];
        let kinds = [
            StageKind::Import,
            StageKind::Probe,
            StageKind::Encode(Kind::Video),
            StageKind::Export,
        ];
        for (n, kind) in kinds.into_iter().enumerate() {
            stages.begin(kind, at(n as i64));
            seen.push(stages.progress());
            stages.advance(50.0);
            stages.advance(20.0);
            seen.push(stages.progress());
        }
        stages.succeed(at(9));
        seen.push(stages.progress());
        assert!(seen.is_sorted(), "{seen:?}");
        assert!((seen[seen.len() - 1] - 100.0).abs() < f32::EPSILON);
    }

    #[test]
    fn how_a_stage_went_can_be_said_after_its_end() {
        let mut stages = Stages::default();
        stages.begin(StageKind::Import, at(1));
        stages.begin(StageKind::Encode(Kind::Video), at(2));
        stages.sum_up("made together");
        stages.sum_up("copied video");
        for told in ["1 MB of 9 MB read", "2 MB of 9 MB read"] {
            stages.sum_up_on(StageKind::Import, told.to_owned());
        }
        let summaries: Vec<_> = stages.as_slice().iter().map(|it| it.summary.as_deref()).collect();
        assert_eq!(summaries, [Some("2 MB of 9 MB read"), Some("made together; copied video")]);
        assert_eq!(stages.as_slice()[0].notes.len(), 2);
    }

    #[test]
    fn a_failure_stays_with_the_stage_that_had_it() {
        let mut stages = Stages::default();
        stages.begin(StageKind::Import, at(1));
        stages.begin(StageKind::Probe, at(2));
        stages.fail(&Failure::new(crate::task::ErrorKind::InputCorrupt, "broken"), at(3));
        let [import, probe] = stages.as_slice() else { panic!("two stages") };
        assert_eq!((import.status, import.finished_at), (StageStatus::Succeeded, Some(at(2))));
        assert_eq!(probe.status, StageStatus::Failed);
        assert!(probe.failure.is_some() && import.failure.is_none());
    }
}
