//! Stories of the whole product: the real binary, real ffmpeg, real sockets, real signals.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod adaptive;
mod admission;
mod backup;
mod buckets;
mod coming;
mod contract;
mod crash;
mod dashboard;
mod express;
mod hardware;
mod harness;
mod hostile;
mod ittybit;
mod listener;
mod metrics;
mod once;
mod operations;
#[path = "../media/harness/source.rs"]
mod parts;
mod pipeline;
mod provider;
mod receivers;
mod robust;
#[path = "../storage/server.rs"]
mod s3;
mod settings;
mod tasks;
mod together;
mod traces;
mod uploads;
