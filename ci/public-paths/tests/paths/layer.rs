//! `layer::rmcp`, `layer::tower` and `layer::tracing`.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::{Future, Ready};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use llm_audit::AuditLogger;
use llm_audit::layer::rmcp::{McpClient, McpServer, RunningClient};
use llm_audit::layer::tower::{
    AsIs, Attempt, Captured, Client, ClientFuture, ClientLayer, Intake, OpenCall, RequestBody,
    ResponseBody, RouterWithRoutes, Server, ServerFuture, ServerLayer,
};
use llm_audit::layer::tracing::{Amendment, AuditLayer};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, GetPromptRequestParams, GetPromptResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResult, Tool,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, RoleClient, RunningService, Service as McpService,
    ServiceError,
};
use rmcp::transport::IntoTransport;
use tower_layer::Layer;
use tower_service::Service;
use tracing_core::Subscriber;
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::{Plain, Shared, implement};

type BoxError = Box<dyn Error + Send + Sync>;

/// A service of these requests, answers, errors and futures.
fn serves<T, Q, A, E, F>()
where
    T: Service<Q, Response = A, Error = E, Future = F>,
{
}

/// A future of this output.
fn resolves<T: Future<Output = O>, O>() {}

/// A body of these frames and errors.
fn streams<T: Body<Data = D, Error = E>, D, E>() {}

fn layers<T: Layer<S, Service = O>, S, O>() {}

// Servers.

fn server_layer<I, N: AsRef<str>>(
    agent: impl Into<String>,
    layer: ServerLayer<I>,
    text: impl Fn(&Parts) -> Option<String> + Clone + Send + Sync + 'static,
    headers: impl IntoIterator<Item = N>,
) -> (ServerLayer, ServerLayer<I>) {
    let layer =
        layer.route(text.clone()).user(text.clone()).tenant(text.clone()).conversation(text);
    let layer = layer.user_header("a").tenant_header("b").conversation_header("c");
    let layer = layer.identity_from_baggage();
    let _: fn(ServerLayer<I>, AuditLogger) -> ServerLayer<I> = ServerLayer::logger;
    let _: fn(ServerLayer<I>, usize) -> ServerLayer<Captured> = ServerLayer::capture_bodies;
    (ServerLayer::new(agent), layer.restart_trace().capture_headers::<N>(headers))
}

/// A layer and a service without a parameter of their own leave bodies as they are.
fn as_is<S>() {
    let _: fn(ServerLayer) -> ServerLayer<AsIs> = |same| same;
    let _: fn(Server<S>) -> Server<S, AsIs> = |same| same;
}

fn for_router<R: RouterWithRoutes>(layer: ServerLayer) -> ServerLayer {
    layer.for_router::<R>()
}

fn server_layer_is_a_layer<S, I>() {
    layers::<ServerLayer<I>, S, Server<S, I>>();
}

fn server<S, I, B, R>()
where
    I: Intake<B>,
    S: Service<Request<I::Body>, Response = Response<R>>,
    S::Error: Display + 'static,
    R: Body,
    R::Error: Into<BoxError> + 'static,
{
    type Answer<R> = Response<ResponseBody<R>>;
    serves::<Server<S, I>, Request<B>, Answer<R>, S::Error, ServerFuture<S::Future>>();
}

fn server_future<F, R, E>()
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Display + 'static,
{
    resolves::<ServerFuture<F>, Result<Response<ResponseBody<R>>, E>>();
}

fn intakes<B, C: Body>() {
    fn takes<I: Intake<B, Body = O>, B, O>() {}
    takes::<AsIs, B, B>();
    takes::<Captured, C, RequestBody<C>>();
}

fn traits_of_servers<S: Clone + Debug, I>(
    layer: ServerLayer<I>,
    service: Server<S, I>,
) -> (impl Clone + Debug, impl Clone + Debug) {
    (layer, service)
}

fn traits_of_futures<F>(
    server: ServerFuture<F>,
    client: ClientFuture<F>,
) -> (impl Debug, impl Debug) {
    (server, client)
}

implement! {
    ServerLayer: Shared, Clone, Debug;
    ServerLayer<*const ()>: Shared;
    Server<()>: Shared, Clone, Debug;
    ServerFuture<Ready<()>>: Shared, Debug;
    AsIs: Plain, Clone, Copy, Debug;
    Captured: Plain, Clone, Copy, Debug;
}

// Clients.

fn client_layer<I>(
    agent: impl Into<String>,
    layer: ClientLayer<I>,
    url: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
) -> (ClientLayer, ClientLayer<I>) {
    let _: fn(ClientLayer<I>, AuditLogger) -> ClientLayer<I> = ClientLayer::logger;
    let _: fn(ClientLayer<I>, usize) -> ClientLayer<I> = ClientLayer::capture_bodies;
    let _: fn(ClientLayer<I>) -> ClientLayer<Captured> = ClientLayer::model_calls;
    let layer = layer.capture_headers(["retry-after"]).url(url);
    (ClientLayer::new(agent), layer.propagate_to(["a.example", ".b.example"]))
}

/// A layer and a client without a parameter of their own leave bodies as they are.
fn client_as_is<S>() {
    let _: fn(ClientLayer) -> ClientLayer<AsIs> = |same| same;
    let _: fn(Client<S>) -> Client<S, AsIs> = |same| same;
}

fn client_layer_is_a_layer<S, I>() {
    layers::<ClientLayer<I>, S, Client<S, I>>();
}

