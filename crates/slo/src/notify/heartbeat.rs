//! The signal of a dead man's switch: a request after each evaluation.

use super::http::Endpoint;
use super::notifier::{Evaluation, Notifier, NotifyError};
use crate::Alert;

/// Requests an address with GET after each evaluation, as the checks of healthchecks.io, Uptime Kuma and the like
/// expect it. They raise the alarm if the requests stop.
pub struct Heartbeat {
    name: String,
    endpoint: Endpoint,
}

impl Heartbeat {
    /// Returns `None` if the address is not one of `http` or `https`.
    pub fn new(address: &str) -> Option<Self> {
        let endpoint = Endpoint::parse(address)?;
        Some(Self { name: format!("heartbeat {}", endpoint.origin()), endpoint })
    }
}

impl Notifier for Heartbeat {
    fn name(&self) -> &str {
        &self.name
    }

    fn notify(&mut self, _: &Alert) -> Result<(), NotifyError> {
        Ok(())
    }

    fn evaluated(&mut self, _: &Evaluation) -> Result<(), NotifyError> {
        self.endpoint.get()
    }
}
