//! `/connections`: buckets of users' own, for inputs and outputs of jobs.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};
use url::{Host, Url};
use utoipa::ToSchema;

use super::accept::answer_to;
use super::body::Sent;
use super::fields::Fields;
use super::list::NewestListing;
use super::may::{Reads, Writes};
use super::openapi::{
    ConnectionQuery, ConnectionRequest, IdempotencyKey, NoConnection, NotConnected, WrongQuery,
};
use super::segment::Segment;
use super::{AppState, Problem, idempotency};
use crate::access::{By, Caller};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::id::{ConnectionId, ConnectionTag, fresh};

/// What may be in a request for one.
pub(super) const KNOWN: &[&str] =
    &["kind", "name", "endpoint", "region", "access_key_id", "secret_access_key"];

/// What a server that is not Amazon's is usually told.
const DEFAULT_REGION: &str = "us-east-1";

/// The longest of the texts in it.
const MAX_TEXT_CHARS: usize = 1024;

/// A bucket of your own, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(super) struct ConnectionView {
    /// The connection's name.
    #[schema(value_type = ConnectionTag)]
    id: ConnectionId,
    /// Always `connection`.
    #[schema(pattern = "^connection$")]
    object: &'static str,
    /// Always `s3`.
    #[schema(pattern = "^s3$")]
    kind: &'static str,
    /// Your name for it.
    #[schema(required = true)]
    name: Option<String>,
    /// The server, when it is not Amazon's.
    #[schema(required = true)]
    endpoint: Option<String>,
    /// The region.
    region: String,
    /// The public half of the key.
    access_key_id: String,
    /// When it was made.
    created_at: Timestamp,
}

impl ConnectionView {
    fn of(connection: &Connection) -> Self {
        let endpoint = connection.endpoint.as_ref();
        Self {
            id: connection.id,
            object: "connection",
            kind: "s3",
            name: connection.name.clone(),
            endpoint: endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()),
            region: connection.region.clone(),
            access_key_id: connection.access_key_id.clone(),
            created_at: connection.created_at,
        }
    }
}

/// `POST /connections`.
#[utoipa::path(
    post,
    path = "/connections",
    tag = "Connections",
    operation_id = "createConnection",
    summary = "Create a connection",
    description = "Keeps the keys to a bucket of your own, sealed, for `input: \"s3://…\"` and \
                   `output: \"s3://…\"` of jobs.",
    security(("key" = ["jobs:write"])),
    params(IdempotencyKey),
    request_body = ConnectionRequest,
    responses(
        (
            status = 201,
            description = "The connection, without its secret.",
            body = ConnectionView,
            headers(("Location" = String, description = "The path of the connection.")),
            links(
                ("connection" = (
                    operation_id = "getConnection",
                    parameters(("id" = "$response.body#/id")),
                )),
                ("delete" = (
                    operation_id = "deleteConnection",
                    parameters(("id" = "$response.body#/id")),
                )),
            ),
        ),
        (
            status = 200,
            description = "The connection as it was first answered: its `Idempotency-Key` is known.",
            body = ConnectionView,
            headers(("Idempotency-Replayed" = String, description = "Always `true`.")),
        ),
        NotConnected,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Writes(caller): Writes,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Problem> {
    let connection = asked(&sent.object, &caller, &state)?;
    let id = connection.id;
    let view = ConnectionView::of(&connection);
    let answer = serde_json::to_string(&view).map_err(Problem::internal)?;
    let named = idempotency::named(&headers, &caller, "/connections", &sent.bytes, &answer)?;
    let submitted = state.store.add_connection(&connection, &By::from(&caller), named).await?;
    answer_to(submitted, StatusCode::CREATED, Some(format!("/connections/{id}")), answer)
}

/// The connection that a request asks for, its secret sealed.
pub(super) fn asked(
    object: &Map<String, Value>,
    caller: &Caller,
    state: &AppState,
) -> Result<Connection, Problem> {
    let asked = Asked::read(object, state)?;
    let now = state.clock.now();
    let id = fresh(now);
    let sealed_secret = state.keyring.seal(id, &asked.secret).ok_or_else(no_key)?;
    let Asked { name, endpoint, region, access_key_id, secret: _ } = asked;
    Ok(Connection {
        id,
        project: caller.project.clone(),
        name,
        endpoint,
        region,
        access_key_id,
        sealed_secret,
        created_at: now,
    })
}

/// `GET /connections`: a bare list, newest first.
#[utoipa::path(
    get,
    path = "/connections",
    tag = "Connections",
    operation_id = "listConnections",
    summary = "List connections",
    description = "Newest first, a page at a time.",
    security(("key" = ["jobs:read"])),
    params(ConnectionQuery),
    responses(
        (
            status = 200,
            description = "The connections.",
            body = [ConnectionView],
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
    Reads(caller): Reads,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = NewestListing::parse(query.as_deref().unwrap_or_default())?;
    let page = state.store.connections(&caller.project, &listing.which).await?;
    listing.answer("/connections", &page, |connection| connection.id, ConnectionView::of)
}

/// `GET /connections/{id}`.
#[utoipa::path(
    get,
    path = "/connections/{id}",
    tag = "Connections",
    operation_id = "getConnection",
    summary = "Get a connection",
    description = "One of them, without its secret.",
    security(("key" = ["jobs:read"])),
    params(("id" = ConnectionTag, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = ConnectionView), NoConnection),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Reads(caller): Reads,
    Segment(id): Segment,
) -> Result<Json<ConnectionView>, Problem> {
    let id = id.parse().map_err(|_| unknown())?;
    let connection = state.store.connection(&caller.project, id).await?.ok_or_else(unknown)?;
    Ok(Json(ConnectionView::of(&connection)))
}

/// `DELETE /connections/{id}`: with its secret. Jobs that still need it will fail.
#[utoipa::path(
    delete,
    path = "/connections/{id}",
    tag = "Connections",
    operation_id = "deleteConnection",
    summary = "Delete a connection",
    description = "Forgets it with its secret. Jobs that still need it will fail.",
    security(("key" = ["jobs:write"])),
    params(("id" = ConnectionTag, Path, description = "The connection.")),
    responses((status = 204, description = "It is gone."), NoConnection),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| unknown())?;
    if state.store.delete_connection(&caller.project, id, &By::from(&caller)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown())
    }
}

