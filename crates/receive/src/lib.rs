//! Receives OTLP over HTTP, and records it as audit events.
//!
//! [`Receiver`] takes logs and traces, in protobuf and in JSON. A request is acknowledged only after its events are
//! written. The command's subcommand `receive` is made of it.
//!
//! - [`mapping`] says what a span or a log record of each sender becomes.

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz;
mod answer;
mod decode;
mod error;
pub mod mapping;
mod recorder;
mod server;
mod settings;

pub use error::Error;
pub use server::{Received, Receiver};
pub use settings::Settings;
