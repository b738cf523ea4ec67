//! The operations that this thread is in, and a guard against entering the layer twice.

use std::cell::{Cell, RefCell};

use tracing_core::span::Id;

use super::amendment::Amendment;
use crate::context::{Scope, TraceContext};

/// A span that was entered on this thread and not left.
struct EnteredSpan {
    layer: u64,
    id: Id,
    name: &'static str,
    span_id: u64,
    amendment: Amendment,
    _scope: Scope,
}

thread_local! {
    static ENTERED: RefCell<Vec<EnteredSpan>> = const { RefCell::new(Vec::new()) };
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Makes the operation's context current until the span is left.
pub(super) fn enter_tracing_span(layer: u64, id: &Id, name: &'static str, context: &TraceContext) {
    let (span_id, amendment) = (context.span_id(), Amendment::default());
    let _scope = context.enter();
    let entry = EnteredSpan { layer, id: id.clone(), name, span_id, amendment, _scope };
    // If the thread's local storage is being torn down, the scope ends at once.
    let _none = ENTERED.try_with(|entered| entered.borrow_mut().push(entry));
}

/// Leaves the span, and returns what was said of its operation. `None` if it was not entered on this thread.
pub(super) fn exit_tracing_span(layer: u64, id: &Id) -> Option<Amendment> {
    let remove = |entered: &RefCell<Vec<EnteredSpan>>| {
        let mut entered = entered.borrow_mut();
        let at = entered.iter().rposition(|entry| entry.layer == layer && entry.id == *id);
        at.map(|at| entered.remove(at))
    };
    // The scope is dropped after the borrow has ended.
    ENTERED.try_with(remove).ok().flatten().map(|left| left.amendment)
}

/// Adds to the innermost operation, for each layer that records it, if its span has this name.
pub(super) fn amend_innermost(name: &str, amendment: &Amendment) -> bool {
    let amend = |entered: &RefCell<Vec<EnteredSpan>>| {
        let mut entered = entered.borrow_mut();
        let innermost = entered.last().filter(|last| last.name == name).map(|last| last.id.clone());
        let is_meant = |entry: &&mut EnteredSpan| Some(&entry.id) == innermost.as_ref();
        entered
            .iter_mut()
            .filter(is_meant)
            .for_each(|entry| entry.amendment.merge(amendment.clone()));
        innermost.is_some()
    };
    ENTERED.try_with(amend).unwrap_or(false)
}

/// Returns the current context if something other than a span entered it inside `operation`.
///
/// That is a scope or the context of a future.
pub(super) fn scope_inside_operation(operation: &TraceContext) -> Option<TraceContext> {
    let current = TraceContext::current().filter(|c| c.trace_id() == operation.trace_id())?;
    let is_entered = |context: &TraceContext| {
        ENTERED
            .try_with(|entered| entered.borrow().iter().any(|e| e.span_id == context.span_id()))
            .unwrap_or(false)
    };
    (is_entered(operation) && !is_entered(&current)).then_some(current)
}

/// Held while the layer runs the code of others; the layer ignores what that code logs.
pub(super) struct ReentryGuard(());

impl ReentryGuard {
    /// Returns `None` if the thread is already inside the layer.
    pub(super) fn begin() -> Option<Self> {
        BUSY.try_with(|busy| !busy.replace(true)).ok().filter(|begun| *begun).map(|_| Self(()))
    }
}

impl Drop for ReentryGuard {
    fn drop(&mut self) {
        let _torn_down = BUSY.try_with(|busy| busy.set(false));
    }
}
