//! The recorder: a handle to a queue, a writer's thread, and files.

mod emit;
pub mod environment;
mod flush;
mod global;
mod handle;
mod outlet;
#[cfg(feature = "replay")]
mod replayed;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use llm_audit_process::exit;
use llm_audit_process::fork::{self, Process};

use crate::config::{Attachments, Builder, CaptureContent, Settings, Traceparent};
use crate::context;
use crate::error::Error;
use crate::metrics::{Accounting, Flushed, Health, Metrics};
use crate::pricing::{self, Usage, Usd};
use crate::record::event::AuditEvent;
#[cfg(feature = "macros")]
use crate::record::members::{EncodedMembers, Member};
use crate::ring::OnFull;
use crate::sampler::SamplingPolicy;
use crate::sanitize::{Sanitizer, protect_variables};
use crate::user_names::UserKey;
use crate::warnings;
use crate::writer::{self, Platform, Shared};

#[cfg(unix)]
pub use global::close_on_signals;
pub use global::{
    Guard, calculate_cost, captures_content, count, emit, emit_wait, flush, flush_durable, init,
    init_with, is_enabled,
};
pub(crate) use global::{peek_current_logger, start_thread_capture, stop_thread_capture};
use handle::LoggerHandle;
pub(crate) use outlet::Outlet;
#[cfg(feature = "macros")]
pub(crate) use outlet::is_logger_off;
#[cfg(all(feature = "replay", any(feature = "macros", feature = "tower")))]
pub(crate) use replayed::replay_logger;
#[cfg(feature = "replay")]
pub(crate) use replayed::{start_replay_logger, stop_replay_logger};

/// A recorder: a queue, a writer's thread, and files.
///
/// Clones are handles to the same recorder. It closes when the last handle is dropped, at
/// [`shutdown`](Self::shutdown), and when the process exits by the return of `main` or
/// [`std::process::exit`]. Before it closes, it writes everything emitted before. At process exit
/// all recorders together have five seconds.
///
/// # Forks
///
/// In a forked child the handle refers to another recorder, which starts with the first event that
/// the child emits. It has the same settings and writes to the same folder. Its instance, queue,
/// counters and writer's thread are its own. Events that were in the parent's queue are written
/// only by the parent.
///
/// [`Exporter`](crate::export::Exporter)s stay with the parent. If the recorder writes to nothing else, the child's events
/// are counted as rejected. The first emit of a child starts its threads. If a child ends by
/// `_exit`, it loses what it has not flushed.
///
/// # Examples
///
/// A recorder beside that of the process, for events of their own folder:
///
/// ```
/// use std::time::Duration;
///
/// use llm_audit::{AuditEvent, AuditLogger, EventType};
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let logger = AuditLogger::builder().directory(&folder).debug(true).build()?;
/// logger.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plan.get").latency_ms(0.3));
/// let counts = logger.shutdown(Duration::from_secs(5))?;
/// assert_eq!(counts.written, 1);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone)]
pub struct AuditLogger(Arc<LoggerHandle>);

impl fmt::Debug for AuditLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = self.0.started_shared().map(|shared| &shared.instance);
        f.debug_struct("AuditLogger").field("instance", &instance).finish_non_exhaustive()
    }
}

/// Builds the tables of redaction and of prices, which are made when they are first needed. That
/// should not be in the first request.
fn build_tables(sanitizer: &Sanitizer) {
    let of_every_class = "é@1 ٤٤٤٤";
    let _ = sanitizer.redact_str(of_every_class);
    let _ = pricing::built_in_cost("", &[""], Usage::default());
}

// A panic in a caller leaves no broken state: the shared state is atomics. Only `emit_wait` holds a
// lock while the caller's code runs, and that lock guards nothing except turns.
impl std::panic::UnwindSafe for AuditLogger {}
impl std::panic::RefUnwindSafe for AuditLogger {}

