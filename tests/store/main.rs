//! What every [`reelway::store::Store`] does, whatever is under it.
//!
//! [`suite`] lists the behaviours, each a function of a [`world::World`]; [`conformance`] makes
//! them the tests of one database. [`backend`] alone knows an implementation. [`model`] runs the
//! lease protocol against a reference, zombies and clock jumps included.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[macro_use]
mod suite;

mod backend;
mod fixture;
mod model;
mod recorder;
mod world;

// request
mod batch;
mod cancel;
mod delete;
mod idempotency;
mod list;
mod retry;
mod submit;

// access
mod access;
mod project;

// connection
mod connection;

// upload
mod upload;

// claim
mod beat;
mod claim;
mod companions;
mod fail;
mod fence;
mod finish;
mod hand_back;
mod rescue;
mod turn;

// provider
mod provider;

// output
mod output;
mod overview;
mod piece;

// webhook
mod condition;
mod delivery_claim;
mod delivery_log;
mod delivery_settle;
mod event;
mod replay;

// housekeeping
mod hints;
mod keep;
mod media_jobs;
mod retention;
mod schema;

conformance!(sqlite, Backend::Sqlite);
conformance!(postgres, Backend::Postgres);
