//! Lists and objects while they are open.

use std::mem::replace;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::keyed::KeyText;
use super::serializer::{Encoder, Payload};
use super::sink::{Failed, Stop};
use super::text::Spelled;
use super::{DEPTH_MAX, END, MAP};
use crate::sanitize::Kind;
use crate::sanitize::{Around, KeyClass, KeyNumbers, Pairs, Place, Role, Secrecy};

/// A list or an object that takes its members.
pub(crate) struct Compound<'e, 'c, 'r> {
    encoder: &'e mut Encoder<'c, 'r>,
    /// Containers to close: two for `{"Variant": […]}`, none where a placeholder stands for all.
    levels: usize,
    /// A placeholder stands for the members; they are not looked at.
    skipped: bool,
    next: Next,
    numbers: KeyNumbers,
    /// Which values are named by a text beside them.
    pairs: Pairs,
    /// Where the container is, and the value under the key that came last.
    place: Place,
    inner: Place,
    /// Keys without a text so far.
    unnamed: u32,
    /// What [`Encoder::below_logprobs`] and [`Encoder::below_card`] were outside.
    outer_logprobs: bool,
    outer_card: bool,
}

/// What an object takes next.
#[derive(PartialEq, Eq)]
enum Next {
    Key,
    Value(KeyClass),
    /// A value that is left out, as its key was.
    LeftOut,
}

impl<'e, 'c, 'r> Compound<'e, 'c, 'r> {
    /// `len` is how many elements a list has, where that is known.
    pub(super) fn open(
        encoder: &'e mut Encoder<'c, 'r>,
        tag: u8,
        len: Option<usize>,
    ) -> Result<Self, Failed> {
        // Three in a list are no pair.
        let is_pair = encoder.around != Around::List || len.is_none_or(|len| len == 2);
        let around = if is_pair { encoder.around } else { Around::Other };
        let (pairs, place) = (Pairs::within(around), encoder.place);
        let is_open = encoder.begin(tag)?;
        Ok(Self {
            levels: is_open.into(),
            skipped: !is_open,
            next: Next::Key,
            numbers: KeyNumbers::default(),
            pairs,
            place,
            inner: place,
            unnamed: 0,
            outer_logprobs: encoder.below_logprobs,
            outer_card: encoder.below_card,
            encoder,
        })
    }

