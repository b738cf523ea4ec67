//! The members of `data` that an event has beside its payload. They are added if the payload lacks them.

use super::event::AuditEvent;
use super::serializer::Encoder;
use super::sink::EncodeFailed;
use super::{COUNTED, END};
use crate::sanitize::{KeyNumbers, Slot};

/// Which of the members that events have beside a payload are in it, by bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenMembers(u8);

impl SeenMembers {
    #[inline]
    pub(super) fn bit(name: &str) -> u8 {
        match name {
            "model" => 1,
            "user" => 2,
            "tenant" => 4,
            "conversation" => 8,
            _ => 0,
        }
    }

    /// Takes note of a member of `data`. Reports whether its value may be the id of a person.
    #[inline]
    fn note_member(&mut self, name: &str) -> bool {
        self.0 |= Self::bit(name);
        matches!(name, "user" | "conversation")
    }

    fn has(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }
}

impl Encoder<'_, '_> {
    /// Writes `data`: the payload with `write_payload`, if there is one, and the members that it lacks.
    #[inline(always)]
    pub(super) fn write_event_data(
        &mut self,
        event: &AuditEvent<'_>,
        write_payload: impl FnOnce(&mut Self) -> Result<(), EncodeFailed>,
    ) -> Result<(), EncodeFailed> {
        let is_counted = event.has_members;
        if is_counted {
            self.sink.put(&[COUNTED])?;
        }
        self.seen = SeenMembers::default();
        if event.data.is_some() {
            write_payload(self)?;
        }
        if is_counted { self.write_counted_members(event) } else { Ok(()) }
    }

    #[inline]
    fn write_counted_members(&mut self, event: &AuditEvent<'_>) -> Result<(), EncodeFailed> {
        let seen = self.seen;
        if event.own_members().iter().any(|(name, text)| !text.is_empty() && !seen.has(name)) {
            self.write_members_but(seen, event)?;
        }
        self.sink.put(&[END])
    }

    #[inline(never)]
    fn write_members_but(
        &mut self,
        seen: SeenMembers,
        event: &AuditEvent<'_>,
    ) -> Result<(), EncodeFailed> {
        let (mut frame, mut numbers) = (self.data_slot().object(), KeyNumbers::default());
        (self.is_in_data, self.depth) = (true, 1);
        for (name, text) in event.own_members() {
            if !text.is_empty() && !seen.has(name) {
                self.write_key(name, &mut frame, &mut numbers)?;
                self.write_name(|encoder| encoder.write_text(text, encoder.cap))?;
            }
        }
        (self.is_in_data, self.is_user) = (false, false);
        (self.depth, self.slot) = (0, Slot::default());
        Ok(())
    }

    /// Takes note of a member, if it is one of `data`. Reports whether its value may be the id of a person.
    #[inline]
    pub(super) fn note_member(&mut self, name: &str) -> bool {
        self.is_in_data && self.depth == 1 && self.seen.note_member(name)
    }

    /// Sets the slot to that of `data`. Without options it is the outermost one.
    #[inline]
    pub(super) fn enter_data(&mut self) {
        self.slot = Slot::default();
        if !self.sanitizer.has_rules_alone() {
            self.slot = self.data_slot();
        }
    }

    /// Returns the slot of `data`.
    #[inline(never)]
    pub(super) fn data_slot(&self) -> Slot {
        Slot::at(self.sanitizer.enter(self.sanitizer.root(), "data"))
    }
}
