//! A job as everybody sees it: the one object of wire.md section 1.
//!
//! Answers, webhooks and the log of ended jobs show the same [`JobView`]. A view is first made
//! with storage keys where links belong, and that is how it is kept; [`JobView::linked`] puts
//! fresh links in when it is read, so that a link never runs out in a drawer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Codecs, File, FileKind, Job, Kind, Loudness, Priority, Status};
use crate::clock::Timestamp;
use crate::id::{BatchId, BatchTag, JobId, JobTag, TaskId, TaskTag};
use crate::task::{ErrorKind, Failure, Stage, StageKind, StageStatus};

/// What was asked and how it stands: the one object of every answer and webhook about a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// The job's name: the same in the answer to its submission, in every other and in webhooks.
    #[schema(value_type = JobTag)]
    pub id: JobId,
    /// Always `job`.
    #[schema(pattern = "^job$")]
    pub object: String,
    /// What it makes.
    pub kind: Kind,
    /// How it stands.
    pub status: Status,
    /// Per cent; never goes back.
    #[schema(required = true, minimum = 0, maximum = 100)]
    pub progress: Option<f32>,
    /// The URL as it was sent.
    pub input: String,
    /// The options as they were sent, defaults not filled in.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
    /// The file that was made, the first of them when there are several.
    #[schema(required = true)]
    pub output: Option<FileView>,
    /// Every file that was made.
    pub outputs: Vec<FileView>,
    /// The `url` of `output`.
    #[schema(required = true)]
    pub output_url: Option<String>,
    /// Why it failed.
    #[schema(required = true)]
    pub error: Option<ErrorView>,
    /// The caller's own words, unchanged.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The jobs that it was submitted with.
    #[schema(value_type = Option<BatchTag>, required = true)]
    pub batch_id: Option<BatchId>,
    /// How urgent it is; absent when it is as urgent as any.
    #[serde(skip_serializing_if = "Priority::is_usual", default)]
    pub priority: Priority,
    /// The stages that the work has passed through.
    pub tasks: Vec<TaskView>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker first took it.
    #[schema(required = true)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required = true)]
    pub finished_at: Option<Timestamp>,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// The pipeline's name for `id`.
    #[schema(value_type = JobTag)]
    pub task_id: JobId,
    /// The pipeline's name for `input`.
    pub input_url: String,
    /// The pipeline's name for `finished_at`.
    #[schema(required = true)]
    pub completed_at: Option<Timestamp>,
}

/// A file that was made, with facts read from the file itself; what does not apply is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = File)]
pub struct FileView {
    /// Always `file`.
    #[schema(pattern = "^file$")]
    pub object: String,
    /// Where it is: a link that is fresh in every answer, the `s3://` URL in a bucket of the user's
    /// own, or the URL at the provider that made it.
    pub url: String,
    /// What it is.
    pub kind: FileKind,
    /// Its container or image format, as in the options.
    pub format: String,
    /// Size in bytes; absent when a provider made it and did not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filesize: Option<u64>,
    /// Width in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    /// Length in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration: Option<f64>,
    /// Pictures a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fps: Option<f64>,
    /// Bits a second, of the whole file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate: Option<u64>,
    /// What the streams are coded in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codecs: Option<Codecs>,
    /// How loud it is, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loudness: Option<Loudness>,
    /// SHA-256 of its bytes in lower-case hex; absent when a provider made it and did not say.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
}

/// A stage that really ran: `import`, `probe`, the encode under its kind's name, `export`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskView {
    /// The stage's name.
    #[schema(value_type = TaskTag)]
    pub id: TaskId,
    /// Always `task`.
    #[schema(pattern = "^task$")]
    pub object: String,
    /// Which stage it is.
    pub kind: String,
    /// The job's input.
    pub input: String,
    /// The job's options, in the stage that they are for.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
    /// What came of it.
    #[schema(required = true)]
    pub output: Option<FileView>,
    /// How it stands.
    pub status: StageStatus,
    /// What was done, where it could have been done in another way: what was copied and what
    /// encoded, and with which jobs it was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// Per cent of this stage.
    #[schema(minimum = 0, maximum = 100)]
    pub progress: f32,
    /// Why it failed.
    #[schema(required = true)]
    pub error: Option<ErrorView>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(required = true)]
    pub finished_at: Option<Timestamp>,
    /// When it ended, or began as long as it has not.
    pub updated_at: Timestamp,
}

/// Why a job or a stage failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobError)]
pub struct ErrorView {
    /// The stable name of what went wrong.
    #[schema(value_type = ErrorKind)]
    pub kind: String,
    /// What went wrong, for a person.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Whether the same work may succeed when it is tried again.
    pub retryable: bool,
    /// The last meaningful lines that the tool said.
    #[schema(max_items = 20)]
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

    /// The view with every storage key replaced by the link that `link` makes of it. What is kept
    /// elsewhere, in a bucket of the user's own or with a provider, is named by its URL and stays so.
    #[must_use]
    pub fn linked(mut self, link: impl Fn(&str) -> String) -> Self {
        let of_tasks = self.tasks.iter_mut().filter_map(|task| task.output.as_mut());
        let files = self.outputs.iter_mut().chain(&mut self.output).chain(of_tasks);
        for url in files.map(|file| &mut file.url).chain(&mut self.output_url) {
            if !url.contains("://") {
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
            url: file.url_elsewhere().unwrap_or_else(|| file.key.clone()),
            kind: file.kind,
            format: file.format.clone(),
            filesize: Some(file.filesize).filter(|size| *size > 0),
            width: file.width,
            height: file.height,
            duration: file.duration,
            fps: file.fps,
            bitrate: file.bitrate,
            codecs: file.codecs.clone(),
            loudness: file.loudness,
            sha256: Some(file.sha256.clone()).filter(|digest| !digest.is_empty()),
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
            summary: stage.summary.clone(),
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
            hint: Some(failure.advice()),
            retryable: failure.kind.is_retryable(),
            log: failure.log.clone(),
        }
    }
}
