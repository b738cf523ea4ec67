use std::fs;
use std::path::Path;

use llm_audit_log::Status;

use super::*;
use crate::alert::Severity;
use crate::minutes::ReaderState;
use crate::span::HOUR;
use crate::testing::{START, TestEvent, TestLogger};

const RULES: &str = r#"
    [[objective]]
    name = "errors"
    indicator = "ratio"
    of = { type = "request.end" }
    bad = { status = "error" }
    [[rule]]
    name = "errors-high"
    objective = "errors"
    above = 0.5
    window = "5m"
    min_bad = 3
    severity = "page""#;

fn engine(dir: &Path) -> AlertEngine {
    AlertEngine::new(dir, Objectives::parse(RULES, "x.toml").unwrap())
}

/// Emits requests in a minute, and writes its totals.
fn emit_minute(logger: &mut TestLogger, minute: i64, good: u64, bad: u64) {
    let statuses = (0..good).map(|_| Status::Ok).chain((0..bad).map(|_| Status::Error));
    for (at, status) in statuses.enumerate() {
        let event = TestEvent::request(START + minute * MINUTE + at as i64, status);
        logger.emit(&event, status == Status::Error);
    }
    logger.write_totals();
}

/// The time at which a minute counts.
fn after(minute: i64) -> i64 {
    START + (minute + 1) * MINUTE + SETTLE
}

#[test]
fn an_alert_fires_stays_and_ends_once_also_when_the_evaluator_is_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let mut evaluator = engine(dir.path());
    emit_minute(&mut logger, 0, 4, 2);
    assert_eq!(evaluator.check(after(0)), []);
    emit_minute(&mut logger, 1, 0, 6);
    assert_eq!(evaluator.check(after(1) - 1), [], "the minute does not count yet");
    let fired = evaluator.check(after(1));
    let [alert] = &fired[..] else { panic!("{fired:?}") };
    assert_eq!((alert.starts_at, alert.ends_at), (START + 2 * MINUTE, None));
    assert_eq!((&*alert.rule, &*alert.service), ("errors-high", "benefits"));
    assert_eq!((alert.severity, &*alert.window), (Severity::Page, "5m"));
    assert_eq!((&*alert.value, &*alert.target), ("66.7 %", "at most 50 %"));
    let summary =
        "errors: 66.7 % over 5m (8 of 12, the log has 2m of 5m), and it should be at most 50 %";
    assert_eq!(alert.summary, summary);
    let newest: Vec<_> = [5, 4, 3].map(|at| START + MINUTE + at).into();
    let newest = newest.iter().map(|time| format!("{:032x}", *time as u128 + (0xabc_u128 << 96)));
    assert_eq!(alert.traces, newest.collect::<Vec<_>>());
    let command = format!(
        "llm-audit fixture {} --dir {} --test",
        &alert.traces[0][..12],
        dir.path().display()
    );
    assert_eq!(alert.command, command);

    drop(evaluator);
    let mut evaluator = engine(dir.path());
    emit_minute(&mut logger, 2, 0, 1);
    let [again] = &evaluator.check(after(2))[..] else { panic!("it fires once") };
    assert_eq!((again.starts_at, &again.traces), (alert.starts_at, &alert.traces));
    assert_eq!(again.value, "69.2 %");

    emit_minute(&mut logger, 5, 20, 0);
    let [ended] = &evaluator.check(after(5))[..] else { panic!("it ends") };
    assert_eq!((ended.starts_at, ended.ends_at), (alert.starts_at, Some(START + 6 * MINUTE)));
    let ended = ended.clone();
    assert_eq!(evaluator.alerts(), std::slice::from_ref(&ended));
    // Somebody who was not there learns of it, for a while.
    drop(evaluator);
    let mut evaluator = engine(dir.path());
    assert_eq!(evaluator.check(after(19)), [ended]);
    assert_eq!(evaluator.check(after(20)), []);
    emit_minute(&mut logger, 21, 0, 6);
    let [fires] = &evaluator.check(after(21))[..] else { panic!("it fires again") };
    assert!(fires.is_firing());
    assert!(evaluator.error().is_none());
}

