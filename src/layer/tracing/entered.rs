//! The operations that this thread is in, and a guard against entering the layer twice.

use std::cell::{Cell, RefCell};

use tracing_core::span::Id;

use crate::context::{Scope, TraceContext};

/// A span that was entered on this thread and not left.
struct EnteredSpan {
    layer: u64,
    id: Id,
    span_id: u64,
    _scope: Scope,
}

thread_local! {
    static ENTERED: RefCell<Vec<EnteredSpan>> = const { RefCell::new(Vec::new()) };
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Makes the operation's context current until the span is left.
pub(super) fn enter_tracing_span(layer: u64, id: &Id, context: &TraceContext) {
    let span_id = context.span_id();
    let entry = EnteredSpan { layer, id: id.clone(), span_id, _scope: context.enter() };
    // If the thread's local storage is being torn down, the scope ends at once.
    let _none = ENTERED.try_with(|entered| entered.borrow_mut().push(entry));
}

/// Leaves the span; reports whether it was entered on this thread.
pub(super) fn exit_tracing_span(layer: u64, id: &Id) -> bool {
    let remove = |entered: &RefCell<Vec<EnteredSpan>>| {
        let mut entered = entered.borrow_mut();
        let at = entered.iter().rposition(|entry| entry.layer == layer && entry.id == *id);
        at.map(|at| entered.remove(at))
    };
    ENTERED.try_with(remove).is_ok_and(|left| left.is_some())
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
