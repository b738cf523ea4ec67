//! JSON objects and the values in them: a view on simd-json's tape, which is flat.

use std::cell::Cell;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

use crate::error::Error;

/// How deep a text may nest. A deeper one is refused with an error, whatever it holds.
pub const DEPTH_MAX: usize = 1 << 20;

/// A parsed JSON object of any kind.
#[derive(Debug)]
pub struct JsonObject<'a>(Tape<'a>);

impl<'a> JsonObject<'a> {
    /// Parses a text, which is unescaped in place and is scratch space afterwards. `what` names the
    /// text in errors. Half a surrogate pair reads as U+FFFD.
    ///
    /// # Errors
    ///
    /// The bytes are not UTF-8, not JSON or not an object, or nest deeper than [`DEPTH_MAX`]. The
    /// message never quotes the text.
    pub fn parse(text: &'a mut [u8], what: &'static str) -> Result<Self, Error> {
        if simdutf8::basic::from_utf8(text).is_err()
            && let Err(invalid) = std::str::from_utf8(text)
        {
            let at = invalid.valid_up_to() + 1;
            return Err(Error::parse(what, format!("invalid UTF-8 at byte {at}")));
        }
        mend_lone_surrogates(text);
        let tape =
            to_tape(text).map_err(|error| Error::parse(what, describe_json_error(&error)))?;
        match Json::from_nodes(&tape.0) {
            Some(json) if json.is_object() => Ok(Self(tape)),
            _ => Err(Error::parse(what, "it is JSON, but no object")),
        }
    }

    /// An object put together of nodes. There has to be at least the one of the object.
    pub(crate) fn from_nodes(nodes: Vec<Node<'a>>) -> Self {
        Self(Tape(nodes))
    }

    /// An object of these members, none of which is a list or an object.
    pub fn from_members(members: impl IntoIterator<Item = (&'a str, Json<'a>)>) -> Self {
        let members = members.into_iter();
        let mut nodes = Vec::with_capacity(1 + 2 * members.size_hint().0);
        nodes.push(Node::Object { len: 0, count: 0 });
        for (name, value) in members {
            nodes.extend([Node::String(name), value.first]);
        }
        let count = nodes.len() - 1;
        nodes[0] = Node::Object { len: count / 2, count };
        Self(Tape(nodes))
    }

    /// The nodes, the first of which is the object's.
    pub(crate) fn nodes(&self) -> &[Node<'a>] {
        &self.0.0
    }

    /// The members, and where the value of each is among the nodes: after its name.
    pub(crate) fn member_places(&self) -> impl Iterator<Item = (&str, usize, Json<'_>)> {
        let mut members = self.json().members();
        std::iter::from_fn(move || {
            let place = self.nodes().len() - members.rest.len() + 1;
            members.next().map(|(name, value)| (name, place, value))
        })
    }

    /// The value at such a place.
    pub(crate) fn value_at(&self, place: usize) -> Option<Json<'_>> {
        Json::from_nodes(self.nodes().get(place..)?)
    }

    /// Whether a number may be one that a 64-bit integer or float does not hold, if it is spelled so.
    pub(crate) fn has_huge_number(&self) -> bool {
        const HUGE: f64 = (1_u64 << 63) as f64;
        let is_huge = |node: &Node<'_>| matches!(node, Node::Static(StaticNode::F64(number)) if number.abs() >= HUGE);
        self.nodes().iter().any(is_huge)
    }

    /// The object as a value.
    pub fn json(&self) -> Json<'_> {
        Json::from_nodes(&self.0.0).expect("parse saw an object")
    }
}

/// A line of up to so many bytes is parsed with memory that the thread keeps.
const KEPT_BYTES_MAX: usize = 64 << 10;

fn to_tape(text: &mut [u8]) -> simd_json::Result<Tape<'_>> {
    thread_local! {
        static KEPT: Cell<Option<Buffers>> = const { Cell::new(None) };
    }
    let is_kept = text.len() <= KEPT_BYTES_MAX;
    // At the end of a thread nothing is kept.
    let kept = if is_kept { KEPT.try_with(Cell::take).ok().flatten() } else { None };
    let mut buffers = kept.unwrap_or_else(|| Buffers::with_max_depth(text.len(), DEPTH_MAX));
    let tape = simd_json::to_tape_with_buffers(text, &mut buffers);
    if is_kept {
        let _ended = KEPT.try_with(|kept| kept.set(Some(buffers)));
    }
    tape
}

