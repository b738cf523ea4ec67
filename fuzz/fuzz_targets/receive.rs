//! Any bytes as the body of a request: they are refused or become events, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_audit_receive::__fuzz::{events_of, unpacked_length};

const LIMIT: usize = 1 << 16;

fuzz_target!(|body: &[u8]| {
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        for is_json in [false, true] {
            events_of(path, is_json, body);
        }
    }
    assert!(unpacked_length(body, LIMIT).is_none_or(|length| length <= LIMIT));
});
