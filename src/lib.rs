//! Records what LLM agents do: one redacted audit event for every model call, tool call, route,
//! retry, cache hit and error.
//!
//! [`emit`] is a synchronous function. It can be called from any thread, inside or outside an async
//! runtime. It removes personal data and secrets while it copies the event into a lock-free ring. If
//! the ring is full, its oldest entry is overwritten. One thread drains the ring in batches and
//! writes rotated JSONL files.
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
//! # Recording without a call of `emit`
//!
//! - `#[audit_span]` (feature `macros`) records the calls of a function.
//! - `layer::tower` (features `tower`, `axum`, `reqwest`) records the requests of a server and the calls of a
//!   client, among them those of models.
//! - `layer::rmcp` (feature `rmcp`) records the requests of an MCP server and of a client.
//! - `layer::tracing` (feature `tracing`) records the spans of libraries that emit OpenTelemetry's
//!   GenAI spans.
//! - The package `llm-audit-rig` records the agents of rig by a hook, and `llm-audit-aws` the calls of the AWS SDK by
//!   an interceptor.
//! - [`record_llm_call`] records a model call with its tokens ([`Usage`]) and its cost
//!   ([`calculate_cost`]). With the feature `macros`, `LlmCall::call` and `LlmCall::stream` record the
//!   future or the stream of a client.
//!
//! # Guarantees and losses
//!
//! - `emit` returns nothing, cannot fail and never waits, whatever the disk does.
//! - No unredacted byte of an event leaves the caller's stack. `docs/redaction.md` lists what redaction finds
//!   and what it does not find.
//! - Every event has exactly one end, counted in [`Accounting`]: `emitted = written + overwritten +
//!   sampled_out + rejected + io_lost + queued`. Losses are recorded in the log as `audit.loss`
//!   lines.
//! - After [`flush`] returns `Ok`, the events are in the kernel. After [`flush_durable`] returns
//!   `Ok`, they are on the disk.
//! - If the process exits by `main`'s return or [`std::process::exit`], nothing accepted is lost,
//!   as long as writing takes at most five seconds. After a call of `close_on_signals` this is also
//!   so for SIGTERM and SIGINT.
//! - `kill -9`, `abort` and `_exit` lose what is queued or held. A power cut loses what was not synced
//!   (`AUDIT_FSYNC`).
//! - If a forked child emits, it has its own recorder and files; see [`AuditLogger`].
//! - If the disk refuses a write, the loss is counted and recorded in the log, on Linux even if the
//!   disk is full. Writing continues as soon as it can.
//! - If another process removes or truncates a file, `llm-audit verify` reports what is missing.
//! - Under sustained overload the oldest queued events are overwritten, and the newest are kept.
//!   Errors and timeouts have a queue of their own, so only errors overwrite errors.
//! - Events that sampling leaves out are held until it is known whether their trace fails
//!   ([`FailedTraces`]). A failed trace is written whole.
//!
//! # Environment
//!
//! [`init`] and [`AuditLogger::builder`] read the environment. Values set on the [`Builder`]
//! override it. If a value is not accepted, `init` returns an error that names the variable.
//! [`environment`] and `llm-audit check` show all settings and their sources.
//!
#![doc = include_str!("config/variables.md")]
//!
//! # Troubleshooting
//!
//! - *Fewer events than expected*: the defaults keep about 28 % of the events that go well, and every failed
//!   trace whole. The `audit.stop` line contains how many were sampled out and by which variable. `AUDIT_DEBUG=true`
//!   keeps all.
//! - *No events at all*: an `emit` before [`init`] or after the guard is dropped is counted as
//!   `rejected`. `let _ = init()?` drops the guard at once, so name it `_guard`.
//! - *`[UNSERIALIZABLE]`*: the payload's `Serialize` impl failed or panicked.
//! - *`[TRUNCATED:n]`*: the event was over `AUDIT_MAX_EVENT_BYTES`, so its longest strings were cut.
//!
//! # Features
//!
//! No feature is on by default. The README lists the crates that each adds.
//!
//! - `macros`: `#[audit_span]`, `record_stream`, and `call`, `stream` and `call_stream` of
//!   [`LlmCall`].
//! - `tower`: `layer::tower`, with a layer for servers and one for clients.
//! - `reqwest`: `tower`, plus the layer for clients as a middleware of reqwest-middleware 0.5.
//! - `axum`: `tower`, plus the paths that the router of axum 0.8 matched.
//! - `rmcp`: `layer::rmcp`, for servers and clients of the Model Context Protocol.
//! - `tracing`: `layer::tracing`, a layer for any `tracing_subscriber` registry.
//! - `cloudwatch`: `metrics::CloudWatchLines`, the figures as lines for CloudWatch.
//! - `cloudwatch-logs`: events go to CloudWatch Logs (`AUDIT_EXPORTER=cloudwatch`). Brings the AWS SDK.
//! - `otlp`: [`metrics`] go to an OpenTelemetry collector (`OTEL_EXPORTER_OTLP_ENDPOINT`), and with
//!   `AUDIT_EXPORTER=otlp` events, too. Needs a C compiler.
//! - `otlp-grpc`: `otlp`, plus gRPC. Brings tonic, hyper and tokio.
//! - `prometheus`: [`metrics`] as Prometheus and OpenMetrics read them; with `axum` also a router of
//!   `/metrics` and `/health`.
//! - `slo`: [`metrics`] also count the events of objectives (`AUDIT_SLO_FILE`).
//! - `alerts`: `slo`, plus a thread that evaluates alert rules and tells alerts (`AUDIT_ALERT_WEBHOOK`, `alerts`).
//! - `sns`: `alerts`, also to Amazon SNS. Brings the AWS SDK.
//! - `regex`: your own patterns in a [`Sanitizer`](Sanitizer::builder).
//! - `replay`: `replay::Replayer`, which runs a recorded trace again in a test.
//! - `gzip`: logs that other programs compressed, `.jsonl.gz`, in [`reader`].
//! - `zstd`: `AUDIT_COMPRESS=zstd`, and compressed files in [`reader`]. Needs a C compiler.

