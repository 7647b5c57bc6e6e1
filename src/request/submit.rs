//! From a JSON object to [`JobSpec`]s: the second step of reading a request.
//!
//! Pure: no clock, no store, no network. After it nothing about a job is "maybe valid"; whether
//! its input is there and what it holds is found out by the worker.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use url::{Host, Url};

use super::fields::Fields;
use super::kept::{self, Here};
use super::{AppState, Problem, buckets};
use crate::job::options::closest;
use crate::job::{InputError, InputUrl, JobSpec, Kind, Options, Priority, Via};

/// The most that a caller may keep in `metadata`, in bytes of JSON.
const MAX_METADATA_BYTES: usize = 16 << 10;

/// What may be in a request for one job.
pub(super) const KNOWN: &[&str] = &[
    "tasks",
    "input",
    "url",
    "kind",
    "options",
    "metadata",
    "webhook_url",
    "output",
    "connection_id",
    "priority",
];

/// What may be in a request for several.
const KNOWN_OF_BATCH: &[&str] =
    &["input", "url", "tasks", "metadata", "webhook_url", "priority", "output", "connection_id"];

/// What may be in each of them.
pub(super) const KNOWN_OF_TASK: &[&str] = &["kind", "options"];

/// What a request is measured against.
pub(super) struct Rules<'a> {
    /// Whether inputs and webhooks may be at this address.
    pub(super) may_reach: &'a (dyn Fn(IpAddr) -> bool + Send + Sync),
    /// Where pushes go when a job names no `webhook_url`.
    pub(super) default_webhook_url: Option<&'a Url>,
    /// The most tasks in a batch.
    pub(super) max_tasks: usize,
    /// The kinds that the route takes.
    pub(super) kinds: &'static [Kind],
    /// Which URLs are this server's own.
    pub(super) here: Here<'a>,
}

impl<'a> Rules<'a> {
    /// What a request for jobs with these headers is measured against.
    pub(super) fn of(state: &'a AppState, headers: &'a HeaderMap) -> Self {
        Self {
            may_reach: &*state.may_reach,
            default_webhook_url: state.default_webhook_url.as_ref(),
            max_tasks: state.limits.max_tasks,
            kinds: &Kind::OF_JOBS,
            here: Here {
                public_url: &state.public_url,
                host: headers.get(HOST).and_then(|host| host.to_str().ok()),
                links: &state.links,
            },
        }
    }
}

/// Reads a request for one job; `default_kind` is what it makes when it does not say.
pub(super) fn one(
    object: &Map<String, Value>,
    default_kind: Option<Kind>,
    rules: &Rules<'_>,
) -> Result<JobSpec, Problem> {
    let fields = Fields::new("", object);
    fields.refuse_slips(KNOWN)?;
    let shared = Shared::read(&fields, default_kind.is_some(), rules)?;
    let (options, raw_options) = options(&fields, default_kind, rules)?;
    let via = buckets::via(&fields, &shared.input, Some(&options))?;
    Ok(shared.job(options, raw_options, via))
}

/// Reads a request for several jobs of one input, in the order in which they were sent.
pub(super) fn batch(
    object: &Map<String, Value>,
    rules: &Rules<'_>,
) -> Result<Vec<JobSpec>, Problem> {
    let fields = Fields::new("", object);
    fields.refuse_slips(KNOWN_OF_BATCH)?;
    for name in KNOWN_OF_TASK {
        if fields.has(name) {
            let message = format!("`{name}` cannot stand beside `tasks`");
            return Err(Problem::invalid_input(*name, message)
                .hint("put it into each of the tasks that it is for"));
        }
    }
    let tasks = fields.list("tasks")?.ok_or_else(|| fields.missing("tasks"))?;
    if tasks.is_empty() || tasks.len() > rules.max_tasks {
        let message =
            format!("`tasks` must have 1 to {} entries, not {}", rules.max_tasks, tasks.len());
        return Err(Problem::invalid_input("tasks", message));
    }
    let shared = Shared::read(&fields, true, rules)?;
    let via = buckets::via(&fields, &shared.input, None)?;
    buckets::refuse_one_place_for_many(via.as_ref())?;
    let read = |(index, task)| {
        let (options, raw_options) = task_of_batch(index, task, rules)?;
        Ok(shared.clone().job(options, raw_options, via.clone()))
    };
    tasks.iter().enumerate().map(read).collect()
}

