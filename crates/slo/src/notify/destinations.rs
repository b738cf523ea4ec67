//! The notifiers that the environment asks for.

use std::fmt;

use super::http::Endpoint;
use super::notifier::Notifier;
use super::{Alertmanager, Command, Heartbeat, PagerDuty, Slack, Webhook};

const WEBHOOK: &str = "AUDIT_ALERT_WEBHOOK";
const ALERTMANAGER: &str = "AUDIT_ALERTMANAGER_URL";
const COMMAND: &str = "AUDIT_ALERT_COMMAND";
const PAGERDUTY_URL: &str = "AUDIT_PAGERDUTY_URL";

const ADDRESS: &str = "an address that begins with http:// or https://";

type Notifiers = Vec<Box<dyn Notifier>>;

struct Destination {
    variable: &'static str,
    accepted: &'static str,
    make: fn(&str, &Context<'_>) -> Option<Notifiers>,
}

/// What a destination needs beside its variable.
struct Context<'a> {
    service: &'a str,
    pagerduty_url: &'a str,
}

const DESTINATIONS: [Destination; 8] = [
    Destination { variable: WEBHOOK, accepted: ADDRESS, make: |text, _| one(Webhook::new(text)) },
    Destination {
        variable: ALERTMANAGER,
        accepted: "addresses that begin with http:// or https://, divided by commas",
        make: alertmanagers,
    },
    Destination { variable: "AUDIT_ALERT_SNS_TOPIC", accepted: TOPIC, make: |text, _| topic(text) },
    Destination {
        variable: COMMAND,
        accepted: "a command with its arguments, with every quote closed",
        make: |text, _| one(Command::new(text)),
    },
    Destination {
        variable: "AUDIT_SLACK_WEBHOOK",
        accepted: "an address such as https://hooks.slack.com/services/...",
        make: |text, _| one(Slack::new(text)),
    },
    // Before the key, which it would make invalid.
    Destination {
        variable: PAGERDUTY_URL,
        accepted: ADDRESS,
        make: |text, _| Endpoint::parse(text).map(|_| Notifiers::new()),
    },
    Destination {
        variable: "AUDIT_PAGERDUTY_KEY",
        accepted: "the integration key of a service, which is 32 letters and digits",
        make: |text, context| one(PagerDuty::new(text, context.pagerduty_url)),
    },
    Destination {
        variable: "AUDIT_ALERT_HEARTBEAT",
        accepted: ADDRESS,
        make: |text, _| one(Heartbeat::new(text)),
    },
];

