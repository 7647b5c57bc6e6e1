//! What was pushed, to whom, and what they said; pushing it again, and trying a receiver out.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::desk::{Desk, Visitor};
use super::job::Pushed;
use super::page::{Frame, PageError, Posted, Section, page};
use super::words::{When, count, span};
use crate::access::{Project, Scope};
use crate::request::{AppState, Problem};
use crate::store::{AttemptRecord, COUNTED, Delivery, DeliveryFilter, DeliveryState, Destination};

/// How many deliveries the page shows.
const SHOWN: u32 = 30;

/// How far back everything undelivered is sent again: as long as events are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// How many of the last words to operators the page shows.
const TOLD: u32 = 10;

const STATES: [DeliveryState; 4] =
    [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Held];

/// A receiver and how it has been doing.
struct Health {
    url: String,
    status: &'static str,
    told: String,
    since: Option<When>,
    pending: String,
    undelivered: String,
}

/// What a test came to.
struct Tried {
    url: String,
    answer: String,
    took: String,
    is_well: bool,
    response: Option<String>,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    frame: Frame,
    healths: Vec<Health>,
    /// Where what is wrong with the server is told: for those who may know.
    operations: Vec<Health>,
    told: Vec<Pushed>,
    deliveries: Vec<Pushed>,
    state: &'static str,
    states: [DeliveryState; 4],
    is_anything_undelivered: bool,
    replayed: Option<String>,
    tried: Option<Tried>,
    token: String,
    back: String,
}

/// `GET /ui/webhooks`.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    let (mut only, mut replayed) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "state" => only = DeliveryState::from_name(&value),
            "replayed" => replayed = value.parse().ok().map(count),
            _ => {}
        }
    }
    overview(&state, &visitor, only, replayed, None).await
}

async fn overview(
    state: &AppState,
    visitor: &Visitor,
    only: Option<DeliveryState>,
    replayed: Option<String>,
    tried: Option<Tried>,
) -> Result<Response, PageError> {
    let now = state.clock.now();
    let project = &visitor.caller.project;
    let destinations = state.store.destinations(project).await?;
    let filter = DeliveryFilter { state: only, limit: SHOWN, ..DeliveryFilter::default() };
    let deliveries = state.store.deliveries(project, &filter).await?;
    let (operations, told) = operations(state, visitor).await?;
    let pushed = |delivery: &Delivery| Pushed {
        job: delivery.job_id.map(|job| job.to_string()),
        ..Pushed::of(delivery, now)
    };
    let back = only
        .map_or("/ui/webhooks".to_owned(), |only| format!("/ui/webhooks?state={}", only.name()));
    page(&WebhooksPage {
        frame: Frame::of(visitor, Section::Webhooks, "Webhooks"),
        is_anything_undelivered: destinations.iter().any(|destination| destination.undelivered > 0),
        healths: destinations.iter().map(|destination| Health::of(destination, now)).collect(),
        operations: operations.iter().map(|destination| Health::of(destination, now)).collect(),
        told: told.iter().map(|delivery| Pushed::of(delivery, now)).collect(),
        deliveries: deliveries.iter().map(pushed).collect(),
        state: only.map_or("", DeliveryState::name),
        states: STATES,
        replayed,
        tried,
        token: visitor.token.clone(),
        back,
    })
}

