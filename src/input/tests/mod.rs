//! Downloads from servers of every sort, alone and shared.

mod download;
mod fetch;
mod side;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FetchLimits, Fetcher};
use crate::job::InputUrl;
use crate::outbound::TableResolver;
use crate::outbound::loopback::{Act, Server, answer, client};

/// Ten bytes that could begin a film.
const FILM: &[u8] = b"\0\0\0\x20ftypis";

/// Limits with which no test has to wait.
pub(super) fn limits() -> FetchLimits {
    FetchLimits { reserve_bytes: 0, resume_pause: Duration::ZERO, ..FetchLimits::default() }
}

pub(super) fn fetcher(limits: FetchLimits) -> Fetcher {
    Fetcher::new(client(TableResolver::default()), limits)
}

pub(super) fn input_url(server: &Server, path: &str) -> InputUrl {
    InputUrl::parse(server.url(path).as_str()).expect("a URL")
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

pub(super) fn send(status: &str, headers: &str, body: &[u8]) -> Vec<Act> {
    vec![Act::Send(answer(status, headers, body))]
}
