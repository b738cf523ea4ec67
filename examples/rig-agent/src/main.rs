//! Asks the agent once and writes what was recorded to stdout.

use llm_audit::AuditLogger;
use llm_audit::layer::tracing::AuditLayer;
use rig_agent_example::{agent, provider};
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to_stdout = AuditLogger::builder().files(false).stdout(true).debug(true);
    let _guard = llm_audit::init_with(to_stdout)?;
    tracing_subscriber::registry().with(AuditLayer::new("benefits")).init();

    let answers = vec![provider::tool_call("dental"), provider::text("Two check-ups a year.")];
    let url = provider::serve(answers).await?;
    agent(&url, true).prompt("What does the dental plan cover?").await?;
    Ok(())
}
