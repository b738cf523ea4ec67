//! The client whose requests are recorded.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, GetPromptRequestParams, GetPromptResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResult,
    RequestParamsMeta, Tool,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService,
    Service, ServiceError,
};
use rmcp::transport::IntoTransport;

use super::answer::{Answer, Failure};
use super::asked::Asked;
use super::open::{Member, OpenRequest, record};
use super::sent::{SeenTransport, SentRequests};
use super::{McpSettings, trace};
use crate::context::{InSpan, TraceContext};
use crate::recorder::{AuditLogger, Outlet};

/// Records the requests of an MCP client.
///
/// It wraps a [`ClientHandler`](rmcp::ClientHandler), or any other service of rmcp, and is served like
/// it, over every transport. The handshake is recorded, and so are the requests that the
/// [`RunningClient`] makes. The [module](super) lists the events.
///
/// # Examples
///
/// ```
/// use llm_audit::layer::rmcp::McpClient;
/// use rmcp::model::CallToolRequestParams;
///
/// # async fn run(transport: tokio::io::DuplexStream) -> Result<(), Box<dyn std::error::Error>> {
/// // For example over `rmcp::transport::TokioChildProcess`.
/// let client = McpClient::new("trips", ()).serve(transport).await?;
/// let found = client.call_tool(CallToolRequestParams::new("find_plan")).await?;
/// # Ok(())
/// # }
/// ```
pub struct McpClient<S> {
    handler: S,
    settings: McpSettings,
}

impl<S> McpClient<S> {
    /// Returns a client whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](crate::emit).
    pub fn new(agent: impl Into<Box<str>>, handler: S) -> Self {
        let settings = McpSettings::new(agent.into());
        Self { handler, settings }
    }

    /// Records into this logger instead.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.settings.outlet = Outlet(Some(logger));
        self
    }
}

impl<S: Service<RoleClient>> McpClient<S> {
    /// Connects by the handshake `initialize`, and records it.
    ///
    /// # Errors
    ///
    /// Returns the error of rmcp, unchanged.
    pub async fn serve<T, E, A>(
        self,
        transport: T,
    ) -> Result<RunningClient<S>, ClientInitializeError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await
    }

    /// Connects in this way, and records it as one request: `initialize` or `server/discover`.
    ///
    /// # Errors
    ///
    /// Returns the error of rmcp, unchanged.
    pub async fn serve_with_lifecycle<T, E, A>(
        self,
        transport: T,
        lifecycle: ClientLifecycleMode,
    ) -> Result<RunningClient<S>, ClientInitializeError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut recording = Recording::new(self.settings, self.handler.get_info().client_info.name);
        let (sent, outlet) = (recording.sent.clone(), recording.settings.outlet.clone());
        let transport = SeenTransport { inner: transport.into_transport(), sent, outlet };
        let method = match lifecycle {
            ClientLifecycleMode::Initialize => "initialize",
            _ => "server/discover",
        };
        let mut open = recording.begin(&Asked::of_method(method));
        let span = open.as_ref().map(|open| open.context.clone());
        let connecting = self.handler.serve_with_lifecycle(transport, lifecycle);
        let connected = match span {
            Some(span) => connecting.in_span(span).await,
            None => connecting.await,
        };
        let learned = connected.as_ref().map_or_else(|_| vec![], |running| names_of(running));
        if let Some(open) = &mut open {
            open.members.extend(learned.iter().cloned());
            open.end(connected.as_ref().map_or_else(Failure::answer, |_| Answer::done()));
        }
        recording.members.extend(learned);
        Ok(RunningClient { running: connected?, recording })
    }
}

/// Returns what a connected client knows of its server.
fn names_of<S: Service<RoleClient>>(running: &RunningService<RoleClient, S>) -> Vec<Member> {
    let Some(server) = running.peer_info() else { return vec![] };
    let version = ("mcp.protocol.version", server.protocol_version.to_string().into());
    let name = server.server_info.as_ref().map(|info| info.name.clone());
    let name = name.map(|name| ("mcp.server.name", name.into()));
    [version].into_iter().chain(name).collect()
}

impl<S> fmt::Debug for McpClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What the requests of one connection share.
struct Recording {
    settings: Arc<McpSettings>,
    sent: SentRequests,
    /// The names of both sides, and the version of the protocol.
    members: Vec<Member>,
}

