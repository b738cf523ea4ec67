//! The event that callers build, which borrows everything it contains.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Payload;
use crate::context::TraceContext;
use crate::panics::display_text;
use crate::pricing::Usage;
#[cfg(any(feature = "macros", feature = "tower"))]
use crate::urls::without_url_paths;
pub use llm_audit_log::schema::{EventType, Status, Usd, is_event_type_name};

/// One step of an agent, ready for [`emit`](crate::emit).
///
/// It borrows the caller's data and owns nothing. So building one does not allocate, and if it is
/// sampled out, nothing was copied. Times are in milliseconds, money is in US dollars, and tokens are
/// whole numbers. Input tokens include the cached ones, and output tokens include reasoning.
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, EventType};
///
/// let payload = std::collections::BTreeMap::from([("tool", "search")]);
/// llm_audit::emit(
///     &AuditEvent::new(EventType::ToolCall, "benefits", "tool.search")
///         .latency_ms(12.5)
///         .data(&payload),
/// );
/// ```
#[derive(Clone, Copy)]
pub struct AuditEvent<'a> {
    pub(crate) event_type: EventType<'a>,
    pub(crate) agent: &'a str,
    pub(crate) action: &'a str,
    pub(crate) status: Status,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) tokens_input: Option<u64>,
    pub(crate) tokens_output: Option<u64>,
    pub(crate) cost_usd: Option<Usd>,
    pub(crate) usage: Option<&'a Usage>,
    /// NaN if there is none.
    pub(crate) first_token_ms: f64,
    /// What the event is counted by, beside its type, status, agent and action. Empty if it has none.
    pub(crate) model: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) user: &'a str,
    /// What the event is part of, which nothing is counted by.
    pub(crate) conversation: &'a str,
    /// Whether there is any of these four.
    pub(crate) has_members: bool,
    /// Whether there may be tokens, a cost or a time to the first token.
    pub(crate) has_amounts: bool,
    /// Microseconds since the Unix epoch; `None` means the time of the emit.
    pub(crate) timestamp: Option<i64>,
    pub(crate) ids: IdSource<'a>,
    pub(crate) data: Option<&'a dyn Payload>,
    /// The members of `data` that are content.
    pub(crate) content: &'a [&'a str],
    pub(crate) error: Option<&'a ErrorDetail<'a>>,
}

