//! Redacts a line that begins as JSON does.

pub(super) mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use self::tokens::{Malformed, Parser, Quoted, Token, escape};
use super::keys::{KeyClass, KeyNumbers, write_placeholder};
use super::malformed::Quotes;
use super::walk::{Frame, Secrecy, Shape, Slot};
use super::{Kind, LineKind, Match, Place, Redactions, Sanitizer, malformed};

/// Containers more than this many levels deep are not written; the outermost is level 1.
pub(super) const DEPTH_MAX: usize = 128;

pub(super) fn redact_line(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> LineKind {
    if !begins_as_json(line) {
        let start = out.len();
        sanitizer.redact_text(line, out, counts);
        if begins_as_json(&out[start..]) {
            // A placeholder stands first now, and its bracket would have a second redaction take
            // the line for JSON: it is redacted as that at once.
            let text = out.split_off(start);
            redact_malformed(sanitizer, &text, out, counts);
        }
        return LineKind::Text;
    }
    if redact_json(sanitizer, line, out, counts).is_ok() {
        return LineKind::Json;
    }
    redact_malformed(sanitizer, line, out, counts);
    LineKind::NotQuiteJson
}

fn begins_as_json(line: &str) -> bool {
    line.trim_start_matches(is_blank).starts_with(['{', '[', '"'])
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{FEFF}'
}

/// Redacts a line that does not parse. Losing a value may be what makes it parse: then it is
/// redacted as JSON besides, as a second redaction would.
fn redact_malformed(sanitizer: &Sanitizer, line: &str, out: &mut String, counts: &mut Redactions) {
    let mut mended = String::with_capacity(line.len());
    malformed::redact(sanitizer, line, Quotes::Put, &mut mended, counts);
    if redact_json(sanitizer, &mended, out, counts).is_err() {
        out.push_str(&mended);
    }
}

/// Appends the redacted line; nothing when it turns out not to be JSON.
fn redact_json(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> Result<(), Malformed> {
    let json = line.strip_prefix('\u{FEFF}').unwrap_or(line);
    let before = counts.clone();
    let edits =
        Filter::new(sanitizer, json, 0, counts).edits().inspect_err(|_| *counts = before)?;
    out.push_str(&line[..line.len() - json.len()]);
    apply(json, &edits, out, counts);
    Ok(())
}

/// A part of a text and what comes into its place.
struct Edit {
    start: usize,
    end: usize,
    with: Cow<'static, str>,
    /// What is counted.
    kind: Option<Kind>,
}

fn apply(text: &str, edits: &[Edit], out: &mut String, counts: &mut Redactions) {
    let mut copied = 0;
    for edit in edits {
        out.push_str(&text[copied..edit.start]);
        out.push_str(&edit.with);
        copied = edit.end;
        edit.kind.into_iter().for_each(|kind| counts.add(kind));
    }
    out.push_str(&text[copied..]);
}

/// JSON in a string of JSON is redacted as JSON so many levels deep, as text below.
const NESTED_MAX: usize = 3;

/// A string that is itself JSON, redacted as such, so that it stays JSON, or that begins as JSON does
/// and is none, redacted as such a line is; `None` where it is neither, or where looking at it as text
/// finds as much.
pub fn redact_nested<'t>(
    sanitizer: &Sanitizer,
    text: &'t str,
    counts: &mut Redactions,
) -> Option<Cow<'t, str>> {
    let edits = nested(sanitizer, text, 1, counts)?.edits;
    if edits.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    apply(text, &edits, &mut out, counts);
    Some(out.into())
}

/// What a string that begins as JSON does has to lose.
struct Nested {
    edits: Vec<Edit>,
    is_json: bool,
}

