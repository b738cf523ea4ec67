//! The delivery of alerts: once, in their order, again after a failure, and without delay of others.

use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use llm_audit_slo::Alert;
use llm_audit_slo::notify::{
    Alertmanager, Dispatcher, DispatcherBuilder, Notifier, NotifierFailures, NotifyError, Retry,
    Webhook,
};

use crate::server::{Answer, Server};
use crate::{alert, resolved};

/// Far more than any test needs.
const LONG: Duration = Duration::from_secs(60);

/// A notifier that sends what it is told to the test, and fails as often as told.
struct Recorder {
    told: Sender<Alert>,
    failures: Vec<NotifyError>,
    repeats: bool,
}

impl Recorder {
    fn new(mut failures: Vec<NotifyError>) -> (Self, Receiver<Alert>) {
        let (told, alerts) = channel();
        failures.reverse();
        (Self { told, failures, repeats: true }, alerts)
    }
}

impl Notifier for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        self.told.send(alert.clone()).expect("the test waits");
        self.failures.pop().map_or(Ok(()), Err)
    }

    fn repeats(&self) -> bool {
        self.repeats
    }
}

/// A notifier that says when it was called, and returns once the test lets it go.
struct Hanging {
    called: Sender<()>,
    released: Receiver<()>,
}

impl Notifier for Hanging {
    fn name(&self) -> &str {
        "hanging"
    }

    fn notify(&mut self, _: &Alert) -> Result<(), NotifyError> {
        self.called.send(()).expect("the test waits");
        // An error is a test that ended.
        let _ = self.released.recv();
        Ok(())
    }
}

/// A dispatcher that tries again at once.
fn builder() -> DispatcherBuilder {
    let mut retry = Retry::default();
    (retry.first, retry.longest, retry.attempts) = (Duration::ZERO, Duration::ZERO, 4);
    Dispatcher::builder().retry(retry).clock(|| alert().starts_at)
}

fn of_rule(rule: &str) -> Alert {
    let mut alert = alert();
    alert.rule = rule.to_owned();
    alert
}

/// Tells the alerts, and returns what the notifier was told, as rules and whether they fire.
fn told(alerts: &[Alert], failures: Vec<NotifyError>) -> (Vec<(String, bool)>, NotifierFailures) {
    let (recorder, told) = Recorder::new(failures);
    let dispatcher = builder().notifier(recorder).start().expect("a thread");
    for alert in alerts {
        dispatcher.notify(alert);
    }
    // A closed dispatcher tries only once, so the last alert has to be there before.
    let last = alerts.last().expect("an alert");
    let mut all = Vec::new();
    while all.last() != Some(last) {
        all.push(told.recv_timeout(LONG).expect("an alert"));
    }
    assert!(dispatcher.shutdown(LONG).is_empty());
    all.extend(told.try_iter());
    let failures = dispatcher.failures().remove(0);
    (all.into_iter().map(|alert| (alert.rule.clone(), alert.is_firing())).collect(), failures)
}

fn names(told: &[(String, bool)]) -> Vec<(&str, bool)> {
    told.iter().map(|(rule, fires)| (&**rule, *fires)).collect()
}

fn temporary(count: usize) -> Vec<NotifyError> {
    (0..count).map(|_| NotifyError::temporary("busy")).collect()
}

#[test]
fn a_webhook_is_tried_again_after_every_temporary_failure() {
    let answers = [Answer::Status(500), Answer::Later(0), Answer::Nothing, Answer::Status(408)];
    let server = Server::start(answers.into());
    let webhook = Webhook::new(&server.url("/")).expect("an address");
    let mut retry = Retry::default();
    (retry.first, retry.longest) = (Duration::ZERO, Duration::ZERO);
    let dispatcher =
        Dispatcher::builder().retry(retry).notifier(webhook).start().expect("a thread");
    dispatcher.notify(&alert());
    let first = server.next().body;
    for _ in 0..4 {
        assert_eq!(server.next().body, first);
    }
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert!(server.rest().is_empty());
    let failures = dispatcher.failures().remove(0);
    assert_eq!((failures.failed, failures.lost), (4, 0));
}

#[test]
fn an_answer_that_stays_the_same_is_not_asked_for_again() {
    for status in [302, 400, 401, 404, 413] {
        let server = Server::start(vec![Answer::Status(status)]);
        let webhook = Webhook::new(&server.url("/")).expect("an address");
        let dispatcher = builder().notifier(webhook).start().expect("a thread");
        dispatcher.notify(&of_rule("refused"));
        dispatcher.notify(&of_rule("next"));
        let rules = [server.next(), server.next()]
            .map(|request| request.json()["alerts"][0]["labels"]["alertname"].clone());
        assert_eq!(rules, ["refused", "next"], "{status}");
        assert!(dispatcher.shutdown(LONG).is_empty());
        let failures = dispatcher.failures().remove(0);
        assert_eq!((failures.failed, failures.lost), (1, 1), "{status}");
    }
}

