//! The serializers that decide whether the value of a sensitive key stays. They read as little of it
//! as possible: of an object the names of its members, until one says that the object goes.

use std::fmt::Display;

use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use super::keyed::{look_through, refuse};
use super::private_forms::{PrivateForm, with_text};
use super::probe_texts::type_of_value;
use super::sink::EncodeFailed;
use super::{DEPTH_MAX, FALSE, NULL, TRUE};
use crate::sanitize::{ObjectForm, ObjectProbe, Shape, Slot, TypeValue};

/// What a value is, as far as it was read.
pub(super) enum ProbedValue {
    /// The tag of a null or a boolean.
    NullOrBool(u8),
    Text,
    Number(Shape),
    EmptyList,
    List,
    Object(Option<ObjectForm>),
}

/// Finds out what a value under a sensitive key is.
pub(super) struct ValueProbe {
    slot: Slot,
    /// How many more `Some`s and newtypes it looks through.
    wrappers: usize,
}

impl ValueProbe {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, wrappers: DEPTH_MAX }
    }

    fn members(self) -> MembersProbe {
        let stays = !self.slot.loses(Shape::Object);
        MembersProbe { object: ObjectProbe::new(self.slot), stays, key_needs_type: false }
    }
}

impl Serializer for ValueProbe {
    type Ok = ProbedValue;
    type Error = EncodeFailed;
    type SerializeSeq = ListProbe;
    type SerializeTuple = ListProbe;
    type SerializeTupleStruct = ListProbe;
    type SerializeTupleVariant = VariantProbe;
    type SerializeMap = MembersProbe;
    type SerializeStruct = StructProbe;
    type SerializeStructVariant = VariantProbe;

    refuse! {
        serialize_bytes(&[u8]) -> ProbedValue;
    }

