//! The serializer that reads the value under `type` in an object under a sensitive key.

use std::fmt::Display;

use serde::ser::{Impossible, SerializeSeq, SerializeTuple, SerializeTupleStruct};
use serde::{Serialize, Serializer};

use super::DEPTH_MAX;
use super::keyed::{look_through, refuse};
use super::sink::EncodeFailed;
use super::text::DisplayText;
use crate::sanitize::TypeValue;

/// Defines methods for values that have no text of their own. They always fail.
macro_rules! refuse_other_than_texts {
    ($ok:ty) => {
        refuse! {
            serialize_bool(bool) -> $ok;
            serialize_i8(i8) -> $ok;
            serialize_i16(i16) -> $ok;
            serialize_i32(i32) -> $ok;
            serialize_i64(i64) -> $ok;
            serialize_i128(i128) -> $ok;
            serialize_u8(u8) -> $ok;
            serialize_u16(u16) -> $ok;
            serialize_u32(u32) -> $ok;
            serialize_u64(u64) -> $ok;
            serialize_u128(u128) -> $ok;
            serialize_f32(f32) -> $ok;
            serialize_f64(f64) -> $ok;
            serialize_none() -> $ok;
            serialize_unit() -> $ok;
            serialize_unit_struct(&'static str) -> $ok;
        }

        fn serialize_char(self, v: char) -> Result<$ok, EncodeFailed> {
            self.serialize_str(v.encode_utf8(&mut [0; 4]))
        }

        fn serialize_unit_variant(
            self,
            _: &'static str,
            _: u32,
            variant: &'static str,
        ) -> Result<$ok, EncodeFailed> {
            self.serialize_str(variant)
        }

        fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<$ok, EncodeFailed> {
            self.serialize_str(DisplayText::new(value)?.as_str())
        }
    };
}

pub(super) use refuse_other_than_texts;

/// Returns what the value under `type` says.
pub(super) fn type_of_value<T: ?Sized + Serialize>(value: &T) -> TypeValue {
    let probe = TypeProbe { wrappers: DEPTH_MAX, is_element: false };
    value.serialize(probe).unwrap_or(TypeValue::Other)
}

/// Reads the value under `type`: a text, or a list of texts.
pub(super) struct TypeProbe {
    wrappers: usize,
    /// Whether it is in such a list, so that it is not another one.
    is_element: bool,
}

impl TypeProbe {
    fn list(self) -> Result<TypesProbe, EncodeFailed> {
        if self.is_element {
            Err(EncodeFailed)
        } else {
            Ok(TypesProbe { value: TypeValue::Schema })
        }
    }
}

impl Serializer for TypeProbe {
    type Ok = TypeValue;
    type Error = EncodeFailed;
    type SerializeSeq = TypesProbe;
    type SerializeTuple = TypesProbe;
    type SerializeTupleStruct = TypesProbe;
    type SerializeTupleVariant = Impossible<TypeValue, EncodeFailed>;
    type SerializeMap = Impossible<TypeValue, EncodeFailed>;
    type SerializeStruct = Impossible<TypeValue, EncodeFailed>;
    type SerializeStructVariant = Impossible<TypeValue, EncodeFailed>;

    refuse_other_than_texts!(TypeValue);
    refuse! {
        serialize_bytes(&[u8]) -> TypeValue;
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant;
    }

    fn serialize_str(self, text: &str) -> Result<TypeValue, EncodeFailed> {
        Ok(TypeValue::from_text(text))
    }

    look_through!(TypeValue);

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<TypeValue, EncodeFailed> {
        Ok(TypeValue::Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<TypesProbe, EncodeFailed> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<TypesProbe, EncodeFailed> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<TypesProbe, EncodeFailed> {
        self.list()
    }
}

/// Reads a list of types.
pub(super) struct TypesProbe {
    value: TypeValue,
}

/// Implements the traits of lists, which differ only in their names.
macro_rules! types_probe {
    ($($kind:ident :: $method:ident),*) => {$(
        impl $kind for TypesProbe {
            type Ok = TypeValue;
            type Error = EncodeFailed;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
                self.value = value.serialize(TypeProbe { wrappers: DEPTH_MAX, is_element: true })?;
                if self.value == TypeValue::Schema { Ok(()) } else { Err(EncodeFailed) }
            }

            fn end(self) -> Result<TypeValue, EncodeFailed> {
                Ok(self.value)
            }
        }
    )*};
}

types_probe!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);