#[test]
fn an_evaluation_is_tried_again_until_the_next_one() {
    let server = Server::start(vec![Answer::Status(503), Answer::Nothing, Answer::Status(400)]);
    let alertmanager = Alertmanager::new(&server.url("/am/"), "benefits").expect("an address");
    let dispatcher = builder().notifier(alertmanager).start().expect("a thread");
    dispatcher.notify(&alert());
    dispatcher.evaluated();
    let first = server.next();
    assert_eq!(first.line, "POST /am/api/v2/alerts");
    for _ in 0..2 {
        assert_eq!(server.next().body, first.body);
    }
    dispatcher.notify(&resolved());
    dispatcher.evaluated();
    assert_ne!(server.next().body, first.body);
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert!(server.rest().is_empty());
    let failures = dispatcher.failures().remove(0);
    assert_eq!((failures.failed, failures.lost), (3, 0));
}

#[test]
fn an_alert_is_given_up_after_its_attempts() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let (warn, warnings) = channel();
    let warn = Mutex::new(warn);
    let dispatcher = builder()
        .notifier(Webhook::new(&format!("http://ann:secret@{port}/secret")).expect("an address"))
        .on_trouble(move |text| {
            warn.lock().expect("a sender").send(text.to_owned()).expect("the test waits")
        })
        .start()
        .expect("a thread");
    for rule in ["a", "b"] {
        dispatcher.notify(&of_rule(rule));
    }
    let next = || warnings.recv_timeout(LONG).expect("a warning");
    let (delayed, lost) = (next(), next());
    let about = format!("alerts to webhook http://{port}: ");
    assert!(delayed.starts_with(&about) && delayed.ends_with("; it is told again"), "{delayed}");
    assert!(lost.starts_with(&about) && lost.ends_with("; the alert is not sent again"), "{lost}");
    assert!(delayed.to_lowercase().contains("refused"), "{delayed}");
    assert!(!(delayed + &lost).contains("secret"));
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert!(warnings.try_recv().is_err(), "each kind of trouble is one warning");
    assert_eq!(dispatcher.failures()[0].lost, 2);
}

#[test]
fn an_alert_that_resolves_never_overtakes_the_same_that_fires() {
    let (told, failures) = told(&[alert(), resolved()], temporary(3));
    let fires = ("error-rate", true);
    assert_eq!(names(&told), [fires, fires, fires, fires, ("error-rate", false)]);
    assert_eq!((failures.failed, failures.lost), (3, 0));
}

#[test]
fn after_an_alert_that_is_given_up_the_next_one_is_told() {
    let (told, failures) = told(&[of_rule("a"), of_rule("b")], temporary(4));
    assert_eq!(names(&told), [("a", true), ("a", true), ("a", true), ("a", true), ("b", true)]);
    assert_eq!((failures.failed, failures.lost), (4, 1));
}

#[test]
fn an_alert_is_told_once_although_every_evaluation_hands_it_over() {
    let (told, failures) =
        told(&[alert(), alert(), alert(), resolved(), resolved(), of_rule("last")], Vec::new());
    assert_eq!(names(&told), [("error-rate", true), ("error-rate", false), ("last", true)]);
    assert_eq!((failures.failed, failures.lost), (0, 0));
}

#[test]
fn an_alert_is_repeated_after_the_set_time_and_never_once_it_is_resolved() {
    let hour = 3_600_000_000;
    let begin = alert().starts_at;
    let now = Arc::new(AtomicI64::new(begin));
    let clock = {
        let now = Arc::clone(&now);
        move || now.load(Ordering::Relaxed)
    };
    let (recorder, told) = Recorder::new(Vec::new());
    let (mut once, told_once) = Recorder::new(Vec::new());
    once.repeats = false;
    let hours = Duration::from_secs(2 * 60 * 60);
    let builder = builder().clock(clock).repeat(hours).notifier(recorder).notifier(once);
    let dispatcher = builder.start().expect("a thread");
    dispatcher.notify(&alert());
    for hours in 1..=5 {
        now.store(begin + hours * hour, Ordering::Relaxed);
        dispatcher.evaluated();
    }
    let mut resolved = alert();
    resolved.ends_at = Some(begin + 5 * hour);
    dispatcher.notify(&resolved);
    now.store(begin + 24 * hour, Ordering::Relaxed);
    dispatcher.evaluated();
    assert!(dispatcher.shutdown(LONG).is_empty());
    let fires =
        |told: Receiver<Alert>| told.iter().map(|alert| alert.is_firing()).collect::<Vec<_>>();
    assert_eq!(fires(told), [true, true, true, false]);
    assert_eq!(fires(told_once), [true, false]);
}

