//! The recorder: `emit`, `flush`, `shutdown`, and the one of the process.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::accounting::{Accounting, Counts, add};
use crate::config::{Builder, Settings};
use crate::context::{self, TraceContext};
use crate::cost::{self, Pricing, Usd};
use crate::error::{Error, Kind};
use crate::event::{AuditEvent, Ids, micros};
use crate::export::Exporter;
use crate::record::encode::{self, Head, Outcome};
#[cfg(feature = "macros")]
use crate::record::members::{Member, Members};
use crate::ring::{Chain, Lanes, OnFull, Pushed, Ring};
use crate::sampler::{self, SamplingPolicy};
use crate::sanitize::{ProtectedValue, Redactions, Sanitizer, protect_variables};
use crate::sync::pause;
use crate::usage::Usage;
use crate::writer::{self, Control, Ground, Waited};
use llm_audit_process::cell::{Once, PerProcess};
use llm_audit_process::exit::{self, CLOSE_DEADLINE, Close};
use llm_audit_process::fork::{self, Process};
use llm_audit_process::lock::Mutex;

/// A recorder: a queue, a writer's thread, and files.
///
/// Clones are handles to the same recorder. It closes, writing everything emitted before, when the
/// last handle is dropped, at [`shutdown`](Self::shutdown), and when the process exits by the return
/// of `main` or [`std::process::exit`] (within five seconds, for all recorders together).
///
/// # Forks
///
/// In a forked child the handle is that of another recorder, which begins with the first event that
/// the child emits: of the same settings, into the same folder, with an instance, a queue, counters
/// and a writer's thread of its own. What lay in the parent's queue is written by the parent alone.
/// [`Exporter`]s stay with the parent; where nothing else is written to, the child's events are
/// counted as rejected. The first emit of a child starts its threads; a child that ends by `_exit`
/// loses what it has not flushed.
#[derive(Clone)]
pub struct AuditLogger(Arc<Handle>);

/// Closes the recorder when the last handle goes.
struct Handle {
    /// Of the process that built it. In a child of that only what never changes is looked at.
    shared: Arc<Shared>,
    home: Process,
    /// Of a process that was forked from it, once it has emitted.
    in_child: PerProcess<Arc<Shared>>,
}

impl Handle {
    /// The recorder of this process, begun where this is a forked child that has none yet.
    #[inline]
    fn shared(&self) -> &Arc<Shared> {
        if self.home.is_current() { &self.shared } else { self.begin_in_child() }
    }

    #[cold]
    fn begin_in_child(&self) -> &Arc<Shared> {
        if !self.shared.settings.enabled {
            return &self.shared;
        }
        let (shared, is_new) = self.in_child.get_or_make(|| self.shared.in_child());
        if is_new {
            writer::spawn_in_child(shared);
            exit::close_at_exit(shared);
        }
        shared
    }

    /// The recorder of this process, if it has one.
    fn begun(&self) -> Option<&Arc<Shared>> {
        if self.home.is_current() { Some(&self.shared) } else { self.in_child.get() }
    }

    /// What is the same in every process.
    fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    fn end(&self) {
        self.begun().into_iter().for_each(|shared| shared.end());
    }
}

/// What callers and the writer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) instance: String,
    pub(crate) sanitizer: Sanitizer,
    pub(crate) rings: Lanes<Arc<Ring>>,
    pub(crate) counts: Counts,
    pub(crate) pricing: Pricing,
    pub(crate) control: Control,
    /// The variables of the environment, as long as events may come.
    _protected: Vec<ProtectedValue>,
}

impl fmt::Debug for AuditLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = self.0.begun().map(|shared| &shared.instance);
        f.debug_struct("AuditLogger").field("instance", &instance).finish_non_exhaustive()
    }
}

