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
    #[inline]
    pub(crate) fn emit(&self, event: &AuditEvent<'_>, on_full: OnFull) {
        if self.settings.enabled {
            self.emit_enabled(event, on_full);
        }
    }

    fn emit_enabled(&self, event: &AuditEvent<'_>, on_full: OnFull) {
        if let IdSource::Exactly(context) | IdSource::Within(context) = event.ids {
            return self.emit_in_context(event, context, on_full);
        }
        // The context is not copied if all that is needed of it is in the head.
        let mut head = None;
        TraceContext::look_at_current(|context| {
            if !context.has_identity() {
                head = Some(self.head_in_context(event, context));
            }
        });
        match head {
            Some(head) => self.emit_with_head(event, head, on_full),
            None => self.emit_with_identity(event, on_full),
        }
    }

    /// Emits an event of a context that has an identity, or of none.
    #[inline(never)]
    fn emit_with_identity(&self, event: &AuditEvent<'_>, on_full: OnFull) {
        TraceContext::with_current(|context| match context {
            Some(context) => self.emit_in_context(event, context, on_full),
            None => {
                let root = TraceContext::new_root();
                let mut head = self.head_of_context(event, &root, root.span_id());
                // Nobody else knows the id of a new trace.
                head.has_others = root.parent_span_id().is_some();
                self.emit_with_head(event, head, on_full);
            }
        })
    }

    #[inline(never)]
    fn emit_in_context(&self, event: &AuditEvent<'_>, context: &TraceContext, on_full: OnFull) {
        let identified;
        let event = match context.has_identity() {
            true => {
                identified = event.with_identity_of(context);
                &identified
            }
            false => event,
        };
        self.emit_with_head(event, self.head_in_context(event, context), on_full);
    }

    /// Counts an event, and records it unless sampling leaves it out. Inlined, so that an event that is left out
    /// takes no call.
    #[inline(always)]
    fn emit_with_head(&self, event: &AuditEvent<'_>, head: EventHead, on_full: OnFull) {
        let number = shard_of_thread();
        let shard = self.counts.shard_at(number);
        shard.emitted(1);
        self.metrics.observe_in(event, number);
        if head.kept == Kept::Failed && !(head.has_others && self.settings.holds_left_out()) {
            return shard.sampled_out();
        }
        self.record_counted(event, head, on_full, shard);
    }

    /// Encodes an event and pushes it into the ring that sampling has decided on.
    #[inline(never)]
    fn record_counted(
        &self,
        event: &AuditEvent<'_>,
        mut head: EventHead,
        on_full: OnFull,
        shard: &CounterShard,
    ) {
        let ring = match head.kept {
            Kept::Failed => &self.rings.held,
            _ if self.settings.errors_apart && event.status.is_failure() => &self.rings.primary,
            _ => &self.rings.secondary,
        };
        // An event that is held took more looks until here. If its ring is closed, the push finds out.
        if head.kept != Kept::Failed && ring.is_closed() {
            return shard.rejected(1);
        }
        // An event that fails makes its trace fail.
        head.marks_content = self.settings.holds_content()
            && !event.status.is_failure()
            && (!event.content.is_empty() || self.keeps_snapshot(event));
        head.timestamp = event.timestamp.unwrap_or_else(monotonic_unix_micros);
        if !self.push_event(ring, event, &head, on_full, shard) {
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

    /// Returns the head of an event in `context`: in its span, or in a new one below it. The time comes later.
    #[inline(always)]
    fn head_in_context(&self, event: &AuditEvent<'_>, context: &TraceContext) -> EventHead {
        if matches!(event.ids, IdSource::Exactly(_)) || event.event_type.shares_span() {
            return self.head_of_context(event, context, context.span_id());
        }
        let mut head = self.head_of_context(event, context, context.child_span_id());
        head.parent_span_id = Some(context.span_id());
        head
    }

    /// Returns the head of an event in the span `span_id` of the trace of `context`, with what sampling decides.
    #[inline(always)]
    fn head_of_context(
        &self,
        event: &AuditEvent<'_>,
        context: &TraceContext,
        span_id: u64,
    ) -> EventHead {
        let sampling = &self.settings.sampling;
        let kept = match sampling.decide(event.status, event.latency_ms, context, span_id) {
            Kept::Failed if event.event_type.is_judgement() => Kept::Judgement,
            kept => kept,
        };
        EventHead {
            trace_id: context.trace_id(),
            span_id,
            parent_span_id: context.parent_span_id(),
            timestamp: 0,
            kept,
            has_others: true,
            marks_content: false,
        }
    }

    /// Returns `false` if there was no room, not even for the event without its payload.
    #[inline]
    fn push_event(
        &self,
        ring: &Arc<Ring>,
        event: &AuditEvent<'_>,
        head: &EventHead,
        on_full: OnFull,
        shard: &CounterShard,
    ) -> bool {
        let mut redactions = Redactions::default();
        if let Some(mut chain) = ring.begin_chain(self.event_bytes_max(ring), on_full)
            && let Ok(outcome) =
                encode::encode_event(event, head, &mut chain, self.encode_rules(), &mut redactions)
        {
            self.push_chain(ring, chain, on_full, shard, || {
                count_encoding_losses(shard, outcome, &redactions);
            });
            return true;
        }
        let again = self.encode_again(ring, event, head, on_full, &mut redactions);
        let Some((chain, outcome)) = again else { return false };
        self.push_chain(ring, chain, on_full, shard, || {
            count_encoding_losses(shard, outcome, &redactions);
        });
        true
    }

    /// Pushes an event, and counts with `count` what it lost while it was encoded.
    #[inline(always)]
    fn push_chain(
        &self,
        ring: &Ring,
        chain: Chain<'_>,
        on_full: OnFull,
        shard: &CounterShard,
        count: impl FnOnce(),
    ) {
        let turn = (on_full == OnFull::Wait).then(|| ring.wait_for_turn());
        let pushed = ring.push(chain);
        drop(turn);
        match pushed {
            Pushed::Stored { wake } => {
                pause("stored");
                count();
                if wake {
                    pause("waking");
                    self.control.wake();
                }
            }
            Pushed::Closed => shard.rejected(1),
        }
    }

    /// Encodes an event for which there was no memory. If there still is none for all of it, the chain has
    /// only its head.
    #[cold]
    #[inline(never)]
    fn encode_again<'r>(
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
        let (limit, rules) = (self.event_bytes_max(ring), self.encode_rules());
        for _ in 0..if on_full == OnFull::Wait { TRIES_MAX } else { 0 } {
            if !ring.wait_for_room() {
                return None;
            }
            if let Some(mut chain) = ring.begin_chain(limit, on_full)
                && let Ok(outcome) =
                    encode::encode_event(event, head, &mut chain, rules, redactions)
            {
                return Some((chain, outcome));
            }
        }
        let mut chain = ring.begin_chain(limit, on_full)?;
        let outcome = encode::encode_event_head(event, head, &mut chain, rules, redactions);
        outcome.ok().map(|outcome| (chain, outcome))
    }

    #[inline]
    fn event_bytes_max(&self, ring: &Ring) -> usize {
        self.settings.max_event_bytes.min(ring.event_bytes_max())
    }

    #[inline]
    fn encode_rules(&self) -> EncodeRules<'_> {
        EncodeRules {
            sanitizer: &self.sanitizer,
            user_names: &self.user_names,
            include_snapshots: self.settings.include_snapshots,
        }
    }
}

/// Counts what an event lost while it was encoded.
#[inline]
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
