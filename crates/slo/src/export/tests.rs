use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use llm_audit_log::schema::notices::EventTotals;
use llm_audit_log::schema::{MetricsRow, latency_bucket};
use llm_audit_log::{Status, Usd};
use serde_json::json;

use super::*;
use crate::engine::AlertEngine;
use crate::objectives::Condition;
use crate::span::MINUTE;
use crate::testing::{START, TestLogger};

fn target() -> RuleTarget {
    RuleTarget { service: Some("benefits".to_owned()), selector: Some("job=\"web\"".to_owned()) }
}

#[test]
fn openslo_is_read_again() {
    let built_in = Objectives::built_in();
    let text = built_in.to_openslo(&target());
    let again = Objectives::parse(&text, "x.yaml").unwrap();
    let with_target = built_in.objectives.iter().filter(|objective| objective.target.is_some());
    assert!(again.objectives.iter().eq(with_target), "{text}");
    let is_burn = |condition: &Condition| matches!(condition, Condition::Burn { .. });
    let burn = built_in.rules.iter().filter(|rule| is_burn(&rule.condition));
    assert!(again.rules.iter().eq(burn), "{text}");
    assert!(text.contains("# request-errors-high is left out: OpenSLO has burn rates alone"));
    assert!(text.contains("# lost-events is left out"));
}

/// As the specification says of each kind: https://github.com/OpenSLO/OpenSLO#alertpolicy.
#[test]
fn an_openslo_policy_has_one_condition_and_a_place_to_notify() {
    let built_in = Objectives::built_in();
    let text = built_in.to_openslo(&target());
    let burn =
        built_in.rules.iter().filter(|rule| matches!(rule.condition, Condition::Burn { .. }));
    let is_of = |document: &&str, kind: &str| document.contains(&format!("\nkind: {kind}\n"));
    let documents: Vec<_> = text.split("---\n").collect();
    let policies: Vec<_> =
        documents.iter().filter(|document| is_of(document, "AlertPolicy")).collect();
    assert_eq!(policies.len(), burn.count());
    for policy in policies {
        assert_eq!(policy.matches("\"AlertCondition\"").count(), 1, "{policy}");
        assert!(policy.contains("notificationTargets:\n    - targetRef: llm-audit-alerts\n"));
    }
    let notified = documents.iter().filter(|document| is_of(document, "AlertNotificationTarget"));
    assert_eq!(notified.count(), 1);
}

#[test]
fn what_sloth_cannot_express_is_said() {
    let text = Objectives::built_in().to_sloth(&target());
    for line in [
        "# cost is left out: sloth has objectives of good and bad events alone",
        "# request-errors-high is left out: sloth has burn-rate rules of its own",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("# request-errors is left out"), "{text}");
    assert!(!text.contains("# request-errors-burn-1h is left out"), "{text}");
}

#[test]
fn budgets_and_good_events_are_read_again() {
    let short = r#"
        [[objective]]
        name = "user-cost"
        indicator = "cost"
        by = "tenant"
        of = { model = "gpt-4o", agent = ["a", "b: c"] }
        max = 12.5
        window = "1h"
        [[objective]]
        name = "served"
        indicator = "ratio"
        of = [{ type = "request.end" }, { tenant = "\"x\"" }]
        good = { status = "ok" }
        target = 0.995
        window = "7d""#;
    let short = Objectives::parse(short, "x.toml").unwrap();
    let text = short.to_openslo(&target());
    assert_eq!(Objectives::parse(&text, "x.yaml").unwrap(), short, "{text}");
}

#[test]
fn prometheus_rules_have_the_labels_of_alerts() {
    let text = Objectives::built_in().to_prometheus(&target());
    let expected = r#"
      - alert: "request-errors-high"
        expr: "sum(increase(llm_audit_slo_events_total{slo=\"request-errors\",result=\"bad\",job=\"web\"}[5m])) / sum(increase(llm_audit_slo_events_total{slo=\"request-errors\",job=\"web\"}[5m])) > 0.05 and sum(increase(llm_audit_slo_events_total{slo=\"request-errors\",result=\"bad\",job=\"web\"}[5m])) > 9.5"
        labels:
          objective: "request-errors"
          service: "benefits"
          severity: page
"#;
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("# recorder-silent is left out: Prometheus has no time"), "{text}");
    let rules = Objectives::built_in().rules.into_iter();
    for rule in rules.filter(|rule| !matches!(rule.condition, Condition::Silent { .. })) {
        assert!(text.contains(&format!("- alert: \"{}\"", rule.name)), "{}", rule.name);
    }
}

