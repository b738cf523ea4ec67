//! The fields of an event, filled from the attributes of a record by the table of its sender.

use std::borrow::Cow;
use std::mem;

use llm_audit::{Usage, Usd};
use llm_audit_log::schema::gen_ai::OPERATION;
use llm_audit_log::schema::{EventType, Status};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::ReceivedEvent;
use super::messages::Messages;
use super::origin::Origin;
use super::presets::EventShape;
use super::table::{Table, To};
use super::value::{
    bool_of, content_of, cost_of, count_json_of, count_of, json_of, latency_of, number_json_of,
    text_of,
};

/// How many attributes that no table knows are kept.
const ATTRIBUTES_MAX: usize = 128;
/// What senders write at the end of a text that they cut, before a `]`. Claude Code and Gemini CLI write the first, Codex
/// the second.
const CUT_MARKS: [&str; 2] = ["[TRUNCATED", "truncated ...]"];
/// How many bytes before the end such a mark begins at the earliest.
const CUT_MARK_BYTES: usize = 96;
/// The names of instrumentations of models begin so.
const OF_MODELS: [&str; 4] = ["gen_ai.", "llm.", "ai.", "langfuse."];
/// A longer text is taken for a content, whatever its name.
const NO_CONTENT_BYTES_MAX: usize = 256;
/// The members of messages that have their content.
const MESSAGE_MEMBERS: [&str; 2] = ["\"content\"", "\"parts\""];
/// What senders write in place of a content that they do not send.
const WITHHELD: [&str; 2] = ["<REDACTED>", "[REDACTED]"];

/// An event under way.
#[derive(Debug, Default)]
pub(super) struct Draft {
    captures_content: bool,
    /// It is a log record of a span.
    pub(super) is_in_span: bool,
    pub(super) agent: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) request_model: Option<String>,
    pub(super) response_model: Option<String>,
    /// Counts under their providers' names.
    pub(super) tokens: Vec<(&'static str, Value)>,
    cost: Option<Usd>,
    latency_ms: Option<f64>,
    pub(super) succeeded: Option<bool>,
    pub(super) error_type: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) traceback: Option<String>,
    pub(super) sequence: Option<u64>,
    pub(super) data: Map<String, Value>,
    pub(super) messages: Messages,
    /// What no table knows.
    attributes: Map<String, Value>,
    left_out: u64,
    /// How many the sender left out.
    dropped: u64,
    is_cut: bool,
}

impl Draft {
    pub(super) fn new(captures_content: bool) -> Self {
        Self { captures_content, ..Self::default() }
    }

    /// Reads the attributes of a record. If several have the same place, the first in the table counts.
    pub(super) fn read(&mut self, mut attributes: Vec<KeyValue>, table: &Table) {
        let mut known = Vec::with_capacity(attributes.len());
        for (index, attribute) in attributes.iter_mut().enumerate() {
            match table.rank(&attribute.key) {
                Some(rank) => known.push((rank, index)),
                None => self.keep(mem::take(&mut attribute.key), json_of(attribute.value.take())),
            }
        }
        known.sort_unstable();
        for (rank, index) in known {
            let KeyValue { key, value, .. } = &mut attributes[index];
            if let Some(rest) = self.put(table.place(rank), json_of(value.take())) {
                self.keep(mem::take(key), rest);
            }
        }
    }

    /// Puts a value where it goes. Gives it back if it does not fit there, or if another value is there.
    fn put(&mut self, to: To, value: Value) -> Option<Value> {
        if is_empty(&value) {
            return None;
        }
        match to {
            To::Agent => fill_text(&mut self.agent, value),
            To::Operation => fill_text(&mut self.operation, value),
            To::Tool => fill_text(&mut self.tool, value),
            To::RequestModel => fill_text(&mut self.request_model, value),
            To::ResponseModel => fill_text(&mut self.response_model, value),
            To::Cost => fill(&mut self.cost, value, cost_of),
            To::LatencyMs => fill(&mut self.latency_ms, value, latency_of),
            To::Success => fill(&mut self.succeeded, value, bool_of),
            To::ErrorType => fill_text(&mut self.error_type, value),
            To::ErrorMessage => fill_text(&mut self.error_message, value),
            To::Traceback => fill_text(&mut self.traceback, value),
            To::Sequence => fill(&mut self.sequence, value, count_of),
            To::Tokens(name) => match self.tokens.iter().find(|(other, _)| *other == name) {
                Some((_, other)) => (*other != value).then_some(value),
                None => {
                    self.tokens.push((name, value));
                    None
                }
            },
            To::Data(name) => insert(&mut self.data, name, value),
            To::Number(name) => match number_json_of(&value) {
                Some(number) => insert(&mut self.data, name, number).map(|_| value),
                None => Some(value),
            },
            To::Seconds(name) => match value.as_f64() {
                Some(seconds) => {
                    insert(&mut self.data, name, (seconds * 1e3).into()).map(|_| value)
                }
                None => Some(value),
            },
            To::Url => {
                let Some(url) = text_of(&value) else { return Some(value) };
                let path = url.split(['?', '#']).next().unwrap_or_default();
                insert(&mut self.data, "url", path.into())
            }
            To::Content(name) => {
                self.put_content(name, value);
                None
            }
            To::EventType | To::Query | To::Time => None,
        }
    }

