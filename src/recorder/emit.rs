//! The path of an event on the caller's thread: count, sample, encode, push.

use std::cell::Cell;
use std::sync::Arc;
use std::time::SystemTime;

use crate::context::{self, TraceContext};
use crate::metrics::{CounterShard, add_to_counter};
use crate::record::encode::{self, EncodeOutcome, EventHead};
use crate::record::event::{AuditEvent, IdSource, Status, unix_micros};
use crate::ring::{Chain, OnFull, Pushed, Ring};
use crate::sanitize::Redactions;
use crate::sync::pause;
use crate::writer::Shared;

impl Shared {
    pub(crate) fn emit(&self, event: &AuditEvent<'_>, on_full: OnFull) {
        if !self.settings.enabled {
            return;
        }
        match event.ids {
            IdSource::Exactly(context) | IdSource::Within(context) => {
                self.emit_in_context(event, context, on_full)
            }
            IdSource::Current => TraceContext::with_current(|context| match context {
                Some(context) => self.emit_in_context(event, context, on_full),
                None => {
                    let trace = TraceContext::new_trace();
                    self.emit_with_ids(event, &trace, ids_of_context(&trace), on_full);
                }
            }),
        }
    }

    fn emit_in_context(&self, event: &AuditEvent<'_>, context: &TraceContext, on_full: OnFull) {
        let is_own = matches!(event.ids, IdSource::Exactly(_)) || event.event_type.shares_span();
        let ids = if is_own {
            ids_of_context(context)
        } else {
            (context.trace_id(), context::random_span_id(), Some(context.span_id()))
        };
        self.emit_with_ids(event, context, ids, on_full);
    }

    /// Counts an event, samples it, encodes it and pushes it.
    fn emit_with_ids(
        &self,
        event: &AuditEvent<'_>,
        context: &TraceContext,
        (trace_id, span_id, parent_span_id): (u128, u64, Option<u64>),
        on_full: OnFull,
    ) {
        let shard = self.counts.shard();
        shard.emitted(1);
        let sampling = &self.settings.sampling;
        let Some(kept) = sampling.decide(event.status, event.latency_ms, context, span_id) else {
            return shard.sampled_out();
        };
        let is_error = matches!(event.status, Status::Error | Status::Timeout);
        let ring = match is_error && self.settings.errors_apart {
            true => &self.rings.primary,
            false => &self.rings.secondary,
        };
        if ring.is_closed() {
            return shard.rejected(1);
        }
        let timestamp = event.timestamp.unwrap_or_else(monotonic_unix_micros);
        let head = EventHead { trace_id, span_id, parent_span_id, timestamp, kept };
        if !self.push_event(ring, event, head, on_full) {
            // There is no memory at all, or the ring was closed meanwhile.
            match ring.is_closed() {
                true => shard.rejected(1),
                false => add_to_counter(&self.counts.dropped, 1),
            }
        }
    }

    /// Returns `false` if there was no room, not even for the event without its payload.
    fn push_event(
        &self,
        ring: &Arc<Ring>,
        event: &AuditEvent<'_>,
        head: EventHead,
        on_full: OnFull,
    ) -> bool {
        let mut redactions = Redactions::default();
        let Some((chain, outcome)) =
            self.encode_into_chain(ring, event, head, on_full, &mut redactions)
        else {
            return false;
        };
        let turn = (on_full == OnFull::Wait).then(|| ring.wait_for_turn());
        let pushed = ring.push(chain);
        drop(turn);
        let shard = self.counts.shard();
        match pushed {
            Pushed::Stored { wake } => {
                pause("stored");
                count_encoding_losses(shard, outcome, &redactions);
                if wake {
                    pause("waking");
                    self.control.wake();
                }
            }
            Pushed::Closed => shard.rejected(1),
        }
        true
    }

    /// Encodes the event into a chain. If there is no memory for all of it, the chain has only its
    /// head.
    fn encode_into_chain<'r>(
        &self,
        ring: &'r Arc<Ring>,
        event: &AuditEvent<'_>,
        head: EventHead,
        on_full: OnFull,
        redactions: &mut Redactions,
    ) -> Option<(Chain<'r>, EncodeOutcome)> {
        /// Waiting emits may hold memory that the others need. Each returns all of its memory and
        /// tries again, at most this many times.
        const TRIES_MAX: u32 = 64;
        let limit = self.settings.max_event_bytes.min(ring.event_bytes_max());
        let sanitizer = &self.sanitizer;
        let include_snapshots = self.settings.include_snapshots;
        for _ in 0..if on_full == OnFull::Wait { TRIES_MAX } else { 1 } {
            if let Some(mut chain) = ring.begin_chain(limit, on_full) {
                *redactions = Redactions::default();
                let encoded = encode::encode_event(
                    event,
                    head,
                    &mut chain,
                    sanitizer,
                    include_snapshots,
                    redactions,
                );
                if let Ok(outcome) = encoded {
                    return Some((chain, outcome));
                }
            }
            if on_full == OnFull::Wait && !ring.wait_for_room() {
                return None;
            }
        }
        let mut chain = ring.begin_chain(limit, on_full)?;
        *redactions = Redactions::default();
        let outcome = encode::encode_event_head(event, head, &mut chain, sanitizer, redactions);
        outcome.ok().map(|outcome| (chain, outcome))
    }
}

/// Counts what an event lost while it was encoded.
fn count_encoding_losses(shard: &CounterShard, outcome: EncodeOutcome, redactions: &Redactions) {
    if outcome.unserializable {
        shard.unserializable();
    }
    if outcome.truncated {
        shard.truncated();
    }
    shard.redacted(redactions);
}

fn ids_of_context(context: &TraceContext) -> (u128, u64, Option<u64>) {
    (context.trace_id(), context.span_id(), context.parent_span_id())
}

/// Returns microseconds since the Unix epoch. Within a thread the result never decreases, even if
/// the clock is set back.
fn monotonic_unix_micros() -> i64 {
    thread_local! {
        static LAST: Cell<i64> = const { Cell::new(i64::MIN) };
    }
    let now = unix_micros(SystemTime::now());
    let later = |last: &Cell<i64>| {
        last.set(last.get().max(now));
        last.get()
    };
    LAST.try_with(later).unwrap_or(now)
}
