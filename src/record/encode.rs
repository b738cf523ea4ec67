//! Encodes a whole event: its head, its error and its data. If they do not fit, they are cut.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::event::{AuditEvent, ErrorDetail};
use super::serializer::{Encoder, Payload};
use super::sink::{EncodeFailed, EncodeStop};
use super::text::DisplayText;
use super::type_name::with_event_type_name;
use super::{
    END, ERROR, FALSE, HAS_OTHERS, HEAD_BYTES, KEPT_SHIFT, MAP, PAYLOAD, SEQ, TRUE, UINT, flag,
};
use crate::panics::forget_panic;
use crate::ring::{Chain, ChainMark};
use crate::sampler::Kept;
use crate::sanitize::{KeyNumbers, Redactions, Sanitizer, Slot};
use crate::user_names::UserNames;

/// The bytes kept of an agent, an action and an error's type, whatever else the event contains.
const NAME_BYTES_MAX: usize = 256;
/// The same for an event that has room for nothing else, which must fit into 1 KiB.
const NAME_BYTES_MIN: usize = 64;
/// If an event is over its limit, it is encoded again and keeps less of each string of its
/// payloads. This is the smallest limit per string.
pub(super) const CAP_BYTES_MIN: usize = 64;
/// What a container may take at least, however deep it is.
const CONTAINER_BYTES_MIN: usize = 1024;
/// What a container leaves at most of the room of the one around it, for the members after it.
const SIBLINGS_BYTES_MAX: usize = 8 << 10;
/// In the last attempt a member of the payload's root that takes more becomes a placeholder.
const MEMBER_BYTES_FINAL: usize = 1024;
/// The bytes that `data` leaves free in the last attempt for the members that the event has beside its payload.
const COUNTED_BYTES: usize = 512;
/// The bytes that a payload leaves free, below that limit, for the placeholders of later payloads, and for
/// those members.
const PLACEHOLDERS_BYTES: usize = 128 + COUNTED_BYTES;

/// The ids and the time that the logger has decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHead {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    pub(crate) kept: Kept,
    /// Whether there may be other events of its trace. If not, it never waits for them.
    pub(crate) has_others: bool,
    /// Whether the event's content is kept only if its trace fails.
    pub(crate) marks_content: bool,
}

/// What decides how an event is encoded.
#[derive(Clone, Copy)]
pub(crate) struct EncodeRules<'a> {
    pub(crate) sanitizer: &'a Sanitizer,
    pub(crate) user_names: &'a UserNames,
    pub(crate) include_snapshots: bool,
}

/// What an event lost while it was encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncodeOutcome {
    /// The `Serialize` impl of a payload failed or panicked.
    pub(crate) unserializable: bool,
    /// A string or a whole payload was cut.
    pub(crate) truncated: bool,
}

/// The error if the queue had no memory for the event. The chain is unchanged.
///
/// It is also returned if not even placeholders fit, which cannot happen with a limit of at least 4
/// KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// Writes `event` after what `chain` contains, and adds to `counts` what was redacted.
///
/// The chain's limit must be at least 4 KiB. If an event is over it, the event is cut until it
/// fits. First its longest strings, lists and objects are cut, but never keys. A cut list ends with
/// `"[TRUNCATED:n members]"`, and a cut object has the number of missing members under
/// `[TRUNCATED]`. Then long members of a payload become `"[TRUNCATED:n]"`. At last whole payloads
/// become `{"value": "[TRUNCATED:n]"}`. There n is the number of bytes encoded before the value was
/// given up. Every attempt serializes the payloads again.
pub(crate) fn encode_event<'c>(
    event: &AuditEvent<'_>,
    head: &EventHead,
    chain: &'c mut Chain<'_>,
    rules: EncodeRules<'c>,
    counts: &'c mut Redactions,
) -> Result<EncodeOutcome, NoMemory> {
    run_encoder(chain, rules.sanitizer, counts, |encoder| {
        encoder.user_names = Some(rules.user_names);
        encoder.write_event_head(event, head, NAME_BYTES_MAX)?;
        encoder.write_event_payloads(event, rules)
    })
}

/// Writes `event` without its payloads; see [`encode_event`]. Each payload becomes
/// `{"value": "[NO_ROOM]"}`. The event takes less than 1 KiB.
pub(crate) fn encode_event_head<'c>(
    event: &AuditEvent<'_>,
    head: &EventHead,
    chain: &'c mut Chain<'_>,
    rules: EncodeRules<'c>,
    counts: &'c mut Redactions,
) -> Result<EncodeOutcome, NoMemory> {
    run_encoder(chain, rules.sanitizer, counts, |encoder| {
        (encoder.user_names, encoder.cap) = (Some(rules.user_names), NAME_BYTES_MIN);
        // Without payloads it has no content.
        let head = EventHead { marks_content: false, ..*head };
        encoder.write_event_head(event, &head, NAME_BYTES_MIN)?;
        encoder.outcome.truncated = true;
        if event.error.is_some() {
            encoder.write_placeholder("[NO_ROOM]")?;
        }
        encoder.write_event_data(event, |encoder| encoder.write_placeholder("[NO_ROOM]"))
    })
}

