//! The product from the outside, one folder for each word of the route.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod answer;
mod app;
mod contract;
mod fake;
mod loopback;

mod claim;
mod cli;
mod dashboard;
mod docs;
mod guard;
mod layering;
mod provider;
mod request;
mod webhook;
