//! `/keys` and `/audit`: who may do what, and who changed that.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::accept::answer_to;
use super::body::Sent;
use super::fields::Fields;
use super::list::NewestListing;
use super::may::Administers;
use super::openapi::{
    AuditQuery, IdempotencyKey, KeyQuery, KeyRequest, NoKeyHere, NotMade, WrongQuery,
};
use super::segment::Segment;
use super::{AppState, Problem, idempotency};
use crate::access::{AuditEntry, By, Caller, Digest, Key, Project, Scope, Scopes, fresh_text};
use crate::clock::Timestamp;
use crate::id::{KeyId, KeyTag, fresh};

/// What may be in a request for one.
pub(super) const KNOWN: &[&str] = &["name", "project", "scopes", "expires_at"];

/// The longest name in characters.
const MAX_NAME_CHARS: usize = 255;

/// A key, without its text.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    /// The key's public name; it is in the key's text too.
    #[schema(value_type = KeyTag)]
    id: KeyId,
    /// Always `key`.
    #[schema(pattern = "^key$")]
    object: &'static str,
    /// Your name for it.
    #[schema(required = true)]
    name: Option<String>,
    /// What it opens: the jobs, files, connections and deliveries of this project alone.
    #[schema(value_type = String)]
    project: Project,
    /// What it is good for.
    scopes: Vec<Scope>,
    /// `active`, `expired` or `revoked`.
    #[schema(pattern = "^(active|expired|revoked)$")]
    status: &'static str,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it is good for nothing.
    #[schema(required = true)]
    expires_at: Option<Timestamp>,
    /// Since when it is good for nothing.
    #[schema(required = true)]
    revoked_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    #[schema(required = true)]
    last_used_at: Option<Timestamp>,
}

