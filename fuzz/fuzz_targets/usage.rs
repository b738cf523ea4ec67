//! Usage and cost of any answer: nothing makes them panic, and every part is within its whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_audit::{Usage, calculate_cost};

fuzz_target!(|input: (&str, &str)| {
    let (model, answer) = input;
    let usage = Usage::from_json(answer).unwrap_or_default();
    let wide = |tokens: u64| u128::from(tokens);
    let fresh_audio = wide(usage.audio_input - usage.audio_cache_read);
    let cached = wide(usage.cache_read) + wide(usage.cache_write) + wide(usage.cache_write_1h);
    assert!(usage.audio_cache_read <= usage.cache_read, "{usage:?}");
    assert!(cached + fresh_audio <= wide(usage.input), "{usage:?}");
    assert!(wide(usage.reasoning) + wide(usage.audio_output) <= wide(usage.output), "{usage:?}");
    for model in [model, "gpt-4o", "gemini-2.5-pro"] {
        if let Some(cost) = calculate_cost(model, usage) {
            assert!(!cost.is_negative(), "{cost} of {usage:?}");
        }
    }
});
