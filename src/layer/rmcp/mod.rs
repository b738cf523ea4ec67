//! Servers and clients of the Model Context Protocol, as the crate [`rmcp`] has them.
//!
//! [`McpServer`] wraps the handler of a server, and records each request that it answers. [`McpClient`]
//! wraps the handler of a client, and records the requests that are made through it. Both carry the
//! trace in the `_meta` of a request, as `traceparent` and `tracestate`, over any transport.
//!
//! # Events
//!
//! | request | events | action |
//! |---|---|---|
//! | `tools/call` | `tool.call`, and `tool.result` or `tool.error`, of one span | the tool; on a server `unknown` if its `get_tool` does not know it |
//! | any other but `ping` and `subscriptions/listen` | one `mcp.request` at its end | the method, and the prompt of `prompts/get` if it was answered; `unknown` if the protocol has no such method |
//!
//! The names in the data are those of OpenTelemetry's
//! [conventions for MCP](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md):
//! `mcp.method.name`, `gen_ai.prompt.name`, `mcp.resource.uri`, `jsonrpc.request.id`,
//! `mcp.protocol.version`, `mcp.session.id`, `rpc.response.status_code`. A tool's name is in `tool`, as in all
//! events of tools. `mcp.client.name` and `mcp.server.name` are what the two call themselves. They are
//! the peer's own words, not verified. `outcome` is `input_required` or `task` if the answer is not final.
//!
//! If [content is captured](crate::Builder::capture_content), `arguments` and `result` are recorded, too.
//!
//! # Errors
//!
//! | what happened | `error.type` | `error.message` |
//! |---|---|---|
//! | a JSON-RPC error, such as for an unknown tool | its code, such as `-32602` | its message |
//! | a result with `isError`; from rmcp's macros also if arguments do not parse | `tool_error` | the texts of the result |
//! | another error of the client | the Rust type | that of rmcp |
//! | the future was dropped before its end | `cancelled` | |
//! | the client cancelled the request before the handler of a server was done | `cancelled` | |
//! | the handler panicked | `panic` | |
//!
//! Arguments that are not an object never reach a tool. rmcp answers that the method is not found, and
//! the event is a `tool.error` all the same. What rmcp refuses before any handler, such as a version that
//! the server does not speak, makes no event of the server.

mod answer;
mod asked;
mod client;
mod handler;
mod open;
mod sent;
mod server;
mod trace;

use std::fmt;

use crate::recorder::Outlet;
pub use client::{McpClient, RunningClient};
pub use server::McpServer;

/// The settings of a server or a client, shared by all of its requests.
#[derive(Clone)]
struct McpSettings {
    agent: Box<str>,
    outlet: Outlet,
    /// Whether a server continues no trace of its callers.
    restarts_trace: bool,
}

impl McpSettings {
    fn new(agent: Box<str>) -> Self {
        Self { agent, outlet: Outlet::default(), restarts_trace: false }
    }
}

impl fmt::Debug for McpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpSettings").field("agent", &self.agent).finish_non_exhaustive()
    }
}
