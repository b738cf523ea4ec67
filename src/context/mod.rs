//! Trace context: W3C ids, and how they stay with a thread or a task.

mod trace_rate;

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use llm_audit_log::schema::ids;
use llm_audit_process::fork::Process;
use trace_rate::process_trace_rate;
pub(crate) use trace_rate::{TRACE_RATE_DEFAULT, keeps_trace, set_process_trace_rate};

/// `00-` 32 digits `-` 16 digits `-` 2 digits.
const TRACEPARENT_LEN: usize = 55;
/// The bit of the flags that says the caller keeps this trace.
const SAMPLED_FLAG: u128 = 1;
const TRACESTATE_MEMBERS_MAX: usize = 32;
/// 32 members of the longest key, `=`, the longest value and `,`.
const TRACESTATE_BYTES_MAX: usize = TRACESTATE_MEMBERS_MAX * (256 + 1 + 256 + 1);

/// Where in which trace the code is: a span of a trace, and the span above it.
///
/// A context is a value. [`enter`](Self::enter) makes it the current one of a thread,
/// [`in_span`](InSpan::in_span) that of a task; events then take their ids from it.
///
/// # Examples
///
/// ```
/// use llm_audit::TraceContext;
///
/// // What came in with a request; this service's own work is a span below it.
/// let caller = TraceContext::from_traceparent(
///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
/// )?;
/// let here = caller.new_span();
/// let _scope = here.enter();
/// assert_eq!(TraceContext::current(), Some(here.clone()));
/// assert_eq!(here.parent_span_id(), Some(caller.span_id()));
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_span_id: Option<u64>,
    /// What the caller's `traceparent` flag said; `None` where the trace began here.
    sampled: Option<bool>,
    tracestate: Option<Arc<str>>,
}

impl TraceContext {
    /// The first span of a new trace, with random ids.
    pub fn new_trace() -> Self {
        Self {
            trace_id: random_trace_id(),
            span_id: random_span_id(),
            parent_span_id: None,
            sampled: None,
            tracestate: None,
        }
    }

    /// A context of given ids. `None` where the trace's or the span's id is zero, which the
    /// standard does not allow; a parent of zero is no parent.
    pub fn from_ids(trace_id: u128, span_id: u64, parent_span_id: Option<u64>) -> Option<Self> {
        let parent_span_id = parent_span_id.filter(|id| *id != 0);
        let context = Self { trace_id, span_id, parent_span_id, sampled: None, tracestate: None };
        (trace_id != 0 && span_id != 0).then_some(context)
    }

    /// A new span below this one: same trace, flag and `tracestate`, a random span id.
    pub fn new_span(&self) -> Self {
        Self { span_id: random_span_id(), parent_span_id: Some(self.span_id), ..self.clone() }
    }

    /// The context this thread or task is in. `None` outside of any, and while the thread's local
    /// storage is torn down.
    pub fn current() -> Option<Self> {
        Self::of_innermost(Self::clone)
    }

    fn of_innermost(look: impl FnOnce(&Self) -> Self) -> Option<Self> {
        let innermost = |entered: &RefCell<Vec<Entered>>| {
            entered.borrow().last().map(|entered| look(&entered.context))
        };
        ENTERED.try_with(innermost).ok().flatten()
    }

    /// A span below the current one, or the first of a new trace.
    #[cfg(feature = "macros")]
    pub(crate) fn below_current() -> Self {
        Self::of_innermost(Self::new_span).unwrap_or_else(Self::new_trace)
    }