// A panic in a caller leaves no part of it half done: its shared state is atomics, and its locks are
// held over no code of the caller's but `emit_wait`'s, which guards nothing but turns.
impl std::panic::UnwindSafe for AuditLogger {}
impl std::panic::RefUnwindSafe for AuditLogger {}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl AuditLogger {
    /// Settings to build one from.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(
        mut settings: Settings,
        exporters: Vec<Box<dyn Exporter>>,
        ground: Ground,
    ) -> Result<Self, Error> {
        let (names, protected) = protect_variables(settings.redact_environment)?;
        settings.redact_environment = Some(names);
        let shared = Arc::new(Shared {
            instance: draw_instance()?,
            sanitizer: settings.sanitizer.clone(),
            rings: Lanes::new(settings.queue_capacity, settings.queue_bytes),
            counts: Counts::default(),
            pricing: Pricing::open(settings.pricing_file.as_deref(), &settings.sanitizer)?,
            control: Control::default(),
            _protected: protected,
            settings,
        });
        let home = Process::current();
        if shared.settings.enabled {
            writer::spawn(&shared, exporters, ground)?;
            exit::close_at_exit(&shared);
        }
        Ok(Self(Arc::new(Handle { shared, home, in_child: PerProcess::new() })))
    }

    /// Records an event. Returns nothing, cannot fail and never waits: when the queue is full the
    /// oldest event in it is overwritten, after close the event is counted as rejected.
    ///
    /// Callable from any thread, inside or outside any async runtime, and from inside a
    /// `Serialize` impl of another event; not from a signal handler.
    #[inline]
    pub fn emit(&self, event: &AuditEvent<'_>) {
        self.0.shared().emit(event, OnFull::Evict);
    }

    /// Records an event and waits for room where the queue is full, so that nothing is
    /// overwritten as long as all of this logger's events come this way. For imports and benches;
    /// a service emits.
    ///
    /// Where waiting does not help, because waiting emits hold all of the queue's memory between
    /// them, the event is recorded without its payload after some tries.
    ///
    /// From the writer's own thread (an [`Exporter`]) it is [`emit`](Self::emit).
    pub fn emit_wait(&self, event: &AuditEvent<'_>) {
        let shared = self.0.shared();
        let on_full = if shared.control.is_writer() { OnFull::Evict } else { OnFull::Wait };
        shared.emit(event, on_full);
    }

    /// Waits until every event emitted before has its end: written to the kernel, or counted as
    /// lost. Says what became of the events since the last flush or shutdown that returned `Ok`.
    ///
    /// # Errors
    ///
    /// The deadline passed (how many events are outstanding is in the error), or the caller is the
    /// writer's own thread.
    ///
    /// In a forked child that has not emitted it returns at once, with nothing.
    pub fn flush(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0.begun().map_or(Ok(Flushed::default()), |shared| shared.flush(deadline))
    }

    /// As [`flush`](Self::flush), and waits until every event written before is on the disk: its file
    /// was fsynced after it was written, and the file's name and folder are durable too. Whatever
    /// [`Builder::fsync`] says, the disk is not waited for by anybody but the caller.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); or no files are written; or an fsync of this logger failed, now or
    /// before: then it cannot be known any more whether what it was for is on the disk, so that no
    /// later call says so either ([`Error::is_not_durable`]), and the error says of how many events.
    /// With [`Fsync::Never`](crate::Fsync::Never) what was written is not synced by closing: call it
    /// before [`shutdown`](Self::shutdown).
    pub fn flush_durable(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0.begun().map_or(Ok(Flushed::default()), |shared| shared.flush_durable(deadline))
    }

    /// Closes: later events are rejected, everything emitted before gets its end, `audit.stop` is
    /// written. A second call waits for the same.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush). The logger is closed even then, and goes on writing what it has.
    pub fn shutdown(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0.begun().map_or(Ok(Flushed::default()), |shared| shared.shutdown(deadline))
    }

    /// The ends of all events so far. They agree when nothing is in flight, as after a flush.
    pub fn accounting(&self) -> Accounting {
        self.0.begun().map_or_else(Accounting::default, |shared| shared.accounting())
    }

    /// Takes what was emitted before `init` into the books.
    fn credit_early(&self) {
        let early = fork::own().early.swap(0, Ordering::Relaxed);
        if early == 0 {
            return;
        }
        let shard = self.0.shared().counts.shard();
        shard.emitted(early);
        shard.rejected(early);
    }

    /// The 16 hexadecimal digits that tell this logger's lines from all others'. A forked child's are
    /// others; to be asked is to it as its first event is.
    pub fn instance(&self) -> &str {
        &self.0.shared().instance
    }

    /// Which events are kept.
    pub fn sampling(&self) -> SamplingPolicy {
        self.0.settings().sampling
    }

    /// Whether layers and helpers record prompts, completions, arguments and results; see
    /// [`Builder::capture_content`].
    pub fn captures_content(&self) -> bool {
        self.0.settings().capture_content
    }

    #[cfg(any(feature = "macros", feature = "tower", feature = "tracing"))]
    pub(crate) fn sanitizer(&self) -> &Sanitizer {
        &self.0.shared.sanitizer
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn includes_snapshots(&self) -> bool {
        self.0.settings().include_snapshots
    }

    /// What a call of `model` with this usage costs, by the prices that come with the library and
    /// those of [`Builder::pricing_file`] over them. `usage` is a [`Usage`], or the pair of input
    /// and output tokens. `None` where no price is known, which is counted: see
    /// [`unpriced`](Self::unpriced).
    ///
    /// `model` is looked for as it is, in any case, then without the prefixes of hosts and makers
    /// (`azure/`, `bedrock/`, `openrouter/anthropic/`, Bedrock's regions and ARNs), then without a
    /// date or the like at its end (`-2024-08-06`, `@20250929`, `-v1:0`, `-latest`). What then is
    /// not known stays unknown.
    ///
    /// Cached tokens, those written to a cache (for an hour or less), reasoning and sound have the
    /// prices of their own that the model has; where it has none, sound, cached and written tokens
    /// cost what input costs, reasoning and spoken ones what output costs, those written for an
    /// hour what written ones cost. The price of a step (`above_200k_tokens`) holds for the whole
    /// call, by its input with the cached tokens; that of a batch, flex or priority call where the
    /// model has one, otherwise the usual one. Nothing but tokens is priced: no searches, no
    /// images, no storage.
    ///
    /// It reads no file and waits for none, but may allocate.
    pub fn calculate_cost(&self, model: &str, usage: impl Into<Usage>) -> Option<Usd> {
        self.cost_at("", &[model], usage.into())
    }

    /// As [`calculate_cost`](Self::calculate_cost), of the first of these models that has a price
    /// with this provider.
    pub(crate) fn cost_at(&self, provider: &str, models: &[&str], usage: Usage) -> Option<Usd> {
        self.0.shared().pricing.cost(provider, models, usage)
    }

    /// The models for which no price was known, and how many calls of each, redacted: the first 64
    /// of them. [`Accounting::unpriced`] counts the calls of all.
    pub fn unpriced(&self) -> BTreeMap<String, u64> {
        self.0.begun().map_or_else(BTreeMap::new, |shared| shared.pricing.unpriced().names)
    }

    /// What one encoded event may take, in bytes; see [`Builder::max_event_bytes`].
    #[cfg(feature = "tracing")]
    pub(crate) fn max_event_bytes(&self) -> usize {
        self.0.settings().max_event_bytes
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn shared(&self) -> &Shared {
        self.0.shared()
    }

    /// What is behind this logger; for `#[audit_span]`.
    #[cfg(feature = "macros")]
    pub(crate) fn settings(&self) -> &Settings {
        self.0.settings()
    }

    /// Encodes values as an event of this logger would hold them, to be put into one later. At most
    /// half an event; `None` where the queue has no buffer.
    #[cfg(feature = "macros")]
    pub(crate) fn keep(&self, members: &[Member<'_>]) -> Option<Members> {
        let shared = self.0.shared();
        let limit = shared.settings.max_event_bytes / 2;
        let mut chain = shared.rings.others.chain(limit, OnFull::Evict)?;
        Some(Members::encode(members, &mut chain, &shared.sanitizer))
    }

    /// The file written to last; `None` where no files are written, or a forked child has not
    /// written yet.
    pub fn path(&self) -> Option<PathBuf> {
        self.0.begun()?.control.path()
    }
}

/// What became of the events since this was last returned by the same logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Lines handed to the kernel.
    pub written: u64,
    /// Overwritten in the queue by newer events.
    pub overwritten: u64,
    /// Lost because writing failed.
    pub io_lost: u64,
}

impl Shared {
    /// The same recorder in a forked child, with nothing emitted yet. What may change, and so may have
    /// been in the middle of a change, is begun anew.
    fn in_child(&self) -> Arc<Self> {
        let settings = self.settings.clone();
        let instance =
            draw_instance().unwrap_or_else(|_| format!("{:016x}", context::random_span_id()));
        let shared = Self {
            instance,
            sanitizer: self.sanitizer.clone(),
            rings: Lanes::new(settings.queue_capacity, settings.queue_bytes),
            counts: Counts::default(),
            pricing: self.pricing.in_child(),
            control: Control::default(),
            // The parent's stay protected, as all values that it protected.
            _protected: Vec::new(),
            settings,
        };
        if !shared.settings.to_files && !shared.settings.to_stdout {
            shared.close();
        }
        Arc::new(shared)
    }

    fn emit(&self, event: &AuditEvent<'_>, on_full: OnFull) {
        if !self.settings.enabled {
            return;
        }
        match event.ids {
            Ids::Exactly(context) | Ids::Within(context) => self.emit_in(event, context, on_full),
            Ids::Current => TraceContext::with_current(|context| match context {
                Some(context) => self.emit_in(event, context, on_full),
                None => {
                    let trace = TraceContext::new_trace();
                    self.record(event, &trace, own_ids(&trace), on_full);
                }
            }),
        }
    }

    fn emit_in(&self, event: &AuditEvent<'_>, context: &TraceContext, on_full: OnFull) {
        let is_own = matches!(event.ids, Ids::Exactly(_)) || event.event_type.shares_span();
        let ids = if is_own {
            own_ids(context)
        } else {
            (context.trace_id(), context::random_span_id(), Some(context.span_id()))
        };
        self.record(event, context, ids, on_full);
    }

    /// Count, sample, encode, push.
    fn record(
        &self,
        event: &AuditEvent<'_>,
        context: &TraceContext,
        (trace_id, span_id, parent_span_id): (u128, u64, Option<u64>),
        on_full: OnFull,
    ) {
        let shard = self.counts.shard();
        shard.emitted(1);
        let sampling = &self.settings.sampling;
        if !sampling.should_record(event.status, event.latency_ms, Some(context)) {
            return shard.sampled_out();
        }
        let ring = match self.settings.errors_apart {
            true => self.rings.of(event.status),
            false => &self.rings.others,
        };
        if ring.is_closed() {
            return shard.rejected(1);
        }
        let timestamp = event.timestamp.unwrap_or_else(now);
        let head = Head { trace_id, span_id, parent_span_id, timestamp };
        if !self.push(ring, event, head, on_full) {
            // No memory at all, or closed meanwhile.
            match ring.is_closed() {
                true => shard.rejected(1),
                false => add(&self.counts.dropped, 1),
            }
        }
    }

    /// `false`: there was no room, not even for the event without its payload.
    fn push(&self, ring: &Arc<Ring>, event: &AuditEvent<'_>, head: Head, on_full: OnFull) -> bool {
        let mut redactions = Redactions::default();
        let Some((chain, outcome)) = self.encode(ring, event, head, on_full, &mut redactions)
        else {
            return false;
        };
        let turn = (on_full == OnFull::Wait).then(|| ring.turn());
        let pushed = ring.push(chain);
        drop(turn);
        let shard = self.counts.shard();
        match pushed {
            Pushed::Stored { wake } => {
                pause("stored");
                shard.encoded(outcome, &redactions);
                if wake {
                    pause("waking");
                    self.control.wake();
                }
            }
            Pushed::Closed => shard.rejected(1),
        }
        true
    }

    /// The event in a chain; where there is no memory for it, its head alone.
    fn encode<'r>(
        &self,
        ring: &'r Arc<Ring>,
        event: &AuditEvent<'_>,
        head: Head,
        on_full: OnFull,
        redactions: &mut Redactions,
    ) -> Option<(Chain<'r>, Outcome)> {
        /// Emits that wait may hold each other's memory. Each gives all of its back and tries
        /// again, so often.
        const TRIES_MAX: u32 = 64;
        let limit = self.settings.max_event_bytes.min(ring.event_bytes_max());
        let sanitizer = &self.sanitizer;
        let include_snapshots = self.settings.include_snapshots;
        for _ in 0..if on_full == OnFull::Wait { TRIES_MAX } else { 1 } {
            if let Some(mut chain) = ring.chain(limit, on_full) {
                *redactions = Redactions::default();
                let encoded = encode::encode(
                    event,
                    head,
                    &mut chain,
                    sanitizer,
                    include_snapshots,
                    redactions,
                );
                if let Ok(outcome) = encoded {
                    return Some((chain, outcome));
                }
            }
            if on_full == OnFull::Wait && !ring.wait_for_room() {
                return None;
            }
        }
        let mut chain = ring.chain(limit, on_full)?;
        *redactions = Redactions::default();
        let outcome = encode::encode_head_only(event, head, &mut chain, sanitizer, redactions);
        outcome.ok().map(|outcome| (chain, outcome))
    }

    fn flush(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.settle(deadline)?;
        Ok(self.flushed())
    }

    fn flush_durable(&self, deadline: Duration) -> Result<Flushed, Error> {
        let began = Instant::now();
        let late = || self.late(deadline, self.control.unsynced());
        self.settle(deadline).map_err(|error| if error.is_deadline() { late() } else { error })?;
        if self.settings.enabled {
            // What was handed on is with the housekeeping thread by now.
            match self.control.sync(began.checked_add(deadline)) {
                None => return Err(Error::new(Kind::NoFiles)),
                Some(Ok(Waited::Met)) => {}
                Some(Ok(_)) => return Err(late()),
                Some(Err(events)) => return Err(Error::new(Kind::NotDurable { events })),
            }
        }
        Ok(self.flushed())
    }

    fn shutdown(&self, deadline: Duration) -> Result<Flushed, Error> {
        // Also where the caller may not wait for it: the last handle may be dropped anywhere.
        let _since = self.close();
        self.wait(deadline, Control::wait_for_end)?;
        Ok(self.flushed())
    }

    /// Refuses later events, and asks the writer to end. Returns when that was first done.
    pub(crate) fn close(&self) -> Instant {
        self.control.close(|| self.rings.close())
    }

    /// Waits until everything emitted before has its end.
    fn settle(&self, deadline: Duration) -> Result<(), Error> {
        let to = self.rings.tails();
        self.wait(deadline, |control, until| control.flush(to, until))
    }

    /// Runs a wait of the control's with the instant the deadline means.
    fn wait(
        &self,
        deadline: Duration,
        waiting: impl FnOnce(&Control, Option<Instant>) -> Waited,
    ) -> Result<(), Error> {
        if !self.settings.enabled {
            return Ok(());
        }
        if self.control.is_writer() {
            return Err(Error::new(Kind::WritersThread));
        }
        // A deadline past the end of time is none.
        let until = Instant::now().checked_add(deadline);
        match waiting(&self.control, until) {
            Waited::Met => Ok(()),
            Waited::Late => Err(self.late(deadline, 0)),
            Waited::Panicked => Err(Error::new(Kind::WriterGone)),
            Waited::NotStarted => Err(Error::new(Kind::WriterNotStarted)),
        }
    }

    fn late(&self, waited: Duration, unsynced: u64) -> Error {
        let outstanding = self.accounting().queued + unsynced;
        Error::new(Kind::Deadline { waited, outstanding })
    }

    /// What became of events since this was last told.
    fn flushed(&self) -> Flushed {
        match self.settings.enabled {
            true => self.control.flushed(&self.accounting()),
            false => Flushed::default(),
        }
    }

    pub(crate) fn accounting(&self) -> Accounting {
        let (queued, displaced) = self.rings.count();
        let mut accounting = self.counts.sum();
        accounting.queued = queued + self.counts.in_hand.load(Ordering::Relaxed);
        accounting.unpriced = self.pricing.unpriced().total();
        accounting.overwritten += displaced + self.counts.dropped.load(Ordering::Relaxed);
        accounting
    }
}

