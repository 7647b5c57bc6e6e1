//! What pages of this server ask for: the same checks and the same words as of the API's routes.

use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::submit::Rules;
use super::{AppState, Problem, accept, buckets, connections, kept, keys, process, upload};
use crate::access::{By, Caller, Key};
use crate::connection::Connection;
use crate::job::Job;
use crate::store::Submitted;

/// Submits what `POST /process` would take as its body; returns the jobs, on disk.
///
/// # Errors
///
/// What `POST /process` would answer.
pub async fn submit(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    object: &Map<String, Value>,
) -> Result<Arc<[Job]>, Problem> {
    let jobs = process::asked(state, object, &Rules::of(state, headers))?;
    buckets::check_connection(state, caller, jobs.iter().map(|job| &job.spec)).await?;
    kept::check_input(state, caller, jobs.iter().map(|job| &job.spec)).await?;
    let (submitted, jobs) = accept::submit(state, caller, headers, jobs, None).await?;
    match submitted {
        Submitted::Accepted => Ok(jobs),
        Submitted::QueueFull => Err(accept::queue_full()),
        // Only a request that has a name can have been sent before.
        Submitted::Replayed(_) | Submitted::Conflict => Err(accept::conflict()),
    }
}

/// Keeps a whole file as `POST /files` does; returns its URL, which jobs of the same project take as input.
///
/// # Errors
///
/// What `POST /files` would answer.
pub async fn keep(
    state: &AppState,
    caller: &Caller,
    name: &str,
    bytes: &'static [u8],
) -> Result<Url, Problem> {
    let kept = upload::kept(state, caller, name, Bytes::from_static(bytes)).await?;
    Ok(upload::url(state, kept.id))
}

/// Makes the connection that `POST /connections` would make of its body.
///
/// # Errors
///
/// What `POST /connections` would answer.
pub async fn connect(
    state: &AppState,
    caller: &Caller,
    object: &Map<String, Value>,
) -> Result<Connection, Problem> {
    let connection = connections::asked(object, caller, state)?;
    match state.store.add_connection(&connection, &By::from(caller), None).await? {
        Submitted::Accepted => Ok(connection),
        // Only a request that has a name can have been sent before.
        _ => Err(accept::conflict()),
    }
}

/// Makes the key that `POST /keys` would make of its body; its text is told this once.
///
/// # Errors
///
/// What `POST /keys` would answer.
pub async fn make_key(
    state: &AppState,
    caller: &Caller,
    object: &Map<String, Value>,
) -> Result<(Key, SecretString), Problem> {
    let (key, text) = keys::asked(object, caller, state.clock.now())?;
    match state.store.add_key(&key, &By::from(caller), None).await? {
        Submitted::Accepted => Ok((key, text)),
        // Only a request that has a name can have been sent before.
        _ => Err(accept::conflict()),
    }
}
