//! What the server is made of: workers, queue, storage, keys and connections.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value};

use super::desk::Visitor;
use super::page::{Frame, PageError, Posted, Section, page};
use super::words::{When, bytes, count};
use crate::access::{By, Scope};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::request::{self, AppState, Problem};
use crate::store::{Newest, Usage, WorkerSeen};

/// A process that has said nothing for so long is probably gone.
const SILENT: Duration = Duration::from_secs(45);

/// How many connections are shown; `GET /connections` has all.
const CONNECTIONS: u32 = 100;

/// A process as the page shows it.
struct Seen {
    name: String,
    id: String,
    role: &'static str,
    status: &'static str,
    told: String,
    running: u32,
    slots: u32,
    lanes: String,
    load: String,
    version: String,
    ffmpeg: String,
    containment: String,
    started: When,
}

/// A connection as the page shows it.
struct Bucket {
    id: String,
    name: String,
    place: String,
    access_key_id: String,
    created: When,
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    frame: Frame,
    workers: Vec<Seen>,
    queued: String,
    processing: String,
    pending: String,
    /// Of all projects together: for those who may know.
    storage: Option<Storage>,
    free_bytes: Option<String>,
    buckets: Vec<Bucket>,
    /// Whether there are connections that are not shown.
    has_more_buckets: bool,
    can_connect: bool,
    keys: Keys,
    is_admin: bool,
    wrong: Option<Wrong>,
}

/// What is kept, in words.
struct Storage {
    outputs: String,
    output_bytes: String,
    uploads: String,
    upload_bytes: String,
}

impl Storage {
    fn of(usage: &Usage) -> Self {
        Self {
            outputs: count(usage.outputs),
            output_bytes: bytes(usage.output_bytes),
            uploads: count(usage.uploads),
            upload_bytes: bytes(usage.upload_bytes),
        }
    }
}

/// With what one calls this server.
enum Keys {
    /// With nothing.
    Open,
    /// With a key: its public name, and its project.
    Own { name: String, project: String },
}

/// What is wrong with a connection that was to be made.
struct Wrong {
    message: String,
    hint: String,
}

/// `GET /ui/system`.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, PageError> {
    overview(&state, &visitor, None).await
}

async fn overview(
    state: &AppState,
    visitor: &Visitor,
    wrong: Option<Wrong>,
) -> Result<Response, PageError> {
    let now = state.clock.now();
    let pressure = state.store.pressure().await?;
    let is_admin = visitor.caller.may(Scope::Admin);
    let storage = if is_admin { Some(Storage::of(&state.store.usage().await?)) } else { None };
    let workers = state.store.workers().await?;
    let which = Newest::up_to(CONNECTIONS);
    let connections = state.store.connections(&visitor.caller.project, &which).await?;
    page(&SystemPage {
        frame: Frame::of(visitor, Section::System, "System"),
        workers: workers.iter().map(|worker| Seen::of(worker, now)).collect(),
        queued: count(pressure.queued),
        processing: count(pressure.processing),
        pending: count(pressure.deliveries_pending),
        storage,
        free_bytes: state.storage.free_bytes().map(bytes),
        has_more_buckets: connections.has_more,
        buckets: connections.rows.iter().map(|connection| Bucket::of(connection, now)).collect(),
        can_connect: state.keyring.can_seal(),
        keys: if visitor.is_signed_in {
            Keys::Own {
                name: visitor.caller.key.to_string(),
                project: visitor.caller.project.to_string(),
            }
        } else {
            Keys::Open
        },
        is_admin,
        wrong,
    })
}

impl Seen {
    fn of(worker: &WorkerSeen, now: Timestamp) -> Self {
        let report = &worker.report;
        let silence = now.since(worker.seen_at);
        let (status, told) = if silence > SILENT {
            ("failed", format!("said nothing for {}", super::words::rough(silence)))
        } else if worker.running > 0 {
            ("processing", "works".to_owned())
        } else {
            ("healthy", "waits for work".to_owned())
        };
        let slots = report.heavy_slots + report.light_slots;
        let unknown = || "–".to_owned();
        Self {
            name: report.name.clone(),
            id: report.id.to_string(),
            role: match (report.answers, slots) {
                (true, 0) => "answers and pushes",
                (true, _) => "answers, pushes and works",
                (false, _) => "works",
            },
            status,
            told,
            running: worker.running,
            slots,
            lanes: format!("{} heavy, {} light", report.heavy_slots, report.light_slots),
            load: report
                .load
                .map_or_else(unknown, |load| format!("{load:.1} of {}", report.processors)),
            version: report.version.clone(),
            ffmpeg: report.ffmpeg.clone().unwrap_or_else(unknown),
            containment: report.containment.clone().unwrap_or_else(unknown),
            started: When::of(report.started_at, now),
        }
    }
}

impl Bucket {
    fn of(connection: &Connection, now: Timestamp) -> Self {
        let endpoint = connection.endpoint.as_ref();
        let endpoint = endpoint.map_or("Amazon S3", |url| url.as_str().trim_end_matches('/'));
        Self {
            id: connection.id.to_string(),
            name: connection.name.clone().unwrap_or_else(|| "no name".to_owned()),
            place: format!("{endpoint}, {}", connection.region),
            access_key_id: connection.access_key_id.clone(),
            created: When::of(connection.created_at, now),
        }
    }
}

/// `POST /ui/system/connections`.
pub(super) async fn connect(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Result<Response, PageError> {
    let mut object = Map::new();
    object.insert("kind".to_owned(), "s3".into());
    for name in ["name", "endpoint", "region", "access_key_id", "secret_access_key"] {
        let text = posted.get(name).unwrap_or_default().trim();
        if !text.is_empty() {
            object.insert(name.to_owned(), Value::from(text));
        }
    }
    match request::connect(&state, &visitor.caller, &object).await {
        Ok(_) => Ok(Redirect::to("/ui/system#connections").into_response()),
        Err(problem) if problem.status().is_server_error() => Err(problem.into()),
        Err(problem) => {
            let wrong = Wrong {
                message: problem.message().to_owned(),
                hint: problem.advice().unwrap_or_default().to_owned(),
            };
            overview(&state, &visitor, Some(wrong)).await
        }
    }
}

/// `POST /ui/system/connections/{id}/delete`.
pub(super) async fn disconnect(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    _posted: Posted,
) -> Result<Response, PageError> {
    let unknown =
        || Problem::not_found("connection_not_found", "there is no connection with this id");
    let id = id.parse().map_err(|_| unknown())?;
    if !state
        .store
        .delete_connection(&visitor.caller.project, id, &By::from(&visitor.caller))
        .await?
    {
        return Err(unknown().into());
    }
    Ok(Redirect::to("/ui/system#connections").into_response())
}
