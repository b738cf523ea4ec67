//! Random values for the differential test, drawn from bytes.
//!
//! The ordinary test draws the bytes from a seed, the fuzz target takes those of its input.

use std::fmt::{self, Write};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Choices, made by bytes. When they are used up, every choice is the first one.
pub struct Draws<'a>(pub &'a [u8]);

impl Draws<'_> {
    /// A number from 0 up to `count`, exclusive; `count` is at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % count
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A value as JSON has it; objects keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    /// An object of one member, serialized as a variant of an enum.
    Variant(&'static str, Box<Tree>),
}

/// Names of keys, by what they say about their values.
pub const SENSITIVE: [&str; 22] = [
    "password",
    "Secret",
    "TOKEN",
    "token",
    "api_key",
    "apiKey",
    "Authorization",
    "Set-Cookie",
    "DB_PASSWORD",
    "PGPASSWORD",
    "client.secret",
    "cvv",
    "to\u{212A}en",
    "pass\u{200B}word",
    "ａｐｉ_ｋｅｙ",
    "access_tokens",
    "smtp_pass",
    "password_hash",
    "x-amz-security-token",
    "bottoken",
    "session_tokens",
    "credentials",
];
const CARDS: [&str; 5] = ["card", "card_number", "pan", "ccNumber", "credit-card"];
const NAMES: [&str; 5] = ["name", "Name", "key", "header", "field"];
const VALUES: [&str; 4] = ["value", "Value", "values", "current"];
/// Names of keys that say something about the values beside theirs.
const FLAGS: [&str; 3] = ["sensitive", "secret", "kind"];
const OTHERS: [&str; 38] = [
    "a",
    "note",
    "logprobs",
    "top_logprobs",
    "content",
    "redactions",
    "rawHeaders",
    "raw_headers",
    "headers",
    "data",
    "tokens",
    "max_tokens",
    "next_token",
    "public_key",
    "number",
    "type",
    "ana@example.org",
    "bo@example.org",
    "[REDACTED_email]",
    "",
    "a \"quoted\" \\ key",
    "5500000000000004",
    "type",
    "properties",
    "default",
    "anyOf",
    "description",
    "labels",
    "id",
    "text",
    "secretName",
    "valueFrom",
    "version",
    "prompt_token",
    // Beside `token`, these make it a word of a model.
    "logprob",
    "sensitive",
    "kind",
    "stringData",
];

/// What texts are made of.
const TEXTS: [&str; 37] = [
    "plain",
    "",
    "Authorization",
    "password",
    "token",
    "Cookie",
    "X-Api-Key",
    "Host",
    "reset password",
    "ana@example.org",
    "5500 0000 0000 0004",
    "5500000000000004",
    "AKIA0123456789ABCDEF",
    "password=hunter2hunter",
    "Authorization: Bearer abcdefgh12345678",
    "[REDACTED]",
    "[REDACTED_email]",
    "tab\tand \"quote\" and \\ ana@example.org\n",
    "é@x.yz",
    "it's",
    "[INST] hi",
    "{not json",
    "{\"password\": \"x\", oops",
    "\u{1F642}",
    "string",
    "token",
    "omit",
    "--token",
    "--password",
    "--verbose",
    "-v",
    "q7RmT2xWc9Lk4ZpB",
    "Such as q7RmT2xWc9Lk4ZpB, for (ana@example.org)",
    "^[a-z]{8}$",
    "#/$defs/Pet",
    "orders-db-2",
    "Secret",
];
const TYPES: [&str; 6] = ["string", "object", "OBJECT", "apiKey", "plain", "token"];
const KEYWORDS: [&str; 20] = [
    "properties",
    "$defs",
    "anyOf",
    "items",
    "default",
    "example",
    "examples",
    "enum",
    "const",
    "description",
    "title",
    "pattern",
    "$ref",
    "minLength",
    "discriminator",
    "flows",
    "required",
    "name",
    "x-more",
    "value",
];
/// Members that say something about others of their object.
const SIGNS: [&str; 4] = ["id", "text", "type", "logprob"];

