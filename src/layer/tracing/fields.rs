//! The fields of a span or an event, kept as text of bounded length.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tracing_core::field::{Field, Visit};

use super::names::{
    ARGUMENTS, COMPLETION, CONTENT, ERROR_TYPE, KEPT, OPERATION, PROMPT, REASONS, SERVICE_TIER,
    answers, is_among_field_names, is_error_field,
};
use super::text::{FieldText, FieldWriter, parse_token_count};
use crate::panics::forget_panic;
use crate::pricing::Usage;
use crate::pricing::attributes::{is_embedding_operation, usage_of_attributes};
use crate::sanitize::{Redactions, Sanitizer, mend_lone_surrogates};

/// The contents that the logger records, and the layer therefore keeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeptContents {
    pub(super) content: bool,
    /// The arguments of tools, for the error of a tool that fails.
    pub(super) snapshots: bool,
    /// The text of a log event.
    pub(super) reasons: bool,
}

impl KeptContents {
    fn keeps_field(self, name: &str) -> bool {
        is_among_field_names(KEPT, name)
            || self.content && is_among_field_names(CONTENT, name)
            || self.snapshots && ARGUMENTS.contains(&name)
            || self.reasons && is_among_field_names(REASONS, name)
    }
}

/// The values of a span's or an event's fields.
///
/// Holds at most `bytes_max` bytes of content, and as many of all other values.
#[derive(Clone, Debug)]
pub(super) struct GenAiFields {
    values: Vec<(&'static str, FieldText)>,
    bytes_max: usize,
    keeps: KeptContents,
    sanitizer: Sanitizer,
    /// The content that the body of an event counts as, if the event is a message.
    message_as: Option<&'static str>,
    /// A field of [`ANSWER`](super::names::ANSWER) had a value, kept or not.
    pub(super) is_answered: bool,
    /// The error is that of an ordinary log event in the span, not of the span itself.
    pub(super) is_error_logged: bool,
}

impl GenAiFields {
    pub(super) fn new(bytes_max: usize, keeps: KeptContents, sanitizer: Sanitizer) -> Self {
        let (values, message_as) = (Vec::new(), None);
        Self {
            values,
            bytes_max,
            keeps,
            sanitizer,
            message_as,
            is_answered: false,
            is_error_logged: false,
        }
    }

    /// Keeps the text of a log event, too.
    pub(super) fn with_reasons(mut self) -> Self {
        self.keeps.reasons = true;
        self
    }

    /// Removes what [`with_reasons`](Self::with_reasons) added.
    pub(super) fn forget_reasons(&mut self) {
        self.values.retain(|(name, _)| !is_among_field_names(REASONS, name));
    }

    pub(super) fn keeps_content(&self) -> bool {
        self.keeps.content
    }

    /// Prepares for the fields of an event of this name.
    ///
    /// The older conventions had an event for each message.
    pub(super) fn for_event(mut self, name: &str) -> Self {
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

    /// Returns the value of the first of these names that has one.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.find(name)).map(|text| text.kept.as_str())
    }

    fn find(&self, name: &str) -> Option<&FieldText> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        self.text(names).and_then(parse_token_count)
    }

    /// Returns the tokens, if any were given.
    ///
    /// If one total is missing, the usage is partial, unless a model made embeddings. These have no
    /// output.
    pub(super) fn usage(&self) -> Option<Usage> {
        let is_embedding = self.text(OPERATION).is_some_and(is_embedding_operation);
        let usage = usage_of_attributes(|names| self.number(names), is_embedding)?;
        Some(self.text(SERVICE_TIER).map_or(usage, |tier| usage.with_tier_name(tier)))
    }

    /// Returns the arguments of a tool, for the error that it ends with.
    pub(super) fn arguments_snapshot(&self) -> Option<Value> {
        self.keeps.snapshots.then(|| self.content_value(ARGUMENTS)).flatten()
    }

    /// Returns a content, if contents are captured.
    pub(super) fn content(&self, names: &[&str]) -> Option<Value> {
        self.keeps.content.then(|| self.content_value(names)).flatten()
    }

    /// Returns a content as the value of its JSON, so that values under sensitive keys are redacted.
    ///
    /// If a text begins like JSON but does not parse, or was cut, it is redacted as a malformed
    /// line. It may contain such keys, too.
    fn content_value(&self, names: &[&str]) -> Option<Value> {
        let text = names.iter().find_map(|name| self.find(name))?;
        let mut shown = text.kept.clone();
        if shown.trim_start().starts_with(['{', '[', '"']) {
            match serde_json::from_str(&mend_lone_surrogates(&shown)) {
                Ok(value) if text.cut == 0 => return Some(value),
                _ => shown = self.redacted(&shown),
            }
        }
        if text.cut > 0 {
            write!(shown, "[TRUNCATED:{}]", text.cut).expect("a String accepts every text");
        }
        Some(Value::String(shown))
    }

    fn redacted(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.sanitizer.redact_line(text, &mut out, &mut Redactions::default());
        out
    }

