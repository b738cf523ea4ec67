//! Good and failed runs against a stand-in for a provider: by the hook, by the `tracing` layer alone, and by both.
//!
//! The layer alone cannot say more than rig's spans do. docs/rig.md lists its limits, which are tested here.

use std::sync::Arc;

use futures_util::StreamExt;
use llm_audit::TraceContext;
use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit_rig::AuditHook;
use rig_agent::agent::{
    AgentHook, AgentRunner, DispatchAction, DispatchEvent, HookContext, InvalidToolCallAction,
    InvalidToolCallContext, ModelSelection, ModelSelectionAction,
};
use rig_agent_example::provider::{self, Answer, StreamEnd, changed_call, text, tool_call};
use rig_agent_example::{MODEL, agent};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

const ANSWERED: &str = "gpt-4o-mini-2024-07-18";

/// Who records.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Hook,
    Layer,
    Both,
}

/// How the agent is asked.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Prompt,
    Stream,
    /// The stream is dropped after this many items.
    DropAfter(usize),
    /// The future is dropped when the call was sent.
    DropWhenAsked,
}

/// Asks the agent on this thread. Returns what was recorded, and the error of the run.
fn play(by: By, how: Ask, answers: Vec<Answer>) -> (Vec<Value>, Option<String>) {
    play_with(&capture(), by, how, answers, |runner| runner)
}

fn play_with(
    seen: &Capture,
    by: By,
    how: Ask,
    answers: Vec<Answer>,
    change: impl FnOnce(AgentRunner) -> AgentRunner,
) -> (Vec<Value>, Option<String>) {
    let layer = (by != By::Hook).then(|| AuditLayer::new("benefits"));
    let _subscriber = tracing_subscriber::registry().with(layer).set_default();
    play_inside(seen, by != By::Layer, how, answers, change)
}

/// As [`play_with`], under the subscriber that is the current one.
fn play_inside(
    seen: &Capture,
    hooked: bool,
    how: Ask,
    answers: Vec<Answer>,
    change: impl FnOnce(AgentRunner) -> AgentRunner,
) -> (Vec<Value>, Option<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let url = provider::serve(answers).await.unwrap();
        let mut runner = agent(&url, true).prompt("What does the dental plan cover?");
        if hooked {
            runner = runner.add_hook(AuditHook::new("benefits").model("openai", MODEL));
        }
        run(change(runner), how).await
    });
    let lines = seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, error)
}

async fn run(runner: AgentRunner, how: Ask) -> Option<String> {
    let items_max = match how {
        Ask::Prompt => return runner.await.err().map(|error| error.to_string()),
        Ask::DropWhenAsked => {
            let asked = Arc::new(Notify::new());
            let run = runner.add_hook(Tell(Arc::clone(&asked))).run();
            tokio::select! {
                biased;
                () = asked.notified() => return None,
                answer = run => panic!("dropped too late: {answer:?}"),
            }
        }
        Ask::Stream => usize::MAX,
        Ask::DropAfter(items) => items,
    };
    let mut items = runner.stream().take(items_max);
    while let Some(item) = items.next().await {
        if let Err(error) = item {
            return Some(error.to_string());
        }
    }
    None
}

/// Tells when a call is sent.
struct Tell(Arc<Notify>);

impl AgentHook for Tell {
    async fn on_dispatch(&self, _: &HookContext, _: DispatchEvent<'_>) -> DispatchAction {
        self.0.notify_one();
        DispatchAction::proceed()
    }
}

/// Type, status and error of each event that ends something.
fn ends(lines: &[Value]) -> Vec<(&str, &str, &str, &str)> {
    let is_end = |line: &&Value| {
        !["tool.call", "cache.miss"].contains(&line["event_type"].as_str().unwrap())
    };
    let text = |value: &'_ Value| -> &'static str {
        value.as_str().map_or("", |text| text.to_owned().leak())
    };
    let end = |line: &Value| {
        let error = &line["error"];
        (
            text(&line["event_type"]),
            text(&line["status"]),
            text(&error["type"]),
            text(&error["message"]),
        )
    };
    lines.iter().filter(is_end).map(end).collect()
}

