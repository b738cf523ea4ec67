//! Alerts to PagerDuty, by its events of version 2.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::http::Endpoint;
use super::notifier::{Notifier, NotifyError};
use super::payload::{annotations, fingerprint, rfc3339};
use super::text::{cut, title};
use crate::{Alert, Severity};

/// The longest summary that PagerDuty takes.
const SUMMARY_CHARS_MAX: usize = 1024;

/// Opens an incident if an alert fires, and resolves it at its end, by the [Events API of version 2][doc]. The key
/// of the incident comes from the alert's labels, so a restart or a repeat opens no second one.
///
/// [doc]: https://developer.pagerduty.com/docs/events-api-v2-overview
pub struct PagerDuty {
    endpoint: Endpoint,
    key: String,
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: String,
    class: &'a str,
    custom_details: BTreeMap<&'a str, Cow<'a, str>>,
}

impl PagerDuty {
    /// The address of accounts outside of the EU.
    pub const ADDRESS: &'static str = "https://events.pagerduty.com/v2/enqueue";

    /// Returns `None` if the key is not 32 letters and digits, or the address is not one of `http` or `https`. The
    /// address is [`PagerDuty::ADDRESS`], or `https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU.
    pub fn new(key: &str, address: &str) -> Option<Self> {
        let is_key = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let endpoint = Endpoint::parse(address).filter(|_| is_key)?;
        Some(Self { endpoint, key: key.to_owned() })
    }
}

impl Notifier for PagerDuty {
    fn name(&self) -> &str {
        "pagerduty"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        self.endpoint.post(&Event {
            routing_key: &self.key,
            event_action: if alert.is_firing() { "trigger" } else { "resolve" },
            dedup_key: format!("llm-audit-{}", fingerprint(&alert.labels())),
            payload: alert.is_firing().then(|| payload(alert)),
        })
    }
}

fn payload(alert: &Alert) -> Payload<'_> {
    let labels = alert.labels().into_iter().map(|(name, value)| (name, Cow::from(value)));
    Payload {
        summary: cut(&format!("{}: {}", title(alert), alert.summary), SUMMARY_CHARS_MAX),
        source: &alert.service,
        severity: match alert.severity {
            Severity::Page => "critical",
            Severity::Ticket => "warning",
        },
        timestamp: rfc3339(alert.starts_at),
        class: &alert.rule,
        custom_details: labels.chain(annotations(alert)).collect(),
    }
}