impl Recording {
    fn new(settings: McpSettings, client: String) -> Self {
        let members = vec![("mcp.client.name", client.into())];
        Self { settings: Arc::new(settings), sent: SentRequests::default(), members }
    }

    /// Begins a request below the current span, unless nothing is recorded.
    fn begin(&self, asked: &Asked<'_>) -> Option<OpenRequest> {
        if self.settings.outlet.is_off() {
            return None;
        }
        let span = TraceContext::new_span_below_current();
        let id = self.sent.expect(&span);
        let mut open = OpenRequest::begin(&self.settings, span, asked, self.members.clone());
        open.id = Some(id);
        Some(open)
    }

    /// Begins a request, and writes its span into its `_meta`.
    fn begin_with<P: RequestParamsMeta>(
        &self,
        params: &mut P,
        asked: impl FnOnce(&P) -> Asked<'_>,
    ) -> Option<OpenRequest> {
        let open = self.begin(&asked(params))?;
        trace::write_span(params.meta_or_default(), &open.context, &self.settings.outlet);
        Some(open)
    }
}

/// A connected client whose requests are recorded; made by [`McpClient::serve`].
///
/// The methods here record a request, and send its span in its `_meta`. All other methods are those of
/// rmcp's [`RunningService`], to which this dereferences. What they send is not recorded here, and it
/// does not carry the trace. An answer from the cache of rmcp is recorded without a `jsonrpc.request.id`.
pub struct RunningClient<S: Service<RoleClient>> {
    running: RunningService<RoleClient, S>,
    recording: Recording,
}

impl<S: Service<RoleClient>> RunningClient<S> {
    /// Calls a tool; see [`RunningService::call_tool`].
    ///
    /// # Errors
    ///
    /// Returns the error of rmcp, unchanged, as all methods here.
    pub async fn call_tool(
        &self,
        mut params: CallToolRequestParams,
    ) -> Result<CallToolResult, ServiceError> {
        let open = self.recording.begin_with(&mut params, |params| Asked::of_tool(params));
        record(open, self.running.call_tool(params), |result| Answer::of_tool(result)).await
    }

    /// Reads a resource; see [`RunningService::read_resource`].
    ///
    /// # Errors
    ///
    /// See [`call_tool`](Self::call_tool).
    pub async fn read_resource(
        &self,
        mut params: ReadResourceRequestParams,
    ) -> Result<ReadResourceResult, ServiceError> {
        let open = self.recording.begin_with(&mut params, |params| Asked::of_resource(params));
        record(open, self.running.read_resource(params), |result| Answer::of_result(result)).await
    }

    /// Gets a prompt; see [`RunningService::get_prompt`].
    ///
    /// # Errors
    ///
    /// See [`call_tool`](Self::call_tool).
    pub async fn get_prompt(
        &self,
        mut params: GetPromptRequestParams,
    ) -> Result<GetPromptResult, ServiceError> {
        let open = self.recording.begin_with(&mut params, |params| Asked::of_prompt(params));
        record(open, self.running.get_prompt(params), |result| Answer::of_result(result)).await
    }

    /// Lists one page of tools.
    ///
    /// # Errors
    ///
    /// See [`call_tool`](Self::call_tool).
    pub async fn list_tools(
        &self,
        params: Option<PaginatedRequestParams>,
    ) -> Result<ListToolsResult, ServiceError> {
        let mut params = params.unwrap_or_default();
        let open = self.recording.begin_with(&mut params, |_| Asked::of_method("tools/list"));
        let call = self.running.list_tools(Some(params));
        record(open, call, |result| Answer::of_result(result)).await
    }

    /// Lists the tools of all pages.
    ///
    /// # Errors
    ///
    /// See [`call_tool`](Self::call_tool).
    pub async fn list_all_tools(&self) -> Result<Vec<Tool>, ServiceError> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        loop {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.list_tools(Some(params)).await?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
    }

    /// Returns the client of rmcp, for [`RunningService::cancel`] and [`RunningService::waiting`].
    pub fn into_inner(self) -> RunningService<RoleClient, S> {
        self.running
    }
}

impl<S: Service<RoleClient>> Deref for RunningClient<S> {
    type Target = RunningService<RoleClient, S>;

    fn deref(&self) -> &RunningService<RoleClient, S> {
        &self.running
    }
}

impl<S: Service<RoleClient>> fmt::Debug for RunningClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningClient").finish_non_exhaustive()
    }
}
