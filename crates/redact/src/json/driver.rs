//! The driver for JSON, which reads tokens and finds what has to be redacted.

use std::borrow::Cow;
use std::ops::Range;

use llm_audit_process::cell::Lazy;
use memchr::memmem::Finder;

use super::DEPTH_MAX;
use super::ahead::{ContainerEnds, is_empty_container};
use super::edits::{Edit, add_raw_edits, apply_edits, gaps_between_edits};
use super::inside::may_have_json_inside;
use super::nested::{NestedEdits, find_nested_edits};
use super::spelling::{SpellingOffsets, decode_json_spelling, escape_json_spelling};
use super::tokens::{JsonParser, JsonToken, MalformedJson, Quoted};
use crate::bytes::may_begin_json;
use crate::key_numbers::{KeyNumbers, write_numbered_placeholder};
use crate::keys::MANIFEST_KIND;
use crate::looks::has_secret_form;
use crate::names::SecretForm;
use crate::steps::count_steps;
use crate::walk::{Fate, Frame, ObjectProbe, Secrecy, Shape, Slot};
use crate::{Kind, Match, Place, Redactions, Sanitizer};

/// Finds what has to be redacted in a JSON text. What is not replaced keeps its bytes.
pub(super) struct JsonDriver<'a> {
    sanitizer: &'a Sanitizer,
    /// The counts of keys. Other counts are in the edits.
    counts: &'a mut Redactions,
    json: &'a str,
    /// The number of JSON strings around the text.
    depth: usize,
    edits: Vec<Edit>,
    parser: JsonParser<'a>,
    /// The containers around the token.
    levels: Vec<JsonLevel>,
    /// The slot of the next value, if it is under a key or the outermost.
    slot: Slot,
    /// The ends of all containers, from the first time that one is needed.
    ends: Option<ContainerEnds>,
    /// Whether some text may be the kind of a manifest of secrets, from the first time that this matters.
    may_have_manifest: Option<bool>,
    /// Scratch.
    decoded: String,
}

struct JsonLevel {
    is_list: bool,
    start: usize,
    /// Whether the members of the object were read ahead.
    is_read_ahead: bool,
    frame: Frame,
    numbers: KeyNumbers,
    /// In an object: the values for which a name may still follow.
    unnamed: Vec<Unnamed>,
    /// Set if the container is such a value itself: its beginning, and the edits in it.
    is_value: Option<(usize, usize)>,
}

struct Unnamed {
    value: Range<usize>,
    /// The edits in it.
    edits: Range<usize>,
    /// It has to look like a secret.
    is_other: bool,
}

impl<'a> JsonDriver<'a> {
    pub(super) fn new(
        sanitizer: &'a Sanitizer,
        json: &'a str,
        depth: usize,
        counts: &'a mut Redactions,
    ) -> Self {
        Self {
            sanitizer,
            counts,
            json,
            depth,
            edits: Vec::new(),
            parser: JsonParser::new(json),
            levels: Vec::new(),
            slot: Slot::at(if depth == 0 { sanitizer.root() } else { Place::default() }),
            ends: None,
            may_have_manifest: None,
            decoded: String::new(),
        }
    }

    /// Returns the edits in order, without overlaps.
    pub(super) fn find_edits(mut self) -> Result<Vec<Edit>, MalformedJson> {
        while let Some(token) = self.parser.next_token()? {
            match token {
                JsonToken::Key(key) if self.is_silent_key(key) => self.read_silent_member(key)?,
                JsonToken::Key(key) => self.read_key(key)?,
                JsonToken::Close => self.close_container(),
                _ => self.read_value(token)?,
            }
        }
        Ok(self.edits)
    }

    /// Returns whether a key is written as it is and says nothing about its value, as most do.
    #[inline]
    fn is_silent_key(&self, key: Quoted) -> bool {
        let is_silent = |level: &JsonLevel| {
            level.frame.has_silent_key(self.sanitizer, &self.json[key.start..key.end])
        };
        self.depth == 0 && !key.escaped && self.levels.last().is_some_and(is_silent)
    }

