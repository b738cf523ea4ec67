//! The contexts that a thread has entered, and futures that carry one.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::TraceContext;

/// A context that was entered and not left.
struct EnteredContext {
    /// Differs from all others of its thread; rising.
    scope: u64,
    context: TraceContext,
}

thread_local! {
    /// The last one is the current one.
    static ENTERED: RefCell<Vec<EnteredContext>> = const { RefCell::new(Vec::new()) };
}

impl TraceContext {
    /// Returns the context that this thread or task is in.
    ///
    /// Returns `None` outside of any context, and while the thread's local storage is torn down.
    pub fn current() -> Option<Self> {
        Self::look_at_current(Self::clone)
    }

    /// Returns a span below the current one, or the root of what this process does.
    #[cfg(any(feature = "macros", feature = "rmcp"))]
    pub(crate) fn new_span_below_current() -> Self {
        Self::look_at_current(Self::new_span).unwrap_or_else(Self::new_root)
    }

    /// Runs `look` on the current context, if there is one, without a copy of it. `look` must not enter or leave one.
    #[inline]
    pub(crate) fn look_at_current<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        let innermost = |entered: &RefCell<Vec<EnteredContext>>| {
            entered.borrow().last().map(|entered| look(&entered.context))
        };
        ENTERED.try_with(innermost).ok().flatten()
    }

    /// Runs `f` on the current context.
    ///
    /// `f` may run a user's code, which may enter another context. So `f` gets a copy (64 bytes
    /// and at most two reference counts), never a borrow of the slot.
    pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Self>) -> R) -> R {
        f(Self::current().as_ref())
    }

    /// Makes this the current context of the thread until the guard is dropped.
    ///
    /// Do not hold the guard across an `.await`. After it, the task may run on another thread, and
    /// this thread may run another task. Use [`in_span`](InSpan::in_span) for futures.
    pub fn enter(&self) -> Scope {
        let context = self.clone();
        let add = |entered: &RefCell<Vec<EnteredContext>>| {
            let mut entered = entered.borrow_mut();
            let scope = entered.last().map_or(0, |last| last.scope + 1);
            entered.push(EnteredContext { scope, context });
            scope
        };
        Scope { scope: ENTERED.try_with(add).ok(), _not_send: PhantomData }
    }
}

/// Keeps a context current on this thread; see [`TraceContext::enter`].
///
/// Dropping the guard removes its own context and no other, so guards may be dropped in any order.
/// The current context is the one entered last among those that remain. If a guard is leaked, its
/// context stays entered until the thread ends.
#[derive(Debug)]
#[must_use = "the context is current only while the guard lives"]
pub struct Scope {
    /// `None` if it was made while the thread's local storage was torn down.
    scope: Option<u64>,
    /// A guard belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        let Some(scope) = self.scope else { return };
        let remove = |entered: &RefCell<Vec<EnteredContext>>| {
            let mut entered = entered.borrow_mut();
            let at = entered.iter().rposition(|entered| entered.scope == scope);
            at.map(|at| entered.remove(at))
        };
        // The context is dropped after the borrow has ended.
        let _left = ENTERED.try_with(remove);
    }
}

/// Gives futures a context.
///
/// # Examples
///
/// ```
/// use llm_audit::{InSpan, TraceContext};
///
/// let context = TraceContext::new_trace();
/// let task = async { TraceContext::current() }.in_span(context.clone());
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # let seen = std::future::Future::poll(std::pin::pin!(task), &mut cx);
/// # assert_eq!(seen, std::task::Poll::Ready(Some(context)));
/// ```
pub trait InSpan: Future + Sized {
    /// Returns this future with `context` current at each poll and during its drop.
    ///
    /// That holds on any thread and under any executor.
    fn in_span(self, context: TraceContext) -> Spanned<Self> {
        Spanned { future: Some(self), context }
    }
}

impl<F: Future> InSpan for F {}

pin_project_lite::pin_project! {
    /// A future that carries its context; made by [`InSpan::in_span`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Spanned<F> {
        // `None` only while being dropped.
        #[pin]
        future: Option<F>,
        context: TraceContext,
    }

    impl<F> PinnedDrop for Spanned<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _scope = this.context.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Spanned<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // If the inner future panics, the guard restores the outer context, too.
        let _scope = this.context.enter();
        let future = this.future.as_pin_mut().expect("a future is not polled after its drop");
        future.poll(cx)
    }
}