fn good(event_type: &'static str) -> (&'static str, &'static str, &'static str, &'static str) {
    (event_type, "ok", "", "")
}

/// All events are of one trace, and the calls are below the run.
fn assert_tree(lines: &[Value]) {
    let run = lines.last().unwrap();
    assert_eq!(run["event_type"], "agent.invoke", "{lines:#?}");
    let own = lines.iter().filter(|line| line["event_type"] != "cache.miss");
    for line in own.filter(|line| line["span_id"] != run["span_id"]) {
        assert_eq!(line["trace_id"], run["trace_id"], "{lines:#?}");
        assert_eq!(line["parent_span_id"], run["span_id"], "{lines:#?}");
    }
}

/// A run whose first call fails: the call and the run have the same error. By the layer alone it has no reason.
fn assert_failed_call(how: Ask, answer: &Answer, error_type: &'static str, message: &'static str) {
    for by in [By::Hook, By::Both] {
        let (lines, error) = play(by, how, vec![answer.clone()]);
        assert_eq!(error.is_none(), matches!(how, Ask::DropAfter(_)), "{error:?}");
        let failed = |event_type| (event_type, "error", error_type, message);
        assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")], "{by:?}");
        assert_tree(&lines);
        assert_eq!(lines[0]["data"]["model"], MODEL);
        assert_eq!(lines[0]["data"]["provider"], "openai");
    }
}

fn assert_failed_call_by_layer(how: Ask, answer: &Answer) {
    let (lines, _) = play(By::Layer, how, vec![answer.clone()]);
    let failed =
        |event_type| (event_type, "error", "no_response", "the span was closed without an answer");
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
    assert_tree(&lines);
}

fn refusal(status: u16, error_type: &str, code: Value, message: &str) -> Answer {
    Answer::new(status, json!({"error": {"message": message, "type": error_type, "code": code}}))
}

fn quota() -> Answer {
    let code = json!("insufficient_quota");
    refusal(429, "insufficient_quota", code, "You exceeded your current quota.")
}

fn rate_limit() -> Answer {
    refusal(429, "requests", json!("rate_limit_exceeded"), "Rate limit reached.")
}

fn server_error() -> Answer {
    refusal(500, "server_error", Value::Null, "The server had an error.")
}

#[test]
fn a_quota() {
    for how in [Ask::Prompt, Ask::Stream] {
        assert_failed_call(how, &quota(), "insufficient_quota", "You exceeded your current quota.");
    }
}

#[test]
fn a_quota_by_the_layer() {
    assert_failed_call_by_layer(Ask::Prompt, &quota());
    assert_failed_call_by_layer(Ask::Stream, &quota());
}

#[test]
fn a_rate_limit() {
    for how in [Ask::Prompt, Ask::Stream] {
        assert_failed_call(how, &rate_limit(), "rate_limit_exceeded", "Rate limit reached.");
    }
}

#[test]
fn a_rate_limit_by_the_layer() {
    assert_failed_call_by_layer(Ask::Prompt, &rate_limit());
}

#[test]
fn a_server_error() {
    for how in [Ask::Prompt, Ask::Stream] {
        assert_failed_call(how, &server_error(), "server_error", "The server had an error.");
    }
}

#[test]
fn a_server_error_by_the_layer() {
    assert_failed_call_by_layer(Ask::Prompt, &server_error());
}

#[test]
fn a_stream_without_the_providers_end() {
    let answer = text("Two check-ups a year.").ends(StreamEnd::Truncated);
    let message = "the reply ended before the provider ended it";
    assert_failed_call(Ask::Stream, &answer, "truncated", message);
}

#[test]
fn a_stream_without_the_providers_end_by_the_layer() {
    assert_failed_call_by_layer(Ask::Stream, &text("Two.").ends(StreamEnd::Truncated));
}

