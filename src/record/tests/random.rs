//! Random values: the line equals what serde_json writes, and no planted secret survives.

use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use super::{LIMIT, event, record, record_within};

/// A value of any form that serde knows.
#[derive(Clone, Debug)]
enum Any {
    Bool(bool),
    I8(i8),
    I64(i64),
    U64(u64),
    I128(i64),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Unit,
    None,
    Some(Box<Any>),
    UnitVariant,
    Newtype(Box<Any>),
    NewtypeVariant(Box<Any>),
    Seq(Vec<Any>),
    Tuple(Vec<Any>),
    TupleStruct(Vec<Any>),
    TupleVariant(Vec<Any>),
    Map(Vec<(Any, Any)>),
    Struct(Vec<Any>),
    StructVariant(Vec<Any>),
}

const FIELDS: [&str; 4] = ["first", "second", "third", "fourth"];

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(v) => s.serialize_bool(*v),
            Self::I8(v) => s.serialize_i8(*v),
            Self::I64(v) => s.serialize_i64(*v),
            Self::U64(v) => s.serialize_u64(*v),
            Self::I128(v) => s.serialize_i128((*v).into()),
            Self::F32(v) => s.serialize_f32(*v),
            Self::F64(v) => s.serialize_f64(*v),
            Self::Char(v) => s.serialize_char(*v),
            Self::Text(v) => s.serialize_str(v),
            Self::Unit => s.serialize_unit(),
            Self::None => s.serialize_none(),
            Self::Some(v) => s.serialize_some(v),
            Self::UnitVariant => s.serialize_unit_variant("Any", 0, "Unit"),
            Self::Newtype(v) => s.serialize_newtype_struct("Any", v),
            Self::NewtypeVariant(v) => s.serialize_newtype_variant("Any", 0, "Newtype", v),
            Self::Map(entries) => {
                let mut map = s.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Seq(items) => {
                let mut list = s.serialize_seq(None)?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Tuple(items) => {
                let mut list = s.serialize_tuple(items.len())?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::TupleStruct(items) => {
                let mut list = s.serialize_tuple_struct("Any", items.len())?;
                items.iter().try_for_each(|item| list.serialize_field(item))?;
                list.end()
            }
            Self::TupleVariant(items) => {
                let mut list = s.serialize_tuple_variant("Any", 0, "Tuple", items.len())?;
                items.iter().try_for_each(|item| list.serialize_field(item))?;
                list.end()
            }
            Self::Struct(items) => {
                let mut object = s.serialize_struct("Any", items.len())?;
                let mut named = FIELDS.iter().zip(items);
                named.try_for_each(|(name, item)| object.serialize_field(name, item))?;
                object.end()
            }
            Self::StructVariant(items) => {
                let mut object = s.serialize_struct_variant("Any", 0, "Struct", items.len())?;
                let mut named = FIELDS.iter().zip(items);
                named.try_for_each(|(name, item)| object.serialize_field(name, item))?;
                object.end()
            }
        }
    }
}

/// Generates random values. Their texts are taken from `words`.
struct Maker<'w> {
    random: fastrand::Rng,
    words: &'w [&'w str],
}

impl Maker<'_> {
    fn text(&mut self) -> String {
        let count = self.random.usize(..12);
        let longer = if self.random.u8(..20) == 0 { 40 } else { 1 };
        (0..count * longer).map(|_| self.words[self.random.usize(..self.words.len())]).collect()
    }

    fn float(&mut self) -> f64 {
        match self.random.u8(..3) {
            0 => f64::from_bits(self.random.u64(..)),
            1 => f64::from(self.random.i32(..)) / 1000.0,
            _ => f64::from(self.random.i32(..)) * 1e15,
        }
    }

    fn leaf(&mut self) -> Any {
        match self.random.u8(..13) {
            0 => Any::Bool(self.random.bool()),
            1 => Any::I8(self.random.i8(..)),
            2 => Any::I64(self.random.i64(..) >> self.random.u8(..64)),
            3 => Any::U64(self.random.u64(..) >> self.random.u8(..64)),
            4 => Any::I128(self.random.i64(..)),
            // Few digits: if two shortest spellings are equally near, writers choose differently.
            5 => Any::F32(self.random.i16(..) as f32 / 1000.0),
            6 => Any::F64(Some(self.float()).filter(|v| v.is_finite()).unwrap_or(0.5)),
            7 => Any::Char(self.random.char(..)),
            8 => Any::Unit,
            9 => Any::None,
            10 => Any::UnitVariant,
            _ => Any::Text(self.text()),
        }
    }

    fn key(&mut self, index: usize) -> Any {
        match self.random.u8(..5) {
            0 => Any::I64(index as i64),
            1 => Any::Newtype(Box::new(Any::Text(format!("{index} {}", self.text())))),
            2 => Any::U64(1000 + index as u64),
            _ => Any::Text(format!("{index}-{}", self.text())),
        }
    }

    fn items(&mut self, depth: usize) -> Vec<Any> {
        (0..self.random.usize(..5)).map(|_| self.any(depth)).collect()
    }

    fn any(&mut self, depth: usize) -> Any {
        if depth == 0 || self.random.u8(..3) == 0 {
            return self.leaf();
        }
        match self.random.u8(..10) {
            0 => Any::Some(Box::new(self.any(depth - 1))),
            1 => Any::Newtype(Box::new(self.any(depth - 1))),
            2 => Any::NewtypeVariant(Box::new(self.any(depth - 1))),
            3 => Any::Seq(self.items(depth - 1)),
            4 => Any::Tuple(self.items(depth - 1)),
            5 => Any::TupleStruct(self.items(depth - 1)),
            6 => Any::TupleVariant(self.items(depth - 1)),
            7 => Any::Struct(self.items(depth - 1)),
            8 => Any::StructVariant(self.items(depth - 1)),
            _ => Any::Map(
                (0..self.random.usize(..5))
                    .map(|index| (self.key(index), self.any(depth - 1)))
                    .collect(),
            ),
        }
    }
}

#[test]
fn a_line_says_what_serde_json_says() {
    let words = ["a", "word", " ", "\"", "\\", "\n", "\u{1}", "é", "\u{2028}", "😀", "/", "{"];
    let mut maker = Maker { random: fastrand::Rng::with_seed(1), words: &words };
    for round in 0..3000 {
        let value = maker.any(5);
        let text = serde_json::to_string(&value).expect("JSON");
        let mut expected: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        if !expected.is_object() {
            expected = serde_json::json!({ "value": expected });
        }
        let recorded = record(&event().data(&value));
        assert_eq!(recorded.json()["data"], expected, "round {round}: {value:?}");
        assert_eq!(recorded.outcome, crate::record::encode::EncodeOutcome::default());
    }
}

#[test]
fn no_planted_secret_survives() {
    let words =
        ["a", "word ", " ", "planted@example.org", "4111111111111111", ",", "é", "password"];
    let mut maker = Maker { random: fastrand::Rng::with_seed(2), words: &words };
    for round in 0..1500 {
        let value = maker.any(5);
        for limit in [LIMIT, 4096] {
            let line = record_within(&event().data(&value), limit, true).line;
            // A word boundary on either side turns sixteen digits into a card number.
            for secret in ["planted@example.org", " 4111111111111111 ", ",4111111111111111,"] {
                assert!(!line.contains(secret), "round {round}: {line}");
            }
        }
    }
}
