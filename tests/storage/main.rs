//! One contract for every place that outputs are kept in: a folder, S3, SeaweedFS, Azurite;
//! and how requests to the other clouds look.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod azurite;
mod clouds;
mod contract;
mod links;
mod server;
mod weed;