/// The source of an event's ids.
#[derive(Clone, Copy)]
pub(crate) enum IdSource<'a> {
    /// The context of the thread or task, or a new trace.
    Current,
    /// This context, used like the current one.
    Within(&'a TraceContext),
    /// Exactly the ids of this context.
    Exactly(&'a TraceContext),
}

impl<'a> AuditEvent<'a> {
    /// Returns an event of this type for an `action` of `agent`.
    ///
    /// If the type names an error, the status begins as [`Status::Error`]. For all other types it
    /// begins as [`Status::Ok`].
    #[inline]
    pub fn new(event_type: EventType<'a>, agent: &'a str, action: &'a str) -> Self {
        let status = if event_type.is_failure() { Status::Error } else { Status::Ok };
        Self {
            event_type,
            agent,
            action,
            status,
            latency_ms: None,
            tokens_input: None,
            tokens_output: None,
            cost_usd: None,
            usage: None,
            first_token_ms: f64::NAN,
            model: "",
            tenant: "",
            user: "",
            conversation: "",
            has_members: false,
            has_amounts: false,
            timestamp: None,
            ids: IdSource::Current,
            data: None,
            content: &[],
            error: None,
        }
    }

    /// Sets the status.
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Sets the duration, in milliseconds. If it is not finite, it is left out of the line.
    pub fn latency_ms(mut self, latency_ms: f64) -> Self {
        self.latency_ms = Some(latency_ms);
        self
    }

    /// Sets the input and output tokens.
    pub fn tokens(self, input: u64, output: u64) -> Self {
        self.tokens_input(input).tokens_output(output)
    }

    /// Sets the tokens that the model read, including cached ones.
    pub fn tokens_input(mut self, tokens: u64) -> Self {
        self.tokens_input = Some(tokens);
        self.has_amounts = true;
        self
    }

    /// Sets the tokens that the model wrote, including reasoning.
    pub fn tokens_output(mut self, tokens: u64) -> Self {
        self.tokens_output = Some(tokens);
        self.has_amounts = true;
        self
    }

    /// Sets the totals of a usage that are known, and counts its parts in [`metrics`](crate::metrics).
    ///
    /// The parts are not in the line. Readers find them at `data.usage`.
    pub fn usage(mut self, usage: &'a Usage) -> Self {
        self.usage = Some(usage);
        self.has_amounts = true;
        self.tokens_input = usage.tokens_input().or(self.tokens_input);
        self.tokens_output = usage.tokens_output().or(self.tokens_output);
        self
    }

    /// Sets the cost in US dollars: a [`Usd`], or an `f64`, which counts by its shortest digits.
    ///
    /// The cost is written exactly, never with an exponent. If a value is not a [`Usd`], for example
    /// because it is not finite, or if it is below zero, it is left out of the line.
    pub fn cost_usd(mut self, cost: impl TryInto<Usd>) -> Self {
        self.cost_usd = cost.try_into().ok().filter(|cost: &Usd| !cost.is_negative());
        self.has_amounts = true;
        self
    }

    /// Sets the time to the first token of a stream, in milliseconds, for [`metrics`](crate::metrics).
    ///
    /// It is not in the line. Readers find it at `data.first_token_ms`.
    pub fn first_token_ms(mut self, milliseconds: f64) -> Self {
        self.first_token_ms = milliseconds;
        self.has_amounts = true;
        self
    }

    /// Sets the model, which the event is counted by in [`metrics`](crate::metrics).
    ///
    /// It is written as `data.model`, unless the payload has that member.
    pub fn model(mut self, model: &'a str) -> Self {
        self.model = model;
        self.with_members_noted()
    }

    /// Sets the tenant, which the event is counted by in [`metrics`](crate::metrics).
    ///
    /// It is written as `data.tenant`, unless the payload has that member. Without it, the tenant is
    /// [that of the context](TraceContext::with_tenant).
    pub fn tenant(mut self, tenant: &'a str) -> Self {
        self.tenant = tenant;
        self.with_members_noted()
    }

    /// Sets the user, whom the event is counted by in the totals of the log.
    ///
    /// It is written as `data.user`, unless the payload has that member. Without it, the user is
    /// [that of the context](TraceContext::with_user). If the id is personal, such as a mail address, a keyed hash
    /// takes its place (`AUDIT_HASH_USERS`).
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = user;
        self.with_members_noted()
    }

    /// Sets the conversation that the event is part of.
    ///
    /// It is written as `data.conversation`, unless the payload has that member. Without it, the conversation is
    /// [that of the context](TraceContext::with_conversation). A personal id becomes a keyed hash, as that of a
    /// [user](Self::user). Nothing is counted by it.
    pub fn conversation(mut self, conversation: &'a str) -> Self {
        self.conversation = conversation;
        self.with_members_noted()
    }

    #[inline]
    fn with_members_noted(mut self) -> Self {
        let bytes = self.own_members().map(|(_, text)| text.len());
        // Without a branch for each: it is done again for every member of every event.
        self.has_members = bytes.into_iter().fold(0, |all, bytes| all | bytes) != 0;
        self
    }

    /// Sets the time, if the event is recorded later than it happened. The line has it to the
    /// microsecond.
    pub fn timestamp(mut self, time: SystemTime) -> Self {
        self.timestamp = Some(unix_micros(time));
        self
    }

    /// Sets the duration, to the nanosecond; see [`latency_ms`](Self::latency_ms).
    pub fn latency(self, latency: Duration) -> Self {
        self.latency_ms(milliseconds(latency))
    }

    /// Takes the ids from `context`, as if it were the current one.
    ///
    /// Events of one operation (`request.*`, `tool.*`) have its span. Any other event is a new span
    /// below it.
    pub fn context(mut self, context: &'a TraceContext) -> Self {
        self.ids = IdSource::Within(context);
        self
    }

    /// Uses exactly the ids of `context`, whatever the type of the event.
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.ids = IdSource::Exactly(context);
        self
    }

    /// Sets the payload: any value that serializes to an object.
    ///
    /// It is redacted while it is copied, and the value itself does not change. If it is not an
    /// object, it is written as `{"value": …}`. The readers understand the names of the schema inside
    /// it (`model`, `usage`, `tool`, …).
    ///
    /// Events are counted before the payload is read. So if it has a model, a user or a tenant, set the same one
    /// by [`model`](Self::model), [`user`](Self::user) or [`tenant`](Self::tenant).
    pub fn data<T: Serialize>(mut self, data: &'a T) -> Self {
        self.data = Some(data);
        self
    }

    /// Names the members of [`data`](Self::data) that are content: what is there only because
    /// [`captures_content`](crate::captures_content) returned `true`.
    ///
    /// If content is captured in [failed traces](crate::CaptureContent::Failed) only, these members are
    /// written only if the trace fails. The names of layers and helpers are `prompt`, `completion`,
    /// `system_instructions`, `arguments`, `result`, `request_body` and `response_body`. If redaction changes one of
    /// the names, all members whose names it changes are content.
    ///
    /// ```
    /// use llm_audit::{AuditEvent, EventType};
    ///
    /// let mut data = serde_json::json!({"service": "push", "bytes": 12});
    /// if llm_audit::captures_content() {
    ///     data["body"] = "your answer".into();
    /// }
    /// let event = AuditEvent::new(EventType::PushSend, "benefits", "notify");
    /// llm_audit::emit(&event.data(&data).content(&["body"]));
    /// ```
    pub fn content(mut self, members: &'a [&'a str]) -> Self {
        self.content = members;
        self
    }

    /// Sets a payload that the library made; see [`data`](Self::data).
    pub(crate) fn payload(mut self, data: &'a dyn Payload) -> Self {
        self.data = Some(data);
        self
    }

    /// Sets the error. If the status is [`Status::Ok`], it becomes [`Status::Error`].
    pub fn error(mut self, error: &'a ErrorDetail<'a>) -> Self {
        self.error = Some(error);
        if self.status == Status::Ok {
            self.status = Status::Error;
        }
        self
    }
}

