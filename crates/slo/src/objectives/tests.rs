use llm_audit_log::Status;
use llm_audit_log::schema::latency_bucket;

use super::*;
use crate::alert::Severity;

#[test]
fn the_built_in_objectives_are_those_of_the_plan() {
    let built_in = Objectives::built_in();
    let promised = built_in.objectives.iter().filter_map(|objective| {
        Some((objective.name.as_str(), objective.budget()?, objective.window.to_string()))
    });
    let expected = [
        ("request-latency", 0.05),
        ("request-errors", 0.02),
        ("request-timeouts", 0.01),
        ("tool-failures", 0.03),
        ("retries", 0.05),
    ];
    let expected = expected.map(|(name, budget)| (name, budget, "30d".to_owned()));
    assert_eq!(promised.collect::<Vec<_>>(), expected);
    let burn: Vec<_> = built_in
        .rules
        .iter()
        .filter(|rule| rule.name.starts_with("request-errors-burn"))
        .map(|rule| (rule.name.as_str(), rule.condition, rule.severity))
        .collect();
    let span = |text| Span::parse(text).unwrap();
    let rule = |factor, long, short| Condition::Burn {
        factor,
        long: span(long),
        short: span(short),
        min_bad: 10.0,
    };
    let expected = [
        ("request-errors-burn-1h", rule(14.4, "1h", "5m"), Severity::Page),
        ("request-errors-burn-6h", rule(6.0, "6h", "30m"), Severity::Page),
        ("request-errors-burn-1d", rule(3.0, "1d", "2h"), Severity::Ticket),
        ("request-errors-burn-3d", rule(1.0, "3d", "6h"), Severity::Ticket),
    ];
    assert_eq!(burn, expected);
}

/// Each case: a file, and the beginning of what is said about it.
#[test]
fn a_bad_short_file_is_named_with_line_and_column() {
    let head = "[[objective]]\nname = \"a\"\nindicator = \"ratio\"\nbad = { status = \"error\" }\n";
    let rule = "[[rule]]\nname = \"r\"\nobjective = \"a\"\nseverity = \"page\"\n";
    let cases = [
        ("[[objective]\n".to_owned(), "x.toml:1:13: "),
        ("[[objective]]\nname = 5\n".to_owned(), "x.toml:2:8: invalid type: integer `5`, expected a string"),
        (
            "[[objective]]\nname = \"a\"\nindicator = \"ratios\"\n".to_owned(),
            "x.toml:3:13: unknown variant `ratios`, expected one of `ratio`, `latency`",
        ),
        (format!("{head}targte = 0.9\n"), "x.toml:5:1: unknown field `targte`, expected one of `name`"),
        (
            format!("{head}target = 1.5\n"),
            "x.toml:5:10: 1.5 is not accepted; accepted: a share above 0 and below 1, such as 0.99",
        ),
        (format!("{head}window = \"3x\"\n"), "x.toml:5:10: \"3x\" is not a time; accepted: 5m, 1h"),
        (
            format!("{}\n", head.replace("\"error\"", "\"failed\"")),
            "x.toml:4:18: \"failed\" is not a status; accepted: ok, error, timeout, retry",
        ),
        (
            format!("{}\n", head.replace("status =", "state =")),
            "x.toml:4:9: unknown field `state`, expected one of `type`, `status`",
        ),
        (format!("{head}threshold_ms = 5\n"), "x.toml:2:8: objective \"a\" has `threshold_ms`, which"),
        (
            "[[objective]]\nname = \"a b\"\nindicator = \"lost\"\n".to_owned(),
            "x.toml:2:8: \"a b\" is not a name; accepted: ",
        ),
        (
            "[[objective]]\nname = \"a\"\nindicator = \"latency\"\n".to_owned(),
            "x.toml:2:8: objective \"a\" needs `threshold_ms`",
        ),
        (format!("{head}{head}"), "x.toml:6:8: \"a\" is declared twice"),
        (
            format!("{head}{}above = 0.1\nwindow = \"5m\"\n", rule.replace("\"a\"", "\"aa\"")),
            "x.toml:7:13: there is no objective \"aa\"; the closest one is \"a\"",
        ),
        (format!("{head}{rule}"), "x.toml:6:8: rule \"r\" needs one of `above`, `times_usual`"),
        (format!("{head}{rule}above = 0.1\n"), "x.toml:6:8: rule \"r\" needs `window`"),
        (
            format!("{head}{rule}above = 1\nwindow = \"5m\"\n"),
            "x.toml:6:8: rule \"r\" can never fire: no share is above 100 %",
        ),
        (
            format!("{head}{rule}times_usual = 2\nwindow = \"1h\"\n"),
            "x.toml:6:8: rule \"r\" does not fit objective \"a\"; accepted: `above`, or `burn`",
        ),
        (
            format!("{head}target = 0.9\n{rule}burn = {{ factor = 10, long = \"1h\", short = \"5m\" }}\n"),
            "x.toml:7:8: rule \"r\" can never fire: 10 times the error budget of 10 % is 100 % or more; \
             accepted: a factor below 10",
        ),
        (
            format!("{head}{rule}burn = {{ factor = 10, long = \"5m\", short = \"5m\" }}\n"),
            "x.toml:9:19: the short window 5m is not shorter",
        ),
        (
            "[[objective]]\nname = \"a\"\nindicator = \"cost\"\nby = \"user\"\nmax = 2\nwindow = \"2d\"\n".to_owned(),
            "x.toml:2:8: the budget of each user has a window of 2d; accepted: at most 1d",
        ),
        (
            format!("{head}{rule}above = 0.1\nwindow = \"5m\"\n").replace("page", "high"),
            "x.toml:8:12: unknown variant `high`, expected `ticket` or `page`",
        ),
    ];
    for (text, expected) in cases {
        let error = Objectives::parse(&text, "x.toml").unwrap_err();
        assert!(error.to_string().starts_with(expected), "{text}\n{error}\n{expected}");
        assert!(error.is_objectives());
    }
}