/// Makes the notifiers that variables ask for. `service` is the name of what is judged, and `variable` returns the
/// value of a variable, or `None` if it is not set.
///
/// | variable | accepted | notifier |
/// |---|---|---|
/// | `AUDIT_ALERT_WEBHOOK` | an address | [`Webhook`] |
/// | `AUDIT_ALERTMANAGER_URL` | addresses, divided by commas | an [`Alertmanager`] for each |
/// | `AUDIT_ALERT_SNS_TOPIC` | the ARN of a topic | `Sns`, with the feature `sns` |
/// | `AUDIT_ALERT_COMMAND` | a command with its arguments | [`Command`] |
/// | `AUDIT_SLACK_WEBHOOK` | an address | [`Slack`] |
/// | `AUDIT_PAGERDUTY_KEY` | a key of 32 letters and digits | [`PagerDuty`] |
/// | `AUDIT_PAGERDUTY_URL` | an address, if not [`PagerDuty::ADDRESS`] | [`PagerDuty`] |
/// | `AUDIT_ALERT_HEARTBEAT` | an address | [`Heartbeat`] |
///
/// # Errors
///
/// If a variable is set to something else.
pub fn notifiers(
    service: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Notifiers, InvalidDestination> {
    let pagerduty_url = variable(PAGERDUTY_URL);
    let pagerduty_url = pagerduty_url.as_deref().unwrap_or(PagerDuty::ADDRESS).trim();
    let context = Context { service, pagerduty_url };
    let mut notifiers = Notifiers::new();
    for destination in &DESTINATIONS {
        if let Some(value) = variable(destination.variable) {
            let made = (destination.make)(value.trim(), &context);
            notifiers.extend(made.ok_or_else(|| InvalidDestination::new(destination, &value))?);
        }
    }
    Ok(notifiers)
}

fn one(notifier: Option<impl Notifier + 'static>) -> Option<Notifiers> {
    notifier.map(|notifier| vec![Box::new(notifier) as Box<dyn Notifier>])
}

/// Each one has a thread of its own, so one that is down does not delay the others.
fn alertmanagers(addresses: &str, context: &Context<'_>) -> Option<Notifiers> {
    let made =
        addresses.split(',').map(|address| Alertmanager::new(address.trim(), context.service));
    made.map(|made| made.map(|made| Box::new(made) as Box<dyn Notifier>)).collect()
}

#[cfg(feature = "sns")]
const TOPIC: &str = "the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:alerts";
#[cfg(not(feature = "sns"))]
const TOPIC: &str = "nothing, because this program was built without the feature `sns`";

#[cfg(feature = "sns")]
fn topic(arn: &str) -> Option<Notifiers> {
    one(super::Sns::new(arn))
}

#[cfg(not(feature = "sns"))]
fn topic(_: &str) -> Option<Notifiers> {
    None
}

/// Returns what may be shown of the value of a variable of [`notifiers`]: `[set]` in place of anything that can
/// contain a credential. Of an address this is `http://host:port/…`, unless it contains a user.
pub fn shown(variable: &str, value: &str) -> String {
    let shown = match variable {
        WEBHOOK | ALERTMANAGER | PAGERDUTY_URL => value.split(',').map(shown_address).collect(),
        COMMAND => shown_program(value).map(|program| vec![program]),
        "AUDIT_ALERT_SNS_TOPIC" => Some(vec![value.to_owned()]),
        _ => None,
    };
    shown.map_or_else(|| "[set]".to_owned(), |parts| parts.join(","))
}

/// Returns scheme, host and port, since the rest can be a secret.
fn shown_address(address: &str) -> Option<String> {
    let (scheme, rest) =
        address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(host_end);
    let is_host =
        !scheme.is_empty() || host.split_once(':').is_some_and(|(_, port)| is_number(port));
    let dots = if path.len() > 1 { "/…" } else { path };
    let separator = if scheme.is_empty() { "" } else { "://" };
    (is_host && !address.contains('@')).then(|| format!("{scheme}{separator}{host}{dots}"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the first word. Arguments can be secrets, and so can the value of an assignment.
fn shown_program(command: &str) -> Option<String> {
    let command = command.trim();
    let program = command.split_whitespace().next().unwrap_or_default();
    let dots = if program.len() < command.len() { " …" } else { "" };
    // Quotes may join words.
    (!program.contains(['=', '\'', '"', '\\'])).then(|| format!("{program}{dots}"))
}

/// A variable of [`notifiers`] that has a value which is not accepted. The message contains the variable, its value
/// as [`shown`] returns it, and what is accepted.
pub struct InvalidDestination {
    variable: &'static str,
    given: String,
    accepted: &'static str,
}

impl InvalidDestination {
    fn new(destination: &Destination, value: &str) -> Self {
        let (variable, accepted) = (destination.variable, destination.accepted);
        Self { variable, given: shown(variable, value), accepted }
    }

    /// Returns the name of the variable.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl fmt::Debug for InvalidDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InvalidDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}; accepted: {}", self.variable, self.given, self.accepted)
    }
}

impl std::error::Error for InvalidDestination {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_contains_no_credentials() {
        for (variable, value, expected) in [
            (WEBHOOK, "https://hooks.example:8443/T0/secret", "https://hooks.example:8443/…"),
            (WEBHOOK, "https://hooks.example?key=secret", "https://hooks.example/…"),
            (WEBHOOK, "https://user:secret@hooks.example/", "[set]"),
            (WEBHOOK, "secret", "[set]"),
            (WEBHOOK, "ftp://hooks.example/", "ftp://hooks.example/"),
            (ALERTMANAGER, "http://a:9093,http://b:9093/am", "http://a:9093,http://b:9093/…"),
            (ALERTMANAGER, "http://a:9093,http://u:secret@b:9093", "[set]"),
            (ALERTMANAGER, "localhost:9093", "localhost:9093"),
            (COMMAND, "/usr/bin/page --token secret", "/usr/bin/page …"),
            (COMMAND, "TOKEN=secret page", "[set]"),
            (COMMAND, "", ""),
            ("AUDIT_SLACK_WEBHOOK", "https://hooks.slack.com/services/T0/B0/secret", "[set]"),
            ("AUDIT_PAGERDUTY_KEY", "secret", "[set]"),
            ("AUDIT_ALERT_HEARTBEAT", "https://hc-ping.com/secret", "[set]"),
        ] {
            assert_eq!(shown(variable, value), expected, "{variable}={value}");
        }
    }
}
