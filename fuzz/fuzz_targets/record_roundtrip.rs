//! The flat record: every value that is encoded decodes to a line of JSON, and no bytes at all make
//! the decoder panic.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llm_audit_fuzz::Json;
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input {
    value: Json,
    bytes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let line = llm_audit::__fuzz::fuzz_record_line(&input.value);
    if let Err(error) = serde_json::from_slice::<Value>(&line) {
        panic!("{:?} became {:?}: {error}", input.value, String::from_utf8_lossy(&line));
    }
    llm_audit::__fuzz::fuzz_decode_bytes(&input.bytes);
});
