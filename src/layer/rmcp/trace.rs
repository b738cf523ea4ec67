//! The trace in the `_meta` of a request.

use rmcp::model::RequestMetaObject;

use crate::context::TraceContext;
use crate::recorder::Outlet;

/// Returns the span of the caller, or why its `traceparent` is refused.
pub(super) fn read_caller(meta: &RequestMetaObject) -> Option<Result<TraceContext, String>> {
    let caller = TraceContext::from_traceparent(meta.get_traceparent()?);
    let state = meta.get_tracestate().unwrap_or_default();
    let with_state = |caller: TraceContext| caller.with_tracestate(state);
    Some(caller.map(with_state).map_err(|error| error.to_string()))
}

/// Writes the span for the called server, in place of what is there.
pub(super) fn write_span(meta: &mut RequestMetaObject, span: &TraceContext, outlet: &Outlet) {
    let (traceparent, tracestate) = outlet.trace_headers(span);
    meta.set_traceparent(traceparent);
    meta.remove("tracestate");
    if let Some(state) = tracestate {
        meta.set_tracestate(state);
    }
}
