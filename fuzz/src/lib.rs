//! Inputs of the targets: texts that match a rule or nearly do, and JSON of them.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde::Serialize;

/// Pieces that match a rule, that would match beside another piece, or that look like redactions.
const FRAGMENTS: [&str; 27] = [
    "ana.lopez@mail.example",
    "a@b.cd",
    "a@b.c",
    "@",
    "user@",
    "@host.com",
    "4111 1111 1111 1111",
    "4111111111111111",
    "4111-1111-",
    "1111",
    "\u{664}\u{661}\u{661}\u{661}",
    "\u{1c}",
    "eyJhbGciOi.eyJzdWIi.c2ln",
    "eyJ",
    "eyJa.",
    ".x",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIA",
    "AKIAIOSFODNN7",
    "[REDACTED]",
    "[REDACTED_email]",
    "[REDACTED_",
    "]",
    "\\",
    "\"",
    "\u{200d}",
    "\u{e9}",
];

/// Deeper values are drawn as `null`; the depth limit has tests of its own.
const DEPTH_MAX: usize = 24;

/// A text of fragments and of anything at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Text(pub String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::new();
        for _ in 0..input.int_in_range(0..=8)? {
            if input.ratio(2, 3)? {
                text.push_str(input.choose(&FRAGMENTS)?);
            } else {
                text.push_str(<&str>::arbitrary(input)?);
            }
        }
        Ok(Self(text))
    }
}

/// Any JSON value whose objects hold no key twice.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number that JSON can say.
    Float(f64),
    /// A string.
    Text(Text),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(BTreeMap<Text, Json>),
}

impl<'a> Arbitrary<'a> for Json {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        json(input, 0)
    }
}

fn json(input: &mut Unstructured<'_>, depth: usize) -> Result<Json> {
    if depth == DEPTH_MAX || input.is_empty() {
        return Ok(Json::Null);
    }
    Ok(match input.int_in_range(0..=6)? {
        0 => Json::Null,
        1 => Json::Bool(bool::arbitrary(input)?),
        2 => Json::Integer(i64::arbitrary(input)?),
        3 => Json::Float(Some(f64::arbitrary(input)?).filter(|x| x.is_finite()).unwrap_or(0.5)),
        4 => Json::Text(Text::arbitrary(input)?),
        5 => {
            let items = input.int_in_range(0..=4)?;
            Json::Array((0..items).map(|_| json(input, depth + 1)).collect::<Result<_>>()?)
        }
        _ => {
            let members = input.int_in_range(0..=4)?;
            let mut member = |_| Ok((Text::arbitrary(input)?, json(input, depth + 1)?));
            Json::Object((0..members).map(&mut member).collect::<Result<_>>()?)
        }
    })
}