    /// Puts a content into `data`, unless another one is there or it was withheld.
    pub(super) fn put_content(&mut self, name: &'static str, value: Value) {
        let text = value.as_str();
        if value.is_null() || text.is_some_and(|text| WITHHELD.contains(&text)) {
            return;
        }
        self.is_cut |= text.is_some_and(is_cut);
        if self.captures_content {
            self.data.entry(name).or_insert_with(|| content_of(value));
        }
    }

    /// Keeps an attribute that no table knows.
    fn keep(&mut self, key: String, value: Value) {
        if is_empty(&value) {
            return;
        }
        self.is_cut |= value.as_str().is_some_and(is_cut)
            || key.ends_with("_truncated") && bool_of(&value) == Some(true);
        let Some(value) = self.messages.add(&key, value) else { return };
        let is_content = !self.captures_content && may_be_content(&key, &value);
        if is_content || self.attributes.len() == ATTRIBUTES_MAX {
            self.left_out += 1;
        } else {
            self.attributes.insert(key, value);
        }
    }

    /// Notes how many attributes, events or links the sender left out.
    pub(super) fn note_dropped(&mut self, count: u32) {
        self.dropped += u64::from(count);
    }

    pub(super) fn has_model(&self) -> bool {
        self.request_model.is_some() || self.response_model.is_some()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.succeeded == Some(false)
            || self.succeeded.is_none()
                && (self.error_type.is_some() || self.error_message.is_some())
    }

    /// Returns the event of this shape. Its ids and times are not set.
    pub(super) fn into_event(mut self, shape: EventShape, origin: &Origin) -> ReceivedEvent {
        // What is tried again failed once.
        let has_failed = shape.status != Status::Retry
            && (self.has_failed() || EventType::from_name(&shape.event_type).is_failure());
        let mut event = ReceivedEvent {
            agent: self.agent.take().unwrap_or_else(|| origin.agent().to_owned()),
            action: shape.action,
            status: shape.status,
            latency_ms: self.latency_ms,
            event_type: shape.event_type.into_owned(),
            ..ReceivedEvent::default()
        };
        let error = self.take_error();
        if has_failed {
            event.error = Some(self.whole_error(error));
            let error_type = event.error.as_ref().and_then(|error| error["type"].as_str());
            event.status = error_type.map_or(Status::Error, Status::of_error_type);
        } else if !error.is_empty() {
            self.data.insert("exception".to_owned(), Value::Object(error));
        }
        self.put_models();
        self.put_usage(shape.owns_tokens, &mut event);
        self.put_operation(&event.action);
        self.put_rest(origin);
        event.data = self.data;
        event
    }

    /// Takes out what is known of an error.
    fn take_error(&mut self) -> Map<String, Value> {
        let members = [
            ("type", self.error_type.take()),
            ("message", self.error_message.take()),
            ("traceback", self.traceback.take()),
        ];
        let members = members.into_iter();
        members.filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect()
    }

    /// Returns an error with a type and a message.
    fn whole_error(&self, mut error: Map<String, Value>) -> Map<String, Value> {
        let text = |member: &str| self.data.get(member).and_then(text_of);
        let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
        let error_type = || or(text("http.status_code"), "error").into();
        // What a failed tool answers to the model says why it failed.
        let message = || or(text("result"), "no message was recorded").into();
        error.entry("type").or_insert_with(error_type);
        error.entry("message").or_insert_with(message);
        error
    }

    fn put_models(&mut self) {
        let (asked, answered) = (self.request_model.take(), self.response_model.take());
        if let Some(asked) = asked.as_ref().filter(|_| answered.is_some() && asked != answered) {
            self.data.insert("request_model".to_owned(), asked.as_str().into());
        }
        if let Some(model) = answered.or(asked) {
            self.data.insert("model".to_owned(), model.into());
        }
        if let Some(tool) = self.tool.take() {
            self.data.insert("tool".to_owned(), tool.into());
        }
    }

    /// Puts tokens and cost into the event if its signal owns them, and otherwise into `data.total`, which no reader adds
    /// up.
    fn put_usage(&mut self, owns_tokens: bool, event: &mut ReceivedEvent) {
        let usage = self.usage();
        let input = usage.and_then(|usage| usage.tokens_input());
        let output = usage.and_then(|usage| usage.tokens_output());
        let parts = usage.and_then(|usage| serde_json::to_value(usage).ok());
        let parts = parts.filter(|parts| parts.as_object().is_some_and(|parts| !parts.is_empty()));
        if owns_tokens {
            (event.tokens_input, event.tokens_output, event.usage) = (input, output, usage);
            event.cost_usd = self.cost.take();
            self.data.extend(parts.map(|parts| ("usage".to_owned(), parts)));
            return;
        }
        let cost = self.cost.take().map(|cost| cost.to_string().into());
        let members = [
            ("tokens_input", input.map(Value::from)),
            ("tokens_output", output.map(Value::from)),
            ("usage", parts),
            ("cost_usd", cost),
        ];
        let members =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let total: Map<String, Value> = members.collect();
        if !total.is_empty() {
            self.data.insert("total".to_owned(), Value::Object(total));
        }
    }