    /// Reads the value under a key that says nothing about it.
    #[inline]
    fn read_silent_member(&mut self, key: Quoted) -> Result<(), MalformedJson> {
        let value = self.parser.next_plain_value()?;
        match value {
            Some(JsonToken::String(string)) => {
                let raw = &self.json[string.start..string.end];
                if !string.escaped && !may_begin_json(raw) && self.sanitizer.find(raw).is_none() {
                    return Ok(());
                }
            }
            // No number is a card here.
            Some(_) => return Ok(()),
            None => {}
        }
        self.read_key(key)?;
        value.map_or(Ok(()), |value| self.read_value(value))
    }

    fn read_key(&mut self, key: Quoted) -> Result<(), MalformedJson> {
        let raw = &self.json[key.start..key.end];
        let text = decode_json_spelling(raw, key.escaped, &mut self.decoded);
        let level = self.levels.last_mut().expect("a key is in an object");
        if level.frame.needs_members(text)
            && !level.is_read_ahead
            && (text == "token"
                || *self.may_have_manifest.get_or_insert_with(|| has_manifest_kind(self.json)))
        {
            let mut probe = ObjectProbe::of_members();
            let ends = ends_of_json(self.json, &mut self.ends)?;
            ends.probe_object(self.json, level.start, &mut probe)?;
            level.frame.note_members(&probe);
            level.is_read_ahead = true;
        }
        self.slot = level.frame.member(self.sanitizer, text);
        let is_spelled_plainly = self.depth == 0 || !key.escaped;
        if self.slot.has_plain_key() && is_spelled_plainly
            || self.sanitizer.leaves(level.frame.place(), text)
        {
            return Ok(());
        }
        let (mut spot, edits) = (SpellingOffsets::new(raw), &mut self.edits);
        let from = edits.len();
        level.numbers.edit_key(self.sanitizer, text, self.counts, &mut |part, number| {
            let with = placeholder_of_json_key(part.kind, number);
            let (start, end) = (spot.raw_offset(part.start), spot.raw_offset(part.end));
            edits.push(Edit { start: key.start + start, end: key.start + end, with, kind: None });
        });
        if self.depth > 0 && key.escaped {
            self.redact_raw_key(key, from);
        }
        Ok(())
    }

    /// Redacts a key as it is spelled, in addition to its decoded text. It is replaced as a whole
    /// if it matches, because it has only one number.
    fn redact_raw_key(&mut self, key: Quoted, from: usize) {
        let found = gaps_between_edits(key.start..key.end, &self.edits[from..])
            .find_map(|gap| self.sanitizer.matches(&self.json[gap]).next());
        if let (Some(found), Some(level)) = (found, self.levels.last_mut()) {
            let with = placeholder_of_json_key(found.kind, level.numbers.next_number(found.kind));
            self.counts.add(found.kind);
            self.edits.truncate(from);
            self.edits.push(Edit { start: key.start, end: key.end, with, kind: None });
        }
    }

    fn close_container(&mut self) {
        let closed = self.levels.pop();
        if let (Some((start, from)), Some(level)) =
            (closed.and_then(|level| level.is_value), self.levels.last_mut())
        {
            let (value, edits) = (start..self.parser.token_end(), from..self.edits.len());
            level.unnamed.push(Unnamed { value, edits, is_other: false });
        }
    }

    fn read_value(&mut self, token: JsonToken) -> Result<(), MalformedJson> {
        let (start, from) = (self.parser.token_start(), self.edits.len());
        if let Some(level) = self.levels.last_mut().filter(|level| level.is_list) {
            self.slot = level.frame.element();
        }
        self.settle_slot(token)?;
        match token {
            JsonToken::Literal => self.read_literal(start),
            _ if self.is_replaced_whole(token) => {
                self.replace_value(start, from, "\"[REDACTED]\"")?
            }
            JsonToken::String(string) => self.redact_string(string),
            JsonToken::Open if self.levels.len() == DEPTH_MAX => {
                self.replace_value(start, from, "\"[TOO_DEEP]\"")?;
            }
            JsonToken::Open => {
                self.open_container(start, from);
                return Ok(());
            }
            JsonToken::Number => self.redact_number(start),
            JsonToken::Key(_) | JsonToken::Close => {}
        }
        let is_other = self.slot.is_other_value();
        if (self.slot.is_value() || is_other)
            && let Some(level) = self.levels.last_mut()
        {
            let (value, edits) = (start..self.parser.token_end(), from..self.edits.len());
            level.unnamed.push(Unnamed { value, edits, is_other });
        }
        Ok(())
    }

