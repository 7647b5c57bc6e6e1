//! The bodies and queries that handlers read by hand, as schemas.
//!
//! They are read field by field, so that every error names its exact path; serde derives no
//! schema of that. The tests below hold each of them against the reader: the same names, and
//! what the one takes the other takes.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::super::RequestLimits;
use super::making::{Doing, Making};
use crate::access::Scope;
use crate::id::{AuditTag, BatchTag, ConnectionTag, JobTag, KeyTag, TaskTag};
use crate::job::{InputUrl, Kind, Priority, Status};
use crate::store::DeliveryState;

/// Named schemas on their way into the document.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What jobs can be told beside what they make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what `submit` reads by hand")]
pub(in crate::request) struct JobSettings {
    /// Your own words: returned unchanged in every answer and webhook, at most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: (),
    /// Where the end of the job is pushed to; without it to the server's default, if it has one.
    #[schema(format = "uri", pattern = "^[hH][tT][tT][pP][sS]?://", max_length = 8192)]
    webhook_url: Option<String>,
    priority: Option<Priority>,
    /// Where the outputs go: `s3://bucket/key`, or `s3://bucket/folder/`; needs `connection_id`.
    #[schema(pattern = "^[sS]3://[A-Za-z0-9]")]
    output: Option<String>,
    /// The keys to the bucket of `output` or of an `s3://` input.
    #[schema(value_type = Option<ConnectionTag>)]
    connection_id: (),
}

/// A request for one job.
pub(in crate::request) struct JobRequest;

/// A request for one job, or for several of one input with `tasks`.
pub(in crate::request) struct ProcessRequest;

/// A request for one task.
pub(in crate::request) struct TaskRequest;

impl PartialSchema for TaskRequest {
    fn schema() -> RefOr<Schema> {
        let id = <TaskTag as ToSchema>::name();
        let of_task = ObjectBuilder::new()
            .property("task_id", Ref::from_schema_name(id))
            .required("task_id")
            .property("url", nothing());
        let of_url = ObjectBuilder::new()
            .property("url", url())
            .required("url")
            .property("task_id", nothing());
        let input = OneOfBuilder::new()
            .description(Some(
                "Where the media is: at a URL, or where another task has put its output.",
            ))
            .item(of_url)
            .item(of_task);
        let task = AllOfBuilder::new()
            .title(Some("A task"))
            .item(ObjectBuilder::new().property("input", input).required("input"))
            .item(Ref::from_schema_name(JobSettings::name()))
            .item(Ref::from_schema_name(Doing::name()));
        AnyOfBuilder::new()
            .description(Some("A request for one task, or for a job with a text as `input`."))
            .item(task)
            .item(Ref::from_schema_name(JobRequest::name()))
            .examples([
                json!({
                    "kind": "video", "input": {"url": "https://example.com/upload.mov"},
                    "options": {"width": 1280}
                }),
                json!({"kind": "import", "input": {"url": "https://example.com/upload.mov"}}),
            ])
            .into()
    }
}

impl ToSchema for TaskRequest {
    fn schemas(schemas: &mut Schemas) {
        schemas.push((TaskTag::name().into_owned(), TaskTag::schema()));
        register::<Doing>(schemas);
        register::<JobRequest>(schemas);
    }
}

impl PartialSchema for JobRequest {
    fn schema() -> RefOr<Schema> {
        AllOfBuilder::new()
            .description(Some("A request for one job."))
            .item(address("input", "url"))
            .item(Ref::from_schema_name(JobSettings::name()))
            .item(Ref::from_schema_name(Making::name()))
            .examples(examples())
            .into()
    }
}

impl ToSchema for JobRequest {
    fn schemas(schemas: &mut Schemas) {
        register::<JobSettings>(schemas);
        register::<Making>(schemas);
    }
}

/// Requests that the documentation shows.
fn examples() -> [serde_json::Value; 3] {
    [
        json!({
            "input": "https://example.com/upload.mov", "kind": "video",
            "options": {"format": "mp4", "width": 1280, "quality": "high"},
            "webhook_url": "https://app.example.com/webhooks/media", "metadata": {"post": 4711}
        }),
        json!({
            "input": "https://example.com/upload.mov", "kind": "image",
            "options": {"format": "webp", "width": 640, "start": 2}
        }),
        json!({
            "input": "https://example.com/upload.mov", "kind": "animation",
            "options": {"width": 320, "start": 1, "end": 4}
        }),
    ]
}

