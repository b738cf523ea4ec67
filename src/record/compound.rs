//! Serializers of lists and objects that are open.

use std::mem::replace;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::field_names;
use super::keyed::KeyText;
use super::private_forms::PrivateForm;
use super::serializer::{Encoder, Payload};
use super::sink::{EncodeFailed, EncodeStop};
use super::text::DisplayText;
use super::{DEPTH_MAX, END, MAP, SEQ};
use crate::sanitize::{Fate, Frame, KeyNumbers, ObjectForm, Shape};

/// The serializer of an open list or object.
pub(crate) struct Compound<'e, 'c, 'r> {
    encoder: &'e mut Encoder<'c, 'r>,
    /// The number of containers to close: two for `{"Variant": […]}`, none if a placeholder
    /// replaces everything.
    levels: usize,
    /// A placeholder replaces the members, so they are not read.
    skipped: bool,
    /// Names of fields may be written as the thread remembers them.
    recalls_names: bool,
    next: NextPart,
    numbers: KeyNumbers,
    frame: Frame,
    /// The number of keys so far that have no text.
    unnamed: u32,
    /// The tag of the innermost container.
    tag: u8,
    /// The length of the chain at which it takes no more members.
    end: usize,
    /// The number of members that it did not take.
    missing: u64,
}

/// The next thing that an object accepts.
#[derive(PartialEq, Eq)]
enum NextPart {
    Key,
    Value,
    /// A value that is left out because its key was.
    LeftOut,
    /// The only field of this form.
    Private(PrivateForm),
}

impl<'e, 'c, 'r> Compound<'e, 'c, 'r> {
    /// Begins a list of this many elements, if the number is known.
    pub(super) fn open_list(
        encoder: &'e mut Encoder<'c, 'r>,
        len: Option<usize>,
    ) -> Result<Self, EncodeFailed> {
        let frame = encoder.slot.list(len);
        Self::open_container(encoder, SEQ, frame)
    }

    /// Begins an object.
    pub(super) fn open_object(encoder: &'e mut Encoder<'c, 'r>) -> Result<Self, EncodeFailed> {
        let frame = encoder.slot.object();
        let mut object = Self::open_container(encoder, MAP, frame)?;
        object.recalls_names = !object.skipped
            && object.end == usize::MAX
            && object.encoder.left_out.is_none()
            && object.encoder.sanitizer.has_rules_alone();
        Ok(object)
    }

    #[inline]
    fn open_container(
        encoder: &'e mut Encoder<'c, 'r>,
        tag: u8,
        frame: Frame,
    ) -> Result<Self, EncodeFailed> {
        let end = encoder.container_end();
        let is_open = encoder.begin_container(tag)?;
        Ok(Self {
            levels: is_open.into(),
            skipped: !is_open,
            recalls_names: false,
            next: NextPart::Key,
            numbers: KeyNumbers::default(),
            frame,
            unnamed: 0,
            tag,
            end,
            missing: 0,
            encoder,
        })
    }

    /// Begins a struct that stands for something else, which is written in its place.
    #[cold]
    pub(super) fn open_private(encoder: &'e mut Encoder<'c, 'r>, form: PrivateForm) -> Self {
        Self {
            levels: 0,
            skipped: false,
            recalls_names: false,
            next: NextPart::Private(form),
            numbers: KeyNumbers::default(),
            frame: encoder.slot.object(),
            unnamed: 0,
            tag: MAP,
            end: usize::MAX,
            missing: 0,
            encoder,
        }
    }