/// Where operators are told, and what they were told last; nothing for others.
async fn operations(
    state: &AppState,
    visitor: &Visitor,
) -> Result<(Vec<Destination>, Vec<Delivery>), PageError> {
    if !visitor.caller.may(Scope::Admin) {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut destinations = state.store.destinations(&Project::OPERATIONS).await?;
    for destination in &mut destinations {
        let of_nobody = format!("{} ", Project::OPERATIONS);
        destination.url = destination.url.trim_start_matches(&*of_nobody).to_owned();
    }
    let filter = DeliveryFilter { limit: TOLD, ..DeliveryFilter::default() };
    Ok((destinations, state.store.deliveries(&Project::OPERATIONS, &filter).await?))
}

/// Whose a delivery may be that this visitor may see.
fn projects(visitor: &Visitor) -> Vec<Project> {
    let own = visitor.caller.project.clone();
    if visitor.caller.may(Scope::Admin) { vec![own, Project::OPERATIONS] } else { vec![own] }
}

impl Health {
    fn of(destination: &Destination, now: crate::clock::Timestamp) -> Self {
        let up_to = |number: u32| match number {
            COUNTED => format!("{} or more", count(COUNTED.into())),
            number => count(number.into()),
        };
        let (status, told) = match (destination.disabled_at, destination.failures) {
            (Some(_), _) => ("held", "nothing is sent: it answered 410, or failed for days"),
            (None, 0) => ("healthy", "takes what is sent"),
            (None, _) => ("failed", "is tried again, later each time"),
        };
        let told = match destination.failures {
            0 => told.to_owned(),
            1 => format!("{told}; 1 failure in a row"),
            failures => format!("{told}; {} failures in a row", count(failures.into())),
        };
        let since = destination.disabled_at.or(destination.failing_since);
        Self {
            url: destination.url.clone(),
            status,
            told,
            since: since.map(|at| When::of(at, now)),
            pending: up_to(destination.pending),
            undelivered: up_to(destination.undelivered),
        }
    }
}

/// `POST /ui/deliveries/{id}/replay`.
pub(super) async fn replay(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let id = id.parse().map_err(|_| unknown())?;
    let mut replayed = None;
    for project in projects(&visitor) {
        if replayed.is_none() {
            replayed = state.store.replay(&project, id).await?;
        }
    }
    let delivery = replayed.ok_or_else(unknown)?;
    let back = posted.get("back").filter(|back| back.starts_with("/ui/"));
    let to = match (back, delivery.job_id) {
        (Some(back), _) => back.to_owned(),
        (None, Some(job)) => format!("/ui/jobs/{job}#webhooks"),
        (None, None) => "/".to_owned(),
    };
    Ok(Redirect::to(&to).into_response())
}

/// `POST /ui/webhooks/replay`: all that was not delivered, as after an outage.
pub(super) async fn replay_all(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    _posted: Posted,
) -> Result<Response, PageError> {
    let since = state.clock.now().minus(KEPT);
    let replayed = state.store.replay_failed(&visitor.caller.project, since).await?;
    Ok(Redirect::to(&format!("/ui/webhooks?replayed={replayed}")).into_response())
}

/// `POST /ui/webhooks/test`: one signed message that tells nothing.
pub(super) async fn test(
    State(state): State<AppState>,
    Extension(desk): Extension<Desk>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Result<Response, PageError> {
    let text = posted.get("url").unwrap_or_default().trim();
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url.filter(|url| url.username().is_empty() && url.password().is_none()) else {
        return Err(Problem::invalid_input("url", "only http and https URLs can be called")
            .hint("it is the URL of your receiver, such as https://app.example.com/webhooks/media")
            .into());
    };
    let tried = Tried::of(text, &desk.test(url).await);
    overview(&state, &visitor, None, None, Some(tried)).await
}

impl Tried {
    fn of(url: &str, record: &AttemptRecord) -> Self {
        let is_well = record.status.is_some_and(|status| (200..300).contains(&status));
        let error = record.error.as_deref().unwrap_or("no answer").replace('_', " ");
        Self {
            url: url.to_owned(),
            answer: record.status.map_or(error, |status| status.to_string()),
            took: span(Duration::from_millis(record.duration_ms)),
            is_well,
            response: record.response.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "delivery_page.html")]
struct DeliveryPage {
    frame: Frame,
    delivery: Pushed,
    headers: Vec<(&'static str, String)>,
    body: String,
    token: String,
    back: String,
}

/// `GET /ui/deliveries/{id}`: the request as it is sent, and every answer.
pub(super) async fn delivery(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let id = id.parse().map_err(|_| unknown())?;
    let filter = DeliveryFilter { id: Some(id), limit: 1, ..DeliveryFilter::default() };
    let mut found = None;
    for project in projects(&visitor) {
        if let Some(delivery) = state.store.deliveries(&project, &filter).await?.pop() {
            found = Some((project, delivery));
        }
    }
    let (project, delivery) = found.ok_or_else(unknown)?;
    let pushed = state.store.pushed(&project, id).await?.ok_or_else(unknown)?;
    let told =
        pushed.body.clone().linked(|key| state.links.link(key), |path| state.links.page(path));
    let mut body = serde_json::to_value(&told).map_err(Problem::internal)?;
    if let Value::Object(body) = &mut body {
        body.insert("type".to_owned(), pushed.kind.name().into());
        body.insert("seq".to_owned(), pushed.seq.into());
    }
    let last = delivery.attempts.last().map_or(delivery.created_at, |attempt| attempt.at);
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", concat!("reelway/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", pushed.event.to_string()),
        ("webhook-timestamp", last.secs().to_string()),
        ("webhook-signature", "v1,… of the server's secret, anew for each attempt".to_owned()),
        ("ittybit-signature", "… of the same secret".to_owned()),
        ("webhook-attempt", pushed.attempt.max(1).to_string()),
    ];
    let job = delivery.job_id.map(|job| job.to_string());
    page(&DeliveryPage {
        frame: Frame::of(&visitor, Section::Webhooks, "Delivery"),
        delivery: Pushed { job, ..Pushed::of(&delivery, state.clock.now()) },
        headers,
        body: format!("{body:#}"),
        token: visitor.token.clone(),
        back: format!("/ui/deliveries/{id}"),
    })
}

fn unknown() -> Problem {
    Problem::not_found("delivery_not_found", "there is no delivery with this id")
        .hint("deliveries are kept for 30 days")
}
