//! Which fields of spans and events are kept, and how their values become text of bounded length.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tracing_core::field::{Field, Visit};

use crate::panics::forget_panic;
use crate::pricing::{ServiceTier, Usage};
use crate::sanitize::{Redactions, Sanitizer, floor_char_boundary, floor_word};

pub(super) const OPERATION: &[&str] = &["gen_ai.operation.name"];
pub(super) const AGENT: &[&str] = &["gen_ai.agent.name"];
pub(super) const CONVERSATION: &[&str] = &["gen_ai.conversation.id"];
pub(super) const PROVIDER: &[&str] = &["gen_ai.provider.name", "gen_ai.system"];
pub(super) const REQUEST_MODEL: &[&str] = &["gen_ai.request.model"];
pub(super) const RESPONSE_MODEL: &[&str] = &["gen_ai.response.model"];
pub(super) const RESPONSE_ID: &[&str] = &["gen_ai.response.id"];
pub(super) const FINISH_REASONS: &[&str] = &["gen_ai.response.finish_reasons"];
pub(super) const TOOL: &[&str] = &["gen_ai.tool.name"];
pub(super) const TOOL_TYPE: &[&str] = &["gen_ai.tool.type"];
pub(super) const CALL_ID: &[&str] = &["gen_ai.tool.call.id"];
/// rig's own: `success`, `error`, `denied` or `skipped`.
pub(super) const OUTCOME: &[&str] = &["gen_ai.tool.call.outcome"];
pub(super) const STATUS: &[&str] = &["otel.status_code"];
/// `gen_ai.tool.error.type` is rig's own.
pub(super) const ERROR_TYPE: &[&str] = &["error.type", "gen_ai.tool.error.type", "exception.type"];
pub(super) const ERROR_MESSAGE: &[&str] = &[
    "otel.status_description",
    "otel.status_message",
    "error.message",
    "exception.message",
    "error",
];
const INPUT: &[&str] = &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
const OUTPUT: &[&str] = &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"];
/// Behind the name of the conventions those that instrumentations had before there was one.
const CACHE_READ: &[&str] = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cached_tokens",
];
const CACHE_WRITE: &[&str] = &[
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
];
/// `gen_ai.usage.reasoning_tokens` is what rig writes.
const REASONING: &[&str] = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
];
const SERVICE_TIER: &[&str] =
    &["openai.response.service_tier", "gen_ai.openai.response.service_tier"];
const AUDIO_INPUT: &[&str] = &["gen_ai.usage.audio.input_tokens"];
const AUDIO_OUTPUT: &[&str] = &["gen_ai.usage.audio.output_tokens"];

pub(super) const PROMPT: &[&str] = &["gen_ai.input.messages", "gen_ai.prompt"];
pub(super) const COMPLETION: &[&str] = &["gen_ai.output.messages", "gen_ai.completion"];
pub(super) const INSTRUCTIONS: &[&str] = &["gen_ai.system_instructions"];
pub(super) const ARGUMENTS: &[&str] = &["gen_ai.tool.call.arguments"];
pub(super) const RESULT: &[&str] = &["gen_ai.tool.call.result"];

/// Kept where content is captured.
const CONTENT: &[&[&str]] = &[PROMPT, COMPLETION, INSTRUCTIONS, ARGUMENTS, RESULT];
/// Kept always.
const KEPT: &[&[&str]] = &[
    OPERATION,
    AGENT,
    CONVERSATION,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    RESPONSE_ID,
    FINISH_REASONS,
    TOOL,
    TOOL_TYPE,
    CALL_ID,
    OUTCOME,
    STATUS,
    ERROR_TYPE,
    ERROR_MESSAGE,
    INPUT,
    OUTPUT,
    CACHE_READ,
    CACHE_WRITE,
    REASONING,
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    SERVICE_TIER,
];
/// What an answer fills in: a model's, and for rig a tool's.
const ANSWER: &[&[&str]] =
    &[RESPONSE_MODEL, RESPONSE_ID, FINISH_REASONS, INPUT, OUTPUT, COMPLETION, OUTCOME];
/// What an operation, which is recorded, has one of; other spans only say whose operations those
/// below them are.
const OPERATIONS: &[&[&str]] = &[OPERATION, REQUEST_MODEL, RESPONSE_MODEL, TOOL, INPUT, OUTPUT];

fn is_among(names: &[&[&str]], name: &str) -> bool {
    names.iter().any(|names| names.contains(&name))
}

pub(super) fn is_operation(name: &str) -> bool {
    is_among(OPERATIONS, name)
}

pub(super) fn is_answer(name: &str) -> bool {
    is_among(ANSWER, name)
}

pub(super) fn is_error(name: &str) -> bool {
    is_among(&[ERROR_TYPE, ERROR_MESSAGE], name)
}

/// Which contents are kept, for what is recorded of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keeps {
    pub(super) content: bool,
    /// The arguments of tools, in case they fail.
    pub(super) snapshots: bool,
}