#[test]
fn a_stream_whose_connection_breaks() {
    let answer = text("Two check-ups a year.").ends(StreamEnd::Broken);
    assert_failed_call(
        Ask::Stream,
        &answer,
        "http",
        "Http client error: error decoding response body",
    );
}

#[test]
fn a_stream_whose_connection_breaks_by_the_layer() {
    assert_failed_call_by_layer(Ask::Stream, &text("Two.").ends(StreamEnd::Broken));
}

#[test]
fn a_dropped_stream() {
    let answer = text("Two check-ups a year.").ends(StreamEnd::Held);
    let message = "the stream was dropped before its end, after one chunk";
    assert_failed_call(Ask::DropAfter(2), &answer, "cancelled", message);
}

#[test]
fn a_dropped_stream_by_the_layer() {
    assert_failed_call_by_layer(Ask::DropAfter(2), &text("Two.").ends(StreamEnd::Held));
}

#[test]
fn a_future_that_is_dropped() {
    for by in [By::Hook, By::Both] {
        let (lines, _) = play(by, Ask::DropWhenAsked, vec![text("Two.")]);
        let message = "the future was dropped before its end";
        let failed = |event_type| (event_type, "error", "cancelled", message);
        assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")], "{by:?}");
        assert_tree(&lines);
    }
}

/// The events of a run that calls the tool, and then answers.
fn assert_good_run(by: By, how: Ask) {
    let (lines, error) = play(by, how, vec![tool_call("dental"), text("Two check-ups a year.")]);
    assert_eq!(error, None);
    let ended = ["llm.invoke", "tool.result", "llm.invoke", "agent.invoke"].map(good);
    assert_eq!(ends(&lines), ended, "{by:?}");
    assert_tree(&lines);
    let [first, call, miss, result, second, run] = &lines[..] else { panic!("{lines:#?}") };
    for (line, tokens) in [(first, (120, 18)), (second, (160, 12))] {
        let recorded = (&line["tokens_input"], &line["tokens_output"], &line["cost_usd"]);
        assert_eq!(recorded, (&json!(tokens.0), &json!(tokens.1), &json!(0.0000216)), "{by:?}");
        let data = &line["data"];
        assert_eq!((&data["model"], &data["provider"]), (&json!(ANSWERED), &json!("openai")));
        assert_eq!(data["usage"]["reasoning"], 4);
        // rig has no field for it.
        let is_timed = how == Ask::Stream && by != By::Layer;
        assert_eq!(data["first_token_ms"].is_number(), is_timed, "{by:?}: {line:#}");
        if is_timed {
            assert!(data["first_token_ms"].as_f64() <= line["latency_ms"].as_f64());
        }
    }
    assert_eq!(
        (&call["event_type"], &call["action"]),
        (&json!("tool.call"), &json!("plan_search"))
    );
    assert_eq!(
        (&call["data"]["call_id"], &result["data"]["call_id"]),
        (&json!("call_1"), &json!("call_1"))
    );
    assert_eq!(call["span_id"], result["span_id"]);
    // A hook cannot make its span the current context of a tool.
    let is_below = miss["parent_span_id"] == call["span_id"];
    assert_eq!(is_below, by != By::Hook);
    let total = &run["data"]["total"];
    assert_eq!((&total["tokens_input"], &total["tokens_output"]), (&json!(280), &json!(30)));
    assert!(run.get("tokens_input").is_none(), "no token counts twice");
    assert!(lines.iter().all(|line| line["agent"] == "benefits"));
}

#[test]
fn a_good_run() {
    assert_good_run(By::Hook, Ask::Prompt);
    assert_good_run(By::Both, Ask::Prompt);
}

#[test]
fn a_good_run_by_the_layer() {
    assert_good_run(By::Layer, Ask::Prompt);
}

#[test]
fn a_good_stream() {
    assert_good_run(By::Hook, Ask::Stream);
    assert_good_run(By::Both, Ask::Stream);
}

