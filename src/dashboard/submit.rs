//! A new job, or several of one input, from a form.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::desk::Visitor;
use super::filters;
use super::form::Task;
use super::page::{Frame, PageError, Posted, Section, page, page_as};
use crate::id::JobId;
use crate::job::{Job, Kind};
use crate::request::{self, AppState, Problem};

/// The most tasks that one form has.
const MAX_TASKS: usize = 20;

/// What is asked of an input beside its tasks.
#[derive(Clone, Debug, Default)]
struct Shared {
    url: String,
    webhook_url: String,
    priority: String,
    output: String,
    connection_id: String,
    metadata: String,
}

/// What is wrong with the form, and where.
#[derive(Clone, Debug, Default)]
struct Wrong {
    field: String,
    message: String,
    hint: String,
}

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    frame: Frame,
    shared: Shared,
    tasks: Vec<Task>,
    kinds: [Kind; 6],
    wrong: Option<Wrong>,
    curl: Option<String>,
    /// The first number that no task has yet.
    next: usize,
}

impl NewPage {
    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.field == field)
    }

    fn has_more(&self) -> bool {
        let shared = &self.shared;
        let others = [&shared.priority, &shared.output, &shared.connection_id, &shared.metadata];
        others.iter().any(|text| !text.is_empty())
    }
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPart {
    task: Task,
}

/// `GET /ui/new`: empty, with the tasks that the address names, or as another job was sent.
pub(super) async fn form(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |wanted: &str| {
        pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let from = match value("from").and_then(|id| id.parse::<JobId>().ok()) {
        Some(id) => state.store.job(&visitor.caller.project, id).await?,
        None => None,
    };
    let (shared, tasks) = if let Some(job) = from {
        as_sent(&job)
    } else {
        let kinds = pairs.iter().filter(|(name, _)| name == "kind");
        let kinds: Vec<Kind> = kinds
            .filter_map(|(_, name)| Kind::from_name(name))
            .filter(|kind| Kind::OF_JOBS.contains(kind))
            .take(MAX_TASKS)
            .collect();
        let kinds = if kinds.is_empty() { vec![Kind::Video] } else { kinds };
        let tasks = kinds.into_iter().enumerate();
        let tasks = tasks.map(|(number, kind)| Task::of(number, kind, |_| None)).collect();
        (Shared { url: value("url").unwrap_or_default(), ..Shared::default() }, tasks)
    };
    let frame = Frame::of(&visitor, Section::New, "New job");
    page(&new_page(frame, shared, tasks, None, None))
}

fn new_page(
    frame: Frame,
    shared: Shared,
    tasks: Vec<Task>,
    wrong: Option<Wrong>,
    curl: Option<String>,
) -> NewPage {
    let next = tasks.iter().map(|task| task.number + 1).max().unwrap_or(0);
    NewPage { frame, shared, tasks, kinds: Kind::OF_JOBS, wrong, curl, next }
}

/// The form that would send this job.
fn as_sent(job: &Job) -> (Shared, Vec<Task>) {
    let spec = &job.spec;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) | Value::Null => String::new(),
        other => other.to_string(),
    };
    let sent = |name: &str| {
        let path = name.split_once('.').map_or(name, |(_, path)| path);
        let pointer = format!("/{}", path.replace('.', "/"));
        Value::Object(spec.raw_options.clone()).pointer(&pointer).map(text)
    };
    let via = spec.via.as_ref();
    let shared = Shared {
        url: spec.input.as_str().to_owned(),
        webhook_url: spec.webhook_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        priority: Some(spec.priority.get().to_string())
            .filter(|text| text != "0")
            .unwrap_or_default(),
        output: via
            .and_then(|via| via.output.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        connection_id: via.map(|via| via.connection_id.to_string()).unwrap_or_default(),
        metadata: if spec.metadata.is_empty() {
            String::new()
        } else {
            Value::Object(spec.metadata.clone()).to_string()
        },
    };
    let kind = Some(spec.options.kind()).filter(|kind| Kind::OF_JOBS.contains(kind));
    (shared, vec![Task::of(0, kind.unwrap_or(Kind::Video), sent)])
}

