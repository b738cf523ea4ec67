//! `receive`: OTLP over HTTP, through the whole pipeline, into the log.

#[cfg(feature = "receive")]
mod present;
#[cfg(not(feature = "receive"))]
#[path = "absent.rs"]
mod present;

pub(crate) use present::{ReceiveArgs, run_receive};
