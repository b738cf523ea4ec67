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
/// jiff takes microseconds up to here, 9999-12-30T22:00:00Z; its own last moment lies a fraction later.
const TIME_MAX: i64 = 253_402_207_200_000_000;

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
    if let Some(cost) = record.cost_usd {
        plain(out, ",\"cost_usd\":", cost);
    }
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

/// An id of up to 16 bytes in hexadecimal digits.
fn id(out: &mut Vec<u8>, field: &str, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 32];
    let (pairs, _) = hex.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(&hex[..bytes.len() * 2]);
    out.push(b'"');
}

fn time(out: &mut Vec<u8>, micros: i64) {
    let micros = micros.clamp(TIME_MIN, TIME_MAX);
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::Serializer;
    use serde::ser::{Error, SerializeMap};

    use super::*;

    fn record() -> Record<'static> {
        Record {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span_id: 0xb7ad,
            parent_span_id: None,
            timestamp: 0,
            event_type: Cow::Borrowed("tool.call"),
            agent: Cow::Borrowed("benefits"),
            action: Cow::Borrowed("tool \"search\"\n"),
            status: Status::Ok,
            latency_ms: None,
            tokens_input: None,
            tokens_output: None,
            cost_usd: None,
            data: None,
            error: None,
        }
    }

    fn line(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        write_event(&mut out, "0123456789abcdef", 7, record);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn absent_fields_are_left_out() {
        let expected = concat!(
            r#"{"event_version":"3.0","instance":"0123456789abcdef","seq":7,"#,
            r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"000000000000b7ad","#,
            r#""timestamp":"1970-01-01T00:00:00.000000Z","event_type":"tool.call","#,
            r#""agent":"benefits","action":"tool \"search\"\n","status":"ok"}"#,
            "\n"
        );
        assert_eq!(line(&record()), expected);
    }

    #[test]
    fn present_fields_have_their_order() {
        let full = Record {
            parent_span_id: Some(u64::MAX),
            status: Status::Timeout,
            latency_ms: Some(12.5),
            tokens_input: Some(u64::MAX),
            tokens_output: Some(0),
            cost_usd: Some("1e-7".parse().unwrap()),
            ..record()
        };
        let line = line(&full);
        assert!(
            line.contains(r#""span_id":"000000000000b7ad","parent_span_id":"ffffffffffffffff","#)
        );
        let end = concat!(
            r#""status":"timeout","latency_ms":12.5,"tokens_input":18446744073709551615,"#,
            r#""tokens_output":0,"cost_usd":0.0000001}"#,
            "\n"
        );
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn numbers_are_exact_or_left_out() {
        let cases = [
            (12.0, ",\"latency_ms\":12}"),
            (0.1, ",\"latency_ms\":0.1}"),
            (1e21, ",\"latency_ms\":1000000000000000000000}"),
            (1.5e-9, ",\"latency_ms\":0.0000000015}"),
            (-0.0, ",\"latency_ms\":-0}"),
            (f64::NAN, "\"status\":\"ok\"}"),
            (f64::INFINITY, "\"status\":\"ok\"}"),
        ];
        for (value, end) in cases {
            let line = line(&Record { latency_ms: Some(value), cost_usd: None, ..record() });
            assert!(line.trim_end().ends_with(end), "{value}: {line}");
        }
    }

    #[test]
    fn every_time_is_rfc_3339() {
        let cases = [
            (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
            (1_000_000, "1970-01-01T00:00:01.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000000Z"),
            (TIME_MIN, "0000-01-01T00:00:00.000000Z"),
            (i64::MAX, "9999-12-30T22:00:00.000000Z"),
        ];
        for (micros, expected) in cases {
            let line = line(&Record { timestamp: micros, ..record() });
            assert!(line.contains(&format!("\"timestamp\":\"{expected}\"")), "{micros}: {line}");
        }
    }

    #[test]
    fn the_logs_own_lines_have_no_number() {
        let mut out = Vec::new();
        let data = std::collections::BTreeMap::from([("overwritten", 3)]);
        write_own(&mut out, "0123456789abcdef", 0, "audit.loss", Status::Error, &data);
        let expected = concat!(
            r#"{"event_version":"3.0","instance":"0123456789abcdef","#,
            r#""timestamp":"1970-01-01T00:00:00.000000Z","event_type":"audit.loss","#,
            r#""agent":"llm-audit","action":"loss","status":"error","data":{"overwritten":3}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }

    #[test]
    fn a_value_that_fails_leaves_a_line() {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("written", "before")?;
                Err(S::Error::custom("no"))
            }
        }
        let mut out = Vec::new();
        write_own(&mut out, "0123456789abcdef", 0, "audit.stop", Status::Ok, &Fails);
        let line: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(line["data"]["value"], "[UNSERIALIZABLE]");
    }

    #[test]
    fn simd_json_escapes_every_string_as_serde_json_reads_it() {
        // Each character that JSON knows, at each place of a vector register.
        let special = ['"', '\\', '\0', '\u{1f}', '\n', '\u{7f}', '\u{85}', '\u{2028}', '\u{feff}'];
        for len in 0..70 {
            for at in 0..=len {
                for c in special {
                    let text = format!("{}{c}{}", "x".repeat(at), "é".repeat(len - at));
                    let mut out = Vec::new();
                    json(&mut out, "", &text);
                    let back: String = serde_json::from_slice(&out).expect("JSON");
                    assert_eq!(back, text);
                }
            }
        }
    }
}