/// `GET /ui/new/task`: one more task for the form.
pub(super) async fn task(RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    let (mut kind, mut number) = (Kind::Video, 0);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "kind" => kind = Kind::from_name(&value).unwrap_or(kind),
            "n" => number = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    page(&TaskPart { task: Task::of(number, kind, |_| None) })
}

/// A form that was sent, read.
struct Sent {
    shared: Shared,
    tasks: Vec<Task>,
    object: Map<String, Value>,
}

impl Sent {
    fn read(posted: &Posted) -> Self {
        let text = |name: &str| posted.get(name).unwrap_or_default().trim().to_owned();
        let shared = Shared {
            url: text("url"),
            webhook_url: text("webhook_url"),
            priority: text("priority"),
            output: text("output"),
            connection_id: text("connection_id"),
            metadata: text("metadata"),
        };
        let mut tasks = Vec::new();
        for (name, value) in posted.fields() {
            let number = name.strip_prefix('t').and_then(|rest| rest.strip_suffix(".kind"));
            let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
            let kind = Kind::from_name(value).filter(|kind| Kind::OF_JOBS.contains(kind));
            let Some(kind) = kind.filter(|_| tasks.len() < MAX_TASKS) else { continue };
            tasks.push(Task::of(number, kind, |name| posted.get(name).map(str::to_owned)));
        }
        let mut object = Map::new();
        object.insert("url".to_owned(), shared.url.clone().into());
        match tasks.as_slice() {
            [only] => {
                if let Value::Object(task) = only.to_json() {
                    object.extend(task);
                }
            }
            tasks => {
                object.insert("tasks".to_owned(), tasks.iter().map(Task::to_json).collect());
            }
        }
        for (name, text) in [
            ("webhook_url", &shared.webhook_url),
            ("output", &shared.output),
            ("connection_id", &shared.connection_id),
        ] {
            if !text.is_empty() {
                object.insert(name.to_owned(), text.clone().into());
            }
        }
        if !shared.priority.is_empty() {
            let number = shared.priority.parse::<i64>();
            let value = number.map_or_else(|_| json!(shared.priority), Value::from);
            object.insert("priority".to_owned(), value);
        }
        if !shared.metadata.is_empty() {
            // What is no JSON is sent as a text: the API says what is wrong with it.
            let value = serde_json::from_str(&shared.metadata)
                .unwrap_or_else(|_| Value::String(shared.metadata.clone()));
            object.insert("metadata".to_owned(), value);
        }
        Self { shared, tasks, object }
    }

    /// Puts a problem where it belongs in the form.
    fn blame(&mut self, problem: &Problem) -> Wrong {
        let field = problem.field_name().unwrap_or_default();
        let mut wrong = Wrong {
            field: field.to_owned(),
            message: problem.message().to_owned(),
            hint: problem.advice().unwrap_or_default().to_owned(),
        };
        let (number, path) = match field.strip_prefix("tasks[") {
            Some(rest) => match rest.split_once("].") {
                Some((number, path)) => (number.parse().unwrap_or(0), path),
                None => return wrong,
            },
            None => (0, field),
        };
        if let Some(path) = path.strip_prefix("options.")
            && let Some(task) = self.tasks.get_mut(number)
            && task.blame(path, &problem.message().replace('`', ""))
        {
            wrong.field = format!("t{}.{path}", task.number);
        }
        wrong
    }
}

