//! Finds a value that is a member of its own: beside the member that names it, as in
//! `name: DB_PASSWORD, value: …`, or in the container of its name, as in
//! `password = { type = "string", value = "…" }`.

use std::ops::Range;

use super::Certainty;
use super::wrapped::{bare_length, constructor_length};
use crate::keys::{KeyClass, classify_key, may_be_second};
use crate::looks::{has_secret_form, is_chosen_value, is_code_value};
use crate::names::SecretForm;
use crate::rules::{RuleText, count_steps, is_alphanumeric_byte};

/// The part of a text in which the member with the value is searched.
const WINDOW_BYTES: usize = 384;
/// The lines of that part.
const LINES_MAX: usize = 6;
/// A match begins at most so far before its trigger, which is in the name.
const NEAR_BYTES: usize = 80;
const BLANKS_MAX: usize = 64;
const ESCAPES_MAX: usize = 7;
pub(super) const LABEL_BYTES_MAX: usize = 24;

/// Returns the value beside a name that is a value itself: `name: DB_PASSWORD, value: …`. The value
/// may also be before the name.
pub(super) fn paired_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    let (label, is_wrapped) = name_label_start(look, name)?;
    let behind = name_end(look, name)? + usize::from(is_wrapped);
    let members = |range| MemberScan::new(look, name.clone(), range).search(is_value);
    let (after, other_after) = members(behind..behind + WINDOW_BYTES);
    if after.is_some() {
        return after;
    }
    let (before, other_before) = members_before(look, name, label).map(members).unwrap_or_default();
    before.or(other_after).or(other_before)
}

/// Returns the members of the same container before the one whose value is the name.
fn members_before(look: RuleText<'_>, name: &Range<usize>, label: usize) -> Option<Range<usize>> {
    if let Some(item) = list_item_start(look, label) {
        return Some(item..label);
    }
    let from = look.edge.max(name.end.saturating_sub(NEAR_BYTES));
    // The label of a long path may be further away.
    let before = look.text.get(from..label)?;
    count_steps(before.len());
    let mut closed = 0_usize;
    let open = before.iter().rposition(|byte| match byte {
        // The brackets of a constructor.
        b')' => {
            closed += 1;
            false
        }
        b'(' if closed > 0 => {
            closed -= 1;
            false
        }
        byte => b"{}([]\n".contains(byte),
    });
    let is_open = open.is_none_or(|at| !b"}]".contains(&before[at]));
    let cut = || before.iter().position(|byte| b" ,".contains(byte)).unwrap_or(before.len());
    let start = match open {
        Some(open) => open + 1,
        None if from > look.edge => cut(),
        None => 0,
    };
    is_open.then_some(from + start..label)
}

/// Returns the beginning of the item of a list of YAML that the member at a place is in, if that is on
/// another line.
fn list_item_start(look: RuleText<'_>, member: usize) -> Option<usize> {
    const ITEM_BYTES_MAX: usize = 160;
    let from = look.edge.max(member.saturating_sub(ITEM_BYTES_MAX));
    let before = &look.text[from..member];
    count_steps(before.len());
    let mut lines = before.rsplit(|byte| *byte == b'\n');
    let indent = lines.next().filter(|line| line.iter().all(|byte| *byte == b' '))?.len();
    let mut start = member - indent;
    for line in lines.take(LINES_MAX) {
        start -= line.len() + 1;
        let lead = line.iter().take_while(|byte| b" -".contains(byte)).count();
        let is_whole = start > from || start == 0 || look.byte_before(start) == Some(b'\n');
        if lead != indent || !is_whole {
            return None;
        }
        if line[..lead].contains(&b'-') {
            return Some(start + lead);
        }
    }
    None
}

