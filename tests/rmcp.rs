//! A server and a client of MCP, in one process: every request once on each side, in one trace,
//! however it ends.
#![cfg(all(feature = "rmcp", not(loom)))]

mod common;

use std::future::pending;
use std::time::Instant;

use common::DEADLINE;
use common::alone::{self, Alone};
use llm_audit::layer::rmcp::{McpClient, McpServer, RunningClient};
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{AuditEvent, AuditLogger, EventType, InSpan, TraceContext};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig,
    ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation,
    InputRequiredResult, JsonObject, ListToolsResult, PaginatedRequestParams, PromptMessage,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceContents, Role,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{ClientLifecycleMode, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

struct Plans {
    logger: AuditLogger,
}

impl ServerHandler for Plans {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("plans", "1.0.0"))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let is_here = ["find_plan", "refuse", "ask_back", "panic", "hang", "heed"].contains(&name);
        is_here.then(|| Tool::new(name.to_owned(), "finds", JsonObject::new()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match &*request.name {
            "find_plan" => {
                let member = request.arguments.as_ref().and_then(|given| given.get("member"));
                let member = member.and_then(Value::as_str).ok_or_else(|| {
                    ErrorData::invalid_params("missing field `member` for ana@example.com", None)
                })?;
                self.logger.emit(&AuditEvent::new(EventType::CacheMiss, "plans", "plans.get"));
                let text = format!("{member} has the plan gold");
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
            }
            "refuse" => {
                let texts = ["no member", "ana@example.com"].map(ContentBlock::text);
                Ok(CallToolResult::error(texts.to_vec()).into())
            }
            "ask_back" if request.request_state.is_some() => {
                Ok(CallToolResult::success(vec![]).into())
            }
            "ask_back" => {
                let needs = InputRequiredResult::from_request_state("half-way");
                Ok(CallToolResponse::InputRequired(needs))
            }
            "panic" => panic!("a tool that panics"),
            "hang" => pending().await,
            "heed" => {
                context.ct.cancelled().await;
                Ok(CallToolResult::success(vec![]).into())
            }
            unknown => Err(ErrorData::invalid_params(format!("tool {unknown} not found"), None)),
        }
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let is_first = request.is_none_or(|request| request.cursor.is_none());
        let name = if is_first { "find_plan" } else { "refuse" };
        let tools = vec![Tool::new(name, "finds", JsonObject::new())];
        let next_cursor = is_first.then(|| "2".to_owned());
        Ok(ListToolsResult { next_cursor, ..ListToolsResult::with_all_items(tools) })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(ReadResourceResult::new(vec![ResourceContents::text("gold", request.uri)]).into())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name != "explain" {
            return Err(ErrorData::invalid_params("no such prompt", None));
        }
        let message = PromptMessage::new_text(Role::User, "explain gold");
        Ok(GetPromptResult::new(vec![message]).into())
    }
}

fn trips() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("trips", "1.0.0"))
}

/// A server, and a client that is connected to it, each with a log.
struct Pair {
    server: Capture,
    client: Capture,
    running: RunningClient<ClientConfig>,
}

impl Pair {
    async fn connect(captures_content: bool) -> Self {
        Self::connect_by(captures_content, ClientLifecycleMode::Initialize).await
    }

    async fn connect_by(captures_content: bool, lifecycle: ClientLifecycleMode) -> Self {
        let log = || capture_with(|builder| builder.capture_content(captures_content));
        let (server, client) = (log(), log());
        let transport = serve(&server, |plans| plans);
        let trips = McpClient::new("trips", trips()).logger(client.logger().clone());
        let running = trips.serve_with_lifecycle(transport, lifecycle).await.unwrap();
        Self { server, client, running }
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> bool {
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        self.running.call_tool(params).await.is_ok()
    }

    /// Returns the events of this type on the client's side, and on the server's.
    fn of(&self, event_type: &str) -> [Vec<Value>; 2] {
        [&self.client, &self.server].map(|log| of(log, event_type))
    }
}

/// Serves in a task of its own. Returns the client's end.
fn serve(log: &Capture, change: impl FnOnce(McpServer<Plans>) -> McpServer<Plans>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(65_536);
    let logger = log.logger().clone();
    let server = change(McpServer::new("plans", Plans { logger: logger.clone() }).logger(logger));
    tokio::spawn(async move { server.serve(ours).await.unwrap().waiting().await });
    theirs
}

/// A client that sends any text.
struct RawClient {
    replies: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
}

impl RawClient {
    /// Connects, by the request `0`.
    async fn connect(transport: DuplexStream) -> Self {
        let (reader, writer) = tokio::io::split(transport);
        let mut client = Self { replies: BufReader::new(reader).lines(), writer };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
        client.ask("0", "initialize", params).await;
        client.send(json!({"method": "notifications/initialized"})).await;
        client
    }

