//! Writes the arguments and the result of an audited function. Arguments are also kept for an error
//! that may come later.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(feature = "replay")]
use llm_audit_log::json::JsonObject;
#[cfg(feature = "replay")]
use llm_audit_log::schema::AppendJson;

#[cfg(feature = "replay")]
use super::decode::EncodedValue;
use super::encode::{CAP_BYTES_MIN, EncodeOutcome};
use super::serializer::{Encoder, Payload};
use super::sink::{EncodeFailed, EncodeStop};
use super::{END, MAP};
use crate::panics::forget_panic;
use crate::ring::Chain;
use crate::sanitize::{Fate, Frame, KeyNumbers, Redactions, Sanitizer, Slot, debug};

/// A name and its value.
pub(crate) type Member<'a> = (&'a str, Value<'a>);

/// A value, and the way it is written.
#[derive(Clone, Copy)]
pub struct Value<'a>(ValueForm<'a>);

#[derive(Clone, Copy)]
enum ValueForm<'a> {
    Payload(&'a dyn Payload),
    Debug(&'a dyn fmt::Debug),
    Text(&'a str),
    Object(&'a [Member<'a>], Option<&'a EncodedMembers>),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

impl<'a> Value<'a> {
    /// Returns a value that is written by its `Serialize` impl.
    pub(crate) fn payload(payload: &'a dyn Payload) -> Self {
        Self(ValueForm::Payload(payload))
    }

    /// Returns a value that is written as the text of its `Debug`.
    pub(crate) fn debug(value: &'a dyn fmt::Debug) -> Self {
        Self(ValueForm::Debug(value))
    }

    pub(crate) fn text(text: &'a str) -> Self {
        Self(ValueForm::Text(text))
    }

    /// Returns an object of these members, and of those that were encoded before.
    pub(crate) fn object(members: &'a [Member<'a>], encoded: Option<&'a EncodedMembers>) -> Self {
        Self(ValueForm::Object(members, encoded))
    }
}

/// Members of an object that were encoded and redacted outside of an event.
#[derive(Debug)]
pub(crate) struct EncodedMembers {
    bytes: Vec<u8>,
    /// `None` if nothing was redacted. The futures of audited functions hold this, so it is small.
    counts: Option<Box<Redactions>>,
    outcome: EncodeOutcome,
}

impl EncodedMembers {
    /// Encodes `members` in `chain`, which must be empty, and copies them out of it.
    ///
    /// All together get half of the chain's limit. A string, a list or an object gets at most half
    /// of what is left of it. If a member still does not fit, it becomes `[TRUNCATED:n]`. If not
    /// even that fits, this member and all later ones are left out.
    pub(crate) fn encode(
        members: &[Member<'_>],
        chain: &mut Chain<'_>,
        sanitizer: &Sanitizer,
    ) -> Self {
        let mut counts = Redactions::default();
        let mut encoder = Encoder::new(chain, sanitizer, &mut counts);
        // The members will be inside an object.
        encoder.depth = 1;
        let half = encoder.sink.chain.limit() / 2;
        let (mut frame, mut numbers) = (Slot::default().object(), KeyNumbers::default());
        for (name, value) in members {
            let left = half.saturating_sub(encoder.sink.chain.len());
            encoder.cap = (left / 2).max(CAP_BYTES_MIN);
            if encoder.write_fitted_member(name, value, &mut frame, &mut numbers).is_err() {
                break;
            }
        }
        let outcome = encoder.outcome;
        let counts = counts.saved().map(Box::new);
        Self { bytes: chain.to_vec(), counts, outcome }
    }
}

#[cfg(feature = "replay")]
impl EncodedMembers {
    /// Returns the members as an object, as a line has them.
    pub(crate) fn to_value(&self) -> Option<serde_json::Value> {
        let object = [&[MAP], &*self.bytes, &[END]].concat();
        let mut json = Vec::new();
        if !EncodedValue(&object).append(&mut json) {
            return None;
        }
        // serde_json reads a few fractions as their neighbors.
        let object = JsonObject::parse(&mut json, "object of arguments").ok()?;
        serde_json::to_value(object.json()).ok()
    }
}

impl Payload for Value<'_> {
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), EncodeFailed> {
        match self.0 {
            ValueForm::Payload(payload) => payload.encode(encoder),
            ValueForm::Debug(value) => encoder.write_debug_member(value),
            ValueForm::Text(text) => encoder.write_text(text, encoder.cap),
            ValueForm::Object(members, encoded) => encoder.write_members_object(members, encoded),
        }
    }
}

impl Encoder<'_, '_> {
    fn write_members_object(
        &mut self,
        members: &[Member<'_>],
        encoded: Option<&EncodedMembers>,
    ) -> Result<(), EncodeFailed> {
        let (mut frame, end) = (self.slot.object(), self.container_end());
        if !self.begin_container(MAP)? {
            return Ok(());
        }
        let (mut numbers, mut missing) = (KeyNumbers::default(), 0);
        for (name, value) in members {
            if self.sink.chain.len() >= end {
                missing += 1;
                continue;
            }
            self.write_member(name, value, &mut frame, &mut numbers)?;
        }
        if missing > 0 {
            self.write_missing(MAP, missing)?;
        }
        if let Some(encoded) = encoded {
            self.sink.put(&encoded.bytes)?;
            if let Some(counts) = &encoded.counts {
                self.counts.merge(counts);
            }
            self.outcome.truncated |= encoded.outcome.truncated;
            self.outcome.unserializable |= encoded.outcome.unserializable;
        }
        self.depth -= 1;
        self.sink.put(&[END])
    }

    /// Writes one member. If a value fails or panics, only this member is lost.
    fn write_member(
        &mut self,
        name: &str,
        value: &Value<'_>,
        frame: &mut Frame,
        numbers: &mut KeyNumbers,
    ) -> Result<(), EncodeFailed> {
        self.write_key(name, frame, numbers)?;
        self.write_bounded_member(|encoder| encoder.write_member_value(value))?;
        self.pass_note_to(frame);
        Ok(())
    }

    fn write_member_value(&mut self, value: &Value<'_>) -> Result<(), EncodeFailed> {
        if self.slot.fate() == Fate::Whole {
            return self.redact_whole();
        }
        let start = self.sink.chain.mark();
        let (depth, wrappers) = (self.depth, self.wrappers);
        let before = self.counts.saved();
        let encoded = catch_unwind(AssertUnwindSafe(|| value.encode(self)));
        let is_whole = matches!(encoded, Ok(Ok(()))) && self.depth == depth;
        if let Err(panic) = encoded {
            forget_panic(panic);
        }
        (self.depth, self.wrappers) = (depth, wrappers);
        match self.sink.stop {
            None if is_whole => Ok(()),
            Some(EncodeStop::Limit | EncodeStop::Memory) => Err(EncodeFailed),
            None | Some(EncodeStop::Broken) => {
                self.sink.stop = None;
                self.sink.chain.rewind(start);
                self.counts.restore(before);
                self.outcome.unserializable = true;
                self.sink.put_string("[UNSERIALIZABLE]")
            }
        }
    }

    /// Writes one member, or a placeholder if the member does not fit.
    fn write_fitted_member(
        &mut self,
        name: &str,
        value: &Value<'_>,
        frame: &mut Frame,
        numbers: &mut KeyNumbers,
    ) -> Result<(), EncodeFailed> {
        let (start, before) = (self.sink.chain.mark(), self.sink.chain.len());
        let counts = self.counts.saved();
        let written = self.write_member(name, value, frame, numbers);
        if written.is_ok() {
            return written;
        }
        let reached = self.sink.chain.len();
        let note = self.give_up(start, counts, reached - before)?;
        let written = self.write_member(name, &Value::text(note.as_str()), frame, numbers);
        if written.is_err() {
            self.sink.chain.rewind(start);
        }
        written
    }

    /// Writes the text of a value's `Debug`, without what follows the name of a sensitive field.
    fn write_debug_member(&mut self, value: &dyn fmt::Debug) -> Result<(), EncodeFailed> {
        let text = debug::redacted(value, self.sanitizer, self.counts).ok_or(EncodeFailed)?;
        self.write_text(&text, self.cap)
    }
}

#[cfg(all(test, feature = "replay"))]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_among_the_members_is_exact() {
        // The parser of serde_json reads it as its neighbor, unless a feature of it is on.
        let fraction = 0.907_303_832_202_868_9;
        let value = Value::payload(&fraction);
        let mut chain = Chain::for_tests(1 << 16);
        let members = EncodedMembers::encode(&[("at", value)], &mut chain, &Sanitizer::default());
        let object = members.to_value().expect("members are an object");
        assert_eq!(object["at"].as_f64(), Some(fraction));
    }
}