impl Close for Shared {
    fn close(&self) {
        let _since = Self::close(self);
    }

    /// Closes, and waits for the writer as long as the end of a process does. Nobody is left to hear
    /// about what is not written by then: it is lost with the process.
    fn end(&self) {
        let until = Self::close(self) + CLOSE_DEADLINE;
        if self.settings.enabled && !self.control.is_writer() {
            let _late = self.control.wait_for_end(Some(until));
        }
    }
}

fn own_ids(context: &TraceContext) -> (u128, u64, Option<u64>) {
    (context.trace_id(), context.span_id(), context.parent_span_id())
}

/// Microseconds since the Unix epoch, never falling within a thread, whatever the clock does.
fn now() -> i64 {
    thread_local! {
        static LAST: Cell<i64> = const { Cell::new(i64::MIN) };
    }
    let now = micros(SystemTime::now());
    let later = |last: &Cell<i64>| {
        last.set(last.get().max(now));
        last.get()
    };
    LAST.try_with(later).unwrap_or(now)
}

/// 64 bits of the operating system's, so that no two processes share them, whatever they were
/// forked from.
fn draw_instance() -> Result<String, Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Random(error.to_string())))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// The recorder of the process.
static GLOBAL: Once<AuditLogger> = Once::new();
/// Which way [`emit`] goes: the bits below.
static STATE: AtomicU8 = AtomicU8::new(0);
/// [`GLOBAL`] is set.
const INITIALIZED: u8 = 1;
/// It records.
const ENABLED: u8 = 2;
/// Some thread captures its events for a test.
const CAPTURING: u8 = 4;