impl<'a> AuditEvent<'a> {
    /// Returns the event for the user, the tenant and the conversation of `context`, unless it has its own.
    pub(crate) fn with_identity_of(self, context: &'a TraceContext) -> Self {
        let or = |own: &'a str, inherited: Option<&'a str>| match own {
            "" => inherited.unwrap_or(""),
            own => own,
        };
        self.user(or(self.user, context.user()))
            .tenant(or(self.tenant, context.tenant()))
            .conversation(or(self.conversation, context.conversation()))
    }

    /// Returns the members of `data` that the event has beside its payload. A text is empty if it has none.
    #[inline]
    pub(crate) fn own_members(&self) -> [(&'static str, &'a str); 4] {
        [
            ("model", self.model),
            ("user", self.user),
            ("tenant", self.tenant),
            ("conversation", self.conversation),
        ]
    }
}

/// Returns a duration in milliseconds, to the nanosecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Returns the microseconds since the Unix epoch, negative before it.
pub(crate) fn unix_micros(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

/// The description of an error, for [`AuditEvent::error`].
///
/// Each of its strings is redacted like the payload.
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, ErrorDetail, EventType};
///
/// # let seen = llm_audit::testing::capture();
/// let Err(refused) = "ten".parse::<u32>() else { unreachable!() };
/// let arguments = [("limit", "ten")];
/// let error = ErrorDetail::from_error(&refused).input_snapshot(&arguments);
/// llm_audit::emit(&AuditEvent::new(EventType::ToolError, "benefits", "search").error(&error));
/// # let line = &seen.lines()[0];
/// # assert!(line.contains("invalid digit") && line.contains(r#""status":"error""#), "{line}");
/// ```
#[derive(Clone, Default)]
pub struct ErrorDetail<'a> {
    pub(crate) error_type: Cow<'a, str>,
    pub(crate) message: Cow<'a, str>,
    pub(crate) traceback: Option<Cow<'a, str>>,
    pub(crate) recoverable: Option<bool>,
    pub(crate) input_snapshot: Option<&'a dyn Payload>,
    pub(crate) environment: Option<&'a dyn Payload>,
    /// The whole object, if the caller built it; the fields above are then unused.
    pub(crate) object: Option<&'a dyn Payload>,
}

