//! The path of an event on the caller's thread: count, sample, encode, push.

use std::cell::Cell;
use std::sync::Arc;
use std::time::SystemTime;

use crate::context::TraceContext;
use crate::metrics::{CounterShard, add_to_counter, shard_of_thread};
use crate::record::encode::{self, EncodeOutcome, EncodeRules, EventHead};
use crate::record::event::{AuditEvent, ErrorDetail, IdSource, unix_micros};
use crate::ring::{Chain, OnFull, Pushed, Ring};
use crate::sampler::Kept;
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
                    let root = TraceContext::new_root();
                    // Nobody else knows the id of a new trace.
                    let has_others = root.parent_span_id().is_some();
                    let head = EventHead { has_others, ..self.head_of_context(&root) };
                    self.emit_with_head(event, &root, head, on_full);
                }
            }),
        }
    }

    fn emit_in_context(&self, event: &AuditEvent<'_>, context: &TraceContext, on_full: OnFull) {
        let identified;
        let event = match context.has_identity() {
            true => {
                identified = event.with_identity_of(context);
                &identified
            }
            false => event,
        };
        let is_own = matches!(event.ids, IdSource::Exactly(_)) || event.event_type.shares_span();
        let mut head = self.head_of_context(context);
        if !is_own {
            (head.span_id, head.parent_span_id) =
                (context.child_span_id(), Some(context.span_id()));
        }
        self.emit_with_head(event, context, head, on_full);
    }

    /// Counts an event, samples it, encodes it and pushes it.
    fn emit_with_head(
        &self,
        event: &AuditEvent<'_>,
        context: &TraceContext,
        mut head: EventHead,
        on_full: OnFull,
    ) {
        let number = shard_of_thread();
        let shard = self.counts.shard_at(number);
        shard.emitted(1);
        self.metrics.observe_in(event, number);
        let sampling = &self.settings.sampling;
        let kept = match sampling.decide(event.status, event.latency_ms, context, head.span_id) {
            Kept::Failed if event.event_type.is_judgement() => Kept::Judgement,
            kept => kept,
        };
        let ring = match kept {
            Kept::Failed if !head.has_others || !self.settings.holds_left_out() => {
                return shard.sampled_out();
            }
            Kept::Failed => &self.rings.held,
            _ if self.settings.errors_apart && event.status.is_failure() => &self.rings.primary,
            _ => &self.rings.secondary,
        };
        // An event that is held took more looks until here. If its ring is closed, the push finds out.
        if kept != Kept::Failed {
            if ring.is_closed() {
                return shard.rejected(1);
            }
            head.kept = kept;
        }
        // An event that fails makes its trace fail.
        head.marks_content = self.settings.holds_content()
            && !event.status.is_failure()
            && (!event.content.is_empty() || self.keeps_snapshot(event));
        head.timestamp = event.timestamp.unwrap_or_else(monotonic_unix_micros);
        if !self.push_event(ring, event, &head, on_full) {
            // There is no memory at all, or the ring was closed meanwhile.
            match head.kept {
                _ if ring.is_closed() => shard.rejected(1),
                Kept::Failed => shard.sampled_out(),
                _ => add_to_counter(&self.counts.dropped, 1),
            }
        }
    }

    /// Returns whether the event may have a snapshot that is recorded.
    fn keeps_snapshot(&self, event: &AuditEvent<'_>) -> bool {
        let has_one =
            |error: &&ErrorDetail<'_>| error.input_snapshot.is_some() || error.object.is_some();
        self.settings.include_snapshots && event.error.as_ref().is_some_and(has_one)
    }

    /// Returns the head of an event in the span of `context`, as if it were held. The time comes later.
    fn head_of_context(&self, context: &TraceContext) -> EventHead {
        EventHead {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            parent_span_id: context.parent_span_id(),
            timestamp: 0,
            kept: Kept::Failed,
            has_others: true,
            marks_content: false,
        }
    }

    /// Returns `false` if there was no room, not even for the event without its payload.
    fn push_event(
        &self,
        ring: &Arc<Ring>,
        event: &AuditEvent<'_>,
        head: &EventHead,
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
        head: &EventHead,
        on_full: OnFull,
        redactions: &mut Redactions,
    ) -> Option<(Chain<'r>, EncodeOutcome)> {
        /// Waiting emits may hold memory that the others need. Each returns all of its memory and
        /// tries again, at most this many times.
        const TRIES_MAX: u32 = 64;
        let limit = self.settings.max_event_bytes.min(ring.event_bytes_max());
        let rules = EncodeRules {
            sanitizer: &self.sanitizer,
            user_names: &self.user_names,
            include_snapshots: self.settings.include_snapshots,
        };
        for _ in 0..if on_full == OnFull::Wait { TRIES_MAX } else { 1 } {
            if let Some(mut chain) = ring.begin_chain(limit, on_full) {
                let encoded = encode::encode_event(event, head, &mut chain, rules, redactions);
                if let Ok(outcome) = encoded {
                    return Some((chain, outcome));
                }
            }
            if on_full == OnFull::Wait && !ring.wait_for_room() {
                return None;
            }
        }
        let mut chain = ring.begin_chain(limit, on_full)?;
        let outcome = encode::encode_event_head(event, head, &mut chain, rules, redactions);
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
