//! What callers build: an event that borrows everything it says.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Payload;
use crate::context::TraceContext;
pub use llm_audit_log::schema::{EventType, Status, Usd, is_event_type_name};

/// One thing an agent did, ready for [`emit`](crate::emit).
///
/// It borrows what the caller has and owns nothing: building one allocates nothing, and what is
/// sampled out was never copied. Times are milliseconds, money US dollars, tokens whole numbers;
/// input tokens count the cached ones too, output tokens the reasoning ones.
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
    /// Microseconds since the Unix epoch; `None` is the time of the emit.
    pub(crate) timestamp: Option<i64>,
    pub(crate) ids: Ids<'a>,
    pub(crate) data: Option<&'a dyn Payload>,
    pub(crate) error: Option<&'a ErrorDetail<'a>>,
}

/// Where an event's ids come from.
#[derive(Clone, Copy)]
pub(crate) enum Ids<'a> {
    /// The context of the thread or task, or a new trace.
    Current,
    /// This context, as if it were the current one.
    Within(&'a TraceContext),
    /// Exactly the ids of this context.
    Exactly(&'a TraceContext),
}

impl<'a> AuditEvent<'a> {
    /// An event of `event_type` by `agent`, doing `action`.
    ///
    /// The status begins as [`Status::Error`] for the types that name an error and as
    /// [`Status::Ok`] for all others.
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
            timestamp: None,
            ids: Ids::Current,
            data: None,
            error: None,
        }
    }

    /// How it ended.
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// How long it took, in milliseconds. A value that is not finite is left out of the line.
    pub fn latency_ms(mut self, latency_ms: f64) -> Self {
        self.latency_ms = Some(latency_ms);
        self
    }

    /// Input and output tokens.
    pub fn tokens(self, input: u64, output: u64) -> Self {
        self.tokens_input(input).tokens_output(output)
    }

    /// Tokens the model read, cached ones included.
    pub fn tokens_input(mut self, tokens: u64) -> Self {
        self.tokens_input = Some(tokens);
        self
    }

    /// Tokens the model wrote, reasoning included.
    pub fn tokens_output(mut self, tokens: u64) -> Self {
        self.tokens_output = Some(tokens);
        self
    }

    /// What it cost, in US dollars: a [`Usd`], or an `f64`, which counts by its shortest digits.
    /// Written exactly, never with an exponent; a value that is no [`Usd`], as one that is not
    /// finite, is left out of the line.
    pub fn cost_usd(mut self, cost: impl TryInto<Usd>) -> Self {
        self.cost_usd = cost.try_into().ok();
        self
    }

    /// When it happened, for events that are told later than they happened. Kept to the
    /// microsecond.
    pub fn timestamp(mut self, time: SystemTime) -> Self {
        self.timestamp = Some(micros(time));
        self
    }

    /// How long it took, to the nanosecond; the same as [`latency_ms`](Self::latency_ms).
    pub fn latency(self, latency: Duration) -> Self {
        self.latency_ms(latency.as_nanos() as f64 / 1e6)
    }

    /// Takes the ids from `context` as if it were the current one: events of one operation
    /// (`request.*`, `tool.*`) carry its span, any other event is a new span below it.
    pub fn context(mut self, context: &'a TraceContext) -> Self {
        self.ids = Ids::Within(context);
        self
    }

    /// Carries exactly the ids of `context`, whatever the type of the event.
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.ids = Ids::Exactly(context);
        self
    }

    /// The payload: anything that serializes to an object. It is redacted while it is copied; the
    /// value itself is not changed. What is no object is written as `{"value": …}`.
    ///
    /// Of the names inside, those of the schema (`model`, `usage`, `tool`, …) are what the readers
    /// understand.
    pub fn data<T: Serialize>(mut self, data: &'a T) -> Self {
        self.data = Some(data);
        self
    }

    /// As [`data`](Self::data), of what the library puts together itself.
    pub(crate) fn payload(mut self, data: &'a dyn Payload) -> Self {
        self.data = Some(data);
        self
    }

    /// What went wrong. A status of [`Status::Ok`] becomes [`Status::Error`].
    pub fn error(mut self, error: &'a ErrorDetail<'a>) -> Self {
        self.error = Some(error);
        if self.status == Status::Ok {
            self.status = Status::Error;
        }
        self
    }
}

/// Microseconds since the Unix epoch, negative before it.
pub(crate) fn micros(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

/// What went wrong, for [`AuditEvent::error`].
///
/// Every string of it is redacted like the payload.
#[derive(Clone, Default)]
pub struct ErrorDetail<'a> {
    pub(crate) error_type: Cow<'a, str>,
    pub(crate) message: Cow<'a, str>,
    pub(crate) traceback: Option<Cow<'a, str>>,
    pub(crate) recoverable: Option<bool>,
    pub(crate) input_snapshot: Option<&'a dyn Payload>,
    pub(crate) environment: Option<&'a dyn Payload>,
    /// The whole object as somebody else built it; the fields above are then unused.
    pub(crate) object: Option<&'a dyn Payload>,
}

impl<'a> ErrorDetail<'a> {
    /// An error of this type and message.
    pub fn new(error_type: impl Into<Cow<'a, str>>, message: impl Into<Cow<'a, str>>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), ..Self::default() }
    }

    /// The type's name from [`std::any::type_name`], the message from `Display`, and the chain of
    /// [`source`](StdError::source)s, a line each, as the traceback.
    pub fn from_error<E: StdError>(error: &E) -> Self {
        Self::of_chain(std::any::type_name::<E>(), error)
    }

    /// As [`from_error`](Self::from_error), under a type's name that the caller knows.
    pub(crate) fn of_chain<E: StdError + ?Sized>(error_type: &'a str, error: &E) -> Self {
        /// A chain may be a circle; this is where it is cut.
        const SOURCES_MAX: usize = 32;
        let mut chain = String::new();
        let mut source = error.source();
        for _ in 0..SOURCES_MAX {
            let Some(cause) = source else { break };
            if !chain.is_empty() {
                chain.push('\n');
            }
            chain.push_str("caused by: ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        let detail = Self::new(error_type, error.to_string());
        if chain.is_empty() { detail } else { detail.traceback(chain) }
    }

    /// The whole `error` object as it is to stand in the line, for importers that have one. Its
    /// `input_snapshot` is left out where snapshots are switched off.
    pub fn from_object<T: Serialize>(object: &'a T) -> Self {
        Self { object: Some(object), ..Self::default() }
    }

    /// Where it happened, as text.
    pub fn traceback(mut self, traceback: impl Into<Cow<'a, str>>) -> Self {
        self.traceback = Some(traceback.into());
        self
    }

    /// Adds a backtrace below what the traceback already says.
    pub fn backtrace(mut self, backtrace: &std::backtrace::Backtrace) -> Self {
        let mut text = self.traceback.take().map_or_else(String::new, Cow::into_owned);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&backtrace.to_string());
        self.traceback = Some(text.into());
        self
    }

    /// Whether the agent can go on.
    pub fn recoverable(mut self, recoverable: bool) -> Self {
        self.recoverable = Some(recoverable);
        self
    }

    /// What the step was given: an object. Left out where `AUDIT_INCLUDE_SNAPSHOTS` is `false`.
    pub fn input_snapshot<T: Serialize>(mut self, snapshot: &'a T) -> Self {
        self.input_snapshot = Some(snapshot);
        self
    }

    /// What it ran in: an object of model, tool versions and the like.
    pub fn environment<T: Serialize>(mut self, environment: &'a T) -> Self {
        self.environment = Some(environment);
        self
    }
}
