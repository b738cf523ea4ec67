//! Costs of model calls. Standard input is JSON lines. Each is an answer of a provider, a list or a
//! text of its chunks, or `{"provider": …, "model": …, "usage": …}`. Standard output is a line each,
//! with the model, the tokens and the cost. The cost is `null` if no price is known.
//! `AUDIT_PRICING_FILE` goes over the built-in prices.
//!
//! `cargo run --example cost < answers.jsonl`
#![allow(clippy::print_stdout, reason = "an example")]

use std::io::{BufRead, stdin};
use std::time::Duration;

use llm_audit::{LlmCall, Usage, record_llm_call, testing};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pricing_file = std::env::var_os("AUDIT_PRICING_FILE");
    let seen = testing::capture_with(|builder| match pricing_file {
        Some(path) => builder.pricing_file(path),
        None => builder,
    });
    let (mut answers, mut costs) = (Vec::new(), Vec::new());
    for line in stdin().lock().lines() {
        let answer: Value = serde_json::from_str(&line?)?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        let call = LlmCall::new("example", "chat", text("provider"), text("model"));
        costs.push(record_llm_call(&call.answer(&answer)));
        // So that no event is overwritten, however many there are.
        seen.logger().flush(Duration::from_secs(30))?;
        answers.push(answer);
    }
    for ((answer, cost), event) in answers.iter().zip(costs).zip(seen.lines()) {
        let event: Value = serde_json::from_str(&event)?;
        let usage = Usage::from_answer(answer);
        let said = json!({
            "model": event["data"]["model"],
            "tokens_input": usage.and_then(|usage| usage.tokens_input()),
            "tokens_output": usage.and_then(|usage| usage.tokens_output()),
            "usage": usage,
            // As a text: a JSON number would be read as a float by most.
            "cost_usd": cost.map(|cost| cost.to_string()),
        });
        println!("{said}");
    }
    Ok(())
}