fn task_of_batch(
    index: usize,
    task: &Value,
    rules: &Rules<'_>,
) -> Result<(Options, Map<String, Value>), Problem> {
    let Value::Object(object) = task else {
        let path = format!("tasks[{index}]");
        let message = format!("`{path}` must be an object such as {{\"kind\": \"image\"}}");
        return Err(Problem::invalid_input(path, message));
    };
    let prefix = format!("tasks[{index}].");
    let fields = Fields::new(&prefix, object);
    fields.refuse_slips(KNOWN_OF_TASK)?;
    let shared = ["input", "url", "metadata", "webhook_url", "priority", "output", "connection_id"];
    for name in shared {
        if fields.has(name) {
            let path = fields.path(name);
            let message = format!("`{path}` cannot stand inside `tasks`");
            return Err(Problem::invalid_input(path, message)
                .hint(format!("put `{name}` beside `tasks`: it is shared by all of them")));
        }
    }
    options(&fields, None, rules)
}

/// What the jobs of one request have in common.
#[derive(Clone)]
struct Shared {
    input: InputUrl,
    metadata: Map<String, Value>,
    webhook_url: Option<Url>,
    priority: Priority,
}

impl Shared {
    fn read(fields: &Fields<'_>, prefers_url: bool, rules: &Rules<'_>) -> Result<Self, Problem> {
        Ok(Self {
            input: input(fields, prefers_url, rules)?,
            metadata: metadata(fields)?,
            webhook_url: webhook_url(fields, rules)?,
            priority: priority(fields)?,
        })
    }

    fn job(self, options: Options, raw_options: Map<String, Value>, via: Option<Via>) -> JobSpec {
        let Self { input, metadata, webhook_url, priority } = self;
        JobSpec { input, options, raw_options, metadata, webhook_url, priority, via }
    }
}

/// The pipeline calls it `url` and the media API `input`; each takes the other's name too.
fn input(fields: &Fields<'_>, prefers_url: bool, rules: &Rules<'_>) -> Result<InputUrl, Problem> {
    let names = if prefers_url { ["url", "input"] } else { ["input", "url"] };
    let name = names.into_iter().find(|name| fields.has(name)).unwrap_or(names[0]);
    let text = fields.text(name)?.ok_or_else(|| fields.missing(name))?;
    reachable(name, text, "fetched", rules)
}

fn webhook_url(fields: &Fields<'_>, rules: &Rules<'_>) -> Result<Option<Url>, Problem> {
    match fields.text("webhook_url")? {
        None => Ok(rules.default_webhook_url.cloned()),
        Some(text) => {
            reachable("webhook_url", text, "called", rules).map(|url| Some(url.url().clone()))
        }
    }
}

/// A URL that this server may go to, as far as that can be told without asking the network.
fn reachable(
    name: &'static str,
    text: &str,
    what: &str,
    rules: &Rules<'_>,
) -> Result<InputUrl, Problem> {
    let url = InputUrl::parse(text).map_err(|error| refused(name, error, what))?;
    if name != "webhook_url"
        && let Some(kept) =
            rules.here.named_by(url.url()).map_err(|error| kept::bad_link(name, error))?
    {
        return Ok(url.keeping(kept));
    }
    if url.object().is_some() {
        return if name == "webhook_url" {
            Err(refused(name, InputError::Scheme, what))
        } else {
            Ok(url)
        };
    }
    if is_out_of_reach(&url, rules) {
        return Err(Problem::invalid_input(name, format!("`{name}` is at {PRIVATE}")).hint(REACH));
    }
    Ok(url)
}

const PRIVATE: &str = "a private address, which this server does not reach";
const REACH: &str = "use a public URL, or allow the network with REELWAY_ALLOW_NETWORKS";

