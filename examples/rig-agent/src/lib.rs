//! A rig agent that is recorded without a line of glue.
//!
//! ```text
//! cargo run -p rig-agent-example
//! ```
//!
//! `main.rs` installs [`AuditLayer`](llm_audit::layer::tracing::AuditLayer) and asks an
//! [agent()] with one tool; its model is a [stand-in](provider) on loopback that speaks
//! OpenAI's chat API. On stdout are two calls of the model, the call of the tool and the agent's run
//! around them, with models, tokens and latencies. Prompts, completions, arguments and results
//! are not, unless both sides say so: `AUDIT_CAPTURE_CONTENT=true` for the log, and
//! `record_content_telemetry` on rig's builder.
//!
//! # What rig 0.44 writes
//!
//! Seen in its source (`rig-core/src/telemetry/mod.rs`, `rig-agent/src/agent/telemetry.rs`) and in
//! what the tests of this package record:
//!
//! - `invoke_agent` is opened if no other span is current. Inside of a span of the caller there is
//!   none: the agent's calls are directly below whatever operation is above them.
//! - Its usage is the sum of its calls'. It is in `data.total`, so that nobody adds it up again.
//! - `chat` is opened before the request, with all fields of the answer empty; they are recorded from
//!   the answer. A call that fails records nothing and logs nothing. If a span was closed with all
//!   of them empty, the layer takes it for a failed call, `llm.error` of type `no_response`. The
//!   reason is known if rig's `reqwest-middleware` client has the middleware of reqwest-tracing, or with the
//!   hook of llm-audit-rig.
//! - Cached tokens are `gen_ai.usage.cache_read.input_tokens`, as the conventions have it; reasoning
//!   tokens are `gen_ai.usage.reasoning_tokens`, as they do not.
//! - `execute_tool` is opened for all tools of a turn before the first one runs. Name and call id are
//!   recorded when its turn comes: there the layer lets the tool begin. One whose turn never comes
//!   is closed without a name, and is not recorded. How it ended is in `gen_ai.tool.call.outcome`
//!   and `gen_ai.tool.error.type`, rig's own names. Why it failed is in its result, if rig records
//!   content and the log captures it.
//! - Tools run in the span of their call, so what they emit is below it.
//! - An agent that fails says so nowhere in its span. So its `agent.invoke` has the error of the call
//!   that ended last below it, unless that call ended well or the span got tokens or a completion.
//!
//! # Replay
//!
//! A replay needs the inputs of the root and the answers of the provider. rig's own span has the prompt, and
//! [`ask`] is a root of ours that has its arguments. The [agent](replayable_agent) of both has an HTTP client
//! inside of `ClientLayer`. rig's spans are recorded as before, and its tools run.

mod http;
pub mod provider;
mod replay;

use std::fmt;

use llm_audit::{AuditEvent, EventType};
use rig::prelude::{Agent, AgentBuilder, Tool, ToolContext};
use rig::providers::openai::{OpenAI, OpenAIConfig};
use serde::Deserialize;
use serde_json::{Value, json};

pub use replay::{AskError, ask, replay_root};

/// The model that is asked for.
pub const MODEL: &str = "gpt-4o-mini";

/// An agent that asks the provider at `url`, and has one tool. `tells_content` says whether rig puts
/// prompts, completions, arguments and results into its spans.
pub fn agent(url: &str, tells_content: bool) -> Agent {
    build_agent(&OpenAIConfig::new("no key").with_base_url(url).client(), tells_content)
}

/// As [`agent()`], with an HTTP client that is recorded too, so that a replay answers its calls.
pub fn replayable_agent(url: &str) -> Agent {
    let http = http::RecordedHttp::default();
    build_agent(&OpenAIConfig::new("no key").with_base_url(url).connect(http), true)
}

fn build_agent(openai: &OpenAI, tells_content: bool) -> Agent {
    AgentBuilder::new(openai.chat(MODEL))
        .name("benefits")
        .preamble("You answer questions about benefits.")
        .tool(Search)
        .default_max_turns(4)
        .record_content_telemetry(tells_content)
        .build()
}

/// Looks a benefit up.
struct Search;

#[derive(Deserialize)]
struct Query {
    plan: String,
}

/// The tool knows no such plan.
#[derive(Debug)]
struct NoSuchPlan;

impl fmt::Display for NoSuchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such plan")
    }
}

impl std::error::Error for NoSuchPlan {}

impl Tool for Search {
    const NAME: &'static str = "plan_search";
    type Args = Query;
    type Output = String;
    type Error = NoSuchPlan;

    fn description(&self) -> String {
        "Says what a plan covers.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]})
    }

    async fn call(&self, _: &mut ToolContext, query: Query) -> Result<String, NoSuchPlan> {
        // What a tool emits itself is below its call.
        let data = json!({"key": "plans"});
        llm_audit::emit(
            &AuditEvent::new(EventType::CacheMiss, "benefits", "cache.get").data(&data),
        );
        match query.plan.as_str() {
            "dental" => Ok("two check-ups a year".to_owned()),
            _ => Err(NoSuchPlan),
        }
    }
}
