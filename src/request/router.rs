//! Every route, grouped by who calls it. Where it is and what it answers stands beside its
//! handler; what is added here is in the API's document too.

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::events::Seats;
use super::openapi::{self, Contract};
use super::{
    AppState, auth, batches, connections, cors, deliveries, envelope, events, files, health, jobs,
    keys, metrics, process, provider, tasks, tus, upload,
};

/// The routes by which a platform asks how a process does that answers nothing else.
pub fn health_router(state: AppState) -> Router {
    Router::from(platform().merge(counted(&state)))
        .fallback(envelope::no_route)
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}

/// Whoever watches over the server.
fn counted(state: &AppState) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(metrics::show).layer(Extension(metrics::LastLook::default())))
        .route_layer(from_fn_with_state(state.clone(), auth::require))
}

/// The platform that runs the server.
fn platform() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::alive)).routes(routes!(health::ready))
}

/// All routes over their state.
pub fn router(state: AppState) -> Router {
    router_with(state, Router::new())
}

/// What `/uploads` and `/uploads/{id}` do, to stand under other paths as well, for whoever else says
/// who is calling: a [`Caller`](crate::access::Caller) as an extension of the request.
pub fn uploads() -> [MethodRouter<AppState>; 2] {
    [
        post(tus::create).layer(from_fn(tus::speak)),
        get(tus::show).patch(tus::append).delete(tus::delete).layer(from_fn(tus::speak)),
    ]
}

/// The same with pages for people beside the API, which its document does not tell of.
pub fn router_with(state: AppState, pages: Router<AppState>) -> Router {
    let seats = Seats::new(state.limits.max_event_streams);

    // The user's own app; everything here asks for a key.
    let callers = OpenApiRouter::new()
        .routes(routes!(jobs::create, jobs::list))
        .routes(routes!(jobs::show, jobs::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::watch).layer(Extension(seats)))
        .routes(routes!(process::process))
        .routes(routes!(tasks::create))
        .routes(routes!(tasks::show))
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::show, keys::revoke))
        .routes(routes!(keys::audit))
        .routes(routes!(connections::create, connections::list))
        .routes(routes!(connections::show, connections::delete))
        .routes(routes!(deliveries::log))
        .routes(routes!(deliveries::replay_failed))
        .routes(routes!(deliveries::replay))
        .route_layer(from_fn_with_state(state.clone(), auth::require));

    // Files that callers send. They take as long as they take; the bytes themselves must not stop.
    let senders = OpenApiRouter::new()
        .routes(routes!(upload::create))
        .routes(routes!(tus::create))
        .routes(routes!(tus::create_in_folder))
        .routes(routes!(tus::show, tus::append, tus::delete))
        .route_layer(from_fn_with_state(state.clone(), auth::require))
        .routes(routes!(tus::options))
        .routes(routes!(tus::options_of_folder))
        .routes(routes!(tus::options_of_one))
        .layer(from_fn(tus::speak));

    // Whoever holds a link: players, browsers, other services.
    let holders_of_links = OpenApiRouter::new().routes(routes!(files::serve, files::preflight));

    // The provider that makes jobs in place of the workers; it signs.
    let providers = OpenApiRouter::new().routes(routes!(provider::take));

    // Whoever writes a client.
    let readers =
        OpenApiRouter::new().routes(routes!(openapi::document)).routes(routes!(openapi::page));

    // The time limit ends when an answer begins: it cuts no download and no event stream.
    let (routes, api) = OpenApiRouter::with_openapi(openapi::about())
        .merge(callers)
        .merge(holders_of_links)
        .merge(providers)
        .merge(platform())
        .merge(counted(&state))
        .merge(readers)
        .layer(from_fn_with_state(state.clone(), envelope::limit_time))
        .merge(senders)
        .split_for_parts();

    routes
        .merge(pages)
        .layer(Extension(Contract::of(&api)))
        .method_not_allowed_fallback(envelope::no_method)
        .fallback(envelope::no_route)
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(from_fn_with_state(state.clone(), cors::allow))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}