    /// `{"variant": …` with a container of `tag` as the value.
    pub(super) fn open_variant(
        encoder: &'e mut Encoder<'c, 'r>,
        variant: &str,
        tag: u8,
    ) -> Result<Self, Failed> {
        let mut object = Self::open(encoder, MAP, None)?;
        if object.skipped {
            return Ok(object);
        }
        let class = object.encoder.key(variant, &mut object.numbers)?;
        object.place = object.encoder.sanitizer.enter(object.place, variant);
        object.encoder.place = object.place;
        match class {
            KeyClass::Sensitive if !object.place.is_allowed => {
                object.skipped = true;
                object.encoder.counts.add(Kind::Key);
                object.encoder.sink.string(Kind::Key.placeholder())?;
                return Ok(object);
            }
            KeyClass::Logprobs => object.encoder.below_logprobs = true,
            class => object.encoder.expect(class, Role::Plain),
        }
        object.numbers = KeyNumbers::default();
        object.pairs = Pairs::within(object.encoder.around);
        object.skipped = !object.encoder.begin(tag)?;
        object.levels += usize::from(!object.skipped);
        Ok(object)
    }

    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        if self.skipped {
            return Ok(());
        }
        let role = self.role(self.place, Pairs::element);
        if role == Role::Named(Secrecy::All) {
            return self.encoder.sensitive(value);
        }
        self.encoder.around = Around::List;
        self.encoder.expect_role(role, false);
        self.encoder.nested(value)?;
        self.named(role);
        Ok(())
    }

    /// The role of the value that comes, which is at this place.
    fn role(&mut self, place: Place, role: impl FnOnce(&mut Pairs) -> Role) -> Role {
        self.encoder.place = place;
        let role = role(&mut self.pairs);
        if place.is_allowed { Role::Plain } else { role }
    }

    /// Takes over what the encoder found of a text that names another value.
    fn named(&mut self, role: Role) {
        let secrecy = self.encoder.secrecy();
        if role == Role::Name {
            self.pairs.secrecy = self.pairs.secrecy.max(secrecy);
        }
    }

    pub(super) fn member<T: ?Sized + Serialize>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), Failed> {
        if self.skipped {
            return Ok(());
        }
        self.key(key)?;
        self.value(value)
    }

    pub(super) fn key(&mut self, key: &str) -> Result<(), Failed> {
        if self.next != Next::Key {
            return Err(self.misused());
        }
        let is_root = self.encoder.depth == 1;
        if is_root && self.encoder.left_out == Some(key) {
            self.next = Next::LeftOut;
            return Ok(());
        }
        self.encoder.place = self.place;
        self.next = Next::Value(self.encoder.key(key, &mut self.numbers)?);
        self.inner = self.encoder.sanitizer.enter(self.place, key);
        Ok(())
    }

    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        match replace(&mut self.next, Next::Key) {
            Next::Key => Err(self.misused()),
            Next::LeftOut => Ok(()),
            Next::Value(class) => match self.role(self.inner, |pairs| pairs.member(class)) {
                Role::Secret | Role::Named(Secrecy::All) => self.encoder.sensitive(value),
                role => {
                    let is_card = class == KeyClass::Card && !self.inner.is_allowed;
                    let (logprobs, card) = (self.encoder.below_logprobs, self.encoder.below_card);
                    self.encoder.below_logprobs |= class == KeyClass::Logprobs;
                    self.encoder.below_card |= is_card;
                    let class = if self.inner.is_allowed { KeyClass::Plain } else { class };
                    self.encoder.expect(class, role);
                    self.encoder.nested(value)?;
                    (self.encoder.below_logprobs, self.encoder.below_card) = (logprobs, card);
                    self.named(role);
                    Ok(())
                }
            },
        }
    }

    pub(super) fn close(mut self) -> Result<(), Failed> {
        if self.next != Next::Key {
            return Err(self.misused());
        }
        self.encoder.depth -= self.levels;
        self.encoder.below_logprobs = self.outer_logprobs;
        self.encoder.below_card = self.outer_card;
        self.encoder.sink.put(&[END; 2][..self.levels])
    }

    /// The impl broke serde's order of keys and values.
    fn misused(&mut self) -> Failed {
        self.encoder.sink.fail(Stop::Broken)
    }
}

/// An object of these members, those without a value left out. The names are the library's own,
/// and none is a sensitive key.
pub(crate) struct Fields<'a>(pub(crate) &'a [(&'static str, Option<&'a dyn Payload>)]);

impl Payload for Fields<'_> {
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), Failed> {
        let mut object = Compound::open(encoder, MAP, None)?;
        for (name, value) in self.0 {
            if let Some(value) = value {
                object.key(name)?;
                object.next = Next::Key;
                object.encoder.place = object.inner;
                object.encoder.expect(KeyClass::Plain, Role::Plain);
                let encoded = value.encode(object.encoder);
                encoded.map_err(|_| object.encoder.sink.fail(Stop::Broken))?;
            }
        }
        object.close()
    }
}

impl SerializeMap for Compound<'_, '_, '_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Failed> {
        if self.skipped {
            return Ok(());
        }
        let spelled = key.serialize(KeyText { object: self, wrappers: DEPTH_MAX });
        match (&self.next, spelled) {
            (Next::Value(_) | Next::LeftOut, Ok(())) => Ok(()),
            (Next::Key, _) if self.encoder.sink.stop.is_none() => {
                self.unnamed += 1;
                self.key(Spelled::new(format_args!("[KEY_{}]", self.unnamed))?.as_str())
            }
            _ => Err(self.misused()),
        }
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
        if self.skipped {
            return Ok(());
        }
        self.value(value)
    }

    fn end(self) -> Result<(), Failed> {
        self.close()
    }
}

/// The traits that are all alike but for their names.
macro_rules! elements {
    ($($kind:ident :: $method:ident),*) => {$(
        impl $kind for Compound<'_, '_, '_> {
            type Ok = ();
            type Error = Failed;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Failed> {
                self.element(value)
            }

            fn end(self) -> Result<(), Failed> {
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

/// As `elements!`, for those whose members have names.
macro_rules! members {
    ($($kind:ident),*) => {$(
        impl $kind for Compound<'_, '_, '_> {
            type Ok = ();
            type Error = Failed;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Failed> {
                self.member(key, value)
            }

            fn end(self) -> Result<(), Failed> {
                self.close()
            }
        }
    )*};
}

members!(SerializeStruct, SerializeStructVariant);