impl ProcessRequest {
    /// One job; a kind that is not said is `video`.
    fn single() -> AllOfBuilder {
        let (schemas, video) = (&mut Schemas::new(), Kind::Video);
        let (options, _) = Making::options_of(video, schemas);
        let video = ObjectBuilder::new()
            .property("kind", or_null(named(video)))
            .property("options", or_null(options));
        let making = AnyOfBuilder::new().item(video).item(Ref::from_schema_name(Making::name()));
        AllOfBuilder::new()
            .title(Some("One job"))
            .item(address("url", "input"))
            .item(ObjectBuilder::new().property("tasks", nothing()))
            .item(Ref::from_schema_name(JobSettings::name()))
            .item(making)
    }

    /// Several jobs of one input: what stands beside `tasks` is shared by all of them.
    fn batch() -> AllOfBuilder {
        let tasks = ArrayBuilder::new()
            .items(Ref::from_schema_name(Making::name()))
            .min_items(Some(1))
            .max_items(Some(RequestLimits::default().max_tasks))
            .description(Some("What is made of the input: all are accepted or none."));
        let tasks = ObjectBuilder::new()
            .property("tasks", tasks)
            .required("tasks")
            .property("kind", nothing())
            .property("options", nothing());
        AllOfBuilder::new()
            .title(Some("Several jobs of one input"))
            .item(address("url", "input"))
            .item(tasks)
            .item(Ref::from_schema_name(JobSettings::name()))
    }
}

impl PartialSchema for ProcessRequest {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .description(Some("A request for one job, or for several of one input with `tasks`."))
            .item(Self::single())
            .item(Self::batch())
            .examples([
                json!({"url": "https://example.com/upload.mov", "options": {"width": 640}}),
                json!({
                    "url": "https://example.com/upload.mov",
                    "webhook_url": "https://app.example.com/webhooks/media",
                    "tasks": [
                        {"kind": "video", "options": {"width": 1920, "quality": "high"}},
                        {"kind": "image", "options": {"format": "webp", "width": 640, "start": 2}},
                        {"kind": "video", "options": {"width": 480, "quality": "low"}}
                    ]
                }),
            ])
            .into()
    }
}

impl ToSchema for ProcessRequest {
    fn schemas(schemas: &mut Schemas) {
        JobRequest::schemas(schemas);
    }
}

/// The answer to a request for one job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
pub(in crate::request) struct Processing {
    /// The job's name.
    #[schema(value_type = JobTag)]
    task_id: (),
    /// Always `processing`: it is under way, whether a worker has it already or not.
    #[schema(pattern = "^processing$")]
    status: String,
}

/// The answer to a request for several jobs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
pub(in crate::request) struct ProcessingBatch {
    /// The batch's name.
    #[schema(value_type = BatchTag)]
    batch_id: (),
    /// The jobs, in the order in which they were sent.
    tasks: Vec<ProcessingTask>,
}

/// One of several jobs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
pub(in crate::request) struct ProcessingTask {
    /// The job's name.
    #[schema(value_type = JobTag)]
    task_id: (),
    /// What it makes.
    kind: Kind,
    /// Always `processing`.
    #[schema(pattern = "^processing$")]
    status: String,
}

/// What `POST /process` answers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of an answer that is written as JSON")]
pub(in crate::request) enum ProcessAnswer {
    /// One job.
    One(Processing),
    /// Several.
    Several(ProcessingBatch),
}

/// A bucket of your own and the keys to it.
#[derive(ToSchema)]
#[schema(example = json!({
    "kind": "s3", "name": "media", "endpoint": "https://s3.eu-central-1.amazonaws.com",
    "region": "eu-central-1", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "a-secret"
}))]
#[expect(dead_code, reason = "the schema of what `connections` reads by hand")]
pub(in crate::request) struct ConnectionRequest {
    /// Always `s3`: R2, MinIO and others that speak it have their `endpoint`.
    #[schema(pattern = "^s3$")]
    kind: String,
    /// Your name for it.
    #[schema(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", max_length = 1024)]
    name: Option<String>,
    /// The server, when it is not Amazon's.
    #[schema(format = "uri", pattern = "^[hH][tT][tT][pP][sS]?://[!-~]+$", max_length = 1024)]
    endpoint: Option<String>,
    /// The region; `us-east-1` when nothing is said.
    #[schema(pattern = "^[!-~]+$", max_length = 1024)]
    region: Option<String>,
    /// The public half of the key.
    #[schema(pattern = "^[!-~]+$", max_length = 1024)]
    access_key_id: String,
    /// The secret half: kept sealed, never shown again.
    #[schema(pattern = "^[!-~]+$", max_length = 1024, write_only)]
    secret_access_key: String,
}

