//! What a story needs: a server to kill, a source that counts, a receiver that may be down.

mod clip;
mod postgres;
mod program;
mod receiver;
mod server;
mod source;
mod tree;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

pub(crate) use clip::{film_clip, gap_clip, long_clip, phone_clip, ranged_clip, short_clip};
pub(crate) use postgres::Postgres;
pub(crate) use program::{Program, example, installed, node_project};
pub(crate) use receiver::Receiver;
pub(crate) use server::{Server, WEBHOOK_SECRET, Worker, processes_naming, run, words};
pub(crate) use source::Source;
pub(crate) use tree::{Tree, descendants};

/// How long a story waits for anything before it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for something that happens in another process and cannot call us: looks, again and
/// again, until it is so.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// A web server on a free port of loopback, until the test ends; returns its URL without a path.
pub(crate) async fn serve(app: Router) -> String {
    serve_at(([127, 0, 0, 1], 0).into(), app).await
}

/// The same at an address.
pub(crate) async fn serve_at(address: SocketAddr, app: Router) -> String {
    let listener = TcpListener::bind(address).await.expect("the port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    url
}

/// A plain client for talking to our own server.
#[expect(clippy::disallowed_methods, reason = "tests talk to their own server on loopback")]
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Whether `what` is on this machine; a line says so where it is not, and continuous integration
/// has everything.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn is_here(what: &str, is_here: bool) -> bool {
    if !is_here {
        assert!(std::env::var_os("CI").is_none(), "{what} is not here");
        println!("skipped: {what} is not here");
    }
    is_here
}
