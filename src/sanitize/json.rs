//! How is a line that begins as JSON does redacted?

use super::keys::{KeyClass, KeyNumbers, classify, write_placeholder};
use super::parse::{Malformed, Parser, Quoted, Token, escape};
use super::{Kind, LineKind, Match, Redactions, Sanitizer, broken};

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
    let (start, before) = (out.len(), counts.clone());
    if redact_json(sanitizer, line, out, counts).is_ok() {
        return LineKind::Json;
    }
    out.truncate(start);
    *counts = before;
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
    let (start, before) = (out.len(), counts.clone());
    if redact_json(sanitizer, &mended, out, counts).is_err() {
        *counts = before;
        out.truncate(start);
        out.push_str(&mended);
    }
}

/// Appends the redacted line, or a part of it when it turns out not to be JSON.
fn redact_json(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> Result<(), Malformed> {
    let json = line.strip_prefix('\u{FEFF}').unwrap_or(line);
    out.push_str(&line[..line.len() - json.len()]);
    let mut filter = Filter {
        sanitizer,
        counts,
        json,
        copied: 0,
        out,
        parser: Parser::new(json),
        levels: Vec::new(),
        class: KeyClass::Plain,
        decoded: String::new(),
    };
    while let Some(token) = filter.parser.next()? {
        filter.token(token)?;
    }
    filter.copy_to(json.len());
    Ok(())
}

/// Copies a JSON text and replaces what has to go. What is not replaced keeps its bytes.
struct Filter<'a> {
    sanitizer: &'a Sanitizer,
    counts: &'a mut Redactions,
    json: &'a str,
    /// The text was written up to here.
    copied: usize,
    out: &'a mut String,
    parser: Parser<'a>,
    /// The containers around the token.
    levels: Vec<Level>,
    /// What the key before it says about the value that comes.
    class: KeyClass,
    /// Scratch.
    decoded: String,
}

#[derive(Default)]
struct Level {
    below_logprobs: bool,
    numbers: KeyNumbers,
}

impl Filter<'_> {
    fn token(&mut self, token: Token) -> Result<(), Malformed> {
        if let Token::Key(key) = token {
            self.key(key);
            return Ok(());
        }
        if matches!(token, Token::Close) {
            self.levels.pop();
            return Ok(());
        }
        let start = self.parser.token_start();
        match (std::mem::replace(&mut self.class, KeyClass::Plain), token) {
            (_, Token::Literal) => {}
            (KeyClass::Sensitive, _) => {
                if matches!(token, Token::Open) {
                    self.parser.skip_container()?;
                }
                self.replace_value(start, "\"[REDACTED]\"", Some(Kind::Key));
            }
            (_, Token::String(string)) => self.string(string),
            (_, Token::Open) if self.levels.len() == DEPTH_MAX => {
                self.parser.skip_container()?;
                self.replace_value(start, "\"[TOO_DEEP]\"", None);
            }
            (class, Token::Open) => {
                let below = self.levels.last().is_some_and(|level| level.below_logprobs);
                let below_logprobs = below || class == KeyClass::Logprobs;
                self.levels.push(Level { below_logprobs, ..Level::default() });
            }
            _ => {}
        }
        Ok(())
    }

    fn key(&mut self, key: Quoted) {
        let raw = &self.json[key.start..key.end];
        let text = decode(raw, key.escaped, &mut self.decoded);
        let level = self.levels.last_mut().expect("a key stands in an object");
        self.class = classify(text, level.below_logprobs);
        let mut splice = Splice { raw, at: 0, decoded: 0, copied: 0 };
        self.out.push_str(&self.json[self.copied..key.start]);
        level.numbers.edits(self.sanitizer, text, self.counts, &mut |part, number| {
            splice.replace(part, number, self.out);
        });
        splice.finish(self.out);
        self.copied = key.end;
    }

    fn string(&mut self, string: Quoted) {
        let raw = &self.json[string.start..string.end];
        let text = decode(raw, string.escaped, &mut self.decoded);
        if self.sanitizer.matches(text).next().is_none() {
            return;
        }
        self.out.push_str(&self.json[self.copied..string.start]);
        redact_decoded(self.sanitizer, raw, text, self.out, self.counts);
        self.copied = string.end;
    }

    /// Writes `with` in the place of the value that began at `start` and ends here.
    fn replace_value(&mut self, start: usize, with: &str, kind: Option<Kind>) {
        let end = self.parser.token_end();
        if &self.json[start..end] == with {
            return;
        }
        self.copy_to(start);
        self.out.push_str(with);
        self.copied = end;
        if let Some(kind) = kind {
            self.counts.add(kind);
        }
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(&self.json[self.copied..end]);
        self.copied = end;
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
    let mut splice = Splice { raw, at: 0, decoded: 0, copied: 0 };
    for found in sanitizer.matches(text) {
        splice.replace(found, 1, out);
        counts.add(found.kind);
    }
    splice.finish(out);
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

/// Copies the inside of a JSON string and replaces parts given by their place in what it reads
/// decoded, so that what stays keeps its escapes. Placeholders need none.
struct Splice<'t> {
    raw: &'t str,
    /// A place in `raw`, and the same place in what it reads decoded.
    at: usize,
    decoded: usize,
    copied: usize,
}

impl Splice<'_> {
    fn replace(&mut self, part: Match, number: u32, out: &mut String) {
        self.advance(part.start);
        out.push_str(&self.raw[self.copied..self.at]);
        write_placeholder(part.kind, number, &mut |piece| out.push_str(piece));
        self.advance(part.end);
        self.copied = self.at;
    }

    fn advance(&mut self, decoded: usize) {
        while self.decoded < decoded {
            let (c, length) =
                first_char(&self.raw[self.at..]).expect("the part lies in the string");
            self.decoded += c.len_utf8();
            self.at += length;
        }
    }

    fn finish(self, out: &mut String) {
        out.push_str(&self.raw[self.copied..]);
    }
}
