//! How a whole event is written: its head, its error, its data, and what happens when they do not
//! fit.

use super::event::{AuditEvent, ErrorDetail};
use super::serializer::{Encoder, Payload};
use super::sink::{Failed, Stop};
use super::text::Spelled;
use super::type_name::with_type_name;
use super::{END, ERROR, FALSE, HEAD_BYTES, MAP, PAYLOAD, TRUE, flag};
use crate::ring::Chain;
use crate::sanitize::{Redactions, Sanitizer, Slot};

/// Bytes kept of an agent, an action and an error's type, whatever else the event holds.
const NAME_BYTES_MAX: usize = 256;
/// The same for an event that has room for nothing else: it has to fit in 1 KiB.
const NAME_BYTES_MIN: usize = 64;
/// An event over its limit is encoded again with less and less kept of each string of its
/// payloads. This is where that ends.
const CAP_BYTES_MIN: usize = 64;
/// What a payload leaves free, past that end, for the placeholders of those behind it.
const PLACEHOLDERS_BYTES: usize = 128;

/// The ids and the time that the logger has settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) timestamp: i64,
}

/// What an event lost while it was encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The `Serialize` impl of a payload failed or panicked.
    pub(crate) unserializable: bool,
    /// A string, or a whole payload, was cut.
    pub(crate) truncated: bool,
}

/// The queue had no memory for the event. The chain is as it was before.
///
/// Also the answer where not even placeholders fit, which a limit of 4 KiB rules out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// Writes `event` behind what `chain` holds, and adds to `counts` what was redacted.
///
/// An event over the chain's limit, which is to be at least 4 KiB, is cut until it fits: first its
/// longest strings (never keys), then whole payloads, which become `{"value": "[TRUNCATED:n]"}`,
/// n being the encoded bytes at which it was given up. Every attempt serializes the payloads anew.
pub(crate) fn encode(
    event: &AuditEvent<'_>,
    head: Head,
    chain: &mut Chain<'_>,
    sanitizer: &Sanitizer,
    include_snapshots: bool,
    counts: &mut Redactions,
) -> Result<Outcome, NoMemory> {
    run(chain, sanitizer, counts, |encoder| {
        encoder.head(event, head, NAME_BYTES_MAX)?;
        encoder.body(event, include_snapshots)
    })
}

/// As [`encode`], with nothing of the payloads: where there are any, `{"value": "[NO_ROOM]"}`
/// stands for each. Takes less than 1 KiB.
pub(crate) fn encode_head_only(
    event: &AuditEvent<'_>,
    head: Head,
    chain: &mut Chain<'_>,
    sanitizer: &Sanitizer,
    counts: &mut Redactions,
) -> Result<Outcome, NoMemory> {
    run(chain, sanitizer, counts, |encoder| {
        encoder.head(event, head, NAME_BYTES_MIN)?;
        encoder.outcome.truncated = true;
        let payloads = usize::from(event.error.is_some()) + usize::from(event.data.is_some());
        (0..payloads).try_for_each(|_| encoder.placeholder("[NO_ROOM]"))
    })
}

/// Runs `write` over a new encoder and puts the chain back where it was if it fails.
fn run(
    chain: &mut Chain<'_>,
    sanitizer: &Sanitizer,
    counts: &mut Redactions,
    write: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), Failed>,
) -> Result<Outcome, NoMemory> {
    let mut encoder = Encoder::new(chain, sanitizer);
    let start = encoder.sink.chain.mark();
    if write(&mut encoder).is_err() {
        encoder.sink.chain.rewind(start);
        return Err(NoMemory);
    }
    counts.merge(&encoder.counts);
    Ok(encoder.outcome)
}

impl Encoder<'_, '_> {
    /// Everything but the payloads.
    fn head(&mut self, event: &AuditEvent<'_>, head: Head, cap: usize) -> Result<(), Failed> {
        self.sink.put(&head_bytes(event, head))?;
        if let Some(cost) = event.cost_usd {
            self.sink.put(&cost.to_le_bytes())?;
        }
        if event.event_type.code() == u8::MAX {
            let (sink, name) = (&mut self.sink, event.event_type.name());
            with_type_name(name, self.sanitizer, &mut self.counts, |name| sink.string(name))?;
        }
        self.text(event.agent, cap)?;
        self.text(event.action, cap)
    }

    /// The payloads, cut as often as it takes.
    fn body(&mut self, event: &AuditEvent<'_>, include_snapshots: bool) -> Result<(), Failed> {
        let (start, outcome) = (self.sink.chain.mark(), self.outcome);
        let head_counts = std::mem::take(&mut self.counts);
        loop {
            let is_last = self.cap == CAP_BYTES_MIN;
            match self.payloads(event, include_snapshots, is_last) {
                Err(_) if self.sink.stop == Some(Stop::Limit) && !is_last => {}
                ended => {
                    self.counts.merge(&head_counts);
                    return ended;
                }
            }
            self.sink.chain.rewind(start);
            self.sink.stop = None;
            self.counts = Redactions::default();
            self.outcome = outcome;
            self.cap = self.next_cap();
        }
    }

