//! OpenSLO v1 (<https://github.com/OpenSLO/OpenSLO>), in YAML.

mod documents;

use llm_audit_log::Usd;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

use super::declared::{At, Declared, DeclaredRule, Fault, Place};
use super::rule::BURN_BAD_MIN;
use super::{Condition, Indicator, Objective, Objectives, Target};
use crate::span::Span;
use documents::{
    ConditionEntry, ConditionSpec, Document, Measure, Measured, PolicyEntry, PolicySpec, SliSpec,
    SloObjective, SloSpec, Spec, TimeWindow,
};

/// The version that is read.
pub(crate) const API_VERSION: &str = "openslo/v1";
/// The type of metric sources that is read.
pub(crate) const SOURCE_TYPE: &str = "llm-audit";
/// How many times longer the long window of a burn-rate rule is, as in the SRE workbook.
const SHORT_WINDOW_PARTS: i64 = 12;

pub(super) fn read(text: &str) -> Result<Objectives, Fault> {
    let documents: Vec<Document> = serde_saphyr::from_multiple(text).map_err(|error| {
        let what = error.without_snippet().to_string();
        let Some(at) = error.location() else { return Fault { place: None, what } };
        let (line, column) = (at.line(), at.column());
        // The place comes before the message.
        let what = what.replace(&format!(" at line {line}, column {column}"), "");
        Fault { place: Some(Place { line, column }), what }
    })?;
    let mut known = Known::default();
    let mut slos = Vec::new();
    for document in documents {
        let name = document.metadata.name;
        match document.spec {
            Spec::Slo(spec) => slos.push((at(name), spec)),
            Spec::Sli(spec) => drop(known.indicators.insert(name.value, spec)),
            Spec::AlertPolicy(spec) => drop(known.policies.insert(name.value, spec)),
            Spec::AlertCondition(spec) => drop(known.conditions.insert(name.value, spec)),
            Spec::Other => {}
        }
    }
    let mut declared = Declared::default();
    for (name, slo) in slos {
        known.declare(name, slo, &mut declared)?;
    }
    declared.resolve()
}

fn at<T>(spanned: Spanned<T>) -> At<T> {
    let location = spanned.referenced;
    let place = Place { line: location.line(), column: location.column() };
    At { value: spanned.value, place }
}

/// What objectives refer to.
#[derive(Default)]
struct Known {
    indicators: BTreeMap<String, SliSpec>,
    policies: BTreeMap<String, PolicySpec>,
    conditions: BTreeMap<String, ConditionSpec>,
}

impl Known {
    /// Adds an SLO and the rules of its policies.
    fn declare(
        &self,
        name: At<String>,
        slo: Box<SloSpec>,
        declared: &mut Declared,
    ) -> Result<(), Fault> {
        let SloSpec { description, indicator, indicator_ref, time_window, .. } = *slo;
        check_accepted(slo.budgeting_method, &["Occurrences"])?;
        let sli = match (indicator, indicator_ref.map(at)) {
            (Some(inline), None) => inline.spec,
            (None, Some(named)) => find(&self.indicators, &named, "SLI")?,
            _ => return Err(name.fault("accepted: either `indicator` or `indicatorRef`")),
        };
        let objectives = at(slo.objectives);
        let [objective] = &objectives.value[..] else {
            let count = objectives.value.len();
            return Err(objectives.fault(format!("{count} objectives; accepted: one for each SLO")));
        };
        let (indicator, target) = objective.clone().read(sli, &name)?;
        let [TimeWindow { duration, is_rolling }] =
            time_window.try_into().map_err(|windows: Vec<_>| {
                name.fault(format!("{} time windows; accepted: one", windows.len()))
            })?;
        if let Some(calendar) = is_rolling.map(at).filter(|is_rolling| !is_rolling.value) {
            return Err(calendar.fault("false is not accepted; accepted: isRolling: true"));
        }
        let place = declared.objectives.len();
        match slo.alert_policies {
            Some(policies) => self.declare_rules(&name, policies, declared)?,
            None => declared.standard_burn_rules.push(place),
        }
        let value = Objective {
            name: name.value.clone(),
            description,
            indicator,
            target: Some(target),
            window: duration,
        };
        declared.objectives.push(At { value, place: name.place });
        Ok(())
    }

    fn declare_rules(
        &self,
        objective: &At<String>,
        policies: Vec<PolicyEntry>,
        declared: &mut Declared,
    ) -> Result<(), Fault> {
        for policy in policies {
            let policy = match (policy.alert_policy_ref.map(at), policy.spec) {
                (Some(named), None) => find(&self.policies, &named, "AlertPolicy")?,
                (None, Some(spec)) => spec,
                _ => {
                    return Err(
                        objective.fault("accepted: either `alertPolicyRef` or an AlertPolicy")
                    );
                }
            };
            for condition in policy.conditions {
                declared.rules.push(self.declare_rule(objective, condition)?);
            }
        }
        Ok(())
    }

