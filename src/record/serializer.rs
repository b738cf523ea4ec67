//! Encodes any `Serialize` value as tagged bytes, and redacts it on the way.

use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Serialize, Serializer};

use super::compound::Compound;
use super::counted::SeenMembers;
use super::encode::EncodeOutcome;
use super::private_forms::PrivateForm;
use super::probe::{ProbedValue, ValueProbe};
use super::sink::{EncodeFailed, EncodeStop, Sink, StringGatherer};
use super::text::DisplayText;
use super::{DEPTH_MAX, F32, F64, FALSE, MAP, NEGATIVE, NULL, PAYLOAD, SEQ, TRUE, UINT};
use crate::panics::forget_panic;
use crate::ring::Chain;
use crate::sanitize::{
    Frame, KeyNumbers, Kind, ObjectForm, Redactions, Sanitizer, Shape, Slot, TextNote,
};
use crate::user_names::UserNames;

/// An object-safe `Serialize`.
pub(crate) trait Payload {
    /// Writes the value into the encoder.
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), EncodeFailed>;
}

impl<T: Serialize> Payload for T {
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), EncodeFailed> {
        self.serialize(encoder)
    }
}

/// Writes one event into a chain.
pub(crate) struct Encoder<'c, 'r> {
    pub(super) sink: Sink<'c, 'r>,
    pub(super) sanitizer: &'c Sanitizer,
    /// Names users in `data`. `None` if what is written is no event.
    pub(super) user_names: Option<&'c UserNames>,
    /// Whether it is in the event's `data`.
    pub(super) is_in_data: bool,
    /// Whether the next value is that of `user` or `conversation` in `data`.
    pub(super) is_user: bool,
    /// Which of the members that events have beside their payloads are in `data`.
    pub(super) seen: SeenMembers,
    pub(super) counts: &'c mut Redactions,
    pub(super) outcome: EncodeOutcome,
    /// The number of open containers in the payload.
    pub(super) depth: usize,
    /// The number of open `Some`s and newtypes, which nest without a container.
    pub(super) wrappers: usize,
    /// The bytes kept of a string, and about those that a container in the payload's root may take.
    pub(super) cap: usize,
    /// The length of the chain at which the payload's root takes no more members. It is
    /// `usize::MAX`, except in the last attempt.
    pub(super) root_end: usize,
    /// The position at which the last string began, in bytes of the chain.
    pub(super) text_start: usize,
    /// The member of the payload's root that is left out.
    pub(super) left_out: Option<&'static str>,
    /// The slot of the next value.
    pub(super) slot: Slot,
    /// What the last value, if it was a text, says about others.
    pub(super) note: TextNote,
}

impl<'c, 'r> Encoder<'c, 'r> {
    pub(super) fn new(
        chain: &'c mut Chain<'r>,
        sanitizer: &'c Sanitizer,
        counts: &'c mut Redactions,
    ) -> Self {
        Self {
            sink: Sink { chain, stop: None },
            sanitizer,
            user_names: None,
            is_in_data: false,
            is_user: false,
            seen: SeenMembers::default(),
            counts,
            outcome: EncodeOutcome::default(),
            depth: 0,
            wrappers: 0,
            cap: usize::MAX,
            root_end: usize::MAX,
            text_start: 0,
            left_out: None,
            slot: Slot::default(),
            note: TextNote::Nothing,
        }
    }

    /// Passes on to `frame` what the value that was written last says about others in it.
    #[inline]
    pub(super) fn pass_note_to(&mut self, frame: &mut Frame) {
        if self.note != TextNote::Nothing {
            frame.note(take(&mut self.note));
        }
    }

    /// Redacts a text if its slot is stricter than the rules, and takes note of a name. Returns
    /// `false` if the rules decide about the text.
    #[cold]
    pub(super) fn redact_by_slot(&mut self, text: &str) -> Result<bool, EncodeFailed> {
        if self.slot.loses_text(self.sanitizer, text) {
            self.redact_whole()?;
            return Ok(true);
        }
        self.note = self.slot.note_of(self.sanitizer, text);
        Ok(false)
    }

    /// Takes note of a flag that says that the value beside it is a secret.
    #[inline]
    fn read_flag(&mut self, is_set: bool) {
        if is_set && self.slot.takes_note("true") {
            self.note = self.slot.note_of(self.sanitizer, "true");
        }
    }

    /// Writes the placeholder of a value that its slot removes.
    #[cold]
    pub(super) fn redact_whole(&mut self) -> Result<(), EncodeFailed> {
        self.counts.add(Kind::Key);
        self.sink.put_string(Kind::Key.placeholder())
    }

