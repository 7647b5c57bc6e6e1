//! Keys: who has which, making one, taking one back, and who did that. For administrators.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::desk::Visitor;
use super::guard::may;
use super::page::{Frame, PageError, Posted, Section, page};
use super::words::When;
use crate::access::{AuditEntry, By, Key, Scope, Standing};
use crate::clock::Timestamp;
use crate::request::{self, AppState, Problem};
use crate::store::Newest;

/// How many entries of the audit log are shown.
const ENTRIES: u32 = 50;

/// How many keys are shown; `reelway keys list` shows all.
const KEYS: u32 = 100;

/// A key as the page shows it.
struct Row {
    id: String,
    name: String,
    project: String,
    scopes: String,
    status: &'static str,
    is_good: bool,
    created: When,
    used: Option<When>,
}

/// An entry of the audit log.
struct Entry {
    at: When,
    action: &'static str,
    subject: String,
    key: String,
    project: String,
    address: String,
}

/// What is wrong with a key that was to be made.
struct Wrong {
    message: String,
    hint: String,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Whether there are keys that are not shown.
    has_more: bool,
    entries: Vec<Entry>,
    scopes: [Scope; 4],
    /// The text of a key that was just made.
    made: Option<String>,
    wrong: Option<Wrong>,
    project: String,
}

/// `GET /ui/keys`.
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, PageError> {
    overview(&state, &visitor, None, None).await
}

async fn overview(
    state: &AppState,
    visitor: &Visitor,
    made: Option<String>,
    wrong: Option<Wrong>,
) -> Result<Response, PageError> {
    may(&visitor.caller, Scope::Admin)?;
    let now = state.clock.now();
    let keys = state.store.keys(&Newest::up_to(KEYS)).await?;
    let audit = state.store.audit(&Newest::up_to(ENTRIES)).await?;
    page(&KeysPage {
        frame: Frame::of(visitor, Section::System, "Keys"),
        rows: keys.rows.iter().map(|key| Row::of(key, now)).collect(),
        has_more: keys.has_more,
        entries: audit.rows.iter().map(|entry| Entry::of(entry, now)).collect(),
        scopes: Scope::ALL,
        made,
        wrong,
        project: visitor.caller.project.to_string(),
    })
}

impl Row {
    fn of(key: &Key, now: Timestamp) -> Self {
        let scopes: Vec<&str> = key.scopes.iter().map(Scope::name).collect();
        let standing = key.standing(now);
        Self {
            id: key.id.to_string(),
            name: key.name.clone().unwrap_or_else(|| "no name".to_owned()),
            project: key.project.to_string(),
            scopes: scopes.join(", "),
            status: standing.name(),
            is_good: matches!(standing, Standing::Good),
            created: When::of(key.created_at, now),
            used: key.last_used_at.map(|at| When::of(at, now)),
        }
    }
}

impl Entry {
    fn of(entry: &AuditEntry, now: Timestamp) -> Self {
        Self {
            at: When::of(entry.at, now),
            action: entry.action.name(),
            subject: entry.subject.clone(),
            key: entry.key_id.clone().unwrap_or_else(|| "nobody".to_owned()),
            project: entry.project.to_string(),
            address: entry.address.map_or_else(|| "–".to_owned(), |address| address.to_string()),
        }
    }
}

/// `POST /ui/keys`: its text is shown in this answer alone.
pub(super) async fn make(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Result<Response, PageError> {
    may(&visitor.caller, Scope::Admin)?;
    let mut object = Map::new();
    for name in ["name", "project"] {
        let text = posted.get(name).unwrap_or_default().trim();
        if !text.is_empty() {
            object.insert(name.to_owned(), text.into());
        }
    }
    let scopes: Vec<Value> = posted.all("scope").map(Value::from).collect();
    object.insert("scopes".to_owned(), scopes.into());
    match request::make_key(&state, &visitor.caller, &object).await {
        Ok((_, text)) => {
            let text = text.expose_secret().to_owned();
            overview(&state, &visitor, Some(text), None).await
        }
        Err(problem) if problem.status().is_server_error() => Err(problem.into()),
        Err(problem) => {
            let wrong = Wrong {
                message: problem.message().to_owned(),
                hint: problem.advice().unwrap_or_default().to_owned(),
            };
            overview(&state, &visitor, None, Some(wrong)).await
        }
    }
}

/// `POST /ui/keys/{id}/revoke`.
pub(super) async fn revoke(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    _posted: Posted,
) -> Result<Response, PageError> {
    may(&visitor.caller, Scope::Admin)?;
    let unknown = || Problem::not_found("key_not_found", "there is no key with this id");
    let id = id.parse().map_err(|_| unknown())?;
    state.store.revoke_key(id, &By::from(&visitor.caller)).await?.ok_or_else(unknown)?;
    Ok(Redirect::to("/ui/keys").into_response())
}
