//! Events that become no span and may have spans below them.

use std::collections::HashMap;
use std::mem;

use llm_audit_log::schema::{EventType, Line};

use super::ids_of;

/// How many events without a span are remembered at once, twice.
const POINTS_MAX: usize = 1 << 15;
/// How many of them may be above each other.
const DEPTH_MAX: usize = 64;

/// What is above each of them, by trace and span.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// Those that were noted last, and those before. Each has so many at most.
    recent: HashMap<(u128, u64), Option<u64>>,
    earlier: HashMap<(u128, u64), Option<u64>>,
}

impl Points {
    pub(super) fn note(&mut self, line: &Line<'_>) {
        // These begin a span, and another event ends it. So may events of other programs' types.
        match line.event_type().map(EventType::from_name) {
            None | Some(EventType::RequestStart | EventType::ToolCall | EventType::Custom(_)) => {
                return;
            }
            Some(_) => {}
        }
        let Some((trace, span, parent)) = ids_of(line) else { return };
        if self.recent.len() == POINTS_MAX {
            self.earlier = mem::take(&mut self.recent);
        }
        self.recent.insert((trace, span), parent);
    }

    /// The next span above that is one, or may be one; `None` at the top of the trace.
    pub(super) fn span_above(&self, trace: u128, mut parent: u64) -> Option<u64> {
        // Parents may lead back to themselves.
        for _ in 0..DEPTH_MAX {
            let key = (trace, parent);
            match self.recent.get(&key).or_else(|| self.earlier.get(&key)) {
                Some(above) => parent = (*above)?,
                None => return Some(parent),
            }
        }
        None
    }
}
