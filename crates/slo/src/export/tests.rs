use super::*;
use crate::objectives::{Condition, Objectives};

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

#[test]
fn budgets_and_good_events_are_read_again() {
    let short = r#"
        [[objective]]
        name = "user-cost"
        indicator = "cost"
        by = "user"
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
    for rule in Objectives::built_in().rules {
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