#[test]
fn a_good_stream_by_the_layer() {
    assert_good_run(By::Layer, Ask::Stream);
}

fn failing_tool() -> Vec<Answer> {
    vec![tool_call("optical"), text("There is none.")]
}

#[test]
fn a_tool_that_fails() {
    for (by, how) in [(By::Hook, Ask::Prompt), (By::Hook, Ask::Stream), (By::Both, Ask::Prompt)] {
        let (lines, _) = play(by, how, failing_tool());
        let failed = ("tool.error", "error", "other", "no such plan");
        let ended = [good("llm.invoke"), failed, good("llm.invoke"), good("agent.invoke")];
        assert_eq!(ends(&lines), ended, "{by:?}");
        assert_tree(&lines);
    }
}

#[test]
fn a_tool_that_fails_by_the_layer() {
    let (lines, _) = play(By::Layer, Ask::Prompt, failing_tool());
    // rig's span has the kind of the error, and no message.
    let failed = ("tool.error", "error", "other", "no message was recorded");
    let ended = [good("llm.invoke"), failed, good("llm.invoke"), good("agent.invoke")];
    assert_eq!(ends(&lines), ended);
}

const UNKNOWN: &str = "the model called `wire_transfer`, which is not a tool";

fn unknown_tool() -> Vec<Answer> {
    vec![changed_call("name", "wire_transfer"), text("I cannot.")]
}

#[test]
fn an_unknown_tool() {
    for by in [By::Hook, By::Both] {
        let (lines, error) = play(by, Ask::Prompt, unknown_tool());
        let error = error.unwrap();
        let failed = [
            ("tool.error", "error", "unknown_tool", UNKNOWN),
            good("llm.invoke"),
            ("agent.invoke", "error", "invalid_tool_call", &*error),
        ];
        assert_eq!(ends(&lines), failed, "{by:?}");
        assert_tree(&lines);
        // Only rig's span has the tokens of a call whose run failed so.
        assert_eq!(lines[1]["tokens_input"], if by == By::Both { json!(120) } else { Value::Null });
    }
}

#[test]
fn an_unknown_tool_in_a_stream() {
    for by in [By::Hook, By::Both] {
        let (lines, error) = play(by, Ask::Stream, unknown_tool());
        let error = error.unwrap();
        // rig leaves the stream before its end.
        let failed = [
            ("tool.error", "error", "unknown_tool", UNKNOWN),
            ("llm.error", "error", "invalid_tool_call", &*error),
            ("agent.invoke", "error", "invalid_tool_call", &*error),
        ];
        assert_eq!(ends(&lines), failed, "{by:?}");
    }
}

#[test]
fn an_unknown_tool_by_the_layer() {
    let (lines, error) = play(By::Layer, Ask::Prompt, unknown_tool());
    assert!(error.is_some());
    // rig has no span for the tool call, and the one of the run does not say that it failed.
    assert_eq!(ends(&lines), [good("llm.invoke"), good("agent.invoke")]);
}

/// Asks the model again after an unknown tool.
struct AskAgain;

impl AgentHook for AskAgain {
    async fn on_invalid_tool_call(
        &self,
        _: &HookContext,
        _: &InvalidToolCallContext,
    ) -> Option<InvalidToolCallAction> {
        Some(InvalidToolCallAction::retry("There is no such tool."))
    }
}

#[test]
fn an_unknown_tool_whose_run_recovers() {
    for (by, how) in [
        (By::Hook, Ask::Prompt),
        (By::Hook, Ask::Stream),
        (By::Both, Ask::Prompt),
        (By::Both, Ask::Stream),
    ] {
        let again =
            |runner: AgentRunner| runner.max_invalid_tool_call_retries(1).add_hook(AskAgain);
        let (lines, error) = play_with(&capture(), by, how, unknown_tool(), again);
        assert_eq!(error, None);
        let mut tokens: Vec<_> =
            lines.iter().filter_map(|line| line["tokens_input"].as_u64()).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [120, 160], "{by:?} {lines:#?}");
        let mut ended = ends(&lines);
        ended.sort_unstable();
        let failed = ("tool.error", "error", "unknown_tool", UNKNOWN);
        assert_eq!(ended, [good("agent.invoke"), good("llm.invoke"), good("llm.invoke"), failed]);
    }
}