/// Returns the value among the members of a name: `password: {type: string, value: …}`, or in a
/// block of its own lines.
pub(super) fn contained_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const TYPE_BYTES_MAX: usize = 48;
    let is_type = |byte: u8| is_alphanumeric_byte(byte) || b"_.&*[]".contains(&byte);
    let quoted = quote_end(look, name.end).unwrap_or(name.end);
    let at = blanks_end(look, quoted);
    // A section of TOML or of an INI file: `[db_password]`.
    let lead = &look.text[look.edge..name.start];
    if (lead == b"[" && look.edge == 0 || lead.ends_with(b"\n["))
        && let Some(line) = look.rest_from(name.end).strip_prefix(b"]")
        && matches!(line, [b'\n', ..] | [b'\r', b'\n', ..])
    {
        let line = look.text.len() - line.len() + usize::from(line[0] == b'\r');
        let window = line..line + WINDOW_BYTES;
        let scan = MemberScan { is_strict: true, ..MemberScan::new(look, name.clone(), window) };
        return scan.find(is_schema_value);
    }
    let (mut at, indent) = match sign_length(look.rest_from(at)) {
        0 if quoted > name.end && look.byte_at(at) == Some(b'{') => (at, 0),
        // The members follow their name without a bracket: `password type=string value=…`.
        0 if quoted == name.end && look.byte_before(name.start).is_none_or(|byte| byte == b' ') => {
            let window = at..at + WINDOW_BYTES;
            let (value, certainty) = MemberScan::new(look, name.clone(), window).find(is_value)?;
            // A sentence may go on after a colon: `password value: expected …`.
            let is_prose = look.text[..value.start].ends_with(b": ")
                && !look.text[value.clone()].iter().any(u8::is_ascii_digit);
            return (!is_prose).then_some((value, certainty));
        }
        0 => return None,
        length => (blanks_end(look, at + length), indent_of_line(look, name.start)),
    };
    if look.byte_at(at) == Some(b'\n') {
        let window = at..at + WINDOW_BYTES;
        return MemberScan {
            indent: Some(indent + 1),
            ..MemberScan::new(look, name.clone(), window)
        }
        .find(is_schema_value);
    }
    if look.rest_from(at).starts_with(b"[REDACTED") {
        return None;
    }
    // More than one object may be in a list.
    let is_list = matches!(look.rest_from(at), [b'[', next, ..] if *next != b']');
    at += look.rest_from(at).iter().take(TYPE_BYTES_MAX).take_while(|byte| is_type(**byte)).count();
    // Rust has a blank after a type, and Go has `interface {}{`.
    let blank = match look.rest_from(at) {
        _ if is_list => 0,
        [b' ', b'{', b'}', b'{', ..] => 3,
        [b' ', b'{', next, ..] if *next != b'}' => 1,
        _ => 0,
    };
    at += blank;
    let is_open = match look.byte_at(at) {
        Some(b'{' | b'(') => true,
        // The bracket of `map[` counts as a part of the type.
        _ => {
            look.text[look.edge..at].ends_with(b"map[") || {
                let word = look.run_start(at, TYPE_BYTES_MAX, is_alphanumeric_byte);
                at = word.saturating_sub(1);
                look.text[look.edge..word].ends_with(b"map[")
            }
        }
    };
    let window = at + 1..at + 1 + WINDOW_BYTES;
    let is_strict = blank > 0;
    let scan = MemberScan { is_strict, ..MemberScan::new(look, name.clone(), window) };
    is_open.then(|| scan.search(is_schema_value).0)?
}

fn is_value(label: &str) -> bool {
    classify_key(label) == KeyClass::Value
}

/// Returns whether a label is that of a value, unless a better one is beside it: `default`.
fn is_other_value(label: &str) -> bool {
    classify_key(label) == KeyClass::OtherValue
}

/// Returns whether a label is that of a value, or of one in a schema.
fn is_schema_value(label: &str) -> bool {
    is_value(label) || ["default", "example", "const"].contains(&label)
}