    /// Redacts a number under a card's key if it looks like a card number.
    #[cold]
    fn redact_card_number(&mut self, number: impl std::fmt::Display) -> Result<bool, EncodeFailed> {
        let spelled = DisplayText::new(number)?;
        let is_card =
            self.sanitizer.matches(spelled.as_str()).any(|found| found.kind == Kind::Card);
        if is_card && self.slot.loses(Shape::Text) {
            self.redact_whole()?;
        } else if is_card {
            self.counts.add(Kind::Card);
            let placeholder = self.sanitizer.placeholder(Kind::Card, spelled.as_str());
            self.sink.put_string(placeholder.as_str())?;
        }
        Ok(is_card)
    }

    /// Writes one payload after `tag`, which is in `self.slot`. If an impl of `Serialize` fails or
    /// panics, this payload is lost.
    pub(super) fn write_payload(
        &mut self,
        tag: u8,
        payload: &dyn Payload,
    ) -> Result<(), EncodeFailed> {
        let start = self.sink.chain.mark();
        let before = self.counts.saved();
        self.sink.put(&[tag])?;
        (self.depth, self.wrappers) = (0, 0);
        let encoded = catch_unwind(AssertUnwindSafe(|| payload.encode(self)));
        (self.slot, self.note) = (Slot::default(), TextNote::Nothing);
        let is_whole = matches!(encoded, Ok(Ok(()))) && self.depth == 0;
        if let Err(panic) = encoded {
            forget_panic(panic);
        }
        match self.sink.stop {
            Some(EncodeStop::Limit | EncodeStop::Memory) => return Err(EncodeFailed),
            None if is_whole => {}
            None | Some(EncodeStop::Broken) => {
                self.sink.stop = None;
                self.sink.chain.rewind(start);
                self.counts.restore(before);
                self.outcome.unserializable = true;
                self.write_placeholder("[UNSERIALIZABLE]")?;
            }
        }
        Ok(())
    }

    /// Writes `{"value": text}` in place of a payload.
    pub(super) fn write_placeholder(&mut self, text: &str) -> Result<(), EncodeFailed> {
        self.seen = SeenMembers::default();
        self.sink.put(&[PAYLOAD])?;
        self.sink.put_string(text)
    }

    /// Writes a value inside another. An error here is final, even if the impl around it continues.
    #[inline]
    pub(super) fn write_nested_value<T: ?Sized + Serialize>(
        &mut self,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        value.serialize(&mut *self).map_err(|_| self.sink.fail(EncodeStop::Broken))
    }

    /// Writes the value of a sensitive key. If the value does not stay, at most the names of its
    /// members are read.
    #[cold]
    #[inline(never)]
    pub(super) fn write_sensitive_value<T: ?Sized + Serialize>(
        &mut self,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        let slot = self.slot;
        let Ok(probed) = value.serialize(ValueProbe::new(slot)) else { return self.redact_whole() };
        let stays = match probed {
            ProbedValue::NullOrBool(tag) => {
                self.read_flag(tag == TRUE);
                return self.sink.put(&[tag]);
            }
            // Its slot decides when the text is there.
            ProbedValue::Text => true,
            ProbedValue::Number(shape) => !slot.loses(shape),
            ProbedValue::List => !slot.loses(Shape::List),
            ProbedValue::Object(None) => !slot.loses(Shape::Object),
            ProbedValue::Object(Some(form)) => {
                self.slot = slot.in_form(form);
                true
            }
            ProbedValue::EmptyList => {
                self.slot = slot.in_form(ObjectForm::Empty);
                true
            }
        };
        if stays { self.write_nested_value(value) } else { self.redact_whole() }
    }

    /// Writes a key of an object, and prepares for its value by the key as the caller spelled it.
    #[inline]
    pub(super) fn write_key(
        &mut self,
        key: &str,
        frame: &mut Frame,
        numbers: &mut KeyNumbers,
    ) -> Result<(), EncodeFailed> {
        self.slot = frame.member(self.sanitizer, key);
        self.is_user = self.note_member(key);
        if self.slot.has_plain_key() || self.sanitizer.leaves(frame.place(), key) {
            return self.sink.put_string(key);
        }
        let mut gather = StringGatherer::new(&mut self.sink);
        numbers.write_key(self.sanitizer, key, self.counts, &mut |piece| gather.add(piece));
        gather.finish()
    }

    /// Begins a container. If it is too deep, writes a placeholder instead and returns `false`.
    #[inline]
    pub(super) fn begin_container(&mut self, tag: u8) -> Result<bool, EncodeFailed> {
        let shape = if tag == SEQ { Shape::List } else { Shape::Object };
        if self.depth == DEPTH_MAX {
            self.sink.put_string("[TOO_DEEP]")?;
            return Ok(false);
        }
        if self.slot.loses(shape) {
            self.redact_whole()?;
            return Ok(false);
        }
        self.depth += 1;
        self.sink.put(&[tag])?;
        Ok(true)
    }

    /// Writes the value inside a `Some` or a newtype.
    fn write_wrapped_value<T: ?Sized + Serialize>(
        &mut self,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        if self.wrappers == DEPTH_MAX {
            return self.sink.put_string("[TOO_DEEP]");
        }
        self.wrappers += 1;
        let written = value.serialize(&mut *self);
        self.wrappers -= 1;
        written
    }

