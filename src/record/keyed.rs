//! The small serializer that spells the key of a map's entry.

use std::fmt::Display;

use serde::ser::Impossible;
use serde::{Serialize, Serializer};

use super::compound::Compound;
use super::serializer::spell_nonfinite_number;
use super::sink::EncodeFailed;
use super::text::DisplayText;

/// Writes a key that has a text into the object. It fails for all other keys.
pub(super) struct KeyText<'k, 'e, 'c, 'r> {
    pub(super) object: &'k mut Compound<'e, 'c, 'r>,
    /// How many more `Some`s and newtypes it looks through.
    pub(super) wrappers: usize,
}

impl KeyText<'_, '_, '_, '_> {
    fn spelled(self, value: impl Display) -> Result<(), EncodeFailed> {
        self.object.key(DisplayText::new(value)?.as_str())
    }
}

/// Defines methods that always fail.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, EncodeFailed> {
            Err(EncodeFailed)
        })*
    };
}

/// Defines the methods that look through a `Some` and a newtype, as often as `wrappers` allows.
macro_rules! look_through {
    ($ok:ty) => {
        fn serialize_some<T: ?Sized + Serialize>(mut self, value: &T) -> Result<$ok, EncodeFailed> {
            self.wrappers = self.wrappers.checked_sub(1).ok_or(EncodeFailed)?;
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: ?Sized + Serialize>(
            self,
            _name: &'static str,
            value: &T,
        ) -> Result<$ok, EncodeFailed> {
            self.serialize_some(value)
        }
    };
}

/// Defines what serializers of keys refuse: every value with members.
macro_rules! refuse_containers {
    ($ok:ty) => {
        type Ok = $ok;
        type Error = EncodeFailed;
        type SerializeSeq = Impossible<$ok, EncodeFailed>;
        type SerializeTuple = Impossible<$ok, EncodeFailed>;
        type SerializeTupleStruct = Impossible<$ok, EncodeFailed>;
        type SerializeTupleVariant = Impossible<$ok, EncodeFailed>;
        type SerializeMap = Impossible<$ok, EncodeFailed>;
        type SerializeStruct = Impossible<$ok, EncodeFailed>;
        type SerializeStructVariant = Impossible<$ok, EncodeFailed>;

        refuse! {
            serialize_bytes(&[u8]) -> $ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeTupleVariant;
            serialize_map(Option<usize>) -> Self::SerializeMap;
            serialize_struct(&'static str, usize) -> Self::SerializeStruct;
            serialize_struct_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeStructVariant;
        }

        fn serialize_newtype_variant<T: ?Sized + Serialize>(
            self,
            _name: &'static str,
            _index: u32,
            _variant: &'static str,
            _value: &T,
        ) -> Result<$ok, EncodeFailed> {
            Err(EncodeFailed)
        }

        look_through!($ok);
    };
}

pub(super) use {look_through, refuse, refuse_containers};

/// Defines the methods for keys that are spelled as their `Display` writes them.
macro_rules! spell {
    ($($method:ident($argument:ty);)*) => {
        $(fn $method(self, v: $argument) -> Result<(), EncodeFailed> {
            self.spelled(v)
        })*
    };
}

impl Serializer for KeyText<'_, '_, '_, '_> {
    refuse_containers!(());

    refuse! {
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
    }

    spell! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
    }

    // `Debug` spells a float as JSON does: `1.0`, `1e16`.
    fn serialize_f32(self, v: f32) -> Result<(), EncodeFailed> {
        match spell_nonfinite_number(v.into()) {
            None => self.spelled(format_args!("{v:?}")),
            Some(name) => self.object.key(name),
        }
    }

    fn serialize_f64(self, v: f64) -> Result<(), EncodeFailed> {
        match spell_nonfinite_number(v) {
            None => self.spelled(format_args!("{v:?}")),
            Some(name) => self.object.key(name),
        }
    }

    fn serialize_str(self, v: &str) -> Result<(), EncodeFailed> {
        self.object.key(v)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeFailed> {
        self.object.key(variant)
    }

    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<(), EncodeFailed> {
        self.spelled(value)
    }
}
