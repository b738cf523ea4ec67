//! Receives OTLP over HTTP, and records it as audit events.
//!
//! [`Receiver`] takes logs and traces, in protobuf and in JSON. A request is acknowledged only after its events are
//! written. The command's subcommand `receive` is made of it.
//!
//! - [`mapping`] says what a span or a log record of each sender becomes.

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

/// Decodes a body as the server does, for the fuzz targets. Returns whether it is accepted.
#[doc(hidden)]
pub fn __decode(path: &str, is_json: bool, body: &[u8]) -> bool {
    decode::is_accepted(path, is_json, body)
}
