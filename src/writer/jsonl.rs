//! How an event becomes a line: schema 3.0, one JSON object, its fields in the schema's order.

use std::fmt::Display;
use std::io::Write;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;

use crate::event::Status;
use crate::record::decode::Record;

/// RFC 3339, in microseconds.
static TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
/// RFC 3339 has the years 0 to 9999; this is where the first begins.
const TIME_MIN: i64 = -62_167_219_200_000_000;

/// Appends the line of an event.
pub(crate) fn write_event(out: &mut Vec<u8>, instance: &str, seq: u64, record: &Record<'_>) {
    begin(out, instance);
    plain(out, ",\"seq\":", seq);
    id(out, ",\"trace_id\":\"", &record.trace_id.to_be_bytes());
    id(out, ",\"span_id\":\"", &record.span_id.to_be_bytes());
    if let Some(parent) = record.parent_span_id {
        id(out, ",\"parent_span_id\":\"", &parent.to_be_bytes());
    }
    time(out, record.timestamp);
    json(out, ",\"event_type\":", &*record.event_type);
    json(out, ",\"agent\":", &*record.agent);
    json(out, ",\"action\":", &*record.action);
    status(out, record.status);
    number(out, ",\"latency_ms\":", record.latency_ms);
    if let Some(tokens) = record.tokens_input {
        plain(out, ",\"tokens_input\":", tokens);
    }
    if let Some(tokens) = record.tokens_output {
        plain(out, ",\"tokens_output\":", tokens);
    }
    number(out, ",\"cost_usd\":", record.cost_usd);
    if let Some(data) = &record.data {
        json(out, ",\"data\":", data);
    }
    if let Some(error) = &record.error {
        json(out, ",\"error\":", error);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends one of the log's own lines, `audit.*`: without a number and without ids.
pub(crate) fn write_own(
    out: &mut Vec<u8>,
    instance: &str,
    timestamp_micros: i64,
    event_type: &str,
    how: Status,
    data: &impl Serialize,
) {
    begin(out, instance);
    time(out, timestamp_micros);
    json(out, ",\"event_type\":", event_type);
    json(out, ",\"agent\":", "llm-audit");
    json(out, ",\"action\":", event_type.strip_prefix("audit.").unwrap_or(event_type));
    status(out, how);
    json(out, ",\"data\":", data);
    out.extend_from_slice(b"}\n");
}

fn begin(out: &mut Vec<u8>, instance: &str) {
    out.extend_from_slice(b"{\"event_version\":\"3.0\"");
    json(out, ",\"instance\":", instance);
}

/// A value through simd-json. If that fails it has written a part of it, which is taken back.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, field: &str, value: &T) {
    out.extend_from_slice(field.as_bytes());
    let start = out.len();
    if simd_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(br#"{"value":"[UNSERIALIZABLE]"}"#);
    }
}

/// A value that is spelled in JSON as it displays itself.
fn plain(out: &mut Vec<u8>, field: &str, value: impl Display) {
    out.extend_from_slice(field.as_bytes());
    // A vector takes all there is; no impl used here fails by itself.
    let _ = write!(out, "{value}");
}

/// The shortest digits that give this `f64` back; `Display` never writes an exponent.
fn number(out: &mut Vec<u8>, field: &str, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        plain(out, field, value);
    }
}

fn id(out: &mut Vec<u8>, field: &str, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(field.as_bytes());
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'"');
}

fn time(out: &mut Vec<u8>, micros: i64) {
    let micros = micros.clamp(TIME_MIN, Timestamp::MAX.as_microsecond());
    out.extend_from_slice(b",\"timestamp\":\"");
    // It is in jiff's range now, and a vector takes all there is.
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    let _ = TIME.print_timestamp(&time, &mut *out);
    out.push(b'"');
}

fn status(out: &mut Vec<u8>, status: Status) {
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(status.name().as_bytes());
    out.push(b'"');
}