/// A key to be made.
#[derive(ToSchema)]
#[schema(example = json!({"name": "the app", "project": "team-a", "scopes": ["jobs:write", "jobs:read"]}))]
#[expect(dead_code, reason = "the schema of what `keys` reads by hand")]
pub(in crate::request) struct KeyRequest {
    /// Your name for it.
    #[schema(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", max_length = 255)]
    name: Option<String>,
    /// What it opens; the project of the key that makes it when nothing is said.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]*$", max_length = 64)]
    project: Option<String>,
    /// What it is good for; all but `admin` when nothing is said.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Scope>>,
    /// From when on it is good for nothing, in milliseconds since 1970; never when nothing is said.
    #[schema(minimum = 0)]
    expires_at: Option<i64>,
}

/// The query of a list that is shown newest first; its rows are named by a `$tag`.
macro_rules! newest_query {
    ($(#[$doc:meta] $name:ident, $tag:ty;)+) => {$(
        #[$doc]
        #[derive(IntoParams)]
        #[into_params(parameter_in = Query)]
        #[expect(dead_code, reason = "the schema of what `list` reads by hand")]
        pub(in crate::request) struct $name {
            /// How many at most; 20 when nothing is said.
            #[param(required = false, minimum = 1, maximum = 100, default = 20)]
            limit: u32,
            /// Only rows behind this one in the list's order.
            #[param(required = false, value_type = $tag)]
            after: (),
            /// Only rows in front of this one in the list's order.
            #[param(required = false, value_type = $tag)]
            before: (),
        }
    )+};
}

newest_query! {
    /// Which keys, and how many.
    KeyQuery, KeyTag;
    /// Which connections, and how many.
    ConnectionQuery, ConnectionTag;
    /// Which lines of the audit log, and how many.
    AuditQuery, AuditTag;
}

/// Which deliveries to push again.
#[derive(ToSchema)]
#[schema(example = json!({"since": 1_764_000_000_000_i64}))]
#[expect(dead_code, reason = "the schema of what `deliveries` reads by hand")]
pub(in crate::request) struct ReplayRequest {
    /// All that failed or are held since this moment, in milliseconds since 1970; 0 for all.
    #[schema(minimum = 0)]
    since: i64,
}

/// Which jobs, in which order, how many.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the schema of what `list` reads by hand")]
pub(in crate::request) struct JobQuery {
    /// Only jobs of this kind.
    #[param(required = false)]
    kind: Kind,
    /// Only jobs that stand so.
    #[param(required = false)]
    status: Status,
    /// Only jobs of this input, as it was sent.
    #[param(required = false)]
    input: String,
    /// Only jobs of this batch.
    #[param(required = false, value_type = BatchTag)]
    batch_id: (),
    /// How many at most; 20 when nothing is said.
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// Only jobs behind this one in the list's order.
    #[param(required = false, value_type = JobTag)]
    after: (),
    /// Only jobs in front of this one in the list's order.
    #[param(required = false, value_type = JobTag)]
    before: (),
    /// `desc` begins with the newest, and is meant when nothing is said.
    #[param(inline, required = false)]
    order: Order,
}

/// Which batches, in which order, how many.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the schema of what `list` reads by hand")]
pub(in crate::request) struct BatchQuery {
    /// Only batches of this input, as it was sent.
    #[param(required = false)]
    input: String,
    /// How many at most; 20 when nothing is said.
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// Only batches behind this one in the list's order.
    #[param(required = false, value_type = BatchTag)]
    after: (),
    /// Only batches in front of this one in the list's order.
    #[param(required = false, value_type = BatchTag)]
    before: (),
    /// `desc` begins with the newest, and is meant when nothing is said.
    #[param(inline, required = false)]
    order: Order,
}

/// The order of a list.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of what `list` reads by hand")]
pub(in crate::request) enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

/// Which deliveries, and how many.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the schema of what `list` reads by hand")]
pub(in crate::request) struct DeliveryQuery {
    /// Only deliveries of this job.
    #[param(required = false, value_type = JobTag)]
    job_id: (),
    /// Only deliveries of this batch's end.
    #[param(required = false, value_type = BatchTag)]
    batch_id: (),
    /// Only deliveries that stand so.
    #[param(required = false)]
    state: DeliveryState,
    /// The deliveries about the server itself in place of one's own: for keys with the scope `admin`.
    #[param(required = false, default = false)]
    operations: bool,
    /// How many at most; 20 when nothing is said.
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    limit: u32,
}