    /// Changes the slot of the value that was read last, if what follows decides about it.
    #[inline]
    fn settle_slot(&mut self, token: JsonToken) -> Result<(), MalformedJson> {
        if self.slot.needs_to_be_last() && !self.is_last_in_list(token)? {
            self.slot = self.slot.unnamed();
        } else if matches!(token, JsonToken::Open) {
            self.settle_slot_of_container()?;
        }
        Ok(())
    }

    /// Changes the slot of the container that was opened last. If the container would go, its form
    /// decides.
    fn settle_slot_of_container(&mut self) -> Result<(), MalformedJson> {
        let start = self.parser.token_start();
        if !self.slot.loses(self.shape_of_container(start)) {
            return Ok(());
        }
        let mut probe = ObjectProbe::new(self.slot);
        let is_empty = is_empty_container(self.json, start);
        if self.slot.has_forms() && !is_empty && self.json[start..].starts_with('{') {
            let ends = ends_of_json(self.json, &mut self.ends)?;
            ends.probe_object(self.json, start, &mut probe)?;
        } else if !is_empty {
            return Ok(());
        }
        if let Some(form) = probe.form() {
            self.slot = self.slot.in_form(form);
        }
        Ok(())
    }

    fn shape_of_container(&self, start: usize) -> Shape {
        if self.json.as_bytes()[start] == b'[' { Shape::List } else { Shape::Object }
    }

    /// Returns whether the value that was read last is replaced as a whole.
    fn is_replaced_whole(&mut self, token: JsonToken) -> bool {
        let (slot, start) = (&self.slot, self.parser.token_start());
        match token {
            JsonToken::String(string)
                if !matches!(slot.fate(), Fate::Read | Fate::Name)
                    || slot.is_element() && self.json[string.start..].starts_with("-p") =>
            {
                let raw = &self.json[string.start..string.end];
                let text = decode_json_spelling(raw, string.escaped, &mut self.decoded);
                slot.loses_text(self.sanitizer, text)
            }
            JsonToken::Open => slot.loses(self.shape_of_container(start)),
            // If a number would become a text, and the text would be redacted, the number is
            // redacted now.
            JsonToken::Number => {
                slot.loses(Shape::of_number(&self.json[start..self.parser.token_end()]))
                    || slot.loses(Shape::Text) && self.match_in_number().is_some()
            }
            _ => false,
        }
    }

    /// Takes note of a flag that says that the value beside it is a secret.
    fn read_literal(&mut self, start: usize) {
        let text = &self.json[start..self.parser.token_end()];
        if text == "true"
            && self.slot.takes_note(text)
            && let Some(level) = self.levels.last_mut()
        {
            level.frame.note(self.slot.note_of(self.sanitizer, text));
            self.redact_unnamed();
        }
    }

    fn open_container(&mut self, start: usize, from: usize) {
        let (slot, is_list) = (self.slot, self.json.as_bytes()[start] == b'[');
        self.levels.push(JsonLevel {
            is_list,
            start,
            is_read_ahead: false,
            frame: if is_list { slot.list(None) } else { slot.object() },
            numbers: KeyNumbers::default(),
            unnamed: Vec::new(),
            is_value: slot.is_value().then_some((start, from)),
        });
    }

    fn redact_number(&mut self, start: usize) {
        if let Some(found) = self.match_in_number() {
            let (end, kind) = (self.parser.token_end(), Some(found.kind));
            let with = self.sanitizer.placeholder(found.kind, found.of(&self.json[start..end]));
            let with = format!("\"{}\"", with.as_str()).into();
            self.edits.push(Edit { start, end, with, kind });
        }
    }

