//! Writes the arguments and the result of an audited function. Arguments are also kept for an error
//! that may come later.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::encode::Outcome;
use super::serializer::{Encoder, Payload};
use super::sink::{Failed, Stop};
use super::text::Spelled;
use super::{END, MAP};
use crate::panics::forget_panic;
use crate::ring::Chain;
use crate::sanitize::{Fate, Frame, KeyNumbers, Redactions, Sanitizer, Slot, debug};

/// A name and its value.
pub(crate) type Member<'a> = (&'a str, Value<'a>);

/// A value, and the way it is written.
#[derive(Clone, Copy)]
pub struct Value<'a>(Form<'a>);

#[derive(Clone, Copy)]
enum Form<'a> {
    Payload(&'a dyn Payload),
    Debug(&'a dyn fmt::Debug),
    Text(&'a str),
    Object(&'a [Member<'a>], Option<&'a Members>),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

impl<'a> Value<'a> {
    /// Returns a value that is written by its `Serialize` impl.
    pub(crate) fn payload(payload: &'a dyn Payload) -> Self {
        Self(Form::Payload(payload))
    }

    /// Returns a value that is written as the text of its `Debug`.
    pub(crate) fn debug(value: &'a dyn fmt::Debug) -> Self {
        Self(Form::Debug(value))
    }

    pub(crate) fn text(text: &'a str) -> Self {
        Self(Form::Text(text))
    }

    /// Returns an object of these members, and of those that were encoded before.
    pub(crate) fn object(members: &'a [Member<'a>], encoded: Option<&'a Members>) -> Self {
        Self(Form::Object(members, encoded))
    }
}

/// Members of an object that were encoded and redacted outside of an event.
#[derive(Debug)]
pub(crate) struct Members {
    bytes: Vec<u8>,
    counts: Redactions,
    outcome: Outcome,
}

impl Members {
    /// Encodes `members` in `chain`, which must be empty, and copies them out of it.
    ///
    /// A quarter of the chain's limit is kept of a string. If a member still does not fit, it
    /// becomes `[TRUNCATED:n]`. If not even that fits, this member and all later ones are left out.
    pub(crate) fn encode(
        members: &[Member<'_>],
        chain: &mut Chain<'_>,
        sanitizer: &Sanitizer,
    ) -> Self {
        let mut encoder = Encoder::new(chain, sanitizer);
        // The members will be inside an object.
        encoder.depth = 1;
        encoder.cap = encoder.sink.chain.limit() / 4;
        let (mut frame, mut numbers) = (Slot::default().object(), KeyNumbers::default());
        for (name, value) in members {
            if encoder.fitted_member(name, value, &mut frame, &mut numbers).is_err() {
                break;
            }
        }
        let (counts, outcome) = (encoder.counts, encoder.outcome);
        Self { bytes: chain.to_vec(), counts, outcome }
    }
}

impl Payload for Value<'_> {
    fn encode(&self, encoder: &mut Encoder<'_, '_>) -> Result<(), Failed> {
        match self.0 {
            Form::Payload(payload) => payload.encode(encoder),
            Form::Debug(value) => encoder.debug(value),
            Form::Text(text) => encoder.text(text, encoder.cap),
            Form::Object(members, encoded) => encoder.object(members, encoded),
        }
    }
}

impl Encoder<'_, '_> {
    fn object(&mut self, members: &[Member<'_>], encoded: Option<&Members>) -> Result<(), Failed> {
        let mut frame = self.slot.object();
        if !self.begin(MAP)? {
            return Ok(());
        }
        let mut numbers = KeyNumbers::default();
        members
            .iter()
            .try_for_each(|(name, value)| self.member(name, value, &mut frame, &mut numbers))?;
        if let Some(encoded) = encoded {
            self.sink.put(&encoded.bytes)?;
            self.counts.merge(&encoded.counts);
            self.outcome.truncated |= encoded.outcome.truncated;
            self.outcome.unserializable |= encoded.outcome.unserializable;
        }
        self.depth -= 1;
        self.sink.put(&[END])
    }

    /// Writes one member. If a value fails or panics, only this member is lost.
    fn member(
        &mut self,
        name: &str,
        value: &Value<'_>,
        frame: &mut Frame,
        numbers: &mut KeyNumbers,
    ) -> Result<(), Failed> {
        self.key(name, frame, numbers)?;
        let slot = self.slot;
        self.member_value(value)?;
        self.note_name(slot, frame);
        Ok(())
    }

    fn member_value(&mut self, value: &Value<'_>) -> Result<(), Failed> {
        if self.slot.fate() == Fate::Whole {
            return self.redact_whole();
        }
        let start = self.sink.chain.mark();
        let (depth, wrappers) = (self.depth, self.wrappers);
        let before = self.counts.clone();
        let encoded = catch_unwind(AssertUnwindSafe(|| value.encode(self)));
        let is_whole = matches!(encoded, Ok(Ok(()))) && self.depth == depth;
        if let Err(panic) = encoded {
            forget_panic(panic);
        }
        (self.depth, self.wrappers) = (depth, wrappers);
        match self.sink.stop {
            None if is_whole => Ok(()),
            Some(Stop::Limit | Stop::Memory) => Err(Failed),
            None | Some(Stop::Broken) => {
                self.sink.stop = None;
                self.sink.chain.rewind(start);
                self.counts = before;
                self.outcome.unserializable = true;
                self.sink.string("[UNSERIALIZABLE]")
            }
        }
    }

    /// Writes one member, or a placeholder if the member does not fit.
    fn fitted_member(
        &mut self,
        name: &str,
        value: &Value<'_>,
        frame: &mut Frame,
        numbers: &mut KeyNumbers,
    ) -> Result<(), Failed> {
        let (start, before) = (self.sink.chain.mark(), self.sink.chain.len());
        let counts = self.counts.clone();
        let written = self.member(name, value, frame, numbers);
        if written.is_ok() {
            return written;
        }
        let reached = self.sink.chain.len();
        self.sink.chain.rewind(start);
        self.sink.stop = None;
        self.counts = counts;
        self.outcome.truncated = true;
        let note = Spelled::new(format_args!("[TRUNCATED:{}]", reached - before))?;
        let written = self.member(name, &Value::text(note.as_str()), frame, numbers);
        if written.is_err() {
            self.sink.chain.rewind(start);
        }
        written
    }

    /// Writes the text of a value's `Debug`, without what follows the name of a sensitive field.
    fn debug(&mut self, value: &dyn fmt::Debug) -> Result<(), Failed> {
        let text = debug::redacted(value, self.sanitizer, &mut self.counts).ok_or(Failed)?;
        self.text(&text, self.cap)
    }
}