/// What [`redact_nested`] replaces, `depth` strings deep.
fn nested(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<Nested> {
    let json = text.trim_start_matches(is_blank);
    let begins = json.starts_with(['{', '[', '"', '`']);
    if depth > NESTED_MAX || !begins || !tells_more_as_json(sanitizer, json) {
        return None;
    }
    let before = counts.clone();
    if let Ok(mut edits) = Filter::new(sanitizer, json, depth, counts).edits() {
        let offset = text.len() - json.len();
        for edit in &mut edits {
            (edit.start, edit.end) = (edit.start + offset, edit.end + offset);
        }
        return Some(Nested { edits, is_json: true });
    }
    counts.clone_from(&before);
    // Prose is quoted and bracketed too: `[INST]`, `"Hello," she said`.
    let opens = |c: char| c.is_whitespace() || matches!(c, '[' | '{' | '`' | '"');
    let is_list = json.strip_prefix('[').is_some_and(|rest| rest.starts_with(opens));
    if !is_list && !json.starts_with(['{', '`']) {
        return None;
    }
    let mut redacted = String::with_capacity(text.len());
    malformed::redact(sanitizer, text, Quotes::Kept, &mut redacted, counts);
    Some(Nested { edits: difference(text, redacted).into_iter().collect(), is_json: false })
}

/// The edit that makes one text of another, as short as it can be told; it is counted already.
fn difference(text: &str, other: String) -> Option<Edit> {
    let same = |(a, b): (char, char)| (a == b).then_some(a.len_utf8());
    let start: usize = text.chars().zip(other.chars()).map_while(same).sum();
    let (rest, with) = (&text[start..], &other[start..]);
    let behind: usize = rest.chars().rev().zip(with.chars().rev()).map_while(same).sum();
    let with = with[..with.len() - behind].to_owned();
    let (end, kind) = (text.len() - behind, None);
    (text != other).then(|| Edit { start, end, with: with.into(), kind })
}

/// Whether a text that may be JSON has to be looked at as such: it has a key that decides on a value,
/// an escape sequence, or something that a rule finds, and that may be a number.
fn tells_more_as_json(sanitizer: &Sanitizer, text: &str) -> bool {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some() {
        return true;
    }
    // Between any two quotes something may be quoted: what nearly is JSON has other quotes too.
    let (mut begin, mut names) = (0, false);
    let decides = memchr::memchr2_iter(b'"', b'\'', bytes).any(|at| {
        let start = std::mem::replace(&mut begin, at + 1);
        let string = &text[start..at];
        if bytes[at + 1..].trim_ascii_start().first() == Some(&b':') {
            let class = sanitizer.classify(string);
            names = class == KeyClass::Name;
            return class.is_secret() || matches!(class, KeyClass::Card | KeyClass::Headers);
        }
        if string.trim_ascii() == ":" {
            return false;
        }
        // Of a member, or of a pair in a list.
        let is_first = || bytes[..start.saturating_sub(1)].trim_ascii_end().last() == Some(&b'[');
        (std::mem::take(&mut names) || is_first()) && sanitizer.secrecy(string) != Secrecy::None
    });
    decides || sanitizer.find(text).is_some()
}

/// Adds what the rules find in the inside of a string as it stands, outside of the edits in it:
/// there an escape sequence is letters. It goes whole.
fn add_raw_matches(sanitizer: &Sanitizer, text: &str, string: Range<usize>, edits: &mut Vec<Edit>) {
    let mut all = Vec::new();
    for gap in gaps(string, edits) {
        let mut from = gap.start;
        for found in sanitizer.matches(&text[gap.clone()]) {
            let (start, end) = (gap.start + found.start, gap.start + found.end);
            let with = sanitizer.placeholder(found.kind, &text[start..end]).0;
            let start = escape_over(text, start).map_or(start, |escape| escape.start).max(from);
            let end = escape_over(text, end).map_or(end, |escape| escape.end).min(gap.end);
            all.push(Edit { start, end, with, kind: Some(found.kind) });
            from = end;
        }
    }
    edits.append(&mut all);
    edits.sort_by_key(|edit| edit.start);
}

/// What lies between the edits in a part of a text.
fn gaps(part: Range<usize>, edits: &[Edit]) -> impl Iterator<Item = Range<usize>> {
    let starts = [part.start].into_iter().chain(edits.iter().map(|edit| edit.end));
    let ends = edits.iter().map(|edit| edit.start).chain([part.end]);
    starts.zip(ends).map(|(start, end)| start..end)
}

/// The escape sequence that this place lies inside of.
fn escape_over(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // `\u` and four digits is the longest.
    let start = (at.saturating_sub(5)..at).rev().find(|&start| bytes[start] == b'\\')?;
    let behind = bytes[..start].iter().rev().take_while(|&&byte| byte == b'\\').count();
    let start = if behind % 2 == 0 { start } else { start - 1 };
    let end = start + escape(&bytes[start..])?.length;
    (end > at).then_some(start..end)
}

/// Finds what has to go of a JSON text. What is not replaced keeps its bytes.
struct Filter<'a> {
    sanitizer: &'a Sanitizer,
    /// Of keys; what else is counted stands in the edits.
    counts: &'a mut Redactions,
    json: &'a str,
    /// In how many strings of JSON it lies.
    depth: usize,
    edits: Vec<Edit>,
    parser: Parser<'a>,
    /// The containers around the token.
    levels: Vec<Level>,
    /// The slot of the value that comes, if it is under a key or the outermost.
    slot: Slot,
    /// Scratch.
    decoded: String,
}

