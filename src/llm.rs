//! Model calls, recorded by one line of code.

use std::fmt;

use serde::Serialize;

use crate::context::TraceContext;
use crate::pricing::{ProviderAnswer, Usage, Usd};
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::record::{OptionalFields, Payload};
use crate::recorder::{AuditLogger, Outlet};

/// The members of the data that are content.
const CONTENT: [&str; 2] = ["prompt", "completion"];

/// One call of a model, for [`record_llm_call`].
///
/// # Examples
///
/// ```
/// use llm_audit::{LlmCall, record_llm_call};
///
/// # let answer: serde_json::Value = serde_json::json!({"model": "gpt-4o-2024-08-06",
/// #     "usage": {"prompt_tokens": 1000, "completion_tokens": 500}});
/// let cost = record_llm_call(
///     &LlmCall::new("planner", "chat", "openai", "gpt-4o").answer(&answer).latency_ms(840.0),
/// );
/// assert_eq!(cost, "0.0075".parse().ok());
/// ```
#[derive(Clone, Copy)]
pub struct LlmCall<'a> {
    agent: &'a str,
    action: &'a str,
    provider: &'a str,
    model: &'a str,
    user: &'a str,
    tenant: &'a str,
    conversation: &'a str,
    first_token_ms: Option<f64>,
    answer: Option<&'a dyn ReadAnswer>,
    usage: Option<Usage>,
    /// The caller's own figure; `Some(None)` if it is not a sum of money.
    cost: Option<Option<Usd>>,
    latency_ms: Option<f64>,
    status: Option<Status>,
    prompt: Option<&'a dyn Payload>,
    completion: Option<&'a dyn Payload>,
    error: Option<&'a ErrorDetail<'a>>,
    span: Option<&'a TraceContext>,
}

/// An object-safe view of a provider's answer.
trait ReadAnswer {
    fn read(&self) -> Option<ProviderAnswer>;
}

impl<T: Serialize> ReadAnswer for T {
    fn read(&self) -> Option<ProviderAnswer> {
        ProviderAnswer::from_serialized(self)
    }
}

impl fmt::Debug for LlmCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmCall").field("model", &self.model).finish_non_exhaustive()
    }
}

impl<'a> LlmCall<'a> {
    /// Returns a call by `agent` of the `model` of `provider`.
    ///
    /// `action` is its purpose (`chat`, `embeddings`, …). If the provider is not known, pass an empty
    /// text.
    pub fn new(agent: &'a str, action: &'a str, provider: &'a str, model: &'a str) -> Self {
        Self {
            agent,
            action,
            provider,
            model,
            user: "",
            tenant: "",
            conversation: "",
            first_token_ms: None,
            answer: None,
            usage: None,
            cost: None,
            latency_ms: None,
            status: None,
            prompt: None,
            completion: None,
            error: None,
            span: None,
        }
    }

