//! Turns a line of input into an event.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use llm_audit::reader::{Json, Line, parse};
use llm_audit::{
    AuditEvent, ErrorDetail, EventType, Status, TraceContext, Usage, Usd, is_event_type_name,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::given::{given_count, given_status, given_timestamp, is_no_number};

/// What is said of a field that is not there.
const MISSING: &str = "is missing";

/// Returns the cost of a call of a model.
pub(super) type Price<'p> = &'p dyn Fn(&str, Usage) -> Option<Usd>;

/// Why a line is not an event.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The kind of the fault, by which `audit.stop` counts.
    pub(super) reason: &'static str,
    /// What is wrong, without a value.
    pub(super) message: String,
    /// Whether nothing says that it should be an event: it is not a JSON object, or has no type of
    /// the schema and lacks what every event has.
    pub(super) is_foreign: bool,
}

impl Refusal {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), is_foreign: false }
    }
}

/// A line that is an event.
pub(super) struct InputEvent<'l> {
    line: Line<'l>,
    context: TraceContext,
    status: Option<Status>,
    time: Option<SystemTime>,
    usage: InputUsage,
}

impl<'l> InputEvent<'l> {
    /// Parses and reads a line.
    ///
    /// An error says what is wrong with the line, and never quotes a value.
    pub(super) fn parse(line: &'l mut [u8], price: Price<'_>) -> Result<Self, Refusal> {
        let not_json =
            |message: String| Refusal { is_foreign: true, ..Refusal::new("not_json", message) };
        let line = parse(line).map_err(|error| not_json(error.to_string()))?;
        Self::read(line, price)
    }

    /// Reads a line. A model call without a cost gets one by `price`.
    pub(super) fn read(line: Line<'l>, price: Price<'_>) -> Result<Self, Refusal> {
        let (status, timestamp) = (given_status(&line), given_timestamp(&line));
        refuse_faulty_line(&line, status.is_some(), timestamp.is_some())?;
        let wrong_field = |why| Refusal::new("wrong_field", why);
        let context = input_trace_context(&line).map_err(wrong_field)?;
        input_event_head(&line).map_err(|why| {
            let is_foreign = !has_known_type(&line);
            Refusal { is_foreign, ..Refusal::new("wrong_type", why) }
        })?;
        let time = timestamp.map(input_system_time).transpose().map_err(wrong_field)?;
        let usage = InputUsage::from_line(&line, price);
        Ok(Self { line, context, status, time, usage })
    }

