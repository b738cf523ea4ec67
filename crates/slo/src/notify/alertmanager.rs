//! Alerts to the API of an Alertmanager, again after each evaluation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::http::Endpoint;
use super::notifier::{Evaluation, Notifier, NotifyError};
use super::payload::{annotations, rfc3339};
use crate::Alert;

/// How long an alert fires in Alertmanager after the last evaluation that sent it. Three evaluations can fail.
const FIRES_MICROS: i64 = 4 * 60 * 1_000_000;
/// The most alerts of one request.
const ALERTS_MAX: usize = 500;

/// Sends alerts to one Alertmanager, by its [API of version 2][api]. Each evaluation sends all alerts that fire,
/// and for 15 minutes those that were resolved. So the Alertmanager may restart, and the alerts end if the
/// evaluator does.
///
/// With them goes `LlmAuditAlive`, which always fires, with the labels `service` and `severity="none"`. A route that
/// expects it without pause notices if evaluator, network or Alertmanager fail.
///
/// [api]: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
pub struct Alertmanager {
    name: String,
    endpoint: Endpoint,
    service: String,
    alive_since: Option<i64>,
}

/// An alert as the API takes it, `postableAlert` in its description.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'static str, Cow<'a, str>>,
    starts_at: String,
    ends_at: String,
}

impl Alertmanager {
    /// Returns `None` if the address is not one of `http` or `https`. It is the address of the Alertmanager, such as
    /// `http://am:9093`. User and password in it are sent as basic authentication.
    pub fn new(address: &str, service: impl Into<String>) -> Option<Self> {
        if address.contains(['?', '#']) {
            return None;
        }
        let endpoint =
            Endpoint::parse(&format!("{}/api/v2/alerts", address.trim_end_matches('/')))?;
        let name = format!("alertmanager {}", endpoint.origin());
        Some(Self { name, endpoint, service: service.into(), alive_since: None })
    }
}

impl Notifier for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    /// Does nothing: the end of the evaluation sends the alert with all others.
    fn notify(&mut self, _: &Alert) -> Result<(), NotifyError> {
        Ok(())
    }

    fn evaluated(&mut self, evaluation: &Evaluation) -> Result<(), NotifyError> {
        let since = *self.alive_since.get_or_insert(evaluation.at);
        let fires_until = evaluation.at.saturating_add(FIRES_MICROS);
        let mut alerts = vec![alive(&self.service, since, fires_until)];
        alerts.extend(evaluation.alerts.iter().map(|alert| postable(alert, fires_until)));
        // One that is refused is no reason to leave out the others.
        let sent = alerts.chunks(ALERTS_MAX).map(|alerts| self.endpoint.post(&alerts));
        sent.fold(Ok(()), Result::and)
    }
}

/// Returns the alert that always fires.
fn alive(service: &str, since: i64, until: i64) -> PostableAlert<'_> {
    let summary = "The objectives of this service are evaluated. This alert always fires.";
    PostableAlert {
        labels: [("alertname", "LlmAuditAlive"), ("service", service), ("severity", "none")].into(),
        annotations: [("summary", summary.into())].into(),
        starts_at: rfc3339(since),
        ends_at: rfc3339(until),
    }
}

/// An Alertmanager refuses an end before the start, which a clock that was set back makes.
fn postable(alert: &Alert, fires_until: i64) -> PostableAlert<'_> {
    PostableAlert {
        labels: alert.labels(),
        annotations: annotations(alert),
        starts_at: rfc3339(alert.starts_at),
        ends_at: rfc3339(alert.ends_at.unwrap_or(fires_until).max(alert.starts_at)),
    }
}