/// A value, and what its texts are marked with.
pub struct Drawn {
    pub tree: Tree,
    marks: usize,
    has_json_in_texts: bool,
}

/// Begins every mark: a text that no rule finds, and that is nowhere else.
pub const MARK: &str = "zqmark";

impl Drawn {
    /// Draws a value; `has_json_in_texts` says whether a text may hold another one.
    pub fn new(draws: &mut Draws<'_>, has_json_in_texts: bool) -> Self {
        let mut drawn = Self { tree: Tree::Null, marks: 0, has_json_in_texts };
        let members = drawn.members(draws, 4);
        drawn.tree = Tree::Object(members);
        drawn
    }

    /// The marks, each a word of its own.
    pub fn marks(&self) -> impl Iterator<Item = String> {
        (0..self.marks).map(|mark| format!("{MARK}{mark}z"))
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("{MARK}{}z", self.marks - 1)
    }

    fn value(&mut self, draws: &mut Draws<'_>, depth: usize) -> Tree {
        match draws.below(if depth == 0 { 8 } else { 16 }) {
            0 => Tree::Null,
            1 => Tree::Bool(draws.below(2) == 0),
            2 => number(draws),
            3..=5 => Tree::Text(self.mark()),
            6 => Tree::Text(draws.pick(&TEXTS).to_owned()),
            7 => Tree::Text(draws.pick(&SENSITIVE).to_owned()),
            8 => Tree::List(self.items(draws, depth - 1)),
            9 => self.pairs(draws, depth - 1),
            10 => self.named(draws, depth - 1),
            11 => Tree::Variant(variant(draws), Box::new(self.value(draws, depth - 1))),
            12 | 13 if depth > 1 && self.has_json_in_texts => {
                let inner = self.value(draws, depth - 2);
                let mut text = String::new();
                inner.write_json(&mut text, &mut |_| false);
                Tree::Text(text)
            }
            13 if draws.below(2) == 0 => self.schema(draws, depth - 1),
            _ => Tree::Object(self.members(draws, depth - 1)),
        }
    }

    /// An object of keywords under a name, or nearly one.
    fn schema(&mut self, draws: &mut Draws<'_>, depth: usize) -> Tree {
        let mut members = vec![("type".to_owned(), Tree::Text(draws.pick(&TYPES).to_owned()))];
        for _ in 0..draws.below(4) {
            let key = draws.pick(&KEYWORDS);
            let is_map = matches!(key, "properties" | "$defs") && depth > 0;
            let value = match draws.below(3) {
                _ if is_map => {
                    Tree::Object(vec![(self::key(draws).to_owned(), self.schema(draws, depth - 1))])
                }
                0 if depth > 0 => self.schema(draws, depth - 1),
                _ => self.value(draws, depth),
            };
            members.push((key.to_owned(), value));
        }
        let mut seen = std::collections::HashSet::new();
        members.retain(|(key, _)| seen.insert(key.clone()));
        Tree::Object(vec![(draws.pick(&SENSITIVE).to_owned(), Tree::Object(members))])
    }

    fn items(&mut self, draws: &mut Draws<'_>, depth: usize) -> Vec<Tree> {
        (0..draws.below(5)).map(|_| self.value(draws, depth)).collect()
    }

    /// A list of lists, most of them a name and a value.
    fn pairs(&mut self, draws: &mut Draws<'_>, depth: usize) -> Tree {
        let mut pair = |_| {
            let name = Tree::Text(self.name(draws));
            let mut items = vec![name, self.value(draws, depth)];
            items.extend((draws.below(6) == 0).then(|| self.value(draws, depth)));
            Tree::List(items)
        };
        Tree::List((0..2).map(&mut pair).collect())
    }

