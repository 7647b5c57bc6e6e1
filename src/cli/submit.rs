//! `reelway submit`: a job, or several of one input, given to a running server.
//!
//! A URL is passed on as it stands. A file of this machine is sent to the server first.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use super::client::{Client, ClientError, ServerArgs, header_text};
use super::flags::{OfAny, OptionFlags};
use super::output::clean;
use super::{CliError, Terminal, interrupt, kind, send, watch};
use crate::task::{ErrorKind, Kind};

/// What makes a server on this machine fetch from this machine.
const ALLOW_LOOPBACK: &str = "start the server with REELWAY_ALLOW_NETWORKS=127.0.0.0/8,::1/128 to let it fetch from this machine";

/// What to submit.
#[derive(Clone, Debug, Args)]
pub struct SubmitArgs {
    /// An http(s) URL, or a file of this machine, which is sent to the server first
    #[arg(value_name = "INPUT")]
    pub input: String,
    /// What to make: video, audio, image, animation, `adaptive_video` or probe
    #[arg(
        long,
        value_name = "KIND",
        value_parser = kind,
        required_unless_present = "tasks",
        conflicts_with = "tasks"
    )]
    pub kind: Option<Kind>,
    /// Options as one JSON object; flags win over it
    #[arg(long = "options", value_name = "JSON", value_parser = object, conflicts_with = "tasks")]
    pub json: Option<Map<String, Value>>,
    /// Several jobs of the input at once: [{"kind": "image", "options": {…}}, …]
    #[arg(long, value_name = "JSON", value_parser = list, conflicts_with_all = OptionFlags::<OfAny>::names())]
    pub tasks: Option<List>,
    /// Where the end of the job is pushed to
    #[arg(long, value_name = "URL")]
    pub webhook: Option<Url>,
    /// Your own words as one JSON object, returned with the job
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub metadata: Option<Map<String, Value>>,
    /// A key of your own: the same request sent again with it makes no second job
    #[arg(long, value_name = "TEXT", value_parser = header_text)]
    pub idempotency_key: Option<String>,
    /// Wait for the end; exit code 1 unless every job succeeds
    #[arg(long)]
    pub wait: bool,
    /// Options of the job.
    #[command(flatten)]
    pub flags: OptionFlags<OfAny>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A JSON array.
#[derive(Clone, Debug, PartialEq)]
pub struct List(pub Vec<Value>);

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))
}

fn list(text: &str) -> Result<List, String> {
    serde_json::from_str(text).map(List).map_err(|error| format!("it is no JSON array: {error}"))
}

/// Where the media is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Remote(String),
    Local(PathBuf),
}

impl Input {
    /// What has a scheme is a URL, and the server judges it; the rest is a path.
    fn typed(text: &str) -> Self {
        match text.split_once("://") {
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Self::Remote(text.to_owned())
            }
            _ => Self::Local(text.into()),
        }
    }
}

/// Submits, and waits when that was asked or is needed.
///
/// # Errors
///
/// The server refuses or cannot be reached; when waiting, a job did not succeed.
pub async fn run(args: &SubmitArgs, terminal: &Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let url = match Input::typed(&args.input) {
        Input::Remote(url) => url,
        Input::Local(path) => tokio::select! {
            sent = send::send(&client, &path, terminal) => sent?.into(),
            () = interrupt::asked() => return Err(CliError::interrupted()),
        },
    };
    let answer = submit(&client, args, &url).await?;
    if args.wait { wait(&client, &answer, terminal).await } else { tell(&answer, terminal) }
}

async fn submit(client: &Client, args: &SubmitArgs, url: &str) -> Result<Value, ClientError> {
    let (route, body) = request(args, url);
    let key = args.idempotency_key.iter().map(|key| ("idempotency-key", key.clone()));
    client.post(&[route], &[], &key.collect::<Vec<_>>(), &body).await
}

/// The route and the body that say what was typed.
fn request(args: &SubmitArgs, url: &str) -> (&'static str, Value) {
    let (route, mut body) = if let Some(List(tasks)) = &args.tasks {
        ("process", json!({"url": url, "tasks": tasks}))
    } else {
        let mut options = args.json.clone().unwrap_or_default();
        options.extend(args.flags.options.clone());
        let kind = args.kind.map(Kind::name);
        ("jobs", json!({"input": url, "kind": kind, "options": options}))
    };
    if let Some(webhook) = &args.webhook {
        body["webhook_url"] = json!(webhook);
    }
    if let Some(metadata) = &args.metadata {
        body["metadata"] = json!(metadata);
    }
    (route, body)
}