/// Returns the beginning of the member whose value is the name, and whether a constructor is around the
/// name: `"name": String("DB_PASSWORD")`.
fn name_label_start(look: RuleText<'_>, name: &Range<usize>) -> Option<(usize, bool)> {
    let is_path = |byte: u8| is_alphanumeric_byte(byte) || b"_-./:".contains(&byte);
    let path = look.run_start(name.start, NEAR_BYTES, is_path);
    // A map of Go: `name:DB_PASSWORD`.
    let lead = &look.text[path..name.start];
    if let Some(colon) = lead.iter().position(|byte| *byte == b':')
        && is_name_label(&lead[..colon])
    {
        return Some((path, false));
    }
    let quoted = quote_start(look, path);
    let is_wrapped = quoted < path && look.byte_before(quoted) == Some(b'(');
    let quote = match is_wrapped {
        true => look.run_start(quoted - 1, LABEL_BYTES_MAX, is_alphanumeric_byte),
        false => quoted,
    };
    let blank = blanks_start(look, quote);
    let before = &look.text[look.edge..blank];
    let signs = [&b"=>"[..], b":=", b"=", b":"];
    let sign = signs.iter().find(|sign| before.ends_with(sign)).map_or(0, |sign| sign.len());
    let label_end = quote_start(look, blanks_start(look, blank - sign));
    let label = look.run_start(label_end, LABEL_BYTES_MAX, is_label_byte);
    let is_option = look.byte_before(label) == Some(b'-');
    let is_one = sign > 0 || blank < quote && is_option;
    (is_one && is_name_label(&look.text[label..label_end]))
        .then(|| (quote_start(look, label), is_wrapped))
}

fn is_name_label(label: &[u8]) -> bool {
    str::from_utf8(label).is_ok_and(|label| classify_key(label) == KeyClass::Name)
}

pub(super) fn is_label_byte(byte: u8) -> bool {
    is_alphanumeric_byte(byte) || byte == b'_'
}

/// Returns the end of a name and of its closing quote, if nothing else of the value follows.
fn name_end(look: RuleText<'_>, name: &Range<usize>) -> Option<usize> {
    let end = quote_end(look, name.end).unwrap_or(name.end);
    look.byte_at(end).is_none_or(|byte| b" \t\n\r,;&|)}]".contains(&byte)).then_some(end)
}

pub(super) fn blanks_end(look: RuleText<'_>, at: usize) -> usize {
    look.run_end(at, |byte| byte == b' ' || byte == b'\t').min(at + BLANKS_MAX)
}

fn blanks_start(look: RuleText<'_>, at: usize) -> usize {
    look.run_start(at, BLANKS_MAX, |byte| byte == b' ' || byte == b'\t')
}

/// Returns the end of a quote and of the escapes before it.
pub(super) fn quote_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    let quote = look.run_end(at, |byte| byte == b'\\').min(at + ESCAPES_MAX);
    look.byte_at(quote).is_some_and(is_quote).then_some(quote + 1)
}

