//! Rules as Prometheus reads them.

use std::fmt::Write;

use super::{RuleTarget, quoted};
use crate::objectives::{
    Clause, Condition, Indicator, Listed, Objective, Objectives, Payer, Rule, Selection,
};
use crate::show;
use crate::span::Span;

/// Days that the usual cost is taken from, and how many of them there must be.
const USUAL_DAYS: u32 = 7;
const USUAL_DAYS_MIN: u32 = 3;

pub(super) fn rules(objectives: &Objectives, target: &RuleTarget) -> String {
    let mut text = String::from("groups:\n  - name: llm-audit\n    interval: 1m\n    rules:\n");
    let queries = Queries { selector: target.selector.as_deref() };
    for rule in &objectives.rules {
        let objective = &objectives.objectives[rule.objective];
        // Nothing fails when a string is written to.
        let _ = match queries.rule(rule, objective) {
            Ok(query) => write_rule(&mut text, rule, objective, target, &query),
            Err(why) => writeln!(text, "      # {} is left out: {why}", rule.name),
        };
    }
    text
}

fn write_rule(
    text: &mut String,
    rule: &Rule,
    objective: &Objective,
    target: &RuleTarget,
    query: &str,
) -> std::fmt::Result {
    writeln!(text, "      - alert: {}", quoted(&rule.name))?;
    writeln!(text, "        expr: {}", quoted(query))?;
    writeln!(text, "        labels:")?;
    writeln!(text, "          objective: {}", quoted(&objective.name))?;
    if let Some(service) = &target.service {
        writeln!(text, "          service: {}", quoted(service))?;
    }
    writeln!(text, "          severity: {}", rule.severity.name())?;
    writeln!(text, "        annotations:")?;
    writeln!(text, "          summary: {}", quoted(&summary(rule, objective)))
}

/// What the rule promises.
pub(super) fn summary(rule: &Rule, objective: &Objective) -> String {
    let limit = match rule.condition {
        Condition::Above { limit, .. } if objective.indicator.has_good_and_bad() => {
            show::percent(limit)
        }
        Condition::Above { limit, .. } => show::number(limit),
        Condition::Burn { factor, long, short, .. } => {
            let budget = objective.budget().unwrap_or_default();
            return format!(
                "{} should be at most {}, which is {}, over {long} and {short}",
                objective.name,
                show::percent(factor * budget),
                show::burn_rate(factor, budget)
            );
        }
        Condition::Cost { limit, times_usual, .. } => {
            let times = times_usual.map(|times| format!("{} times the usual", show::number(times)));
            limit.map(show::dollars).into_iter().chain(times).collect::<Vec<_>>().join(" and ")
        }
        Condition::Silent { after } => after.to_string(),
    };
    format!("{} should be at most {limit} over {}", objective.name, rule.condition.window())
}

/// Why there is no query.
type NoQuery = &'static str;

struct Queries<'a> {
    selector: Option<&'a str>,
}