    /// Reads the usage and the model's name from the provider's answer, a list of its chunks, or the
    /// text of either.
    ///
    /// The answer itself is not recorded. See [`Usage::from_answer`]. If it has no whole usage and is
    /// not an error, [`AuditLogger::unmetered`] counts it. With a status from 400,
    /// providers answer with an error (`{"error": …}`). Then the event is an `llm.error` with that
    /// error's type and message, unless [`error`](Self::error) or [`status`](Self::status) is set.
    pub fn answer<T: Serialize>(mut self, answer: &'a T) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Sets the tokens; they replace the usage in the answer.
    pub fn usage(mut self, usage: impl Into<Usage>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    /// Sets the cost, if the provider reports it.
    ///
    /// No price is looked up then, not even if this is not a sum of money (`NaN`).
    pub fn cost(mut self, cost: impl TryInto<Usd>) -> Self {
        self.cost = Some(cost.try_into().ok());
        self
    }

    /// Sets the user whom the call is for; see [`AuditEvent::user`]. Without it, the user is
    /// [that of the context](TraceContext::with_user).
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = user;
        self
    }

    /// Sets the customer whom the call is for; see [`AuditEvent::tenant`]. Without it, the tenant is
    /// [that of the context](TraceContext::with_tenant).
    pub fn tenant(mut self, tenant: &'a str) -> Self {
        self.tenant = tenant;
        self
    }

    /// Sets the conversation that the call is part of; see [`AuditEvent::conversation`]. Without it, it is
    /// [that of the context](TraceContext::with_conversation).
    pub fn conversation(mut self, conversation: &'a str) -> Self {
        self.conversation = conversation;
        self
    }

    /// Sets the duration, in milliseconds.
    pub fn latency_ms(mut self, latency_ms: f64) -> Self {
        self.latency_ms = Some(latency_ms);
        self
    }

    /// Sets the time to the first token of a stream, in milliseconds. It is recorded as
    /// `data.first_token_ms`, and [`metrics`](crate::metrics) have its distribution.
    pub fn first_token_ms(mut self, milliseconds: f64) -> Self {
        self.first_token_ms = Some(milliseconds);
        self
    }

    /// Sets the text that the model was sent; recorded only if content is captured.
    pub fn prompt<T: Serialize>(mut self, prompt: &'a T) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// Sets the text that the model answered; recorded only if content is captured.
    pub fn completion<T: Serialize>(mut self, completion: &'a T) -> Self {
        self.completion = Some(completion);
        self
    }

    /// Sets the reason why there is no answer; the event is then an `llm.error`.
    pub fn error(mut self, error: &'a ErrorDetail<'a>) -> Self {
        self.error = Some(error);
        self
    }

    /// Sets the status, if it is not just `ok` or `error`, as `timeout` or `retry`.
    ///
    /// If it is `error` or `timeout`, the event is an `llm.error`.
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Uses exactly the ids of `context`, so that other events can be below the call.
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.span = Some(context);
        self
    }

    fn record(&self, outlet: &Outlet) -> Option<Usd> {
        let answer = self.answer.and_then(ReadAnswer::read).unwrap_or_default();
        let usage = self.usage.or(answer.usage);
        let model = answer.model.as_deref().unwrap_or(self.model);
        let whole = usage.filter(|usage| !usage.is_partial());
        let cost = self.cost.unwrap_or_else(|| self.price(outlet, model, whole?));
        let failed = self.error.is_some() || answer.error.is_some() || self.has_failed();
        if whole.is_none() && self.answer.is_some() && self.cost.is_none() && !failed {
            outlet.count_unmetered(model);
        }

        let parts = usage.filter(Usage::has_parts);
        let captures = outlet.captures_content();
        let members = [
            ("model", Some(&model as &dyn Payload).filter(|_| !model.is_empty())),
            (
                "provider",
                Some(&self.provider as &dyn Payload).filter(|_| !self.provider.is_empty()),
            ),
            ("usage", parts.as_ref().map(|parts| parts as &dyn Payload)),
            ("first_token_ms", self.first_token_ms.as_ref().map(|ms| ms as &dyn Payload)),
            ("prompt", self.prompt.filter(|_| captures)),
            ("completion", self.completion.filter(|_| captures)),
        ];
        let data = OptionalFields(&members);
        let answered = answer
            .error
            .as_ref()
            .map(|(error_type, message)| ErrorDetail::new(error_type, message));
        let error = self.error.or(answered.as_ref().filter(|_| self.status.is_none()));
        let mut event = self.event(error).payload(&data).content(&CONTENT).model(model);
        if let Some(usage) = &usage {
            event = event.usage(usage);
        }
        if let Some(cost) = cost {
            event = event.cost_usd(cost);
        }
        outlet.emit(&event);
        cost
    }

    /// Reports whether the caller's status says that there is no answer.
    fn has_failed(&self) -> bool {
        self.status.is_some_and(Status::is_failure)
    }

    /// Returns the event without usage, cost and data.
    fn event<'e>(&self, error: Option<&'e ErrorDetail<'e>>) -> AuditEvent<'e>
    where
        'a: 'e,
    {
        let event_type = match self.has_failed() || error.is_some() {
            true => EventType::LlmError,
            false => EventType::LlmInvoke,
        };
        let mut event = AuditEvent::new(event_type, self.agent, self.action);
        event = error.map_or(event, |error| event.error(error));
        event = self.status.map_or(event, |status| event.status(status));
        event = event.user(self.user).tenant(self.tenant).conversation(self.conversation);
        event = self.latency_ms.map_or(event, |ms| event.latency_ms(ms));
        event = self.first_token_ms.map_or(event, |ms| event.first_token_ms(ms));
        self.span.map_or(event, |context| event.span(context))
    }

    /// Returns the cost by the price of the model that answered.
    ///
    /// If that model has no price, the requested one counts, which may be a deployment's name.
    fn price(&self, outlet: &Outlet, answered: &str, usage: Usage) -> Option<Usd> {
        let models = [answered, self.model];
        let models = if answered == self.model { &models[..1] } else { &models };
        outlet.cost_with_provider(self.provider, models, usage)
    }
}

/// Records a model call into the recorder of the process, and returns its cost.
///
/// See [`AuditLogger::record_llm_call`].
///
/// # Examples
///
/// ```
/// use llm_audit::{LlmCall, record_llm_call};
/// use serde_json::json;
///
/// # let seen = llm_audit::testing::capture();
/// let answer = json!({"model": "gpt-4o-mini-2024-07-18",
///                     "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}});
/// let call = LlmCall::new("benefits", "answer", "openai", "gpt-4o-mini").answer(&answer);
/// let cost = record_llm_call(&call);
/// assert_eq!(cost.map(|cost| cost.to_string()).as_deref(), Some("0.00021"));
/// # assert!(seen.lines()[0].contains(r#""tokens_input":1000"#));
/// ```
pub fn record_llm_call(call: &LlmCall<'_>) -> Option<Usd> {
    call.record(&Outlet::default())
}

impl AuditLogger {
    /// Records a model call as `llm.invoke`, or as `llm.error` if it failed.
    ///
    /// The model, the provider and the parts of the usage are in `data`. If content is captured, so
    /// are the prompt and the completion. Tokens and cost are in the fields of the event.
    ///
    /// Returns the cost, also if the event is not kept. Returns `None` if there is no whole usage, or if
    /// neither the call has a cost nor a price is known.
    pub fn record_llm_call(&self, call: &LlmCall<'_>) -> Option<Usd> {
        call.record(&Outlet(Some(self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Capture, capture, capture_with};

    fn only(seen: &Capture) -> Value {
        let lines = seen.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        serde_json::from_str(&lines[0]).unwrap()
    }

    #[test]
    fn an_answer_is_priced_and_recorded_without_its_content() {
        let answer = json!({
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "to ana@example.org"}],
            "usage": {"input_tokens": 4, "cache_read_input_tokens": 8000, "output_tokens": 100},
        });
        let seen = capture();
        let span = TraceContext::new_trace();
        let call = LlmCall::new("planner", "chat", "anthropic", "claude-sonnet-4-5")
            .answer(&answer)
            .prompt(&"my secret plan")
            .completion(&answer)
            .latency_ms(12.5)
            .span(&span);
        assert_eq!(record_llm_call(&call), "0.003912".parse().ok());
        let line = only(&seen);
        assert_eq!(line["event_type"], "llm.invoke");
        assert_eq!(line["status"], "ok");
        assert_eq!(line["span_id"], format!("{:016x}", span.span_id()));
        assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(8004), &json!(100)));
        assert_eq!((&line["cost_usd"], &line["latency_ms"]), (&json!(0.003912), &json!(12.5)));
        let data = json!({"model": "claude-sonnet-4-5-20250929", "provider": "anthropic",
            "usage": {"cache_read": 8000}});
        assert_eq!(line["data"], data);
    }

