//! libFuzzer on a whole log directory.

#![no_main]

#[path = "../../tests/fuzz/format.rs"]
mod format;
#[path = "../../tests/fuzz/target.rs"]
#[expect(dead_code, reason = "each program runs one target of all")]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::directory(data));
