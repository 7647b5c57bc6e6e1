//! What the API is: one OpenAPI 3.1 document for programs, and a page made of it for people.
//!
//! Each handler says beside its code what it takes and what it answers; the router collects that
//! while it is put together, so that no route can be left out. What all of them have in common
//! is added here once. The document is kept as `docs/openapi.json`, and the router's own tests
//! hold every answer against it.

mod common;
mod making;
mod page;
mod problems;
mod requests;
mod webhooks;

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::ToSchema as _;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    ServerBuilder,
};

use super::problem::Wire;
use crate::job::Kind;
use page::Page;

pub(super) use problems::*;
pub(super) use requests::*;

/// The groups of routes, in the order in which they are shown.
const TAGS: [(&str, &str); 9] = [
    ("Jobs", "Ask for media to be made of a URL, and see what became of it."),
    ("Pipeline", "The same in the pipeline's own words: one job, or several of one input."),
    ("Batches", "Jobs that were submitted together."),
    ("Tasks", "One step of the work on its own."),
    ("Files", "What was made, and what is to be worked on."),
    ("Webhooks", "What was pushed to your receivers, and pushing it again."),
    ("Connections", "Buckets of your own, for inputs and outputs."),
    ("Keys", "Who may do what, and who changed that."),
    ("Server", "What those ask who run it."),
];

/// What the document says before any route has been added.
pub(super) fn about() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Reelway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("about.md")))
        .contact(Some(ContactBuilder::new().url(Some(env!("CARGO_PKG_REPOSITORY"))).build()))
        .license(Some(license))
        .build();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A key of `REELWAY_API_KEY`, or one that `POST /keys` has told. What each operation asks of \
             it is its scope; `admin` is good for all of them. A server without keys asks for none.",
        ))
        .build();
    let link = ApiKey::Query(ApiKeyValue::with_description(
        "signature",
        "The signature of a link to a file, as `output.url` has it, together with `expires`.",
    ));
    let components = ComponentsBuilder::new()
        .schema(Wire::name(), <Wire as utoipa::PartialSchema>::schema())
        .security_scheme("key", SecurityScheme::Http(key))
        .security_scheme("link", SecurityScheme::ApiKey(link))
        .build();
    let tags =
        TAGS.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .components(Some(components))
        .security(Some([SecurityRequirement::new("key", [] as [&str; 0])]))
        .tags(Some(tags))
        .build()
}

/// The options of all kinds as the document shows them: in `kinds` a reference for each, in
/// `schemas` what is referred to by its name. Forms are made of them.
#[must_use]
pub fn options_schemas() -> Value {
    let mut schemas = Vec::new();
    let kinds = Kind::OF_JOBS.map(|kind| {
        let (options, _) = making::Making::options_of(kind, &mut schemas);
        (kind.name().to_owned(), json!(options))
    });
    let kinds: Map<String, Value> = kinds.into_iter().collect();
    let schemas: Map<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    json!({"kinds": kinds, "schemas": schemas})
}

/// The finished document, and the page that is made of it when somebody first asks.
#[derive(Clone)]
pub(super) struct Contract(Arc<Inner>);

struct Inner {
    document: Value,
    json: Bytes,
    page: OnceLock<Page>,
}

impl Contract {
    /// What the router has collected, made whole.
    pub(super) fn of(api: &OpenApi) -> Self {
        let document = common::finished(api);
        let json = format!("{document:#}\n").into();
        Self(Arc::new(Inner { document, json, page: OnceLock::new() }))
    }
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Server",
    operation_id = "getContract",
    summary = "The API as a document",
    description = "This document: OpenAPI 3.1, as JSON.",
    security(()),
    responses((status = 200, description = "The document.", body = Object)),
)]
pub(super) async fn document(Extension(Contract(contract)): Extension<Contract>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, contract.json.clone()).into_response()
}

/// `GET /docs`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Server",
    operation_id = "readContract",
    summary = "The API as a page",
    description = "The same for people: one page that needs no scripts and nothing from elsewhere.",
    security(()),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
pub(super) async fn page(Extension(Contract(contract)): Extension<Contract>) -> Response {
    let page = contract.page.get_or_init(|| Page::of(&contract.document));
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, page.policy.as_str()),
        (CACHE_CONTROL, "no-cache"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page.html.clone()).into_response()
}