/// The ids of the jobs that the server has accepted.
fn accepted(answer: &Value) -> Result<Vec<String>, CliError> {
    let text = |job: &Value, name: &str| job.get(name).and_then(Value::as_str).map(str::to_owned);
    let ids: Option<Vec<String>> = match answer.get("tasks").and_then(Value::as_array) {
        Some(jobs) if answer.get("batch_id").is_some_and(|_| answer.get("id").is_none()) => {
            jobs.iter().map(|job| text(job, "task_id")).collect()
        }
        _ => text(answer, "id").map(|id| vec![id]),
    };
    ids.filter(|ids| !ids.is_empty())
        .ok_or_else(|| CliError::failed("the server's answer names no job"))
}

fn tell(answer: &Value, terminal: &Terminal) -> Result<(), CliError> {
    let ids = accepted(answer)?;
    if !terminal.is_read_by_a_person() {
        return terminal.json(answer);
    }
    for id in &ids {
        terminal.line(&format!("{}  accepted", clean(id)))?;
    }
    terminal.say(&format!("follow with `reelway watch {}`", clean(&ids.join(" "))));
    Ok(())
}

async fn wait(client: &Client, answer: &Value, terminal: &Terminal) -> Result<(), CliError> {
    let ids = accepted(answer)?;
    let jobs = watch::until_interrupted(client, &ids, terminal).await?;
    watch::verdict(&jobs).map_err(|error| {
        let forbidden = |job: &Value| {
            job.pointer("/error/kind").and_then(Value::as_str)
                == Some(ErrorKind::InputForbidden.name())
        };
        if jobs.iter().any(forbidden) { error.hint(ALLOW_LOOPBACK) } else { error }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: SubmitArgs,
    }

    fn typed(words: &[&str]) -> Result<SubmitArgs, clap::Error> {
        let words = ["submit", "https://a.example/b.mp4"].iter().chain(words);
        Typed::try_parse_from(words).map(|typed| typed.args)
    }

    #[test]
    fn what_is_typed_becomes_the_request_and_flags_win_over_json() {
        let args = typed(&[
            "--kind",
            "video",
            "--options",
            r#"{"width": 1, "fit": "cover"}"#,
            "--width",
            "640",
            "--webhook",
            "https://a.example/hook",
            "--metadata",
            r#"{"n": 1}"#,
        ]);
        let (route, body) = request(&args.expect("a request"), "https://a.example/b.mp4");
        assert_eq!(route, "jobs");
        assert_eq!(
            body,
            json!({
                "input": "https://a.example/b.mp4", "kind": "video",
                "options": {"width": 640, "fit": "cover"},
                "webhook_url": "https://a.example/hook", "metadata": {"n": 1},
            })
        );
    }

    #[test]
    fn tasks_become_a_batch() {
        let args = typed(&["--tasks", r#"[{"kind": "image"}]"#]).expect("a request");
        let (route, body) = request(&args, "u");
        assert_eq!((route, body), ("process", json!({"url": "u", "tasks": [{"kind": "image"}]})));
        let answer =
            json!({"batch_id": "batch_1", "tasks": [{"task_id": "job_1"}, {"task_id": "job_2"}]});
        assert_eq!(accepted(&answer), Ok(vec!["job_1".to_owned(), "job_2".to_owned()]));
        let job = json!({"id": "job_3", "batch_id": null, "tasks": []});
        assert_eq!(accepted(&job), Ok(vec!["job_3".to_owned()]));
        assert!(accepted(&json!({"batch_id": "b", "tasks": [{}]})).is_err());
    }

    #[test]
    fn what_contradicts_itself_is_refused_where_it_is_typed() {
        assert!(typed(&[]).is_err(), "no kind");
        assert!(typed(&["--kind", "video", "--tasks", "[]"]).is_err(), "two ways");
        assert!(typed(&["--kind", "video", "--options", "[]"]).is_err(), "no object");
        assert!(typed(&["--kind", "film"]).is_err(), "no such kind");
        assert!(typed(&["--tasks", "[]", "--width", "1"]).is_err(), "an option of no task");
    }

    #[test]
    fn what_has_a_scheme_is_a_url() {
        for text in ["https://a.example/b", "s3://bucket/key", "FTP://a"] {
            assert_eq!(Input::typed(text), Input::Remote(text.to_owned()));
        }
        for text in ["clip.mp4", "/tmp/a.mp4", "./odd name://x", "C:\\clip.mp4"] {
            assert_eq!(Input::typed(text), Input::Local(text.into()));
        }
    }
}
