//! Costs of model calls. Standard input is JSON lines, each an answer of a provider or
//! `{"model": …, "usage": …}`. Standard output is a line each, with the model, the tokens and the
//! cost, which is `null` if no price is known. `AUDIT_PRICING_FILE` goes over the built-in prices.
//!
//! `cargo run --example cost < answers.jsonl`
#![allow(clippy::print_stdout, reason = "an example")]

use std::io::{BufRead, stdin};

use llm_audit::{AuditLogger, Usage};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = AuditLogger::builder().without_environment().enabled(false);
    if let Some(path) = std::env::var_os("AUDIT_PRICING_FILE") {
        builder = builder.pricing_file(path);
    }
    let audit = builder.build()?;
    for line in stdin().lock().lines() {
        let answer: Value = serde_json::from_str(&line?)?;
        let model = answer["model"].as_str().or_else(|| answer["modelVersion"].as_str());
        let model = model.unwrap_or_default();
        let usage = Usage::from_answer(&answer);
        let cost = usage.and_then(|usage| audit.calculate_cost(model, usage));
        let said = json!({
            "model": model,
            "tokens_input": usage.map(|usage| usage.input),
            "tokens_output": usage.map(|usage| usage.output),
            "usage": usage,
            // As a text: a JSON number would be read as a float by most.
            "cost_usd": cost.map(|cost| cost.to_string()),
        });
        println!("{said}");
    }
    Ok(())
}
