//! Logs of random histories, judged by the crate and by a naive count over all events.

use std::fs;
use std::path::Path;

use llm_audit_log::schema::MetricsRow;
use llm_audit_log::schema::notices::EventTotals;
use llm_audit_log::{Folder, Status, Usd};

use crate::engine::AlertEngine;
use crate::log::JudgedLog;
use crate::objectives::{Condition, Indicator, Objectives};
use crate::span::{MINUTE, Span, floor};
use crate::testing::{START, TestEvent, TestLogger};
use crate::verdict::Verdict;

const OBJECTIVES: &str = r#"
    [[objective]]
    name = "errors"
    indicator = "ratio"
    of = { type = "request.end" }
    bad = { status = ["error", "timeout"] }
    target = 0.8
    window = "20m"
    [[objective]]
    name = "slow"
    indicator = "latency"
    of = { type = "request.end" }
    threshold_ms = 1000
    target = 0.7
    window = "1h"
    [[rule]]
    name = "errors-high"
    objective = "errors"
    above = 0.3
    window = "5m"
    min_bad = 3
    severity = "page"
    [[rule]]
    name = "errors-burn"
    objective = "errors"
    burn = { factor = 2, long = "30m", short = "5m" }
    min_bad = 4
    severity = "ticket""#;

fn objectives() -> Objectives {
    Objectives::parse(OBJECTIVES, "x.toml").unwrap()
}

/// What happened, as the test knows it.
#[derive(Default)]
struct History {
    counted: Vec<TestEvent>,
    /// Events after the last totals of killed loggers that are good, whose lines stand for another one each.
    halves: Vec<TestEvent>,
    /// Events that loggers without totals lost.
    lost: Vec<(i64, f64)>,
}

impl History {
    /// All events, bad ones and unknown ones of a time, counted one by one.
    fn count(&self, indicator: &Indicator, from: i64, to: i64) -> (f64, f64, f64) {
        let is_inside = |time: i64| (from..to).contains(&floor(time, MINUTE));
        let is_meant =
            |event: &&TestEvent| is_inside(event.time) && event.event_type == "request.end";
        let is_bad = |event: &&TestEvent| match indicator {
            Indicator::Latency { .. } => event.latency_ms > Some(1_000.0),
            _ => event.status.is_failure(),
        };
        let all = self.counted.iter().filter(is_meant);
        let unknown = self.halves.iter().filter(is_meant).count() as f64;
        let lost = self.lost.iter().filter(|(time, _)| is_inside(*time)).map(|(_, count)| count);
        let unknown = unknown + lost.sum::<f64>();
        (all.clone().count() as f64, all.filter(is_bad).count() as f64, unknown)
    }

    fn verdict(&self, indicator: &Indicator, budget: f64, from: i64, to: i64) -> Verdict {
        let (total, bad, unknown) = self.count(indicator, from, to);
        let all = total + unknown;
        match () {
            () if all == 0.0 => Verdict::NoData,
            () if bad / all > budget => Verdict::Breached,
            () if (bad + unknown) / all <= budget => Verdict::Met,
            () => Verdict::Unknown,
        }
    }

    fn is_broken(
        &self,
        condition: Condition,
        indicator: &Indicator,
        budget: f64,
        end: i64,
    ) -> bool {
        let count = |span: Span| self.count(indicator, end - span.micros(), end);
        let share = |span| {
            let (total, bad, unknown) = count(span);
            bad / (total + unknown)
        };
        match condition {
            Condition::Above { limit, window, min_bad } => {
                share(window) > limit && count(window).1 >= min_bad
            }
            Condition::Burn { factor, long, short, min_bad } => {
                share(long) > factor * budget
                    && share(short) > factor * budget
                    && count(long).1 >= min_bad
            }
            _ => unreachable!("the test has no other rules"),
        }
    }
}

/// A random history: loggers that come, go and are killed, quiet times, and a clock that steps.
struct RandomLog {
    draws: fastrand::Rng,
    history: History,
    loggers: Vec<TestLogger>,
    started: u64,
    now: i64,
}

impl RandomLog {
    fn new(seed: u64) -> Self {
        Self {
            draws: fastrand::Rng::with_seed(seed),
            history: History::default(),
            loggers: Vec::new(),
            started: 0,
            now: START + 300 * MINUTE,
        }
    }

