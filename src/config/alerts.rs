//! Settings of alerts: whether this logger evaluates the rules, and where alerts go.

use super::settings::Settings;
use super::values::ValueKind;

/// Whether the logger evaluates alert rules, and the places that the environment names.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(not(feature = "alerts"), allow(dead_code, reason = "`check` shows them in every build"))]
pub(crate) struct Alerts {
    /// What the builder was asked for.
    pub(crate) asked: Option<bool>,
    /// Whether the builder was given a notifier. A forked child does not have it.
    pub(crate) has_notifier: bool,
    pub(crate) webhook: Option<String>,
    pub(crate) alertmanager: Option<String>,
    pub(crate) slack: Option<String>,
    pub(crate) pagerduty_key: Option<String>,
    pub(crate) pagerduty_url: Option<String>,
    pub(crate) sns_topic: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) heartbeat: Option<String>,
}

#[cfg(feature = "alerts")]
impl Alerts {
    /// Returns the value of a variable that names a place.
    pub(crate) fn destination(&self, variable: &str) -> Option<&String> {
        self.destinations().into_iter().find(|(name, _)| *name == variable)?.1
    }

    /// Whether there is a place or a notifier.
    pub(crate) fn has_destination(&self) -> bool {
        self.has_notifier || self.destinations().iter().any(|(_, value)| value.is_some())
    }

    fn destinations(&self) -> [(&'static str, Option<&String>); 8] {
        [
            (WEBHOOK.variable, self.webhook.as_ref()),
            (ALERTMANAGER.variable, self.alertmanager.as_ref()),
            (SLACK.variable, self.slack.as_ref()),
            (PAGERDUTY_KEY.variable, self.pagerduty_key.as_ref()),
            (PAGERDUTY_URL.variable, self.pagerduty_url.as_ref()),
            (SNS_TOPIC.variable, self.sns_topic.as_ref()),
            (COMMAND.variable, self.command.as_ref()),
            (HEARTBEAT.variable, self.heartbeat.as_ref()),
        ]
    }
}

/// Places that alerts go to. Each is the value of one variable.
#[cfg_attr(not(feature = "alerts"), allow(dead_code, reason = "nothing is sent"))]
pub(super) struct DestinationValue {
    variable: &'static str,
    accepted: &'static str,
}

const ADDRESS: &str = "a URL that begins with http:// or https://";

pub(super) const WEBHOOK: DestinationValue =
    DestinationValue { variable: "AUDIT_ALERT_WEBHOOK", accepted: ADDRESS };
pub(super) const ALERTMANAGER: DestinationValue = DestinationValue {
    variable: "AUDIT_ALERTMANAGER_URL",
    accepted: "URLs that begin with http:// or https://, separated by commas",
};
pub(super) const SLACK: DestinationValue =
    DestinationValue { variable: "AUDIT_SLACK_WEBHOOK", accepted: ADDRESS };
pub(super) const PAGERDUTY_KEY: DestinationValue = DestinationValue {
    variable: "AUDIT_PAGERDUTY_KEY",
    accepted: "an integration key, which is 32 letters and digits",
};
pub(super) const PAGERDUTY_URL: DestinationValue =
    DestinationValue { variable: "AUDIT_PAGERDUTY_URL", accepted: ADDRESS };
pub(super) const SNS_TOPIC: DestinationValue = DestinationValue {
    variable: "AUDIT_ALERT_SNS_TOPIC",
    accepted: "the ARN of a topic (feature sns)",
};
pub(super) const COMMAND: DestinationValue = DestinationValue {
    variable: "AUDIT_ALERT_COMMAND",
    accepted: "a command with its arguments, with every quote closed",
};
pub(super) const HEARTBEAT: DestinationValue =
    DestinationValue { variable: "AUDIT_ALERT_HEARTBEAT", accepted: ADDRESS };

/// Refuses a topic if this build cannot tell it anything, whatever its ARN is.
pub(super) fn check_sns_is_built_in(settings: &Settings) -> Result<(), String> {
    match settings.alerts.sns_topic.is_none() || cfg!(feature = "sns") {
        true => Ok(()),
        false => {
            Err("nothing, because this program was built without the feature `sns`".to_owned())
        }
    }
}

impl ValueKind for DestinationValue {
    type Value = String;

    fn accepted(&self) -> String {
        self.accepted.to_owned()
    }

    /// What is accepted is checked together with what the builder set.
    fn parse(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[cfg(feature = "alerts")]
    fn show(&self, value: &String) -> String {
        llm_audit_slo::notify::shown(self.variable, value)
    }

    #[cfg(not(feature = "alerts"))]
    fn show(&self, _: &String) -> String {
        super::values::SECRET.to_owned()
    }

    #[cfg(feature = "alerts")]
    fn accepts(&self, value: &String) -> bool {
        let variable = |name: &str| (name == self.variable).then(|| value.clone());
        llm_audit_slo::notify::notifiers("", variable).is_ok()
    }

    fn is_secret(&self) -> bool {
        true
    }
}

#[cfg(all(test, feature = "alerts"))]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_make_notifiers() {
        // A value that no place accepts is refused under a name that is known, and passed over under another one.
        for kind in [
            WEBHOOK,
            ALERTMANAGER,
            SLACK,
            PAGERDUTY_KEY,
            PAGERDUTY_URL,
            SNS_TOPIC,
            COMMAND,
            HEARTBEAT,
        ] {
            assert!(!kind.accepts(&"'".to_owned()), "{}", kind.variable);
        }
    }

    #[test]
    fn no_credential_is_shown() {
        let digits = "0a".repeat(16);
        assert!(PAGERDUTY_KEY.accepts(&digits));
        assert_eq!(PAGERDUTY_KEY.show(&digits), "[set]");
        assert_eq!(
            WEBHOOK.show(&"https://hooks.example/secret".to_owned()),
            "https://hooks.example/…"
        );
    }
}