impl<'a> ErrorDetail<'a> {
    /// Returns an error of this type and message.
    pub fn new(error_type: impl Into<Cow<'a, str>>, message: impl Into<Cow<'a, str>>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), ..Self::default() }
    }

    /// Describes a Rust error.
    ///
    /// The type's name comes from [`std::any::type_name`], and the message from `Display`. The
    /// traceback is the chain of [`source`](StdError::source)s, one in each line.
    pub fn from_error<E: StdError>(error: &E) -> Self {
        Self::from_named_error(std::any::type_name::<E>(), error)
    }

    /// Describes an error under a type's name that the caller knows; see
    /// [`from_error`](Self::from_error).
    pub(crate) fn from_named_error<E: StdError + ?Sized>(error_type: &'a str, error: &E) -> Self {
        /// The limit is needed because a chain may be a circle.
        const SOURCES_MAX: usize = 32;
        let mut chain = String::new();
        let mut source = error.source();
        for _ in 0..SOURCES_MAX {
            let Some(cause) = source else { break };
            if !chain.is_empty() {
                chain.push('\n');
            }
            chain.push_str("caused by: ");
            chain.push_str(&display_text(cause));
            source = cause.source();
        }
        let detail = Self::new(error_type, display_text(error));
        if chain.is_empty() { detail } else { detail.traceback(chain) }
    }

    /// Cuts the URLs in its texts after their host. Many client libraries put the whole URL into their
    /// errors, and a path may name a person.
    #[cfg(any(feature = "macros", feature = "tower"))]
    pub(crate) fn without_url_paths(mut self) -> Self {
        self.message = without_url_paths(&self.message).into();
        self.traceback = self.traceback.map(|text| without_url_paths(&text).into());
        self
    }

    /// Uses a whole `error` object for the line, for importers that have one.
    ///
    /// If snapshots are switched off, its `input_snapshot` is left out.
    pub fn from_object<T: Serialize>(object: &'a T) -> Self {
        Self { object: Some(object), ..Self::default() }
    }

    /// Sets the place of the error, as text.
    pub fn traceback(mut self, traceback: impl Into<Cow<'a, str>>) -> Self {
        self.traceback = Some(traceback.into());
        self
    }

    /// Adds a backtrace after the text of the traceback.
    pub fn backtrace(mut self, backtrace: &std::backtrace::Backtrace) -> Self {
        let mut text = self.traceback.take().map_or_else(String::new, Cow::into_owned);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&backtrace.to_string());
        self.traceback = Some(text.into());
        self
    }

    /// Sets whether the agent can continue.
    pub fn recoverable(mut self, recoverable: bool) -> Self {
        self.recoverable = Some(recoverable);
        self
    }

    /// Sets the input of the step, an object. If `AUDIT_INCLUDE_SNAPSHOTS` is `false`, it is left
    /// out.
    pub fn input_snapshot<T: Serialize>(mut self, snapshot: &'a T) -> Self {
        self.input_snapshot = Some(snapshot);
        self
    }

    /// Sets the environment of the step: an object with the model, versions of tools and the like.
    pub fn environment<T: Serialize>(mut self, environment: &'a T) -> Self {
        self.environment = Some(environment);
        self
    }
}
