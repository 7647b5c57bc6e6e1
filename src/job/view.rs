//! A job as everybody sees it: the one object of wire.md section 1.
//!
//! Answers, webhooks and the log of ended jobs show the same [`JobView`]. A view is first made
//! with storage keys where links belong, and that is how it is kept; [`JobView::linked`] puts
//! fresh links in when it is read, so that a link never runs out in a drawer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Codecs, File, FileKind, Job, Kind, ObjectUrl, Priority, Status};
use crate::clock::Timestamp;
use crate::id::{BatchId, JobId, TaskId};
use crate::task::{Failure, Stage, StageKind, StageStatus};

/// The wire's Job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wire.md section 1 says what each field is")]
pub struct JobView {
    pub id: JobId,
    pub object: String,
    pub kind: Kind,
    pub status: Status,
    pub progress: Option<f32>,
    pub input: String,
    pub options: Map<String, Value>,
    pub output: Option<FileView>,
    pub outputs: Vec<FileView>,
    pub output_url: Option<String>,
    pub error: Option<ErrorView>,
    pub metadata: Map<String, Value>,
    pub batch_id: Option<BatchId>,
    #[serde(skip_serializing_if = "Priority::is_usual", default)]
    pub priority: Priority,
    pub tasks: Vec<TaskView>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub task_id: JobId,
    pub input_url: String,
    pub completed_at: Option<Timestamp>,
}

/// The wire's File.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wire.md section 1 says what each field is")]
pub struct FileView {
    pub object: String,
    pub url: String,
    pub kind: FileKind,
    pub format: String,
    pub filesize: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codecs: Option<Codecs>,
    pub sha256: String,
}

/// The wire's Task: a stage that really ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wire.md section 1 says what each field is")]
pub struct TaskView {
    pub id: TaskId,
    pub object: String,
    pub kind: String,
    pub input: String,
    pub options: Map<String, Value>,
    pub output: Option<FileView>,
    pub status: StageStatus,
    pub progress: f32,
    pub error: Option<ErrorView>,
    pub created_at: Timestamp,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// The wire's error of a job or a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wire.md section 1 says what each field is")]
pub struct ErrorView {
    pub kind: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    pub retryable: bool,
    pub log: Vec<String>,
}

impl JobView {
    /// The job with storage keys in the place of links.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let outputs: Vec<FileView> = job.state.outputs().iter().map(FileView::of).collect();
        let output = outputs.first().cloned();
        let finished_at = job.state.finished_at();
        let stages = job.tasks.iter().flat_map(|task| task.stages.as_slice());
        let tasks = stages.map(|stage| TaskView::of(stage, job, output.as_ref())).collect();
        Self {
            id: job.id,
            object: "job".to_owned(),
            kind: job.spec.options.kind(),
            status: job.state.status(),
            progress: Some(job.progress),
            input: job.spec.input.as_str().to_owned(),
            options: job.spec.raw_options.clone(),
            output_url: output.as_ref().map(|file| file.url.clone()),
            output,
            outputs,
            error: job.state.failure().map(ErrorView::of),
            metadata: job.spec.metadata.clone(),
            batch_id: job.batch_id,
            priority: job.spec.priority,
            tasks,
            created_at: job.created_at,
            started_at: job.state.started_at(),
            finished_at,
            updated_at: job.updated_at,
            task_id: job.id,
            input_url: job.spec.input.as_str().to_owned(),
            completed_at: finished_at,
        }
    }

    /// The view with every storage key replaced by the link that `link` makes of it. What went to
    /// a bucket of the user's own is named by its `s3://` URL and stays so.
    #[must_use]
    pub fn linked(mut self, link: impl Fn(&str) -> String) -> Self {
        let of_tasks = self.tasks.iter_mut().filter_map(|task| task.output.as_mut());
        let files = self.outputs.iter_mut().chain(&mut self.output).chain(of_tasks);
        for url in files.map(|file| &mut file.url).chain(&mut self.output_url) {
            if url.parse::<ObjectUrl>().is_err() {
                *url = link(url);
            }
        }
        self
    }
}

impl FileView {
    fn of(file: &File) -> Self {
        Self {
            object: "file".to_owned(),
            url: file.delivered_to.as_ref().map_or_else(|| file.key.clone(), ToString::to_string),
            kind: file.kind,
            format: file.format.clone(),
            filesize: file.filesize,
            width: file.width,
            height: file.height,
            duration: file.duration,
            fps: file.fps,
            bitrate: file.bitrate,
            codecs: file.codecs.clone(),
            sha256: file.sha256.clone(),
        }
    }
}

impl TaskView {
    fn of(stage: &Stage, job: &Job, output: Option<&FileView>) -> Self {
        let (options, output) = match stage.kind {
            StageKind::Encode(_) => (job.spec.raw_options.clone(), output.cloned()),
            StageKind::Export => (Map::new(), output.cloned()),
            StageKind::Import | StageKind::Probe => (Map::new(), None),
        };
        Self {
            id: stage.id,
            object: "task".to_owned(),
            kind: stage.kind.name().to_owned(),
            input: job.spec.input.as_str().to_owned(),
            options,
            output,
            status: stage.status,
            progress: stage.progress,
            error: stage.failure.as_ref().map(ErrorView::of),
            created_at: stage.started_at,
            started_at: stage.started_at,
            finished_at: stage.finished_at,
            updated_at: stage.finished_at.unwrap_or(stage.started_at),
        }
    }
}

impl ErrorView {
    fn of(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.name().to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            retryable: failure.kind.is_retryable(),
            log: failure.log.clone(),
        }
    }
}