impl KeyView {
    fn of(key: &Key, now: Timestamp) -> Self {
        Self {
            id: key.id,
            object: "key",
            name: key.name.clone(),
            project: key.project.clone(),
            scopes: key.scopes.iter().collect(),
            status: key.standing(now).name(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeKey)]
pub(super) struct MadeKeyView {
    #[serde(flatten)]
    view: KeyView,
    /// The key itself, told this once; `null` where the same request is answered again.
    #[schema(required = true)]
    key: Option<String>,
}

/// `POST /keys`.
#[utoipa::path(
    post,
    path = "/keys",
    tag = "Keys",
    operation_id = "createKey",
    summary = "Create a key",
    description = "Its text is told in this answer and never again: the server keeps a digest. The same request \
                   under the same `Idempotency-Key` makes one key, and is told the text the first time alone.",
    security(("key" = ["admin"])),
    params(IdempotencyKey),
    request_body = KeyRequest,
    responses(
        (
            status = 201,
            description = "The key, with its text.",
            body = MadeKeyView,
            headers(("Location" = String, description = "The path of the key.")),
            links(
                ("key" = (operation_id = "getKey", parameters(("id" = "$response.body#/id")))),
                ("revoke" = (operation_id = "revokeKey", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        (
            status = 200,
            description = "The key as it was when it was made, without its text: its `Idempotency-Key` is known.",
            body = MadeKeyView,
            headers(("Idempotency-Replayed" = String, description = "Always `true`.")),
        ),
        NotMade,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Administers(caller): Administers,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let (key, text) = asked(&sent.object, &caller, now)?;
    let told = |text: Option<&str>| {
        let made = MadeKeyView { view: KeyView::of(&key, now), key: text.map(str::to_owned) };
        serde_json::to_string(&made).map_err(Problem::internal)
    };
    // What is kept for the same request is what may be read: the text is not in it.
    let named = idempotency::named(&headers, &caller, "/keys", &sent.bytes, &told(None)?)?;
    let submitted = state.store.add_key(&key, &By::from(&caller), named).await?;
    let location = Some(format!("/keys/{}", key.id));
    answer_to(submitted, StatusCode::CREATED, location, told(Some(text.expose_secret()))?)
}

/// The key that a request asks for, and its text.
pub(super) fn asked(
    object: &Map<String, Value>,
    caller: &Caller,
    now: Timestamp,
) -> Result<(Key, SecretString), Problem> {
    let Asked { name, project, scopes, expires_at } = Asked::read(object, now)?;
    let id = fresh(now);
    let text = fresh_text(id);
    let key = Key {
        id,
        project: project.unwrap_or_else(|| caller.project.clone()),
        name,
        scopes,
        digest: Digest::of(text.expose_secret()),
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    Ok((key, text))
}

/// `GET /keys`: a bare list, newest first.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "Keys",
    operation_id = "listKeys",
    summary = "List keys",
    description = "Those of all projects, newest first, good or not, a page at a time. Keys of `REELWAY_API_KEY` \
                   are not among them.",
    security(("key" = ["admin"])),
    params(KeyQuery),
    responses(
        (
            status = 200,
            description = "The keys.",
            body = [KeyView],
            headers(
                ("Has-More" = bool, description = "Whether there are more in the direction of travel."),
                ("Link" = Option<String>, description = "RFC 8288: the `next` and the `prev` page."),
            ),
        ),
        WrongQuery,
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    _admin: Administers,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = NewestListing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.keys(&listing.which).await?;
    let now = state.clock.now();
    listing.answer("/keys", &page, |key| key.id, |key| KeyView::of(key, now))
}

/// `GET /keys/{id}`.
#[utoipa::path(
    get,
    path = "/keys/{id}",
    tag = "Keys",
    operation_id = "getKey",
    summary = "Get a key",
    description = "One of them, without its text.",
    security(("key" = ["admin"])),
    params(("id" = KeyTag, Path, description = "The key.")),
    responses((status = 200, description = "The key.", body = KeyView), NoKeyHere),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    _admin: Administers,
    Segment(id): Segment,
) -> Result<Json<KeyView>, Problem> {
    let key = state.store.key(key_id(&id)?).await?.ok_or_else(unknown)?;
    Ok(Json(KeyView::of(&key, state.clock.now())))
}

/// `DELETE /keys/{id}`: it opens nothing from now on. To ask twice is no error.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    tag = "Keys",
    operation_id = "revokeKey",
    summary = "Revoke a key",
    description = "It opens nothing from now on, on no server of the same database. It stays in the list.",
    security(("key" = ["admin"])),
    params(("id" = KeyTag, Path, description = "The key.")),
    responses((status = 204, description = "It is revoked."), NoKeyHere),
)]
pub(super) async fn revoke(
    State(state): State<AppState>,
    Administers(caller): Administers,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    state.store.revoke_key(key_id(&id)?, &By::from(&caller)).await?.ok_or_else(unknown)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /audit`: a bare list, newest first, with the ways on in the headers.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "Keys",
    operation_id = "listAudit",
    summary = "Read the audit log",
    description = "Who made or revoked which key, and made or deleted which connection, from where: all projects, \
                   newest first, a page at a time.",
    security(("key" = ["admin"])),
    params(AuditQuery),
    responses(
        (
            status = 200,
            description = "What was done.",
            body = [AuditEntry],
            headers(
                ("Has-More" = bool, description = "Whether there are more in the direction of travel."),
                ("Link" = Option<String>, description = "RFC 8288: the `next` and the `prev` page."),
            ),
        ),
        WrongQuery,
    ),
)]
pub(super) async fn audit(
    State(state): State<AppState>,
    _admin: Administers,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = NewestListing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.audit(&listing.which).await?;
    listing.answer("/audit", &page, |entry| entry.id, AuditEntry::clone)
}

/// What was sent, valid.
struct Asked {
    name: Option<String>,
    project: Option<Project>,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
}

impl Asked {
    fn read(object: &Map<String, Value>, now: Timestamp) -> Result<Self, Problem> {
        let fields = Fields::new("", object);
        fields.refuse_slips(KNOWN)?;
        Ok(Self {
            name: name(&fields)?,
            project: project(&fields)?,
            scopes: scopes(&fields)?.unwrap_or_else(Scopes::usual),
            expires_at: expires_at(&fields, now)?,
        })
    }
}

fn name(fields: &Fields<'_>) -> Result<Option<String>, Problem> {
    let Some(text) = fields.text("name")? else { return Ok(None) };
    let length = text.chars().count();
    if (1..=MAX_NAME_CHARS).contains(&length) && !text.contains(char::is_control) {
        return Ok(Some(text.to_owned()));
    }
    let message = format!("`name` must be 1 to {MAX_NAME_CHARS} characters without controls");
    Err(Problem::invalid_input("name", message))
}

fn project(fields: &Fields<'_>) -> Result<Option<Project>, Problem> {
    let Some(text) = fields.text("project")? else { return Ok(None) };
    text.parse().map(Some).map_err(|error| {
        Problem::invalid_input("project", format!("`project` cannot be used: {error}"))
    })
}

fn scopes(fields: &Fields<'_>) -> Result<Option<Scopes>, Problem> {
    let Some(list) = fields.list("scopes")? else { return Ok(None) };
    let names = Scope::ALL.map(Scope::name).join(", ");
    let read = |(index, value): (usize, &Value)| {
        value.as_str().and_then(Scope::from_name).ok_or_else(|| {
            let path = format!("scopes[{index}]");
            let message = format!("`{path}` must be one of {names}");
            Problem::invalid_input(path, message)
        })
    };
    let scopes: Scopes = list.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        let message = "`scopes` must name at least one, or be left out";
        return Err(Problem::invalid_input("scopes", message)
            .hint(format!("the scopes are {names}; without any a key gets all but admin")));
    }
    Ok(Some(scopes))
}

fn expires_at(fields: &Fields<'_>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(millis) = fields.count("expires_at")? else { return Ok(None) };
    let at = Timestamp::from_millis(millis);
    if at <= now {
        let message = "`expires_at` is in the past";
        return Err(Problem::invalid_input("expires_at", message)
            .hint("it is a time in milliseconds since 1970"));
    }
    Ok(Some(at))
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("key_not_found", "there is no key with this id")
        .hint("ids begin with `key_`; GET /keys lists them, without those of REELWAY_API_KEY")
}