#[test]
fn a_successor_tells_only_the_end_of_what_its_predecessor_told() {
    let (recorder, told) = Recorder::new(Vec::new());
    let dispatcher = builder().notifier(recorder).start().expect("a thread");
    dispatcher.resume(&[of_rule("forgotten")]);
    dispatcher.resume(&[alert()]);
    for alert in [alert(), resolved(), of_rule("forgotten")] {
        dispatcher.notify(&alert);
    }
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [resolved(), of_rule("forgotten")]);
}

#[test]
fn a_notifier_that_hangs_delays_nobody_else() {
    let (called, calls) = channel();
    let (release, released) = channel();
    let (recorder, told) = Recorder::new(Vec::new());
    let hanging = Hanging { called, released };
    let dispatcher = builder().notifier(hanging).notifier(recorder).start().expect("a thread");
    dispatcher.notify(&of_rule("a"));
    calls.recv_timeout(LONG).expect("it hangs");
    dispatcher.notify(&of_rule("b"));
    dispatcher.evaluated();
    let rules = [(); 2].map(|()| told.recv_timeout(LONG).expect("an alert").rule);
    assert_eq!(rules, ["a", "b"]);
    assert_eq!(dispatcher.shutdown(Duration::ZERO).first().map(String::as_str), Some("hanging"));
    drop(release);
    assert!(dispatcher.shutdown(LONG).is_empty());
}

#[test]
fn a_shutdown_tries_what_waits_once_more_and_no_longer() {
    let (recorder, told) = Recorder::new(temporary(2));
    let mut retry = Retry::default();
    (retry.first, retry.longest) = (Duration::MAX, Duration::MAX);
    let dispatcher = builder().retry(retry).notifier(recorder).start().expect("a thread");
    for rule in ["a", "b", "c"] {
        dispatcher.notify(&of_rule(rule));
    }
    told.recv_timeout(LONG).expect("the first attempt");
    assert!(dispatcher.shutdown(LONG).is_empty());
    let rules: Vec<_> = told.try_iter().map(|alert| alert.rule).collect();
    assert_eq!(rules, ["a", "b", "c"]);
    let failures = dispatcher.failures().remove(0);
    assert_eq!((failures.failed, failures.lost), (2, 1));
}

#[test]
fn an_alert_that_finds_no_room_displaces_the_oldest() {
    let (called, calls) = channel();
    let (release, released) = channel();
    let dispatcher =
        builder().limits(2, 10).notifier(Hanging { called, released }).start().expect("a thread");
    dispatcher.notify(&of_rule("sent"));
    calls.recv_timeout(LONG).expect("it hangs");
    for rule in ["displaced", "a", "b"] {
        dispatcher.notify(&of_rule(rule));
    }
    assert_eq!(dispatcher.failures()[0].lost, 1);
    drop(release);
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert_eq!(calls.try_iter().count(), 2);
}

#[test]
fn alerts_over_the_limit_of_known_ones_are_lost_and_counted() {
    let (recorder, told) = Recorder::new(Vec::new());
    let dispatcher = builder().limits(10, 2).notifier(recorder).start().expect("a thread");
    for rule in ["a", "b", "c"] {
        dispatcher.notify(&of_rule(rule));
    }
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert_eq!(told.try_iter().count(), 2);
    assert_eq!(dispatcher.failures()[0].lost, 1);
}

#[test]
fn a_notifier_that_panics_is_called_for_the_next_alert() {
    struct Panicking(Sender<String>);

    impl Notifier for Panicking {
        fn name(&self) -> &str {
            "panicking"
        }

        fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
            self.0.send(alert.rule.clone()).expect("the test waits");
            panic!("of the application");
        }
    }

    let (sender, told) = channel();
    let dispatcher = builder().notifier(Panicking(sender)).start().expect("a thread");
    dispatcher.notify(&of_rule("a"));
    dispatcher.notify(&of_rule("b"));
    assert!(dispatcher.shutdown(LONG).is_empty());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(dispatcher.failures()[0].lost, 2);
}

#[test]
fn a_notifier_gets_texts_without_control_characters_and_of_limited_length() {
    let (recorder, told) = Recorder::new(Vec::new());
    let dispatcher = builder().notifier(recorder).start().expect("a thread");
    let mut alert = of_rule(&"r\n".repeat(500));
    alert.summary = "\u{1b}[2J".to_owned() + &"é".repeat(5_000);
    alert.traces = vec!["t".to_owned(); 50];
    dispatcher.notify(&alert);
    let told = told.recv_timeout(LONG).expect("an alert");
    assert_eq!(told.rule.chars().count(), 200);
    assert_eq!(told.summary.chars().count(), 800);
    assert!(told.summary.starts_with(" [2Jé") && told.summary.ends_with("é…"));
    assert!(!told.rule.contains('\n'));
    assert_eq!(told.traces.len(), 3);
}
