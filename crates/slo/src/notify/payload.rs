//! An alert as JSON: in the form of Alertmanager's webhooks, version 4, and the parts that other forms share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::Alert;

/// What a webhook of Alertmanager gets. The webhook, the command and SNS send it, with one alert in each.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookPayload<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: &'static str,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'static str, Cow<'a, str>>,
    #[serde(rename = "externalURL")]
    external_url: &'static str,
    alerts: [WebhookAlert<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert<'a> {
    status: &'static str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'static str, Cow<'a, str>>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'static str,
    fingerprint: String,
}

impl<'a> WebhookPayload<'a> {
    pub(super) fn new(alert: &'a Alert) -> Self {
        let labels = alert.labels();
        Self {
            version: "4",
            group_key: group_key(&labels),
            truncated_alerts: 0,
            status: status(alert),
            receiver: "llm-audit",
            group_labels: labels.clone(),
            common_labels: labels.clone(),
            common_annotations: annotations(alert),
            external_url: "",
            alerts: [WebhookAlert {
                status: status(alert),
                annotations: annotations(alert),
                starts_at: rfc3339(alert.starts_at),
                // What Alertmanager writes for an alert that fires: the zero of Go's times.
                ends_at: alert.ends_at.map_or("0001-01-01T00:00:00Z".to_owned(), rfc3339),
                generator_url: "",
                fingerprint: fingerprint(&labels),
                labels,
            }],
        }
    }

    /// Returns it as one line of JSON.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and maps of texts")
    }
}

pub(super) fn status(alert: &Alert) -> &'static str {
    if alert.is_firing() { "firing" } else { "resolved" }
}

/// Returns what changes while the alert stays the same: its value, its traces. Empty texts are left out.
pub(super) fn annotations(alert: &Alert) -> BTreeMap<&'static str, Cow<'_, str>> {
    let texts = [
        ("summary", Cow::from(&alert.summary)),
        ("value", Cow::from(&alert.value)),
        ("target", Cow::from(&alert.target)),
        ("window", Cow::from(&alert.window)),
        ("traces", Cow::from(alert.traces.join(","))),
        ("command", Cow::from(&alert.command)),
    ];
    texts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// Returns the key of Alertmanager for a group that all labels of the alert make.
fn group_key(labels: &BTreeMap<&str, &str>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{}}:{{{}}}", pairs.join(", "))
}

/// Returns the fingerprint that Prometheus and Alertmanager compute of labels: FNV-1a of 64 bits.
pub(super) fn fingerprint(labels: &BTreeMap<&str, &str>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// Formats microseconds since the Unix epoch. A time after the year 9999 becomes the last one before it.
pub(super) fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_string()
}
