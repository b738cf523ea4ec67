//! The requests that each service gets, compared with the whole of its documented form.

use std::sync::{Arc, Mutex};

use llm_audit_slo::notify::{
    Alertmanager, Dispatcher, Heartbeat, Lines, Notifier, PagerDuty, Slack, Webhook,
};
use llm_audit_slo::{Alert, Severity};
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::{alert, resolved};

const KEY: &str = "0123456789abcdefABCDEF0123456789";

/// Sends an alert, and returns the body of the one request that it makes.
fn posted(line: &str, alert: &Alert, make: impl FnOnce(&Server) -> Box<dyn Notifier>) -> Value {
    let server = Server::start(Vec::new());
    make(&server).notify(alert).expect("accepted");
    let request = server.next();
    assert_eq!(request.line, line);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("host"), Some(&*server.address));
    request.json()
}

fn labels() -> Value {
    json!({"alertname": "error-rate", "objective": "errors", "service": "benefits", "severity": "page"})
}

fn annotations() -> Value {
    json!({
        "summary": "6.2 % of 480 requests failed in 1h, and at most 5 % may.",
        "value": "6.2 %",
        "target": "5 %",
        "window": "1h",
        "traces": "4bf92f3577b34da6a3ce929d0e0e4736,0af7651916cd43dd8448eb211c80319c",
        "command": "llm-audit fixture 4bf92f3577b34da6a3ce929d0e0e4736 --test",
    })
}

#[test]
fn a_webhook_gets_what_alertmanager_would_send() {
    let expected = |status: &str, ends_at: &str| {
        json!({
            "version": "4",
            "groupKey": r#"{}:{alertname="error-rate", objective="errors", service="benefits", severity="page"}"#,
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "llm-audit",
            "groupLabels": labels(),
            "commonLabels": labels(),
            "commonAnnotations": annotations(),
            "externalURL": "",
            "alerts": [{
                "status": status,
                "labels": labels(),
                "annotations": annotations(),
                "startsAt": "2026-03-01T12:00:00Z",
                "endsAt": ends_at,
                "generatorURL": "",
                "fingerprint": FINGERPRINT,
            }],
        })
    };
    let webhook = |server: &Server| {
        Box::new(Webhook::new(&server.url("/hook?a=b")).expect("an address")) as Box<_>
    };
    let fires = posted("POST /hook?a=b", &alert(), webhook);
    assert_eq!(fires, expected("firing", "0001-01-01T00:00:00Z"));
    let ends = posted("POST /hook?a=b", &resolved(), webhook);
    assert_eq!(ends, expected("resolved", "2026-03-01T12:01:30.5Z"));
}

/// Of these labels, as `model.LabelSet.Fingerprint` of Prometheus computes it.
const FINGERPRINT: &str = "b5349e63b06e1794";

#[test]
fn each_evaluation_sends_alertmanager_everything_again() {
    let server = Server::start(Vec::new());
    let minute = 60_000_000;
    let begin = alert().starts_at;
    let now = Arc::new(Mutex::new(begin));
    let dispatcher = {
        let now = Arc::clone(&now);
        let alertmanager = Alertmanager::new(&server.url(""), "benefits").expect("an address");
        let clock = move || *now.lock().expect("the time");
        Dispatcher::builder().notifier(alertmanager).clock(clock).start().expect("a thread")
    };
    let alive = |ends_at: &str| {
        json!({
            "labels": {"alertname": "LlmAuditAlive", "service": "benefits", "severity": "none"},
            "annotations": {"summary": "The objectives of this service are evaluated. This alert always fires."},
            "startsAt": "2026-03-01T12:00:00Z",
            "endsAt": ends_at,
        })
    };
    let sent = |ends_at: &str| {
        json!({
            "labels": labels(), "annotations": annotations(),
            "startsAt": "2026-03-01T12:00:00Z", "endsAt": ends_at,
        })
    };

    dispatcher.notify(&alert());
    dispatcher.evaluated();
    assert_eq!(
        server.next().json(),
        json!([alive("2026-03-01T12:04:00Z"), sent("2026-03-01T12:04:00Z")])
    );

    *now.lock().expect("the time") = begin + minute;
    dispatcher.notify(&alert());
    dispatcher.evaluated();
    assert_eq!(
        server.next().json(),
        json!([alive("2026-03-01T12:05:00Z"), sent("2026-03-01T12:05:00Z")])
    );

    *now.lock().expect("the time") = begin + 2 * minute;
    dispatcher.notify(&resolved());
    dispatcher.evaluated();
    assert_eq!(
        server.next().json(),
        json!([alive("2026-03-01T12:06:00Z"), sent("2026-03-01T12:01:30.5Z")])
    );

    *now.lock().expect("the time") = begin + 17 * minute;
    dispatcher.evaluated();
    assert_eq!(
        server.next().json(),
        json!([alive("2026-03-01T12:21:00Z")]),
        "15 minutes after its end"
    );
}

#[test]
fn an_alertmanager_gets_many_alerts_in_several_requests() {
    let server = Server::start(vec![Answer::Status(400)]); // which does not stop the rest
    let alertmanager = Alertmanager::new(&server.url(""), "benefits").expect("an address");
    let dispatcher = Dispatcher::builder().notifier(alertmanager).start().expect("a thread");
    let alerts: Vec<_> = (0..600)
        .map(|user| {
            let mut alert = alert();
            alert.subject = Some(("user".to_owned(), format!("u_{user}")));
            alert
        })
        .collect();
    dispatcher.resume(&alerts);
    dispatcher.evaluated();
    let sizes =
        [server.next(), server.next()].map(|request| request.json().as_array().map(Vec::len));
    assert_eq!(sizes, [Some(500), Some(101)]);
}

