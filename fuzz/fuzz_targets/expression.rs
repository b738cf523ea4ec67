//! Expressions of the command: none makes the parser or a match panic, and `not` turns each around.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_audit::reader::{Expression, parse};

const LINE: &[u8] = br#"{"timestamp":"2026-01-02T03:04:05Z","event_type":"llm.invoke","agent":"a",
    "status":"error","latency_ms":812.5,"data":{"model":"gpt-4o","n":[1,{"x":null}]},"error":"late"}"#;

fuzz_target!(|text: &str| {
    let Ok(expression) = text.parse::<Expression>() else { return };
    let mut line = LINE.to_vec();
    let line = parse(&mut line).expect("a line");
    let negated = format!("not ({text})").parse::<Expression>();
    // It may have as many parentheses as there may be.
    let Ok(negated) = negated else { return };
    assert_ne!(expression.matches(&line), negated.matches(&line), "{text:?}");
});
