//! The server whose requests are recorded.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use rmcp::ServerHandler;
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use super::asked::Asked;
use super::open::{Member, OpenRequest};
use super::{McpSettings, trace};
use crate::context::TraceContext;
use crate::recorder::{AuditLogger, Outlet};

/// Records each request that an MCP server answers.
///
/// It wraps a [`ServerHandler`], and is served like it, over every transport. It sees what the handler's
/// tools do not see: calls of unknown tools, and arguments that do not parse. The [module](super) lists
/// the events.
///
/// - **Trace.** The request's span is a child of the span in the `traceparent` of its `_meta`. If there
///   is none, it is a child of the HTTP request's span, which a `ServerLayer` of `layer::tower` has put into
///   the request. Otherwise a new trace begins. If the `traceparent` is malformed, the event has the reason
///   under that name.
///   Over stdio a server is started by the one that asks, so that trace is the one of `TRACEPARENT`, if the process
///   has [that variable](TraceContext::new_root). Over HTTP the variable is not read.
/// - **Handler.** It runs in the request's span, so its own events are below it.
/// - **User and tenant** are those of the HTTP request's span.
/// - **Session.** `mcp.session.id` is the header of streamable HTTP.
///
/// Each action is a label of metrics, and any client may send any name. So the action of a tool is `unknown` unless
/// the handler's [`get_tool`](ServerHandler::get_tool) knows it. rmcp's `#[tool_handler]` writes that method; a
/// handler without it needs one. `tool` in the data is always the name that was sent.
///
/// If nothing is recorded (`AUDIT_ENABLED=false`), a request passes unchanged.
///
/// # Examples
///
/// ```
/// use llm_audit::layer::rmcp::McpServer;
/// use rmcp::{ServerHandler, ServiceExt};
///
/// struct Plans;
///
/// impl ServerHandler for Plans {}
///
/// # async fn run(transport: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
/// // For example over `rmcp::transport::stdio()`.
/// let server = McpServer::new("plans", Plans).serve(transport).await?;
/// server.waiting().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct McpServer<S> {
    pub(super) inner: S,
    settings: Arc<McpSettings>,
}

impl<S> McpServer<S> {
    /// Returns a server whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](crate::emit).
    pub fn new(agent: impl Into<Box<str>>, inner: S) -> Self {
        Self { inner, settings: Arc::new(McpSettings::new(agent.into())) }
    }

    /// Records into this logger instead.
    pub fn logger(self, logger: AuditLogger) -> Self {
        self.set(|settings| settings.outlet = Outlet(Some(logger)))
    }

    /// Continues no trace of a client, for an edge with clients that are not trusted.
    ///
    /// The ids in the client's `traceparent` are recorded as `trace_id` and `span_id` under `caller`. The
    /// request's span is a child of the HTTP request's span, or begins a new trace.
    pub fn restart_trace(self) -> Self {
        self.set(|settings| settings.restarts_trace = true)
    }

    fn set(mut self, change: impl FnOnce(&mut McpSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<S> fmt::Debug for McpServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: ServerHandler> McpServer<S> {
    /// Begins a request, unless nothing is recorded.
    pub(super) fn begin(
        &self,
        asked: Asked<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Option<OpenRequest> {
        if self.settings.outlet.is_off() {
            return None;
        }
        let http = context.extensions.get::<Parts>();
        let mut members = self.members(context, http);
        let around = http.and_then(|head| head.extensions.get::<TraceContext>().cloned());
        let around = around.or_else(TraceContext::current);
        let caller = match trace::read_caller(&context.meta) {
            Some(Ok(caller)) if self.settings.restarts_trace => {
                members.push(("caller", ids_of(&caller)));
                None
            }
            Some(Ok(caller)) => Some(match &around {
                Some(around) => caller.with_identity_of(around),
                None => caller,
            }),
            Some(Err(why)) => {
                members.push(("traceparent", why.into()));
                None
            }
            None => None,
        };
        let span = match caller.or(around) {
            Some(above) => above.new_span(),
            // Over HTTP it is not the process that started this one that asks.
            None if http.is_some() || self.settings.restarts_trace => TraceContext::new_trace(),
            None => TraceContext::new_root(),
        };
        let asked = asked.of_tools_of(&self.inner);
        let mut open = OpenRequest::begin(&self.settings, span, &asked, members);
        let token = context.ct.clone();
        open.is_cancelled = Some(Box::new(move || token.is_cancelled()));
        Some(open)
    }

    fn members(&self, context: &RequestContext<RoleServer>, http: Option<&Parts>) -> Vec<Member> {
        let version = context.protocol_version().map(|version| version.to_string());
        let session = http.and_then(|head| head.headers.get("mcp-session-id")?.to_str().ok());
        let client = context.client_info().map(|client| client.name);
        let server = Some(self.inner.get_info().server_info.name);
        [
            ("jsonrpc.request.id", Some(context.id.to_string())),
            ("mcp.protocol.version", version),
            ("mcp.session.id", session.map(str::to_owned)),
            ("mcp.client.name", client),
            ("mcp.server.name", server),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?.into())))
        .collect()
    }
}

fn ids_of(caller: &TraceContext) -> Value {
    let (trace_id, span_id) = (caller.trace_id(), caller.span_id());
    json!({"span_id": format!("{span_id:016x}"), "trace_id": format!("{trace_id:032x}")})
}
