//! Model calls, recorded by one line of code.

#[cfg(feature = "macros")]
mod pending;
#[cfg(test)]
mod tests;

use std::fmt;
#[cfg(feature = "macros")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
#[cfg(feature = "macros")]
use serde_json::value::RawValue;

use crate::context::TraceContext;
#[cfg(feature = "macros")]
use crate::panics::forget_panic;
use crate::pricing::{ProviderAnswer, Usage, Usd};
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::record::{OptionalFields, Payload};
use crate::recorder::{AuditLogger, Outlet};
#[cfg(feature = "macros")]
pub(crate) use pending::{CallEnd, PendingCall};

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
    attempt: Option<u64>,
    /// The number of chunks, if the answer was streamed.
    chunks: Option<u64>,
    /// The number of chunks too long to be read, if there are any.
    chunks_skipped: Option<u64>,
    prompt: Option<&'a dyn Prompt>,
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

/// An object-safe view of a prompt.
trait Prompt: Payload {
    /// Returns a copy, for a call that is recorded after its prompt is gone.
    #[cfg(feature = "macros")]
    fn to_json(&self) -> Option<Box<RawValue>>;
}

impl<T: Serialize> Prompt for T {
    #[cfg(feature = "macros")]
    fn to_json(&self) -> Option<Box<RawValue>> {
        // A `Serialize` impl is the caller's code.
        let json = catch_unwind(AssertUnwindSafe(|| serde_json::value::to_raw_value(self)));
        json.map_err(forget_panic).ok()?.ok()
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
            attempt: None,
            chunks: None,
            chunks_skipped: None,
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

    /// Sets the number of the attempt, which counts from 1. Each attempt is a call of its own.
    pub fn attempt(mut self, attempt: u64) -> Self {
        self.attempt = Some(attempt);
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
        let answer = self.answer.map(|answer| answer.read().unwrap_or_default());
        self.record_answer(outlet, answer.as_ref())
    }

    /// Records the call with this answer, which was read.
    fn record_answer(&self, outlet: &Outlet, answer: Option<&ProviderAnswer>) -> Option<Usd> {
        let unknown = ProviderAnswer::default();
        let is_answered = answer.is_some();
        let answer = answer.unwrap_or(&unknown);
        let usage = self.usage.or(answer.usage);
        let model = answer.model.as_deref().unwrap_or(self.model);
        let whole = usage.filter(|usage| !usage.is_partial());
        let cost = self.cost.unwrap_or_else(|| self.price(outlet, model, whole?));
        let failed = self.error.is_some() || answer.error.is_some() || self.has_failed();
        if whole.is_none() && is_answered && self.cost.is_none() && !failed {
            outlet.count_unmetered(model);
        }

        let parts = usage.filter(Usage::has_parts);
        let captures = outlet.captures_content();
        let text = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let (provider, reasons) = (text(self.provider), answer.progress.finish_reasons());
        let model_name = Some(model).filter(|model| !model.is_empty());
        let is_streamed = self.chunks.map(|_| true);
        let reasons = Some(reasons).filter(|reasons| is_streamed.is_some() && !reasons.is_empty());
        let prompt = self.prompt.map(|prompt| prompt as &dyn Payload);
        let members = [
            ("model", payload(&model_name)),
            ("provider", payload(&provider)),
            ("usage", payload(&parts)),
            ("stream", payload(&is_streamed)),
            ("first_token_ms", payload(&self.first_token_ms)),
            ("chunks", payload(&self.chunks)),
            ("chunks_skipped", payload(&self.chunks_skipped)),
            ("finish_reasons", payload(&reasons)),
            ("attempt", payload(&self.attempt)),
            ("prompt", prompt.filter(|_| captures)),
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

fn payload<T: Serialize>(value: &Option<T>) -> Option<&dyn Payload> {
    value.as_ref().map(|value| value as &dyn Payload)
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