    /// Runs `f` on the current context. `f` may run a user's code, which may enter another one:
    /// it sees a copy (64 bytes and at most one reference count), never a borrow of the slot.
    pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Self>) -> R) -> R {
        f(Self::current().as_ref())
    }

    /// Makes this the current context of the thread until the guard is dropped.
    ///
    /// Do not hold the guard across an `.await`: the task may go on elsewhere and the thread with
    /// another one. [`in_span`](InSpan::in_span) is for futures.
    pub fn enter(&self) -> Scope {
        let context = self.clone();
        let add = |entered: &RefCell<Vec<Entered>>| {
            let mut entered = entered.borrow_mut();
            let scope = entered.last().map_or(0, |last| last.scope + 1);
            entered.push(Entered { scope, context });
            scope
        };
        Scope { scope: ENTERED.try_with(add).ok(), _not_send: PhantomData }
    }

    /// The `traceparent` header for a call made in this span: version `00`, lower case.
    ///
    /// The flag is the one this trace came in with. Where the trace began here it says whether
    /// this process keeps the whole trace, which its id and `TRACE_SAMPLE_RATE` decide.
    pub fn to_traceparent(&self) -> String {
        self.traceparent_at(process_trace_rate())
    }

    fn traceparent_at(&self, rate: f64) -> String {
        let sampled = self.sampled.unwrap_or_else(|| keeps_trace(self.trace_id, rate));
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(sampled))
    }

    /// Reads a `traceparent` header as W3C Trace Context, level 1, has it. The span is the
    /// caller's: take [`new_span`](Self::new_span) of it for the work done here.
    ///
    /// Of a version after `00` the first 55 characters are read and what follows their `-` is
    /// ignored. Flags other than `sampled` are ignored.
    ///
    /// # Errors
    ///
    /// Version `ff`, a zero id, another length, upper case and anything that is no hex digit, a
    /// space included. The message says what is wrong and never repeats the header.
    pub fn from_traceparent(header: &str) -> Result<Self, Error> {
        let bytes = header.as_bytes();
        if bytes.len() < TRACEPARENT_LEN {
            return Err(not_traceparent(format!("{} bytes long, not 55", bytes.len())));
        }
        if let Some(at) = [2, 35, 52].into_iter().find(|at| bytes[*at] != b'-') {
            return Err(not_traceparent(format!("no `-` at byte {}", at + 1)));
        }
        let version = header_field(bytes, 0..2)?;
        let trace_id = header_field(bytes, 3..35)?;
        let span_id = header_field(bytes, 36..52)?;
        let flags = header_field(bytes, 53..55)?;
        match (version, bytes.get(TRACEPARENT_LEN)) {
            (0xff, _) => return Err(not_traceparent("version `ff` is not allowed")),
            (0, Some(_)) => {
                return Err(not_traceparent(format!("{} bytes long, not 55", bytes.len())));
            }
            (_, None | Some(b'-')) => {}
            (_, Some(_)) => return Err(not_traceparent("no `-` at byte 56")),
        }
        let Some(context) = Self::from_ids(trace_id, span_id as u64, None) else {
            return Err(not_traceparent("an id is all zeros"));
        };
        Ok(Self { sampled: Some(flags & SAMPLED_FLAG != 0), ..context })
    }

    /// Carries the `tracestate` header that came with the `traceparent`; several such headers are
    /// joined by `,` first. One that breaks the standard's limits (32 members; keys and values of
    /// at most 256 characters, and of which ones) is dropped, as an empty one is.
    pub fn with_tracestate(mut self, header: &str) -> Self {
        self.tracestate = is_tracestate(header).then(|| header.into());
        self
    }

    /// What [`with_tracestate`](Self::with_tracestate) carries, for the header of outgoing calls.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// The trace's id, never zero.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span's id, never zero.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The id of the span above, where it is known.
    pub fn parent_span_id(&self) -> Option<u64> {
        self.parent_span_id
    }

    /// The `sampled` flag this trace came in with; `None` where it began here.
    pub fn sampled(&self) -> Option<bool> {
        self.sampled
    }

    /// Reads a trace id as logs have it: 1 to 32 hex digits of either case, shorter ones as if
    /// padded with zeros on the left, or a UUID with its dashes.
    ///
    /// # Errors
    ///
    /// Anything else, and zero.
    pub fn parse_trace_id(text: &str) -> Result<u128, Error> {
        Ok(ids::parse_trace_id(text)?)
    }

    /// Reads a span id as logs have it: 1 to 16 hex digits of either case, shorter ones as if
    /// padded with zeros on the left.
    ///
    /// # Errors
    ///
    /// Anything else, and zero.
    pub fn parse_span_id(text: &str) -> Result<u64, Error> {
        Ok(ids::parse_span_id(text)?)
    }
}

fn not_traceparent(why: impl std::fmt::Display) -> Error {
    let accepted = "accepted: VERSION-TRACEID-SPANID-FLAGS of 2, 32, 16 and 2 lower-case hex \
                    digits, the ids not zero";
    Error::parse("traceparent", format!("{why}; {accepted}"))
}