#[test]
fn what_prometheus_cannot_know_is_said() {
    let short = r#"
        [[objective]]
        name = "user-cost"
        indicator = "cost"
        by = "user"
        [[rule]]
        name = "user-cost-high"
        objective = "user-cost"
        above = 5
        window = "1h"
        severity = "page"
        [[objective]]
        name = "tenant-cost"
        indicator = "cost"
        by = "tenant"
        of = { model = "gpt-4.1" }
        [[rule]]
        name = "tenant-cost-high"
        objective = "tenant-cost"
        above = 5
        window = "1h"
        severity = "page""#;
    let text = Objectives::parse(short, "x.toml").unwrap().to_prometheus(&RuleTarget::default());
    assert!(text.contains("# user-cost-high is left out: Prometheus has no users"), "{text}");
    let expected = r#"sum by (tenant) (increase(llm_audit_cost_usd_total{model=~\"gpt-4\\\\.1\",tenant!=\"\"}[1h])) > 5"#;
    assert!(text.contains(expected), "{text}");
}

/// Rules of each kind, with windows that are short enough for a test.
const RULES: &str = r#"
    burn_rates = false
    [[objective]]
    name = "errors"
    indicator = "ratio"
    of = { type = "request.end" }
    bad = { status = "error" }
    target = 0.9
    [[objective]]
    name = "slow"
    indicator = "latency"
    of = { type = "request" }
    threshold_ms = 1000
    target = 0.9
    [[objective]]
    name = "retries"
    indicator = "rate"
    of = [{ type = "agent.retry" }, { status = "retry" }]
    per = { type = "request.end" }
    [[objective]]
    name = "tenants"
    indicator = "cost"
    by = "tenant"
    [[objective]]
    name = "cost"
    indicator = "cost"
    [[objective]]
    name = "lost"
    indicator = "lost"
    [[rule]]
    name = "errors-high"
    objective = "errors"
    above = 0.2
    window = "5m"
    min_bad = 12
    severity = "page"
    [[rule]]
    name = "errors-fast"
    objective = "errors"
    burn = { factor = 1.7, long = "30m", short = "3m" }
    severity = "page"
    [[rule]]
    name = "slow-fast"
    objective = "slow"
    burn = { factor = 2, long = "20m", short = "2m" }
    severity = "ticket"
    [[rule]]
    name = "retries-high"
    objective = "retries"
    above = 0.5
    window = "10m"
    severity = "ticket"
    [[rule]]
    name = "tenant-cost"
    objective = "tenants"
    above = 12
    window = "10m"
    severity = "ticket"
    [[rule]]
    name = "cost-high"
    objective = "cost"
    above = 23
    window = "15m"
    severity = "page"
    [[rule]]
    name = "lost-any"
    objective = "lost"
    above = 0
    window = "7m"
    severity = "ticket""#;

const MINUTES: i64 = 240;

/// What happens in a minute of which every so often one is bad.
fn random_rows(draws: &mut fastrand::Rng, is_bad: bool) -> Vec<MetricsRow> {
    let mut row = |event_type: &str, status: Status, most: u64| {
        let mut row = MetricsRow::default();
        (row.event_type, row.status, row.events) =
            (event_type.to_owned(), status, draws.u64(0..=most));
        row
    };
    let mut rows = vec![
        row("request.end", Status::Ok, 20),
        row("request.end", Status::Error, if is_bad { 12 } else { 3 }),
        row("agent.retry", Status::Retry, if is_bad { 14 } else { 6 }),
        row("tool.result", Status::Retry, 3),
        row("llm.invoke", Status::Ok, 9),
        row("llm.invoke", Status::Ok, 9),
    ];
    for row in &mut rows[..2] {
        let slow = draws.u64(0..=if is_bad { row.events } else { row.events / 4 });
        row.latencies.add_to_bucket(latency_bucket(2_000_000), slow);
        row.latencies.add_to_bucket(latency_bucket(10_000), row.events - slow);
    }
    for (row, tenant) in rows[4..].iter_mut().zip(["acme", "initech"]) {
        row.tenant = tenant.to_owned();
        row.priced = row.events;
        row.cost_usd = Usd::try_from(0.25).unwrap() * row.events;
    }
    rows
}

