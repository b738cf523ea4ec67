//! Alerts to a webhook, as Alertmanager would send them.

use super::http::Endpoint;
use super::notifier::{Notifier, NotifyError};
use super::payload::WebhookPayload;
use crate::Alert;

/// Posts each alert in the form of [Alertmanager's webhooks][form], version 4, with one alert in a request. What
/// receives such webhooks today needs no change.
///
/// [form]: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
pub struct Webhook {
    name: String,
    endpoint: Endpoint,
}

impl Webhook {
    /// Returns `None` if the address is not one of `http` or `https`. User and password in it are sent as basic
    /// authentication.
    pub fn new(address: &str) -> Option<Self> {
        let endpoint = Endpoint::parse(address)?;
        Some(Self { name: format!("webhook {}", endpoint.origin()), endpoint })
    }
}

impl Notifier for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        self.endpoint.post(&WebhookPayload::new(alert))
    }
}