const SLO: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: errors
spec:
  description: At most 1 % fail
  service: benefits
  indicatorRef: failed
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.99
  alertPolicies:
    - alertPolicyRef: fast
---
apiVersion: openslo/v1
kind: SLI
metadata:
  name: failed
spec:
  ratioMetric:
    counter: true
    bad:
      metricSource:
        type: llm-audit
        spec: { status: [error, timeout] }
    total:
      metricSource:
        type: llm-audit
        spec: { type: request.end }
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata:
  name: fast
spec:
  conditions:
    - conditionRef: fast-burn
---
apiVersion: openslo/v1
kind: AlertCondition
metadata:
  name: fast-burn
spec:
  severity: page
  condition:
    kind: burnrate
    op: lte
    threshold: 14.4
    lookbackWindow: 1h
    alertAfter: 0m
---
apiVersion: openslo/v1
kind: Service
metadata:
  name: benefits
spec:
  description: anything
";

#[test]
fn openslo_says_the_same_as_the_short_form() {
    let short = r#"
        burn_rates = false
        [[objective]]
        name = "errors"
        description = "At most 1 % fail"
        indicator = "ratio"
        of = { type = "request.end" }
        bad = { status = ["error", "timeout"] }
        target = 0.99
        [[rule]]
        name = "errors-fast-burn"
        objective = "errors"
        severity = "page"
        burn = { factor = 14.4, long = "1h", short = "5m" }"#;
    let (long, short) = (Objectives::parse(SLO, "x.yaml"), Objectives::parse(short, "x.toml"));
    assert_eq!(long.unwrap(), short.unwrap());
}

