#![no_main]

#[path = "../properties/options.rs"]
mod options;

libfuzzer_sys::fuzz_target!(|data: &[u8]| options::holds(data));
