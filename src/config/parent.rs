//! The span that a process is started in, as `TRACEPARENT` and `TRACESTATE` name it.

use std::ffi::OsStr;

use super::settings::Settings;
use super::values::ValueKind;
use crate::context::TraceContext;

/// What `TRACEPARENT` says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Traceparent {
    Unset,
    Span(TraceContext),
    /// It is not valid, for this reason. Whoever started the process wrote it, so it must not keep the process
    /// from its work.
    Ignored(String),
}

impl Settings {
    /// Returns the span that the process was started in.
    pub(crate) fn process_parent(&self) -> Option<TraceContext> {
        let Traceparent::Span(parent) = &self.traceparent else { return None };
        Some(parent.clone().with_tracestate(self.tracestate.as_deref().unwrap_or_default()))
    }
}

/// A `traceparent` header. Every value is accepted, because one that is not valid is ignored.
pub(super) struct TraceparentValue;

impl ValueKind for TraceparentValue {
    type Value = Traceparent;

    fn accepted(&self) -> String {
        "a `traceparent` header".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Traceparent> {
        Some(match TraceContext::from_traceparent(text) {
            Ok(parent) => Traceparent::Span(parent),
            Err(error) => Traceparent::Ignored(error.to_string()),
        })
    }

    fn show(&self, value: &Traceparent) -> String {
        match value {
            Traceparent::Unset => "none".to_owned(),
            Traceparent::Span(parent) => parent.to_traceparent(),
            Traceparent::Ignored(why) => format!("ignored: {why}"),
        }
    }

    fn read(&self, given: &OsStr) -> Result<Traceparent, String> {
        self.parse(given.to_string_lossy().trim()).ok_or_else(|| self.accepted())
    }
}

/// A `tracestate` header, also accepted in any case.
pub(super) struct TracestateValue;

impl ValueKind for TracestateValue {
    type Value = Option<String>;

    fn accepted(&self) -> String {
        "a `tracestate` header".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Option<String>> {
        Some(Some(text.to_owned()))
    }

    fn show(&self, value: &Option<String>) -> String {
        value.clone().unwrap_or_else(|| "none".to_owned())
    }

    fn read(&self, given: &OsStr) -> Result<Option<String>, String> {
        self.parse(given.to_string_lossy().trim()).ok_or_else(|| self.accepted())
    }
}
