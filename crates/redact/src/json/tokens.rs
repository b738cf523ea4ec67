//! Reads the tokens of a text if it is JSON as RFC 8259 defines it.
//!
//! This is a pull parser without recursion. A level of nesting costs one byte, so millions of them
//! are read like any other text. Nothing is decoded, and tokens are places in the text. Half a
//! surrogate pair is an escape sequence like any other, as the RFC allows.

/// A token. Commas and colons are checked on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum JsonToken {
    /// `{` or `[`.
    Open,
    /// `}` or `]`.
    Close,
    Key(Quoted),
    String(Quoted),
    Number,
    /// `true`, `false` or `null`.
    Literal,
}

/// The text between two quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it contains a backslash.
    pub(super) escaped: bool,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct MalformedJson;

#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpectedToken {
    Value,
    /// An item of the container, or its end.
    FirstItem,
    /// A comma, the end of the container, or the end of the text.
    Separator,
}

/// Reads one JSON value and the white space around it.
#[derive(Clone)]
pub(super) struct JsonParser<'t> {
    text: &'t [u8],
    at: usize,
    token_start: usize,
    /// The closing brackets that are still expected.
    closing: Vec<u8>,
    expect: ExpectedToken,
}

impl<'t> JsonParser<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            token_start: 0,
            closing: Vec::new(),
            expect: ExpectedToken::Value,
        }
    }

    /// Makes a parser of the value at `at`, which was read before.
    pub(super) fn at_value(text: &'t str, at: usize) -> Self {
        Self { at, ..Self::new(text) }
    }

    /// Returns the beginning of the last token.
    pub(super) fn token_start(&self) -> usize {
        self.token_start
    }

    /// Returns the end of the last token; after a key, the end of its colon.
    pub(super) fn token_end(&self) -> usize {
        self.at
    }

    /// Returns the next token, or `None` at the end of the text.
    #[inline]
    pub(super) fn next_token(&mut self) -> Result<Option<JsonToken>, MalformedJson> {
        self.skip_space();
        let closing = self.closing.last().copied();
        self.token_start = self.at;
        if closing.is_some() && self.expect != ExpectedToken::Value && self.peek() == closing {
            self.at += 1;
            self.closing.pop();
            self.expect = ExpectedToken::Separator;
            return Ok(Some(JsonToken::Close));
        }
        if self.expect == ExpectedToken::Separator {
            match closing {
                None if self.at == self.text.len() => return Ok(None),
                Some(_) => self.expect_byte(b',')?,
                None => return Err(MalformedJson),
            }
            self.skip_space();
            self.token_start = self.at;
        }
        if self.expect != ExpectedToken::Value && closing == Some(b'}') {
            return self.key().map(Some);
        }
        self.value().map(Some)
    }

    /// Reads the value after a key, unless that is a container.
    #[inline]
    pub(super) fn next_plain_value(&mut self) -> Result<Option<JsonToken>, MalformedJson> {
        self.skip_space();
        self.token_start = self.at;
        match self.peek() {
            Some(b'{' | b'[') => Ok(None),
            _ => self.value().map(Some),
        }
    }

    /// Reads to the end of the container that was opened last.
    pub(super) fn skip_container(&mut self) -> Result<(), MalformedJson> {
        let level = self.closing.len();
        while self.closing.len() >= level {
            self.next_token()?;
        }
        Ok(())
    }

    /// Passes the container that was opened last, of which the end is known.
    pub(super) fn pass_container(&mut self, end: usize) {
        self.at = end;
        self.closing.pop();
        self.expect = ExpectedToken::Separator;
    }

    #[inline]
    fn key(&mut self) -> Result<JsonToken, MalformedJson> {
        let key = self.string()?;
        self.skip_space();
        self.expect_byte(b':')?;
        self.expect = ExpectedToken::Value;
        Ok(JsonToken::Key(key))
    }

    #[inline]
    fn value(&mut self) -> Result<JsonToken, MalformedJson> {
        self.expect = ExpectedToken::Separator;
        match self.peek().ok_or(MalformedJson)? {
            b'{' => Ok(self.open(b'}')),
            b'[' => Ok(self.open(b']')),
            b'"' => self.string().map(JsonToken::String),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn open(&mut self, closing: u8) -> JsonToken {
        self.at += 1;
        self.closing.push(closing);
        self.expect = ExpectedToken::FirstItem;
        JsonToken::Open
    }

    fn literal(&mut self, name: &[u8]) -> Result<JsonToken, MalformedJson> {
        if !self.text[self.at..].starts_with(name) {
            return Err(MalformedJson);
        }
        self.at += name.len();
        Ok(JsonToken::Literal)
    }

    fn number(&mut self) -> Result<JsonToken, MalformedJson> {
        self.skip_if(b"-");
        if !self.skip_if(b"0") {
            self.digits()?;
        }
        if self.skip_if(b".") {
            self.digits()?;
        }
        if self.skip_if(b"eE") {
            self.skip_if(b"+-");
            self.digits()?;
        }
        Ok(JsonToken::Number)
    }

    fn digits(&mut self) -> Result<(), MalformedJson> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(MalformedJson) } else { Ok(()) }
    }

    #[inline]
    fn string(&mut self) -> Result<Quoted, MalformedJson> {
        self.expect_byte(b'"')?;
        let (start, mut escaped) = (self.at, false);
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.peek().ok_or(MalformedJson)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += escape_length(&self.text[self.at..]).ok_or(MalformedJson)?;
                }
                0..0x20 => return Err(MalformedJson),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(Quoted { start, end: self.at - 1, escaped })
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn skip_if(&mut self, any: &[u8]) -> bool {
        let skipped = self.peek().is_some_and(|byte| any.contains(&byte));
        self.at += usize::from(skipped);
        skipped
    }

    #[inline]
    fn expect_byte(&mut self, byte: u8) -> Result<(), MalformedJson> {
        if self.peek() != Some(byte) {
            return Err(MalformedJson);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// Returns how many bytes are before the first quote, backslash or control character. If that is among the last
/// seven bytes, it may return less.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let mut at = plain_words(text, 2);
    if at < 16 {
        return at;
    }
    // The compiler takes vectors for this.
    const BLOCK: usize = 32;
    while let Some(block) = text.get(at..at + BLOCK) {
        let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        if block.iter().fold(false, |any, byte| any | is_special(byte)) {
            break;
        }
        at += BLOCK;
    }
    at + plain_words(&text[at..], usize::MAX)
}

/// Returns the same, of so many words of eight bytes.
#[inline]
fn plain_words(text: &[u8], words_max: usize) -> usize {
    const EACH: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = EACH * 0x80;
    let mut length = 0;
    for word in text.as_chunks::<8>().0.iter().take(words_max) {
        let bytes = u64::from_le_bytes(*word);
        // The highest bit of each byte below a limit. Bytes above the first one of these may have it too.
        let below = |bytes: u64, limit: u64| bytes.wrapping_sub(EACH * limit) & !bytes & HIGH;
        let is = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
        let special = below(bytes, 0x20) | is(b'"') | is(b'\\');
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length
}

/// Returns the length of the escape sequence at the beginning of the text, which is a backslash.
#[inline]
fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        _ => Some(parse_json_escape(text)?.length),
    }
}

