//! The trace that is replayed: its span ids are derived from the tree, not drawn.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use llm_audit_process::lock::Mutex;

use super::TraceContext;
use super::draws::has_hex_letter;

/// Whether [`REPLAYED`] has a trace. Relaxed: the lock orders the rest.
static IS_REPLAYING: AtomicBool = AtomicBool::new(false);
static REPLAYED: Mutex<Option<ReplayedTrace>> = Mutex::new(None);
/// How many replays began in this process.
static REPLAYS: AtomicU64 = AtomicU64::new(0);
/// The traces that were replayed: what outlives a replay still has their ids.
static ENDED: Mutex<Option<HashSet<u128>>> = Mutex::new(None);

struct ReplayedTrace {
    trace_id: u128,
    /// The span that the root is below.
    base: u64,
    /// The parent of each span, and its number among the spans below it.
    parents: HashMap<u64, (u64, u64)>,
    /// How many spans there are below each.
    children: HashMap<u64, u64>,
}

/// Begins the replay of a trace. Returns the context that its root is below.
pub(crate) fn begin_replayed_trace(trace_id: u128) -> Option<TraceContext> {
    // Each replay has ids of its own, so that a task which outlives one is not taken for the next.
    let base = derive_span_id(trace_id as u64, REPLAYS.fetch_add(1, Ordering::Relaxed));
    let context = TraceContext::from_ids(trace_id, base, None)?;
    let (parents, children) = (HashMap::new(), HashMap::new());
    *REPLAYED.lock() = Some(ReplayedTrace { trace_id, base, parents, children });
    IS_REPLAYING.store(true, Ordering::Relaxed);
    Some(context)
}

/// Ends the replay. Returns the places of its spans.
pub(crate) fn end_replayed_trace() -> SpanPlaces {
    IS_REPLAYING.store(false, Ordering::Relaxed);
    let Some(ReplayedTrace { trace_id, base, parents, .. }) = REPLAYED.lock().take() else {
        return SpanPlaces { base: 0, first_base: 0, parents: HashMap::new() };
    };
    ENDED.lock().get_or_insert_default().insert(trace_id);
    SpanPlaces { base, first_base: derive_span_id(trace_id as u64, 0), parents }
}

/// Where the spans of a replay are in its tree.
pub(crate) struct SpanPlaces {
    base: u64,
    /// The id that the base has in the first replay of a process.
    first_base: u64,
    parents: HashMap<u64, (u64, u64)>,
}

impl SpanPlaces {
    /// Returns the numbers of a span and of those above it, from the top down. They order spans in the same
    /// way in each replay, whichever task comes first.
    pub(crate) fn place(&self, span: u64) -> Vec<u64> {
        let above = |(parent, _): &(u64, u64)| self.parents.get(parent).copied();
        let way = std::iter::successors(self.parents.get(&span).copied(), above);
        let mut numbers: Vec<_> = way.map(|(_, number)| number).collect();
        numbers.reverse();
        numbers
    }

    /// Returns the id that a span of this place has in the first replay of a process.
    pub(crate) fn first_id(&self, span: u64) -> Option<u64> {
        let is_known = span == self.base || self.parents.contains_key(&span);
        is_known.then(|| self.place(span).into_iter().fold(self.first_base, derive_span_id))
    }
}

/// Returns whether this process replays a trace.
#[inline]
pub(crate) fn is_replaying() -> bool {
    IS_REPLAYING.load(Ordering::Relaxed)
}

/// Returns whether a replay began in this process, now or before.
#[inline]
pub(crate) fn has_replayed() -> bool {
    REPLAYS.load(Ordering::Relaxed) > 0
}

impl ReplayedTrace {
    fn knows(&self, span: u64) -> bool {
        span == self.base || self.parents.contains_key(&span)
    }
}

fn with_replayed<R>(trace_id: u128, look: impl FnOnce(&mut ReplayedTrace) -> R) -> Option<R> {
    if !is_replaying() {
        return None;
    }
    let mut replayed = REPLAYED.lock();
    replayed.as_mut().filter(|trace| trace.trace_id == trace_id).map(look)
}

impl TraceContext {
    /// Returns whether this is of the trace that is replayed.
    pub(crate) fn is_replayed(&self) -> bool {
        with_replayed(self.trace_id, |trace| trace.knows(self.span_id)).unwrap_or(false)
    }

    /// Returns whether this is of a replay that is over.
    pub(crate) fn is_of_ended_replay(&self) -> bool {
        let has_ended =
            || ENDED.lock().as_ref().is_some_and(|ended| ended.contains(&self.trace_id));
        has_replayed() && has_ended() && !self.is_replayed()
    }

    /// Returns the id of the next span below this one, if this trace is replayed.
    pub(super) fn replayed_child_id(&self) -> Option<u64> {
        let child_id = |trace: &mut ReplayedTrace| {
            if !trace.knows(self.span_id) {
                return None;
            }
            let count = trace.children.entry(self.span_id).or_default();
            *count += 1;
            let id = derive_span_id(self.span_id, *count);
            trace.parents.insert(id, (self.span_id, *count));
            Some(id)
        };
        with_replayed(self.trace_id, child_id).flatten()
    }

    /// Returns the spans above this one, the nearest first, as far as the replay knows them.
    pub(crate) fn replayed_ancestors(&self) -> Vec<u64> {
        let climb = |trace: &mut ReplayedTrace| {
            let above = |span: &u64| trace.parents.get(span).map(|(parent, _)| *parent);
            // A span is below an older one, so that this ends.
            std::iter::successors(above(&self.span_id), above).collect()
        };
        with_replayed(self.trace_id, climb).unwrap_or_default()
    }
}

/// Returns the id of a child: the same for the same parent and number, and with a letter like all ids.
fn derive_span_id(parent: u64, number: u64) -> u64 {
    let mut hash = parent ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    loop {
        // The steps of SplitMix64.
        hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut id = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        id ^= id >> 31;
        if has_hex_letter(id.into()) {
            return id;
        }
    }
}
