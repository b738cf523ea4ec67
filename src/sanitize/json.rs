//! How is a line that begins as JSON does redacted?

use std::borrow::Cow;
use std::ops::Range;

use super::keys::{Around, KeyClass, KeyNumbers, Pairs, Role, write_placeholder};
use super::parse::{Malformed, Parser, Quoted, Token, escape};
use super::{Kind, LineKind, Match, Place, Redactions, Sanitizer, broken};

/// Containers more than this many levels deep are not written; the outermost is level 1.
const DEPTH_MAX: usize = 128;

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
            redact_broken(sanitizer, &text, out, counts);
        }
        return LineKind::Text;
    }
    if redact_json(sanitizer, line, out, counts).is_ok() {
        return LineKind::Json;
    }
    redact_broken(sanitizer, line, out, counts);
    LineKind::NotQuiteJson
}

fn begins_as_json(line: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || c == '\u{FEFF}';
    line.trim_start_matches(is_blank).starts_with(['{', '[', '"'])
}

/// Redacts a line that does not parse. Losing a value may be what makes it parse: then it is
/// redacted as JSON besides, as a second redaction would.
fn redact_broken(sanitizer: &Sanitizer, line: &str, out: &mut String, counts: &mut Redactions) {
    let mut mended = String::with_capacity(line.len());
    broken::redact(sanitizer, line, &mut mended, counts);
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

/// A string that is itself JSON, redacted as such, so that it stays JSON; `None` where it is none, or
/// nothing in it has to go.
pub(crate) fn redact_nested(
    sanitizer: &Sanitizer,
    text: &str,
    counts: &mut Redactions,
) -> Option<String> {
    let mut keys = Redactions::default();
    let edits = nested(sanitizer, text, 1, &mut keys).filter(|edits| !edits.is_empty())?;
    let mut out = String::with_capacity(text.len());
    apply(text, &edits, &mut out, counts);
    counts.merge(&keys);
    Some(out)
}

/// What has to go of a string that is JSON, `depth` strings deep; `None` where it is none, or where
/// looking at it as text finds as much.
fn nested(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<Vec<Edit>> {
    let may_be = matches!(text.trim_ascii_start().as_bytes().first(), Some(b'{' | b'[' | b'"'));
    if depth > NESTED_MAX || !may_be || !tells_more_as_json(sanitizer, text) {
        return None;
    }
    let before = counts.clone();
    let Ok(edits) = Filter::new(sanitizer, text, depth, counts).edits() else {
        *counts = before;
        return None;
    };
    // As text it may match where as JSON it does not: what an escape sequence spells is no letter
    // there. Between two edits is a text of its own.
    let mut all = Vec::with_capacity(edits.len());
    let mut from = 0;
    for edit in edits {
        add_matches(sanitizer, text, from..edit.start, &mut all);
        from = edit.end;
        all.push(edit);
    }
    add_matches(sanitizer, text, from..text.len(), &mut all);
    Some(all)
}

/// Whether a text that may be JSON has to be looked at as such: it has a key that decides on a value,
/// an escape sequence, or something that a rule finds, and that may be a number.
fn tells_more_as_json(sanitizer: &Sanitizer, text: &str) -> bool {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some() {
        return true;
    }
    let (mut open, mut names) = (None, false);
    let decides = memchr::memchr_iter(b'"', bytes).any(|at| {
        let Some(start) = open.take() else {
            open = Some(at + 1);
            return false;
        };
        let string = &text[start..at];
        let before = bytes[..start - 1].trim_ascii_end().last();
        let is_key = bytes[at + 1..].trim_ascii_start().first() == Some(&b':');
        let is_named = std::mem::take(&mut names) && before == Some(&b':');
        if is_key {
            let class = sanitizer.classify(string, false);
            names = class == KeyClass::Name;
            return matches!(class, KeyClass::Sensitive | KeyClass::Card | KeyClass::Headers);
        }
        // Of a member, or of a pair in a list.
        (is_named || before == Some(&b'[')) && sanitizer.is_name_of_secret(string)
    });
    decides || sanitizer.find(text).is_some()
}

/// Adds what the rules find in this part of a text that is JSON, escape sequences whole.
fn add_matches(sanitizer: &Sanitizer, text: &str, part: Range<usize>, edits: &mut Vec<Edit>) {
    for found in sanitizer.matches(&text[part.clone()]) {
        let start = escape_over(text, part.start + found.start).map_or_else(
            || part.start + found.start,
            |escape| escape.start.max(edits.last().map_or(part.start, |edit| edit.end)),
        );
        let end = escape_over(text, part.start + found.end)
            .map_or(part.start + found.end, |escape| escape.end.min(part.end));
        let with = sanitizer.placeholder(found.kind, found.of(&text[part.clone()])).0;
        edits.push(Edit { start, end, with, kind: Some(found.kind) });
    }
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
    /// What the key before it says about the value that comes.
    class: KeyClass,
    /// Where the value that comes is, if it is under a key or the outermost.
    place: Place,
    /// Scratch.
    decoded: String,
}

struct Level {
    is_list: bool,
    place: Place,
    below_logprobs: bool,
    numbers: KeyNumbers,
    pairs: Pairs,
    /// Of an object: where the value is that a name may yet come for, and the edits in it.
    unnamed: Option<(Range<usize>, Range<usize>)>,
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
            class: KeyClass::Plain,
            place: if depth == 0 { sanitizer.root() } else { Place::default() },
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
        self.class = self.sanitizer.classify(text, level.below_logprobs);
        self.place = self.sanitizer.enter(level.place, text);
        if self.place.is_allowed {
            self.class = KeyClass::Plain;
        }
        if self.sanitizer.leaves(level.place, text) {
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
        let ends = self.edits[from..].iter().map(|edit| edit.start).chain([key.end]);
        let starts = [key.start].into_iter().chain(self.edits[from..].iter().map(|edit| edit.end));
        let mut gaps = starts.zip(ends).map(|(start, end)| &self.json[start..end]);
        let found = gaps.find_map(|gap| self.sanitizer.matches(gap).next());
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
            level.unnamed = Some((start..self.parser.token_end(), from..self.edits.len()));
        }
    }

    fn value(&mut self, token: Token) -> Result<(), Malformed> {
        let (start, from) = (self.parser.token_start(), self.edits.len());
        let class = std::mem::replace(&mut self.class, KeyClass::Plain);
        let around = self.levels.last().map_or(Around::Other, |level| match level.is_list {
            true => Around::List,
            false if class == KeyClass::Headers => Around::Headers,
            false => Around::Other,
        });
        let role = self.levels.last_mut().map_or(Role::Plain, |level| match level.is_list {
            true => level.pairs.element(),
            false => level.pairs.member(class),
        });
        let place = match self.levels.last() {
            Some(level) if level.is_list => level.place,
            _ => self.place,
        };
        let role = if place.is_allowed { Role::Plain } else { role };
        match (role, token) {
            (_, Token::Literal) => {}
            (Role::Secret, _) | (Role::SecretText, Token::String(_)) => {
                if matches!(token, Token::Open) {
                    self.parser.skip_container()?;
                }
                let end = self.parser.token_end();
                self.replace(start..end, from, "\"[REDACTED]\"", Some(Kind::Key));
            }
            (_, Token::String(string)) => self.string(string, role, place),
            (_, Token::Open) if self.levels.len() == DEPTH_MAX => {
                self.parser.skip_container()?;
                self.replace(start..self.parser.token_end(), from, "\"[TOO_DEEP]\"", None);
            }
            (_, Token::Open) => {
                let below = self.levels.last().is_some_and(|level| level.below_logprobs);
                self.levels.push(Level {
                    is_list: self.json.as_bytes()[start] == b'[',
                    place,
                    below_logprobs: below || class == KeyClass::Logprobs,
                    numbers: KeyNumbers::default(),
                    pairs: Pairs::within(around),
                    unnamed: None,
                    is_value: (class == KeyClass::Value).then_some((start, from)),
                });
                return Ok(());
            }
            // Inside a string a number is a text, in which a placeholder would be no JSON.
            (_, Token::Number) if self.depth > 0 || class == KeyClass::Card => {
                let end = self.parser.token_end();
                let mut found = self.sanitizer.matches(&self.json[start..end]);
                let is_meant = |found: &Match| self.depth > 0 || found.kind == Kind::Card;
                if let Some(found) = found.find(is_meant) {
                    let number = found.of(&self.json[start..end]);
                    let with = self.sanitizer.placeholder(found.kind, number);
                    let with = format!("\"{}\"", with.as_str());
                    self.edits.push(Edit { start, end, with: with.into(), kind: Some(found.kind) });
                }
            }
            _ => {}
        }
        if let Some(level) = self.levels.last_mut().filter(|_| class == KeyClass::Value) {
            level.unnamed = Some((start..self.parser.token_end(), from..self.edits.len()));
        }
        Ok(())
    }

    fn string(&mut self, string: Quoted, role: Role, place: Place) {
        let raw = &self.json[string.start..string.end];
        let text = decode(raw, string.escaped, &mut self.decoded);
        if self.sanitizer.leaves(place, text) {
            return;
        }
        if role == Role::Name
            && let Some(level) = self.levels.last_mut()
        {
            level.pairs.is_secret |= self.sanitizer.is_name_of_secret(text);
        }
        let edits = nested(self.sanitizer, text, self.depth + 1, self.counts);
        let edits = edits.unwrap_or_else(|| {
            let mut edits = Vec::new();
            edits.extend(self.sanitizer.matches(text).map(|found| Edit {
                start: found.start,
                end: found.end,
                with: self.sanitizer.placeholder(found.kind, found.of(text)).0,
                kind: Some(found.kind),
            }));
            edits
        });
        let mut spot = Spot::new(raw);
        self.edits.extend(edits.into_iter().map(|edit| {
            let (start, end) =
                (string.start + spot.of(edit.start), string.start + spot.of(edit.end));
            Edit { start, end, with: escaped(edit.with), kind: edit.kind }
        }));
        // The name has come behind the value.
        if let Some(level) = self.levels.last_mut().filter(|level| level.pairs.is_secret)
            && role == Role::Name
            && let Some((value, edits)) = level.unnamed.take()
        {
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

/// As it stands in a string of JSON. What is put into the place of something has no other character
/// that is escaped.
fn escaped(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.contains(['"', '\\']) {
        true => text.replace('\\', "\\\\").replace('"', "\\\"").into(),
        false => text,
    }
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
