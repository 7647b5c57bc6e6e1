//! HTTP in: a valid job out, or a 4xx that says what to do.

mod access;
mod connections;
mod contract;
mod decoders;
mod errors;
mod events;
mod files;
mod foreign;
mod jobs;
mod keys;
mod listing;
mod operations;
mod submit;
mod tasks;
mod uploads;
