//! An agent that is a tool of another one. Each of them may have the hook.

use std::convert::Infallible;

use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::capture;
use llm_audit_rig::AuditHook;
use rig::prelude::{AgentBuilder, Tool, ToolContext};
use rig::providers::openai::OpenAIConfig;
use rig_agent_example::provider::{self, text, tool_call};
use rig_agent_example::{MODEL, agent};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

/// Asks another agent, whose provider is at `url`. It has the name of the example's tool.
struct Delegate {
    url: String,
    hook: Option<AuditHook>,
}

impl Tool for Delegate {
    const NAME: &'static str = "plan_search";
    type Args = Value;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "Asks a colleague.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object"})
    }

    async fn call(&self, _: &mut ToolContext, _: Value) -> Result<String, Infallible> {
        let runner = agent(&self.url, true).prompt("What is covered?");
        let answer = match &self.hook {
            Some(hook) => runner.add_hook(hook.clone()).await,
            None => runner.await,
        };
        Ok(answer.map_or_else(|error| error.to_string(), |answer| answer.output()))
    }
}

/// Asks the outer agent. Returns the type and the agent of each event, sorted.
fn play(layer: bool, outer: bool, inner: bool) -> Vec<(String, String)> {
    let seen = capture();
    let layer = layer.then(|| AuditLayer::new("layer"));
    let _subscriber = tracing_subscriber::registry().with(layer).set_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = provider::serve(vec![text("Two.")]).await.unwrap();
        let delegate = Delegate { url, hook: inner.then(|| AuditHook::new("inner")) };
        let url = provider::serve(vec![tool_call("dental"), text("Two, she says.")]).await.unwrap();
        let openai = OpenAIConfig::new("no key").with_base_url(url).client();
        let builder = AgentBuilder::new(openai.chat(MODEL)).tool(delegate).default_max_turns(4);
        let runner = builder.build().prompt("What does the dental plan cover?");
        let answer = match outer {
            true => runner.add_hook(AuditHook::new("outer")).await,
            false => runner.await,
        };
        assert_eq!(answer.unwrap().output(), "Two, she says.");
    });
    let pair = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("event_type"), text("agent"))
    };
    let mut events: Vec<_> = seen.lines().iter().map(pair).collect();
    events.sort();
    events
}

fn types(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(event_type, _)| &**event_type).collect()
}

const BOTH: [&str; 7] = [
    "agent.invoke",
    "agent.invoke",
    "llm.invoke",
    "llm.invoke",
    "llm.invoke",
    "tool.call",
    "tool.result",
];

#[test]
fn both_have_the_hook() {
    for layer in [false, true] {
        assert_eq!(types(&play(layer, true, true)), BOTH, "layer: {layer}");
    }
}

/// Inside of the span of a tool rig opens none for the run. The layer records the calls of the agent.
#[test]
fn only_the_outer_one_has_the_hook() {
    assert_eq!(types(&play(true, true, false)), BOTH[1..], "the layer records the inner one");
    let events = play(false, true, false);
    assert_eq!(types(&events).iter().filter(|name| **name == "llm.invoke").count(), 2);
    assert!(events.iter().all(|(_, agent)| agent == "outer"), "{events:?}");
}

#[test]
fn only_the_inner_one_has_the_hook() {
    assert_eq!(types(&play(true, false, true)), BOTH, "the layer records the outer one");
    let inner = |name: &str| (name.to_owned(), "inner".to_owned());
    assert_eq!(play(false, false, true), [inner("agent.invoke"), inner("llm.invoke")]);
}