struct Level {
    is_list: bool,
    frame: Frame,
    numbers: KeyNumbers,
    /// Of an object: where the values are that a name may yet come for, and the edits in each.
    unnamed: Vec<(Range<usize>, Range<usize>)>,
    /// It is such a value itself: where it begins, and the edits in it.
    is_value: Option<(usize, usize)>,
}

impl<'a> Filter<'a> {
    fn new(
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
            parser: Parser::new(json),
            levels: Vec::new(),
            slot: Slot::at(if depth == 0 { sanitizer.root() } else { Place::default() }),
            decoded: String::new(),
        }
    }

    /// In order, none over another.
    fn edits(mut self) -> Result<Vec<Edit>, Malformed> {
        while let Some(token) = self.parser.next()? {
            match token {
                Token::Key(key) => self.key(key),
                Token::Close => self.close(),
                _ => self.value(token)?,
            }
        }
        Ok(self.edits)
    }

    fn key(&mut self, key: Quoted) {
        let raw = &self.json[key.start..key.end];
        let text = decode(raw, key.escaped, &mut self.decoded);
        let level = self.levels.last_mut().expect("a key stands in an object");
        self.slot = level.frame.member(self.sanitizer, text);
        if self.sanitizer.leaves(level.frame.place(), text) {
            return;
        }
        let (mut spot, edits) = (Spot::new(raw), &mut self.edits);
        let from = edits.len();
        level.numbers.edits(self.sanitizer, text, self.counts, &mut |part, number| {
            let with = numbered(part.kind, number);
            let (start, end) = (spot.of(part.start), spot.of(part.end));
            edits.push(Edit { start: key.start + start, end: key.start + end, with, kind: None });
        });
        if self.depth > 0 && key.escaped {
            self.raw_key(key, from);
        }
    }

    /// A key that matches as it stands, beside what matched decoded, goes as a whole: it has one number.
    fn raw_key(&mut self, key: Quoted, from: usize) {
        let found = gaps(key.start..key.end, &self.edits[from..])
            .find_map(|gap| self.sanitizer.matches(&self.json[gap]).next());
        if let (Some(found), Some(level)) = (found, self.levels.last_mut()) {
            let with = numbered(found.kind, level.numbers.next(found.kind));
            self.counts.add(found.kind);
            self.edits.truncate(from);
            self.edits.push(Edit { start: key.start, end: key.end, with, kind: None });
        }
    }

    fn close(&mut self) {
        let closed = self.levels.pop();
        if let (Some((start, from)), Some(level)) =
            (closed.and_then(|level| level.is_value), self.levels.last_mut())
        {
            level.unnamed.push((start..self.parser.token_end(), from..self.edits.len()));
        }
    }

    fn value(&mut self, token: Token) -> Result<(), Malformed> {
        let (start, from) = (self.parser.token_start(), self.edits.len());
        let slot = self.slot(token)?;
        match token {
            Token::Literal => {}
            _ if self.goes(slot, token) => self.replace_value(start, from, "\"[REDACTED]\"")?,
            Token::String(string) => self.string(string, slot),
            Token::Open if self.levels.len() == DEPTH_MAX => {
                self.replace_value(start, from, "\"[TOO_DEEP]\"")?;
            }
            Token::Open => {
                self.open(slot, start, from);
                return Ok(());
            }
            Token::Number => self.number(slot, start),
            Token::Key(_) | Token::Close => {}
        }
        if let Some(level) = self.levels.last_mut().filter(|_| slot.is_value()) {
            level.unnamed.push((start..self.parser.token_end(), from..self.edits.len()));
        }
        Ok(())
    }

    /// The slot of the value that was read last.
    fn slot(&mut self, token: Token) -> Result<Slot, Malformed> {
        let slot = match self.levels.last_mut() {
            Some(level) if level.is_list => level.frame.element(),
            _ => std::mem::take(&mut self.slot),
        };
        Ok(if slot.needs_to_be_last() && !self.is_last(token)? { slot.unnamed() } else { slot })
    }

    /// Whether the value that was read last goes whole.
    fn goes(&self, slot: Slot, token: Token) -> bool {
        match token {
            Token::String(_) => slot.loses(Shape::Text),
            Token::Open => slot.loses(Shape::Container),
            // A number that would become a text, which goes, goes at once.
            Token::Number => {
                slot.loses(Shape::Number)
                    || slot.loses(Shape::Text) && self.found_in_number(slot).is_some()
            }
            _ => false,
        }
    }

    fn open(&mut self, slot: Slot, start: usize, from: usize) {
        let is_list = self.json.as_bytes()[start] == b'[';
        self.levels.push(Level {
            is_list,
            frame: if is_list { slot.list(None) } else { slot.object() },
            numbers: KeyNumbers::default(),
            unnamed: Vec::new(),
            is_value: slot.is_value().then_some((start, from)),
        });
    }

    fn number(&mut self, slot: Slot, start: usize) {
        if let Some(found) = self.found_in_number(slot) {
            let (end, kind) = (self.parser.token_end(), Some(found.kind));
            let with = self.sanitizer.placeholder(found.kind, found.of(&self.json[start..end]));
            let with = format!("\"{}\"", with.as_str()).into();
            self.edits.push(Edit { start, end, with, kind });
        }
    }

    /// What the number is that was read last: a card under the key of one. Inside a string it is a
    /// text, of which anything may be found.
    fn found_in_number(&self, slot: Slot) -> Option<Match> {
        if slot.is_allowed() || self.depth == 0 && !slot.may_be_card() {
            return None;
        }
        let number = &self.json[self.parser.token_start()..self.parser.token_end()];
        let mut found = self.sanitizer.matches(number);
        found.find(|found| self.depth > 0 || found.kind == Kind::Card)
    }

    /// Writes `with` in the place of the value that was read last, if that has to go at all.
    fn replace_value(
        &mut self,
        start: usize,
        from: usize,
        with: &'static str,
    ) -> Result<(), Malformed> {
        if matches!(self.json.as_bytes()[start], b'{' | b'[') {
            self.parser.skip_container()?;
        }
        let kind = (with == "\"[REDACTED]\"").then_some(Kind::Key);
        self.replace(start..self.parser.token_end(), from, with, kind);
        Ok(())
    }

    /// Whether a value is the last of its list.
    fn is_last(&self, token: Token) -> Result<bool, Malformed> {
        let mut ahead = self.parser.clone();
        if matches!(token, Token::Open) {
            ahead.skip_container()?;
        }
        Ok(self.json[ahead.token_end()..].trim_start().starts_with(']'))
    }

    fn string(&mut self, string: Quoted, slot: Slot) {
        let raw = &self.json[string.start..string.end];
        let text = decode(raw, string.escaped, &mut self.decoded);
        if self.sanitizer.leaves(slot.place(), text) {
            return;
        }
        if slot.is_name()
            && let Some(level) = self.levels.last_mut()
        {
            level.frame.name(self.sanitizer.secrecy(text));
        }
        let nested = nested(self.sanitizer, text, self.depth + 1, self.counts);
        let Nested { edits, is_json } = nested.unwrap_or_else(|| {
            let edit = |found: Match| {
                let with = self.sanitizer.placeholder(found.kind, found.of(text)).0;
                Edit { start: found.start, end: found.end, with, kind: Some(found.kind) }
            };
            Nested { edits: self.sanitizer.matches(text).map(edit).collect(), is_json: false }
        });
        let mut spot = Spot::new(raw);
        let in_json = |edit: Edit| Edit {
            start: string.start + spot.of(edit.start),
            end: string.start + spot.of(edit.end),
            with: escaped(edit.with),
            kind: edit.kind,
        };
        let mut edits: Vec<_> = edits.into_iter().map(in_json).collect();
        if self.depth > 0 && !is_json {
            self.redact_raw(string, &mut edits);
        }
        self.edits.append(&mut edits);
        if slot.is_name() {
            self.redact_unnamed();
        }
    }

    /// Redacts what matches as it stands in a string that is inside another one. An edit may have text
    /// in it, which is escaped here.
    fn redact_raw(&mut self, string: Quoted, edits: &mut Vec<Edit>) {
        for edit in edits.iter_mut() {
            let (mut raw, mut with) = (Vec::new(), String::new());
            add_raw_matches(self.sanitizer, &edit.with, 0..edit.with.len(), &mut raw);
            apply(&edit.with, &raw, &mut with, self.counts);
            edit.with = with.into();
        }
        if string.escaped {
            add_raw_matches(self.sanitizer, self.json, string.start..string.end, edits);
        }
    }

    /// Redacts the values of an object that came before their name.
    fn redact_unnamed(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        let secrecy = level.frame.secrecy();
        if secrecy == Secrecy::None {
            return;
        }
        for (value, edits) in std::mem::take(&mut level.unnamed).into_iter().rev() {
            let is_number = !self.json[value.clone()].starts_with(['"', '{', '[']);
            if secrecy == Secrecy::Texts && is_number && edits.is_empty() {
                continue;
            }
            let later = self.edits.split_off(edits.end);
            self.replace(value, edits.start, "\"[REDACTED]\"", Some(Kind::Key));
            self.edits.extend(later);
        }
    }

    /// Writes `with` in the place of a value, the edits in which begin with this one.
    fn replace(&mut self, part: Range<usize>, from: usize, with: &'static str, kind: Option<Kind>) {
        let value = &self.json[part.clone()];
        if value == with || matches!(value, "true" | "false" | "null") {
            return;
        }
        self.edits.truncate(from);
        self.edits.push(Edit { start: part.start, end: part.end, with: with.into(), kind });
    }
}

