//! The tree of a trace: which span is below which, and the walk through them.

use std::collections::HashMap;

use super::{Event, Span, Trace};

/// One step of [`Trace::walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The index of the span.
    pub span: usize,
    /// How many spans are above it.
    pub depth: usize,
    /// Whether it is the last one below its parent.
    pub is_last: bool,
}

/// An event, its span and the parent of the span.
pub(super) struct PlacedEvent {
    pub(super) span: String,
    pub(super) parent: Option<String>,
    pub(super) event: Event,
}

impl Trace {
    /// Builds the tree. `events` come with their span's id and its parent's.
    pub(super) fn build_tree(id: String, mut events: Vec<PlacedEvent>, left_out: u64) -> Self {
        // The log has them in the order of writing, in which errors may come early.
        events.sort_by_key(|placed| placed.event.timestamp);
        let mut trace = Self { id, left_out, ..Self::default() };
        let mut by_id: HashMap<String, usize> = HashMap::new();
        for PlacedEvent { span, parent, event } in events {
            let at = match by_id.get(&span) {
                Some(&at) if !span.is_empty() => at,
                _ => {
                    by_id.insert(span.clone(), trace.spans.len());
                    trace.spans.push(Span { id: span, ..Span::default() });
                    trace.spans.len() - 1
                }
            };
            let span = &mut trace.spans[at];
            span.events.push(event);
            // If the events of one span disagree, the first one decides.
            span.parent = span.parent.take().or(parent.filter(|parent| *parent != span.id));
        }
        trace.spans.iter_mut().for_each(Span::set_judgements_apart);
        trace.link_spans(&by_id);
        trace
    }

    /// Puts every span below its parent, then puts circles at the top, which no root leads to.
    fn link_spans(&mut self, by_id: &HashMap<String, usize>) {
        let mut by_time: Vec<usize> = (0..self.spans.len()).collect();
        // Spans without a time come first; the sort keeps the order of the first events otherwise.
        by_time.sort_by_key(|&at| self.spans[at].interval().map(|interval| interval.0));
        let above: Vec<Option<usize>> =
            self.spans.iter().map(|span| by_id.get(span.parent.as_ref()?).copied()).collect();
        for &at in &by_time {
            match above[at] {
                Some(parent) => self.spans[parent].children.push(at),
                None => {
                    self.spans[at].is_orphan = self.spans[at].parent.is_some();
                    self.roots.push(at);
                }
            }
        }
        let mut reached = vec![false; self.spans.len()];
        for root in self.roots.clone() {
            self.mark_reachable(root, &mut reached);
        }
        let mut seen = vec![false; self.spans.len()];
        for &at in &by_time {
            if !reached[at] {
                let top = find_circular_span(at, &above, &mut seen);
                if let Some(parent) = above[top] {
                    self.spans[parent].children.retain(|&child| child != top);
                }
                self.spans[top].is_circular = true;
                self.roots.push(top);
                self.mark_reachable(top, &mut reached);
            }
        }
    }

    fn mark_reachable(&self, from: usize, reached: &mut [bool]) {
        let mut ahead = vec![from];
        while let Some(at) = ahead.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                ahead.extend(&self.spans[at].children);
            }
        }
    }

    /// Every span once, from the top down, those below one another by time.
    pub fn walk(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.spans.len());
        let mut ahead = Vec::new();
        let push = |ahead: &mut Vec<Step>, spans: &[usize], depth| {
            let last = spans.len().wrapping_sub(1);
            let step = |(at, &span)| Step { span, depth, is_last: at == last };
            ahead.extend(spans.iter().enumerate().map(step).rev());
        };
        push(&mut ahead, &self.roots, 0);
        while let Some(step) = ahead.pop() {
            push(&mut ahead, &self.spans[step.span].children, step.depth + 1);
            steps.push(step);
        }
        steps
    }
}

impl Span {
    /// Moves judgements out of its events, unless there is nothing else.
    fn set_judgements_apart(&mut self) {
        let (judgements, events): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.events).into_iter().partition(Event::is_judgement);
        (self.events, self.judgements) = match events.is_empty() {
            true => (judgements, events),
            false => (events, judgements),
        };
    }
}

/// The span of the circle above `at` that the way up meets first. Every circle is looked for once,
/// so that what was `seen` belongs to it.
fn find_circular_span(mut at: usize, above: &[Option<usize>], seen: &mut [bool]) -> usize {
    while !std::mem::replace(&mut seen[at], true) {
        let Some(parent) = above[at] else { break };
        at = parent;
    }
    at
}