/// `POST /ui/new`.
pub(super) async fn send(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, PageError> {
    let mut sent = Sent::read(&posted);
    if posted.get("act") == Some("curl") {
        let curl = curl_of(&state, &headers, &sent.object);
        let frame = Frame::of(&visitor, Section::New, "New job");
        return page(&new_page(frame, sent.shared, sent.tasks, None, Some(curl)));
    }
    match request::submit(&state, &visitor.caller, &headers, &sent.object).await {
        Ok(jobs) => {
            let to = match &*jobs {
                [Job { batch_id: Some(batch), .. }, _, ..] => format!("/ui/batches/{batch}"),
                [job, ..] => format!("/ui/jobs/{}", job.id),
                [] => "/".to_owned(),
            };
            Ok(Redirect::to(&to).into_response())
        }
        Err(problem) => {
            if problem.status().is_server_error() {
                return Err(problem.into());
            }
            let wrong = sent.blame(&problem);
            let frame = Frame::of(&visitor, Section::New, "New job");
            let form = new_page(frame, sent.shared, sent.tasks, Some(wrong), None);
            page_as(StatusCode::UNPROCESSABLE_ENTITY, &form)
        }
    }
}

/// `POST /ui/sample`: three things of the server's own small film, for whoever has none at hand.
pub(super) async fn sample(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    _posted: Posted,
) -> Result<Response, PageError> {
    let url = request::keep(&state, &visitor.caller, "sample.mp4", super::assets::SAMPLE).await?;
    let asked = json!({"url": url, "tasks": [
        {"kind": "video", "options": {"width": 480}},
        {"kind": "image", "options": {"sprite": {"columns": 4, "rows": 4}, "interval": 0.5, "width": 160}},
        {"kind": "image", "options": {"start": 1, "format": "webp"}},
        {"kind": "audio", "options": {"waveform": "json"}}
    ]});
    let Value::Object(object) = asked else { return Ok(Redirect::to("/").into_response()) };
    let jobs = request::submit(&state, &visitor.caller, &headers, &object).await?;
    let batch = jobs.first().and_then(|job| job.batch_id);
    let to = batch.map_or_else(|| "/".to_owned(), |batch| format!("/ui/batches/{batch}"));
    Ok(Redirect::to(&to).into_response())
}

/// `POST /ui/new/curl`: the form as a command, to be shown below it.
pub(super) async fn curl(
    State(state): State<AppState>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, PageError> {
    let sent = Sent::read(&posted);
    page(&CurlPart { curl: curl_of(&state, &headers, &sent.object) })
}

#[derive(Template)]
#[template(path = "curl.html")]
struct CurlPart {
    curl: String,
}

/// A command that does what the form does.
fn curl_of(state: &AppState, headers: &HeaderMap, object: &Map<String, Value>) -> String {
    let key = if state.auth.is_open() {
        ""
    } else {
        "  -H \"authorization: Bearer $REELWAY_API_KEY\" \\\n"
    };
    let body = format!("{:#}", Value::Object(object.clone()));
    format!(
        "curl -X POST {}/process \\\n{key}  -H 'content-type: application/json' \\\n  -d {}",
        origin(state, headers),
        quoted(&body)
    )
}

/// What somebody can paste who has nothing yet: a small film of the server's own is uploaded, and
/// three things are made of it.
pub(super) fn first_curl(state: &AppState, headers: &HeaderMap) -> String {
    let origin = origin(state, headers);
    let key =
        if state.auth.is_open() { "" } else { " -H \"authorization: Bearer $REELWAY_API_KEY\"" };
    let sample = super::assets::path("sample.mp4");
    format!(
        "url=$(curl -s {origin}{sample} | curl -s {origin}/files{key} \\\n  \
           -H 'content-type: video/mp4' --data-binary @- | grep -o 'http[^\"]*')\n\
         curl {origin}/process{key} -H 'content-type: application/json' -d \"{{\n  \
           \\\"url\\\": \\\"$url\\\", \\\"tasks\\\": [{{\\\"kind\\\": \\\"video\\\"}}, {{\\\"kind\\\": \\\"image\\\"}}, {{\\\"kind\\\": \\\"audio\\\"}}]}}\""
    )
}

/// How this visitor has reached the server.
fn origin(state: &AppState, headers: &HeaderMap) -> String {
    let public = state.public_url.as_str().trim_end_matches('/').to_owned();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match host.filter(|host| {
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
    }) {
        Some(host) if !public.ends_with(host) => format!("{}://{host}", state.public_url.scheme()),
        _ => public,
    }
}

/// A text in single quotes, as a shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let text = "{\"title\": \"it's $HOME `x` \\\" \n\"}";
        assert_eq!(shlex::split(&quoted(text)), Some(vec![text.to_owned()]));
    }
}
