//! The reader of lines: nothing makes it panic, and what it takes for JSON serde_json does too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|line: &[u8]| {
    // The reader unescapes in place.
    let mut scratch = line.to_vec();
    if llm_audit::reader::parse(&mut scratch).is_err() {
        return;
    }
    // `IgnoredAny` knows no limit of depth or range: only the grammar is compared.
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(line) {
        panic!("{:?} was read: {error}", String::from_utf8_lossy(line));
    }
});
