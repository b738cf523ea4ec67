//! Objectives as sloth reads them.

use std::fmt::Write;

use super::{RuleTarget, quoted, service_name};
use crate::objectives::{Objective, Objectives, Rule, Target};

pub(super) fn specification(objectives: &Objectives, target: &RuleTarget) -> String {
    let mut text = String::from("version: prometheus/v1\n");
    // Nothing fails when a string is written to.
    let _ = writeln!(text, "service: {}\nslos:", quoted(service_name(target)));
    for objective in &objectives.objectives {
        let _ = match objective.target {
            Some(Target::Good(share)) => write_slo(&mut text, objective, share, target),
            _ => write_left_out(
                &mut text,
                &objective.name,
                "objectives of good and bad events alone",
            ),
        };
    }
    let standard = |rule: &&Rule| is_standard(rule, &objectives.objectives[rule.objective]);
    for rule in objectives.rules.iter().filter(|rule| !standard(rule)) {
        let _ = write_left_out(&mut text, &rule.name, "burn-rate rules of its own");
    }
    text
}

fn write_left_out(text: &mut String, name: &str, what: &str) -> std::fmt::Result {
    writeln!(text, "  # {name} is left out: sloth has {what}")
}

/// Whether a rule is one of those that sloth makes for an objective.
fn is_standard(rule: &Rule, objective: &Objective) -> bool {
    Rule::standard_burn_rules(objective, rule.objective).contains(rule)
}

fn write_slo(
    text: &mut String,
    objective: &Objective,
    share: f64,
    target: &RuleTarget,
) -> std::fmt::Result {
    let selector = target.selector.as_ref().map_or(String::new(), |labels| format!(",{labels}"));
    let query = |result: &str| {
        let slo = quoted(&objective.name);
        quoted(&format!(
            "sum(rate(llm_audit_slo_events_total{{slo={slo}{result}{selector}}}[{{{{.window}}}}]))"
        ))
    };
    writeln!(text, "  - name: {}", quoted(&objective.name))?;
    writeln!(text, "    objective: {}", (share * 1e11).round() / 1e9)?;
    writeln!(text, "    description: {}", quoted(&objective.description))?;
    writeln!(text, "    sli:\n      events:")?;
    writeln!(text, "        error_query: {}", query(",result=\"bad\""))?;
    writeln!(text, "        total_query: {}", query(""))?;
    writeln!(text, "    alerting:")?;
    writeln!(text, "      name: {}", quoted(&format!("{}-burn", objective.name)))?;
    for severity in ["page", "ticket"] {
        writeln!(text, "      {severity}_alert:\n        labels:\n          severity: {severity}")?;
    }
    Ok(())
}