/// Returns the beginning of a quote before this place and of the escapes before it.
fn quote_start(look: RuleText<'_>, at: usize) -> usize {
    match look.byte_before(at).is_some_and(is_quote) {
        true => look.run_start(at - 1, ESCAPES_MAX, |byte| byte == b'\\'),
        false => at,
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Returns the length of a sign between a label and its value, or 0.
pub(super) fn sign_length(text: &[u8]) -> usize {
    match text {
        [b'=', b'>', ..] | [b':', b'=', ..] => 2,
        [b':', b':', ..] | [b'=', b'=', ..] => 0,
        [b':' | b'=', ..] => 1,
        _ => 0,
    }
}

/// Counts the blanks before the line of a place, and the dash of a list.
fn indent_of_line(look: RuleText<'_>, at: usize) -> usize {
    let is_before = |byte: u8| matches!(byte, b' ' | b'-' | b'"' | b'\'');
    at - look.run_start(at, BLANKS_MAX, is_before)
}

/// Passes members in the same container, and finds one by its label.
#[derive(Debug)]
struct MemberScan<'t> {
    look: RuleText<'t>,
    name: Range<usize>,
    at: usize,
    end: usize,
    depth: usize,
    lines: usize,
    /// The blanks that a line must have to belong to the container.
    indent: Option<usize>,
    /// The line has more blanks than that.
    is_deeper: bool,
    /// A sign was passed, and no separator after it.
    is_in_value: bool,
    /// The value that is found if no label is the wanted one.
    other: Option<(Range<usize>, Certainty)>,
    /// A placeholder was passed. What is behind it is not found by the first redaction, so other values
    /// are not looked for there.
    is_redacted: bool,
    /// Nothing at all is looked for there.
    is_strict: bool,
}

type Found = Option<(Range<usize>, Certainty)>;

impl<'t> MemberScan<'t> {
    fn new(look: RuleText<'t>, name: Range<usize>, window: Range<usize>) -> Self {
        let (at, end) = (window.start, window.end.min(look.text.len()));
        Self {
            look,
            name,
            at,
            end,
            depth: 0,
            lines: 0,
            indent: None,
            is_deeper: false,
            is_in_value: false,
            other: None,
            is_redacted: false,
            is_strict: false,
        }
    }

    /// Returns the value of the first member whose label is wanted, before another one that is a
    /// name. If there is none, another value may be meant.
    fn find(self, is_wanted: fn(&str) -> bool) -> Found {
        let (wanted, other) = self.search(is_wanted);
        wanted.or(other)
    }

    /// Returns both values.
    fn search(mut self, is_wanted: fn(&str) -> bool) -> (Found, Found) {
        let wanted = self.find_wanted(is_wanted);
        (wanted, self.other.filter(|_| !self.is_redacted))
    }

    fn find_wanted(&mut self, is_wanted: fn(&str) -> bool) -> Found {
        while self.at < self.end {
            count_steps(1);
            let byte = self.look.text[self.at];
            match byte {
                b'[' if self.look.rest_from(self.at).starts_with(b"[REDACTED") => {
                    self.is_redacted = true;
                    return None;
                }
                b'{' | b'[' | b'(' => self.depth += 1,
                b'}' | b']' | b')' => self.depth = self.depth.checked_sub(1)?,
                b',' | b';' | b'&' | b'|' if self.depth == 0 => self.is_in_value = false,
                b'\n' => self.pass_line_end()?,
                b'"' | b'\'' | b'`' | b'\\' if quote_end(self.look, self.at).is_some() => {
                    let (inside, behind) = self.quoted()?;
                    self.is_redacted |=
                        memchr::memmem::find(&self.look.text[inside.clone()], b"[REDACTED")
                            .is_some();
                    if self.is_redacted && self.is_strict {
                        return None;
                    }
                    if let Some(found) = self.member(inside, behind, is_wanted) {
                        return found;
                    }
                    continue;
                }
                _ if is_label_byte(byte) => {
                    let end =
                        self.look.run_end(self.at, |byte| is_label_byte(byte) || byte == b'-');
                    let label = self.at..end.min(self.end);
                    if let Some(found) = self.member(label, end, is_wanted) {
                        return found;
                    }
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// Passes a string, and returns its inside and the end of its closing quote.
    fn quoted(&self) -> Option<(Range<usize>, usize)> {
        let start = quote_end(self.look, self.at)?;
        let quote = &self.look.text[self.at..start];
        let inside = self.look.text.get(start..self.end)?;
        count_steps(inside.len());
        let first = memchr::memmem::find(inside, quote)?;
        // A backslash before a quote may be the end of a path.
        let is_escaped = inside[..first].ends_with(b"\\");
        let length = match is_escaped && !self.begins_member(start + first + quote.len()) {
            true => {
                let closing = self.look.quoted_end(start, *quote.last()?, inside.len());
                closing.map_or(first, |end| end - start)
            }
            false => first,
        };
        Some((start..start + length, start + length + quote.len()))
    }

    /// Returns whether a separator and another label with its sign are at a place.
    fn begins_member(&self, at: usize) -> bool {
        let separator = blanks_end(self.look, at);
        let is_one = matches!(self.look.byte_at(separator), Some(b',' | b';' | b'\r' | b'\n'));
        let is_between = |byte: u8| byte.is_ascii_whitespace() || byte == b',';
        let label = self.look.run_end(separator, is_between).min(separator + BLANKS_MAX);
        let label = quote_end(self.look, label).unwrap_or(label);
        let end = self.look.run_end(label, is_label_byte).min(label + LABEL_BYTES_MAX);
        let sign = blanks_end(self.look, quote_end(self.look, end).unwrap_or(end));
        is_one && end > label && sign_length(self.look.rest_from(sign)) > 0
    }

    /// Passes a word or a string. Returns the value after it if it is a wanted label, or that there
    /// is none.
    fn member(
        &mut self,
        label: Range<usize>,
        behind: usize,
        is_wanted: fn(&str) -> bool,
    ) -> Option<Found> {
        self.at = behind;
        if self.depth > 0 {
            return None;
        }
        let sign = blanks_end(self.look, behind);
        let is_option = self.look.text[self.look.edge..label.start].ends_with(b" --")
            || self.look.text[self.look.edge..label.start].ends_with(b" -");
        let length = sign_length(self.look.rest_from(sign));
        if length == 0 && !(is_option && sign > behind) {
            // Prose follows.
            return if self.is_in_value { None } else { Some(None) };
        }
        self.is_in_value = true;
        let text = str::from_utf8(&self.look.text[label]).unwrap_or_default();
        match () {
            () if is_wanted(text) => {
                let value = blanks_end(self.look, sign + length);
                let inside = quote_end(self.look, value).unwrap_or(value);
                self.is_redacted |= self.look.rest_from(inside).starts_with(b"[REDACTED");
                Some(self.value(value))
            }
            () if classify_key(text) == KeyClass::Name && !may_be_second(text) => Some(None),
            () => {
                if self.other.is_none() && !self.is_deeper && is_other_value(text) {
                    let is_secret = |(value, _): &(Range<usize>, Certainty)| {
                        has_secret_form(&self.look.text[value.clone()], SecretForm::Chosen)
                    };
                    self.other = self.value(blanks_end(self.look, sign + length)).filter(is_secret);
                }
                self.at = sign + length;
                None
            }
        }
    }

    fn pass_line_end(&mut self) -> Option<()> {
        self.lines += 1;
        let blanks = blanks_end(self.look, self.at + 1) - self.at - 1;
        let next = self.look.byte_at(self.at + 1 + blanks)?;
        let indent = *self.indent.get_or_insert(blanks);
        self.is_deeper = blanks > indent;
        let is_section = next == b'[' && self.depth == 0;
        let is_inside = blanks >= indent && !b"\r\n-#".contains(&next) && !is_section;
        self.is_in_value &= self.depth > 0;
        (self.lines <= LINES_MAX && (is_inside || b"})]".contains(&next))).then_some(())
    }

    /// Returns the value that begins at a place.
    fn value(&self, at: usize) -> Option<(Range<usize>, Certainty)> {
        let rest = self.look.text.get(at..)?;
        let rest = &rest[..rest.len().min(WINDOW_BYTES)];
        let name = &self.look.text[self.name.clone()];
        count_steps(rest.len());
        if let Some(start) = quote_end(self.look, at + constructor_length(rest)) {
            let end = self.look.quoted_end(start, self.look.text[start - 1], WINDOW_BYTES)?;
            return self.is_near(start).then_some((start..end, Certainty::Named));
        }
        if b"[{(<".contains(rest.first()?) || is_code_value(rest, name) {
            return None;
        }
        let length = bare_length(rest);
        let text = &rest[..length];
        let is_word = text.iter().all(u8::is_ascii_alphabetic);
        // The argument of a call is in quotes.
        let is_call =
            text.ends_with(b"(") && matches!(rest.get(length), Some(b'"' | b'\'' | b'\\'));
        let is_one = length > 0 && !is_call && (!is_word || is_chosen_value(text));
        (is_one && self.is_near(at)).then_some((at..at + length, Certainty::Named))
    }

    fn is_near(&self, at: usize) -> bool {
        at >= self.name.end || self.name.end - at <= NEAR_BYTES
    }
}
