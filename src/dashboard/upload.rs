//! Files that pages send: the API's own uploads, for who is signed in.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

use super::desk::Visitor;
use super::guard::stale_form;
use super::page::is_same;
use crate::request::{self, AppState};

/// What a page's script sends in place of a form's field.
const TOKEN: HeaderName = HeaderName::from_static("x-form-token");

/// `/ui/uploads`, as `/uploads` is.
pub(super) fn routes() -> Router<AppState> {
    let [all, one] = request::uploads();
    Router::new()
        .route("/ui/uploads", all)
        .route("/ui/uploads/{id}", one)
        .route_layer(from_fn(check_token))
}

async fn check_token(request: Request, next: Next) -> Response {
    let given = request.headers().get(TOKEN).and_then(|token| token.to_str().ok());
    let visitor = request.extensions().get::<Visitor>();
    match visitor.zip(given) {
        Some((visitor, given)) if is_same(&visitor.token, given) => next.run(request).await,
        _ => stale_form().into_response(),
    }
}