    fn step(&mut self, dir: &Path) {
        match self.draws.u8(..100) {
            0..4 if self.loggers.len() < 3 => self.start(dir),
            4..6 => self.now += self.draws.i64(1..40) * MINUTE,
            6 => self.now -= self.draws.i64(1..12) * MINUTE,
            7 if !self.loggers.is_empty() => self.end_logger(),
            8..10 => self.lose(),
            10..30 => self.write_totals(),
            _ => self.emit(),
        }
    }

    fn start(&mut self, dir: &Path) {
        self.started += 1;
        let has_totals = self.draws.u8(..4) > 0;
        self.loggers.push(TestLogger::start(dir, self.started, "benefits", has_totals, self.now));
    }

    fn emit(&mut self) {
        if self.loggers.is_empty() {
            return;
        }
        self.now += self.draws.i64(0..MINUTE / 4);
        let at = self.draws.usize(..self.loggers.len());
        let status =
            *self.draws.choice(&[Status::Ok, Status::Ok, Status::Ok, Status::Error]).unwrap();
        let latency = *self.draws.choice(&[10.0, 500.0, 2_000.0]).unwrap();
        let event_type =
            *self.draws.choice(&["request.end", "request.end", "tool.result"]).unwrap();
        let event = TestEvent::new(self.now, event_type, status).slow(latency);
        let logger = &mut self.loggers[at];
        let is_kept = !logger.has_totals || status != Status::Ok || self.draws.bool();
        logger.emit(&event, is_kept);
        match logger.has_totals {
            true => logger.kept.push(is_kept),
            false => self.history.counted.push(event),
        }
    }

    fn write_totals(&mut self) {
        for logger in &mut self.loggers {
            self.history.counted.append(&mut logger.uncounted.clone());
            logger.kept.clear();
            logger.write_totals();
        }
    }

    fn lose(&mut self) {
        let (now, count) = (self.now, self.draws.u64(1..5));
        let Some(logger) = self.loggers.first_mut() else { return };
        logger.lose(now, count);
        if !logger.has_totals {
            self.history.lost.push((now, count as f64));
        }
    }

    fn end_logger(&mut self) {
        let at = self.draws.usize(..self.loggers.len());
        let mut logger = self.loggers.swap_remove(at);
        if self.draws.bool() {
            self.history.counted.append(&mut logger.uncounted.clone());
            logger.stop(self.now);
        } else {
            let events = logger.uncounted.drain(..).zip(logger.kept.drain(..));
            for (event, _) in events.filter(|(_, is_kept)| *is_kept) {
                if event.status == Status::Ok {
                    self.history.halves.push(event.clone());
                }
                self.history.counted.push(event);
            }
        }
    }
}

#[test]
fn windows_and_verdicts_are_those_of_a_naive_count() {
    let objectives = objectives();
    let mut seen = [0; 4];
    for seed in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RandomLog::new(seed);
        log.start(dir.path());
        (0..400).for_each(|_| log.step(dir.path()));
        let folder = Folder::open(dir.path()).unwrap();
        let read = JudgedLog::read(&folder, objectives.clone(), None, |_| {}).unwrap();
        let Some((first, last)) = read.period() else { continue };
        for _ in 0..20 {
            let end = floor(log.draws.i64(first..last + MINUTE), MINUTE);
            let since =
                log.draws.bool().then(|| floor(log.draws.i64(first - MINUTE..=end), MINUTE));
            for judged in read.judge(since, end) {
                let from = since.unwrap_or(end - judged.objective.window.micros());
                let (indicator, budget) =
                    (&judged.objective.indicator, judged.objective.budget().unwrap());
                assert_eq!(judged.events, log.history.count(indicator, from, end), "{seed}");
                let expected = log.history.verdict(indicator, budget, from, end);
                assert_eq!(judged.verdict, expected, "{seed} {judged:?}");
                seen[judged.verdict as usize] += 1;
            }
        }
        for rule in &objectives.rules {
            let objective = &objectives.objectives[rule.objective];
            let explanation = read.explain(&rule.name, Some(first), last).unwrap();
            for minute in &explanation.minutes {
                let (indicator, budget) = (&objective.indicator, objective.budget().unwrap());
                let expected = log.history.is_broken(rule.condition, indicator, budget, minute.end);
                assert_eq!(minute.is_broken(), expected, "{seed} {} {}", rule.name, minute.end);
            }
        }
    }
    // Every verdict was reached, so that the comparison says something.
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