    /// Calls `record` with the event, and adds the names of the members that were moved into `data` to `moved`.
    pub(super) fn record(&self, moved: &mut Vec<String>, record: impl FnOnce(&AuditEvent<'_>)) {
        let Self { line, usage, .. } = self;
        let data = InputData::from_line(line);
        let error = line.error().map(InputError);
        let error = error.as_ref().map(ErrorDetail::from_object);

        let label = |name| line.data().and_then(|data| data.get(name)?.as_str()).unwrap_or("");
        let head = input_event_head(line).expect("it was read before");
        let mut event = head.span(&self.context).model(label("model"));
        event = event.user(label("user")).tenant(label("tenant"));
        event = self.time.map_or(event, |time| event.timestamp(time));
        event = line.latency_ms().map_or(event, |ms| event.latency_ms(ms));
        event = usage.tokens_input.map_or(event, |tokens| event.tokens_input(tokens));
        event = usage.tokens_output.map_or(event, |tokens| event.tokens_output(tokens));
        event = usage.cost.map_or(event, |cost| event.cost_usd(cost));
        event = if data.is_empty() { event } else { event.data(&data) };
        event = error.as_ref().map_or(event, |error| event.error(error));
        // An error makes an `ok` event fail; the members of the line stay.
        event = self.status.map_or(event, |status| event.status(status));
        record(&event);
        moved.extend(data.extra.iter().map(|(name, _)| (*name).to_owned()));
    }
}

/// Refuses a line by the first field that is missing or wrong, unless it has one of the forms that are
/// accepted beyond the schema.
fn refuse_faulty_line(
    line: &Line<'_>,
    has_status: bool,
    has_timestamp: bool,
) -> Result<(), Refusal> {
    let is_accepted = |name: &str| match name {
        "status" => has_status,
        "timestamp" => has_timestamp,
        "latency_ms" | "cost_usd" => is_no_number(line, name),
        "tokens_input" | "tokens_output" => {
            is_no_number(line, name) || given_count(line, name).is_some()
        }
        _ => false,
    };
    if let Some((name, fault)) = line.faults().find(|(name, _)| !is_accepted(name)) {
        let fault = match name {
            "timestamp" => "is neither RFC 3339 nor a number of s, ms, us or ns since 1970",
            _ => fault,
        };
        let reason = if fault == MISSING { "missing_field" } else { "wrong_field" };
        let message = format!("not a valid event: {name} {fault}");
        let lacks_one = |(name, fault)| fault == MISSING || name == "event_type";
        let is_foreign = !has_known_type(line) && line.faults().any(lacks_one);
        return Err(Refusal { is_foreign, ..Refusal::new(reason, message) });
    }
    Ok(())
}

/// Whether the type is one of the schema's, or of the log's own lines.
fn has_known_type(line: &Line<'_>) -> bool {
    let is_known = |name| !matches!(EventType::from_name(name), EventType::Custom(_));
    line.is_own() || line.event_type().is_some_and(is_known)
}

/// The fields every event has.
fn input_event_head<'a>(line: &'a Line<'_>) -> Result<AuditEvent<'a>, String> {
    let required = (line.event_type(), line.agent(), line.action());
    let (Some(event_type), Some(agent), Some(action)) = required else {
        return Err("a required field is missing".to_owned());
    };
    if line.is_own() {
        return Err("event_type begins with audit. or alert., as the log's own lines do".to_owned());
    }
    let event_type = EventType::from_name(event_type);
    if matches!(event_type, EventType::Custom(name) if !is_event_type_name(name)) {
        return Err("event_type is no dotted lower-case name, as tool.call is".to_owned());
    }
    Ok(AuditEvent::new(event_type, agent, action))
}

/// A span of what this process records, below the current one or the one that the process was started in.
pub(super) fn new_span_here() -> TraceContext {
    TraceContext::current().map_or_else(TraceContext::new_root, |current| current.new_span())
}

/// The ids of the line. If it has no trace, its trace and its parent are those of this process.
pub(super) fn input_trace_context(line: &Line<'_>) -> Result<TraceContext, String> {
    let new = new_span_here();
    let trace = line.trace_id().map(TraceContext::parse_trace_id).transpose();
    let span = line.span_id().map(TraceContext::parse_span_id).transpose();
    let parent = line.parent_span_id().map(TraceContext::parse_span_id).transpose();
    let ids = || {
        let (trace, span, parent) = (trace.ok()?, span.ok()?, parent.ok()?);
        if (trace, span, parent) == (None, None, None) {
            return Some(new);
        }
        let parent = parent.or(new.parent_span_id().filter(|_| trace.is_none()));
        let trace = trace.unwrap_or(new.trace_id());
        TraceContext::from_ids(trace, span.unwrap_or(new.span_id()), parent)
    };
    ids().ok_or_else(|| "an id is not valid".to_owned())
}

pub(super) fn input_system_time(micros: i64) -> Result<SystemTime, String> {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = match micros >= 0 {
        true => SystemTime::UNIX_EPOCH.checked_add(distance),
        false => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    time.ok_or_else(|| "timestamp is out of this system's range".to_owned())
}

/// The tokens and the cost of a line.
struct InputUsage {
    tokens_input: Option<u64>,
    tokens_output: Option<u64>,
    cost: Option<Usd>,
}

impl InputUsage {
    /// Reads what the line says. A model call that says less is read and priced like the answer of a
    /// provider, if its `data` is one or has one.
    fn from_line(line: &Line<'_>, price: Price<'_>) -> Self {
        let mut given = Self {
            tokens_input: given_count(line, "tokens_input"),
            tokens_output: given_count(line, "tokens_output"),
            cost: line.cost_usd(),
        };
        let is_call = line.event_type().is_some_and(|name| name == "llm.invoke");
        let Some(data) = line.data().filter(|_| is_call && given.cost.is_none()) else {
            return given;
        };
        let answers = line.answers().chain([data]);
        let answers = || answers.clone().filter(|answer| answer.is_object());
        let totals = match (given.tokens_input, given.tokens_output) {
            (Some(input), Some(output)) => Some((input, output)),
            _ => None,
        };
        // The totals of the line count; an answer says which parts of them have another price.
        let read = answers().find_map(|answer| Usage::from_object(answer));
        let usage = match (totals, read) {
            (Some(totals), Some(read)) if (read.input, read.output) == totals => read,
            (Some(totals), _) => totals.into(),
            (None, Some(read)) if given.tokens_input.or(given.tokens_output).is_none() => read,
            (None, _) => return given,
        };
        given.tokens_input = usage.tokens_input();
        given.tokens_output = usage.tokens_output();
        let models = answers().chain([data]).filter_map(|answer| answer.get("model")?.as_str());
        given.cost = models.chain(line.model()).find_map(|model| price(model, usage));
        given
    }
}

/// The payload of the line, and the members of it that the schema does not know.
struct InputData<'a> {
    own: Option<Json<'a>>,
    extra: Vec<(&'a str, Json<'a>)>,
}

impl<'a> InputData<'a> {
    fn from_line(line: &'a Line<'_>) -> Self {
        Self { own: line.data(), extra: line.extra().collect() }
    }