/// The caller's name of its request: sent again under it, it is done once.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the schema of what `idempotency` reads by hand")]
pub(in crate::request) struct IdempotencyKey {
    /// Your name of this request, such as a fresh UUID: sent again with the same body, it is done
    /// once and answered the same.
    #[param(rename = "Idempotency-Key", required = false, pattern = "^[!-~]{1,255}$")]
    key: String,
}

/// Adds a schema and all that it refers to; returns its name and itself.
pub(super) fn register<T: ToSchema>(schemas: &mut Schemas) -> (Cow<'static, str>, RefOr<Schema>) {
    let (name, schema) = (T::name(), T::schema());
    schemas.push((name.clone().into_owned(), schema.clone()));
    T::schemas(schemas);
    (name, schema)
}

/// The one thing that every request has: where the media is, under the route's own name for it or
/// under the other route's.
fn address(field: &str, other: &str) -> AnyOfBuilder {
    let named = |name: &str| ObjectBuilder::new().property(name, url()).required(name);
    AnyOfBuilder::new().item(named(field)).item(named(other).property(field, nothing()))
}

fn url() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "Where the media is: an http or https URL, or `s3://bucket/key` with a connection. \
             Private addresses are refused.",
        ))
        .format(Some(utoipa::openapi::SchemaFormat::Custom("uri".to_owned())))
        .pattern(Some("^([hH][tT][tT][pP][sS]?|[sS]3)://"))
        .max_length(Some(InputUrl::MAX_LEN))
        .examples(["https://example.com/upload.mov"])
}

pub(super) fn named(kind: Kind) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind.name()]))
}

fn nothing() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

pub(super) fn or_null(schema: impl Into<RefOr<Schema>>) -> OneOfBuilder {
    OneOfBuilder::new().item(nothing()).item(schema)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::openapi::path::ParameterIn;

    use super::super::super::{connections, keys, list, submit};
    use super::*;

    fn parameters<T: IntoParams>() -> BTreeSet<String> {
        T::into_params(|| Some(ParameterIn::Query)).into_iter().map(|one| one.name).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The names of all fields anywhere in a schema, without those of what it refers to.
    fn fields(schema: RefOr<Schema>) -> BTreeSet<String> {
        fn collect(value: &serde_json::Value, found: &mut BTreeSet<String>) {
            if let Some(properties) = value["properties"].as_object() {
                found.extend(properties.keys().cloned());
            }
            for name in ["allOf", "anyOf", "oneOf"] {
                value[name].as_array().into_iter().flatten().for_each(|part| collect(part, found));
            }
        }
        let mut found = BTreeSet::new();
        collect(&serde_json::to_value(schema).expect("JSON"), &mut found);
        found
    }

    #[test]
    fn a_query_has_the_parameters_that_its_reader_knows() {
        assert_eq!(parameters::<JobQuery>(), set(list::JOB_PARAMETERS));
        for newest in
            [parameters::<AuditQuery>(), parameters::<ConnectionQuery>(), parameters::<KeyQuery>()]
        {
            assert_eq!(newest, set(list::NEWEST_PARAMETERS));
        }
        assert_eq!(parameters::<BatchQuery>(), set(list::BATCH_PARAMETERS));
        assert_eq!(parameters::<DeliveryQuery>(), set(list::DELIVERY_PARAMETERS));
    }

    #[test]
    fn a_body_has_the_fields_that_its_reader_knows() {
        let settings = || fields(JobSettings::schema());
        let making = || fields(Making::of(Kind::Video, &mut Schemas::new()));
        let all = |schema| -> BTreeSet<String> {
            [fields(schema), settings(), making()].into_iter().flatten().collect()
        };
        assert_eq!(all(ProcessRequest::schema()), set(submit::KNOWN));
        let without_tasks = set(submit::KNOWN).into_iter().filter(|name| name != "tasks");
        assert_eq!(all(JobRequest::schema()), without_tasks.collect());
        assert_eq!(making(), set(submit::KNOWN_OF_TASK));
        assert_eq!(fields(ConnectionRequest::schema()), set(connections::KNOWN));
        assert_eq!(fields(KeyRequest::schema()), set(keys::KNOWN));
    }
}
