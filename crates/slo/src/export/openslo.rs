//! Objectives and burn-rate rules as OpenSLO v1.

use std::fmt::{self, Write};

use serde_json::{Map, Value, json};

use super::{RuleTarget, quoted, service_name};
use crate::objectives::{
    API_VERSION, Clause, Condition, Indicator, Objective, Objectives, Rule, SOURCE_TYPE, Selection,
    Target,
};

/// The name of what alert policies notify.
const NOTIFIED: &str = "llm-audit-alerts";

pub(super) fn documents(objectives: &Objectives, target: &RuleTarget) -> String {
    let mut text = String::new();
    let has_policies = objectives
        .rules
        .iter()
        .any(|rule| burn_condition(&objectives.objectives[rule.objective], rule).is_some());
    for (at, objective) in objectives.objectives.iter().enumerate() {
        let rules: Vec<_> = objectives.rules.iter().filter(|rule| rule.objective == at).collect();
        // Nothing fails when a string is written to.
        let _ = match indicator(objective) {
            Some(indicator) => write_documents(&mut text, objective, &indicator, &rules, target),
            None => {
                writeln!(text, "# {} is left out: OpenSLO has no such objective", objective.name)
            }
        };
    }
    if has_policies {
        let _ = write_head(&mut text, "AlertNotificationTarget", NOTIFIED)
            .and_then(|()| writeln!(text, "  target: {SOURCE_TYPE}"));
    }
    text
}

/// The indicator, and the entry of `objectives`.
struct SloText {
    indicator: Value,
    objective: Value,
}

fn indicator(objective: &Objective) -> Option<SloText> {
    let source = |spec: Value| json!({ "metricSource": { "type": SOURCE_TYPE, "spec": spec } });
    let threshold = |measure: &str, of: &Selection, by: Option<&str>| {
        let mut spec =
            Map::from_iter([("measure".to_owned(), json!(measure)), ("of".to_owned(), listed(of))]);
        spec.extend(by.map(|by| ("by".to_owned(), json!(by))));
        json!({ "thresholdMetric": source(Value::Object(spec)) })
    };
    Some(match (&objective.indicator, objective.target?) {
        (Indicator::Ratio { of, bad }, Target::Good(share)) => {
            let kind = if bad.is_negated { "good" } else { "bad" };
            let ratio =
                json!({ "counter": true, kind: source(listed(bad)), "total": source(listed(of)) });
            SloText {
                indicator: json!({ "ratioMetric": ratio }),
                objective: json!({ "target": share }),
            }
        }
        (Indicator::Latency { of, threshold_ms }, Target::Good(share)) => SloText {
            indicator: threshold("latency_ms", of, None),
            objective: json!({ "op": "lte", "value": threshold_ms, "target": share }),
        },
        (Indicator::Cost { of, by }, Target::Cost(most)) => SloText {
            indicator: threshold("cost_usd", of, by.map(|by| by.name())),
            objective: json!({ "op": "lte", "value": most.as_f64() }),
        },
        _ => return None,
    })
}

/// The clauses of a selection.
fn listed(selection: &Selection) -> Value {
    selection.clauses.iter().map(clause).collect()
}

fn clause(clause: &Clause) -> Value {
    let statuses = clause.status.0.iter().map(|status| status.0.name().to_owned()).collect();
    let members = [
        ("type", clause.event_type.0.clone()),
        ("status", statuses),
        ("agent", clause.agent.0.clone()),
        ("action", clause.action.0.clone()),
        ("model", clause.model.0.clone()),
        ("tenant", clause.tenant.0.clone()),
    ];
    let members = members.into_iter().filter(|(_, texts)| !texts.is_empty());
    members.map(|(name, texts)| (name.to_owned(), json!(texts))).collect::<Map<_, _>>().into()
}

fn write_documents(
    text: &mut String,
    objective: &Objective,
    slo: &SloText,
    rules: &[&Rule],
    target: &RuleTarget,
) -> fmt::Result {
    write_head(text, "SLO", &objective.name)?;
    writeln!(text, "  description: {}", quoted(&objective.description))?;
    writeln!(text, "  service: {}", quoted(service_name(target)))?;
    writeln!(text, "  indicator:\n    metadata: {{ name: {} }}", quoted(&objective.name))?;
    writeln!(text, "    spec: {}", slo.indicator)?;
    writeln!(text, "  timeWindow:\n    - duration: {}\n      isRolling: true", objective.window)?;
    writeln!(text, "  budgetingMethod: Occurrences")?;
    writeln!(text, "  objectives:\n    - {}", slo.objective)?;
    let burn_rules =
        || rules.iter().filter_map(|rule| Some((rule, burn_condition(objective, rule)?)));
    let policies: Vec<_> =
        burn_rules().map(|(rule, _)| json!({ "alertPolicyRef": rule.name })).collect();
    writeln!(text, "  alertPolicies: {}", Value::from(policies))?;
    // A policy has one condition and a place to notify, as the specification says.
    for (rule, condition) in burn_rules() {
        write_head(text, "AlertPolicy", &rule.name)?;
        writeln!(text, "  conditions:\n    - {condition}")?;
        writeln!(text, "  notificationTargets:\n    - targetRef: {NOTIFIED}")?;
    }
    for rule in rules.iter().filter(|rule| burn_condition(objective, rule).is_none()) {
        writeln!(text, "# {} is left out: OpenSLO has burn rates alone", rule.name)?;
    }
    Ok(())
}

fn write_head(text: &mut String, kind: &str, name: &str) -> fmt::Result {
    writeln!(text, "---\napiVersion: {API_VERSION}\nkind: {kind}")?;
    writeln!(text, "metadata:\n  name: {}\nspec:", quoted(name))
}

/// The condition of a burn-rate rule.
fn burn_condition(objective: &Objective, rule: &Rule) -> Option<Value> {
    let Condition::Burn { factor, long, .. } = rule.condition else { return None };
    let name = rule.name.strip_prefix(&format!("{}-", objective.name)).unwrap_or(&rule.name);
    Some(json!({
        "kind": "AlertCondition",
        "metadata": { "name": name },
        "spec": {
            "severity": rule.severity.name(),
            "condition": {
                "kind": "burnrate", "op": "gt", "threshold": factor, "lookbackWindow": long.to_string(),
            },
        },
    }))
}
