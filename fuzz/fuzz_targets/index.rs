//! The reader of indexes: nothing makes it panic, and what it skips is in order.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    llm_audit_log::index_blocks(bytes);
});