fn malformed_arguments() -> Vec<Answer> {
    vec![changed_call("arguments", "{plan: dental"), text("I could not look.")]
}

#[test]
fn arguments_that_do_not_parse() {
    for (by, how) in [(By::Hook, Ask::Prompt), (By::Hook, Ask::Stream), (By::Both, Ask::Prompt)] {
        let (lines, error) = play(by, how, malformed_arguments());
        assert_eq!(error, None);
        let message = "the arguments for `plan_search` are not a JSON object: key must be a string at line 1 column 2";
        let failed = ("tool.error", "error", "malformed_arguments", message);
        let ended = [good("llm.invoke"), failed, good("llm.invoke"), good("agent.invoke")];
        assert_eq!(ends(&lines), ended, "{by:?}");
        assert_tree(&lines);
    }
}

#[test]
fn arguments_that_do_not_parse_by_the_layer() {
    let (lines, _) = play(By::Layer, Ask::Prompt, malformed_arguments());
    // rig does not name the span of such a call.
    assert_eq!(ends(&lines), [good("llm.invoke"), good("llm.invoke"), good("agent.invoke")]);
}

#[test]
fn too_many_turns() {
    let turns = || vec![tool_call("dental")];
    for by in [By::Hook, By::Both] {
        let (lines, _) = play(by, Ask::Prompt, turns());
        let message = "reached the max turns limit of 4";
        assert_eq!(*ends(&lines).last().unwrap(), ("agent.invoke", "error", "max_turns", message));
    }
    let (lines, _) = play(By::Layer, Ask::Prompt, turns());
    assert_eq!(
        *ends(&lines).last().unwrap(),
        good("agent.invoke"),
        "rig's span does not say that it failed"
    );
}

/// Skips every tool.
struct Skip;

impl AgentHook for Skip {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        match event.tool_name() {
            Some(_) => DispatchAction::skip("not today"),
            None => DispatchAction::proceed(),
        }
    }
}

#[test]
fn a_tool_that_another_hook_skips() {
    for by in [By::Hook, By::Both] {
        let answers = vec![tool_call("dental"), text("I may not look.")];
        let (lines, _) =
            play_with(&capture(), by, Ask::Prompt, answers, |runner| runner.add_hook(Skip));
        let ended = ["llm.invoke", "tool.result", "llm.invoke", "agent.invoke"].map(good);
        assert_eq!(ends(&lines), ended);
        let result = lines.iter().find(|line| line["event_type"] == "tool.result").unwrap();
        assert_eq!(result["data"]["outcome"], "skipped");
    }
}

#[test]
fn two_hooks_record_a_run_once() {
    let second = |runner: AgentRunner| runner.add_hook(AuditHook::new("another"));
    let answers = vec![tool_call("dental"), text("Two.")];
    let (lines, _) = play_with(&capture(), By::Hook, Ask::Prompt, answers, second);
    assert_eq!(ends(&lines).len(), 4, "{lines:#?}");
}

#[test]
fn a_run_without_content() {
    for by in [By::Hook, By::Both] {
        let seen = capture();
        play_with(
            &seen,
            by,
            Ask::Stream,
            vec![tool_call("dental"), text("Two check-ups.")],
            |runner| runner,
        );
        let text = seen.lines().concat();
        for content in ["dental", "check-ups", "about benefits"] {
            assert!(!text.contains(content), "{content} in {text}");
        }
    }
}

