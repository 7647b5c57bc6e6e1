//! Reelway.

fn main() {}
