//! Turns a line of another program into an event: JSON of a logging library, or plain text.

use llm_audit::reader::{Json, Line, parse};
use llm_audit::sanitize::{Kind, PrivateKeyLines};
use llm_audit::{AuditEvent, ErrorDetail, EventType, Status};
use serde_json::json;

use super::event::{InputError, input_system_time, input_trace_context, new_span_here};
use super::given::epoch_timestamp;

/// The type of these events.
const TYPE: EventType<'_> = EventType::Custom("log.line");

/// Where lines come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineSource<'a> {
    /// The agent of the events, unless the line names a logger.
    pub(crate) agent: &'a str,
    pub(crate) action: &'a str,
}

impl LineSource<'_> {
    /// Lines of which nothing is known.
    pub(super) const UNKNOWN: Self = Self { agent: "log", action: "line" };
}

/// From this level on pino and bunyan mean an error.
const ERROR_LEVEL: f64 = 50.0;
const LEVELS: [&str; 4] = ["level", "levelname", "severity", "log.level"];
const ERROR_LEVELS: [&str; 8] =
    ["error", "err", "critical", "fatal", "panic", "alert", "emergency", "severe"];
const LOGGERS: [&str; 3] = ["logger", "logger_name", "name"];
const MESSAGES: [&str; 3] = ["message", "msg", "event"];
const ERRORS: [&str; 3] = ["err", "error", "exc_info"];

/// Calls `record` with an event for the line, which is redacted like any event's data. `keys`
/// follows private keys over the lines of a text.
pub(crate) fn with_raw_event(
    line: &mut [u8],
    source: LineSource<'_>,
    keys: &mut PrivateKeyLines,
    record: impl FnOnce(&AuditEvent<'_>),
) {
    let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    if keys.is_inside(&text) {
        return with_text_event(Kind::PrivateKey.placeholder(), source, record);
    }
    match parse(line) {
        Ok(line) => with_object_event(&line, source, record),
        Err(_) => with_text_event(&text, source, record),
    }
}

/// Calls `record` with an event for a text.
pub(crate) fn with_text_event(
    text: &str,
    source: LineSource<'_>,
    record: impl FnOnce(&AuditEvent<'_>),
) {
    let data = json!({ "text": text });
    record(&AuditEvent::new(TYPE, source.agent, source.action).data(&data));
}

fn with_object_event(
    line: &Line<'_>,
    source: LineSource<'_>,
    record: impl FnOnce(&AuditEvent<'_>),
) {
    let object = line.json();
    let agent = first_member(object, &LOGGERS).and_then(Json::as_str).unwrap_or(source.agent);
    let context = input_trace_context(line).unwrap_or_else(|_| new_span_here());
    let failed = is_error_level(object);
    // `"exc_info": true` says that there is a cause, and not which.
    let says_cause = |cause: &Json<'_>| match cause.as_str() {
        Some(text) => !text.is_empty(),
        None => cause.is_object(),
    };
    let mut causes = ERRORS.iter().filter_map(|name| object.get(name));
    let cause = causes.find(says_cause).or_else(|| first_member(object, &MESSAGES));
    let cause = cause.filter(|_| failed).map(InputError);
    let error = cause.as_ref().map(ErrorDetail::from_object);
    let mut event = AuditEvent::new(TYPE, agent, source.action).span(&context).data(&object);
    event = error.as_ref().map_or(event, |error| event.error(error));
    event = event.status(if failed { Status::Error } else { Status::Ok });
    if let Some(Ok(time)) = certain_timestamp(line).map(input_system_time) {
        event = event.timestamp(time);
    }
    record(&event);
}

fn first_member<'j>(object: Json<'j>, names: &[&str]) -> Option<Json<'j>> {
    names.iter().find_map(|name| object.get(name).filter(|json| !json.is_null()))
}

fn is_error_level(object: Json<'_>) -> bool {
    let Some(level) = first_member(object, &LEVELS) else { return false };
    match level.as_str() {
        Some(name) => ERROR_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(name)),
        None => level.as_f64().is_some_and(|level| level >= ERROR_LEVEL),
    }
}

/// The time of the line. A time without an offset may be in any zone: it stays in `data` alone.
fn certain_timestamp(line: &Line<'_>) -> Option<i64> {
    let rfc_3339 = |json: Json<'_>| {
        let time: jiff::Timestamp = json.as_str()?.parse().ok()?;
        Some(time.as_microsecond())
    };
    let json = first_member(line.json(), &["timestamp", "time", "@timestamp", "ts"])?;
    rfc_3339(json).or_else(|| epoch_timestamp(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_of_errors_are_failures() {
        let cases = [
            (r#"{"level":50}"#, true),
            (r#"{"level":60}"#, true),
            (r#"{"level":40}"#, false),
            (r#"{"levelname":"CRITICAL"}"#, true),
            (r#"{"severity":"error"}"#, true),
            (r#"{"level":"warning"}"#, false),
            (r#"{"msg":"error"}"#, false),
        ];
        for (line, expected) in cases {
            let mut bytes = line.as_bytes().to_vec();
            assert_eq!(is_error_level(parse(&mut bytes).unwrap().json()), expected, "{line}");
        }
    }

    #[test]
    fn only_times_whose_zone_is_known_are_taken() {
        let cases = [
            (r#"{"time":1793527200123}"#, Some(1_793_527_200_123_000)),
            (r#"{"@timestamp":"2026-11-01T12:00:00+02:00"}"#, Some(1_793_527_200_000_000)),
            (r#"{"timestamp":"2026-11-01 10:00:00"}"#, None),
            (r#"{"asctime":"2026-11-01 10:00:00,123"}"#, None),
        ];
        for (line, expected) in cases {
            let mut bytes = line.as_bytes().to_vec();
            assert_eq!(certain_timestamp(&parse(&mut bytes).unwrap()), expected, "{line}");
        }
    }
}
