//! The binary as a person types it: words, exit codes, files, and a server to talk to.

mod against_a_server;
mod doctor;
mod help;
mod keys;
mod listen;
mod once;
mod terminal;
mod typed;
mod worker;