/// The series that `/metrics` has for these rows, which count from the start.
fn series(objectives: &Objectives, rows: &[MetricsRow], lost: u64) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for counts in objectives.counts(rows) {
        for (result, count) in [("good", counts.good), ("bad", counts.bad)] {
            let labels = format!("slo=\"{}\",result=\"{result}\"", counts.slo);
            all.insert(format!("llm_audit_slo_events_total{{{labels},job=\"web\"}}"), count as f64);
        }
    }
    for row in rows {
        let labels = format!("event_type=\"{}\",status=\"{}\"", row.event_type, row.status.name());
        *all.entry(format!("llm_audit_events_total{{{labels},job=\"web\"}}")).or_default() +=
            row.events as f64;
        let labels = format!("tenant=\"{}\"", row.tenant);
        *all.entry(format!("llm_audit_cost_usd_total{{{labels},job=\"web\"}}")).or_default() +=
            row.cost_usd.as_f64();
    }
    all.insert(
        "llm_audit_recorder_events_total{end=\"overwritten\",job=\"web\"}".to_owned(),
        lost as f64,
    );
    all
}

/// Writes the rules, and the alerts of the engine at each minute as a test of `promtool`, which
/// `ci/e2e/rules.sh` runs. Each sample is taken at the end of a minute.
#[test]
fn the_engine_says_at_each_minute_what_prometheus_has_to_say() {
    let temporary = tempfile::tempdir().unwrap();
    let out = env::var_os("LLM_AUDIT_RULES_DIR").map_or(temporary.path().to_owned(), PathBuf::from);
    let objectives = Objectives::parse(RULES, "x.toml").unwrap();
    let logs = temporary.path().join("logs");
    let mut logger = TestLogger::start(&logs, 1, "benefits", true, START);
    let mut evaluator = AlertEngine::new(&logs, objectives.clone());
    let mut draws = fastrand::Rng::with_seed(20);
    let (mut sums, mut lost) = (Vec::<MetricsRow>::new(), 0);
    let mut values = BTreeMap::<String, Vec<f64>>::new();
    let mut expected = Vec::new();
    let mut fired = BTreeMap::<String, u32>::new();
    for minute in 0..=MINUTES {
        let from = START + minute * MINUTE;
        let firing =
            evaluator.check(from + 10_000_000).into_iter().filter(|alert| alert.is_firing());
        let firing: Vec<_> = firing.collect();
        for rule in &objectives.rules {
            let alerts = firing.iter().filter(|alert| alert.rule == rule.name);
            let alerts = alerts.map(|alert| {
                *fired.entry(alert.rule.clone()).or_default() += 1;
                let mut labels = alert.labels();
                labels.remove("alertname");
                let summary = prometheus::summary(rule, &objectives.objectives[rule.objective]);
                json!({ "exp_labels": labels, "exp_annotations": { "summary": summary } })
            });
            expected.push(json!({
                "eval_time": format!("{minute}m"),
                "alertname": rule.name,
                "exp_alerts": alerts.collect::<Vec<_>>(),
            }));
        }
        let rows = random_rows(&mut draws, minute % 60 > 40);
        if sums.is_empty() {
            sums = rows.iter().map(labels_of).collect();
        }
        for (name, value) in series(&objectives, &sums, lost) {
            values.entry(name).or_default().push(value);
        }
        sums.iter_mut().zip(&rows).for_each(|(sum, row)| sum.merge(row));
        if draws.u8(..20) == 0 {
            logger.lose(from, 3);
            lost += 3;
        }
        let mut totals = EventTotals::default();
        totals.rows = rows;
        logger.write_totals_of(from, totals, true);
    }
    for rule in &objectives.rules {
        let count = fired.get(&rule.name).copied().unwrap_or_default();
        assert!(
            (10..MINUTES as u32 * 2 - 10).contains(&count),
            "{} fired {count} times",
            rule.name
        );
    }
    let input = values.iter().map(|(series, values)| {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        json!({ "series": series, "values": values.join(" ") })
    });
    let tests = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": input.collect::<Vec<_>>(),
            "alert_rule_test": expected,
        }],
    });
    fs::write(out.join("rules.yml"), objectives.to_prometheus(&target())).unwrap();
    fs::write(out.join("tests.yml"), tests.to_string()).unwrap();
}

/// The row without its figures.
fn labels_of(row: &MetricsRow) -> MetricsRow {
    let mut labels = MetricsRow::default();
    labels.event_type.clone_from(&row.event_type);
    labels.tenant.clone_from(&row.tenant);
    labels.status = row.status;
    labels
}