    fn serialize_bool(self, v: bool) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::NullOrBool(if v { TRUE } else { FALSE }))
    }

    fn serialize_i8(self, _: i8) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_i16(self, _: i16) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_i32(self, _: i32) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_i64(self, _: i64) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_u8(self, _: u8) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_u16(self, _: u16) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_u32(self, _: u32) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    fn serialize_u64(self, _: u64) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Number(Shape::Integer))
    }

    // A number beyond 64 bits is written as a text.
    fn serialize_i128(self, v: i128) -> Result<ProbedValue, EncodeFailed> {
        let is_number = u64::try_from(v).is_ok() || i64::try_from(v).is_ok();
        Ok(if is_number { ProbedValue::Number(Shape::Integer) } else { ProbedValue::Text })
    }

    fn serialize_u128(self, v: u128) -> Result<ProbedValue, EncodeFailed> {
        let is_number = u64::try_from(v).is_ok();
        Ok(if is_number { ProbedValue::Number(Shape::Integer) } else { ProbedValue::Text })
    }

    fn serialize_f32(self, v: f32) -> Result<ProbedValue, EncodeFailed> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<ProbedValue, EncodeFailed> {
        let shape = Shape::of_float(v);
        Ok(if v.is_finite() { ProbedValue::Number(shape) } else { ProbedValue::Text })
    }

    fn serialize_char(self, _: char) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Text)
    }

    fn serialize_str(self, _: &str) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Text)
    }

    fn serialize_none(self) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::NullOrBool(NULL))
    }

    fn serialize_unit(self) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::NullOrBool(NULL))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::NullOrBool(NULL))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Text)
    }

    look_through!(ProbedValue);

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<ProbedValue, EncodeFailed> {
        let mut members = self.members();
        members.read_member(variant, value)?;
        members.end_probe()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<VariantProbe, EncodeFailed> {
        let mut members = self.members();
        members.read_key(variant, TypeValue::Other)?;
        Ok(VariantProbe(members))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<VariantProbe, EncodeFailed> {
        self.serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListProbe, EncodeFailed> {
        Ok(ListProbe { is_empty: true, goes: self.slot.loses(Shape::List) })
    }

    fn serialize_tuple(self, _: usize) -> Result<ListProbe, EncodeFailed> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListProbe, EncodeFailed> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MembersProbe, EncodeFailed> {
        Ok(self.members())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<StructProbe, EncodeFailed> {
        Ok(match PrivateForm::of_struct(name) {
            Some(form) => StructProbe::Private(form, self.slot, None),
            None => StructProbe::Plain(self.members()),
        })
    }

    /// A text that goes in any case is not formatted first.
    fn collect_str<T: ?Sized + Display>(self, _: &T) -> Result<ProbedValue, EncodeFailed> {
        if self.slot.loses_any_text() { Err(EncodeFailed) } else { Ok(ProbedValue::Text) }
    }
}

/// Finds out whether a list is empty. No element is read.
pub(super) struct ListProbe {
    is_empty: bool,
    /// Whether the list goes if it is not empty.
    goes: bool,
}

/// Implements the traits of lists, which differ only in their names.
macro_rules! list_probe {
    ($($kind:ident :: $method:ident),*) => {$(
        impl $kind for ListProbe {
            type Ok = ProbedValue;
            type Error = EncodeFailed;

            fn $method<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), EncodeFailed> {
                self.is_empty = false;
                if self.goes { Err(EncodeFailed) } else { Ok(()) }
            }

            fn end(self) -> Result<ProbedValue, EncodeFailed> {
                Ok(if self.is_empty { ProbedValue::EmptyList } else { ProbedValue::List })
            }
        }
    )*};
}

list_probe!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

/// Passes the names of an object's members to the [`ObjectProbe`]. It fails when one of them says that
/// the object goes.
pub(super) struct MembersProbe {
    object: ObjectProbe,
    /// Whether the object stays whatever its members are.
    stays: bool,
    /// Whether the value after the last key says something.
    key_needs_type: bool,
}

impl MembersProbe {
    fn read_key(&mut self, key: &str, value: TypeValue) -> Result<(), EncodeFailed> {
        if self.object.read(key, value) || self.stays { Ok(()) } else { Err(EncodeFailed) }
    }

    fn read_member<T: ?Sized + Serialize>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        let needs_type = ObjectProbe::needs_type(key);
        let value = if needs_type { type_of_value(value) } else { TypeValue::Other };
        self.read_key(key, value)
    }

    fn end_probe(self) -> Result<ProbedValue, EncodeFailed> {
        Ok(ProbedValue::Object(self.object.form()))
    }
}

impl SerializeMap for MembersProbe {
    type Ok = ProbedValue;
    type Error = EncodeFailed;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), EncodeFailed> {
        self.key_needs_type = false;
        // A key that is not a text fails: no form has such a key.
        with_text(key, |key| {
            self.key_needs_type = ObjectProbe::needs_type(key);
            match self.key_needs_type {
                true => Ok(()),
                false => self.read_key(key, TypeValue::Other),
            }
        })
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
        if self.key_needs_type { self.read_member("type", value) } else { Ok(()) }
    }

    fn end(self) -> Result<ProbedValue, EncodeFailed> {
        self.end_probe()
    }
}

/// Reads a struct, or what a private form stands for.
pub(super) enum StructProbe {
    Plain(MembersProbe),
    Private(PrivateForm, Slot, Option<ProbedValue>),
}

impl SerializeStruct for StructProbe {
    type Ok = ProbedValue;
    type Error = EncodeFailed;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        match self {
            Self::Plain(members) => members.read_member(key, value),
            Self::Private(form, slot, found) => {
                *found = Some(form.probe(value, ValueProbe::new(*slot))?);
                Ok(())
            }
        }
    }

    fn end(self) -> Result<ProbedValue, EncodeFailed> {
        match self {
            Self::Plain(members) => members.end_probe(),
            Self::Private(_, _, found) => found.ok_or(EncodeFailed),
        }
    }
}

/// Passes over the inside of a variant. The variant is an object of one member.
pub(super) struct VariantProbe(MembersProbe);

impl SerializeTupleVariant for VariantProbe {
    type Ok = ProbedValue;
    type Error = EncodeFailed;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, _: &T) -> Result<(), EncodeFailed> {
        Ok(())
    }

    fn end(self) -> Result<ProbedValue, EncodeFailed> {
        self.0.end_probe()
    }
}

impl SerializeStructVariant for VariantProbe {
    type Ok = ProbedValue;
    type Error = EncodeFailed;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        _: &'static str,
        _: &T,
    ) -> Result<(), EncodeFailed> {
        Ok(())
    }

    fn end(self) -> Result<ProbedValue, EncodeFailed> {
        self.0.end_probe()
    }
}
