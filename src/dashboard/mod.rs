//! Pages for people: what goes on, why something failed, and what to do about it.
//!
//! Plain HTML made on the server from the store's own words, readable without scripts; htmx keeps
//! it up to date over one event stream a page. Whoever signs in does it with an API key and is
//! the same caller here as there. Nothing that a stranger has sent is ever markup: templates escape
//! all of it, and the pages' policy runs no script but the ones in `assets`. The API knows
//! nothing of these pages and takes none of their cookies.

mod assets;
mod batches;
mod desk;
mod filters;
mod form;
mod guard;
mod job;
mod jobs;
mod keys;
mod live;
mod output;
mod page;
mod row;
mod sign_in;
mod submit;
mod system;
mod throttle;
mod timeline;
mod upload;
mod webhooks;
mod words;

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};

pub use desk::{Desk, Tester};

use crate::request::AppState;

/// Every page. They are merged into the API's router, which gives each request its id.
pub fn routes(state: &AppState, desk: Desk) -> Router<AppState> {
    let pages = Router::new()
        .route("/", get(jobs::list))
        .route("/ui/batches", get(batches::list))
        .route("/ui/batches/{id}", get(jobs::batch))
        .route("/ui/jobs/bulk", post(jobs::bulk))
        .route("/ui/jobs/{id}", get(job::show))
        .route("/ui/jobs/{id}/{act}", post(job::act))
        .route("/ui/sample", post(submit::sample))
        .route("/ui/new", get(submit::form).post(submit::send))
        .route("/ui/new/task", get(submit::task))
        .route("/ui/new/curl", post(submit::curl))
        .route("/ui/webhooks", get(webhooks::show))
        .route("/ui/webhooks/replay", post(webhooks::replay_all))
        .route("/ui/webhooks/test", post(webhooks::test))
        .route("/ui/deliveries/{id}", get(webhooks::delivery))
        .route("/ui/deliveries/{id}/replay", post(webhooks::replay))
        .route("/ui/keys", get(keys::show).post(keys::make))
        .route("/ui/keys/{id}/revoke", post(keys::revoke))
        .route("/ui/system", get(system::show))
        .route("/ui/system/connections", post(system::connect))
        .route("/ui/system/connections/{id}/delete", post(system::disconnect))
        .route("/ui/live/jobs", get(live::list))
        .route("/ui/live/batches", get(batches::live))
        .route("/ui/live/jobs/{id}", get(live::job))
        .route("/ui/sign-out", post(sign_in::leave));
    let guarded = pages
        .merge(upload::routes())
        .route_layer(from_fn_with_state(state.clone(), guard::require));
    let open = Router::new()
        .route("/ui/sign-in", get(sign_in::form).post(sign_in::enter))
        .route_layer(from_fn_with_state(state.clone(), guard::same_site))
        .route("/ui/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon));
    guarded.merge(open).layer(Extension(desk))
}
