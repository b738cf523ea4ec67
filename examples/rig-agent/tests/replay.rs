//! The failures of a rig agent, each replayed without network.

#[path = "../../../testdata/replays.rs"]
mod replays;

use llm_audit::layer::tracing::AuditLayer;
use replays::{Recording, requests};
use rig_agent_example::provider::{self, Answer, changed_call, refusal, text, tool_call};
use rig_agent_example::{ask, replay_root, replayable_agent};
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::prelude::*;

/// Kinds of questions.
const KINDS: u64 = 12;

/// What the provider answers; nothing if it hangs.
fn answers(number: u64) -> Vec<Answer> {
    let done = || text("Two check-ups a year, says ana@example.com.");
    match number % KINDS {
        0 => vec![refusal()],
        1 => vec![tool_call("dental"), Answer::new(429, json!({"error": {"message": "too many"}}))],
        2 => vec![tool_call("optical"), done()],
        3 => vec![changed_call("arguments", "{plan: dental"), done()],
        4 => vec![Answer::new(200, json!("Dear ana@example.com, I would rather"))],
        5 => vec![changed_call("name", "wire_transfer"), done()],
        6 => vec![tool_call("dental")],
        7 => vec![],
        8 => vec![tool_call("dental"), Answer::new(200, json!({"choices": []}))],
        _ => vec![tool_call("dental"), done()],
    }
}

fn ask_questions(count: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for number in 0..count {
            let answers = answers(number);
            // It is connected to and never answers.
            let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = match answers.is_empty() {
                true => format!("http://{}/v1", silent.local_addr().expect("an address")),
                false => provider::serve(answers).await.expect("a port"),
            };
            let question = format!("Question {number} of ana@example.com: what is covered?");
            // The root is a function of ours, or rig's own span.
            match number % 2 {
                0 => drop(replayable_agent(&url).prompt(question).await),
                _ => drop(ask(&url, &question).await),
            }
        }
    });
}

#[test]
fn the_agents_failures_fail_again_at_the_same_step() {
    tracing_subscriber::registry().with(AuditLayer::new("benefits")).init();
    let count = requests(36);
    let recording = Recording::new("rig agent", || ask_questions(count));
    recording.replay_failed_traces(replay_root, |_| {});
}
