//! Jobs as a person reads them: the server's JSON in, text out.
//!
//! An answer that is no job of this version is shown as the JSON that it is.

use std::fmt::Write as _;

use console::style;
use serde::Deserialize as _;
use serde_json::Value;

use super::output::{age, clean, size, span, table, times_real};
use crate::clock::Timestamp;
use crate::job::Status;
use crate::job::view::{FileView, JobView, TaskView};
use crate::task::StageStatus;

/// A list of jobs as a table, no line longer than `width`.
#[must_use]
pub(super) fn list(jobs: &[Value], now: Timestamp, width: usize) -> String {
    let heading = ["ID", "KIND", "STATUS", "DONE", "AGE", "INPUT"].map(str::to_owned);
    let rows = jobs.iter().map(|job| match JobView::deserialize(job) {
        Ok(job) => row(&job, now),
        Err(_) => std::array::from_fn(|column| match column {
            5 => clean(&job.to_string()),
            _ => "?".to_owned(),
        }),
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    table(&rows, width)
}

fn row(job: &JobView, now: Timestamp) -> [String; 6] {
    [
        job.id.to_string(),
        job.kind.name().to_owned(),
        coloured(job.status),
        percent(job.progress),
        age(now.millis() - job.created_at.millis()),
        clean(&job.input),
    ]
}

fn percent(progress: Option<f32>) -> String {
    progress.map(|percent| format!("{percent:.0} %")).unwrap_or_default()
}

fn coloured(status: Status) -> String {
    let name = style(status.name());
    match status {
        Status::Succeeded => name.green(),
        Status::Failed => name.red(),
        Status::Processing => name.cyan(),
        Status::Queued | Status::Cancelled => name.dim(),
    }
    .to_string()
}

/// One job as a block of lines: how it stands, its stages with their times, what it made.
#[must_use]
pub(super) fn block(job: &Value) -> String {
    match JobView::deserialize(job) {
        Ok(job) => lines(&job),
        Err(_) => serde_json::to_string_pretty(job).unwrap_or_default(),
    }
}

fn lines(job: &JobView) -> String {
    let kind = job.kind.name();
    let mut text = format!("{}  {kind}  {}", job.id, coloured(job.status));
    if !job.status.is_final() {
        let _ = write!(text, "  {}", percent(job.progress));
    }
    let mut line = |name: &str, value: &str| {
        let _ = write!(text, "\n  {name:<9} {value}");
    };
    line("input", &clean(&job.input));
    if !job.options.is_empty() {
        line("options", &clean(&Value::Object(job.options.clone()).to_string()));
    }
    if let (Some(start), Some(end)) = (job.started_at, job.finished_at) {
        line("took", &span(end.millis() - start.millis()));
    }
    for task in &job.tasks {
        let facts: Vec<_> = std::iter::once(stage(task)).chain(speed(job, task)).collect();
        line(&clean(&task.kind), &facts.join("  "));
        if let Some(summary) = &task.summary {
            line("", &clean(summary));
        }
    }
    for file in &job.outputs {
        line("output", &facts(file));
    }
    // Between two tries the job has no error of its own.
    let of_stage = || job.tasks.last().and_then(|task| task.error.as_ref());
    if let Some(error) = job.error.as_ref().or_else(of_stage) {
        line("error", &clean(&format!("{}: {}", error.kind, error.message)));
        for said in &error.log {
            line("", &clean(said));
        }
        if let Some(hint) = &error.hint {
            line("hint", &clean(hint));
        }
    }
    text
}

fn stage(task: &TaskView) -> String {
    let took = task.finished_at.map(|end| span(end.millis() - task.started_at.millis()));
    match (task.status, took) {
        (StageStatus::Succeeded, Some(took)) => took,
        (StageStatus::Failed, Some(took)) => format!("failed after {took}"),
        (StageStatus::Cancelled, Some(took)) => format!("cancelled after {took}"),
        _ => percent(Some(task.progress)),
    }
}

/// How the time of the stage that made the output compares with the output's own.
fn speed(job: &JobView, task: &TaskView) -> Option<String> {
    let made = job.output.as_ref().filter(|_| task.kind == job.kind.name());
    let plays_secs = made?.duration?;
    let took_millis = task.finished_at?.millis() - task.started_at.millis();
    (took_millis > 0).then(|| times_real(plays_secs, took_millis as f64 / 1000.0))
}

fn facts(file: &FileView) -> String {
    let mut facts = vec![clean(&file.format)];
    if let (Some(width), Some(height)) = (file.width, file.height) {
        facts.push(format!("{width} x {height}"));
    }
    if let Some(secs) = file.duration {
        facts.push(span((secs * 1000.0) as i64));
    }
    facts.extend(file.filesize.map(size));
    facts.push(clean(&file.url));
    facts.join("  ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: &str) -> Value {
        let id = "job_01h2xcejqtf2nbrexx3vqjhp41";
        json!({
            "id": id, "object": "job", "kind": "video", "status": status, "progress": 42.4,
            "input": "https://example.com/a.mp4", "options": {"width": 640},
            "output": null, "outputs": [], "output_url": null, "error": null, "metadata": {},
            "batch_id": null, "tasks": [], "created_at": 1000, "started_at": null,
            "finished_at": null, "updated_at": 1000, "task_id": id,
            "input_url": "https://example.com/a.mp4", "completed_at": null,
        })
    }

    fn task(kind: &str, status: &str, start: i64, end: Option<i64>) -> Value {
        json!({
            "id": "task_01h2xcejqtf2nbrexx3vqjhp41", "object": "task", "kind": kind,
            "input": "https://example.com/a.mp4", "options": {}, "output": null,
            "status": status, "progress": 50.0, "error": null, "created_at": start,
            "started_at": start, "finished_at": end, "updated_at": start,
        })
    }

    #[test]
    fn a_list_is_a_table() {
        let shown = list(&[job("queued"), json!({"new": 1})], Timestamp::from_millis(65_000), 78);
        insta::assert_snapshot!(console::strip_ansi_codes(&shown), @r#"
        ID                              KIND   STATUS  DONE  AGE    INPUT
        job_01h2xcejqtf2nbrexx3vqjhp41  video  queued  42 %  1 min  https://example.c…
        ?                               ?      ?       ?     ?      {"new":1}
        "#);
    }

    #[test]
    fn a_job_is_a_block_with_its_stages_and_its_files() {
        let mut job = job("succeeded");
        job["started_at"] = json!(2000);
        job["finished_at"] = json!(6500);
        job["tasks"] = json!([
            task("import", "succeeded", 2000, Some(2400)),
            task("video", "succeeded", 2400, Some(6500)),
        ]);
        job["tasks"][1]["summary"] = json!("copied video");
        job["outputs"] = json!([{
            "object": "file", "url": "http://127.0.0.1:3000/files/a.mp4", "kind": "video",
            "format": "mp4", "filesize": 1_234_567, "width": 640, "height": 360,
            "duration": 12.5, "sha256": "00",
        }]);
        job["output"] = job["outputs"][0].clone();
        insta::assert_snapshot!(console::strip_ansi_codes(&block(&job)), @r#"
        job_01h2xcejqtf2nbrexx3vqjhp41  video  succeeded
          input     https://example.com/a.mp4
          options   {"width":640}
          took      4.5 s
          import    400 ms
          video     4.1 s  3.0 x real time
                    copied video
          output    mp4  640 x 360  12.5 s  1.2 MB  http://127.0.0.1:3000/files/a.mp4
        "#);
    }

    #[test]
    fn a_job_between_two_tries_says_why_it_waits() {
        let mut job = job("queued");
        job["tasks"] = json!([task("import", "failed", 2000, Some(2400))]);
        job["tasks"][0]["error"] = json!({
            "kind": "disk_full", "message": "the server's disk is full", "retryable": true,
            "hint": "make room", "log": [],
        });
        insta::assert_snapshot!(console::strip_ansi_codes(&block(&job)), @r#"
        job_01h2xcejqtf2nbrexx3vqjhp41  video  queued  42 %
          input     https://example.com/a.mp4
          options   {"width":640}
          import    failed after 400 ms
          error     disk_full: the server's disk is full
          hint      make room
        "#);
    }

    #[test]
    fn a_failed_job_says_why_and_where() {
        let mut job = job("failed");
        job["started_at"] = json!(2000);
        job["finished_at"] = json!(2400);
        job["tasks"] = json!([task("import", "failed", 2000, Some(2400))]);
        job["error"] = json!({
            "kind": "input_not_found", "message": "the server says 404", "retryable": false,
            "hint": "check the URL", "log": ["GET \u{1b}[2J 404"],
        });
        insta::assert_snapshot!(console::strip_ansi_codes(&block(&job)), @r#"
        job_01h2xcejqtf2nbrexx3vqjhp41  video  failed
          input     https://example.com/a.mp4
          options   {"width":640}
          took      400 ms
          import    failed after 400 ms
          error     input_not_found: the server says 404
                    GET �[2J 404
          hint      check the URL
        "#);
    }
}