#[test]
fn a_run_with_content() {
    for by in [By::Hook, By::Both] {
        let seen = capture_with(|builder| builder.capture_content(true));
        let answers = vec![tool_call("dental"), text("Two check-ups.")];
        let (lines, _) = play_with(&seen, by, Ask::Prompt, answers, |runner| runner);
        let [first, call, _, result, second, run] = &lines[..] else { panic!("{lines:#?}") };
        assert!(first["data"]["prompt"].to_string().contains("dental plan cover?"));
        assert_eq!(call["data"]["arguments"], json!({"plan": "dental"}));
        assert_eq!(result["data"]["result"], "two check-ups a year");
        assert!(second["data"]["completion"].to_string().contains("Two check-ups."));
        assert!(run["data"]["prompt"].to_string().contains("dental plan cover?"));
        assert_eq!(run["data"]["completion"], "Two check-ups.");
    }
}

#[test]
fn a_run_lies_below_what_is_current() {
    let request = TraceContext::new_trace().with_tenant("acme");
    let _scope = request.enter();
    let (lines, _) = play(By::Hook, Ask::Prompt, vec![text("Two.")]);
    let run = &lines[1];
    assert_eq!(run["parent_span_id"], format!("{:016x}", request.span_id()));
    assert!(lines.iter().all(|line| line["data"]["tenant"] == "acme"), "{lines:#?}");
}

/// Selects the model of this label.
struct Select(&'static str);

impl AgentHook for Select {
    fn on_model_select(&self, _: &HookContext, _: ModelSelection<'_>) -> ModelSelectionAction {
        ModelSelectionAction::select(self.0)
    }
}

#[test]
fn the_choice_of_another_model() {
    let select = |runner: AgentRunner| {
        let runner = runner.add_hook(Select("large"));
        runner.add_hook(AuditHook::new("benefits"))
    };
    // No model of that label is registered, so the run fails before the call.
    let (lines, error) = play_with(&capture(), By::Layer, Ask::Prompt, vec![text("Two.")], select);
    assert!(error.is_some());
    let [route, run] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(
        (&route["event_type"], &route["data"]["model"]),
        (&json!("agent.route"), &json!("large"))
    );
    assert_eq!((&run["event_type"], &run["status"]), (&json!("agent.invoke"), &json!("error")));
}

/// A filter of the layer hides some of rig's spans. Each operation is recorded once even so.
#[test]
fn a_filter_of_the_layer_doubles_nothing() {
    for hidden in ["invoke_agent", "chat", "execute_tool"] {
        let seen = capture();
        let shown = filter_fn(move |metadata| metadata.name() != hidden);
        let layer = AuditLayer::new("benefits").with_filter(shown);
        let _subscriber = tracing_subscriber::registry().with(layer).set_default();
        let (lines, _) = play_inside(&seen, true, Ask::Stream, failing_tool(), |runner| runner);
        let failed = ("tool.error", "error", "other", "no such plan");
        let ended = [good("llm.invoke"), failed, good("llm.invoke"), good("agent.invoke")];
        assert_eq!(ends(&lines), ended, "without {hidden}");
        let calls = lines.iter().filter(|line| line["event_type"] == "tool.call").count();
        assert_eq!(calls, 1, "without {hidden}");
    }
}

/// Inside of a span of the caller rig opens none for the run, so the hook records the run.
#[test]
fn a_run_in_a_span_of_the_caller() {
    let seen = capture();
    let layer = AuditLayer::new("benefits");
    let _subscriber = tracing_subscriber::registry().with(layer).set_default();
    let span = tracing::info_span!("work", gen_ai.operation.name = "invoke_workflow");
    let (lines, _) =
        span.in_scope(|| play_inside(&seen, true, Ask::Prompt, vec![quota()], |runner| runner));
    drop(span);
    let failed = |event_type| {
        (event_type, "error", "insufficient_quota", "You exceeded your current quota.")
    };
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
    let work: Value = serde_json::from_str(seen.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&work["event_type"], &work["status"]),
        (&json!("workflow.invoke"), &json!("error"))
    );
    assert!(lines.iter().all(|line| line["parent_span_id"] == work["span_id"]), "{lines:#?}");
}
