//! The deployment files, held against the product: what they name exists, what they promise fits.
//!
//! That they are well-formed is looked after by `make deploycheck`, with the parsers of those who
//! will read them. Here is what only Reelway knows: its settings, commands, routes and schema.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod files;

mod commands;
mod settings;

mod stopping;

mod image;

mod compose;

mod kubernetes;

mod railway;

mod prometheus;
