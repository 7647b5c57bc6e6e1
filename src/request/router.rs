//! Every route, grouped by who calls it. Where it is and what it answers stands beside its
//! handler; what is added here is in the API's document too.

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::events::Seats;
use super::openapi::{self, Contract};
use super::{
    AppState, auth, batches, connections, deliveries, envelope, events, files, health, jobs,
    process, provider,
};

/// The routes by which a platform asks how a process does that answers nothing else.
pub fn health_router(state: AppState) -> Router {
    Router::from(platform()).fallback(envelope::no_route).with_state(state)
}

/// The platform that runs the server.
fn platform() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::alive)).routes(routes!(health::ready))
}

/// All routes over their state.
pub fn router(state: AppState) -> Router {
    let seats = Seats::new(state.limits.max_event_streams);

    // The user's own app; everything here asks for a key.
    let callers = OpenApiRouter::new()
        .routes(routes!(jobs::create, jobs::list))
        .routes(routes!(jobs::show, jobs::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::watch).layer(Extension(seats)))
        .routes(routes!(process::process))
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(connections::create, connections::list))
        .routes(routes!(connections::show, connections::delete))
        .routes(routes!(deliveries::log))
        .routes(routes!(deliveries::replay_failed))
        .routes(routes!(deliveries::replay))
        .route_layer(from_fn_with_state(state.clone(), auth::require));

    // Whoever holds a link: players, browsers, other services.
    let holders_of_links = OpenApiRouter::new().routes(routes!(files::serve, files::preflight));

    // The provider that makes jobs in place of the workers; it signs.
    let providers = OpenApiRouter::new().routes(routes!(provider::take));

    // Whoever writes a client.
    let readers =
        OpenApiRouter::new().routes(routes!(openapi::document)).routes(routes!(openapi::page));

    let (routes, api) = OpenApiRouter::with_openapi(openapi::about())
        .merge(callers)
        .merge(holders_of_links)
        .merge(providers)
        .merge(platform())
        .merge(readers)
        .split_for_parts();

    // The time limit ends when an answer begins: it cuts no download and no event stream.
    routes
        .layer(Extension(Contract::of(&api)))
        .method_not_allowed_fallback(envelope::no_method)
        .fallback(envelope::no_route)
        .layer(from_fn_with_state(state.clone(), envelope::limit_time))
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}
