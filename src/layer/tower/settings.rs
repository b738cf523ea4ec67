//! The settings of a layer, shared by all of its requests.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use http::request::Parts;

use super::identity::member_of_baggage;
use crate::context::TraceContext;
use crate::recorder::Outlet;
use crate::sanitize::Sanitizer;
use llm_audit_log::schema::gen_ai;

/// Returns what the application knows of a request: its route or URL without ids, or whom it is for.
pub(super) type TextOfRequest = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

#[derive(Clone)]
pub(super) struct LayerSettings {
    pub(super) agent: Box<str>,
    pub(super) outlet: Outlet,
    pub(super) template: Option<TextOfRequest>,
    pub(super) user: Option<TextOfRequest>,
    pub(super) tenant: Option<TextOfRequest>,
    pub(super) conversation: Option<TextOfRequest>,
    /// Whether baggage says what these three do not.
    pub(super) reads_baggage: bool,
    /// The headers to record.
    pub(super) headers: Vec<HeaderName>,
    /// The longest body to record.
    pub(super) body_bytes_max: Option<usize>,
    /// Whether requests to model providers are recorded as model calls.
    pub(super) reads_model_calls: bool,
    /// Whether a request continues no trace of its caller.
    pub(super) restarts_trace: bool,
    /// The hosts that get the trace, in lower case; `None` for all.
    pub(super) trace_hosts: Option<Vec<String>>,
}

impl LayerSettings {
    pub(super) fn new(agent: String) -> Self {
        Self {
            agent: agent.into(),
            outlet: Outlet::default(),
            template: None,
            user: None,
            tenant: None,
            conversation: None,
            reads_baggage: false,
            headers: Vec::new(),
            body_bytes_max: None,
            reads_model_calls: false,
            restarts_trace: false,
            trace_hosts: None,
        }
    }

    /// Returns the context for the user, the tenant and the conversation of a request. What is not known is left as it is.
    pub(super) fn with_identity(&self, context: TraceContext, head: &Parts) -> TraceContext {
        let baggage = || self.reads_baggage.then_some(&head.headers);
        let known = [
            (&self.user, gen_ai::USER),
            (&self.tenant, gen_ai::TENANT),
            (&self.conversation, gen_ai::CONVERSATION),
        ];
        context.with_known(known.map(|(text, names)| {
            let text = text.as_ref().and_then(|text| text(head));
            text.or_else(|| member_of_baggage(baggage()?, names))
        }))
    }

    /// Reports whether a called host gets the trace. If there is a list, no unknown host does.
    pub(super) fn sends_trace_to(&self, host: Option<&str>) -> bool {
        let Some(hosts) = &self.trace_hosts else { return true };
        let host = host.unwrap_or_default().to_ascii_lowercase();
        hosts.iter().any(|entry| match entry.starts_with('.') {
            true => host.ends_with(&**entry),
            false => host == *entry,
        })
    }

    /// Returns the longest body to record, and its sanitizer, if content is captured.
    pub(super) fn body_capture(&self) -> Option<(usize, Sanitizer)> {
        let bytes_max = self.body_bytes_max.filter(|_| self.outlet.captures_content())?;
        Some((bytes_max, self.outlet.sanitizer()))
    }
}

/// Reads the name of a header.
///
/// # Panics
///
/// Panics if it is not valid.
pub(super) fn header_name<N: AsRef<str>>(name: N) -> HeaderName {
    let name = name.as_ref();
    HeaderName::try_from(name).unwrap_or_else(|_| panic!("{name:?} is not a name of a header"))
}

impl fmt::Debug for LayerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerSettings").field("agent", &self.agent).finish_non_exhaustive()
    }
}