    /// What is kept of each string the next time. Mostly one is too long: then all but a sixteenth
    /// of the limit is kept that it did not find taken. Where that is not it, a quarter, and so on.
    fn next_cap(&self) -> usize {
        let limit = self.sink.chain.limit();
        let (rest, quarter) = (limit.saturating_sub(self.text_start + limit / 16), limit / 4);
        let next = match self.cap {
            usize::MAX => rest.max(quarter),
            guessed if guessed > quarter => quarter,
            cap => cap / 4,
        };
        next.max(CAP_BYTES_MIN)
    }

    /// Error and data, once. `fitting`: whatever is still too long gives way to a placeholder.
    fn payloads(
        &mut self,
        event: &AuditEvent<'_>,
        include_snapshots: bool,
        fitting: bool,
    ) -> Result<(), Failed> {
        if let Some(error) = event.error {
            self.error(error, include_snapshots, fitting)?;
        }
        match event.data {
            Some(data) => {
                self.slot = Slot::at(self.sanitizer.enter(self.sanitizer.root(), "data"));
                self.fitted(fitting, 0, PAYLOAD, data)
            }
            None => Ok(()),
        }
    }

    fn error(
        &mut self,
        detail: &ErrorDetail<'_>,
        include_snapshots: bool,
        fitting: bool,
    ) -> Result<(), Failed> {
        if let Some(object) = detail.object {
            self.left_out = (!include_snapshots).then_some("input_snapshot");
            let written = self.fitted(fitting, PLACEHOLDERS_BYTES, ERROR, object);
            self.left_out = None;
            return written;
        }
        self.sink.put(&[MAP])?;
        self.sink.string("type")?;
        self.text(&detail.error_type, NAME_BYTES_MAX)?;
        self.sink.string("message")?;
        self.text(&detail.message, self.cap)?;
        if let Some(traceback) = &detail.traceback {
            self.sink.string("traceback")?;
            self.text(traceback, self.cap)?;
        }
        if let Some(recoverable) = detail.recoverable {
            self.sink.string("recoverable")?;
            self.sink.put(&[if recoverable { TRUE } else { FALSE }])?;
        }
        if let Some(snapshot) = detail.input_snapshot.filter(|_| include_snapshots) {
            self.sink.string("input_snapshot")?;
            self.fitted(fitting, PLACEHOLDERS_BYTES, PAYLOAD, snapshot)?;
        }
        if let Some(environment) = detail.environment {
            self.sink.string("environment")?;
            self.fitted(fitting, PLACEHOLDERS_BYTES, PAYLOAD, environment)?;
        }
        self.sink.put(&[END])
    }

    /// One payload. `fitting`: where it does not leave `room` for what follows, a placeholder.
    fn fitted(
        &mut self,
        fitting: bool,
        room: usize,
        tag: u8,
        payload: &dyn Payload,
    ) -> Result<(), Failed> {
        if !fitting {
            return self.payload(tag, payload);
        }
        let (start, before) = (self.sink.chain.mark(), self.sink.chain.len());
        let counts = std::mem::take(&mut self.counts);
        let written = self.payload(tag, payload);
        if self.sink.stop == Some(Stop::Memory) {
            return Err(Failed);
        }
        let reached = self.sink.chain.len();
        if written.is_err() || self.sink.chain.limit() - reached < room {
            self.sink.chain.rewind(start);
            self.sink.stop = None;
            self.counts = Redactions::default();
            self.outcome.truncated = true;
            let text = Spelled::new(format_args!("[TRUNCATED:{}]", reached - before))?;
            self.placeholder(text.as_str())?;
        }
        self.counts.merge(&counts);
        Ok(())
    }
}

fn head_bytes(event: &AuditEvent<'_>, head: Head) -> [u8; HEAD_BYTES] {
    let flags = [
        (flag::PARENT, head.parent_span_id.is_some()),
        (flag::LATENCY, event.latency_ms.is_some()),
        (flag::TOKENS_INPUT, event.tokens_input.is_some()),
        (flag::TOKENS_OUTPUT, event.tokens_output.is_some()),
        (flag::COST, event.cost_usd.is_some()),
        (flag::DATA, event.data.is_some()),
        (flag::ERROR, event.error.is_some()),
    ];
    let set = flags.iter().filter(|(_, is_set)| *is_set).fold(0, |all, (flag, _)| all | flag);
    let mut bytes = [0; HEAD_BYTES];
    bytes[..3].copy_from_slice(&[event.event_type.code(), event.status as u8, set]);
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
