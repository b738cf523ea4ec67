//! The recorder: a handle to a queue, a writer's thread, and files.

mod emit;
pub mod environment;
mod flush;
mod global;
mod outlet;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use llm_audit_process::cell::PerProcess;
use llm_audit_process::exit::{self, Close};
use llm_audit_process::fork::{self, Process};

use crate::config::{Builder, Settings};
use crate::error::Error;
use crate::export::Exporter;
use crate::metrics::{Accounting, Flushed};
use crate::pricing::{Usage, Usd};
use crate::record::event::AuditEvent;
#[cfg(feature = "macros")]
use crate::record::members::{Member, Members};
use crate::ring::OnFull;
use crate::sampler::SamplingPolicy;
#[cfg(any(feature = "macros", feature = "tower", feature = "tracing"))]
use crate::sanitize::Sanitizer;
use crate::sanitize::protect_variables;
use crate::warnings;
use crate::writer::{self, Platform, Shared};

#[cfg(unix)]
pub use global::close_on_signals;
pub use global::{
    Guard, calculate_cost, captures_content, emit, emit_wait, flush, flush_durable, init, init_with,
};
pub(crate) use global::{peek, start_capture, stop_capture};
pub(crate) use outlet::Outlet;
#[cfg(feature = "macros")]
pub(crate) use outlet::is_off;

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

    /// Returns the recorder of the process, which [`init`](crate::init) builds and [`emit`](crate::emit)
    /// records into. Returns `None` before `init`.
    ///
    /// After the [`Guard`](crate::Guard) is dropped it returns the closed recorder. A capture of
    /// [`testing`](crate::testing) does not change what it returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::AuditLogger;
    ///
    /// # fn main() -> Result<(), llm_audit::Error> {
    /// # let folder = std::env::temp_dir().join("llm-audit-doc-get");
    /// assert!(AuditLogger::get().is_none());
    /// let _guard = llm_audit::init_with(AuditLogger::builder().directory(folder))?;
    /// if let Some(logger) = AuditLogger::get() {
    ///     println!("events of instance {}: {}", logger.instance(), logger.accounting().emitted);
    /// }
    /// # assert_eq!(AuditLogger::get().unwrap().instance(), _guard.logger().instance());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get() -> Option<&'static Self> {
        global::get()
    }

    pub(crate) fn start(
        mut settings: Settings,
        exporters: Vec<Box<dyn Exporter>>,
        platform: Platform,
    ) -> Result<Self, Error> {
        let (names, protected) = protect_variables(settings.redact_environment)?;
        settings.redact_environment = Some(names);
        let shared = Arc::new(Shared::new(settings, protected)?);
        let home = Process::current();
        if shared.settings.enabled {
            writer::spawn(&shared, exporters, platform)?;
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
        let mut chain = shared.rings.secondary.chain(limit, OnFull::Evict)?;
        Some(Members::encode(members, &mut chain, &shared.sanitizer))
    }

    /// The file written to last; `None` where no files are written, or a forked child has not
    /// written yet.
    pub fn path(&self) -> Option<PathBuf> {
        self.0.begun()?.control.path()
    }
}

impl Builder {
    /// Starts the logger.
    ///
    /// # Errors
    ///
    /// A setting or a variable that is not accepted (the error names it, what was given and what
    /// is accepted), a folder that cannot be written to, a thread that cannot be started.
    ///
    /// A variable that begins with `AUDIT_` and is not known is not an error. The first logger that reads the
    /// environment prints a warning on stderr, with the closest known name.
    pub fn build(self) -> Result<AuditLogger, Error> {
        self.build_on(Platform::default())
    }

    /// Starts the logger as [`build`](Self::build) does, on another file system and clock.
    pub(crate) fn build_on(self, platform: Platform) -> Result<AuditLogger, Error> {
        if self.reads_environment() {
            warnings::unknown_variables();
        }
        let (settings, exporters) = self.settings(&|name| std::env::var_os(name))?;
        AuditLogger::start(settings, exporters, platform)
    }
}
