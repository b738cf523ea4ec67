//! Asks the agent two questions and writes what was recorded to stdout.

use bedrock_agent_example::{Agent, provider};
use llm_audit::AuditLogger; // audit

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to_stdout = AuditLogger::builder().files(false).stdout(true).debug(true); // audit
    let _guard = llm_audit::init_with(to_stdout)?; // audit

    let agent = Agent::new(&provider::serve().await?);
    for question in ["busy tool", "tool spoilt"] {
        // The second question fails.
        let _ = agent.answer(question).await;
    }
    Ok(())
}
