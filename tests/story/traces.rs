//! One trace a job, as its collector, its receiver and its log see it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use reelway::job::Trace;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{
    Postgres, Receiver, Server, Source, WEBHOOK_SECRET, Worker, client, eventually, serve,
    short_clip,
};

const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "vendor=a:b,other=1";

/// Spans leave soon.
const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "100");

/// A span as it came, and who sent it.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    key: String,
    span: Span,
}

impl Seen {
    fn trace(&self) -> String {
        hex::encode(&self.span.trace_id)
    }

    fn id(&self) -> String {
        hex::encode(&self.span.span_id)
    }

    fn parent(&self) -> String {
        hex::encode(&self.span.parent_span_id)
    }

    fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }

    fn failure(&self) -> Option<&str> {
        let status = self.span.status.as_ref()?;
        (status.code == 2).then_some(status.message.as_str())
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

type Spans = Arc<Mutex<Vec<Seen>>>;

/// Takes spans as a collector does.
struct Collector {
    url: String,
    spans: Spans,
}

impl Collector {
    async fn start() -> Self {
        let spans = Spans::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        Self { url: serve(app).await, spans }
    }

    /// A server that sends its spans here.
    async fn server(&self, data_dir: &Path, more: &[(&str, &str)]) -> Server {
        let env = [&[("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.as_str()), SOON], more].concat();
        Server::start_with(data_dir, &env).await
    }

    fn all(&self) -> Vec<Seen> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn named(&self, trace: &str, name: &str) -> Vec<Seen> {
        let mut found = self.all();
        found.retain(|seen| seen.trace() == trace && seen.span.name == name);
        found.sort_by_key(|seen| seen.span.start_time_unix_nano);
        found
    }

    /// The spans of a trace that have this name, once there are so many.
    async fn some(&self, trace: &str, name: &str, count: usize) -> Vec<Seen> {
        let what = format!("{count} spans {name} of {trace}");
        let found = async || Some(self.named(trace, name)).filter(|found| found.len() >= count);
        let found = eventually(&what, found).await;
        assert_eq!(found.len(), count, "{found:#?}");
        found
    }

    async fn one(&self, trace: &str, name: &str) -> Seen {
        self.some(trace, name, 1).await.remove(0)
    }
}

async fn take(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let key = headers.get("x-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes);
        let service = text(&attributes.unwrap_or_default(), "service.name").expect("a name");
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Seen { service: service.clone(), key: key.to_owned(), span });
        }
    }
}

fn sent() -> Trace {
    Trace::parse(SENT, None).expect("a trace")
}

/// POSTs it in the trace that is [`sent`].
async fn post_traced(server: &Server, path: &str, body: &Value) -> Value {
    let request = client().post(format!("{}{path}", server.url)).json(body);
    let request = request.header("traceparent", SENT).header("tracestate", STATE);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.expect("JSON")
}

/// The trace that a webhook came with.
fn trace_of(headers: &HeaderMap) -> Trace {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Trace::parse(header("traceparent").expect("a traceparent"), header("tracestate"))
        .expect("a trace")
}

#[tokio::test]
async fn a_job_is_one_trace_from_its_request_to_its_webhook() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let (receiver, collector) = (Receiver::start().await, Collector::start().await);
    let named = [
        ("OTEL_SERVICE_NAME", "media"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20key"),
        // Few lines of log are no reason for few spans.
        ("REELWAY_LOG", "error"),
    ];
    let server = collector.server(folder.path(), &named).await;
    server.get("/healthz").await;
    let body = json!({"url": source.url, "options": {"width": 160}, "webhook_url": receiver.url});
    let job = post_traced(&server, "/process", &body).await;
    let push = receiver.next().await;
    assert_eq!(push.body["status"], "succeeded");

    let trace = sent().id().to_owned();
    let one = async |name| collector.one(&trace, name).await;
    let (request, job_span, task) = (one("request").await, one("job").await, one("task").await);
    assert_eq!(request.parent(), sent().span_id());
    assert_eq!(job_span.parent(), request.id());
    assert_eq!(task.parent(), job_span.id());
    for name in ["input", "probe", "ffmpeg", "output"] {
        let step = one(name).await;
        assert_eq!(step.parent(), task.id(), "{name}");
        assert_eq!(step.failure(), None, "{name}");
    }
    let webhook = one("webhook").await;
    assert_eq!(webhook.parent(), job_span.id());
    let passed_on = trace_of(&push.headers);
    assert_eq!((passed_on.id(), passed_on.span_id()), (trace.as_str(), webhook.id().as_str()));
    assert_eq!(passed_on.state(), Some(STATE));
    assert!(passed_on.is_sampled() && push.is_verified());

    let kinds: Vec<i32> =
        [&request, &job_span, &task, &webhook].iter().map(|seen| seen.span.kind).collect();
    let expected = [SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Client];
    assert_eq!(kinds, expected.map(|kind| kind as i32));
    let told = |seen: &Seen, keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| seen.attribute(key).unwrap_or_default()).collect()
    };
    let http = ["http.request.method", "http.route", "http.response.status_code"];
    assert_eq!(told(&request, &http), ["POST", "/process", "200"]);
    let id = job["task_id"].as_str().expect("an id");
    assert_eq!(
        told(&task, &["job.id", "task.attempt", "job.kind", "task.outcome"]),
        [id, "1", "video", "succeeded"]
    );
    assert_eq!(told(&webhook, &["job.id", "http.response.status_code"]), [id, "200"]);

    server.get("/jobs").await;
    server.signal(Signal::TERM);
    assert!(server.ended().await, "SIGTERM is a good end");
    let all = collector.all();
    assert!(all.iter().all(|seen| seen.service == "media" && seen.key == "a key"), "{all:#?}");
    let mut routes: Vec<_> = all.iter().filter_map(|seen| seen.attribute("http.route")).collect();
    routes.sort();
    assert_eq!(routes, ["/jobs", "/process"], "the last is flushed, and health is in no trace");
    let texts = format!("{all:?}");
    assert!(!texts.contains(&source.url) && !texts.contains(&receiver.url), "no URL is told");
}