/// Writes U+FFFD in the place of every escape sequence that is half a surrogate pair. JavaScript and
/// Python write such halves, and the RFC allows them, but simd-json refuses them.
fn mend_lone_surrogates(text: &mut [u8]) {
    let mut at = 0;
    while let Some(ahead) = memchr::memchr(b'\\', &text[at..]) {
        at += ahead;
        let is_high = |unit: u32| (0xD800..0xDC00).contains(&unit);
        let is_low = |unit: u32| (0xDC00..0xE000).contains(&unit);
        at += match (escaped_code_unit(text, at), escaped_code_unit(text, at + 6)) {
            (Some(high), Some(low)) if is_high(high) && is_low(low) => 12,
            (Some(half), _) if is_high(half) || is_low(half) => {
                text[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            (Some(_), _) => 6,
            // The character after it is escaped, and may be a backslash.
            (None, _) => 2,
        };
        at = at.min(text.len());
    }
}

/// The value of `\uXXXX` at this place.
fn escaped_code_unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// simd-json's error in words, without the character it quotes.
fn describe_json_error(error: &simd_json::Error) -> String {
    let what = match error.error() {
        ErrorType::DepthLimitExceeded => "nested too deep",
        ErrorType::InvalidNumber | ErrorType::InvalidExponent | ErrorType::ExpectedNumber => {
            "invalid number"
        }
        ErrorType::InvalidEscape
        | ErrorType::InvalidUnicodeEscape
        | ErrorType::InvalidUnicodeCodepoint => "invalid escape in a string",
        ErrorType::UnterminatedString => "a string that does not end, or a raw control character",
        ErrorType::TrailingData => "more than one value",
        ErrorType::Eof | ErrorType::NoStructure => "no JSON",
        _ => "not JSON",
    };
    // Errors of the first pass over the line carry no place.
    match error.index() {
        0 => what.to_owned(),
        index => format!("{what} at byte {}", index + 1),
    }
}

/// A JSON value inside an [`JsonObject`] or a [`Line`](crate::Line).
///
/// It borrows the line and costs nothing to copy. Every look-up walks the flat tape, stepping over
/// nested values without entering them, so that no depth of nesting can exhaust the stack.
/// Only serializing is recursive, as deep as the serializer asks.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    /// What the value is.
    first: Node<'a>,
    /// The nodes in it, of an object or array.
    inside: &'a [Node<'a>],
}

impl<'a> Json<'a> {
    /// The value of one node that is no object and no array.
    #[inline]
    pub(crate) fn from_node(node: Node<'a>) -> Self {
        Self { first: node, inside: &[] }
    }

    /// The value of a string without escapes or of a number from 0, as it is spelled.
    pub(crate) fn from_spelled(text: &'a [u8]) -> Option<Self> {
        node_of_spelled(text).map(Self::from_node)
    }

    /// The value that begins `nodes`.
    fn from_nodes(nodes: &'a [Node<'a>]) -> Option<Self> {
        let (first, inside) = nodes.split_first()?;
        Some(Self { first: *first, inside: inside.get(..count_inside(first))? })
    }

    /// The member of this name, of an object. If there are several, it is the last one, as in most
    /// parsers.
    pub fn get(self, name: &str) -> Option<Json<'a>> {
        // Values are made of nothing but the member that is found: a provider's usage is asked for a hundred names.
        let (nodes, mut at, mut found) = (self.members().rest, 0, None);
        while let Some([Node::String(member), value]) = nodes.get(at..at + 2) {
            if member.len() == name.len() && *member == name {
                found = Some(at + 1);
            }
            at += 2 + count_inside(value);
        }
        Json::from_nodes(&nodes[found?..])
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(self) -> Members<'a> {
        let rest = if self.is_object() { self.inside } else { &[] };
        Members { rest }
    }

    /// The elements of an array in their order; nothing for any other value.
    pub fn items(self) -> Items<'a> {
        let rest = if self.is_array() { self.inside } else { &[] };
        Items { rest }
    }

    /// All texts in it, however deep, and the names of members.
    pub fn texts(self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.first).chain(self.inside.iter().copied()).filter_map(|node| match node
        {
            Node::String(text) => Some(text),
            _ => None,
        })
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        match self.first {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number from 0, written without fraction or exponent.
    pub fn as_u64(self) -> Option<u64> {
        match self.first {
            Node::Static(StaticNode::U64(n)) => Some(n),
            Node::Static(StaticNode::I64(n)) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    /// Any number, as the nearest `f64`.
    pub fn as_f64(self) -> Option<f64> {
        match self.first {
            Node::Static(StaticNode::U64(n)) => Some(n as f64),
            Node::Static(StaticNode::I64(n)) => Some(n as f64),
            Node::Static(StaticNode::F64(n)) => Some(n),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.first {
            Node::Static(StaticNode::Bool(b)) => Some(b),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.first, Node::Static(StaticNode::Null))
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.first, Node::Object { .. })
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.first, Node::Array { .. })
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::from_node(Node::String(text))
    }
}

/// Makes values of what a node holds.
macro_rules! from_static {
    ($($of:ty => $node:ident),*) => {
        $(impl From<$of> for Json<'_> {
            fn from(value: $of) -> Self {
                Self::from_node(Node::Static(StaticNode::$node(value)))
            }
        })*
    };
}