/// The number in a field of the header; lower case only.
fn header_field(header: &[u8], field: Range<usize>) -> Result<u128, Error> {
    let start = field.start;
    header[field].iter().enumerate().try_fold(0, |number, (at, byte)| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => {
                let at = start + at + 1;
                return Err(not_traceparent(format!("no lower-case hex digit at byte {at}")));
            }
        };
        Ok(number << 4 | u128::from(digit))
    })
}

fn is_tracestate(header: &str) -> bool {
    let members =
        || header.split(',').map(|m| m.trim_matches([' ', '\t'])).filter(|m| !m.is_empty());
    header.len() <= TRACESTATE_BYTES_MAX
        && (1..=TRACESTATE_MEMBERS_MAX).contains(&members().count())
        && members().all(|m| m.split_once('=').is_some_and(|(k, v)| is_member(k, v)))
}

fn is_member(key: &str, value: &str) -> bool {
    let is_key_byte =
        |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    (1..=256).contains(&key.len())
        && matches!(key.as_bytes()[0], b'a'..=b'z' | b'0'..=b'9')
        && key.bytes().all(is_key_byte)
        && (1..=256).contains(&value.len())
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}

/// A context that was entered and not left.
struct Entered {
    /// Tells it from all others of its thread; rising.
    scope: u64,
    context: TraceContext,
}

thread_local! {
    /// The last one is the current one.
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };

    /// Apart from fastrand's own generator, which an application may seed with a constant and
    /// which without its `getrandom` is seeded from the clock: ids are to differ everywhere, also
    /// those of a forked child from its parent's.
    static DRAWS: Draws = const { Draws { process: Cell::new(0), state: Cell::new(0) } };
}

/// A generator's state, and the number of the process that seeded it; zero: nobody has.
struct Draws {
    process: Cell<u64>,
    state: Cell<u64>,
}

impl Draws {
    fn draw<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        let process = Process::current().number();
        if self.process.replace(process) != process {
            self.state.set(seed());
        }
        let mut rng = fastrand::Rng::with_seed(self.state.get());
        let drawn = draw(&mut rng);
        self.state.set(rng.get_seed());
        drawn
    }
}

/// From the operating system. `RandomState` of std is no such thing: a child's goes on as its parent's
/// does.
#[cold]
fn seed() -> u64 {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => u64::from_le_bytes(seed),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
        }
    }
}

/// A random trace id, never zero.
pub(crate) fn random_trace_id() -> u128 {
    draw(|rng| rng.u128(1..))
}

/// A random span id, never zero.
pub(crate) fn random_span_id() -> u64 {
    draw(|rng| rng.u64(1..))
}

/// A random share, from 0 up to but not 1.
pub(crate) fn random_share() -> f64 {
    draw(fastrand::Rng::f64)
}

fn draw<R>(draw: impl Fn(&mut fastrand::Rng) -> R) -> R {
    let drawn = DRAWS.try_with(|draws| draws.draw(&draw));
    drawn.unwrap_or_else(|_| draw(&mut fastrand::Rng::with_seed(seed())))
}

/// Has the thread's draws come out alike every time.
#[cfg(test)]
pub(crate) fn seed_draws(seed: u64) {
    DRAWS.with(|draws| {
        draws.process.set(Process::current().number());
        draws.state.set(seed);
    });
}

/// Keeps a context current on this thread; see [`TraceContext::enter`].
///
/// Dropping it takes away its own context and no other: guards may be dropped in any order, and
/// the context entered last of those that are left is the current one. One that is leaked stays
/// entered for as long as the thread lives.
#[derive(Debug)]
#[must_use = "the context is current only while the guard lives"]
pub struct Scope {
    /// `None` where it was made while the thread's local storage was torn down.
    scope: Option<u64>,
    /// It belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        let Some(scope) = self.scope else { return };
        let remove = |entered: &RefCell<Vec<Entered>>| {
            let mut entered = entered.borrow_mut();
            let at = entered.iter().rposition(|entered| entered.scope == scope);
            at.map(|at| entered.remove(at))
        };
        // What it held is dropped behind the borrow.
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
    /// This future with `context` current whenever it is polled and while it is dropped, on
    /// whichever thread, under any executor.
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
        // The guard puts the old context back when the inner future panics, too.
        let _scope = this.context.enter();
        let future = this.future.as_pin_mut().expect("a future is not polled after its drop");
        future.poll(cx)
    }
}

#[cfg(test)]
mod tests;