    /// An object with a name and a value, or a list of headers under its key.
    fn named(&mut self, draws: &mut Draws<'_>, depth: usize) -> Tree {
        if draws.below(3) == 0 {
            let mut items = Vec::new();
            for _ in 0..draws.below(3) {
                items.push(Tree::Text(self.name(draws)));
                items.push(self.value(draws, depth));
            }
            return Tree::Object(vec![("rawHeaders".to_owned(), Tree::List(items))]);
        }
        let (name, value) = (draws.pick(&NAMES), draws.pick(&VALUES));
        let name = (name.to_owned(), Tree::Text(self.name(draws)));
        let value = (value.to_owned(), self.value(draws, depth));
        Tree::Object(vec![name, value])
    }

    fn name(&mut self, draws: &mut Draws<'_>) -> String {
        match draws.below(3) {
            0 => self.mark(),
            1 => draws.pick(&TEXTS).to_owned(),
            _ => draws.pick(&SENSITIVE).to_owned(),
        }
    }

    /// Members of an object. Names come before what they name: a serializer cannot look back.
    fn members(&mut self, draws: &mut Draws<'_>, depth: usize) -> Vec<(String, Tree)> {
        let mut members: Vec<(String, Tree)> = (0..draws.below(5))
            .map(|_| (key(draws).to_owned(), self.value(draws, depth)))
            .collect();
        let is_first = |key: &str| {
            NAMES.iter().chain(&FLAGS).any(|name| key.eq_ignore_ascii_case(name))
                || SIGNS.contains(&key)
        };
        members.sort_by_key(|(key, _)| !is_first(key));
        let mut seen = std::collections::HashSet::new();
        members.retain(|(key, _)| seen.insert(key.clone()));
        members
    }
}

fn key(draws: &mut Draws<'_>) -> &'static str {
    match draws.below(8) {
        0 | 1 => draws.pick(&SENSITIVE),
        2 => draws.pick(&CARDS),
        3 => draws.pick(&NAMES),
        4 => draws.pick(&VALUES),
        _ => draws.pick(&OTHERS),
    }
}

fn variant(draws: &mut Draws<'_>) -> &'static str {
    draws.pick(&[
        "Plain",
        "Card",
        "Password",
        "logprobs",
        "redactions",
        "rawHeaders",
        "value",
        "name",
    ])
}

fn number(draws: &mut Draws<'_>) -> Tree {
    match draws.below(8) {
        0 => Tree::Unsigned(17),
        1 | 2 => Tree::Unsigned(5_500_000_000_000_004),
        3 => Tree::Unsigned(378_282_246_310_005),
        4 => Tree::Negative(-5_500_000_000_000_004),
        5 => Tree::Float(0.5),
        6 => Tree::Float(5_500_000_000_000_004.0),
        _ => Tree::Float(1e20),
    }
}

impl Tree {
    /// Writes the value as JSON, with those characters as escape sequences for which `escapes` says so.
    pub fn write_json(&self, out: &mut String, escapes: &mut dyn FnMut(char) -> bool) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => write!(out, "{value}").expect("a String takes all"),
            Self::Unsigned(value) => write!(out, "{value}").expect("a String takes all"),
            Self::Negative(value) => write!(out, "{value}").expect("a String takes all"),
            Self::Float(value) => write!(out, "{value:?}").expect("a String takes all"),
            Self::Text(text) => write_text(text, out, escapes),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.write_json(out, escapes);
                }
                out.push(']');
            }
            Self::Object(members) => {
                write_object(
                    members.iter().map(|(key, value)| (key.as_str(), value)),
                    out,
                    escapes,
                );
            }
            Self::Variant(name, value) => {
                write_object([(*name, &**value)].into_iter(), out, escapes)
            }
        }
    }
}

fn write_object<'t>(
    members: impl Iterator<Item = (&'t str, &'t Tree)>,
    out: &mut String,
    escapes: &mut dyn FnMut(char) -> bool,
) {
    out.push('{');
    for (at, (key, value)) in members.enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        write_text(key, out, escapes);
        out.push(':');
        value.write_json(out, escapes);
    }
    out.push('}');
}