/// Builds the recorder of the process from the environment. Keep the guard to the end of `main`:
/// dropped, it writes what is queued and closes. So does the exit of the process.
///
/// # Errors
///
/// A variable that is not accepted (the error names it, what was given and what is accepted), a
/// folder that cannot be written to, a second `init`.
pub fn init() -> Result<Guard, Error> {
    init_with(AuditLogger::builder())
}

/// As [`init`], from a builder.
///
/// # Errors
///
/// As [`init`].
pub fn init_with(builder: Builder) -> Result<Guard, Error> {
    /// One `init` at a time, so that a second one starts no second logger.
    static INIT: PerProcess<Mutex<()>> = PerProcess::new();
    let _alone = INIT.get_or_make(Mutex::default).0.lock();
    if GLOBAL.get().is_some() {
        return Err(Error::new(Kind::AlreadyInit));
    }
    let logger = builder.build()?;
    sampler::set_process_trace_rate(match logger.sampling() {
        SamplingPolicy { debug: true, .. } => 1.0,
        policy => policy.trace_rate,
    });
    let enabled = if logger.0.settings().enabled { ENABLED } else { 0 };
    let logger = GLOBAL.set(logger);
    // Release: pairs with the acquire inside `Once::get`; the flag itself only says where to look.
    STATE.fetch_or(INITIALIZED | enabled, Ordering::Release);
    logger.credit_early();
    Ok(Guard { logger: logger.clone() })
}