#[test]
fn an_engine_that_reads_bit_by_bit_knows_what_a_whole_reading_knows() {
    for seed in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RandomLog::new(1_000 + seed);
        log.start(dir.path());
        let mut engine = AlertEngine::new(dir.path(), objectives());
        for _ in 0..200 {
            log.step(dir.path());
            match log.draws.u8(..10) {
                0..3 => drop(engine.check(log.now)),
                // The evaluator is restarted.
                3 => engine = AlertEngine::new(dir.path(), objectives()),
                _ => {}
            }
            assert!(engine.error().is_none(), "{:?}", engine.error());
        }
        // A logger is taken for killed when it is seen for the second time.
        engine.check(log.now);
        engine.check(log.now);
        let folder = Folder::open(dir.path()).unwrap();
        let read = JudgedLog::read(&folder, objectives(), Some("benefits"), |_| {}).unwrap();
        let mut minutes = read.minutes();
        // The engine has a clock, which was set back.
        minutes.last_write = minutes.last_write.min(engine.minutes_of("benefits").last_write);
        assert_eq!(engine.minutes_of("benefits"), minutes, "{seed}");
    }
}

#[test]
fn events_of_totals_that_are_lost_or_unreadable_are_counted_by_their_lines() {
    for are_lost in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        for _ in 0..7 {
            logger.emit(&TestEvent::request(START, Status::Error), true);
        }
        logger.emit(&TestEvent::request(START, Status::Ok), true);
        if are_lost {
            logger.write_totals_or_lose(false);
        } else {
            logger.uncounted.clear();
            logger.own_line("audit.totals", START, &serde_json::json!({ "rows": 7 }));
        }
        logger.emit(&TestEvent::request(START + MINUTE, Status::Error), true);
        logger.stop(START + MINUTE);
        let folder = Folder::open(dir.path()).unwrap();
        let read = JudgedLog::read(&folder, objectives(), None, |_| {}).unwrap();
        let judged = read.judge(None, i64::MAX);
        // The line of a good event stands for another one, by the rates of the logger.
        assert_eq!(judged[0].events, (9.0, 8.0, 1.0), "{are_lost}");
    }
}

#[test]
fn failures_in_the_log_of_a_killed_logger_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    logger.emit(&TestEvent::request(START, Status::Ok), false);
    logger.write_totals();
    for status in [Status::Error, Status::Timeout, Status::Ok] {
        let call = TestEvent::new(START + MINUTE, "llm.invoke", status);
        logger.emit(&call.cost(2.0).user("ana"), true);
        logger.emit(&TestEvent::request(START + MINUTE, status), true);
    }
    drop(logger);
    let cost = "[[objective]]\nname = \"cost\"\nindicator = \"cost\"\nby = \"user\"\nmax = 5\nwindow = \"1h\"";
    let objectives = Objectives::parse(&format!("{OBJECTIVES}\n{cost}"), "x.toml").unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let log = JudgedLog::read(&folder, objectives, None, |_| {}).unwrap();
    let judged = log.judge(None, i64::MAX);
    assert_eq!(judged[0].events, (4.0, 2.0, 1.0));
    assert_eq!(judged[0].verdict, Verdict::Breached);
    assert_eq!((judged[2].verdict, &*judged[2].value), (Verdict::Breached, "$6.00"));
}

/// Totals are written a moment after the end of their minute, and have the events of that moment.
#[test]
fn a_line_between_the_end_of_a_minute_and_its_totals_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let mut totals = EventTotals::default();
    let mut row = MetricsRow::default();
    (row.event_type, row.status, row.events) = ("request.end".to_owned(), Status::Error, 3);
    totals.rows = vec![row];
    logger.totals_delay = 20_000;
    logger.write_totals_of(START, totals, true);
    for after in [0, 19_999, 20_000, 30_000_000] {
        logger.emit(&TestEvent::request(START + MINUTE + after, Status::Error), true);
    }
    drop(logger);
    let folder = Folder::open(dir.path()).unwrap();
    let log = JudgedLog::read(&folder, objectives(), None, |_| {}).unwrap();
    assert_eq!(log.judge(None, i64::MAX)[0].events, (5.0, 5.0, 0.0));
}

