//! The variables that say where alerts go.

use std::collections::HashMap;

use llm_audit_slo::notify::{Notifier, notifiers};

fn of(variables: &[(&str, &str)]) -> Result<Vec<Box<dyn Notifier>>, String> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let made = notifiers("benefits", |name| variables.get(name).map(|&value| value.to_owned()));
    made.map_err(|error| error.to_string())
}

const KEY: &str = "0123456789abcdefABCDEF0123456789";

#[test]
fn each_variable_makes_its_notifier() {
    let made = of(&[
        ("AUDIT_ALERT_WEBHOOK", "https://hooks.example/T0/secret"),
        ("AUDIT_ALERTMANAGER_URL", "http://am-1:9093, http://ann:secret@am-2:9093/am"),
        ("AUDIT_ALERT_COMMAND", "page --to 'on call'"),
        ("AUDIT_SLACK_WEBHOOK", "https://hooks.slack.com/services/T0/B0/secret"),
        ("AUDIT_PAGERDUTY_KEY", KEY),
        ("AUDIT_PAGERDUTY_URL", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("AUDIT_ALERT_HEARTBEAT", "https://hc-ping.com/secret"),
    ])
    .expect("all are valid");
    let names: Vec<_> = made.iter().map(|notifier| notifier.name()).collect();
    assert_eq!(
        names,
        [
            "webhook https://hooks.example",
            "alertmanager http://am-1:9093",
            "alertmanager http://am-2:9093",
            "command",
            "slack",
            "pagerduty",
            "heartbeat https://hc-ping.com",
        ]
    );
    assert!(of(&[]).expect("nothing is valid").is_empty());
}

#[test]
fn an_error_names_the_variable_what_was_given_and_what_is_accepted() {
    let address = "an address that begins with http:// or https://";
    let addresses = "addresses that begin with http:// or https://, divided by commas";
    let command = "a command with its arguments, with every quote closed";
    for (variable, value, given, accepted) in [
        ("AUDIT_ALERT_WEBHOOK", "ftp://hooks.example/secret", "ftp://hooks.example/…", address),
        ("AUDIT_ALERT_WEBHOOK", "https://u:secret@/", "[set]", address),
        ("AUDIT_ALERT_WEBHOOK", "", "[set]", address),
        ("AUDIT_ALERTMANAGER_URL", "localhost:9093", "localhost:9093", addresses),
        ("AUDIT_ALERTMANAGER_URL", "http://a:9093,", "[set]", addresses),
        ("AUDIT_ALERTMANAGER_URL", "http://a:9093?x=secret", "http://a:9093/…", addresses),
        ("AUDIT_ALERT_COMMAND", "  ", "", command),
        ("AUDIT_ALERT_COMMAND", "page 'secret", "page …", command),
        (
            "AUDIT_SLACK_WEBHOOK",
            "hooks.slack.com/secret",
            "[set]",
            "an address such as https://hooks.slack.com/services/...",
        ),
        (
            "AUDIT_PAGERDUTY_KEY",
            "secret",
            "[set]",
            "the integration key of a service, which is 32 letters and digits",
        ),
        ("AUDIT_PAGERDUTY_URL", "events.eu.pagerduty.com", "[set]", address),
        ("AUDIT_ALERT_HEARTBEAT", "hc-ping.com/secret", "[set]", address),
    ] {
        let Err(error) = of(&[(variable, value)]) else {
            panic!("{variable}={value:?} is accepted")
        };
        assert_eq!(error, format!("{variable} is {given:?}; accepted: {accepted}"));
    }
}

#[test]
fn an_address_of_pagerduty_that_is_wrong_is_not_told_as_a_wrong_key() {
    let error =
        of(&[("AUDIT_PAGERDUTY_KEY", KEY), ("AUDIT_PAGERDUTY_URL", "eu")]).err().expect("refused");
    assert!(error.starts_with("AUDIT_PAGERDUTY_URL "), "{error}");
}

#[cfg(not(feature = "sns"))]
#[test]
fn a_topic_needs_the_feature() {
    let error =
        of(&[("AUDIT_ALERT_SNS_TOPIC", "arn:aws:sns:eu-west-1:1:alerts")]).err().expect("refused");
    assert!(error.ends_with("built without the feature `sns`"), "{error}");
}

#[cfg(feature = "sns")]
#[test]
fn a_topic_is_an_arn() {
    let made =
        of(&[("AUDIT_ALERT_SNS_TOPIC", "arn:aws-cn:sns:cn-north-1:123456789012:alerts.fifo")]);
    assert_eq!(made.expect("an ARN")[0].name(), "sns");
    for arn in [
        "alerts",
        "arn:aws:sqs:eu-west-1:1:alerts",
        "arn:aws:sns::1:alerts",
        "arn:aws:sns:eu-west-1:1:alerts:x",
    ] {
        assert!(of(&[("AUDIT_ALERT_SNS_TOPIC", arn)]).is_err(), "{arn}");
    }
}