#[tokio::test]
async fn a_server_and_its_worker_share_one_trace() {
    let Some(database) = Postgres::fresh().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let dirs = ["api", "worker", "files"].map(|name| folder.path().join(name));
    dirs.iter().for_each(|dir| std::fs::create_dir(dir).expect("a folder"));
    let source = Source::of(&short_clip(folder.path())).await;
    let (receiver, collector) = (Receiver::start().await, Collector::start().await);
    let (url, storage) = (database.url(), format!("file://{}", dirs[2].display()));
    let shared = [("DATABASE_URL", url.as_str()), ("REELWAY_STORAGE", storage.as_str())];
    let api = [&shared[..], &[("REELWAY_NO_WORKERS", "true"), ("OTEL_SERVICE_NAME", "api")]];
    let server = collector.server(&dirs[0], &api.concat()).await;
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_SERVICE_NAME", "worker"),
        ("REELWAY_PUBLIC_URL", server.url.as_str()),
        SOON,
    ];
    let worker = Worker::start(&dirs[1], &[&shared[..], &own].concat());

    let body = json!({"input": source.url, "kind": "image", "webhook_url": receiver.url});
    post_traced(&server, "/jobs", &body).await;
    let push = receiver.next().await;
    assert_eq!(push.body["status"], "succeeded");
    assert!(worker.end().await, "SIGTERM is a good end");
    let trace = sent().id().to_owned();
    let mut services = BTreeMap::new();
    for name in ["request", "job", "task", "input", "probe", "ffmpeg", "output", "webhook"] {
        services.insert(name, collector.one(&trace, name).await.service);
    }
    for (name, service) in &services {
        let expected = if ["request", "job", "webhook"].contains(name) { "api" } else { "worker" };
        assert_eq!(service, expected, "{name}");
    }
    let (job, task) = (collector.one(&trace, "job").await, collector.one(&trace, "task").await);
    assert_eq!(task.parent(), job.id());
    server.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_trace_goes_through_the_provider_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let dirs = ["maker", "here"].map(|name| folder.path().join(name));
    dirs.iter().for_each(|dir| std::fs::create_dir(dir).expect("a folder"));
    let source = Source::of(&short_clip(folder.path())).await;
    let (receiver, collector) = (Receiver::start().await, Collector::start().await);
    let maker = collector.server(&dirs[0], &[("OTEL_SERVICE_NAME", "maker")]).await;
    let env = [
        ("OTEL_SERVICE_NAME", "here"),
        ("ITTYBIT_API_KEY", "a-key-of-this-server"),
        ("ITTYBIT_API_URL", maker.url.as_str()),
        ("ITTYBIT_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ];
    let here = collector.server(&dirs[1], &env).await;
    let body = json!({"input": source.url, "kind": "image", "webhook_url": receiver.url});
    post_traced(&here, "/jobs", &body).await;
    let push = receiver.next().await;
    assert_eq!(push.body["status"], "succeeded");
    let trace = sent().id().to_owned();
    assert_eq!(trace_of(&push.headers).id(), trace);

    let asked = collector.one(&trace, "provider").await;
    let requests = collector.some(&trace, "request", 3).await;
    let by_way: Vec<_> = requests
        .iter()
        .map(|seen| (seen.service.as_str(), seen.attribute("http.route").unwrap_or_default()))
        .collect();
    let expected = [("here", "/jobs"), ("maker", "/jobs"), ("here", "/webhooks/ittybit")];
    assert_eq!(by_way, expected.map(|(service, route)| (service, route.to_owned())));
    assert_eq!(requests[1].parent(), asked.id(), "the provider goes on where it was asked");
    let webhooks = collector.some(&trace, "webhook", 2).await;
    assert_eq!(requests[2].parent(), webhooks[0].id(), "and so does who hears of it");
    maker.kill().await;
    here.kill().await;
}

#[tokio::test]
async fn a_trace_is_passed_on_although_nobody_listens_to_this_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start().await;
    let server = Server::start(folder.path()).await;
    let body = json!({
        "url": format!("{}/nothing", serve(Router::new()).await), "webhook_url": receiver.url,
        "tasks": [{"kind": "image"}]
    });
    post_traced(&server, "/process", &body).await;
    for _ in ["the job", "its batch"] {
        let passed_on = trace_of(&receiver.next().await.headers);
        assert_eq!((passed_on.parent(), passed_on.state()), (SENT, Some(STATE)));
    }
    let wrong = client().post(format!("{}/process", server.url)).json(&body);
    let wrong = wrong.header("traceparent", "00-no-trace-01").send().await.expect("an answer");
    assert!(wrong.status().is_success(), "a trace is never a reason to refuse");
    let push = receiver.next().await;
    assert!(!push.headers.contains_key("traceparent"), "{:?}", push.headers);
    server.kill().await;
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    // One takes connections and never answers, the other takes none.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent_at = format!("http://{}", silent.local_addr().expect("an address"));
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed_at = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    for collector in [&silent_at, &closed_at] {
        let data_dir = tempfile::tempdir().expect("a folder");
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()), SOON];
        let log = folder.path().join("log");
        let server = Server::start_logging(data_dir.path(), &env, &log).await;
        let job = server.post("/jobs", &json!({"input": source.url, "kind": "image"})).await;
        let id = job["id"].as_str().expect("an id");
        let ended = server.job_when(id, |job| job["finished_at"].is_number()).await;
        assert_eq!(ended["status"], "succeeded");
        if *collector == closed_at {
            eventually("lost spans are counted", async || {
                let page = client().get(format!("{}/metrics", server.url)).send().await;
                let page = page.expect("an answer").text().await.expect("text");
                let mut lines = page.lines();
                let lost = lines.find_map(|line| line.strip_prefix("reelway_spans_lost_total "))?;
                (lost != "0").then_some(())
            })
            .await;
        }
        let asked = Instant::now();
        server.signal(Signal::TERM);
        assert!(server.ended().await, "SIGTERM is a good end");
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "{collector}: {took:?}");
        let log = std::fs::read_to_string(log).expect("the log");
        let told = log.matches("the collector does not take spans").count();
        assert!(told <= 1 && (told == 1 || *collector == silent_at), "{log}");
    }
}

