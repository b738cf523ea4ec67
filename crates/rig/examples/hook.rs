//! An agent with the hook, whose tool fails and whose quota is used up. Its events are in docs/rig.md.
//!
//! ```text
//! cargo run -p llm-audit-rig --example hook
//! ```

use llm_audit::AuditLogger;
use llm_audit_rig::AuditHook;
use rig_agent::Agent;
use rig_agent_example::provider::{self, Answer, tool_call};
use serde_json::json;

/// Asks the agent about a plan that there is not.
pub async fn ask(agent: Agent) -> Result<String, Box<dyn std::error::Error>> {
    let agent = agent.prompt("What does the optical plan cover?");
    let answer = agent.add_hook(AuditHook::new("benefits").model("openai", "gpt-4o-mini")).await?;
    Ok(answer.output())
}

/// Calls the tool, then refuses.
pub fn answers() -> Vec<Answer> {
    let quota = json!({"message": "You exceeded your current quota.", "type": "insufficient_quota",
        "code": "insufficient_quota"});
    vec![tool_call("optical"), Answer::new(429, json!({ "error": quota }))]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to_stdout = AuditLogger::builder().files(false).stdout(true).debug(true);
    let _guard = llm_audit::init_with(to_stdout)?;
    let url = provider::serve(answers()).await?;
    let failed = ask(rig_agent_example::agent(&url, true)).await;
    assert!(failed.is_err(), "the quota is used up");
    Ok(())
}
