//! Reelway: the media pipeline that calls you back.
//!
//! The modules stand in the order in which one job passes through them. `ARCHITECTURE.md`
//! follows a job from the first to the last.

// 1. **request**: HTTP in; a valid job out, or a 4xx that says what to do.
pub mod request;

// 2. **job**: what was asked, and how it becomes an ffmpeg command.
pub mod job;

// 3. **task**: the unit a worker claims, its stages, its failures and retries.
pub mod task;

// 4. **claim**: a task taken on a lease, and the heartbeat that keeps it.
pub mod claim;

// 5. **worker**: the story of one claimed task, from input to output.
pub mod worker;

// 6. **input**: fetched through the guard, shared by all tasks of the input, probed.
pub mod input;

// 7. **ffmpeg**: one process, boxed in.
pub use ffmpeg;

// Renditions into a package for players: playlists and manifests, read from the files.
pub mod package;

// 8. **output**: into storage under the attempt's own key, linked when it is read.
pub mod output;

// 9. **webhook**: the end of a job, pushed, signed, retried, replayable.
pub mod webhook;

// Files that callers send, to be inputs.
pub mod upload;

// The other engine: jobs are made by a provider that speaks the same API.
pub mod provider;

// The same for people: pages that are served beside the API.
pub mod dashboard;

// What the route stands on: the one place where state is kept.
pub mod store;

// Who may do what: keys, projects, and what was done with them.
pub mod access;

// Buckets of users' own, and the keys to them.
pub mod connection;

// The one HTTP client that reaches out, and the guard in front of it.
pub mod outbound;

// Every setting: its name, default, source and meaning.
pub mod config;

// Composition: from a [`config::Config`] to running parts.
pub mod app;

// The commands a person types.
pub mod cli;

// What is counted, for Prometheus.
pub mod metrics;

// The time, as a parameter.
pub mod clock;

// Names of things.
pub mod id;

// One trace a job, from the request to the webhook.
pub mod trace;

// Logs, and spans to a collector.
pub mod telemetry;