    /// Begins `{"variant": …` with a container of `tag` and `len` members as the value.
    pub(super) fn open_variant(
        encoder: &'e mut Encoder<'c, 'r>,
        variant: &str,
        tag: u8,
        len: usize,
    ) -> Result<Self, EncodeFailed> {
        let mut object = Self::open_object(encoder)?;
        if object.skipped {
            return Ok(object);
        }
        object.encoder.write_key(variant, &mut object.frame, &mut object.numbers)?;
        if len == 0 {
            object.encoder.slot = object.encoder.slot.in_form(ObjectForm::Empty);
        }
        let slot = object.encoder.slot;
        object.recalls_names = false;
        object.frame = if tag == SEQ { slot.list(None) } else { slot.object() };
        object.numbers = KeyNumbers::default();
        (object.tag, object.end) = (tag, object.encoder.container_end());
        object.skipped = !object.encoder.begin_container(tag)?;
        object.levels += usize::from(!object.skipped);
        Ok(object)
    }

    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
        if self.skipped || self.is_full() {
            return Ok(());
        }
        self.encoder.slot = self.frame.element();
        self.write_in_slot(value)
    }

    /// Returns whether the container takes no more members, and counts the one that it does not take.
    #[inline]
    fn is_full(&mut self) -> bool {
        let is_full = self.end != usize::MAX && self.encoder.sink.chain.len() >= self.end;
        self.missing += u64::from(is_full);
        is_full
    }

    /// Writes a value for which the slot is set.
    #[inline]
    fn write_in_slot<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
        // Before the closure, which would copy the slot.
        let is_sensitive = match self.encoder.slot.fate() {
            Fate::Texts | Fate::Whole => true,
            Fate::Doubtful => self.encoder.slot.loses(Shape::Object),
            Fate::Read | Fate::Name | Fate::Formed(_) => false,
        };
        self.encoder.write_bounded_member(|encoder| match is_sensitive {
            true => encoder.write_sensitive_value(value),
            false => encoder.write_nested_value(value),
        })?;
        self.encoder.pass_note_to(&mut self.frame);
        Ok(())
    }

    /// Writes a member whose name is that of a field.
    #[inline]
    fn field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        match self.recalls_names && self.recall_name(name) {
            true => self.write_in_slot(value),
            false => self.member(name, value),
        }
    }

    /// Writes the name of a field as the thread remembers it, or remembers it now. Returns whether it was
    /// written.
    fn recall_name(&mut self, name: &'static str) -> bool {
        let Some(facts) = field_names::write_recalled(self.encoder.sink.chain, name) else {
            field_names::remember(self.encoder.sanitizer, name);
            return false;
        };
        self.frame.enter_plain_member(name, facts.class, &mut self.encoder.slot);
        self.encoder.is_user = facts.may_be_noted && self.encoder.note_member(name);
        true
    }

    #[inline]
    pub(super) fn member<T: ?Sized + Serialize>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        if self.skipped {
            return Ok(());
        }
        if let NextPart::Private(form) = self.next {
            self.next = NextPart::Key;
            return form.write(value, self.encoder);
        }
        self.key(key)?;
        self.value(value)
    }

    #[inline]
    pub(super) fn key(&mut self, key: &str) -> Result<(), EncodeFailed> {
        if self.next != NextPart::Key {
            return Err(self.fail_misused());
        }
        let is_root = self.encoder.depth == 1;
        if is_root && self.encoder.left_out == Some(key) || self.is_full() {
            self.next = NextPart::LeftOut;
            return Ok(());
        }
        self.next = NextPart::Value;
        self.encoder.write_key(key, &mut self.frame, &mut self.numbers)
    }

    #[inline]
    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
        match replace(&mut self.next, NextPart::Key) {
            NextPart::Key | NextPart::Private(_) => Err(self.fail_misused()),
            NextPart::LeftOut => Ok(()),
            NextPart::Value => self.write_in_slot(value),
        }
    }

    pub(super) fn close(mut self) -> Result<(), EncodeFailed> {
        if self.next != NextPart::Key {
            return Err(self.fail_misused());
        }
        if self.missing > 0 {
            self.encoder.write_missing(self.tag, self.missing)?;
        }
        self.encoder.depth -= self.levels;
        self.encoder.sink.put(&[END; 2][..self.levels])
    }

    /// Records that the impl broke serde's order of keys and values.
    fn fail_misused(&mut self) -> EncodeFailed {
        self.encoder.sink.fail(EncodeStop::Broken)
    }
}

/// An object of these members without those that have no value. The library chooses the names, and
/// none is a sensitive key.
pub(crate) struct OptionalFields<'a>(pub(crate) &'a [(&'static str, Option<&'a dyn Payload>)]);

impl Payload for OptionalFields<'_> {
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), EncodeFailed> {
        let mut object = Compound::open_object(encoder)?;
        for (name, value) in self.0 {
            if let Some(value) = value {
                object.key(name)?;
                object.next = NextPart::Key;
                let encoded = value.encode(object.encoder);
                encoded.map_err(|_| object.encoder.sink.fail(EncodeStop::Broken))?;
            }
        }
        object.close()
    }
}

impl SerializeMap for Compound<'_, '_, '_> {
    type Ok = ();
    type Error = EncodeFailed;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), EncodeFailed> {
        if self.skipped {
            return Ok(());
        }
        let spelled = key.serialize(KeyText { object: self, wrappers: DEPTH_MAX });
        match (&self.next, spelled) {
            (NextPart::Value | NextPart::LeftOut, Ok(())) => Ok(()),
            (NextPart::Key, _) if self.encoder.sink.stop.is_none() => {
                self.unnamed += 1;
                self.key(DisplayText::new(format_args!("[KEY_{}]", self.unnamed))?.as_str())
            }
            _ => Err(self.fail_misused()),
        }
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
        if self.skipped {
            return Ok(());
        }
        self.value(value)
    }

    fn end(self) -> Result<(), EncodeFailed> {
        self.close()
    }
}

/// Implements the traits that differ only in their names.
macro_rules! elements {
    ($($kind:ident :: $method:ident),*) => {$(
        impl $kind for Compound<'_, '_, '_> {
            type Ok = ();
            type Error = EncodeFailed;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), EncodeFailed> {
                self.element(value)
            }

            fn end(self) -> Result<(), EncodeFailed> {
                self.close()
            }
        }
    )*};
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// Implements the traits whose members have names; see `elements!`.
macro_rules! members {
    ($($kind:ident),*) => {$(
        impl $kind for Compound<'_, '_, '_> {
            type Ok = ();
            type Error = EncodeFailed;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), EncodeFailed> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), EncodeFailed> {
                self.close()
            }
        }
    )*};
}

members!(SerializeStruct, SerializeStructVariant);
