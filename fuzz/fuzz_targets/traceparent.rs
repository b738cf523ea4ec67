//! `traceparent`: what is read, printed and read again is the same, and nothing makes it panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_audit::TraceContext;

fuzz_target!(|header: &str| {
    let Ok(read) = TraceContext::from_traceparent(header) else { return };
    let printed = read.to_traceparent();
    let again = TraceContext::from_traceparent(&printed);
    assert_eq!(again.as_ref().ok(), Some(&read), "{header:?} was printed as {printed:?}");
});
