//! Events that become no span and may have spans below them.

use llm_audit_log::Recent;
use llm_audit_log::schema::{EventType, Line};

use super::{REMEMBERED_MAX, ids_of};

/// How many of them may be above each other.
const DEPTH_MAX: usize = 64;

/// What is above each of them, by trace and span.
#[derive(Debug, Default)]
pub(super) struct Points(Recent<(u128, u64), Option<u64>, REMEMBERED_MAX>);

impl Points {
    pub(super) fn note(&mut self, line: &Line<'_>) {
        match line.event_type().map(EventType::from_name) {
            // These begin a span, and another event ends it.
            None | Some(EventType::RequestStart | EventType::ToolCall) => return,
            // These have the ids of what they judge.
            Some(event_type) if event_type.is_judgement() => return,
            // So may events of other programs' types, unless they took time.
            Some(EventType::Custom(_)) if line.latency_ms().is_none() => return,
            Some(_) => {}
        }
        let Some((trace, span, parent)) = ids_of(line) else { return };
        self.0.insert((trace, span), parent);
    }

    /// The next span above that is one, or may be one; `None` at the top of the trace.
    pub(super) fn span_above(&self, trace: u128, mut parent: u64) -> Option<u64> {
        // Parents may lead back to themselves.
        for _ in 0..DEPTH_MAX {
            match self.0.get(&(trace, parent)) {
                Some(above) => parent = (*above)?,
                None => return Some(parent),
            }
        }
        None
    }
}