impl Queries<'_> {
    fn rule(&self, rule: &Rule, objective: &Objective) -> Result<String, NoQuery> {
        match rule.condition {
            Condition::Above { limit, window, min_bad } => {
                self.above(objective, limit, window, min_bad)
            }
            Condition::Burn { factor, long, short, min_bad } => {
                let limit = factor * objective.budget().unwrap_or_default();
                let of = |window| self.share_above(&objective.name, limit, window);
                let bad = self.slo_events(&objective.name, Some("bad"), long);
                Ok(format!("{} and {} and {bad} > {}", of(long), of(short), min_bad - 0.5))
            }
            Condition::Cost { limit, times_usual, window } => {
                let limit = limit.map(|limit| limit.to_string());
                self.cost(objective, limit, times_usual, window)
            }
            Condition::Silent { .. } => Err("Prometheus has no time of the last line"),
        }
    }

    /// The increase of a counter's series over a window. A minute after a counter appears is not seen.
    fn increase(&self, name: &str, labels: &str, window: Span) -> String {
        let all = [labels, self.selector.unwrap_or_default()];
        let all: Vec<_> = all.into_iter().filter(|labels| !labels.is_empty()).collect();
        format!("increase({name}{{{}}}[{window}])", all.join(","))
    }

    fn slo_events(&self, slo: &str, result: Option<&str>, window: Span) -> String {
        let slo = format!("slo={}", quoted(slo));
        let result = result.map_or(String::new(), |result| format!(",result={}", quoted(result)));
        let increase = self.increase("llm_audit_slo_events_total", &(slo + &result), window);
        format!("sum({increase})")
    }

    fn share_above(&self, slo: &str, limit: f64, window: Span) -> String {
        let bad = self.slo_events(slo, Some("bad"), window);
        format!("{bad} / {} > {limit}", self.slo_events(slo, None, window))
    }

    fn above(
        &self,
        objective: &Objective,
        limit: f64,
        window: Span,
        min_bad: f64,
    ) -> Result<String, NoQuery> {
        let name = &objective.name;
        let (value, bad) = match &objective.indicator {
            Indicator::Ratio { .. } | Indicator::Latency { .. } => {
                let bad = self.slo_events(name, Some("bad"), window);
                (format!("{bad} / {}", self.slo_events(name, None, window)), bad)
            }
            Indicator::Rate { of, per } => {
                let bad = self.events(of, window)?;
                (format!("{bad} / {}", self.events(per, window)?), bad)
            }
            Indicator::Lost => {
                let ends = r#"end=~"overwritten|io_lost""#;
                let lost = self.increase("llm_audit_recorder_events_total", ends, window);
                (format!("sum({lost})"), format!("sum({lost})"))
            }
            Indicator::Unpriced => {
                let kind = r#"kind="unpriced""#;
                let unpriced = self.increase("llm_audit_recorder_faults_total", kind, window);
                (format!("sum({unpriced})"), format!("sum({unpriced})"))
            }
            Indicator::Cost { .. } | Indicator::Silence => {
                return Err("it is about something else");
            }
        };
        // The increase of a counter is not always whole.
        let at_least = min_bad - 0.5;
        Ok(if value == bad {
            format!("{value} > {}", limit.max(at_least))
        } else {
            format!("{value} > {limit} and {bad} > {at_least}")
        })
    }

    /// Events of any type, of which there are the type and the status. An event that several clauses have counts
    /// once.
    fn events(&self, selection: &Selection, window: Span) -> Result<String, NoQuery> {
        if selection.is_negated {
            return Err("its events are all but some");
        }
        let clauses = selection.clauses.iter().map(|clause| {
            if !clause.has_only_type_and_status() {
                return Err("Prometheus has events by type and status alone");
            }
            let types = matcher("event_type", &clause.event_type, |name| {
                format!("{}(\\..*)?", escape_regex(name))
            });
            let statuses = matcher("status", &clause.status, |status| status.0.name().to_owned());
            let labels: Vec<_> = [types, statuses].into_iter().flatten().collect();
            Ok(self.increase("llm_audit_events_total", &labels.join(","), window))
        });
        let clauses: Vec<_> = clauses.collect::<Result<_, _>>()?;
        let all = || self.increase("llm_audit_events_total", "", window);
        Ok(format!("sum({})", if clauses.is_empty() { all() } else { clauses.join(" or ") }))
    }

    fn cost(
        &self,
        objective: &Objective,
        limit: Option<String>,
        times_usual: Option<f64>,
        window: Span,
    ) -> Result<String, NoQuery> {
        let Indicator::Cost { of, by } = &objective.indicator else { return Err("it has no cost") };
        let (sum, mut labels) =
            (if by.is_some() { "sum by (tenant) " } else { "sum" }, cost_labels(of)?);
        match by {
            Some(Payer::User) => return Err("Prometheus has no users"),
            Some(Payer::Tenant) => labels.push("tenant!=\"\"".to_owned()),
            None => {}
        }
        let cost = self.increase("llm_audit_cost_usd_total", &labels.join(","), window);
        let above = limit.map(|limit| format!("{sum}({cost}) > {limit}"));
        let unusual = times_usual.map(|times| {
            let days = (1..=USUAL_DAYS).map(|day| {
                let cost = cost.replace("])", &format!("] offset {day}d)"));
                format!("label_replace(sum({cost}), \"day\", \"{day}\", \"\", \"\")")
            });
            let days = days.collect::<Vec<_>>().join(" or ");
            format!("sum({cost}) > {times} * (quantile(0.5, {days}) > 0 and count({days}) >= {USUAL_DAYS_MIN})")
        });
        let either: Vec<_> = above.into_iter().chain(unusual).collect();
        Ok(either.join(" or "))
    }
}

/// Selects calls by what the counter of costs has.
fn cost_labels(of: &Selection) -> Result<Vec<String>, NoQuery> {
    let clause = match &of.clauses[..] {
        [] if !of.is_negated => return Ok(Vec::new()),
        [clause] if !of.is_negated => clause,
        _ => return Err("its calls are not selected by one clause"),
    };
    if !(clause.event_type.0.is_empty() && clause.status.0.is_empty() && clause.action.0.is_empty())
    {
        return Err("Prometheus has costs by agent, model and tenant alone");
    }
    let labels = [("agent", &clause.agent), ("model", &clause.model), ("tenant", &clause.tenant)];
    let labels = labels
        .into_iter()
        .filter_map(|(name, listed)| matcher(name, listed, |label| escape_regex(label)));
    Ok(labels.collect())
}

impl Clause {
    fn has_only_type_and_status(&self) -> bool {
        [&self.agent, &self.action, &self.model, &self.tenant]
            .iter()
            .all(|listed| listed.0.is_empty())
    }
}

/// A matcher of PromQL; `None` if everything matches.
fn matcher<T>(name: &str, listed: &Listed<T>, pattern: impl Fn(&T) -> String) -> Option<String> {
    let patterns: Vec<_> = listed.0.iter().map(pattern).collect();
    (!patterns.is_empty()).then(|| format!("{name}=~{}", quoted(&patterns.join("|"))))
}

fn escape_regex(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && c != '_' && c != '-' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