/// Runs `write` with a new encoder. If it fails, the chain is restored.
fn run_encoder<'c, 'r>(
    chain: &'c mut Chain<'r>,
    sanitizer: &'c Sanitizer,
    counts: &'c mut Redactions,
    write: impl FnOnce(&mut Encoder<'c, 'r>) -> Result<(), EncodeFailed>,
) -> Result<EncodeOutcome, NoMemory> {
    let saved = counts.saved();
    let mut encoder = Encoder::new(chain, sanitizer, counts);
    let start = encoder.sink.chain.mark();
    if write(&mut encoder).is_err() {
        encoder.sink.chain.rewind(start);
        encoder.counts.restore(saved);
        return Err(NoMemory);
    }
    Ok(encoder.outcome)
}

impl Encoder<'_, '_> {
    /// Writes everything except the payloads.
    fn write_event_head(
        &mut self,
        event: &AuditEvent<'_>,
        head: &EventHead,
        cap: usize,
    ) -> Result<(), EncodeFailed> {
        self.sink.put_array(&event_head_bytes(event, head))?;
        if let Some(cost) = event.cost_usd {
            self.sink.put(&cost.to_le_bytes())?;
        }
        if event.event_type.code() == u8::MAX {
            self.write_name(|encoder| {
                let (sink, name) = (&mut encoder.sink, event.event_type.name());
                with_event_type_name(name, encoder.sanitizer, encoder.counts, |name| {
                    sink.put_string(name)
                })
            })?;
        }
        self.write_label(event.agent, cap)?;
        self.write_label(event.action, cap)?;
        if head.marks_content {
            self.write_content_names(event.content)?;
        }
        Ok(())
    }

    /// Writes the agent or the action.
    #[inline(always)]
    fn write_label(&mut self, name: &str, cap: usize) -> Result<(), EncodeFailed> {
        match name.len() <= cap && self.sanitizer.is_plain_name(name) {
            true => self.sink.put_string(name),
            false => self.write_label_to_read(name, cap),
        }
    }

    #[inline(never)]
    fn write_label_to_read(&mut self, name: &str, cap: usize) -> Result<(), EncodeFailed> {
        self.write_name(|encoder| encoder.write_text(name, cap))
    }

    /// Writes the names of content as the data has them: redacted. That is counted where they are members.
    fn write_content_names(&mut self, names: &[&str]) -> Result<(), EncodeFailed> {
        let counts = self.counts.saved();
        self.sink.put(&[SEQ])?;
        for name in names {
            let (mut frame, mut numbers) = (self.data_slot().object(), KeyNumbers::default());
            self.write_name(|encoder| encoder.write_key(name, &mut frame, &mut numbers))?;
        }
        self.counts.restore(counts);
        self.slot = Slot::default();
        self.sink.put(&[END])
    }

    /// Writes a name of the event. If redaction panics, a placeholder is written instead.
    pub(super) fn write_name(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeFailed>,
    ) -> Result<(), EncodeFailed> {
        let start = self.sink.chain.mark();
        let written = catch_unwind(AssertUnwindSafe(|| write(self)));
        written.unwrap_or_else(|panic| {
            forget_panic(panic);
            self.sink.chain.rewind(start);
            self.outcome.unserializable = true;
            self.sink.put_string("[UNSERIALIZABLE]")
        })
    }

    /// Writes the payloads, and cuts them as often as needed.
    fn write_event_payloads(
        &mut self,
        event: &AuditEvent<'_>,
        rules: EncodeRules<'_>,
    ) -> Result<(), EncodeFailed> {
        let (start, outcome) = (self.sink.chain.mark(), self.outcome);
        let head_counts = self.counts.saved();
        let mut written = self.try_event_payloads(event, rules, false);
        let mut is_last = false;
        while written.is_err() && self.sink.stop == Some(EncodeStop::Limit) && !is_last {
            self.sink.chain.rewind(start);
            self.sink.stop = None;
            self.counts.restore(head_counts.clone());
            self.outcome = outcome;
            is_last = self.cap == CAP_BYTES_MIN;
            self.cap = self.next_string_cap();
            written = self.try_cut_payloads(event, rules, is_last);
        }
        written
    }