    async fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, id: &str, method: &str, params: Value) {
        self.send(json!({"id": id, "method": method, "params": params})).await;
        let reply: Value =
            serde_json::from_str(&self.replies.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(reply["id"], id, "{reply}");
    }
}

fn lines(log: &Capture) -> Vec<Value> {
    log.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of(log: &Capture, event_type: &str) -> Vec<Value> {
    lines(log).into_iter().filter(|line| line["event_type"] == event_type).collect()
}

/// Lets other tasks run until the log has an event of this type.
async fn wait_for(log: &Capture, event_type: &str) -> Value {
    let began = Instant::now();
    loop {
        if let Some(line) = of(log, event_type).pop() {
            return line;
        }
        assert!(began.elapsed() < DEADLINE, "{event_type} never came: {:#?}", lines(log));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_is_recorded_once_on_each_side_in_one_trace() {
    let pair = Pair::connect(false).await;
    let caller = TraceContext::new_trace().with_user("u-1842").with_tracestate("a=1");
    let call = pair.call("find_plan", json!({"member": "ana"}));
    assert!(call.in_span(caller.clone()).await);

    let [client, server] = pair.of("tool.result").map(|mut all| {
        assert_eq!(all.len(), 1);
        all.remove(0)
    });
    for (log, result) in [(&pair.client, &client), (&pair.server, &server)] {
        let calls = of(log, "tool.call");
        assert_eq!(calls.len(), 1);
        for (name, of_result) in [("trace_id", true), ("span_id", true), ("latency_ms", false)] {
            assert_eq!(calls[0].get(name), result.get(name).filter(|_| of_result), "{name}");
        }
        assert_eq!((&result["action"], &result["status"]), (&json!("find_plan"), &json!("ok")));
    }
    assert_eq!(client["trace_id"], format!("{:032x}", caller.trace_id()));
    assert_eq!(client["parent_span_id"], format!("{:016x}", caller.span_id()));
    assert_eq!(server["trace_id"], client["trace_id"]);
    assert_eq!(server["parent_span_id"], client["span_id"]);
    // The user stays in the process.
    assert_eq!(
        (&client["data"]["user"], &server["data"]["user"]),
        (&json!("u-1842"), &Value::Null)
    );
    for side in [&client, &server] {
        let data = &side["data"];
        assert_eq!(
            (&data["tool"], &data["mcp.method.name"]),
            (&json!("find_plan"), &json!("tools/call"))
        );
        assert_eq!(
            (&data["mcp.client.name"], &data["mcp.server.name"]),
            (&json!("trips"), &json!("plans"))
        );
        assert_eq!(data["mcp.protocol.version"], "2025-11-25");
        assert!(data.get("arguments").is_none() && data.get("result").is_none());
    }
    let id = &server["data"]["jsonrpc.request.id"];
    assert!(id.is_string() && *id == client["data"]["jsonrpc.request.id"], "{id}");
    // What the tool recorded is below its span.
    let [inside] = &of(&pair.server, "cache.miss")[..] else { panic!("one event") };
    assert_eq!(inside["parent_span_id"], server["span_id"]);
}

#[tokio::test]
async fn other_requests_are_one_event_at_their_end() {
    let pair = Pair::connect(true).await;
    assert_eq!(pair.running.list_all_tools().await.unwrap().len(), 2);
    pair.running.read_resource(ReadResourceRequestParams::new("plan://gold")).await.unwrap();
    let arguments = json!({"plan": "gold"}).as_object().unwrap().clone();
    let params = GetPromptRequestParams::new("explain").with_arguments(arguments);
    pair.running.get_prompt(params).await.unwrap();

    let [client, server] = pair.of("mcp.request");
    let actions = |side: &[Value]| -> Vec<Value> {
        side.iter().map(|line| json!([line["action"], line["status"]])).collect()
    };
    let expected =
        ["initialize", "tools/list", "tools/list", "resources/read", "prompts/get explain"];
    assert_eq!(actions(&client), expected.map(|action| json!([action, "ok"])));
    assert_eq!(actions(&server), actions(&client));
    for (client, server) in client.iter().zip(&server) {
        assert_eq!(server["trace_id"], client["trace_id"]);
        assert_eq!(server["parent_span_id"], client["span_id"]);
        let [client, server] = [client, server].map(|line| &line["data"]);
        for name in ["mcp.method.name", "jsonrpc.request.id", "mcp.client.name", "mcp.server.name"]
        {
            assert!(client[name].is_string(), "{name}");
            assert_eq!(client[name], server[name], "{name}");
        }
    }
    for side in [&client, &server] {
        assert_eq!(side[3]["data"]["mcp.resource.uri"], "plan://gold");
        assert_eq!(side[3]["data"]["result"]["contents"][0]["text"], "gold");
        assert_eq!(side[4]["data"]["gen_ai.prompt.name"], "explain");
        assert_eq!(side[4]["data"]["arguments"], json!({"plan": "gold"}));
        assert_eq!(side[4]["data"]["result"]["messages"][0]["content"]["text"], "explain gold");
    }
}

#[tokio::test]
async fn every_way_to_fail_has_its_type_and_its_reason() {
    let cases = [
        ("no_such_tool", "-32602", "tool no_such_tool not found", Some("-32602")),
        ("find_plan", "-32602", "missing field `member` for [REDACTED_email]", Some("-32602")),
        ("refuse", "tool_error", "no member\n[REDACTED_email]", None),
    ];
    for (tool, error_type, message, code) in cases {
        let pair = Pair::connect(true).await;
        pair.call(tool, json!({"count": 3})).await;
        assert!(pair.of("tool.result").concat().is_empty());
        for failed in pair.of("tool.error") {
            let [failed] = &failed[..] else { panic!("one event") };
            let error = json!({"type": error_type, "message": message});
            assert_eq!((&failed["error"], &failed["status"]), (&error, &json!("error")), "{tool}");
            assert_eq!(failed["data"]["rpc.response.status_code"].as_str(), code);
            assert_eq!(failed["data"]["tool"], tool);
        }
    }
}

#[tokio::test]
async fn a_call_without_readable_parameters_is_an_error_of_its_tool() {
    let log = capture_with(|builder| builder.capture_content(true));
    let mut client = RawClient::connect(serve(&log, |plans| plans)).await;
    let meta = json!({"traceparent": "00-0af7", "tracestate": "a=1"});
    let params = json!({"name": "find_plan", "arguments": ["ana"], "_meta": meta});
    client.ask("1", "tools/call", params).await;
    client.ask("2", "tools/call", json!({})).await;
    assert_eq!(of(&log, "tool.call").len(), 2);
    let [malformed, nameless] = &of(&log, "tool.error")[..] else { panic!("two events") };
    assert_eq!(
        (&malformed["action"], &nameless["action"]),
        (&json!("find_plan"), &json!("unknown"))
    );
    for (id, line) in [("1", malformed), ("2", nameless)] {
        assert_eq!(line["error"], json!({"type": "-32601", "message": "tools/call"}));
        assert_eq!(line["data"]["jsonrpc.request.id"], id);
        assert_eq!(line["data"]["mcp.client.name"], "raw");
    }
    // The reason, without the header itself.
    let why = malformed["data"]["traceparent"].as_str().unwrap();
    assert!(why.contains("7 bytes long") && !why.contains("0af7"), "{why}");
    assert!(malformed.get("parent_span_id").is_none() && malformed["trace_id"] != TRACE);
}

#[tokio::test]
async fn a_name_that_the_server_does_not_know_is_in_the_data_alone() {
    let log = capture();
    let mut client = RawClient::connect(serve(&log, |plans| plans)).await;
    let (tool, prompt, method) = ("tool", "gen_ai.prompt.name", "mcp.method.name");
    let cases = [
        ("tools/call", json!({"name": "made_up"}), "unknown", tool, "made_up"),
        ("tools/call", json!({"name": "find_plan"}), "find_plan", tool, "find_plan"),
        ("prompts/get", json!({"name": "made_up"}), "prompts/get", prompt, "made_up"),
        ("prompts/get", json!({"name": "explain"}), "prompts/get explain", prompt, "explain"),
        ("prompts/get", json!({}), "prompts/get", method, "prompts/get"),
        ("made/up", json!({}), "unknown", method, "made/up"),
    ];
    for (sent, params, action, member, name) in cases {
        client.ask("1", sent, params).await;
        let line = lines(&log).pop().unwrap();
        assert_eq!((&line["action"], &line["data"][member]), (&json!(action), &json!(name)));
    }
    assert!(lines(&log).iter().all(|line| !line["action"].as_str().unwrap().contains("made")));
}

#[tokio::test]
async fn content_is_recorded_redacted_if_it_is_captured() {
    let pair = Pair::connect(true).await;
    assert!(pair.call("find_plan", json!({"member": "ana@example.com"})).await);
    for (calls, results) in pair.of("tool.call").iter().zip(&pair.of("tool.result")) {
        assert_eq!(calls[0]["data"]["arguments"], json!({"member": "[REDACTED_email]"}));
        assert!(results[0]["data"].get("arguments").is_none());
        let text = &results[0]["data"]["result"]["content"][0]["text"];
        assert_eq!(text, "[REDACTED_email] has the plan gold");
    }
    let all = [pair.client.lines(), pair.server.lines()].concat();
    assert!(!all.concat().contains("ana@"));
}

#[tokio::test]
async fn a_panic_and_a_dropped_call_are_errors() {
    for (tool, on_server) in [("panic", Some("panic")), ("hang", None)] {
        let pair = Pair::connect(false).await;
        {
            let call = pair.call(tool, json!({}));
            tokio::select! {
                biased;
                _ = call => panic!("it never ends"),
                () = async { wait_for(&pair.server, "tool.call").await; } => {}
            }
        }
        if let Some(error_type) = on_server {
            assert_eq!(wait_for(&pair.server, "tool.error").await["error"]["type"], error_type);
        }
        let dropped = &wait_for(&pair.client, "tool.error").await;
        assert_eq!(dropped["error"]["type"], "cancelled");
        assert_eq!(dropped["data"]["jsonrpc.request.id"], "1", "it was sent");
    }
}

#[tokio::test]
async fn a_call_that_the_client_cancels_is_an_error_however_its_tool_ends() {
    let log = capture();
    let mut client = RawClient::connect(serve(&log, |plans| plans)).await;
    client.send(json!({"id": "1", "method": "tools/call", "params": {"name": "heed"}})).await;
    wait_for(&log, "tool.call").await;
    let params = json!({"requestId": "1", "reason": "too slow"});
    client.send(json!({"method": "notifications/cancelled", "params": params})).await;
    let failed = wait_for(&log, "tool.error").await;
    assert_eq!(
        (&failed["action"], &failed["error"]["type"]),
        (&json!("heed"), &json!("cancelled"))
    );
    assert!(of(&log, "tool.result").is_empty());
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_error_of_the_client() {
    let pair = Pair::connect(false).await;
    pair.running.cancellation_token().cancel();
    while !pair.running.is_transport_closed() {
        tokio::task::yield_now().await;
    }
    assert!(!pair.call("find_plan", json!({"member": "ana"})).await);
    let [client, server] = pair.of("tool.error");
    assert_eq!(client[0]["error"]["type"], "rmcp::service::ServiceError");
    assert_eq!(client[0]["error"]["message"], "Transport closed");
    assert!(server.is_empty());
    // A handshake that fails is recorded, too.
    let (transport, gone) = tokio::io::duplex(64);
    drop(gone);
    let trips = McpClient::new("trips", trips()).logger(pair.client.logger().clone());
    assert!(trips.serve(transport).await.is_err());
    let failed = of(&pair.client, "mcp.request").pop().unwrap();
    assert_eq!((&failed["action"], &failed["status"]), (&json!("initialize"), &json!("error")));
    assert_eq!(failed["error"]["type"], "rmcp::service::client::ClientInitializeError");
}

#[tokio::test]
async fn by_discovery_each_round_is_one_request_of_the_server_and_all_are_one_call() {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![rmcp::model::ProtocolVersion::V_2026_07_28],
    };
    let pair = Pair::connect_by(false, lifecycle).await;
    let [client, server] = pair.of("mcp.request");
    assert_eq!(client[0]["action"], "server/discover");
    assert_eq!(server[0]["parent_span_id"], client[0]["span_id"]);

    assert!(pair.call("find_plan", json!({"member": "ana"})).await);
    let [client, server] = pair.of("tool.result");
    assert_eq!(server[0]["parent_span_id"], client[0]["span_id"]);
    for side in [&client, &server] {
        assert_eq!(side[0]["data"]["mcp.protocol.version"], "2026-07-28");
        assert_eq!(side[0]["data"]["mcp.client.name"], "trips");
        assert_eq!(side[0]["data"]["mcp.server.name"], "plans");
    }
    assert!(pair.call("ask_back", json!({})).await);
    let [client, server] = pair.of("tool.result");
    assert_eq!((client.len(), server.len()), (2, 3));
    assert_eq!(server[1]["data"]["outcome"], "input_required");
    assert!(server[2]["data"].get("outcome").is_none());
    for round in &server[1..] {
        assert_eq!(round["parent_span_id"], client[1]["span_id"]);
    }
    assert_eq!(
        client[1]["data"]["jsonrpc.request.id"], server[2]["data"]["jsonrpc.request.id"],
        "of the last round"
    );
}

#[tokio::test]
async fn a_request_without_a_trace_is_below_the_span_that_started_the_process() {
    let name = "a_request_without_a_trace_is_below_the_span_that_started_the_process";
    if alone::folder().is_none() {
        let mut test = Alone::new(name);
        test.command.env("TRACEPARENT", format!("00-{TRACE}-b7ad6b7169203331-01"));
        let ended = test.run();
        assert!(ended.status.success(), "{}{}", ended.out, ended.err);
        return;
    }
    let _guard = llm_audit::init().unwrap();
    for restarts in [false, true] {
        let log = capture();
        let transport = serve(&log, |plans| if restarts { plans.restart_trace() } else { plans });
        RawClient::connect(transport).await;
        let line = wait_for(&log, "mcp.request").await;
        let parent = (!restarts).then_some("b7ad6b7169203331");
        assert_eq!(
            (line["trace_id"] == TRACE, line["parent_span_id"].as_str()),
            (!restarts, parent)
        );
    }
}

#[tokio::test]
async fn at_an_edge_a_request_begins_its_own_trace_and_says_whose_it_left() {
    let (server, client) = (capture(), capture());
    let transport = serve(&server, McpServer::restart_trace);
    let trips = McpClient::new("trips", trips()).logger(client.logger().clone());
    let running = trips.serve(transport).await.unwrap();
    running.call_tool(CallToolRequestParams::new("refuse")).await.unwrap();
    let [asked, answered] = [&client, &server].map(|log| of(log, "tool.error").remove(0));
    assert_ne!(asked["trace_id"], answered["trace_id"]);
    assert!(answered.get("parent_span_id").is_none());
    let caller = json!({"span_id": asked["span_id"], "trace_id": asked["trace_id"]});
    assert_eq!(answered["data"]["caller"], caller);
}
