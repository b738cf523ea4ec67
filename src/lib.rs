//! Records what LLM agents do: one redacted audit event for every model call, tool call, route,
//! retry, cache hit and error.
//!
//! [`emit`] is an ordinary synchronous function, callable from any thread, inside or outside any
//! async runtime. It removes personal data and secrets while it copies the event into a lock-free
//! ring that overwrites its oldest entry when full, and returns. One thread drains the ring in
//! batches and writes rotated JSONL files.
//!
//! ```no_run
//! use llm_audit::{AuditEvent, EventType};
//!
//! # fn main() -> Result<(), llm_audit::Error> {
//! # let payload = std::collections::BTreeMap::from([("tool", "search")]);
//! let _guard = llm_audit::init()?;
//! llm_audit::emit(
//!     &AuditEvent::new(EventType::ToolCall, "benefits", "tool.search")
//!         .latency_ms(12.5)
//!         .data(&payload),
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # Less to write
//!
//! - `#[audit_span]` (feature `macros`) records the calls of a function.
//! - `layer::tower` (features `tower`, `axum`) records the requests of a server and the calls of a
//!   client.
//! - `layer::tracing` (feature `tracing`) records what already emits OpenTelemetry's GenAI spans.
//! - [`record_llm_call`] records a model call with its tokens ([`Usage`]) and its cost
//!   ([`calculate_cost`]).
//!
//! # What is guaranteed, and what is not
//!
//! - `emit` returns nothing, cannot fail and never waits, whatever the disk does.
//! - No unredacted byte of an event leaves the caller's stack. What redaction finds, and what it
//!   does not, is said in the README.
//! - Every event has exactly one end, counted in [`Accounting`]: `emitted = written + overwritten +
//!   sampled_out + rejected + io_lost + queued`. Losses stand in the log as `audit.loss` lines.
//! - What [`flush`] confirmed is in the kernel, what [`flush_durable`] confirmed on the disk.
//! - Nothing accepted is lost when the process exits, by `main`'s return or [`std::process::exit`],
//!   within five seconds; by SIGTERM and SIGINT where `close_on_signals` was called. `kill -9`, `abort`
//!   and `_exit` lose what is queued; a power cut loses what was not synced (`AUDIT_FSYNC`).
//! - A forked child that emits has a recorder and files of its own; see [`AuditLogger`].
//! - What a disk refused is counted and told in the log, on a full disk too (Linux); writing goes on
//!   once it can. What another process removes or cuts off, `llm-audit verify` finds missing.
//! - Under sustained overload the oldest queued events are overwritten, not the newest refused.
//!   Errors and timeouts have a lane of their own: only errors overwrite errors.
//!
//! # Environment
//!
//! [`init`] and [`AuditLogger::builder`] read it. What is set on the [`Builder`] overrides it. If a value is not
//! accepted, `init` returns an error that names the variable. [`environment`] shows all settings and their
//! sources, and so does `llm-audit check`.
//!
#![doc = include_str!("config/variables.md")]
//!
//! # Where things went wrong
//!
//! - *Fewer events than expected*: the defaults keep some 28 % of what goes well. `audit.stop` says
//!   how many were sampled out and by which variable; `AUDIT_DEBUG=true` keeps all.
//! - *Nothing at all*: `emit` before [`init`] and after the guard is dropped is counted as
//!   `rejected`. `let _ = init()?` drops the guard at once; name it `_guard`.
//! - *`[UNSERIALIZABLE]`*: the payload's `Serialize` impl failed or panicked.
//! - *`[TRUNCATED:n]`*: the event was over `AUDIT_MAX_EVENT_BYTES`; its longest strings were cut.
//!
//! # Features
//!
//! None is on by default; the README says what each adds in crates.
//!
//! - `macros`: `#[audit_span]`.
//! - `tower`: `layer::tower`, a layer for servers and one for clients.
//! - `axum`: `tower`, and the paths that axum's router matched.
//! - `tracing`: `layer::tracing`, a layer for any `tracing_subscriber` registry.
//! - `regex`: patterns of the caller's own in a [`Sanitizer`](Sanitizer::builder).
//! - `zstd`: `AUDIT_COMPRESS=zstd`, and compressed files in [`reader`]. Needs a C compiler.

#[cfg(llm_audit_internals)]
#[doc(hidden)]
pub mod __bench;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz;
/// The expansion of `#[audit_span]` uses it from other crates.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __span {
    pub use crate::span::*;
}
mod config;
mod context;
mod error;
pub mod export;
#[cfg(any(feature = "tower", feature = "tracing"))]
pub mod layer;
mod llm;
mod metrics;
mod panics;
mod pricing;
pub mod reader;
mod record;
mod recorder;
mod ring;
mod sampler;
pub mod sanitize;
#[cfg(feature = "macros")]
#[doc(hidden)]
mod span;
mod sync;
pub mod testing;
mod warnings;
mod writer;

pub use config::{Builder, Compress, Fsync};
pub use context::{InSpan, Scope, Spanned, TraceContext};
pub use error::Error;
pub use llm::{LlmCall, record_llm_call};
#[cfg(feature = "macros")]
pub use llm_audit_macros::audit_span;
pub use metrics::{Accounting, Flushed};
pub use pricing::{ServiceTier, Usage, Usd};
pub use record::event::{AuditEvent, ErrorDetail, EventType, Status, is_event_type_name};
#[cfg(unix)]
pub use recorder::close_on_signals;
pub use recorder::{
    AuditLogger, Guard, calculate_cost, captures_content, emit, emit_wait, environment, flush,
    flush_durable, init, init_with,
};
pub use sampler::SamplingPolicy;
pub use sanitize::{ProtectedValue, Sanitizer, protect_environment, protect_value};