    /// Puts in the operation, unless type and action say it.
    fn put_operation(&mut self, action: &str) {
        let is_said = |operation: &str| operation == action || operation == "execute_tool";
        if let Some(operation) = self.operation.take().filter(|of| !is_said(of)) {
            self.data.insert("operation".to_owned(), operation.into());
        }
    }

    /// Returns the usage. Counts that are not one are kept as attributes.
    fn usage(&mut self) -> Option<Usage> {
        if self.tokens.is_empty() {
            return None;
        }
        // Embeddings have no output.
        let operation = self.operation.as_deref().map(|name| (OPERATION[0], name.into()));
        let counts = self.tokens.iter().map(|(name, value)| (*name, count_json_of(value)));
        let usage = Usage::from_counts(counts.chain(operation));
        if usage.is_none() {
            let counts = self.tokens.drain(..).map(|(name, value)| (name.to_owned(), value));
            self.attributes.extend(counts);
            let operation = self.operation.as_deref().map(Value::from);
            self.attributes.extend(operation.map(|name| (OPERATION[0].to_owned(), name)));
        }
        usage
    }

    /// Puts what is left of the attributes, and the origin.
    fn put_rest(&mut self, origin: &Origin) {
        origin.put_shared(&mut self.data);
        if self.captures_content {
            mem::take(&mut self.messages).put(&mut self.data);
        }
        if !self.attributes.is_empty() {
            let attributes = mem::take(&mut self.attributes);
            self.data.insert("attributes".to_owned(), Value::Object(attributes));
        }
        for (member, count) in [("attributes_left_out", self.left_out), ("dropped", self.dropped)] {
            if count > 0 {
                self.data.insert(member.to_owned(), count.into());
            }
        }
        if self.is_cut || self.dropped > 0 {
            self.data.insert("cut".to_owned(), true.into());
        }
        let mut members = origin.members();
        if !origin.scope.is_empty() {
            members.insert("scope".to_owned(), origin.scope.as_str().into());
        }
        if let Some(sequence) = self.sequence {
            members.insert("sequence".to_owned(), sequence.into());
        }
        if !members.is_empty() {
            self.data.insert("origin".to_owned(), Value::Object(members));
        }
    }
}

/// Whether an attribute that no table knows may have a content: it is long, or messages, or any list, object or JSON of an
/// instrumentation of models.
fn may_be_content(key: &str, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => Cow::Borrowed(&**text),
        Value::Array(_) | Value::Object(_) => Cow::Owned(value.to_string()),
        _ => return false,
    };
    let is_json = || text.trim_start().starts_with(['{', '[']);
    let has_messages = || MESSAGE_MEMBERS.iter().any(|member| text.contains(member));
    let is_of_models = || OF_MODELS.iter().any(|prefix| key.starts_with(prefix));
    text.len() > NO_CONTENT_BYTES_MAX || is_json() && (is_of_models() || has_messages())
}

/// Instrumentations write an empty value if they do not know it.
fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// Reports whether a text ends like one that its sender cut.
fn is_cut(text: &str) -> bool {
    // The first character from there on.
    let end = || (text.len().saturating_sub(CUT_MARK_BYTES)..).find_map(|from| text.get(from..));
    text.ends_with(']') && end().is_some_and(|end| CUT_MARKS.iter().any(|mark| end.contains(mark)))
}

/// Fills a place that has no text yet. Gives the value back if it is not one, or if another one is there.
fn fill_text(place: &mut Option<String>, value: Value) -> Option<Value> {
    match (place.as_deref(), value) {
        (None, Value::String(text)) => {
            *place = Some(text);
            None
        }
        (_, value) => fill(place, value, text_of),
    }
}

/// Fills a place that has no value. Gives the value back if it does not fit, or if another one is there.
fn fill<T: PartialEq>(
    place: &mut Option<T>,
    value: Value,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<Value> {
    let new = read(&value);
    if place.is_none() && new.is_some() {
        *place = new;
        return None;
    }
    (*place != new || new.is_none()).then_some(value)
}

/// Adds a member. Gives the value back if another one is there.
fn insert(to: &mut Map<String, Value>, name: &str, value: Value) -> Option<Value> {
    match to.entry(name) {
        Entry::Occupied(other) => (*other.get() != value).then_some(value),
        Entry::Vacant(place) => {
            place.insert(value);
            None
        }
    }
}