    fn declare_rule(
        &self,
        objective: &At<String>,
        entry: ConditionEntry,
    ) -> Result<DeclaredRule, Fault> {
        let named = entry.condition_ref.or(entry.metadata.map(|metadata| metadata.name)).map(at);
        let Some(named) = named else {
            return Err(objective.fault("an alert condition needs `conditionRef` or a name"));
        };
        let spec = match entry.spec {
            Some(spec) => spec,
            None => find(&self.conditions, &named, "AlertCondition")?,
        };
        let condition = spec.condition;
        check_accepted(Some(condition.kind), &["burnrate"])?;
        let (factor, long) = (at(condition.threshold), at(condition.lookback_window));
        if !(factor.value > 0.0 && factor.value.is_finite()) {
            return Err(factor
                .fault(format!("{} is not accepted; accepted: a number above 0", factor.value)));
        }
        let short = Span::of_minutes(long.value.minutes() / SHORT_WINDOW_PARTS);
        if short.minutes() < 1 {
            return Err(long.fault(format!(
                "{} is too short; accepted: from {SHORT_WINDOW_PARTS}m",
                long.value
            )));
        }
        let name = format!("{}-{}", objective.value, named.value);
        Ok(DeclaredRule {
            name: At { value: name, place: factor.place },
            objective: objective.clone(),
            condition: Condition::Burn {
                factor: factor.value,
                long: long.value,
                short,
                min_bad: BURN_BAD_MIN,
            },
            severity: spec.severity,
        })
    }
}

fn find<S: Clone>(known: &BTreeMap<String, S>, name: &At<String>, kind: &str) -> Result<S, Fault> {
    let found = known.get(&name.value).cloned();
    found.ok_or_else(|| name.fault(format!("there is no {kind} \"{}\" in the file", name.value)))
}

fn check_accepted(given: Option<Spanned<String>>, accepted: &[&str]) -> Result<(), Fault> {
    match given.map(at) {
        Some(given) if !accepted.contains(&&*given.value) => {
            let accepted = accepted.join(", ");
            Err(given.fault(format!("\"{}\" is not accepted; accepted: {accepted}", given.value)))
        }
        _ => Ok(()),
    }
}

impl SloObjective {
    /// Reads the indicator and the target.
    fn read(self, sli: SliSpec, name: &At<String>) -> Result<(Indicator, Target), Fault> {
        match (sli.ratio_metric, sli.threshold_metric) {
            (Some(ratio), None) => {
                let of = ratio.total.metric_source.spec;
                let bad = ratio.bad.map(|metric| metric.metric_source.spec);
                let good = ratio.good.map(|metric| metric.metric_source.spec.negate());
                let bad = bad
                    .or(good)
                    .ok_or_else(|| name.fault("`ratioMetric` needs `bad` or `good`"))?;
                Ok((Indicator::Ratio { of, bad }, self.share(name)?))
            }
            (None, Some(threshold)) => self.read_threshold(threshold.metric_source.spec, name),
            _ => Err(name.fault("accepted: either `ratioMetric` or `thresholdMetric`")),
        }
    }

    fn read_threshold(
        self,
        measured: Measured,
        name: &At<String>,
    ) -> Result<(Indicator, Target), Fault> {
        check_accepted(self.op.clone(), &["lte"])?;
        let Some(value) = self.value.clone().map(at) else {
            return Err(name.fault("`thresholdMetric` needs `value` in `objectives`"));
        };
        if !(value.value > 0.0 && value.value.is_finite()) {
            return Err(
                value.fault(format!("{} is not accepted; accepted: a number above 0", value.value))
            );
        }
        let Measured { measure, of, by } = measured;
        match measure {
            Measure::LatencyMs => {
                let target = self.share(name)?;
                Ok((Indicator::Latency { of, threshold_ms: value.value }, target))
            }
            Measure::CostUsd => {
                let max = Usd::try_from(value.value).unwrap_or_default();
                Ok((Indicator::Cost { of, by }, Target::Cost(max)))
            }
        }
    }

    fn share(self, name: &At<String>) -> Result<Target, Fault> {
        let (given, unit) = match (self.target, self.target_percent) {
            (Some(target), None) => (at(target), 1.0),
            (None, Some(percent)) => (at(percent), 100.0),
            _ => return Err(name.fault("`objectives` needs either `target` or `targetPercent`")),
        };
        let share = given.value / unit;
        match share > 0.0 && share < 1.0 {
            true => Ok(Target::Good(share)),
            false => Err(given.fault(format!(
                "{} is not accepted; accepted: above 0 and below {unit}",
                given.value
            ))),
        }
    }
}