/// The placeholder of a key.
fn numbered(kind: Kind, number: u32) -> Cow<'static, str> {
    let mut with = Cow::Borrowed(kind.placeholder());
    if number > 1 {
        with = String::new().into();
        write_placeholder(kind, number, &mut |piece| with.to_mut().push_str(piece));
    }
    with
}

/// As it stands in a string of JSON.
fn escaped(text: Cow<'static, str>) -> Cow<'static, str> {
    if !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return text;
    }
    let quoted = serde_json::to_string(&text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned().into()
}

/// Appends the string `raw`, which decoded reads `text`, redacted.
pub(super) fn redact_decoded(
    sanitizer: &Sanitizer,
    raw: &str,
    text: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    let (mut spot, mut copied) = (Spot::new(raw), 0);
    for found in sanitizer.matches(text) {
        out.push_str(&raw[copied..spot.of(found.start)]);
        out.push_str(sanitizer.placeholder(found.kind, found.of(text)).as_str());
        copied = spot.of(found.end);
        counts.add(found.kind);
    }
    out.push_str(&raw[copied..]);
}

/// What the inside of a JSON string reads decoded: itself, or in `scratch`.
///
/// A lone surrogate reads as U+FFFD; a backslash that begins no escape sequence as itself.
pub(super) fn decode<'t>(raw: &'t str, escaped: bool, scratch: &'t mut String) -> &'t str {
    if !escaped {
        return raw;
    }
    scratch.clear();
    let mut rest = raw;
    while let Some((c, length)) = first_char(rest) {
        scratch.push(c);
        rest = &rest[length..];
    }
    scratch
}

/// The first character of a string as it reads decoded, and its length in the string as it stands.
fn first_char(raw: &str) -> Option<(char, usize)> {
    let c = raw.chars().next()?;
    let escape = (c == '\\').then(|| escape(raw.as_bytes())).flatten();
    Some(escape.map_or((c, c.len_utf8()), |escape| (escape.stands_for, escape.length)))
}

/// A spot in the inside of a JSON string, found by the same spot in what it reads decoded, so that
/// what stays keeps its escapes.
struct Spot<'t> {
    raw: &'t str,
    at: usize,
    decoded: usize,
}

impl<'t> Spot<'t> {
    fn new(raw: &'t str) -> Self {
        Self { raw, at: 0, decoded: 0 }
    }

    /// Spots are asked for in order.
    fn of(&mut self, decoded: usize) -> usize {
        while self.decoded < decoded {
            let (c, length) =
                first_char(&self.raw[self.at..]).expect("the spot lies in the string");
            self.decoded += c.len_utf8();
            self.at += length;
        }
        self.at
    }
}