#[test]
fn a_bad_openslo_file_is_named_with_line_and_column() {
    let cases = [
        (
            "openslo/v1\nkind: SLO",
            "openslo/v2\nkind: SLO",
            "x.yaml:1:13: \"openslo/v2\" is not accepted; accepted: openslo/v1",
        ),
        (
            "    - target: 0.99",
            "    - target: 99",
            "x.yaml:14:15: 99 is not accepted; accepted: above 0 and below 1",
        ),
        (
            "    - target: 0.99",
            "    - value: 0.99",
            "x.yaml:4:9: `objectives` needs either `target`",
        ),
        (
            "  indicatorRef: failed",
            "  indicatorRef: fail",
            "x.yaml:8:17: there is no SLI \"fail\" in the file",
        ),
        (
            "alertPolicyRef: fast",
            "alertPolicyRef: slow",
            "x.yaml:16:23: there is no AlertPolicy \"slow\"",
        ),
        (
            "Occurrences",
            "Timeslices",
            "x.yaml:12:20: \"Timeslices\" is not accepted; accepted: Occurrences",
        ),
        ("isRolling: true", "isRolling: false", "x.yaml:11:18: false is not accepted"),
        ("duration: 30d", "duration: 1M", "x.yaml:10:17: \"1M\" is not a time"),
        ("status: [error, timeout]", "status: [err]", "x.yaml:28:26: \"err\" is not a status"),
        (
            "type: llm-audit\n        spec: { type",
            "type: datadog\n        spec: { type",
            "x.yaml:31:15: \"datadog\" is not accepted; accepted: llm-audit",
        ),
        (
            "threshold: 14.4",
            "threshold: 100",
            "x.yaml:51:16: rule \"errors-fast-burn\" can never fire",
        ),
        (
            "kind: burnrate",
            "kind: average",
            "x.yaml:49:11: \"average\" is not accepted; accepted: burnrate",
        ),
        ("  description: At", "  descripton: At", "x.yaml:6:3: unknown field `descripton`"),
        ("spec:\n  description: At", "spec: [\n  description: At", "x.yaml:"),
        (
            "metricSource:\n        type: llm-audit\n        spec: { status: [error, timeout] }",
            "metricSource: x",
            "x.yaml:26:21: expected mapping start",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(SLO.contains(from), "{from}");
        let error =
            Objectives::parse(&SLO.replacen(from, to, 1), "x.yaml").unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert!(!error.contains(" at line "), "the place is said once: {error}");
    }
}

/// The examples of the documentation, by their language.
fn documented(language: &str) -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../../../docs/slo.md");
    let fence = format!("```{language}\n");
    let blocks = page.match_indices(&fence).map(|(at, fence)| &page[at + fence.len()..]);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn the_documented_files_are_read() {
    for (language, name) in [("toml", "x.toml"), ("yaml", "x.yaml")] {
        assert_eq!(documented(language).count(), 1);
        for text in documented(language) {
            let read = Objectives::parse(text, name).unwrap();
            assert!(read.objectives.iter().any(|objective| objective.name == "answers"));
        }
    }
}

#[test]
fn rows_are_counted_for_every_objective_with_good_and_bad_events() {
    let objectives = Objectives::built_in();
    let mut row = MetricsRow::default();
    (row.event_type, row.status, row.events) = ("request.end".to_owned(), Status::Error, 3);
    row.latencies.add_to_bucket(latency_bucket(1_000_000), 1);
    row.latencies.add_to_bucket(latency_bucket(2_000_000), 2);
    let mut good = row.clone();
    good.status = Status::Ok;
    let rows = [row, good];
    let counts = objectives.counts(&rows);
    let counts: Vec<_> =
        counts.iter().map(|counts| (counts.slo, counts.good, counts.bad)).collect();
    let expected = [
        ("request-latency", 2, 4),
        ("request-errors", 3, 3),
        ("request-timeouts", 6, 0),
        ("tool-failures", 0, 0),
        ("retries", 0, 0),
    ];
    assert_eq!(counts, expected);
}
