//! One fault each, with the figure that it promises.

mod lost_worker;
mod missed_worker;
mod network;
mod outage;
mod pieces;
mod poison;
mod pooler;
mod start;
mod upgrade;
