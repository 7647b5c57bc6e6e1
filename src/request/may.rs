//! What a handler asks of its caller, said in its signature.
//!
//! A handler gets at its caller, and so at the caller's project, only by one of these: no route
//! forgets to ask. What the document says about it is held against this by
//! `tests/it/request/keys.rs`.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::{AppState, Problem};
use crate::access::{Caller, Scope};

macro_rules! callers {
    ($($(#[$doc:meta])+ $name:ident = $scope:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone)]
        pub(super) struct $name(pub(super) Caller);

        impl FromRequestParts<AppState> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                _state: &AppState,
            ) -> Result<Self, Problem> {
                caller_for(parts, &[Scope::$scope]).map(Self)
            }
        }
    )+};
}

callers! {
    /// Makes, stops, retries and deletes.
    Writes = JobsWrite;
    /// Looks at jobs, connections and deliveries.
    Reads = JobsRead;
    /// Manages keys, and reads the audit log.
    Administers = Admin;
}

/// Gets the bytes of an upload, or asks how much of it is here.
///
/// Who sends a file must be able to ask where to go on, and gets no bytes for that.
pub(super) struct ReadsUploads(pub(super) Caller);

impl FromRequestParts<AppState> for ReadsUploads {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        let scopes: &[Scope] = if parts.method == axum::http::Method::HEAD {
            &[Scope::FilesRead, Scope::JobsWrite]
        } else {
            &[Scope::FilesRead]
        };
        caller_for(parts, scopes).map(Self)
    }
}

/// The caller, who may do one of these things.
fn caller_for(parts: &Parts, scopes: &[Scope]) -> Result<Caller, Problem> {
    let caller = parts.extensions.get::<Caller>().ok_or_else(|| {
        Problem::internal(anyhow::anyhow!("a handler that needs a caller stands before the door"))
    })?;
    check(caller, scopes)?;
    Ok(caller.clone())
}

/// Refuses a caller who may do none of these things; the first is named.
pub(super) fn check(caller: &Caller, scopes: &[Scope]) -> Result<(), Problem> {
    if scopes.iter().any(|scope| caller.may(*scope)) {
        return Ok(());
    }
    let name = scopes.first().map_or("admin", |scope| scope.name());
    let message = format!("this API key is not good for this: it has no scope `{name}`");
    Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", message)
        .hint(format!("use a key that was made with the scope `{name}`")))
}