    fn is_empty(&self) -> bool {
        self.own.is_none() && self.extra.is_empty()
    }
}

impl Serialize for InputData<'_> {
    /// `data`'s own members keep their names; a moved one that meets its name becomes `name_2`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = match self.own {
            // What is not an object is wrapped by the recorder, as every payload is.
            Some(own) if self.extra.is_empty() => return own.serialize(serializer),
            own => own,
        };
        let mut map = serializer.serialize_map(None)?;
        let mut taken = HashSet::new();
        match own {
            Some(own) if own.is_object() => {
                for (name, value) in own.members() {
                    taken.insert(name.to_owned());
                    map.serialize_entry(name, &value)?;
                }
            }
            Some(own) => {
                taken.insert("value".to_owned());
                map.serialize_entry("value", &own)?;
            }
            None => {}
        }
        let mut numbers = HashMap::new();
        for (name, value) in &self.extra {
            let name = free_member_name(name, &taken, numbers.entry(*name).or_insert(1));
            map.serialize_entry(&name, value)?;
            taken.insert(name);
        }
        map.end()
    }
}

/// `name`, or the first of `name_2`, `name_3` … that is not taken, beginning after the last
/// `number` that was.
fn free_member_name(name: &str, taken: &HashSet<String>, number: &mut u64) -> String {
    let mut free = name.to_owned();
    while taken.contains(&free) {
        *number += 1;
        free = format!("{name}_{number}");
    }
    free
}

/// The `error` member: an object as it is, a text as the message of one.
pub(super) struct InputError<'a>(pub(super) Json<'a>);

impl Serialize for InputError<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_object() {
            return self.0.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("message", &self.0)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(line: &str) -> String {
        let mut bytes = line.as_bytes().to_vec();
        let line = parse(&mut bytes).unwrap();
        serde_json::to_string(&InputData::from_line(&line)).unwrap()
    }

    #[test]
    fn unknown_members_move_into_data() {
        let cases = [
            (r#"{"data":{"a":1}}"#, r#"{"a":1}"#),
            (r#"{"data":{"a":1},"b":[2],"none":null}"#, r#"{"a":1,"b":[2]}"#),
            (r#"{"region":"eu"}"#, r#"{"region":"eu"}"#),
            (r#"{"a":2,"data":{"a":1}}"#, r#"{"a":1,"a_2":2}"#),
            (r#"{"a":2,"data":{"a":1,"a_2":7}}"#, r#"{"a":1,"a_2":7,"a_3":2}"#),
            (r#"{"data":[1],"b":2}"#, r#"{"value":[1],"b":2}"#),
            (r#"{"data":"x","value":2}"#, r#"{"value":"x","value_2":2}"#),
            (r#"{"data":null,"b":2,"b":3}"#, r#"{"b":2,"b_2":3}"#),
        ];
        for (line, expected) in cases {
            assert_eq!(data(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let event = |more: &str| {
            format!(r#"{{"event_type":"a.b","agent":"x","action":"y","status":"ok"{more}}}"#)
        };
        let cases = [
            ("{\"a\": hunter2}".to_owned(), "not a valid log line"),
            (event(",\"latency_ms\":\"hunter2\""), "latency_ms is no number"),
            (event(",\"cost_usd\":-0.5"), "cost_usd is no number of dollars from 0"),
            (event("").replace("a.b", "audit.stop"), "begins with audit."),
            (event("").replace("a.b", "alert.fired"), "begins with audit. or alert."),
            (event("").replace("a.b", "Hunter2"), "no dotted lower-case name"),
            (event(",\"trace_id\":\"hunter2\""), "trace_id is no id"),
            (event(",\"span_id\":\"0000000000000000\""), "span_id is no id"),
            (event("").replace("\"agent\":\"x\",", ""), "agent is missing"),
        ];
        for (line, expected) in cases {
            let mut bytes = line.clone().into_bytes();
            let error = match InputEvent::parse(&mut bytes, &|_, _| None) {
                Ok(_) => panic!("{line}"),
                Err(error) => error.message,
            };
            assert!(error.contains(expected) && !error.contains("unter2"), "{error}");
        }
    }

    #[test]
    fn given_ids_and_instants_are_kept() {
        let mut bytes = br#"{"trace_id":"0AF7651916CD","span_id":"b7ad6b71"}"#.to_vec();
        let line = parse(&mut bytes).unwrap();
        let context = input_trace_context(&line).unwrap();
        assert_eq!((context.trace_id(), context.span_id()), (0x0af7_6519_16cd, 0xb7ad_6b71));
        assert_eq!(context.parent_span_id(), None);
        for micros in [0, 1, -1, 1_767_323_045_000_006, -62_135_596_800_000_000] {
            let time = input_system_time(micros).unwrap();
            let distance = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => after.as_micros() as i64,
                Err(before) => -(before.duration().as_micros() as i64),
            };
            assert_eq!(distance, micros);
        }
    }
}
