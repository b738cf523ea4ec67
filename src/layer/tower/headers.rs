//! The headers that are read, written and recorded.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::replay;
use crate::context::TraceContext;
use crate::recorder::Outlet;
use crate::sanitize::is_sensitive_header;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Returns the span of a request with these headers, and why its `traceparent` was refused. Without
/// headers the span is `root`.
pub(super) fn read_trace_headers(
    headers: &HeaderMap,
    root: fn() -> TraceContext,
) -> (TraceContext, Option<String>) {
    match read_caller_header(headers) {
        None => (replay::continued_context().unwrap_or_else(root), None),
        Some(Ok(caller)) => (caller.new_span(), None),
        Some(Err(why)) => (TraceContext::new_trace(), Some(why)),
    }
}

fn read_caller_header(headers: &HeaderMap) -> Option<Result<TraceContext, String>> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let first = all.next()?;
    let more = all.count();
    if more > 0 {
        return Some(Err(format!("{} headers, not one", more + 1)));
    }
    let Ok(text) = first.to_str() else {
        return Some(Err("not visible ASCII".to_owned()));
    };
    let with_state = |caller: TraceContext| match join_tracestate_headers(headers) {
        Some(state) => caller.with_tracestate(&state),
        None => caller,
    };
    Some(TraceContext::from_traceparent(text).map(with_state).map_err(|error| error.to_string()))
}

/// Joins all `tracestate` headers, as the standard requires.
fn join_tracestate_headers(headers: &HeaderMap) -> Option<String> {
    let all: Result<Vec<&str>, _> =
        headers.get_all(TRACESTATE).iter().map(HeaderValue::to_str).collect();
    all.ok().filter(|all| !all.is_empty()).map(|all| all.join(","))
}

/// Removes the trace, for a service that must not get it.
pub(super) fn remove_trace_headers(headers: &mut HeaderMap) {
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
}

/// Writes the trace for the called service.
///
/// What is already there is of the caller's span or of another trace, so it is replaced.
pub(super) fn write_request_headers(
    headers: &mut HeaderMap,
    context: &TraceContext,
    outlet: &Outlet,
) {
    let (traceparent, tracestate) = outlet.trace_headers(context);
    headers.insert(TRACEPARENT, trace_header_value(traceparent));
    headers.remove(TRACESTATE);
    if let Some(state) = tracestate.and_then(|state| state.parse().ok()) {
        headers.insert(TRACESTATE, state);
    }
}

/// Writes the ids by which the caller finds its request in the log.
pub(super) fn write_response_headers(
    headers: &mut HeaderMap,
    context: &TraceContext,
    outlet: &Outlet,
) {
    headers.insert(TRACEPARENT, trace_header_value(outlet.trace_headers(context).0));
    headers.insert(TRACE_ID, trace_header_value(format!("{:032x}", context.trace_id())));
}

fn trace_header_value(digits: String) -> HeaderValue {
    HeaderValue::try_from(digits).expect("hex digits and hyphens are valid in a header")
}

/// Reports whether the body is a gRPC message, by the content type.
pub(super) fn has_grpc_content_type(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Reads the number in `grpc-status`.
pub(super) fn read_grpc_status_header(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The headers of one request or response that are recorded.
pub(super) struct RecordedHeaders(Vec<(HeaderName, String)>);

/// The text in place of a sensitive header, the same as for the value of a sensitive key.
const REDACTED: &str = "[REDACTED]";

impl RecordedHeaders {
    /// Picks the headers with these names; returns `None` if there is none.
    ///
    /// Several headers of one name are joined by `, `.
    pub(super) fn pick(names: &[HeaderName], headers: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| {
            let values = headers.get_all(name);
            if is_sensitive_header(name.as_str()) || values.iter().any(HeaderValue::is_sensitive) {
                return REDACTED.to_owned();
            }
            let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let values: Vec<String> = values.iter().map(text).collect();
            values.join(", ")
        };
        let present = names.iter().filter(|name| headers.contains_key(*name));
        let picked: Vec<_> = present.map(|name| (name.clone(), text(name))).collect();
        (!picked.is_empty()).then_some(Self(picked))
    }
}

impl Serialize for RecordedHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, text) in &self.0 {
            map.serialize_entry(name.as_str(), text)?;
        }
        map.end()
    }
}
