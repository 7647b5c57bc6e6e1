//! What whoever runs the server is told of: conditions, each of them once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AttemptRecord, EventKind};
use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::job::Kind;

/// How long a process may say nothing before it is lost: a lease and a half, so that a database that
/// was away for a moment loses nobody.
pub const WORKER_SILENCE: Duration = Duration::from_secs(45);

/// Something that an operator should see to.
///
/// Each has a field that no other has: that is how they are told apart where they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Condition {
    /// A receiver gets nothing any more.
    EndpointDisabled(EndpointDisabled),
    /// A process went without a word.
    WorkerLost(WorkerLost),
    /// A disk is nearly full.
    DiskLow(DiskLow),
    /// A job was given up because its workers died.
    JobPoisoned(JobPoisoned),
}

/// A receiver that gets nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointDisabled {
    /// Its URL, without user, password, query and fragment: receivers have secrets there.
    pub endpoint_url: String,
    /// Whose it is.
    pub project: String,
    /// The status of its last answer.
    pub status: Option<u16>,
    /// The class of error when it did not answer.
    pub error: Option<String>,
    /// Since when it has failed without a success between.
    pub failing_since: Option<Timestamp>,
    /// How many deliveries are held for it.
    pub held: u64,
}

/// A process that went without a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLost {
    /// The process.
    pub worker_id: WorkerId,
    /// What people call it: its host.
    pub name: String,
    /// Its version of Reelway.
    pub version: String,
    /// Whether it answered requests too.
    pub answers: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it spoke last.
    pub last_seen_at: Timestamp,
}

/// A disk that is nearly full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLow {
    /// The machine.
    pub host: String,
    /// The data folder on it.
    pub folder: String,
    /// What is free, in bytes.
    pub free_bytes: u64,
    /// What should be.
    pub min_free_bytes: u64,
}

/// A job that was given up because its workers died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPoisoned {
    /// The job.
    pub job_id: JobId,
    /// Whose it is.
    pub project: String,
    /// What it was to make.
    pub kind: Kind,
    /// How many tries it had.
    pub tries: u32,
}

impl EndpointDisabled {
    /// The receiver at `url` after the attempt that disabled it.
    #[must_use]
    pub fn after(attempt: &AttemptRecord, url: &url::Url, project: &str, held: u64) -> Self {
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        // Only a URL without a host refuses this, and it has no user either.
        let _refused = shown.set_username("").and_then(|()| shown.set_password(None));
        Self {
            endpoint_url: shown.into(),
            project: project.to_owned(),
            status: attempt.status,
            error: attempt.error.clone(),
            failing_since: None,
            held,
        }
    }
}

impl Condition {
    /// The kind of its event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::EndpointDisabled(_) => EventKind::EndpointDisabled,
            Self::WorkerLost(_) => EventKind::WorkerLost,
            Self::DiskLow(_) => EventKind::DiskLow,
            Self::JobPoisoned(_) => EventKind::JobPoisoned,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::EndpointDisabled(_) => {
                "it answered 410 or failed for five days; what waits for it is kept for 30 days: \
                 mend the receiver, then send it again with `reelway webhooks replay` or from the \
                 page"
            }
            Self::WorkerLost(_) => {
                "its tasks are done by others; look for the reason in the log of its platform, \
                 mostly memory (exit code 137), and see that another one was started"
            }
            Self::DiskLow(_) => {
                "its workers take nothing new until there is room: free some, or keep less \
                 (REELWAY_KEEP_OUTPUTS, REELWAY_KEEP_UPLOADS)"
            }
            Self::JobPoisoned(_) => {
                "each of its workers died; its input is the first suspect: try it where a worker \
                 may die, with more memory, then retry the job"
            }
        }
    }

    /// The path of the page that shows it.
    #[must_use]
    pub fn page(&self) -> String {
        match self {
            Self::EndpointDisabled(_) => "/ui/webhooks".to_owned(),
            Self::WorkerLost(_) | Self::DiskLow(_) => "/ui/system".to_owned(),
            Self::JobPoisoned(told) => format!("/ui/jobs/{}", told.job_id),
        }
    }
}

/// A condition as its event tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionView {
    /// When it began, as far as anybody knows.
    pub timestamp: Timestamp,
    /// What is wrong, what to do about it, and where to look.
    pub data: Told,
}

/// What is wrong, what to do about it, and where to look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What is wrong.
    #[serde(flatten)]
    pub condition: Condition,
    /// What to do about it.
    pub hint: String,
    /// The page that shows it: its path where it is kept, its URL where it is sent.
    pub page: String,
}

impl ConditionView {
    /// What is told of a condition that was found at this moment.
    #[must_use]
    pub fn of(condition: Condition, at: Timestamp) -> Self {
        let (hint, page) = (condition.hint().to_owned(), condition.page());
        Self { timestamp: at, data: Told { condition, hint, page } }
    }

    /// The same with the URL of the page.
    #[must_use]
    pub fn leading_to(mut self, page: impl Fn(&str) -> String) -> Self {
        self.data.page = page(&self.data.page);
        self
    }
}

/// What a look at a disk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is too little.
    Low,
    /// There is enough again.
    Enough,
}

/// A disk as one process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its number on its host: processes with folders on one disk tell of it once.
    pub device: u64,
    /// What is told when it is low.
    pub told: DiskLow,
}

impl Disk {
    /// What its condition is called.
    #[must_use]
    pub fn condition(&self) -> String {
        format!("disk.low {} {}", self.told.host, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::fresh;

    #[test]
    fn every_condition_is_read_as_it_was_written() {
        let at = Timestamp::from_millis(1_764_000_000_000);
        let attempt = AttemptRecord {
            at,
            duration_ms: 1,
            status: Some(410),
            error: None,
            response: Some("gone".to_owned()),
        };
        let url = url::Url::parse("https://me:secret@a.example/hook?key=1#x").expect("a URL");
        let all = [
            Condition::EndpointDisabled(EndpointDisabled::after(&attempt, &url, "default", 2)),
            Condition::WorkerLost(WorkerLost {
                worker_id: fresh(at),
                name: "one".to_owned(),
                version: "0.1.0".to_owned(),
                answers: false,
                started_at: at,
                last_seen_at: at,
            }),
            Condition::DiskLow(DiskLow {
                host: "one".to_owned(),
                folder: "/data".to_owned(),
                free_bytes: 1,
                min_free_bytes: 2,
            }),
            Condition::JobPoisoned(JobPoisoned {
                job_id: fresh(at),
                project: "default".to_owned(),
                kind: Kind::Video,
                tries: 3,
            }),
        ];
        for condition in all {
            let view = ConditionView::of(condition, at);
            let text = serde_json::to_string(&view).expect("JSON");
            assert!(!text.contains("secret") && !text.contains("key=1"), "{text}");
            assert_eq!(serde_json::from_str::<ConditionView>(&text).expect("a view"), view);
            let linked = view.leading_to(|path| format!("https://media.example.com{path}"));
            assert!(linked.data.page.starts_with("https://media.example.com/ui/"), "{linked:?}");
        }
    }
}
