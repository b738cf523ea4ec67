//! Trace context: the ids of a span, and how they stay with a thread or a task.

mod draws;
mod identity;
mod process;
#[cfg(feature = "replay")]
mod replayed;
mod scope;
mod trace_rate;
mod traceparent;
mod tracestate;

use std::sync::Arc;

use llm_audit_log::schema::ids;

use crate::error::Error;
#[cfg(test)]
pub(crate) use draws::seed_draws;
pub(crate) use draws::{random_share, random_span_id, random_trace_id, share_of_span};
use identity::Identity;
pub(crate) use process::set_process_parent;
#[cfg(feature = "replay")]
pub(crate) use replayed::{
    SpanPlaces, begin_replayed_trace, end_replayed_trace, has_replayed, is_replaying,
};
pub use scope::{InSpan, Scope, Spanned};
pub(crate) use trace_rate::{TRACE_RATE_DEFAULT, keeps_trace, set_process_trace_rate};
use tracestate::TraceState;

/// The position of code in a trace: a span, its trace, and the span above it.
///
/// A context is a value. [`enter`](Self::enter) makes it the current context of a thread.
/// [`in_span`](InSpan::in_span) makes it the current context of a task. Events take their ids from
/// the current context.
///
/// # Examples
///
/// ```
/// use llm_audit::TraceContext;
///
/// // The caller's context came with a request; this service's own work is a span below it.
/// let caller = TraceContext::from_traceparent(
///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
/// )?;
/// let here = caller.new_span();
/// let _scope = here.enter();
/// assert_eq!(TraceContext::current(), Some(here.clone()));
/// assert_eq!(here.parent_span_id(), Some(caller.span_id()));
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_span_id: Option<u64>,
    /// The flag of the caller's `traceparent`; `None` if the trace began here.
    sampled: Option<bool>,
    /// Whether the 56 rightmost bits of the trace's id are known to be random.
    is_random: bool,
    tracestate: Option<Arc<TraceState>>,
    /// `None` if neither the user nor the tenant nor the conversation is known.
    identity: Option<Arc<Identity>>,
}

impl TraceContext {
    /// Returns the first span of a new trace, with random ids. See also [`new_root`](Self::new_root).
    pub fn new_trace() -> Self {
        Self {
            trace_id: random_trace_id(),
            span_id: random_span_id(),
            parent_span_id: None,
            sampled: None,
            is_random: true,
            tracestate: None,
            identity: None,
        }
    }

    /// Returns a context of the given ids.
    ///
    /// Returns `None` if the id of the trace or of the span is zero, because the standard does not
    /// allow it. If the parent's id is zero, the context has no parent.
    pub fn from_ids(trace_id: u128, span_id: u64, parent_span_id: Option<u64>) -> Option<Self> {
        let parent_span_id = parent_span_id.filter(|id| *id != 0);
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            parent_span_id,
            sampled: None,
            is_random: false,
            tracestate: None,
            identity: None,
        })
    }

    /// Returns a context of the ids that a log or a front end has as texts, such as those of an answer that is judged
    /// later.
    ///
    /// Without the id of a span, it is a new span of the trace. The forms of ids are those of
    /// [`parse_trace_id`](Self::parse_trace_id) and [`parse_span_id`](Self::parse_span_id).
    ///
    /// # Errors
    ///
    /// Returns an error for any other text, and if an id is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::TraceContext;
    ///
    /// let trace = "0af7651916cd43dd8448eb211c80319c";
    /// let context = TraceContext::from_hex(trace, Some("b7ad6b7169203331"))?;
    /// assert_eq!(context.span_id(), 0xb7ad_6b71_6920_3331);
    /// assert!(TraceContext::from_hex("a trace", None).is_err());
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    pub fn from_hex(trace_id: &str, span_id: Option<&str>) -> Result<Self, Error> {
        let trace_id = Self::parse_trace_id(trace_id)?;
        let span_id = span_id.map_or_else(|| Ok(random_span_id()), Self::parse_span_id)?;
        Ok(Self { trace_id, span_id, is_random: false, ..Self::new_trace() })
    }

    /// Returns a new span below this one: same trace, flags, `tracestate`, user, tenant and
    /// conversation, a random span id.
    pub fn new_span(&self) -> Self {
        Self { span_id: self.child_span_id(), parent_span_id: Some(self.span_id), ..self.clone() }
    }

    /// Returns the id of a new span below this one: random, unless the trace is replayed.
    #[inline]
    pub(crate) fn child_span_id(&self) -> u64 {
        #[cfg(feature = "replay")]
        if let Some(id) = self.replayed_child_id() {
            return id;
        }
        random_span_id()
    }

    /// Returns the trace's id, never zero.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the span's id, never zero.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns the id of the span above, if it is known.
    pub fn parent_span_id(&self) -> Option<u64> {
        self.parent_span_id
    }

    /// Returns the `sampled` flag that the trace came with, or `None` if the trace began here.
    pub fn sampled(&self) -> Option<bool> {
        self.sampled
    }

    /// Reads a trace id as logs contain it: 1 to 32 hex digits of either case, or a UUID with its
    /// dashes.
    ///
    /// If there are fewer than 32 digits, zeros are added on the left.
    ///
    /// # Errors
    ///
    /// Returns an error for any other text, and if the id is zero.
    pub fn parse_trace_id(text: &str) -> Result<u128, Error> {
        Ok(ids::parse_trace_id(text)?)
    }

    /// Reads a span id as logs contain it: 1 to 16 hex digits of either case.
    ///
    /// If there are fewer than 16 digits, zeros are added on the left.
    ///
    /// # Errors
    ///
    /// Returns an error for any other text, and if the id is zero.
    pub fn parse_span_id(text: &str) -> Result<u64, Error> {
        Ok(ids::parse_span_id(text)?)
    }
}

#[cfg(test)]
mod tests;
