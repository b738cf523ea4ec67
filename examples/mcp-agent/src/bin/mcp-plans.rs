//! The server, over stdio, or over streamable HTTP with `--http ADDRESS`.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use axum::Router;
use llm_audit::layer::rmcp::McpServer;
use llm_audit::layer::tower::ServerLayer;
use mcp_agent_example::Plans;
use rmcp::ServiceExt;
use rmcp::transport::stdio;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _guard = llm_audit::init()?;
    llm_audit::close_on_signals()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve_stdio().await,
        ["--http", address] => serve_http(address).await,
        _ => Err("usage: mcp-plans [--http ADDRESS]".into()),
    }
}

async fn serve_stdio() -> Result<(), Box<dyn Error>> {
    McpServer::new("plans", Plans::new()).serve(stdio()).await?.waiting().await?;
    Ok(())
}

async fn serve_http(address: &str) -> Result<(), Box<dyn Error>> {
    let service = StreamableHttpService::new(
        || Ok(McpServer::new("plans", Plans::new())),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let app = Router::new().route_service("/mcp", service).layer(ServerLayer::new("plans"));
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stderr(), "listening on http://{}/mcp", listener.local_addr()?)?;
    axum::serve(listener, app).await?;
    Ok(())
}