    fn write_display_value(&mut self, value: impl std::fmt::Display) -> Result<(), EncodeFailed> {
        let spelled = DisplayText::new(value)?;
        self.write_text(spelled.as_str(), self.cap)
    }
}

/// Returns the spelling of a number that is not finite, as in protobuf's JSON. JSON has no such
/// numbers.
pub(super) fn spell_nonfinite_number(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_finite() => None,
        _ if number.is_nan() => Some("NaN"),
        _ if number > 0.0 => Some("Infinity"),
        _ => Some("-Infinity"),
    }
}

impl<'e, 'c, 'r> Serializer for &'e mut Encoder<'c, 'r> {
    type Ok = ();
    type Error = EncodeFailed;
    type SerializeSeq = Compound<'e, 'c, 'r>;
    type SerializeTuple = Compound<'e, 'c, 'r>;
    type SerializeTupleStruct = Compound<'e, 'c, 'r>;
    type SerializeTupleVariant = Compound<'e, 'c, 'r>;
    type SerializeMap = Compound<'e, 'c, 'r>;
    type SerializeStruct = Compound<'e, 'c, 'r>;
    type SerializeStructVariant = Compound<'e, 'c, 'r>;

    fn serialize_bool(self, v: bool) -> Result<(), EncodeFailed> {
        self.read_flag(v);
        self.sink.put(&[if v { TRUE } else { FALSE }])
    }

    fn serialize_i8(self, v: i8) -> Result<(), EncodeFailed> {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), EncodeFailed> {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), EncodeFailed> {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<(), EncodeFailed> {
        match u64::try_from(v) {
            Ok(v) => self.serialize_u64(v),
            Err(_) if self.slot.may_be_card() && self.redact_card_number(v)? => Ok(()),
            Err(_) => self.sink.put_number(NEGATIVE, !v as u64),
        }
    }

    fn serialize_i128(self, v: i128) -> Result<(), EncodeFailed> {
        match (u64::try_from(v), i64::try_from(v)) {
            (Ok(v), _) => self.serialize_u64(v),
            (_, Ok(v)) => self.serialize_i64(v),
            _ => self.write_display_value(v),
        }
    }

    fn serialize_u8(self, v: u8) -> Result<(), EncodeFailed> {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), EncodeFailed> {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), EncodeFailed> {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), EncodeFailed> {
        if self.slot.may_be_card() && self.redact_card_number(v)? {
            return Ok(());
        }
        self.sink.put_number(UINT, v)
    }

    fn serialize_u128(self, v: u128) -> Result<(), EncodeFailed> {
        match u64::try_from(v) {
            Ok(v) => self.serialize_u64(v),
            Err(_) => self.write_display_value(v),
        }
    }

    fn serialize_f32(self, v: f32) -> Result<(), EncodeFailed> {
        // `Debug` spells a float as the line does.
        if self.slot.may_be_card() && self.redact_card_number(format_args!("{v:?}"))? {
            return Ok(());
        }
        match spell_nonfinite_number(v.into()) {
            None => self.sink.put_four(F32, v.to_le_bytes()),
            Some(name) => self.sink.put_string(name),
        }
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> Result<(), EncodeFailed> {
        if self.slot.may_be_card() && self.redact_card_number(format_args!("{v:?}"))? {
            return Ok(());
        }
        match spell_nonfinite_number(v) {
            None => self.sink.put_eight(F64, v.to_le_bytes()),
            Some(name) => self.sink.put_string(name),
        }
    }

    fn serialize_char(self, v: char) -> Result<(), EncodeFailed> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), EncodeFailed> {
        self.write_text(v, self.cap)
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), EncodeFailed> {
        self.write_display_value(format_args!("[BYTES:{}]", v.len()))
    }

    fn serialize_none(self) -> Result<(), EncodeFailed> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), EncodeFailed> {
        self.write_wrapped_value(value)
    }

    fn serialize_unit(self) -> Result<(), EncodeFailed> {
        self.sink.put(&[NULL])
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeFailed> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeFailed> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        self.write_wrapped_value(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeFailed> {
        let mut object = Compound::open_object(self)?;
        object.member(variant, value)?;
        object.close()
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, EncodeFailed> {
        Compound::open_list(self, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, EncodeFailed> {
        Compound::open_list(self, Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, EncodeFailed> {
        Compound::open_list(self, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, EncodeFailed> {
        Compound::open_variant(self, variant, SEQ, len)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, EncodeFailed> {
        Compound::open_object(self)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStruct, EncodeFailed> {
        match PrivateForm::of_struct(name) {
            Some(form) => Ok(Compound::open_private(self, form)),
            None => Compound::open_object(self),
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, EncodeFailed> {
        Compound::open_variant(self, variant, MAP, len)
    }

    fn collect_str<T: ?Sized + std::fmt::Display>(self, value: &T) -> Result<(), EncodeFailed> {
        self.write_display_value(value)
    }
}
