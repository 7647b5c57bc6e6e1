//! One contract for every place that outputs are kept in: a folder, S3, SeaweedFS; and how
//! requests to the other clouds look.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod clouds;
mod contract;
mod links;
mod server;
mod weed;