    /// Returns what the rules find in the number that was read last. That is a card if the key is
    /// one of a card. Inside a string the number is a text, in which any rule may match.
    fn match_in_number(&self) -> Option<Match> {
        let slot = &self.slot;
        if slot.is_allowed() || self.depth == 0 && !slot.may_be_card() {
            return None;
        }
        let number = &self.json[self.parser.token_start()..self.parser.token_end()];
        if slot.explains_digits(number) {
            return None;
        }
        let mut found = self.sanitizer.matches(number);
        found.find(|found| self.depth > 0 || found.kind == Kind::Card)
    }

    /// Writes `with` in the place of the value that was read last, if that is redacted at all.
    fn replace_value(
        &mut self,
        start: usize,
        from: usize,
        with: &'static str,
    ) -> Result<(), MalformedJson> {
        if matches!(self.json.as_bytes()[start], b'{' | b'[') {
            self.parser.skip_container()?;
        }
        let kind = (with == "\"[REDACTED]\"").then_some(Kind::Key);
        self.replace(start..self.parser.token_end(), from, with, kind);
        Ok(())
    }

    /// Returns whether a value is the last of its list.
    fn is_last_in_list(&self, token: JsonToken) -> Result<bool, MalformedJson> {
        let mut ahead = self.parser.clone();
        if matches!(token, JsonToken::Open) {
            ahead.skip_container()?;
        }
        Ok(self.json[ahead.token_end()..].trim_start().starts_with(']'))
    }

    fn redact_string(&mut self, string: Quoted) {
        let slot = &self.slot;
        let raw = &self.json[string.start..string.end];
        let text = decode_json_spelling(raw, string.escaped, &mut self.decoded);
        if slot.leaves(self.sanitizer, text) {
            return;
        }
        let takes_note = slot.takes_note(text);
        if takes_note && let Some(level) = self.levels.last_mut() {
            level.frame.note(slot.note_of(self.sanitizer, text));
        }
        // Most texts.
        if (self.depth == 0 || !string.escaped)
            && !may_begin_json(text)
            && is_clean_text(self.sanitizer, text)
        {
            if takes_note {
                self.redact_unnamed();
            }
            return;
        }
        let nested = find_nested_edits(self.sanitizer, text, self.depth + 1, self.counts);
        let NestedEdits { edits, is_json } = nested.unwrap_or_else(|| {
            let edit = |found: Match| {
                let with = self.sanitizer.placeholder(found.kind, found.of(text)).0;
                Edit { start: found.start, end: found.end, with, kind: Some(found.kind) }
            };
            NestedEdits { edits: self.sanitizer.matches(text).map(edit).collect(), is_json: false }
        });
        let mut spot = SpellingOffsets::new(raw);
        let in_json = |edit: Edit| Edit {
            start: string.start + spot.raw_offset(edit.start),
            end: string.start + spot.raw_offset(edit.end),
            with: escape_json_spelling(edit.with),
            kind: edit.kind,
        };
        let mut edits: Vec<_> = edits.into_iter().map(in_json).collect();
        if self.depth > 0 && !is_json {
            self.redact_raw_string(string, &mut edits);
        }
        self.edits.append(&mut edits);
        if takes_note {
            self.redact_unnamed();
        }
    }

    /// Redacts what matches as it is spelled in a string that is inside another one. If an edit
    /// inserts text, it is escaped here.
    fn redact_raw_string(&mut self, string: Quoted, edits: &mut Vec<Edit>) {
        for edit in edits.iter_mut() {
            let (mut raw, mut with) = (Vec::new(), String::new());
            add_raw_edits(self.sanitizer, &edit.with, 0..edit.with.len(), &mut raw);
            apply_edits(&edit.with, &raw, &mut with, self.counts);
            edit.with = with.into();
        }
        if string.escaped {
            add_raw_edits(self.sanitizer, self.json, string.start..string.end, edits);
        }
    }

