//! Turns the record of an event into a line.

use llm_audit_log::schema::{AppendJson, LineFields};

use crate::record::decode::{EncodedValue, Record};

/// Appends the line of an event.
pub(crate) fn write_event_line(out: &mut Vec<u8>, instance: &str, seq: u64, record: &Record<'_>) {
    fn payload_as_json<'a>(value: &'a EncodedValue<'_>) -> &'a dyn AppendJson {
        value
    }
    let fields = LineFields {
        instance: Some(instance),
        seq: Some(seq),
        notice: None,
        trace_id: Some(record.trace_id),
        span_id: Some(record.span_id),
        parent_span_id: record.parent_span_id,
        timestamp: Some(record.timestamp),
        event_type: Some(&record.event_type),
        agent: Some(&record.agent),
        action: Some(&record.action),
        status: Some(record.status),
        latency_ms: record.latency_ms,
        tokens_input: record.tokens_input,
        tokens_output: record.tokens_output,
        cost_usd: record.cost_usd,
        kept: record.kept.reason(),
        data: record.data.as_ref().map(payload_as_json),
        error: record.error.as_ref().map(payload_as_json),
    };
    fields.write(out);
}