/// Closes the recorder of the process when dropped, waiting up to five seconds for the writer. In a
/// forked child it closes the child's own, if it has one.
#[derive(Debug)]
#[must_use = "dropping the guard closes the recorder"]
pub struct Guard {
    logger: AuditLogger,
}

impl Guard {
    /// The recorder of the process.
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.logger.0.end();
    }
}

/// Records into the recorder of the process; see [`AuditLogger::emit`]. Before `init` the event is
/// counted as rejected.
#[inline]
pub fn emit(event: &AuditEvent<'_>) {
    with_logger(|logger| logger.emit(event));
}

/// As [`emit`], waiting for room; see [`AuditLogger::emit_wait`].
pub fn emit_wait(event: &AuditEvent<'_>) {
    with_logger(|logger| logger.emit_wait(event));
}

/// Waits for the recorder that [`emit`] records into; see [`AuditLogger::flush`]. Before `init` there
/// is nothing to wait for.
///
/// # Errors
///
/// As [`AuditLogger::flush`].
pub fn flush(deadline: Duration) -> Result<Flushed, Error> {
    peek(|logger| logger.flush(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// As [`flush`], until it is on the disk; see [`AuditLogger::flush_durable`].
///
/// # Errors
///
/// As [`AuditLogger::flush_durable`].
pub fn flush_durable(deadline: Duration) -> Result<Flushed, Error> {
    peek(|logger| logger.flush_durable(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// Closes all recorders of the process on SIGTERM and SIGINT, also those that are built later. The
/// process then ends as it would have without this call, so its parent sees the signal. Off unless
/// it is called.
///
/// Events emitted while the recorders close are counted as rejected. The recorders have five seconds,
/// even if something hangs. A second signal ends the process at once.
///
/// This is for programs that do not handle these signals themselves. A service that handles them, to
/// end its requests first, drops its guard or returns from `main`. A signal that is ignored, as under
/// `nohup`, stays ignored. After a signal SIGALRM is in use. A forked child listens too.
///
/// # Errors
///
/// Another handler for one of the signals exists, and nothing was changed; or the operating system
/// refused the handler.
///
/// # Examples
///
/// ```no_run
/// let _guard = llm_audit::init()?;
/// llm_audit::close_on_signals()?;
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[cfg(unix)]
pub fn close_on_signals() -> Result<(), Error> {
    Ok(exit::close_on_signals()?)
}

/// Whether what [`emit`] records may hold prompts, completions, arguments and results; see
/// [`Builder::capture_content`]. `false` before `init`.
pub fn captures_content() -> bool {
    peek(AuditLogger::captures_content).unwrap_or(false)
}

/// Where a layer's events go: to a logger of its own, or where [`emit`] goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlet(pub(crate) Option<AuditLogger>);

#[allow(dead_code, reason = "the layers are optional")]
impl Outlet {
    #[inline]
    pub(crate) fn emit(&self, event: &AuditEvent<'_>) {
        match &self.0 {
            Some(logger) => logger.emit(event),
            None => emit(event),
        }
    }

    /// Whether nothing is recorded at all, so that a layer may stand aside.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        match &self.0 {
            Some(logger) => !logger.0.settings().enabled,
            // Relaxed: `Once` orders the rest.
            None => STATE.load(Ordering::Relaxed) == INITIALIZED,
        }
    }

    /// What `look` finds in the logger that the events go to; `None` before `init`.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&AuditLogger) -> R) -> Option<R> {
        match &self.0 {
            Some(logger) => Some(look(logger)),
            None => peek(look),
        }
    }

    /// What the events that go there are redacted by.
    #[cfg(any(feature = "macros", feature = "tower"))]
    pub(crate) fn sanitizer(&self) -> Sanitizer {
        self.peek(|logger| logger.sanitizer().clone()).unwrap_or_default()
    }

    /// What a call costs, of the first of these models that has a price with this provider; by the
    /// built-in prices before `init`.
    pub(crate) fn cost_at(&self, provider: &str, models: &[&str], usage: Usage) -> Option<Usd> {
        self.peek(|logger| logger.cost_at(provider, models, usage))
            .unwrap_or_else(|| cost::built_in_cost(provider, models, usage))
    }

    pub(crate) fn captures_content(&self) -> bool {
        self.peek(AuditLogger::captures_content).unwrap_or(false)
    }
}

/// What `look` finds in the logger that [`emit`] records into at this moment.
pub(crate) fn peek<R>(look: impl FnOnce(&AuditLogger) -> R) -> Option<R> {
    // Relaxed: `Once` orders the rest.
    if STATE.load(Ordering::Relaxed) & CAPTURING != 0 && crate::testing::is_capturing() {
        let mut found = None;
        crate::testing::with_captured(|logger| found = Some(look(logger)));
        return found;
    }
    GLOBAL.get().map(look)
}

#[inline]
fn with_logger(record: impl FnOnce(&AuditLogger)) {
    // Relaxed: `Once` orders the rest.
    let state = STATE.load(Ordering::Relaxed);
    if state == INITIALIZED {
        return;
    }
    if state & CAPTURING != 0 && crate::testing::is_capturing() {
        return crate::testing::with_captured(record);
    }
    match GLOBAL.get() {
        Some(logger) => record(logger),
        None => {
            add(&fork::own().early, 1);
            if let Some(logger) = GLOBAL.get() {
                logger.credit_early();
            }
        }
    }
}

/// Makes [`emit`] look for captures of the calling thread.
pub(crate) fn note_capturing() {
    STATE.fetch_or(CAPTURING, Ordering::Relaxed);
}