#[test]
fn slack_gets_an_attachment_without_markup() {
    let mut alert = alert();
    alert.rule = "*all* <!channel>".to_owned();
    alert.summary = "<https://evil.example|5 %> & more".to_owned();
    alert.traces.clear();
    alert.command.clear();
    let slack = |server: &Server| {
        Box::new(Slack::new(&server.url("/services/T0/B0/x")).expect("an address")) as Box<_>
    };
    let expected = |color: &str, title: &str, ts: i64| {
        json!({"attachments": [{
            "color": color,
            "fallback": title,
            "title": title,
            "text": "&lt;https://evil.example|5 %&gt; &amp; more",
            "fields": [
                {"title": "Value", "value": "6.2 %", "short": true},
                {"title": "Target", "value": "5 %", "short": true},
                {"title": "Window", "value": "1h", "short": true},
                {"title": "Severity", "value": "page", "short": true},
            ],
            "mrkdwn_in": [],
            "ts": ts,
        }]})
    };
    let title = "[FIRING] *all* &lt;!channel&gt; of benefits";
    assert_eq!(
        posted("POST /services/T0/B0/x", &alert, slack),
        expected("danger", title, 1_772_366_400)
    );
    alert.ends_at = Some(alert.starts_at + 90_500_000);
    let title = "[RESOLVED] *all* &lt;!channel&gt; of benefits";
    assert_eq!(
        posted("POST /services/T0/B0/x", &alert, slack),
        expected("good", title, 1_772_366_490)
    );
}

#[test]
fn pagerduty_opens_an_incident_and_resolves_it() {
    let pagerduty = |server: &Server| {
        Box::new(PagerDuty::new(KEY, &server.url("/v2/enqueue")).expect("a key"))
            as Box<dyn Notifier>
    };
    let mut details = annotations();
    details
        .as_object_mut()
        .expect("an object")
        .append(labels().as_object_mut().expect("an object"));
    let key = format!("llm-audit-{FINGERPRINT}");
    let mut expected = json!({
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": key,
        "payload": {
            "summary": "[FIRING] error-rate of benefits: 6.2 % of 480 requests failed in 1h, and at most 5 % may.",
            "source": "benefits",
            "severity": "critical",
            "timestamp": "2026-03-01T12:00:00Z",
            "class": "error-rate",
            "custom_details": details,
        },
    });
    assert_eq!(posted("POST /v2/enqueue", &alert(), pagerduty), expected);
    let mut ticket = alert();
    ticket.severity = Severity::Ticket;
    assert_eq!(posted("POST /v2/enqueue", &ticket, pagerduty)["payload"]["severity"], "warning");
    let members = expected.as_object_mut().expect("an object");
    members.remove("payload");
    members.insert("event_action".to_owned(), json!("resolve"));
    assert_eq!(posted("POST /v2/enqueue", &resolved(), pagerduty), expected);
}

#[test]
fn a_heartbeat_is_one_get_for_each_evaluation() {
    let server = Server::start(vec![Answer::Status(500)]);
    let heartbeat = Heartbeat::new(&server.url("/ping/x")).expect("an address");
    let dispatcher = Dispatcher::builder().notifier(heartbeat).start().expect("a thread");
    dispatcher.notify(&alert());
    for _ in 0..3 {
        dispatcher.evaluated();
        let request = server.next();
        assert_eq!((&*request.line, &*request.body), ("GET /ping/x", ""));
    }
}

#[test]
fn user_and_password_of_an_address_are_sent_as_basic_authentication() {
    let server = Server::start(Vec::new());
    let address = format!("http://ann:p%40ss@{}/hook", server.address);
    let mut webhook = Webhook::new(&address).expect("an address");
    assert_eq!(webhook.name(), format!("webhook http://{}", server.address));
    webhook.notify(&alert()).expect("accepted");
    let request = server.next();
    assert_eq!(request.line, "POST /hook");
    assert_eq!(request.header("authorization"), Some("Basic YW5uOnBAc3M="));
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(vec![Answer::Status(307)]);
    let error =
        Webhook::new(&server.url("/")).expect("an address").notify(&alert()).expect_err("refused");
    assert!(!error.is_temporary(), "{error}");
}

#[test]
fn a_line_says_what_fires() {
    let mut output = Vec::new();
    let mut per_user = resolved();
    per_user.subject = Some(("user".to_owned(), "u_17".to_owned()));
    per_user.command.clear();
    let mut lines = Lines::new("stderr", &mut output);
    lines.notify(&alert()).expect("written");
    lines.notify(&per_user).expect("written");
    assert_eq!(
        String::from_utf8(output).expect("text"),
        "llm-audit: [FIRING] error-rate of benefits (page): 6.2 % of 480 requests failed in 1h, and at most 5 % may.; \
         llm-audit fixture 4bf92f3577b34da6a3ce929d0e0e4736 --test\n\
         llm-audit: [RESOLVED] error-rate of benefits, user u_17 (page): no longer: 6.2 % of 480 requests failed in 1h, \
         and at most 5 % may.\n"
    );
}
