//! Every route, grouped by who calls it.

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

use super::events::Seats;
use super::{
    AppState, auth, batches, connections, deliveries, envelope, events, files, health, jobs,
    process,
};

/// The routes by which a platform asks how a process does that answers nothing else.
pub fn health_router(state: AppState) -> Router {
    let routes =
        Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready));
    routes.fallback(envelope::no_route).with_state(state)
}

/// All routes over their state.
pub fn router(state: AppState) -> Router {
    let seats = Seats::new(state.limits.max_event_streams);

    // The user's own app; everything here asks for a key.
    let callers = Router::new()
        .route("/process", post(process::process))
        .route("/jobs", post(jobs::create).get(jobs::list))
        .route("/jobs/{id}", get(jobs::show).delete(jobs::delete))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/batches", get(batches::list))
        .route("/batches/{id}", get(batches::show))
        .route("/connections", post(connections::create).get(connections::list))
        .route("/connections/{id}", get(connections::show).delete(connections::delete))
        .route("/webhooks/deliveries", get(deliveries::log))
        .route("/webhooks/deliveries/replay", post(deliveries::replay_failed))
        .route("/webhooks/deliveries/{id}/replay", post(deliveries::replay))
        .route("/jobs/{id}/events", get(events::watch).layer(Extension(seats)))
        .route_layer(from_fn_with_state(state.clone(), auth::require));

    // Whoever holds a link: players, browsers, other services.
    let holders_of_links =
        Router::new().route("/files/{*key}", get(files::serve).options(files::preflight));

    // The platform that runs the server.
    let platform =
        Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready));

    // The time limit ends when an answer begins: it cuts no download and no event stream.
    Router::new()
        .merge(callers)
        .merge(holders_of_links)
        .merge(platform)
        .method_not_allowed_fallback(envelope::no_method)
        .fallback(envelope::no_route)
        .layer(from_fn_with_state(state.clone(), envelope::limit_time))
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}