/// What an escape sequence spells.
pub(super) struct JsonEscape {
    pub(super) stands_for: char,
    /// In bytes, the backslash included.
    pub(super) length: usize,
    /// Half a surrogate pair, which reads as U+FFFD.
    pub(super) is_half: bool,
}

/// Returns the escape sequence at the beginning of the text, which is a backslash. Returns `None`
/// if JSON has no such sequence.
pub(super) fn parse_json_escape(text: &[u8]) -> Option<JsonEscape> {
    let stands_for = match *text.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{C}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return parse_unicode_escape(text),
        _ => return None,
    };
    Some(JsonEscape { stands_for, length: 2, is_half: false })
}

fn parse_unicode_escape(text: &[u8]) -> Option<JsonEscape> {
    let unit = parse_escaped_code_unit(text)?;
    if let Some(stands_for) = char::from_u32(unit) {
        return Some(JsonEscape { stands_for, length: 6, is_half: false });
    }
    let low = parse_escaped_code_unit(&text[6..])
        .filter(|low| (0xDC00..0xE000).contains(low) && unit < 0xDC00);
    let pair =
        low.and_then(|low| char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
    Some(match pair {
        Some(stands_for) => JsonEscape { stands_for, length: 12, is_half: false },
        None => JsonEscape { stands_for: char::REPLACEMENT_CHARACTER, length: 6, is_half: true },
    })
}

/// Returns the value of `\uXXXX` at the beginning of the text.
fn parse_escaped_code_unit(text: &[u8]) -> Option<u32> {
    text.strip_prefix(b"\\u")?
        .get(..4)?
        .iter()
        .try_fold(0, |unit, &byte| Some(unit << 4 | char::from(byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parses(text: &str) -> bool {
        let mut parser = JsonParser::new(text);
        loop {
            match parser.next_token() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(MalformedJson) => return false,
            }
        }
    }

    #[test]
    fn accepts_json_and_nothing_else() {
        let json = [
            "{}",
            "[]",
            " [ ] ",
            "\"\"",
            "0",
            "-0",
            "-0.5e+10",
            "1E9",
            "true",
            "null",
            "[1,2]",
            "{\"a\":1}",
            "{\"a\":{\"b\":[]},\"a\":null}\r",
            "[[],{}]",
            r#""\"\\\/\b\f\n\r\t\u00e9""#,
            r#""\ud83d\ude42""#,
            "\"\u{7f}\u{2028}\"",
        ];
        let not_json = [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "[}",
            "{]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{1:2}",
            "{\"a\":1 \"b\":2}",
            "1 2",
            "[] []",
            "01",
            "+1",
            ".5",
            "1.",
            "1e",
            "-",
            "0x1",
            "NaN",
            "tru",
            "truee",
            "True",
            "'a'",
            "\"",
            "\"a",
            r#""\""#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            "\"\t\"",
            "\"\0\"",
            "\u{a0}[]",
            "[1\u{a0}]",
            "[]]",
            "{\"a\":[}",
        ];
        for text in json {
            assert!(parses(text), "{text}");
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "{text}");
        }
        // serde_json makes no `char` of half a pair.
        let halves = [r#""\ud800""#, r#""\ud800x""#, r#""\ude42\ud83d""#, r#"["\ud800\n",1]"#];
        for text in halves.into_iter().chain([r#"{"\ud800\ud800":"\uDFAA"}"#]) {
            assert!(parses(text), "{text}");
        }
        for text in not_json {
            assert!(!parses(text), "{text}");
        }
    }

    #[test]
    fn strings_of_any_length_end_where_they_end() {
        for length in 0..200 {
            for (at, sign) in
                (0..length).flat_map(|at| [(at, "\\n"), (at, "\u{e9}"), (at, "\u{1}")])
            {
                let text = "x".repeat(at) + sign + &"y".repeat(length - at);
                assert_eq!(parses(&format!("[\"{text}\",\"\"]")), sign != "\u{1}", "{text:?}");
            }
            for (at, sign) in (0..length).flat_map(|at| ['"', '\\', '\u{1}'].map(|sign| (at, sign)))
            {
                let text = format!("{}{sign}{}", "x".repeat(at), "y".repeat(length - at));
                let plain = plain_length(text.as_bytes());
                assert!(plain == at || plain < at && at + 8 > text.len(), "{plain}: {text:?}");
            }
        }
    }

    #[test]
    fn millions_of_levels_are_read() {
        let levels = 2_000_000;
        let deep = "[".repeat(levels) + &"]".repeat(levels);
        assert!(parses(&deep));
        assert!(!parses(&deep[1..]));
        assert!(!parses(&deep[..deep.len() - 1]));
    }
}