/// Whether a URL names an address that this server does not reach; names are asked for later.
fn is_out_of_reach(url: &InputUrl, rules: &Rules<'_>) -> bool {
    match url.url().host() {
        Some(Host::Ipv4(address)) => !(rules.may_reach)(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !(rules.may_reach)(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => false,
    }
}

fn refused(name: &'static str, error: InputError, what: &str) -> Problem {
    let message = match error {
        InputError::Scheme if name == "webhook_url" => {
            format!("only http and https URLs can be {what}")
        }
        InputError::Scheme => format!("only http, https and s3 URLs can be {what}"),
        error => error.to_string(),
    };
    let problem = Problem::invalid_input(name, format!("`{name}` cannot be used: {message}"));
    match advice(name, error) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// What whoever sent such a URL can do.
fn advice(name: &str, error: InputError) -> Option<&'static str> {
    Some(match error {
        InputError::NotAUrl | InputError::Scheme if name == "webhook_url" => {
            "for example https://app.example.com/webhooks/media"
        }
        InputError::NotAUrl | InputError::Scheme => {
            "for example https://example.com/a.mp4; a file of your own is sent to POST /files first, \
             and the `url` of its answer is an input"
        }
        InputError::UserInfo => "let the query of the URL open it, as signed links do",
        InputError::Characters => "write them percent-encoded: a space is %20",
        InputError::Object | InputError::TooLong => return None,
    })
}

fn metadata(fields: &Fields<'_>) -> Result<Map<String, Value>, Problem> {
    let metadata = fields.object("metadata")?.cloned().unwrap_or_default();
    let size = serde_json::to_vec(&metadata).map_err(Problem::internal)?.len();
    if size > MAX_METADATA_BYTES {
        let message =
            format!("`metadata` is {size} bytes of JSON; {MAX_METADATA_BYTES} are allowed");
        return Err(Problem::invalid_input("metadata", message)
            .hint("keep the data on your side and send an id of it"));
    }
    Ok(metadata)
}

fn priority(fields: &Fields<'_>) -> Result<Priority, Problem> {
    let Some(number) = fields.integer("priority")? else { return Ok(Priority::default()) };
    Priority::try_from(number).map_err(|message| {
        let field = fields.path("priority");
        let message = format!("`{field}` cannot be {number}: {message}");
        Problem::invalid_input(field, message)
    })
}

/// The kind and the options that belong to it.
fn options(
    fields: &Fields<'_>,
    default_kind: Option<Kind>,
    rules: &Rules<'_>,
) -> Result<(Options, Map<String, Value>), Problem> {
    let kind = match fields.text("kind")? {
        Some(name) => kind(fields, name, rules.kinds)?,
        None => default_kind.ok_or_else(|| {
            let kinds: Vec<&str> = names(rules.kinds).collect();
            fields.missing("kind").hint(format!("the kinds are {}", kinds.join(", ")))
        })?,
    };
    let raw = fields.options(|name| !KNOWN.contains(&name) && Options::has(kind, name))?;
    let options = Options::decode(kind, &raw)
        .map_err(|error| Problem::invalid_option(&fields.path("options"), error))?;
    if let Some(url) = options.subtitle_url()
        && is_out_of_reach(url, rules)
    {
        let path = fields.path("options.subtitle_url");
        let message = format!("`{path}` is at {PRIVATE}");
        return Err(Problem::invalid_input(path, message).hint(REACH));
    }
    Ok((options, raw))
}

fn kind(fields: &Fields<'_>, name: &str, kinds: &[Kind]) -> Result<Kind, Problem> {
    let wrong = |message: String| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_kind", message).field(fields.path("kind"))
    };
    match Kind::from_name(name) {
        Some(kind) if kinds.contains(&kind) => Ok(kind),
        Some(_) => Err(wrong(format!("`{name}` is a kind of tasks, and of no job"))
            .hint(r#"send it to POST /tasks, with an object as `input`: {"url": "https://…"}"#)),
        None => {
            let shown: String = name.chars().take(40).collect();
            let all: Vec<&str> = names(kinds).collect();
            let problem =
                wrong(format!("there is no kind `{shown}`; there are {}", all.join(", ")));
            Err(match closest(&shown, all) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                None => problem,
            })
        }
    }
}

fn names(kinds: &[Kind]) -> impl Iterator<Item = &'static str> {
    kinds.iter().map(|kind| kind.name())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::json;

    use super::*;
    use crate::output::Links;

    static PUBLIC_URL: LazyLock<Url> =
        LazyLock::new(|| Url::parse("https://media.example.com").expect("a URL"));

    static LINKS: LazyLock<Links> = LazyLock::new(|| {
        let life = std::time::Duration::from_hours(1);
        let clock = std::sync::Arc::new(crate::clock::SystemClock);
        Links::new(PUBLIC_URL.clone(), "secret".into(), life, clock)
    });

    fn rules() -> Rules<'static> {
        Rules {
            here: Here { public_url: &PUBLIC_URL, host: None, links: &LINKS },
            may_reach: &|address| !address.is_loopback() && address != IpAddr::from([10, 0, 0, 1]),
            default_webhook_url: None,
            max_tasks: 3,
            kinds: &Kind::ALL,
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    fn read(value: Value) -> Result<JobSpec, Problem> {
        one(&object(value), None, &rules())
    }

    #[test]
    fn a_literal_private_address_is_refused_however_it_is_written() {
        for url in [
            "http://127.0.0.1/a",
            "http://0x7f.1/a",
            "http://2130706433/a",
            "http://[::1]:80/a",
            "http://10.0.0.1./a",
        ] {
            for value in [
                json!({"input": url, "kind": "video"}),
                json!({"input": "http://a.example/", "kind": "video", "webhook_url": url}),
            ] {
                let problem = read(value).expect_err(url);
                assert_eq!(problem.kind(), "invalid_input", "{url}");
                assert!(format!("{problem:?}").contains("private address"), "{problem:?}");
            }
        }
        read(json!({"input": "http://192.0.2.7/a", "kind": "video"})).expect("a public address");
    }

    #[test]
    fn the_options_are_kept_as_they_were_sent() {
        let sent = json!({"width": "50%", "quality": "low"});
        let spec = read(json!({"url": "http://a.example/b", "kind": "image", "options": sent}))
            .expect("a job");
        assert_eq!(Value::Object(spec.raw_options), sent);
        assert_eq!(spec.input.as_str(), "http://a.example/b");
    }

    #[test]
    fn null_is_the_same_as_nothing() {
        let spec = read(json!({
            "input": "http://a.example/", "url": null, "kind": "video", "options": null,
            "metadata": null, "webhook_url": null, "output": null, "connection_id": null
        }))
        .expect("a job");
        assert!(spec.raw_options.is_empty() && spec.metadata.is_empty());
        assert_eq!(spec.webhook_url, None);
    }

    #[test]
    fn a_connection_is_asked_for_where_it_is_needed_and_nowhere_else() {
        let id = "conn_01h2xcejqtf2nbrexx3vqjhp41";
        let (web, object) = ("http://a.example/", "s3://media/in.mp4");
        for (input, output, connection, wrong) in [
            (web, None, None, None),
            (object, None, Some(id), None),
            (web, Some("s3://media/out.mp4"), Some(id), None),
            (object, Some("s3://media/made/"), Some(id), None),
            (object, None, None, Some("connection_id")),
            (web, Some("s3://media/out.mp4"), None, Some("connection_id")),
            (web, None, Some(id), Some("connection_id")),
            (web, Some("s3://media/out.mp4"), Some("conn_1"), Some("connection_id")),
            (web, Some("https://media.example/"), Some(id), Some("output")),
            (web, Some("s3://media/../out.mp4"), Some(id), Some("output")),
            ("s3://media", None, Some(id), Some("input")),
        ] {
            let read = read(json!({
                "input": input, "kind": "video", "output": output, "connection_id": connection
            }));
            let case = format!("{input} {output:?} {connection:?}: {read:?}");
            match (read, wrong) {
                (Ok(spec), None) => assert_eq!(spec.via.is_some(), connection.is_some(), "{case}"),
                (Err(problem), Some(field)) => {
                    assert!(format!("{problem:?}").contains(&format!("{field:?}")), "{case}");
                }
                _ => panic!("{case}"),
            }
        }
    }

    #[test]
    fn several_tasks_share_a_folder_and_no_object() {
        let sent = |output: &str| {
            json!({
                "url": "http://a.example/", "output": output,
                "connection_id": "conn_01h2xcejqtf2nbrexx3vqjhp41",
                "tasks": [{"kind": "image"}, {"kind": "audio"}]
            })
        };
        assert!(batch(&object(sent("s3://media/made/")), &rules()).is_ok());
        assert!(batch(&object(sent("s3://media/made.mp4")), &rules()).is_err());
    }

    #[test]
    fn metadata_may_be_16_kib_and_no_more() {
        let with = |bytes: usize| {
            let text = "x".repeat(bytes - r#"{"a":""}"#.len());
            json!({"input": "http://a.example/", "kind": "video", "metadata": {"a": text}})
        };
        read(with(MAX_METADATA_BYTES)).expect("a job");
        assert!(read(with(MAX_METADATA_BYTES + 1)).is_err());
    }

    #[test]
    fn the_jobs_of_a_batch_share_what_stands_beside_tasks() {
        let value = json!({
            "url": "http://a.example/", "metadata": {"n": 1}, "webhook_url": "https://b.example/",
            "tasks": [{"kind": "image"}, {"kind": "audio", "options": {"format": "wav"}}]
        });
        let specs = batch(&object(value), &rules()).expect("jobs");
        let kinds: Vec<Kind> = specs.iter().map(|spec| spec.options.kind()).collect();
        assert_eq!(kinds, [Kind::Image, Kind::Audio]);
        for spec in specs {
            assert_eq!(spec.metadata["n"], 1);
            assert_eq!(spec.webhook_url.map(String::from).as_deref(), Some("https://b.example/"));
        }
    }
}