#[test]
fn the_first_check_counts_the_last_events_of_a_killed_logger() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    emit_minute(&mut logger, 0, 5, 0);
    for at in 0..10 {
        logger.emit(&TestEvent::request(START + MINUTE + at, Status::Error), true);
    }
    drop(logger);
    let fired = engine(dir.path()).check(after(1));
    let [alert] = &fired[..] else { panic!("{fired:?}") };
    assert_eq!(alert.value, "66.7 %");
}

#[test]
fn a_second_evaluator_waits_for_the_first_and_goes_on_with_its_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let (mut first, mut second) = (engine(dir.path()), engine(dir.path()));
    emit_minute(&mut logger, 0, 0, 5);
    let fired = first.check(after(0));
    assert_eq!(fired.len(), 1);
    assert_eq!(second.check(after(0)), []);
    assert!(second.is_held_elsewhere() && !first.is_held_elsewhere());
    // As if its process was killed: the state is what was written when the alert fired.
    let state = fs::read(dir.path().join(".slo/state")).unwrap();
    drop(first);
    fs::write(dir.path().join(".slo/state"), state).unwrap();
    let goes_on = second.check(after(1));
    assert!(!second.is_held_elsewhere());
    assert_eq!(
        goes_on.iter().map(|alert| alert.starts_at).collect::<Vec<_>>(),
        [fired[0].starts_at]
    );
}

#[test]
fn what_is_not_known_fires_nothing_and_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    // It has no totals, so that each may have been anything.
    TestLogger::start(dir.path(), 2, "benefits", false, START).lose(START + 7 * MINUTE, 40);
    let mut evaluator = engine(dir.path());
    emit_minute(&mut logger, 4, 0, 5);
    assert_eq!(evaluator.check(after(4)).len(), 1);
    evaluator.check(after(5));
    emit_minute(&mut logger, 7, 30, 0);
    let [stays] = &evaluator.check(after(7))[..] else { panic!("it ends by unknown events") };
    assert_eq!(stays.ends_at, None);
    assert_eq!(stays.starts_at, START + 5 * MINUTE);
    // The known events are fine after five minutes, and the unknown ones are too few.
    emit_minute(&mut logger, 11, 500, 0);
    let ends: Vec<_> = evaluator.check(after(11)).iter().map(|alert| alert.ends_at).collect();
    assert_eq!(ends, [Some(START + 12 * MINUTE)]);
}

#[test]
fn a_budget_of_each_user_fires_for_the_right_one_of_10_000() {
    let rules = r#"
        [[objective]]
        name = "user-cost"
        indicator = "cost"
        by = "user"
        max = 5
        window = "1h"
        [[rule]]
        name = "user-cost-high"
        objective = "user-cost"
        above = 5
        window = "1h"
        severity = "ticket""#;
    for has_totals in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut draws = fastrand::Rng::with_seed(9);
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", has_totals, START);
        let mut evaluator =
            AlertEngine::new(dir.path(), Objectives::parse(rules, "x.toml").unwrap());
        let mut fired = Vec::new();
        for minute in 0..90 {
            let time = START + minute * MINUTE;
            for at in 0..100 {
                let user = format!("user-{}", draws.u32(..10_000));
                logger.emit(&TestEvent::model_call(time + at).cost(0.001).user(&user), false);
            }
            // Ten cents a minute, for an hour: the limit is passed once 51 minutes are in the window.
            let spends = (20..80).contains(&minute);
            if spends {
                logger.emit(&TestEvent::model_call(time + 300).cost(0.1).user("user-4711"), true);
            }
            logger.write_totals();
            let alerts = evaluator.check(after(minute)).into_iter();
            for alert in alerts.filter(|alert| alert.is_firing() || minute == 89) {
                assert_eq!(alert.subject, Some(("user".to_owned(), "user-4711".to_owned())));
                fired.push((
                    minute,
                    alert.starts_at,
                    alert.value,
                    alert.ends_at,
                    alert.traces.len(),
                ));
            }
        }
        let (first, last) = (fired.first().unwrap(), fired.last().unwrap());
        assert_eq!(first, &(70, START + 71 * MINUTE, "$5.10".to_owned(), None, 3), "{has_totals}");
        assert_eq!((last.0, last.3), (89, Some(START + 90 * MINUTE)), "{has_totals}");
    }
}