from_static!(bool => Bool, u64 => U64, f64 => F64);

/// Returns how many nodes are in the value that begins with this one.
#[inline]
fn count_inside(first: &Node<'_>) -> usize {
    match first {
        Node::Object { count, .. } | Node::Array { count, .. } => *count,
        Node::String(_) | Node::Static(_) => 0,
    }
}

/// A string without escapes, or a number from 0.
pub(crate) fn node_of_spelled(text: &[u8]) -> Option<Node<'_>> {
    if let Some(content) = unquoted(text) {
        return std::str::from_utf8(content).ok().map(Node::String);
    }
    let number = std::str::from_utf8(text).ok()?;
    Some(Node::Static(match number.contains('.') {
        true => StaticNode::F64(number.parse().ok()?),
        false => StaticNode::U64(number.parse().ok()?),
    }))
}

/// The bytes before the quote that ends a string, or all if there is none. `text` begins after the first quote.
pub fn string_before_quote(text: &[u8]) -> &[u8] {
    let mut end = 0;
    loop {
        match quote_or_backslash(&text[end..]) {
            Some(at) if text[end + at] == b'"' => return &text[..end + at],
            Some(at) => end = (end + at + 2).min(text.len()),
            None => return text,
        }
    }
}

/// Finds the first quote or backslash. Most names and many texts are shorter than a search by vectors pays for.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = EACH * 0x80;
    const WORDS_MAX: usize = 4;
    let words = text.as_chunks::<8>().0;
    for (number, word) in words.iter().take(WORDS_MAX).enumerate() {
        let bytes = u64::from_le_bytes(*word);
        // The highest bit of each such byte. Bytes above the first one may have it too.
        let is = |byte: u8| {
            let zero = bytes ^ (EACH * u64::from(byte));
            zero.wrapping_sub(EACH) & !zero & HIGH
        };
        let found = is(b'"') | is(b'\\');
        if found != 0 {
            return Some(8 * number + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = 8 * words.len().min(WORDS_MAX);
    memchr::memchr2(b'"', b'\\', &text[passed..]).map(|at| passed + at)
}

/// The content of a string without escapes.
#[inline]
pub(crate) fn unquoted(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.first {
            Node::String(text) => serializer.serialize_str(text),
            Node::Static(StaticNode::Null) => serializer.serialize_unit(),
            Node::Static(StaticNode::Bool(b)) => serializer.serialize_bool(b),
            Node::Static(StaticNode::U64(n)) => serializer.serialize_u64(n),
            Node::Static(StaticNode::I64(n)) => serializer.serialize_i64(n),
            Node::Static(StaticNode::F64(n)) => serializer.serialize_f64(n),
            Node::Array { len, .. } => {
                let mut seq = serializer.serialize_seq(Some(len))?;
                self.items().try_for_each(|item| seq.serialize_element(&item))?;
                seq.end()
            }
            Node::Object { len, .. } => {
                let mut map = serializer.serialize_map(Some(len))?;
                self.members().try_for_each(|(name, value)| map.serialize_entry(name, &value))?;
                map.end()
            }
        }
    }
}

/// The members of an object: [`Json::members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a [Node<'a>],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.rest.split_first()?;
        let Node::String(name) = name else { return None };
        let value = Json::from_nodes(rest)?;
        self.rest = &rest[value.inside.len() + 1..];
        Some((name, value))
    }
}

