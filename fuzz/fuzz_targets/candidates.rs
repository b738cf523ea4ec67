//! Starts of possible matches: vectors find the same as a search byte for byte, in any bytes, of
//! any length, from any place on.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (edge, text) = input;
    let [vectors, bytes] = llm_audit::__fuzz::fuzz_candidates(text, usize::from(edge));
    assert_eq!(vectors, bytes, "{text:?} from {edge}");
});