#[test]
fn lines_that_come_again_are_not_counted_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    let mut other = TestLogger::start(dir.path(), 2, "benefits", false, START);
    logger.emit(&TestEvent::request(START, Status::Error), true);
    logger.write_totals();
    other.emit(&TestEvent::request(START, Status::Error), true);
    let mut engine = AlertEngine::new(dir.path(), objectives());
    engine.check(START + 2 * MINUTE);
    let before = engine.minutes_of("benefits");
    let paths = [1, 2].map(|number| dir.path().join(format!("audit-2026-01-02.{number}.jsonl")));
    let texts = paths.clone().map(|path| fs::read(path).unwrap());
    paths.iter().for_each(|path| fs::write(path, "").unwrap());
    engine.check(START + 2 * MINUTE);
    paths.iter().zip(texts).for_each(|(path, text)| fs::write(path, text).unwrap());
    engine.check(START + 2 * MINUTE);
    assert!(engine.error().is_none());
    assert_eq!(engine.minutes_of("benefits"), before);
}

/// The budgets of users, judged with a window that moves on, and by adding up each window.
#[test]
fn the_dearest_window_of_users_is_that_of_a_naive_sum() {
    let mut draws = fastrand::Rng::with_seed(4);
    for round in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        let mut calls = Vec::new();
        for minute in 0..120 {
            for _ in 0..draws.usize(..6) {
                let (user, cents) = (format!("u{}", draws.u8(..9)), draws.u32(1..500));
                let event = TestEvent::model_call(START + minute * MINUTE)
                    .user(&user)
                    .cost(f64::from(cents) / 100.0);
                logger.emit(&event, false);
                calls.push(event);
            }
        }
        logger.stop(START + 120 * MINUTE);
        let window = draws.i64(1..70);
        let text = format!(
            "[[objective]]\nname = \"users\"\nindicator = \"cost\"\nby = \"user\"\nmax = 9\n\
             window = \"{window}m\"\n\
             [[rule]]\nname = \"users-high\"\nobjective = \"users\"\nabove = 9\nwindow = \"{window}m\"\n\
             severity = \"page\""
        );
        let objectives = Objectives::parse(&text, "x.toml").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let log = JudgedLog::read(&folder, objectives, None, |_| {}).unwrap();
        let spent = |end: i64| {
            let mut users = std::collections::BTreeMap::<&str, Usd>::new();
            let window = end - window * MINUTE..end;
            for call in calls.iter().filter(|call| window.contains(&call.time)) {
                *users.entry(&call.user).or_default() += call.cost.unwrap();
            }
            users
        };
        let ends = (1..=120).map(|minute| START + minute * MINUTE);
        let highest = ends.clone().filter_map(|end| spent(end).into_values().max()).max().unwrap();
        let judged = &log.judge(Some(START), i64::MAX)[0];
        assert_eq!(judged.value, crate::show::dollars(highest), "{round}");
        let payer = judged.payer.as_deref().unwrap();
        assert_eq!(spent(judged.period.1)[payer], highest, "{round}");
        let explanation = log.explain("users-high", Some(START), i64::MAX).unwrap();
        for minute in &explanation.minutes {
            let broken = spent(minute.end).into_iter().filter(|(_, cost)| cost.as_f64() > 9.0);
            let mut found: Vec<_> =
                minute.outcomes.iter().map(|outcome| outcome.value.clone()).collect();
            let mut expected: Vec<_> = broken.map(|(_, cost)| crate::show::dollars(cost)).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{round}");
        }
    }
}

#[test]
fn a_budget_of_users_is_known_in_minutes_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
    logger.emit(&TestEvent::model_call(START).cost(1.0).user("ana"), false);
    logger.emit(&TestEvent::model_call(START + MINUTE).cost(9.0), false);
    logger.stop(START + 2 * MINUTE);
    let text = "[[objective]]\nname = \"cost\"\nindicator = \"cost\"\nby = \"user\"\nmax = 5\nwindow = \"1h\"";
    let folder = Folder::open(dir.path()).unwrap();
    let objectives = Objectives::parse(text, "x.toml").unwrap();
    let log = JudgedLog::read(&folder, objectives, None, |_| {}).unwrap();
    let judged = log.judge(None, i64::MAX);
    assert_eq!((judged[0].verdict, &*judged[0].value), (Verdict::Met, "$1.00"));
}
