//! The parts of a JSON line that redaction replaces, and the names that led to them.

use std::borrow::Cow;
use std::ops::Range;

use super::begins_as_json_line;
use super::driver::JsonDriver;
use super::edits::{Edit, apply_edits};
use super::spelling::decode_json_spelling;
use super::tokens::{JsonParser, JsonToken, Quoted};
use crate::keys::KeyClass;
use crate::walk::Secrecy;
use crate::{Redactions, Sanitizer};

/// A part of a line, and what replaces it.
pub(crate) struct ReplacedPart {
    pub(crate) place: Range<usize>,
    pub(crate) with: Cow<'static, str>,
}

/// Returns what is replaced in a line, in order. Returns `None` if `redacted` was not made of it as of
/// JSON.
pub(crate) fn replaced_json_parts(
    sanitizer: &Sanitizer,
    line: &str,
    redacted: &str,
) -> Option<Vec<ReplacedPart>> {
    if !begins_as_json_line(line) {
        return None;
    }
    let json = line.strip_prefix('\u{FEFF}').unwrap_or(line);
    let before = line.len() - json.len();
    let mut counts = Redactions::default();
    let edits = JsonDriver::new(sanitizer, json, 0, &mut counts).find_edits().ok()?;
    let mut again = line[..before].to_owned();
    apply_edits(json, &edits, &mut again, &mut counts);
    let part = |edit: Edit| ReplacedPart {
        place: before + edit.start..before + edit.end,
        with: edit.with,
    };
    (again == redacted).then(|| edits.into_iter().map(part).collect())
}

/// What led to a placeholder in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonCause {
    /// The decoded key of the value, or the text that names it.
    Name(String),
    /// What is in the string that begins here.
    Text { start: usize },
    /// None of these.
    Nothing,
}

/// Returns what led to each placeholder of a JSON line. `places` are the replaced parts, in order.
pub(crate) fn json_causes(
    sanitizer: &Sanitizer,
    line: &str,
    places: &[Range<usize>],
) -> Vec<JsonCause> {
    let mut walk = CauseWalk {
        sanitizer,
        line,
        places,
        levels: Vec::new(),
        key: None,
        causes: Vec::with_capacity(places.len()),
    };
    walk.read();
    walk.causes.resize(places.len(), JsonCause::Nothing);
    walk.causes
}

struct CauseWalk<'a> {
    sanitizer: &'a Sanitizer,
    line: &'a str,
    places: &'a [Range<usize>],
    /// The containers around the token.
    levels: Vec<CauseLevel>,
    /// The key before the token.
    key: Option<Quoted>,
    /// The causes that are known so far.
    causes: Vec<JsonCause>,
}

struct CauseLevel {
    is_list: bool,
    /// The nearest key around its values that names a secret.
    around: Option<Quoted>,
    /// In a list the last text. In an object the text that names the value beside it.
    name: Option<Quoted>,
    /// The placeholders for which a name may still follow.
    unnamed: Vec<usize>,
}

impl CauseWalk<'_> {
    fn read(&mut self) {
        let json = self.line.strip_prefix('\u{FEFF}').unwrap_or(self.line);
        let before = self.line.len() - json.len();
        let mut parser = JsonParser::new(json);
        while let Ok(Some(token)) = parser.next_token() {
            let start = before + parser.token_start();
            match token {
                JsonToken::Key(key) => {
                    self.add_causes_in(start, before + key.end);
                    self.key = Some(moved(key, before));
                }
                JsonToken::Close => drop(self.levels.pop()),
                _ => {
                    let is_whole = self.next_place().is_some_and(|place| place.start == start);
                    if is_whole && matches!(token, JsonToken::Open) {
                        let _ = parser.skip_container();
                    }
                    self.read_value(token, is_whole, start, before + parser.token_end(), before);
                }
            }
        }
    }

    fn next_place(&self) -> Option<&Range<usize>> {
        self.places.get(self.causes.len())
    }

    fn read_value(
        &mut self,
        token: JsonToken,
        is_whole: bool,
        start: usize,
        end: usize,
        before: usize,
    ) {
        let key = self.key.take();
        if is_whole {
            let cause = self.whole_cause(key);
            self.causes.push(cause);
        }
        self.add_causes_in(start, end);
        match token {
            JsonToken::Open if !is_whole => {
                let own = key.filter(|key| self.is_naming(*key));
                self.levels.push(CauseLevel {
                    is_list: self.line.as_bytes()[start] == b'[',
                    around: own.or_else(|| self.levels.last().and_then(|level| level.around)),
                    name: None,
                    unnamed: Vec::new(),
                });
            }
            JsonToken::String(string) if !is_whole => self.read_text(key, moved(string, before)),
            _ => {}
        }
    }

    /// Adds the causes of the placeholders inside a string.
    fn add_causes_in(&mut self, start: usize, end: usize) {
        while self.next_place().is_some_and(|place| place.start < end) {
            self.causes.push(JsonCause::Text { start: start + 1 });
        }
    }

    /// Takes note of a text that may name the value beside it.
    fn read_text(&mut self, key: Option<Quoted>, text: Quoted) {
        let names = match key {
            Some(key) => self.sanitizer.classify(&self.decoded(key)) == KeyClass::Name,
            None => true,
        };
        if !names {
            return;
        }
        let decoded = self.decoded(text);
        let is_secret = self.sanitizer.secrecy(&decoded) != Secrecy::None;
        let Some(level) = self.levels.last_mut() else { return };
        if level.is_list {
            // An option of a command names the argument after it.
            level.name = (is_secret || decoded.starts_with('-')).then_some(text);
        } else if is_secret {
            level.name = Some(text);
            for number in level.unnamed.drain(..) {
                self.causes[number] = JsonCause::Name(decoded.clone());
            }
        }
    }

    /// Returns what led to the placeholder of a whole value under this key.
    fn whole_cause(&mut self, key: Option<Quoted>) -> JsonCause {
        let number = self.causes.len();
        let own = key.filter(|key| self.is_naming(*key));
        let level = self.levels.last();
        let beside = level.and_then(|level| level.name.or(level.around));
        let name = own.or(beside);
        if name.is_none()
            && let Some(level) = self.levels.last_mut()
        {
            level.unnamed.push(number);
        }
        name.or(key).map_or(JsonCause::Nothing, |name| JsonCause::Name(self.decoded(name)))
    }

    fn is_naming(&self, key: Quoted) -> bool {
        let class = self.sanitizer.classify(&self.decoded(key));
        class.is_secret() || matches!(class, KeyClass::Card | KeyClass::Formed(_))
    }

    fn decoded(&self, quoted: Quoted) -> String {
        let raw = &self.line[quoted.start..quoted.end];
        decode_json_spelling(raw, quoted.escaped, &mut String::new()).to_owned()
    }
}

fn moved(quoted: Quoted, by: usize) -> Quoted {
    Quoted { start: quoted.start + by, end: quoted.end + by, ..quoted }
}