/// With another severity it has other labels, so receivers must learn that the one with the old ones ended.
#[test]
fn a_rule_with_another_severity_ends_its_alert_and_fires_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    emit_minute(&mut logger, 0, 0, 5);
    assert_eq!(engine(dir.path()).check(after(0)).len(), 1);
    let rules = RULES.replace("\"page\"", "\"ticket\"");
    let mut evaluator = AlertEngine::new(dir.path(), Objectives::parse(&rules, "x.toml").unwrap());
    let alerts = evaluator.check(after(1));
    let mut seen: Vec<_> = alerts.iter().map(|alert| (alert.severity, alert.is_firing())).collect();
    seen.sort();
    assert_eq!(seen, [(Severity::Ticket, true), (Severity::Page, false)]);
}

#[test]
fn a_user_who_still_spends_too_much_keeps_the_alert_when_others_spend_more() {
    let rules = r#"
        [[objective]]
        name = "user-cost"
        indicator = "cost"
        by = "user"
        [[rule]]
        name = "user-cost-high"
        objective = "user-cost"
        above = 1
        window = "1h"
        severity = "ticket""#;
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let mut evaluator = AlertEngine::new(dir.path(), Objectives::parse(rules, "x.toml").unwrap());
    let mut firing = |minute: i64, users: std::ops::Range<u32>, cost: f64| {
        for user in users {
            let event = TestEvent::model_call(START + minute * MINUTE).cost(cost);
            logger.emit(&event.user(&format!("u{user:03}")), false);
        }
        logger.write_totals();
        let alerts = evaluator.check(after(minute)).into_iter().filter(Alert::is_firing);
        let mut users: Vec<_> = alerts.map(|alert| alert.subject.unwrap().1).collect();
        users.sort();
        users
    };
    let first = firing(0, 0..90, 2.0);
    assert_eq!(first.len(), 90);
    let second = firing(1, 100..200, 3.0);
    assert_eq!((second.len(), &second[..90]), (100, &first[..]));
}

#[test]
fn an_alert_of_a_burn_rate_says_how_fast_the_budget_burns() {
    let rules = r#"
        [[objective]]
        name = "errors"
        indicator = "ratio"
        of = { type = "request.end" }
        bad = { status = "error" }
        target = 0.98"#;
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    emit_minute(&mut logger, 0, 20, 20);
    let mut evaluator = AlertEngine::new(dir.path(), Objectives::parse(rules, "x.toml").unwrap());
    let alerts = evaluator.check(after(0));
    let fast = alerts.iter().find(|alert| alert.rule == "errors-burn-1h").unwrap();
    let summary = "errors: 50 % over 1h (20 of 40, the log has 1m of 1h, 25 times the budget of 2 %), \
        and it should be at most 28.8 % over 1h and 5m";
    assert_eq!(fast.summary, summary);
}