    /// Redacts the values of an object that came before their name.
    fn redact_unnamed(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        let secrecy = level.frame.secrecy();
        if secrecy == Secrecy::None {
            return;
        }
        let unnamed = std::mem::take(&mut level.unnamed);
        let Some(mut at) = unnamed.first().map(|first| first.edits.start) else { return };
        // Each edit is moved once, however many values there are.
        let mut old = self.edits.split_off(at).into_iter();
        for Unnamed { value, edits, is_other } in unnamed {
            let secrecy = match secrecy {
                Secrecy::All | Secrecy::Texts if is_other => Secrecy::Formed(SecretForm::Chosen),
                secrecy => secrecy,
            };
            self.edits.extend(old.by_ref().take(edits.start - at));
            let from = self.edits.len();
            self.edits.extend(old.by_ref().take(edits.len()));
            count_steps(edits.end - at + 1);
            at = edits.end;
            if !self.stays_unnamed(&value, edits.is_empty(), secrecy) {
                self.replace(value, from, "\"[REDACTED]\"", Some(Kind::Key));
            }
        }
        count_steps(old.len());
        self.edits.extend(old);
    }

    /// Returns whether a value stays although its name followed.
    fn stays_unnamed(&self, value: &Range<usize>, has_no_edits: bool, secrecy: Secrecy) -> bool {
        let text = &self.json[value.clone()];
        let stays = match text.as_bytes()[0] {
            b'"' => text == "\"\"",
            b'{' | b'[' => is_empty_container(self.json, value.start),
            _ if secrecy == Secrecy::Texts => has_no_edits,
            _ => has_no_edits && Shape::of_number(text) == Shape::Fraction,
        };
        stays || matches!(secrecy, Secrecy::Formed(form) if !json_string_has_form(text, form))
    }

    /// Writes `with` in the place of a value. The edits in that value begin with `from`.
    fn replace(&mut self, part: Range<usize>, from: usize, with: &'static str, kind: Option<Kind>) {
        let value = &self.json[part.clone()];
        if value == with || matches!(value, "true" | "false" | "null") {
            return;
        }
        self.edits.truncate(from);
        self.edits.push(Edit { start: part.start, end: part.end, with: with.into(), kind });
    }
}

/// Returns whether nothing is found in a text that does not begin like JSON, and no JSON is in it.
fn is_clean_text(sanitizer: &Sanitizer, text: &str) -> bool {
    sanitizer
        .find(text)
        .is_none_or(|mut matches| matches.next().is_none() && !may_have_json_inside(text))
}

/// Returns whether a string of a JSON text is the kind of a manifest of secrets, if none is spelled with
/// escapes.
fn has_manifest_kind(json: &str) -> bool {
    static FINDER: Lazy<Finder<'_>> = Lazy::new(|| Finder::new(MANIFEST_KIND));
    FINDER.find_iter(json.as_bytes()).any(|at| at > 0 && json.as_bytes()[at - 1] == b'"')
}

/// Returns whether a value is a string that has the form of a secret.
fn json_string_has_form(value: &str, form: SecretForm) -> bool {
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|inside| {
        let mut scratch = String::new();
        let text = decode_json_spelling(inside, inside.contains('\\'), &mut scratch);
        has_secret_form(text.as_bytes(), form)
    })
}

/// Returns the ends of the containers, which are read the first time.
fn ends_of_json<'e>(
    json: &str,
    ends: &'e mut Option<ContainerEnds>,
) -> Result<&'e ContainerEnds, MalformedJson> {
    if ends.is_none() {
        *ends = Some(ContainerEnds::of_json(json)?);
    }
    ends.as_ref().ok_or(MalformedJson)
}

/// Returns the placeholder of a key.
fn placeholder_of_json_key(kind: Kind, number: u32) -> Cow<'static, str> {
    let mut with = Cow::Borrowed(kind.placeholder());
    if number > 1 {
        with = String::new().into();
        write_numbered_placeholder(kind, number, &mut |piece| with.to_mut().push_str(piece));
    }
    with
}