fn write_text(text: &str, out: &mut String, escapes: &mut dyn FnMut(char) -> bool) {
    out.push('"');
    for c in text.chars() {
        if c < ' ' || escapes(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String takes all");
            }
        } else {
            out.push_str(if matches!(c, '"' | '\\') { "\\" } else { "" });
            out.push(c);
        }
    }
    out.push('"');
}

/// As a program's `Debug` shows it: objects as structures if their keys allow it, pairs as tuples.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Shown(self), f)
    }
}

struct Shown<'t>(&'t Tree);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Tree::Null => f.write_str("None"),
            Tree::Bool(value) => fmt::Debug::fmt(value, f),
            Tree::Unsigned(value) => fmt::Debug::fmt(value, f),
            Tree::Negative(value) => fmt::Debug::fmt(value, f),
            Tree::Float(value) => fmt::Debug::fmt(value, f),
            Tree::Text(text) if text.len() % 2 == 0 => f.debug_tuple("Some").field(text).finish(),
            Tree::Text(text) => fmt::Debug::fmt(text, f),
            Tree::List(items) if items.len() == 2 => {
                f.debug_tuple("").field(&Shown(&items[0])).field(&Shown(&items[1])).finish()
            }
            Tree::List(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
            Tree::Object(members) => {
                let is_name = |(key, _): &(String, Tree)| {
                    static_key(key).is_some_and(|key| key.bytes().all(|b| b.is_ascii_lowercase()))
                };
                if members.iter().all(is_name) {
                    let mut shown = f.debug_struct("Inner");
                    members.iter().for_each(|(key, value)| {
                        shown.field(key, &Shown(value));
                    });
                    return shown.finish();
                }
                let members = members.iter().map(|(key, value)| (key, Shown(value)));
                f.debug_map().entries(members).finish()
            }
            Tree::Variant(name, value) => f.debug_map().entry(name, &Shown(value)).finish(),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Negative(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Variant(name, value) => serialize_variant(name, value, serializer),
        }
    }
}

fn serialize_variant<S: Serializer>(
    name: &'static str,
    value: &Tree,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::{SerializeStructVariant, SerializeTupleVariant};
    match value {
        Tree::List(items) => {
            let mut list = serializer.serialize_tuple_variant("Enum", 0, name, items.len())?;
            items.iter().try_for_each(|item| list.serialize_field(item))?;
            list.end()
        }
        // The names of a variant's fields are those of the program. Before a serializer knows them,
        // it has to decide about the value under the name of the variant.
        Tree::Object(members)
            if members.iter().all(|(key, _)| {
                let excuses = KEYWORDS.iter().chain(&["secretName", "valueFrom"]);
                static_key(key).is_some()
                    && (name != "Password" || excuses.into_iter().all(|excuse| excuse != key))
            }) =>
        {
            let mut map = serializer.serialize_struct_variant("Enum", 0, name, members.len())?;
            members.iter().try_for_each(|(key, value)| {
                map.serialize_field(static_key(key).unwrap_or_default(), value)
            })?;
            map.end()
        }
        value => serializer.serialize_newtype_variant("Enum", 0, name, value),
    }
}

fn static_key(key: &str) -> Option<&'static str> {
    let keys = SENSITIVE.iter().chain(&CARDS).chain(&NAMES).chain(&VALUES).chain(&OTHERS);
    let keys = keys.chain(&KEYWORDS);
    keys.copied().find(|one| *one == key)
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Negative(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// A line's `data`, in order.
pub fn data_of(line: &str) -> Tree {
    let tree = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let Tree::Object(members) = tree else { panic!("no object: {line}") };
    let data = members.into_iter().find(|(key, _)| key == "data");
    data.unwrap_or_else(|| panic!("no data: {line}")).1
}
