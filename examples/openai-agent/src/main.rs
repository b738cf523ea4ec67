//! Asks the service two questions and writes what was recorded to stdout.

use std::time::Duration;

use axum::body::to_bytes;
use axum::http::Request;
use llm_audit::AuditLogger; // audit
use openai_agent_example::{Agent, provider, service};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let to_stdout = AuditLogger::builder().files(false).stdout(true).debug(true); // audit
    let _guard = llm_audit::init_with(to_stdout)?; // audit

    let agent = Agent::new(&provider::serve().await?, Duration::from_secs(30));
    let service = service(agent);
    for question in ["busy tool", "cut 3"] {
        let request = Request::post("/ask").body(question.to_owned())?;
        let answer = service.clone().oneshot(request).await?;
        to_bytes(answer.into_body(), usize::MAX).await?;
    }
    Ok(())
}