/// What was sent, valid.
struct Asked {
    name: Option<String>,
    endpoint: Option<Url>,
    region: String,
    access_key_id: String,
    secret: SecretString,
}

impl Asked {
    fn read(object: &Map<String, Value>, state: &AppState) -> Result<Self, Problem> {
        let fields = Fields::new("", object);
        fields.refuse_slips(KNOWN)?;
        match fields.text("kind")? {
            Some("s3") => {}
            Some(_) => {
                return Err(Problem::invalid_input("kind", "`kind` must be `s3`")
                    .hint("R2, MinIO and others that speak S3 are `s3` with their `endpoint`"));
            }
            None => return Err(fields.missing("kind").hint("the kind is `s3`")),
        }
        let required = |name| text(&fields, name)?.ok_or_else(|| fields.missing(name));
        Ok(Self {
            name: text(&fields, "name")?.map(str::to_owned),
            endpoint: endpoint(&fields, state)?,
            region: text(&fields, "region")?.unwrap_or(DEFAULT_REGION).to_owned(),
            access_key_id: required("access_key_id")?.to_owned(),
            secret: required("secret_access_key")?.into(),
        })
    }
}

/// A text that can stand in a header; its value is never in the problem.
fn text<'a>(fields: &Fields<'a>, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let is_plain = name == "name" || text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty()
        || text.chars().count() > MAX_TEXT_CHARS
        || text.contains(char::is_control)
        || !is_plain
    {
        let message =
            format!("`{name}` must be 1 to {MAX_TEXT_CHARS} characters without spaces or controls");
        return Err(Problem::invalid_input(name, message));
    }
    Ok(Some(text))
}

/// Where the bucket's server is. The guard has the last word when it is reached.
fn endpoint(fields: &Fields<'_>, state: &AppState) -> Result<Option<Url>, Problem> {
    let Some(text) = text(fields, "endpoint")? else { return Ok(None) };
    let wrong = |message: &'static str| {
        Err(Problem::invalid_input("endpoint", message)
            .hint("it is a URL such as https://s3.eu-central-1.amazonaws.com, without the bucket"))
    };
    // A host may hold more as a URL has it than as a request has it.
    let url = Url::parse(text).ok().filter(|url| url.as_str().parse::<Uri>().is_ok());
    let Some(url) = url else { return wrong("`endpoint` is not a URL") };
    let has_more = url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
        || text.contains('\\');
    if !matches!(url.scheme(), "http" | "https") || has_more {
        return wrong("`endpoint` must be http or https, a host and nothing secret");
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(Some(url)),
        None => return wrong("`endpoint` has no host"),
    };
    if (state.may_reach)(address) {
        return Ok(Some(url));
    }
    let message = "`endpoint` is at a private address, which this server does not reach";
    Err(Problem::invalid_input("endpoint", message)
        .hint("use a public URL, or allow the network with REELWAY_ALLOW_NETWORKS"))
}

fn no_key() -> Problem {
    let message = "this server has no key to seal the secrets of connections with";
    Problem::new(StatusCode::NOT_IMPLEMENTED, "connections_disabled", message)
        .hint("whoever runs it sets REELWAY_SECRET_KEY to the output of `openssl rand -hex 32`")
}

fn unknown() -> Problem {
    Problem::not_found("connection_not_found", "there is no connection with this id")
        .hint("ids begin with `conn_`; GET /connections lists them")
}
