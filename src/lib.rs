//! Records what LLM agents do.

#![warn(missing_docs)]

#[doc(hidden)]
pub mod __bench;
#[doc(hidden)]
pub mod __fuzz;
mod accounting;
mod config;
mod context;
mod error;
mod event;
pub mod export;
mod logger;
pub mod reader;
mod record;
mod ring;
mod sampler;
pub mod sanitize;
mod sync;
pub mod testing;
mod writer;

pub use accounting::Accounting;
pub use config::{Builder, Fsync};
pub use context::{InSpan, Scope, Spanned, TraceContext};
pub use error::Error;
pub use event::{AuditEvent, ErrorDetail, EventType, Status, is_event_type_name};
pub use logger::{AuditLogger, Flushed, Guard, emit, emit_wait, init, init_with};
pub use sampler::SamplingPolicy;
pub use sanitize::Sanitizer;