impl Keeps {
    fn has(self, name: &str) -> bool {
        is_among(KEPT, name)
            || self.content && is_among(CONTENT, name)
            || self.snapshots && ARGUMENTS.contains(&name)
    }
}

/// What a span or an event said, by field. Holds at most `bytes_max` of content, and as much of all
/// else.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    values: Vec<(&'static str, Text)>,
    bytes_max: usize,
    keeps: Keeps,
    sanitizer: Sanitizer,
    /// What the body of an event that is a message counts as.
    message_as: Option<&'static str>,
    /// A field of [`ANSWER`] had a value, kept or not.
    pub(super) is_answered: bool,
}

/// The text of a value, or its beginning.
#[derive(Clone, Debug, Default)]
struct Text {
    kept: String,
    /// Bytes behind it that are not kept.
    cut: usize,
}

impl Fields {
    pub(super) fn new(bytes_max: usize, keeps: Keeps, sanitizer: Sanitizer) -> Self {
        let (values, message_as) = (Vec::new(), None);
        Self { values, bytes_max, keeps, sanitizer, message_as, is_answered: false }
    }

    /// For the fields of an event of this name: the older conventions had an event for each message.
    pub(super) fn of_event(mut self, name: &str) -> Self {
        self.message_as = match name {
            "gen_ai.choice" => Some(COMPLETION[0]),
            "gen_ai.system.message"
            | "gen_ai.user.message"
            | "gen_ai.assistant.message"
            | "gen_ai.tool.message" => Some(PROMPT[0]),
            _ => None,
        };
        self
    }

