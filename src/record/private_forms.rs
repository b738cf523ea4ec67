//! The private forms of `serde_json`: what its `Number` and its `RawValue` pretend to be, so that a
//! serializer of its own takes their text as it is. Any crate of a build can turn them on, with the
//! features `arbitrary_precision` and `raw_value`.

use std::fmt::Display;

use serde::ser::Impossible;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::DEPTH_MAX;
use super::keyed::{look_through, refuse, refuse_containers};
use super::probe::{ProbedValue, ValueProbe};
use super::probe_texts::refuse_other_than_texts;
use super::serializer::Encoder;
use super::sink::EncodeFailed;
use super::text::DisplayText;
use crate::sanitize::Shape;

/// A struct of one field, which is a text that stands for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrivateForm {
    /// The spelling of a number.
    Number,
    /// JSON.
    Raw,
}

impl PrivateForm {
    /// Returns the form of a struct by its name. The names are those in `serde_json` 1.0.
    #[inline]
    pub(super) fn of_struct(name: &str) -> Option<Self> {
        match name.strip_prefix("$serde_json::private::")? {
            "Number" => Some(Self::Number),
            "RawValue" => Some(Self::Raw),
            _ => None,
        }
    }

    /// Writes the value that the field stands for.
    #[cold]
    pub(super) fn write<T: ?Sized + Serialize>(
        self,
        field: &T,
        encoder: &mut Encoder<'_, '_>,
    ) -> Result<(), EncodeFailed> {
        with_text(field, |text| match self {
            Self::Number => match SpelledNumber::read(text) {
                SpelledNumber::Unsigned(number) => encoder.serialize_u64(number),
                SpelledNumber::Negative(number) => encoder.serialize_i64(number),
                SpelledNumber::Float(number) => encoder.serialize_f64(number),
                SpelledNumber::Other => encoder.serialize_str(text),
            },
            Self::Raw => match serde_json::from_str::<Value>(text) {
                Ok(value) => value.serialize(encoder),
                Err(_) => encoder.serialize_str(text),
            },
        })
    }

    /// Finds out what the field stands for.
    #[cold]
    pub(super) fn probe<T: ?Sized + Serialize>(
        self,
        field: &T,
        probe: ValueProbe,
    ) -> Result<ProbedValue, EncodeFailed> {
        with_text(field, |text| match self {
            Self::Number => Ok(match SpelledNumber::read(text) {
                SpelledNumber::Other => ProbedValue::Text,
                _ => ProbedValue::Number(Shape::of_number(text)),
            }),
            Self::Raw => match serde_json::from_str::<Value>(text) {
                Ok(value) => value.serialize(probe),
                Err(_) => Ok(ProbedValue::Text),
            },
        })
    }
}

/// A number as the line can hold it.
enum SpelledNumber {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    /// An integer past 64 bits or a number past f64. It is written as a text.
    Other,
}

impl SpelledNumber {
    fn read(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self::Unsigned(number);
        }
        if let Ok(number) = text.parse() {
            return Self::Negative(number);
        }
        let is_float = text.contains(['.', 'e', 'E']);
        match text.parse::<f64>() {
            Ok(number) if is_float && number.is_finite() => Self::Float(number),
            _ => Self::Other,
        }
    }
}

/// Passes on a value that is a text. Fails for all other values.
pub(super) fn with_text<T: ?Sized + Serialize, R>(
    value: &T,
    read: impl FnOnce(&str) -> Result<R, EncodeFailed>,
) -> Result<R, EncodeFailed> {
    value.serialize(TextReader { read, wrappers: DEPTH_MAX })
}

struct TextReader<F> {
    read: F,
    /// How many more `Some`s and newtypes it looks through.
    wrappers: usize,
}

impl<R, F: FnOnce(&str) -> Result<R, EncodeFailed>> Serializer for TextReader<F> {
    refuse_containers!(R);
    refuse_other_than_texts!(R);

    fn serialize_str(self, text: &str) -> Result<R, EncodeFailed> {
        (self.read)(text)
    }
}