    #[test]
    fn content_is_recorded_where_it_is_captured_and_redacted() {
        let seen = capture_with(|builder| builder.capture_content(true));
        let prompt = json!([{"role": "user", "content": "mail ana@example.org", "password": "x"}]);
        let call =
            LlmCall::new("planner", "chat", "", "gpt-4o").prompt(&prompt).completion(&"done");
        assert_eq!(record_llm_call(&call), None);
        let data = json!({"model": "gpt-4o", "completion": "done", "prompt":
            [{"role": "user", "content": "mail [REDACTED_email]", "password": "[REDACTED]"}]});
        assert_eq!(only(&seen)["data"], data);
        assert_eq!(seen.logger().accounting().unpriced, 0, "there was nothing to price");
    }

    #[test]
    fn whom_a_call_is_for_is_its_own_or_that_of_the_context() {
        let seen = capture();
        let context = TraceContext::new_trace().with_user("ann").with_tenant("acme");
        let _scope = context.with_conversation("c-1").enter();
        let call = LlmCall::new("planner", "chat", "", "gpt-4o").first_token_ms(80.5);
        record_llm_call(&call);
        record_llm_call(&call.user("bob").tenant("globex").conversation("c-2"));
        let data = |user: &str, tenant: &str, conversation: &str| {
            json!({"model": "gpt-4o", "first_token_ms": 80.5, "user": user, "tenant": tenant,
                "conversation": conversation})
        };
        let lines = seen.lines();
        let recorded = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let recorded: Vec<_> = recorded.map(|mut line| line["data"].take()).collect();
        assert_eq!(recorded, [data("ann", "acme", "c-1"), data("bob", "globex", "c-2")]);
        let rows = seen.logger().metrics().rows;
        let tenants: Vec<_> =
            rows.iter().map(|row| (&*row.tenant, row.first_tokens.count())).collect();
        assert_eq!(tenants, [("acme", 1), ("globex", 1)]);
    }