impl AuditLogger {
    /// Returns settings to build a logger from.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the recorder of the process, which [`init`](crate::init) builds and
    /// [`emit`](crate::emit) records into. Returns `None` before `init`.
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
        global::process_logger()
    }

    pub(crate) fn start(
        mut settings: Settings,
        attachments: Attachments,
        platform: Platform,
    ) -> Result<Self, Error> {
        let (names, protected) = protect_variables(settings.redact_environment)?;
        settings.redact_environment = Some(names);
        let user_key = match &settings.hash_users {
            Some(key) => key.clone(),
            None if settings.enabled && settings.outputs.files => {
                writer::user_key_of_folder(&*platform.fs, &settings.directory)
            }
            None => UserKey::random(),
        };
        let shared = Arc::new(Shared::new(settings, &user_key, protected)?);
        let home = Process::current();
        if shared.settings.enabled {
            writer::spawn_writer(&shared, attachments, platform)?;
            exit::close_at_exit(&shared);
            build_tables(&shared.sanitizer);
        }
        Ok(Self(Arc::new(LoggerHandle::new(shared, home))))
    }

    /// Records an event. It returns nothing, cannot fail and never waits.
    ///
    /// If the queue is full, its oldest event is overwritten. After close the event is counted as
    /// rejected.
    ///
    /// It can be called from any thread, inside or outside any async runtime. A `Serialize` impl of
    /// another event may call it. A signal handler must not.
    #[inline]
    pub fn emit(&self, event: &AuditEvent<'_>) {
        self.0.shared().emit(event, OnFull::Evict);
    }

    /// Records an event, and waits for room if the queue is full.
    ///
    /// If all of this logger's events are recorded this way, nothing is overwritten. It is meant
    /// for imports and benches; a service uses [`emit`](Self::emit).
    ///
    /// Waiting does not help if waiting emits hold all of the queue's memory between them. After
    /// some tries the event is then recorded without its payload.
    ///
    /// If the writer's own thread calls it (an [`Exporter`](crate::export::Exporter)), it behaves like [`emit`](Self::emit).
    ///
    /// # Examples
    ///
    /// An import of more events than the queue has places:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use llm_audit::{AuditEvent, AuditLogger, EventType};
    ///
    /// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
    /// let builder = AuditLogger::builder().directory(&folder).debug(true);
    /// let logger = builder.queue_capacity(64).build()?;
    /// for _ in 0..1_000 {
    ///     logger.emit_wait(&AuditEvent::new(EventType::CacheMiss, "import", "row"));
    /// }
    /// let counts = logger.shutdown(Duration::from_secs(30))?;
    /// assert_eq!((counts.written, counts.overwritten), (1_000, 0));
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    pub fn emit_wait(&self, event: &AuditEvent<'_>) {
        let shared = self.0.shared();
        let on_full = if shared.control.is_writer() { OnFull::Evict } else { OnFull::Wait };
        shared.emit(event, on_full);
    }

    /// Waits until every event emitted before is written to the kernel or counted as lost.
    ///
    /// Returns what became of the events since the last flush or shutdown that returned `Ok`. If a
    /// forked child has not emitted, it returns at once with zeros.
    ///
    /// # Errors
    ///
    /// Returns an error if the deadline passed, with the number of outstanding events. Also returns
    /// an error if the caller is the writer's own thread.
    pub fn flush(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0.started_shared().map_or(Ok(Flushed::default()), |shared| shared.flush(deadline))
    }

    /// Waits like [`flush`](Self::flush), and then until every event written before is on the disk.
    ///
    /// Each file was fsynced after it was written, and its name and folder are durable too.
    /// Whatever [`Builder::fsync`] is, only the caller waits for the disk.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`flush`](Self::flush), and an error if no files are written.
    ///
    /// After a failed fsync, durability is unknown. From then on this function returns an error
    /// that contains the number of affected events ([`Error::is_not_durable`]).
    ///
    /// With [`Fsync::Never`](crate::Fsync::Never) closing does not sync what was written. Call this
    /// function before [`shutdown`](Self::shutdown) if it must be durable.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use llm_audit::{AuditEvent, AuditLogger, EventType};
    ///
    /// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
    /// let logger = AuditLogger::builder().directory(&folder).debug(true).build()?;
    /// logger.emit(&AuditEvent::new(EventType::AgentDecision, "payments", "approve"));
    /// match logger.flush_durable(Duration::from_secs(5)) {
    ///     Ok(flushed) => assert_eq!(flushed.written, 1), // also after a power cut
    ///     Err(error) if error.is_not_durable() => eprintln!("the disk: {error}"),
    ///     Err(error) => return Err(error), // the time was over
    /// }
    /// # drop(logger);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    pub fn flush_durable(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0
            .started_shared()
            .map_or(Ok(Flushed::default()), |shared| shared.flush_durable(deadline))
    }

    /// Closes the logger: later events are rejected, and earlier ones are written or counted as
    /// lost.
    ///
    /// The last line written is `audit.stop`. A second call waits for the same end.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`flush`](Self::flush). Even then the logger is closed, and it
    /// continues to write what it has.
    pub fn shutdown(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.0.started_shared().map_or(Ok(Flushed::default()), |shared| shared.shutdown(deadline))
    }

    /// Returns what became of all events so far. The numbers add up if nothing is in flight, for
    /// example after a flush.
    pub fn accounting(&self) -> Accounting {
        self.0.started_shared().map_or_else(Accounting::default, |shared| shared.accounting())
    }

    /// Returns the figures of all events that this logger was given, before sampling.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::{AuditEvent, AuditLogger, EventType, SamplingPolicy};
    ///
    /// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
    /// let nothing = SamplingPolicy { trace_rate: 0.0, success_rate: 0.0, ..SamplingPolicy::default() };
    /// let logger = AuditLogger::builder().directory(&folder).sampling(nothing).build()?;
    /// for _ in 0..100 {
    ///     let event = AuditEvent::new(EventType::ToolResult, "benefits", "tool.search");
    ///     logger.emit(&event.latency_ms(12.5));
    /// }
    /// assert_eq!(logger.metrics().tool_calls_total(), 100);
    /// assert_eq!(logger.metrics().tool_latency().quantile_ms(0.95), Some(12.503));
    /// # drop(logger);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.0.started_shared().map_or_else(Metrics::default, |shared| shared.metrics())
    }

    /// Adds to a counter of your own; see [`MetricsCollector::count`](crate::metrics::MetricsCollector::count).
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::AuditLogger;
    ///
    /// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
    /// let logger = AuditLogger::builder().directory(&folder).build()?;
    /// logger.count("plans_found", 3);
    /// logger.count("plans_found", 1);
    /// assert_eq!(logger.metrics().counters["plans_found"], 4);
    /// # drop(logger);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    pub fn count(&self, name: &str, count: u64) {
        let shared = self.0.shared();
        if shared.settings.enabled {
            shared.metrics.count(name, count);
        }
    }

    /// Returns whether this logger writes what it is given. A forked child that has not emitted yet is
    /// closed.
    pub fn health(&self) -> Health {
        self.0.started_shared().map_or_else(Health::default, |shared| shared.health())
    }

    /// Adds the events emitted before `init` to the counters.
    fn count_early_events(&self) {
        let early = fork::process_state().early.swap(0, Ordering::Relaxed);
        if early == 0 {
            return;
        }
        let shard = self.0.shared().counts.shard();
        shard.emitted(early);
        shard.rejected(early);
    }

    /// Returns the 16 hexadecimal digits that distinguish this logger's lines from all others.
    ///
    /// A forked child has other digits. In a child this call starts the child's recorder, as its
    /// first event does.
    pub fn instance(&self) -> &str {
        &self.0.shared().instance
    }

    /// Returns the policy that decides which events are kept.
    pub fn sampling(&self) -> SamplingPolicy {
        self.0.settings().sampling
    }

    /// Reports whether events are recorded; see [`Builder::enabled`].
    ///
    /// If not, [`emit`](Self::emit) does nothing, but its caller makes the event. Ask first if that costs much.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.0.settings().enabled
    }

    /// Reports whether layers and helpers record prompts, completions, arguments and results; see
    /// [`Builder::capture_content`].
    pub fn captures_content(&self) -> bool {
        self.capture_content() != CaptureContent::Never
    }

    /// Returns in which traces content is kept. If only in those that fail, it is captured in all.
    pub fn capture_content(&self) -> CaptureContent {
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

    /// Returns the cost of a call of `model` with this usage, or `None` if no price is known.
    ///
    /// `usage` is a [`Usage`], or the pair of input and output tokens. The prices come with the
    /// library; those of [`Builder::pricing_file`] override them. Calls without a known price are
    /// counted; see [`unpriced`](Self::unpriced).
    ///
    /// The lookup first tries `model` as it is, in upper or lower case. It then removes the
    /// prefixes of hosts and makers (`azure/`, `bedrock/`, `openrouter/anthropic/`, Bedrock's
    /// regions and ARNs). Last it removes a date or version at the end (`-2024-08-06`, `@20250929`,
    /// `-v1:0`, `-latest`). If the name is still not known, there is no price.
    ///
    /// A model may have separate prices for cached tokens, tokens written to a cache (for at most
    /// an hour), reasoning and audio. If it has none:
    ///
    /// - Audio input, cached tokens and tokens written to a cache cost what input costs.
    /// - Reasoning and audio output cost what output costs.
    /// - Tokens written for an hour cost what other written tokens cost.
    ///
    /// The price of a step (`above_200k_tokens`) applies to the whole call if its input, with the
    /// cached tokens, is above the step. Only tokens are priced: not searches, images or storage.
    ///
    /// A batch, flex or priority call has prices of its own. If the model has none for any kind of
    /// token, there is no cost. Neither is there one if the usage is
    /// [partial](Usage::is_partial), or read from an answer under terms without a known price.
    ///
    /// The function reads no file and does not wait for one, but it may allocate.
    pub fn calculate_cost(&self, model: &str, usage: impl Into<Usage>) -> Option<Usd> {
        self.cost_with_provider("", &[model], usage.into())
    }

    /// Returns the cost by the first of these models that has a price with this provider; see
    /// [`calculate_cost`](Self::calculate_cost).
    pub(crate) fn cost_with_provider(
        &self,
        provider: &str,
        models: &[&str],
        usage: Usage,
    ) -> Option<Usd> {
        self.0.shared().pricing.cost(provider, models, usage)
    }

    /// Returns the first 64 models without a known price, redacted, and the number of calls of
    /// each.
    ///
    /// [`Accounting::unpriced`] counts the calls of all such models.
    pub fn unpriced(&self) -> BTreeMap<String, u64> {
        self.0.started_shared().map_or_else(BTreeMap::new, |shared| shared.pricing.unpriced().names)
    }

    /// Counts an input that an importer could not turn into an event. `audit.stop` has the counts
    /// by reason, as `refused`.
    ///
    /// The accounting does not change, because nothing was emitted.
    ///
    /// # Examples
    ///
    /// ```
    /// # let seen = llm_audit::testing::capture();
    /// # let logger = seen.logger();
    /// if serde_json::from_str::<serde_json::Value>("not JSON").is_err() {
    ///     logger.count_refused("not_json");
    /// }
    /// ```
    pub fn count_refused(&self, reason: &'static str) {
        *self.0.shared().refused.lock().entry(reason).or_default() += 1;
    }

    pub(crate) fn count_unmetered(&self, model: &str) {
        self.0.shared().pricing.count_unmetered(model);
    }

    /// Returns the first 64 models with an answer without a readable usage, redacted, and the number
    /// of these answers.
    ///
    /// The usage was missing, half, or not understood, so the call has no cost.
    /// [`Accounting::unmetered`] counts the calls of all such models.
    pub fn unmetered(&self) -> BTreeMap<String, u64> {
        let shared = self.0.started_shared();
        shared.map_or_else(BTreeMap::new, |shared| shared.pricing.unmetered().names)
    }

    /// Returns the size limit of one encoded event, in bytes; see [`Builder::max_event_bytes`].
    #[cfg(feature = "tracing")]
    pub(crate) fn max_event_bytes(&self) -> usize {
        self.0.settings().max_event_bytes
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn shared(&self) -> &Shared {
        self.0.shared()
    }

    /// Returns the settings of this logger, for `#[audit_span]`.
    #[cfg(feature = "macros")]
    pub(crate) fn settings(&self) -> &Settings {
        self.0.settings()
    }

    /// Encodes values as an event of this logger would, so that a later event can contain them.
    ///
    /// They take at most half an event. Returns `None` if the queue has no free buffer.
    #[cfg(feature = "macros")]
    pub(crate) fn encode_members(&self, members: &[Member<'_>]) -> Option<EncodedMembers> {
        let shared = self.0.shared();
        let limit = shared.settings.max_event_bytes / 2;
        let mut chain = shared.rings.secondary.begin_chain(limit, OnFull::Evict)?;
        Some(EncodedMembers::encode(members, &mut chain, &shared.sanitizer))
    }

    /// Returns the file that was written to last.
    ///
    /// Returns `None` if no files are written, or if a forked child has not written yet.
    pub fn path(&self) -> Option<PathBuf> {
        self.0.started_shared()?.control.log_path()
    }
}

impl Builder {
    /// Starts the logger.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting or a variable is not accepted, or if the folder cannot be
    /// written to. Also returns an error if a thread cannot be started. The error for a setting
    /// names it, its value and what is accepted.
    ///
    /// A variable that begins with `AUDIT_` and is not known is not an error. The first logger that
    /// reads the environment prints a warning on stderr, with the closest known name, unless
    /// `AUDIT_NOTICES` is `none`.
    pub fn build(self) -> Result<AuditLogger, Error> {
        self.build_on_platform(Platform::default())
    }

    /// Starts the logger as [`build`](Self::build) does, on another file system and clock.
    pub(crate) fn build_on_platform(self, platform: Platform) -> Result<AuditLogger, Error> {
        let reads_environment = self.reads_environment();
        let settings = self.settings(&|name| std::env::var_os(name));
        if reads_environment && settings.as_ref().map_or(true, |(settings, _)| settings.notices) {
            warnings::warn_of_unknown_variables();
        }
        let (settings, attachments) = settings?;
        settings.process_parent().into_iter().for_each(context::set_process_parent);
        if let (Traceparent::Ignored(why), true) = (&settings.traceparent, settings.notices) {
            warnings::warn_of_ignored_traceparent(why);
        }
        AuditLogger::start(settings, attachments, platform)
    }
}
