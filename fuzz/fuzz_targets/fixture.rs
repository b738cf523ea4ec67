//! The reader of fixtures: no text makes it panic, what it reads it writes again the same, and each recorded
//! call can be asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_audit_log::replay::{Answers, Asked, ReplayFixture};

fuzz_target!(|text: &str| {
    let Ok(fixture) = ReplayFixture::from_json(text) else { return };
    let again = ReplayFixture::from_json(&fixture.to_json()).expect("it was written");
    assert_eq!(again.to_json(), fixture.to_json());
    let mut answers = Answers::new(fixture.clone());
    for call in &fixture.calls {
        assert!(!fixture.path_of_step(call.step).is_empty());
        let (agent, name, input) = (&call.agent, &call.name, call.input.as_ref());
        let (kind, above) = (call.kind, call.parent);
        let asked = Asked { kind, agent, name, input, above, is_right_below: true };
        // Calls that are alike may be ambiguous, but none is unknown.
        if let Err(why) = answers.take(&asked) {
            assert!(why.to_string().starts_with("ambiguous"), "{why}");
        }
    }
});
