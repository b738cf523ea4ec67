//! Redacts any `Serialize` value as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use super::json::{DEPTH_MAX, redact_nested};
use super::key_numbers::KeyNumbers;
use super::walk::{ObjectProbe, Shape, Slot, TypeValue};
use super::{Kind, Redactions, Sanitizer};

/// Returns the value as JSON, redacted by the default rules; the given value does not change.
///
/// A value that does not serialize becomes `"[UNSERIALIZABLE]"`, and containers more than 128 levels
/// deep become `"[TOO_DEEP]"`. [`Sanitizer::sanitize`] does the same by other rules.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// let given = BTreeMap::from([("password", "hunter2"), ("to", "ana@example.org")]);
/// let redacted = llm_audit_redact::sanitize(&given);
/// assert_eq!(redacted["password"], "[REDACTED]");
/// assert_eq!(redacted["to"], "[REDACTED_email]");
/// assert_eq!(given["password"], "hunter2");
/// ```
pub fn sanitize<T: ?Sized + Serialize>(value: &T) -> Value {
    Sanitizer::default().sanitize(value, &mut Redactions::default())
}

impl Sanitizer {
    /// Returns the value as JSON, redacted, and adds to `counts` what was redacted. See [`sanitize`].
    pub fn sanitize<T: ?Sized + Serialize>(&self, value: &T, counts: &mut Redactions) -> Value {
        let Ok(mut value) = serde_json::to_value(value) else {
            return Value::String("[UNSERIALIZABLE]".to_owned());
        };
        ValueRedactor { sanitizer: self, counts, depth: 0 }
            .redact(&mut value, Slot::at(self.root()));
        value
    }
}

/// The driver: a value in memory, whose names can be read before the values that they name.
struct ValueRedactor<'a> {
    sanitizer: &'a Sanitizer,
    counts: &'a mut Redactions,
    depth: usize,
}

impl ValueRedactor<'_> {
    fn redact(&mut self, value: &mut Value, slot: Slot) {
        let slot = slot_of_value(slot, value);
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let number = number.to_string();
                match slot.loses(Shape::of_number(&number)) {
                    true => self.redact_whole(value),
                    false => self.redact_number(value, &number, slot),
                }
            }
            Value::String(text) if slot.loses_text(self.sanitizer, text) => {
                self.redact_whole(value)
            }
            Value::String(text) => self.redact_text(text, slot),
            Value::Array(_) if slot.loses(Shape::List) => self.redact_whole(value),
            Value::Object(_) if slot.loses(Shape::Object) => self.redact_whole(value),
            Value::Array(_) | Value::Object(_) if self.depth == DEPTH_MAX => {
                *value = Value::String("[TOO_DEEP]".to_owned());
            }
            Value::Array(items) => {
                self.depth += 1;
                self.redact_items(items, slot);
                self.depth -= 1;
            }
            Value::Object(members) => {
                self.depth += 1;
                *members = self.redacted_members(std::mem::take(members), slot);
                self.depth -= 1;
            }
        }
    }

    fn redact_whole(&mut self, value: &mut Value) {
        let placeholder = Kind::Key.placeholder();
        if value != placeholder {
            self.counts.add(Kind::Key);
            *value = Value::String(placeholder.to_owned());
        }
    }

    /// Redacts a number under the key of a card, if it looks like one.
    fn redact_number(&mut self, value: &mut Value, number: &str, slot: Slot) {
        let is_card = || self.sanitizer.matches(number).any(|found| found.kind == Kind::Card);
        if !slot.may_be_card() || !is_card() {
            return;
        }
        if slot.loses(Shape::Text) {
            return self.redact_whole(value);
        }
        self.counts.add(Kind::Card);
        let placeholder = self.sanitizer.placeholder(Kind::Card, number);
        *value = Value::String(placeholder.as_str().to_owned());
    }

    fn redact_text(&mut self, text: &mut String, slot: Slot) {
        if slot.leaves(self.sanitizer, text) {
            return;
        }
        let redacted = match redact_nested(self.sanitizer, text, self.counts) {
            Some(redacted) => redacted.into_owned(),
            None => {
                let mut redacted = String::with_capacity(text.len());
                self.sanitizer.redact_text(text, &mut redacted, self.counts);
                redacted
            }
        };
        *text = redacted;
    }

    fn redact_items(&mut self, items: &mut [Value], slot: Slot) {
        let mut frame = slot.list(Some(items.len()));
        for item in items {
            let slot = frame.element();
            if let Value::String(text) = &*item
                && slot.takes_note(text)
                && !slot.loses_text(self.sanitizer, text)
            {
                frame.note(slot.note_of(self.sanitizer, text));
            }
            self.redact(item, slot);
        }
    }

    fn redacted_members(&mut self, members: Map<String, Value>, slot: Slot) -> Map<String, Value> {
        let (mut frame, mut probe) = (slot.object(), ObjectProbe::of_members());
        probe_members(&members, &mut probe);
        frame.note_members(&probe);
        for (key, value) in &members {
            let slot = frame.member(self.sanitizer, key);
            let text = match value {
                Value::String(text) => text,
                Value::Bool(true) => "true",
                _ => continue,
            };
            let is_lost = value.is_string() && slot.loses_text(self.sanitizer, text);
            if slot.takes_note(text) && !is_lost {
                frame.note(slot.note_of(self.sanitizer, text));
            }
        }
        let (mut numbers, mut redacted) = (KeyNumbers::default(), Map::new());
        for (key, mut value) in members {
            self.redact(&mut value, frame.member(self.sanitizer, &key));
            let key = match self.sanitizer.leaves(frame.place(), &key) {
                true => key,
                false => self.redacted_key(&key, &mut numbers),
            };
            redacted.insert(key, value);
        }
        redacted
    }

    fn redacted_key(&mut self, key: &str, numbers: &mut KeyNumbers) -> String {
        let mut redacted = String::with_capacity(key.len());
        numbers.write_key(self.sanitizer, key, self.counts, &mut |part| redacted.push_str(part));
        redacted
    }
}

/// Returns the slot of a container that may stay by its form, or the same slot.
fn slot_of_value(slot: Slot, value: &Value) -> Slot {
    let mut probe = ObjectProbe::new(slot);
    match value {
        Value::Array(items) if slot.loses(Shape::List) && items.is_empty() => {}
        Value::Object(members) if slot.loses(Shape::Object) && members.is_empty() => {}
        Value::Object(members) if slot.loses(Shape::Object) && slot.has_forms() => {
            probe_members(members, &mut probe);
        }
        _ => return slot,
    }
    probe.form().map_or(slot, |form| slot.in_form(form))
}

fn probe_members(members: &Map<String, Value>, probe: &mut ObjectProbe) {
    for (key, value) in members {
        let value = match value {
            Value::String(text) => TypeValue::from_text(text),
            Value::Array(items) => TypeValue::from_list(items.iter().map(Value::as_str)),
            _ => TypeValue::Other,
        };
        if !probe.read(key, value) {
            return;
        }
    }
}