#[test]
fn another_service_has_alerts_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = TestLogger::start(dir.path(), 1, "one", true, START);
    let mut two = TestLogger::start(dir.path(), 2, "two", true, START);
    emit_minute(&mut one, 0, 50, 0);
    emit_minute(&mut two, 0, 0, 5);
    let fired = engine(dir.path()).check(after(0));
    assert_eq!(fired.iter().map(|alert| &*alert.service).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn the_recorder_is_watched_too() {
    let rules = r#"
        [[objective]]
        name = "silence"
        indicator = "silence"
        [[rule]]
        name = "recorder-silent"
        objective = "silence"
        silent_for = "30m"
        severity = "ticket"
        [[objective]]
        name = "lost"
        indicator = "lost"
        [[rule]]
        name = "events-lost"
        objective = "lost"
        above = 0
        window = "10m"
        severity = "ticket""#;
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    logger.lose(START, 7);
    let mut evaluator = AlertEngine::new(dir.path(), Objectives::parse(rules, "x.toml").unwrap());
    let mut check = |minute| {
        let firing = evaluator.check(after(minute)).into_iter().filter(Alert::is_firing);
        firing.map(|alert| (alert.rule, alert.value)).collect::<Vec<_>>()
    };
    assert_eq!(check(9), [("events-lost".to_owned(), "7".to_owned())]);
    assert_eq!(check(10), []);
    assert_eq!(check(29), []);
    assert_eq!(check(30), [("recorder-silent".to_owned(), "31m".to_owned())]);
    drop(logger);
    assert_eq!(check(31), [], "nobody is there who could write");
}

#[test]
fn a_clock_that_is_set_ahead_for_a_while_hides_and_forgets_nothing() {
    let silence = r#"
        [[objective]]
        name = "silence"
        indicator = "silence"
        [[rule]]
        name = "recorder-silent"
        objective = "silence"
        silent_for = "30m"
        severity = "ticket""#;
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let rules = Objectives::parse(&format!("{RULES}{silence}"), "x.toml").unwrap();
    let mut evaluator = AlertEngine::new(dir.path(), rules);
    emit_minute(&mut logger, 0, 3, 4);
    evaluator.check(after(0));
    let year = 400 * 24 * 60;
    for minute in 0..10 {
        emit_minute(&mut logger, year + minute, 1, 1);
        evaluator.check(after(year + minute));
    }
    let counted = evaluator.minutes_of("benefits").sum(0, START, START + MINUTE);
    assert_eq!((counted.total, counted.bad), (7.0, 4.0));
    let mut is_silent = |minute| {
        let mut alerts = evaluator.check(after(minute)).into_iter();
        alerts.any(|alert| alert.rule == "recorder-silent" && alert.is_firing())
    };
    assert!(!is_silent(11) && !is_silent(41));
    assert!(is_silent(42));
}

#[test]
fn lines_of_a_file_that_cannot_be_read_are_counted_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    logger.emit(&TestEvent::request(START, Status::Error), true);
    logger.write_totals_or_lose(false);
    emit_minute(&mut logger, 1, 1, 0);
    let folder = Folder::open(dir.path()).unwrap();
    let objectives = Arc::new(Objectives::parse(RULES, "x.toml").unwrap());
    let mut reader = LogReader::new(objectives, ReaderState::default());
    let mut lines = folder.lines();
    while let Some(mut entry) = lines.next_line().unwrap() {
        reader.add(&mut entry);
    }
    let log = dir.path().join("audit-2026-01-02.1.jsonl");
    fs::rename(&log, dir.path().join("away")).unwrap();
    assert!(reader.settle(&folder).is_err());
    fs::rename(dir.path().join("away"), &log).unwrap();
    reader.settle(&folder).unwrap();
    assert_eq!(reader.minutes_of("benefits").sum(0, START, START + MINUTE).bad, 1.0);
}

#[test]
fn a_state_that_cannot_be_used_is_made_again_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    emit_minute(&mut logger, 0, 0, 5);
    assert_eq!(engine(dir.path()).check(after(0)).len(), 1);
    let state = dir.path().join(".slo/state");
    for text in ["", "{", "[]", r#"{"version":99}"#] {
        fs::write(&state, text).unwrap();
        assert_eq!(engine(dir.path()).check(after(0)).len(), 1, "{text}");
    }
    let other = RULES.replace("status = \"error\"", "status = \"ok\"");
    let mut evaluator = AlertEngine::new(dir.path(), Objectives::parse(&other, "x.toml").unwrap());
    let ends: Vec<_> = evaluator.check(after(0)).iter().map(|alert| alert.ends_at).collect();
    assert_eq!(ends, [Some(START + MINUTE)], "by the new objectives nothing is bad");
}

#[cfg(unix)]
#[test]
fn the_state_is_for_its_owner_alone_and_no_link_is_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let dir = tempfile::tempdir().unwrap();
    let _logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    engine(dir.path()).check(after(0));
    let mode =
        |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([".slo", ".slo/lock", ".slo/state"].map(mode), [0o700, 0o600, 0o600]);
    let target = dir.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, dir.path().join(".slo/state.new")).unwrap();
    let mut evaluator = engine(dir.path());
    evaluator.check(after(0) + HOUR);
    drop(evaluator);
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
}
