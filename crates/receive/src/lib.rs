//! Receives OTLP, and makes audit events of it.
//!
//! - [`mapping`] says what a span or a log record of each sender becomes.

pub mod mapping;