#[tokio::test]
async fn every_line_about_a_job_says_which_job_and_a_retry_is_of_the_same_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let (receiver, collector) = (Receiver::start().await, Collector::start().await);
    let log = folder.path().join("log");
    let env = [
        ("REELWAY_LOG", "info"),
        ("REELWAY_LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        SOON,
    ];
    let server = Server::start_logging(folder.path(), &env, &log).await;
    let missing = format!("{}/nothing.mp4", serve(Router::new()).await);
    let body = json!({"input": missing, "kind": "video", "webhook_url": receiver.url});
    let job = post_traced(&server, "/jobs", &body).await;
    let id = job["id"].as_str().expect("an id").to_owned();
    assert_eq!(receiver.next().await.body["status"], "failed");
    server.post(&format!("/jobs/{id}/retry"), &json!({})).await;
    assert_eq!(receiver.next().await.body["status"], "failed");

    let trace = sent().id().to_owned();
    let tasks = collector.some(&trace, "task", 2).await;
    let job_span = collector.one(&trace, "job").await;
    for (number, task) in (1..).zip(&tasks) {
        assert_eq!(task.parent(), job_span.id());
        assert_eq!(task.attribute("task.attempt"), Some(format!("{number}")));
        assert_eq!(task.failure(), Some("input_not_found"));
    }
    let inputs = collector.some(&trace, "input", 2).await;
    assert!(inputs.iter().all(|input| input.failure() == Some("input_not_found")), "{inputs:#?}");
    server.signal(Signal::TERM);
    assert!(server.ended().await, "SIGTERM is a good end");

    let lines: Vec<Value> = std::fs::read_to_string(log)
        .expect("the log")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |message: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["message"] == message).collect()
    };
    let accepted = of("job accepted");
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["job.id"], id.as_str());
    assert!(accepted[0]["spans"][0]["request.id"].is_string(), "{}", accepted[0]);
    assert_eq!(accepted[0]["trace_id"], trace.as_str());
    assert_eq!(accepted[0]["span_id"], job_span.id());
    for message in ["task claimed", "task failed", "task settled"] {
        let told = of(message);
        assert_eq!(told.len(), 2, "{message}");
        for (attempt, line) in (1..).zip(told) {
            let task = &line["spans"][0];
            assert_eq!((&task["name"], &line["trace_id"]), (&json!("task"), &json!(trace)));
            assert_eq!((&task["job.id"], &task["task.attempt"]), (&json!(id), &json!(attempt)));
            assert!(task["task.id"].as_str().is_some_and(|id| id.starts_with("task_")), "{line}");
        }
    }
    for line in of("task failed") {
        assert_eq!(line["error.kind"], "input_not_found");
        assert!(
            line["error"].as_str().is_some_and(|error| error.contains("no such file")),
            "{line}"
        );
    }
    let delivered = of("webhook delivered");
    assert_eq!(delivered.len(), 2);
    for line in delivered {
        assert_eq!(line["span"]["job.id"], id.as_str(), "{line}");
        assert!(line["event.id"].is_string() && line["delivery.id"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn jobs_that_are_made_together_each_have_their_steps_and_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::of(&short_clip(folder.path())).await;
    let (receiver, collector) = (Receiver::start().await, Collector::start().await);
    let log = folder.path().join("log");
    let env = [
        // So that both stand behind the same slot.
        ("REELWAY_SLOTS", "1"),
        ("REELWAY_LOG", "info"),
        ("REELWAY_LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        SOON,
    ];
    let server = Server::start_logging(folder.path(), &env, &log).await;
    let sizes = [160, 320].map(|width| json!({"kind": "video", "options": {"width": width}}));
    let body = json!({"url": source.url, "webhook_url": receiver.url, "tasks": sizes});
    let batch = post_traced(&server, "/process", &body).await;
    for _ in ["a job", "another", "their batch"] {
        assert_eq!(receiver.next().await.body["status"], "succeeded");
    }
    let trace = sent().id().to_owned();
    let ids = |spans: Vec<Seen>| spans.iter().map(Seen::id).collect::<BTreeSet<_>>();
    let tasks = ids(collector.some(&trace, "task", 2).await);
    for name in ["input", "probe", "ffmpeg", "output"] {
        let steps = collector.some(&trace, name, 2).await;
        let parents = steps.iter().map(Seen::parent).collect::<BTreeSet<_>>();
        assert_eq!(parents, tasks, "{name}");
    }
    server.signal(Signal::TERM);
    assert!(server.ended().await, "SIGTERM is a good end");

    let log = std::fs::read_to_string(log).expect("the log");
    assert!(log.contains("tasks of one input claimed together"), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let settled = lines.filter(|line| line["message"] == "task settled");
    let mut settled: Vec<_> = settled.map(|line| line["span"]["job.id"].clone()).collect();
    settled.sort_by_key(Value::to_string);
    let made = batch["tasks"].as_array().expect("tasks").iter();
    let mut made: Vec<_> = made.map(|task| task["task_id"].clone()).collect();
    made.sort_by_key(Value::to_string);
    assert_eq!(settled, made);
}