    #[cold]
    #[inline(never)]
    fn try_cut_payloads(
        &mut self,
        event: &AuditEvent<'_>,
        rules: EncodeRules<'_>,
        fitting: bool,
    ) -> Result<(), EncodeFailed> {
        self.try_event_payloads(event, rules, fitting)
    }

    /// Returns how many bytes are kept of each string in the next attempt.
    ///
    /// Usually only one string or one container is too long. So the first attempt keeps what the bytes
    /// before the last string leave of the limit, minus a sixteenth. If that string began too late to
    /// be the long one, it keeps all but the sixteenth. If that does not fit, the next one keeps half of
    /// the limit, and so on.
    fn next_string_cap(&self) -> usize {
        let limit = self.sink.chain.limit();
        let most = limit - limit / 16;
        let next = match self.cap {
            usize::MAX => match most.saturating_sub(self.text_start) {
                rest if rest < limit / 4 => most,
                rest => rest,
            },
            cap if cap > limit / 2 => limit / 2,
            cap if cap > limit / 8 => cap / 2,
            cap => cap / 4,
        };
        next.max(CAP_BYTES_MIN)
    }

    /// Returns the length of the chain at which a container that begins now takes no more members.
    ///
    /// Each level has a little less room than the one above. So the longest member of an object
    /// leaves room for the others.
    #[inline]
    pub(super) fn container_end(&self) -> usize {
        match (self.depth, self.cap) {
            (0, _) => self.root_end,
            (_, usize::MAX) => usize::MAX,
            (depth, cap) => {
                let room =
                    (0..depth).fold(cap, |room, _| room - (room / 8).min(SIBLINGS_BYTES_MAX));
                self.sink.chain.len() + room.max(CONTAINER_BYTES_MIN)
            }
        }
    }

    /// Writes a value with `write`. In the last attempt a member of the payload's root that does not
    /// fit, or that is not short, becomes a placeholder.
    #[inline]
    pub(super) fn write_bounded_member(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeFailed>,
    ) -> Result<(), EncodeFailed> {
        match self.root_end == usize::MAX || self.depth != 1 {
            true => write(self),
            false => self.write_short_member(write),
        }
    }

    #[cold]
    fn write_short_member(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeFailed>,
    ) -> Result<(), EncodeFailed> {
        let (start, before) = (self.sink.chain.mark(), self.sink.chain.len());
        let counts = self.counts.saved();
        let written = write(self);
        let reached = self.sink.chain.len();
        if !matches!(self.sink.stop, None | Some(EncodeStop::Limit))
            || written.is_ok() && reached - before <= MEMBER_BYTES_FINAL
        {
            return written;
        }
        let note = self.give_up(start, counts, reached - before)?;
        (self.depth, self.wrappers) = (1, 0);
        self.sink.put_string(note.as_str())
    }

    /// Takes back what was written after `start`, which were so many bytes. Returns what is to be
    /// written in its place.
    pub(super) fn give_up(
        &mut self,
        start: ChainMark,
        counts: Option<Redactions>,
        bytes: usize,
    ) -> Result<DisplayText, EncodeFailed> {
        self.sink.chain.rewind(start);
        self.sink.stop = None;
        self.counts.restore(counts);
        self.outcome.truncated = true;
        DisplayText::new(format_args!("[TRUNCATED:{bytes}]"))
    }

    /// Writes at the end of a cut container how many members are missing in it.
    #[cold]
    pub(super) fn write_missing(&mut self, tag: u8, missing: u64) -> Result<(), EncodeFailed> {
        self.outcome.truncated = true;
        match tag {
            SEQ => {
                let note = DisplayText::new(format_args!("[TRUNCATED:{missing} members]"))?;
                self.sink.put_string(note.as_str())
            }
            _ => {
                self.sink.put_string("[TRUNCATED]")?;
                self.sink.put_number(UINT, missing)
            }
        }
    }

    /// Writes error and data once. If `fitting`, a payload that is still too long becomes a
    /// placeholder.
    #[inline(always)]
    fn try_event_payloads(
        &mut self,
        event: &AuditEvent<'_>,
        rules: EncodeRules<'_>,
        fitting: bool,
    ) -> Result<(), EncodeFailed> {
        let sixteenth = self.sink.chain.limit() / 16;
        if let Some(error) = event.error {
            // A quarter is left for `data`.
            self.root_end = if fitting { 12 * sixteenth } else { usize::MAX };
            self.write_event_error(error, rules.include_snapshots, fitting)?;
        }
        self.write_event_data(event, |encoder| {
            let Some(data) = event.data else { return Ok(()) };
            encoder.root_end = if fitting { 15 * sixteenth } else { usize::MAX };
            encoder.enter_data();
            encoder.is_in_data = true;
            let room = if event.has_members { COUNTED_BYTES } else { 0 };
            let written = encoder.write_fitted_payload(fitting, room, PAYLOAD, data);
            encoder.is_in_data = false;
            written
        })
    }