    /// Adds the values of `newer`, which replace the older values of the same fields.
    pub(super) fn merge(&mut self, newer: Self) {
        self.is_answered |= newer.is_answered;
        self.is_error_logged &= !newer.has_error();
        for (name, text) in newer.values {
            self.set(name, text);
        }
    }

    /// Adds the values of an event in the span.
    ///
    /// The span's own values win, except for errors. Contents are joined.
    pub(super) fn fill_from_event(&mut self, event: Self) {
        self.is_answered |= event.is_answered;
        if event.has_error() {
            self.is_error_logged =
                event.is_error_logged && (self.is_error_logged || !self.has_error());
        }
        for (name, text) in event.values {
            let contents = CONTENT.iter().find(|names| names.contains(&name));
            let older =
                contents.into_iter().copied().flatten().find(|name| self.find(name).is_some());
            match older {
                Some(older) => self.append(older, text),
                None if self.find(name).is_none() || is_error_field(name) => self.set(name, text),
                None => {}
            }
        }
    }

    fn append(&mut self, name: &'static str, more: FieldText) {
        let Some((_, text)) = self.values.iter().find(|(known, _)| *known == name) else { return };
        let kept = [text.kept.as_str(), more.kept.as_str()].join("\n");
        let cut = text.cut + more.cut;
        self.set(name, FieldText { kept, cut });
    }

    pub(super) fn has_content(&self) -> bool {
        self.keeps.content
            && self.values.iter().any(|(name, _)| is_among_field_names(CONTENT, name))
    }

    pub(super) fn has_error(&self) -> bool {
        self.values.iter().any(|(name, _)| is_error_field(name))
    }

    /// Removes the error fields of an event below the level `ERROR`.
    ///
    /// A warning's `error` or exception may name an attempt that was then repeated.
    pub(super) fn forget_error(&mut self) {
        let is_error = self.text(&ERROR_TYPE[..2]).is_some();
        self.values.retain(|(name, _)| *name != "error" && (is_error || !is_error_field(name)));
    }

    fn set(&mut self, name: &'static str, mut text: FieldText) {
        self.values.retain(|(known, _)| *known != name);
        // After a long prompt there is still room for the tokens and the end of the call.
        let is_content = is_among_field_names(CONTENT, name);
        let is_of_kind = |(name, _): &&mut (&'static str, FieldText)| {
            is_among_field_names(CONTENT, name) == is_content
        };
        let others = self.values.iter_mut().filter(is_of_kind);
        let held: usize = others.map(|(_, text)| text.kept.len()).sum();
        let mut room = self.bytes_max.saturating_sub(held);
        let missing = text.kept.len().min(self.bytes_max / 2).saturating_sub(room);
        if missing > 0 {
            let others = self.values.iter_mut().filter(is_of_kind).map(|(_, text)| text);
            room += cut_longest(others, missing);
        }
        text.cut_to(room);
        self.values.push((name, text));
    }

    /// Returns the name that a field is kept under; `None` if it is not kept.
    fn kept_name(&mut self, field: &Field) -> Option<&'static str> {
        let name = match (self.message_as, field.name()) {
            (Some(content), "content" | "message") => content,
            (_, name) => name,
        };
        let is_kept = self.keeps.keeps_field(name);
        // A field that is not kept may still show that there was an answer.
        self.is_answered |= !is_kept && answers(name);
        is_kept.then_some(name)
    }

    /// Sets a value, unless it is empty.
    ///
    /// Instrumentations write an empty value if they do not know it.
    fn set_unless_empty(&mut self, name: &'static str, text: FieldText) {
        if !text.kept.is_empty() || text.cut > 0 {
            self.is_answered |= answers(name);
            self.set(name, text);
        }
    }
}

/// Cuts `missing` bytes off the longest text, which came first and gives way to a shorter one. Returns
/// how many bytes were cut.
fn cut_longest<'t>(texts: impl Iterator<Item = &'t mut FieldText>, missing: usize) -> usize {
    let Some(longest) = texts.max_by_key(|text| text.kept.len()) else { return 0 };
    let before = longest.kept.len();
    longest.cut_to(before.saturating_sub(missing));
    before - longest.kept.len()
}

impl Visit for GenAiFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some(name) = self.kept_name(field) else { return };
        let mut writer = FieldWriter::new(self.bytes_max);
        // A Debug impl is the caller's code and may panic.
        let written = catch_unwind(AssertUnwindSafe(|| write!(writer, "{value:?}")));
        let text = match written {
            Ok(_) => writer.text.without_debug_syntax(),
            Err(panic) => {
                forget_panic(panic);
                FieldText { kept: "[UNSERIALIZABLE]".to_owned(), cut: 0 }
            }
        };
        self.set_unless_empty(name, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let Some(name) = self.kept_name(field) else { return };
        let mut writer = FieldWriter::new(self.bytes_max);
        writer.write_str(value).expect("a FieldWriter accepts every text");
        self.set_unless_empty(name, writer.text);
    }
}