#[cfg(llm_audit_internals)]
#[doc(hidden)]
pub mod __bench;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz;
/// Items that the expansion of `#[audit_span]` uses in other crates.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __span {
    pub use crate::span::*;
}
#[cfg(feature = "alerts")]
pub mod alerts;
#[cfg(not(feature = "alerts"))]
mod alerts;
mod config;
mod context;
mod error;
pub mod export;
mod judgement;
#[cfg(any(feature = "rmcp", feature = "tower", feature = "tracing"))]
pub mod layer;
mod llm;
pub mod metrics;
mod panics;
mod pricing;
pub mod reader;
mod record;
mod recorder;
pub mod replay;
mod ring;
mod sampler;
pub mod sanitize;
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
pub mod shipping;
#[cfg(not(any(feature = "cloudwatch-logs", feature = "otlp")))]
mod shipping;
#[cfg(feature = "macros")]
#[doc(hidden)]
mod span;
mod sync;
pub mod testing;
#[cfg(any(feature = "macros", feature = "tower"))]
mod timeout;
#[cfg(any(feature = "macros", feature = "replay", feature = "tower"))]
mod urls;
mod user_names;
mod warnings;
mod writer;

pub use config::{Builder, CaptureContent, Compress, FailedTraces, Fsync};
pub use context::{InSpan, Scope, Spanned, TraceContext};
pub use error::Error;
pub use judgement::{Evaluation, Feedback, record_evaluation, record_feedback};
pub use llm::{LlmCall, record_llm_call};
#[cfg(feature = "macros")]
pub use llm_audit_macros::audit_span;
#[doc(no_inline)]
pub use metrics::{Accounting, Flushed};
pub use pricing::{Prices, ServiceTier, Usage, Usd};
pub use record::event::{AuditEvent, ErrorDetail, EventType, Status, is_event_type_name};
#[cfg(unix)]
pub use recorder::close_on_signals;
pub use recorder::{
    AuditLogger, Guard, calculate_cost, captures_content, count, emit, emit_wait, environment,
    flush, flush_durable, init, init_with, is_enabled,
};
pub use sampler::SamplingPolicy;
pub use sanitize::{ProtectedValue, Sanitizer, protect_environment, protect_value};
#[cfg(feature = "macros")]
pub use span::{CallError, CallItem, RecordedStream, record_stream};