    #[inline(never)]
    fn write_event_error(
        &mut self,
        detail: &ErrorDetail<'_>,
        include_snapshots: bool,
        fitting: bool,
    ) -> Result<(), EncodeFailed> {
        if let Some(object) = detail.object {
            self.left_out = (!include_snapshots).then_some("input_snapshot");
            let written = self.write_fitted_payload(fitting, PLACEHOLDERS_BYTES, ERROR, object);
            self.left_out = None;
            return written;
        }
        self.sink.put(&[MAP])?;
        self.sink.put_string("type")?;
        self.write_text(&detail.error_type, NAME_BYTES_MAX)?;
        self.sink.put_string("message")?;
        self.write_text(&detail.message, self.cap)?;
        if let Some(traceback) = &detail.traceback {
            self.sink.put_string("traceback")?;
            self.write_text(traceback, self.cap)?;
        }
        if let Some(recoverable) = detail.recoverable {
            self.sink.put_string("recoverable")?;
            self.sink.put(&[if recoverable { TRUE } else { FALSE }])?;
        }
        if let Some(snapshot) = detail.input_snapshot.filter(|_| include_snapshots) {
            self.sink.put_string("input_snapshot")?;
            self.write_fitted_payload(fitting, PLACEHOLDERS_BYTES, PAYLOAD, snapshot)?;
        }
        if let Some(environment) = detail.environment {
            self.sink.put_string("environment")?;
            self.write_fitted_payload(fitting, PLACEHOLDERS_BYTES, PAYLOAD, environment)?;
        }
        self.sink.put(&[END])
    }

    /// Writes one payload. If `fitting` and the payload does not leave `room` for what follows, it
    /// becomes a placeholder.
    #[inline(always)]
    fn write_fitted_payload(
        &mut self,
        fitting: bool,
        room: usize,
        tag: u8,
        payload: &dyn Payload,
    ) -> Result<(), EncodeFailed> {
        match fitting {
            true => self.write_payload_into(room, tag, payload),
            false => self.write_payload(tag, payload),
        }
    }

    /// Writes one payload. If it does not leave `room`, it becomes a placeholder.
    #[cold]
    #[inline(never)]
    fn write_payload_into(
        &mut self,
        room: usize,
        tag: u8,
        payload: &dyn Payload,
    ) -> Result<(), EncodeFailed> {
        let (start, before) = (self.sink.chain.mark(), self.sink.chain.len());
        let counts = self.counts.saved();
        let written = self.write_payload(tag, payload);
        if self.sink.stop == Some(EncodeStop::Memory) {
            return Err(EncodeFailed);
        }
        let reached = self.sink.chain.len();
        if written.is_err() || self.sink.chain.limit() - reached < room {
            let text = self.give_up(start, counts, reached - before)?;
            self.write_placeholder(text.as_str())?;
        }
        Ok(())
    }
}

#[inline]
fn event_head_bytes(event: &AuditEvent<'_>, head: &EventHead) -> [u8; HEAD_BYTES] {
    let flags = [
        (flag::PARENT, head.parent_span_id.is_some()),
        (flag::LATENCY, event.latency_ms.is_some()),
        (flag::TOKENS_INPUT, event.tokens_input.is_some()),
        (flag::TOKENS_OUTPUT, event.tokens_output.is_some()),
        (flag::COST, event.cost_usd.is_some()),
        (flag::DATA, event.data.is_some() || event.has_members),
        (flag::ERROR, event.error.is_some()),
        (flag::CONTENT, head.marks_content),
    ];
    let set = flags.iter().fold(0, |all, (flag, is_set)| all | (flag * u8::from(*is_set)));
    let mut bytes = [0; HEAD_BYTES];
    let has_others = if head.has_others { HAS_OTHERS } else { 0 };
    let state = event.status as u8 | (head.kept as u8) << KEPT_SHIFT | has_others;
    bytes[..3].copy_from_slice(&[event.event_type.code(), state, set]);
    bytes[3..19].copy_from_slice(&head.trace_id.to_le_bytes());
    let words = [
        head.span_id,
        head.parent_span_id.unwrap_or(0),
        head.timestamp as u64,
        event.latency_ms.unwrap_or(0.0).to_bits(),
        event.tokens_input.unwrap_or(0),
        event.tokens_output.unwrap_or(0),
    ];
    for (place, word) in bytes[19..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
