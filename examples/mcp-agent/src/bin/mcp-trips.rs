//! The agent that asks the server: the one at a URL, or one that it starts.

use std::error::Error;
use std::time::Instant;

use llm_audit::layer::rmcp::{McpClient, RunningClient};
use llm_audit::{AuditEvent, EventType, InSpan, TraceContext};
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, GetPromptRequestParams,
    Implementation, ProtocolVersion, ReadResourceRequestParams,
};
use rmcp::service::ClientLifecycleMode;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _guard = llm_audit::init()?;
    let (trip, started) = (TraceContext::new_trace(), Instant::now());
    plan_a_trip(std::env::args().nth(1)).in_span(trip.clone()).await?;
    let run = AuditEvent::new(EventType::Custom("agent.invoke"), "trips", "plan_trip");
    llm_audit::emit(&run.latency(started.elapsed()).span(&trip));
    Ok(())
}

async fn plan_a_trip(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let name = Implementation::new("trips", "1.0.0");
    let client = McpClient::new("trips", ClientConfig::new(ClientCapabilities::default(), name));
    let client = match url {
        Some(url) => {
            let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
            let lifecycle = ClientLifecycleMode::Discover { preferred_versions };
            let transport = StreamableHttpClientTransport::from_uri(url);
            client.serve_with_lifecycle(transport, lifecycle).await?
        }
        None => {
            let beside = std::env::current_exe()?.with_file_name("mcp-plans");
            client.serve(TokioChildProcess::new(Command::new(beside))?).await?
        }
    };
    ask(&client).await?;
    client.into_inner().cancel().await?;
    Ok(())
}

/// Asks what goes well, and what fails in each way.
async fn ask(client: &RunningClient<ClientConfig>) -> Result<(), Box<dyn Error>> {
    client.list_all_tools().await?;
    client.read_resource(ReadResourceRequestParams::new("plan://gold")).await?;
    client.get_prompt(GetPromptRequestParams::new("explain")).await?;
    for (tool, arguments) in [
        ("find_plan", json!({"member": "ana@example.com"})),
        ("find_plan", json!({"member": "ben@example.com"})),
        ("find_plan", json!({"name": "ana"})),
        ("find_plans", json!({"member": "ana@example.com"})),
    ] {
        let Value::Object(arguments) = arguments else { continue };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        // The log has what went wrong.
        drop(client.call_tool(params).await);
    }
    Ok(())
}
