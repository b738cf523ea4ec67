//! Records what LLM agents do.

#![warn(missing_docs)]

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

pub use config::Builder;
pub use context::{InSpan, Scope, Spanned, TraceContext};
pub use error::Error;
pub use event::{AuditEvent, ErrorDetail, EventType, Status};
pub use logger::{Accounting, AuditLogger, Flushed, Guard, emit, emit_wait, init};
pub use sampler::SamplingPolicy;
pub use sanitize::Sanitizer;