    /// The value of the first of these names that has one.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.find(name)).map(|text| text.kept.as_str())
    }

    fn find(&self, name: &str) -> Option<&Text> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        self.text(names).and_then(number)
    }

    /// The tokens, where any were given.
    ///
    /// The conventions have the parts inside their whole. Where a part is larger than its whole it
    /// was counted beside it, as some providers do, and is added.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.number(INPUT), self.number(OUTPUT));
        if input.is_none() && output.is_none() {
            return None;
        }
        let part = |names| self.number(names).unwrap_or(0);
        let mut usage = Usage {
            cache_read: part(CACHE_READ),
            cache_write: part(CACHE_WRITE),
            reasoning: part(REASONING),
            audio_input: part(AUDIO_INPUT),
            audio_output: part(AUDIO_OUTPUT),
            service_tier: self
                .text(SERVICE_TIER)
                .map_or_else(Default::default, ServiceTier::from_name),
            ..Usage::new(input.unwrap_or(0), output.unwrap_or(0))
        };
        let cached = usage.cache_read.saturating_add(usage.cache_write);
        if cached > usage.input {
            usage.input = usage.input.saturating_add(cached);
        }
        if usage.reasoning > usage.output {
            usage.output = usage.output.saturating_add(usage.reasoning);
        }
        Some(usage)
    }

    /// An input and no output, of a call that has one: nobody told, and half of a price would pass
    /// for all of it.
    pub(super) fn lacks_output(&self) -> bool {
        self.number(OUTPUT).is_none() && self.text(OPERATION) != Some("embeddings")
    }

    /// The arguments of a tool, for the error it ends with.
    pub(super) fn snapshot(&self) -> Option<Value> {
        self.keeps.snapshots.then(|| self.value(ARGUMENTS)).flatten()
    }

    /// A content, where contents are captured.
    pub(super) fn content(&self, names: &[&str]) -> Option<Value> {
        self.keeps.content.then(|| self.value(names)).flatten()
    }

    /// A content, as the value that its JSON spells: what lies under a sensitive key is then
    /// redacted. Text that begins as JSON does and is none, or was cut, is redacted as a broken
    /// line is, since it may hold such keys too.
    fn value(&self, names: &[&str]) -> Option<Value> {
        let text = names.iter().find_map(|name| self.find(name))?;
        let mut shown = text.kept.clone();
        if shown.trim_start().starts_with(['{', '[', '"']) {
            match serde_json::from_str(&shown) {
                Ok(value) if text.cut == 0 => return Some(value),
                _ => shown = self.redacted(&shown),
            }
        }
        if text.cut > 0 {
            write!(shown, "[TRUNCATED:{}]", text.cut).expect("a String takes all");
        }
        Some(Value::String(shown))
    }

    fn redacted(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.sanitizer.redact_line(text, &mut out, &mut Redactions::default());
        out
    }

    /// Takes what `newer` says; the newer value of a field goes before the older.
    pub(super) fn merge(&mut self, newer: Self) {
        self.is_answered |= newer.is_answered;
        for (name, text) in newer.values {
            self.set(name, text);
        }
    }

    /// Takes what an event in the span says: what the span says of itself goes before it, but for
    /// errors; contents come one after the other.
    pub(super) fn fill(&mut self, event: Self) {
        self.is_answered |= event.is_answered;
        for (name, text) in event.values {
            let contents = CONTENT.iter().find(|names| names.contains(&name));
            let older =
                contents.into_iter().copied().flatten().find(|name| self.find(name).is_some());
            match older {
                Some(older) => self.append(older, text),
                None if self.find(name).is_none() || is_error(name) => self.set(name, text),
                None => {}
            }
        }
    }

    fn append(&mut self, name: &'static str, more: Text) {
        let Some((_, text)) = self.values.iter().find(|(known, _)| *known == name) else { return };
        let kept = [text.kept.as_str(), more.kept.as_str()].join("\n");
        let cut = text.cut + more.cut;
        self.set(name, Text { kept, cut });
    }

    pub(super) fn has_content(&self) -> bool {
        self.keeps.content && self.values.iter().any(|(name, _)| is_among(CONTENT, name))
    }

    pub(super) fn has_error(&self) -> bool {
        self.values.iter().any(|(name, _)| is_error(name))
    }

    /// For what is less than an error: a warning's field `error`, and the exception it speaks of,
    /// may be what was then tried again.
    pub(super) fn forget_error(&mut self) {
        let is_error = self.text(&ERROR_TYPE[..2]).is_some();
        self.values.retain(|(name, _)| *name != "error" && (is_error || !self::is_error(name)));
    }

    fn set(&mut self, name: &'static str, mut text: Text) {
        self.values.retain(|(known, _)| *known != name);
        // A long prompt leaves room for what the call cost and how it ended.
        let is_content = is_among(CONTENT, name);
        let others = self.values.iter().filter(|(name, _)| is_among(CONTENT, name) == is_content);
        let held: usize = others.map(|(_, text)| text.kept.len()).sum();
        text.cut_to(self.bytes_max.saturating_sub(held));
        self.values.push((name, text));
    }

    /// Says under which name a field is kept; `None` where it is not.
    fn kept_as(&mut self, field: &Field) -> Option<&'static str> {
        let name = match (self.message_as, field.name()) {
            (Some(content), "content" | "message") => content,
            (_, name) => name,
        };
        let is_kept = self.keeps.has(name);
        // What is not kept may still say that there was an answer.
        self.is_answered |= !is_kept && is_answer(name);
        is_kept.then_some(name)
    }

    /// A value that is empty, as instrumentations write what they do not know, is none.
    fn give(&mut self, name: &'static str, text: Text) {
        if !text.kept.is_empty() || text.cut > 0 {
            self.is_answered |= is_answer(name);
            self.set(name, text);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some(name) = self.kept_as(field) else { return };
        let mut writer = Writer { text: Text::default(), bytes_max: self.bytes_max };
        // A Debug impl is the caller's code.
        let written = catch_unwind(AssertUnwindSafe(|| write!(writer, "{value:?}")));
        let text = match written {
            Ok(_) => writer.text.plain(),
            Err(panic) => {
                forget_panic(panic);
                Text { kept: "[UNSERIALIZABLE]".to_owned(), cut: 0 }
            }
        };
        self.give(name, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let Some(name) = self.kept_as(field) else { return };
        let mut writer = Writer { text: Text::default(), bytes_max: self.bytes_max };
        writer.write_str(value).expect("the writer takes all");
        self.give(name, writer.text);
    }
}

/// Keeps the beginning and counts the rest.
struct Writer {
    text: Text,
    bytes_max: usize,
}

impl Write for Writer {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.cut > 0 {
            self.text.cut += piece.len();
            return Ok(());
        }
        let fits = floor_char_boundary(piece, self.bytes_max - self.text.kept.len());
        self.text.kept.push_str(&piece[..fits]);
        if fits < piece.len() {
            self.text.cut = piece.len() - fits;
            self.text.cut_at(self.text.kept.len());
        }
        Ok(())
    }
}

impl Text {
    fn cut_to(&mut self, bytes_max: usize) {
        if self.kept.len() > bytes_max {
            self.cut_at(floor_char_boundary(&self.kept, bytes_max));
        }
    }

    /// Keeps what is before `end`, in whole words.
    fn cut_at(&mut self, end: usize) {
        let kept = floor_word(&self.kept, end);
        self.cut += self.kept.len() - kept;
        self.kept.truncate(kept);
        self.kept.shrink_to_fit();
    }

    /// What `Debug` writes of an `Option` and of a `str`, without what it writes around them.
    fn plain(mut self) -> Self {
        if self.kept == "None" {
            return Self::default();
        }
        if self.cut == 0 {
            let inner = self.kept.strip_prefix("Some(").and_then(|text| text.strip_suffix(')'));
            let inner = inner.unwrap_or(&self.kept);
            // The escapes of a string's `Debug` are nearly those of JSON.
            self.kept = match inner.starts_with('"') {
                true => serde_json::from_str(inner).unwrap_or_else(|_| inner.to_owned()),
                false => inner.to_owned(),
            };
        }
        self
    }
}

/// Whatever spells a whole number from 0.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let fraction = || text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    text.parse().ok().or_else(|| fraction().map(|n| n as u64))
}
