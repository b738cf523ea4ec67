//! Alerts to an incoming webhook of Slack.

use serde::Serialize;

use super::http::Endpoint;
use super::notifier::{Notifier, NotifyError};
use super::text::title;
use crate::Alert;

/// Posts each alert as one message, red while it fires and green at its end, to an [incoming webhook][doc].
///
/// [doc]: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
pub struct Slack {
    endpoint: Endpoint,
}

#[derive(Serialize)]
struct Message {
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    color: &'static str,
    fallback: String,
    title: String,
    text: String,
    fields: Vec<Field>,
    /// The parts that Slack formats: none, so `*` and `_` of a text stay.
    mrkdwn_in: [&'static str; 0],
    /// Unix time in seconds.
    ts: i64,
}

#[derive(Serialize)]
struct Field {
    title: &'static str,
    value: String,
    short: bool,
}

impl Slack {
    /// Returns `None` if the address is not one of `http` or `https`.
    pub fn new(address: &str) -> Option<Self> {
        Some(Self { endpoint: Endpoint::parse(address)? })
    }
}

impl Notifier for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        self.endpoint.post(&Message { attachments: [attachment(alert)] })
    }
}

fn attachment(alert: &Alert) -> Attachment {
    let title = escaped(&title(alert));
    Attachment {
        color: if alert.is_firing() { "danger" } else { "good" },
        fallback: title.clone(),
        title,
        text: escaped(&alert.summary),
        fields: fields(alert),
        mrkdwn_in: [],
        ts: alert.ends_at.unwrap_or(alert.starts_at).div_euclid(1_000_000),
    }
}

fn fields(alert: &Alert) -> Vec<Field> {
    let texts = [
        ("Value", &*alert.value, true),
        ("Target", &alert.target, true),
        ("Window", &alert.window, true),
        ("Severity", alert.severity.name(), true),
        ("Traces", &alert.traces.join(" "), false),
        ("Make a test of the first", &alert.command, false),
    ];
    let given = texts.into_iter().filter(|(_, value, _)| !value.is_empty());
    given.map(|(title, value, short)| Field { title, value: escaped(value), short }).collect()
}

/// Escapes the three characters that begin mentions, links and entities: `<!channel>` notifies nobody then.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