/// The elements of an array: [`Json::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [Node<'a>],
}

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = Json::from_nodes(self.rest)?;
        self.rest = &self.rest[value.inside.len() + 1..];
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn serializes_to_what_it_was_parsed_from() {
        let cases = [
            r#"{"a":[],"b":{},"c":[{"d":[1,-2,3.5,true,false,null,"x"]},[[]]],"e":"\u0001\"\\é😀"}"#,
            r#"{}"#,
            r#"{"":{"":""},"n":18446744073709551615,"m":-9223372036854775808}"#,
        ];
        for case in cases {
            let mut bytes = case.as_bytes().to_vec();
            let line = parse(&mut bytes).unwrap();
            let again = serde_json::to_string(&line.json()).unwrap();
            let expected: serde_json::Value = serde_json::from_str(case).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap(), expected);
        }
    }

    #[test]
    fn a_string_ends_at_its_first_quote_without_a_backslash() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let letters = b"abcdefghijkl\xC3\xA2\xC2";
            let mut text: Vec<u8> =
                (0..rng.usize(..90)).map(|_| letters[rng.usize(..letters.len())]).collect();
            for _ in 0..rng.usize(..3) {
                let at = rng.usize(..=text.len());
                text.insert(at, if rng.bool() { b'"' } else { b'\\' });
            }
            let mut end = 0;
            while end < text.len() && text[end] != b'"' {
                end += if text[end] == b'\\' { 2 } else { 1 };
            }
            assert_eq!(string_before_quote(&text), &text[..end.min(text.len())], "{text:?}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_reads_as_the_replacement_character() {
        let cases = [
            (r#"{"a":"cut \ud83d"}"#, "cut \u{FFFD}"),
            (r#"{"a":"\ud83d\ude42 \uDE42\uD83D"}"#, "\u{1F642} \u{FFFD}\u{FFFD}"),
            (r#"{"a":"\ud83d\ud83d\ude42\n"}"#, "\u{FFFD}\u{1F642}\n"),
            (r#"{"a":"\\ud83d \\\ud83d"}"#, "\\ud83d \\\u{FFFD}"),
            (r#"{"a":"\u00e9\ud83dx"}"#, "\u{e9}\u{FFFD}x"),
        ];
        for (case, text) in cases {
            let mut bytes = case.as_bytes().to_vec();
            let line = parse(&mut bytes).unwrap();
            assert_eq!(line.json().get("a").and_then(|a| a.as_str()), Some(text), "{case}");
        }
        for broken in [r#"{"a":"\ud8"#, r#"{"a":"\ud83"}"#, "{\"a\":\"\\"] {
            let mut bytes = broken.as_bytes().to_vec();
            assert!(parse(&mut bytes).is_err(), "{broken}");
        }
    }

    #[test]
    fn members_make_the_object_that_their_text_is() {
        let members =
            [("n", Json::from(7_u64)), ("t", "é\"".into()), ("f", 0.5.into()), ("b", true.into())];
        for length in 0..=members.len() {
            let object = JsonObject::from_members(members.into_iter().take(length));
            let mut text = serde_json::to_vec(&object.json()).unwrap();
            let parsed = JsonObject::parse(&mut text, "object").unwrap();
            assert_eq!(parsed.nodes(), object.nodes());
        }
        assert_eq!(
            JsonObject::from_members(members).json().get("t").unwrap().as_str(),
            Some("é\"")
        );
    }

    struct ParsesAtThreadsEnd(std::sync::mpsc::Sender<bool>);

    impl Drop for ParsesAtThreadsEnd {
        fn drop(&mut self) {
            self.0.send(JsonObject::parse(&mut br#"{"a":1}"#.to_vec(), "object").is_ok()).unwrap();
        }
    }

    #[test]
    fn parses_while_the_storage_of_the_thread_is_torn_down() {
        thread_local! {
            static BEFORE: Cell<Option<ParsesAtThreadsEnd>> = const { Cell::new(None) };
        }
        let (send, seen) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // What was stored first is dropped last.
            BEFORE.set(Some(ParsesAtThreadsEnd(send)));
            JsonObject::parse(&mut b"{}".to_vec(), "object").unwrap();
        });
        // A panic in such a destructor would have aborted the process.
        thread.join().unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn looks_up_without_entering() {
        let mut bytes = br#"{"deep":[[{"name":1}]],"name":2,"list":[7,"8",[9]],"name":3}"#.to_vec();
        let line = parse(&mut bytes).unwrap();
        let json = line.json();
        assert_eq!(json.get("name").and_then(|n| n.as_u64()), Some(3), "the last one counts");
        assert!(json.get("missing").is_none());
        assert_eq!(json.members().count(), 4);
        let list = json.get("list").unwrap();
        let items: Vec<_> = list.items().collect();
        assert_eq!((items[0].as_u64(), items[1].as_str()), (Some(7), Some("8")));
        assert!(items[2].is_array() && items.len() == 3);
        assert!(items[0].get("name").is_none() && items[0].members().next().is_none());
        assert!(list.members().next().is_none(), "an array has no members");
    }
}