fn client<S, I, B, R>()
where
    I: Intake<B>,
    S: Service<Request<I::Body>, Response = Response<R>>,
    S::Error: Into<BoxError> + 'static,
    R: Body<Data: 'static>,
    R::Error: Into<BoxError> + 'static,
{
    type Answer<R> = Response<ResponseBody<R>>;
    serves::<Client<S, I>, Request<B>, Answer<R>, BoxError, ClientFuture<S::Future>>();
}

fn client_is_a_middleware<I: 'static>(
    layer: ClientLayer<I>,
) -> impl reqwest_middleware::Middleware {
    layer
}

fn traits_of_clients<S: Clone + Debug, I>(
    layer: ClientLayer<I>,
    client: Client<S, I>,
) -> (impl Clone + Debug, impl Clone + Debug) {
    (layer, client)
}

fn client_future<F, R, E>()
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Into<BoxError> + 'static,
{
    resolves::<ClientFuture<F>, Result<Response<ResponseBody<R>>, BoxError>>();
}

fn open_call<I, B: Body, E: Error + 'static>() {
    let _: fn(&ClientLayer<I>, &mut Parts, Option<&[u8]>) -> OpenCall = ClientLayer::open_call;
    let _: fn(OpenCall, Response<B>) -> Response<ResponseBody<B>> = OpenCall::answer;
    let _: fn(OpenCall, &E) = OpenCall::fail;
}

fn attempt(attempt: Attempt) {
    let _: fn(u32) -> Attempt = Attempt;
    let _: fn(Request<()>) -> Request<()> = Attempt::count;
    let Attempt(number) = attempt;
    let _: u32 = number;
}

implement! {
    ClientLayer: Shared, Clone, Debug;
    ClientLayer<*const ()>: Shared;
    Client<()>: Shared, Clone, Debug;
    ClientFuture<Ready<()>>: Shared, Debug;
    OpenCall: Shared, Debug;
    Attempt: Plain, Clone, Copy, Debug, PartialEq, Eq;
}

// Bodies.

fn request_body<B: Body + Debug>(body: RequestBody<B>) -> impl Debug {
    streams::<RequestBody<B>, B::Data, B::Error>();
    body
}

fn response_body<B>(body: ResponseBody<B>) -> impl Debug
where
    B: Body<Data: 'static>,
    B::Error: Into<BoxError> + 'static,
{
    streams::<ResponseBody<B>, B::Data, BoxError>();
    body
}

implement! {
    RequestBody<()>: Shared, Debug;
    ResponseBody<()>: Shared, Debug, Default;
}

const _: () = assert!(std::mem::needs_drop::<ResponseBody<()>>());

// Servers and clients of MCP.

fn mcp_server<S: ServerHandler>(
    agent: impl Into<Box<str>>,
    handler: S,
    logger: AuditLogger,
) -> impl ServerHandler {
    McpServer::new(agent, handler).logger(logger).restart_trace()
}

async fn mcp_client<S, T, E, A>(
    agent: impl Into<Box<str>>,
    handler: S,
    transport: T,
    logger: AuditLogger,
) -> Result<RunningClient<S>, ClientInitializeError>
where
    S: McpService<RoleClient>,
    T: IntoTransport<RoleClient, E, A>,
    E: Error + Send + Sync + 'static,
{
    McpClient::new(agent, handler).logger(logger).serve(transport).await
}

async fn mcp_client_by_discovery<T, E, A>(
    client: McpClient<()>,
    transport: T,
    lifecycle: ClientLifecycleMode,
) -> Result<RunningClient<()>, ClientInitializeError>
where
    T: IntoTransport<RoleClient, E, A>,
    E: Error + Send + Sync + 'static,
{
    client.serve_with_lifecycle(transport, lifecycle).await
}

async fn mcp_calls<S: McpService<RoleClient>>(
    client: RunningClient<S>,
) -> Result<RunningService<RoleClient, S>, ServiceError> {
    let _: &RunningService<RoleClient, S> = &client;
    let _: CallToolResult = client.call_tool(CallToolRequestParams::new("a")).await?;
    let _: ReadResourceResult = client.read_resource(ReadResourceRequestParams::new("a")).await?;
    let _: GetPromptResult = client.get_prompt(GetPromptRequestParams::new("a")).await?;
    let _: ListToolsResult = client.list_tools(None::<PaginatedRequestParams>).await?;
    let _: Vec<Tool> = client.list_all_tools().await?;
    Ok(client.into_inner())
}

implement! {
    McpServer<()>: Shared, Clone, Debug;
    McpClient<()>: Shared, Debug;
    RunningClient<()>: Shared, Debug;
}

// Spans of `tracing`.

fn audit_layer(agent: impl Into<String>) -> AuditLayer {
    let _: fn(AuditLayer, AuditLogger) -> AuditLayer = AuditLayer::logger;
    AuditLayer::new(agent)
}

fn audit_layer_is_a_layer<S: Subscriber + for<'a> LookupSpan<'a>>() {
    fn layers<T: tracing_subscriber::Layer<S>, S: Subscriber>() {}
    layers::<AuditLayer, S>();
}

fn amendment(amendment: Amendment) -> bool {
    let _: fn(Amendment, &str, &str) -> Amendment = Amendment::failure;
    let _: fn(Amendment, f64) -> Amendment = Amendment::first_token_ms;
    amendment.apply_to_span("chat")
}

implement! {
    Amendment: Plain, Clone, Debug, Default;
    AuditLayer: Plain, Debug, tracing_subscriber::Layer<Registry>;
}
