#![no_main]

#[path = "../properties/progress.rs"]
mod progress;

libfuzzer_sys::fuzz_target!(|data: &[u8]| progress::holds(data));
