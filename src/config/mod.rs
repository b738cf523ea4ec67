//! Settings of a logger: the one table of them, the environment, and the builder.

mod alerts;
mod builder;
mod otlp;
mod parent;
mod settings;
#[cfg(test)]
mod tests;
mod unknown;
mod values;
mod variable;
mod variables;

pub use builder::Builder;
pub(crate) use builder::{Attachments, Notifiers};
pub use llm_audit_log::CaptureContent;
#[cfg(feature = "tower")]
pub(crate) use otlp::percent_decoded;
#[cfg(feature = "otlp")]
pub(crate) use otlp::{Collector, GRPC, Otlp, Semconv};
pub(crate) use parent::Traceparent;
#[cfg(feature = "otlp")]
pub(crate) use settings::default_service_name;
pub use settings::{Compress, FailedTraces, Fsync};
pub(crate) use settings::{Settings, host_name};
pub use unknown::UnknownVariable;
pub(crate) use unknown::find_unknown_variables;
pub use variable::Variable;
pub(crate) use variables::VARIABLES;