    #[test]
    fn failures_are_errors() {
        let detail = ErrorDetail::new("RateLimit", "try later");
        let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
        let cases = [
            (call.error(&detail), "llm.error", "error"),
            (call.status(Status::Timeout), "llm.error", "timeout"),
            (call.error(&detail).status(Status::Retry), "llm.error", "retry"),
            (call.status(Status::Retry), "llm.invoke", "retry"),
        ];
        for (call, event_type, status) in cases {
            let seen = capture();
            assert_eq!(record_llm_call(&call), None);
            let line = only(&seen);
            assert_eq!(
                (&line["event_type"], &line["status"]),
                (&json!(event_type), &json!(status))
            );
            assert!(line.get("cost_usd").is_none() && line.get("tokens_input").is_none());
        }
    }

    #[test]
    fn an_answer_that_tells_of_an_error_is_one() {
        let cases = [
            (
                json!({"error": {"message": "slow down, ana@example.org", "type": "requests",
                    "param": null, "code": "rate_limit_exceeded"}}),
                ("requests", "slow down, [REDACTED_email]"),
            ),
            (
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
                ("overloaded_error", "busy"),
            ),
            (
                json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}),
                ("429", "quota"),
            ),
            (json!({"error": "model not found"}), ("_OTHER", "model not found")),
            (
                json!({"object": "error", "message": "no such model", "type": "invalid_model"}),
                ("invalid_model", "no such model"),
            ),
            (json!({"type": "error", "code": null, "message": "cut"}), ("_OTHER", "cut")),
            (
                json!({"response": {"status": "failed", "error": {"code": "server_error"}}}),
                ("server_error", ""),
            ),
        ];
        let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
        for (answer, (error_type, message)) in cases {
            let seen = capture();
            assert_eq!(record_llm_call(&call.answer(&answer)), None);
            let line = only(&seen);
            assert_eq!(
                (&line["event_type"], &line["status"]),
                (&json!("llm.error"), &json!("error"))
            );
            assert_eq!(line["error"]["type"], error_type, "{answer}");
            assert_eq!(line["error"]["message"], message, "{answer}");
            let seen = capture();
            record_llm_call(&call.answer(&answer).status(Status::Retry));
            assert_eq!(only(&seen)["event_type"], "llm.invoke", "the caller knows better");
        }
    }

    #[test]
    fn an_error_that_is_none_is_none() {
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500});
        for error in [json!(null), json!(""), json!(false), json!([])] {
            let seen = capture();
            let answer = json!({"error": error, "usage": usage, "type": "message"});
            let call = LlmCall::new("planner", "chat", "openai", "gpt-4o").answer(&answer);
            assert_eq!(record_llm_call(&call), "0.0075".parse().ok());
            assert_eq!(only(&seen)["event_type"], "llm.invoke", "{answer}");
        }
        let failed = json!({"error": {"type": "cut"}, "usage": usage}).to_string();
        let seen = capture();
        let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
        assert_eq!(record_llm_call(&call.answer(&failed)), "0.0075".parse().ok(), "it is billed");
        assert_eq!(only(&seen)["error"]["type"], "cut");
    }

    #[test]
    fn what_the_caller_says_goes_first() {
        let seen = capture();
        let answer = json!({"usage": {"prompt_tokens": 7, "completion_tokens": 7}});
        let call = LlmCall::new("planner", "chat", "", "unheard-of")
            .answer(&answer)
            .usage((10, 20))
            .cost(0.1);
        assert_eq!(seen.logger().record_llm_call(&call), "0.1".parse().ok());
        let line = only(&seen);
        assert_eq!((&line["tokens_input"], &line["cost_usd"]), (&json!(10), &json!(0.1)));
        assert_eq!(seen.logger().accounting().unpriced, 0);
    }

    #[test]
    fn an_answer_without_readable_usage_is_counted_by_model() {
        let seen = capture();
        let (empty, half) = (json!({}), json!({"model": "m-2", "usage": {"output_tokens": 9}}));
        let (failed, whole) =
            (json!({"error": "busy"}), json!({"eval_count": 1, "prompt_eval_count": 1}));
        let call = LlmCall::new("planner", "chat", "", "m-1");
        let absent = call.answer(&empty);
        for call in [absent, absent, call.answer(&half)] {
            assert_eq!(record_llm_call(&call), None);
        }
        let lines = seen.lines();
        let line: Value = serde_json::from_str(&lines[2]).unwrap();
        assert_eq!((line.get("tokens_input"), &line["tokens_output"]), (None, &json!(9)));
        let others = [
            call,
            call.answer(&failed),
            call.answer(&whole),
            absent.usage((1, 2)),
            absent.cost(0.1),
            absent.status(Status::Timeout),
        ];
        for call in others {
            record_llm_call(&call);
        }
        let unmetered = [("m-1".to_owned(), 2), ("m-2".to_owned(), 1)];
        assert_eq!(seen.logger().unmetered(), unmetered.into());
        assert_eq!(seen.logger().accounting().unmetered, 3);
    }

    #[test]
    fn a_deployment_is_priced_by_the_model_that_answered() {
        let seen = capture();
        let answer = json!({"model": "gpt-4o-2024-08-06", "usage":
            {"prompt_tokens": 1000, "completion_tokens": 500}});
        let call = LlmCall::new("planner", "chat", "azure.ai.openai", "our-deployment");
        assert_eq!(record_llm_call(&call.answer(&answer)), "0.0075".parse().ok());
        let unknown = json!({"model": "unheard-of", "usage": answer["usage"]});
        let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
        assert_eq!(record_llm_call(&call.answer(&unknown)), "0.0075".parse().ok());
        let call = LlmCall::new("planner", "chat", "openai", "our-deployment");
        assert_eq!(record_llm_call(&call.answer(&unknown)), None);
        assert_eq!(seen.logger().unpriced().into_keys().collect::<Vec<_>>(), ["unheard-of"]);
    }
}
