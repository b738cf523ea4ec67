//! Figures of groups of events, as tables and as JSON.

use std::cmp::Ordering;

use llm_audit::reader::{Basis, Estimate, Figures, Groups};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ui::{
    Table, escape_for_terminal, format_count, format_dollars, format_duration, format_exact_cost,
    sparkline,
};

/// The columns that a table needs before it has room for what was when.
const COLUMNS_OF_TIMES: usize = 100;

/// By what groups are sorted.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Sort {
    Events,
    Failed,
    P50,
    P99,
    Max,
    Cost,
}

impl Sort {
    /// How one group is to another. Events decide between equal ones.
    fn compare(self, one: &Figures, other: &Figures) -> Ordering {
        // What has no latency is below what has one.
        let by_latency = |share| one.latency_ms(share).partial_cmp(&other.latency_ms(share));
        let order = match self {
            Self::Events => None,
            Self::Failed => one.estimate.failed.partial_cmp(&other.estimate.failed),
            Self::P50 => by_latency(0.5),
            Self::P99 => by_latency(0.99),
            Self::Max => by_latency(1.0),
            Self::Cost => one.estimate.cost_usd.partial_cmp(&other.estimate.cost_usd),
        };
        let by_events = || one.estimate.events.total_cmp(&other.estimate.events);
        order.unwrap_or(Ordering::Equal).then_with(by_events).then(one.events.cmp(&other.events))
    }
}

/// The values of a group, and its figures.
pub(super) type Group<'g> = (&'g [String], &'g Figures);

/// The groups, the largest first.
pub(super) fn sorted_groups(groups: &Groups, sort: Sort) -> Vec<Group<'_>> {
    let mut sorted: Vec<_> = groups.iter().collect();
    sorted.sort_by(|one, other| sort.compare(other.1, one.1).then(one.0.cmp(other.0)));
    sorted
}

/// A count, with `~` before it if it is an estimate.
pub(super) fn format_estimate(exact: u64, estimate: f64) -> String {
    match (estimate - exact as f64).abs() < 0.5 {
        true => exact.to_string(),
        false => format!("~{estimate:.0}"),
    }
}

/// What the priced events cost; `?` if there are only others.
pub(super) fn format_cost(figures: &Figures) -> String {
    let exact = figures.cost_usd.as_f64();
    match (figures.priced, figures.unpriced) {
        (0, 0) => "-".to_owned(),
        (0, _) => "?".to_owned(),
        _ if (figures.estimate.cost_usd - exact).abs() > exact.abs() * 1e-9 => {
            let estimate = figures.estimate.cost_usd.try_into().unwrap_or(figures.cost_usd);
            format!("~{}", format_dollars(estimate))
        }
        _ => format_dollars(figures.cost_usd),
    }
}

/// A part of all, in percent; `-` of nothing.
pub(super) fn format_share(part: f64, all: f64) -> String {
    let share = part / all;
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "-".to_owned() }
}

/// A table of counts, failures, latencies and cost. In a wide one there is also what was when.
pub(super) fn stats_table(
    by: &[String],
    shown: &[Group<'_>],
    groups: &Groups,
    columns: usize,
) -> Table {
    let has_times = columns >= COLUMNS_OF_TIMES;
    let range = groups.total.times.range();
    let row = |figures: &Figures| {
        let latency = |share| figures.latency_ms(share).map_or("-".to_owned(), format_duration);
        let estimate = figures.estimate;
        let mut cells = vec![
            format_estimate(figures.events, estimate.events),
            format_estimate(figures.failed, estimate.failed),
        ];
        cells.extend([0.5, 0.9, 0.99, 1.0].map(latency));
        cells.push(format_cost(figures));
        let times = range.filter(|_| has_times);
        cells.extend(times.map(|range| sparkline(&figures.times.parts::<12>(range))));
        cells
    };
    let mut numbers = vec!["events", "failed", "p50", "p90", "p99", "max", "cost"];
    numbers.extend(range.filter(|_| has_times).map(|_| "over time"));
    table_of(by, &numbers, shown, groups, row)
}

/// A table of calls, tokens and cost.
pub(super) fn cost_table(by: &[String], shown: &[Group<'_>], groups: &Groups, _: usize) -> Table {
    let numbers = ["calls", "tokens in", "cached", "tokens out", "cost", "share"];
    let all = groups.total.estimate.cost_usd;
    let row = |figures: &Figures| {
        let share = match figures.priced == 0 && figures.unpriced > 0 {
            true => "?".to_owned(),
            false => format_share(figures.estimate.cost_usd, all),
        };
        let estimate = figures.estimate;
        vec![
            format_estimate(figures.events, estimate.events),
            format_estimate(figures.tokens_input, estimate.tokens_input),
            format_estimate(figures.tokens_cached, estimate.tokens_cached),
            format_estimate(figures.tokens_output, estimate.tokens_output),
            format_cost(figures),
            share,
        ]
    };
    table_of(by, &numbers, shown, groups, row)
}

fn table_of(
    by: &[String],
    numbers: &[&str],
    shown: &[Group<'_>],
    groups: &Groups,
    row: impl Fn(&Figures) -> Vec<String>,
) -> Table {
    let header = by.iter().map(String::as_str).chain(numbers.iter().copied());
    let mut table = Table::new(by.len(), header.map(str::to_owned).collect());
    let named = |name: &str, figures: &Figures| {
        let names = [name].into_iter().chain(vec![""; by.len() - 1]).map(str::to_owned);
        names.chain(row(figures)).collect()
    };
    for (values, figures) in shown {
        let values = values.iter().map(|value| escape_for_terminal(value).into_owned());
        table.push(values.chain(row(figures)).collect());
    }
    if groups.other.events > 0 {
        table.push(named("other groups", &groups.other));
    }
    table.push(named("all", &groups.total));
    table
}

/// The models with calls without a cost, those with the most calls first.
fn unpriced_models(models: &Groups) -> impl Iterator<Item = Group<'_>> {
    let mut sorted = sorted_groups(models, Sort::Events);
    sorted.retain(|(_, figures)| figures.unpriced > 0);
    sorted.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.unpriced));
    sorted.into_iter()
}

/// The calls without a cost, by model, or nothing.
pub(super) fn unpriced_note(models: &Groups) -> Option<String> {
    let named = unpriced_models(models).map(|(model, figures)| {
        format!("{} ({})", escape_for_terminal(&model[0]), figures.unpriced)
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let unpriced = models.total.unpriced;
    let calls = format_count(unpriced, "call");
    let are = if unpriced == 1 { "is" } else { "are" };
    (unpriced > 0)
        .then(|| format!("no cost is known for {calls}, which {are} not in the sum: {named}"))
}

/// What the figures come from, and what may be missing.
pub(super) fn basis_notes(figures: &Figures, basis: &Basis) -> Vec<String> {
    let counted = match (basis.counted, figures.is_estimate()) {
        (0, false) => None,
        (0, true) => Some(format!(
            "~ estimated from the {} of about {:.0} events that sampling kept, by the rates in audit.start",
            figures.events, figures.estimate.events
        )),
        (_, false) => Some("all events, counted before sampling".to_owned()),
        (_, true) if basis.estimated_instances > 0 => {
            let time = format_duration(basis.estimated_us as f64 / 1e3);
            let of = format_count(basis.estimated_instances, "logger");
            Some(format!("counted before sampling; ~ the last {time} of {of} are estimated"))
        }
        (counted, true) => {
            Some(format!("{counted} events counted before sampling; ~ the others are estimated"))
        }
    };
    let others = (basis.others > 0).then(|| {
        format!(
            "{} of the period count under other, because there are too many labels",
            format_count(basis.others, "event")
        )
    });
    let unreadable = (basis.unreadable > 0).then(|| {
        let totals = format_count(basis.unreadable, "audit.totals line");
        format!("{totals} cannot be read, so what they contain is estimated")
    });
    let missing = (basis.missing > 0).then(|| {
        let lines = format_count(basis.missing, "line");
        format!("{lines} of the log itself are missing; events in missing totals are not counted")
    });
    [counted, others, unreadable, missing].into_iter().flatten().collect()
}

/// The figures of a group, for `--json`.
#[derive(Serialize)]
pub(super) struct FiguresObject<'g> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    values: &'g [String],
    events: u64,
    failed: u64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    tokens_input: u64,
    tokens_cached: u64,
    tokens_output: u64,
    cost_usd: Option<Box<RawValue>>,
    unpriced: u64,
    /// Of a sampled log: sums by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
}

impl<'g> FiguresObject<'g> {
    pub(super) fn new(values: &'g [String], figures: &Figures) -> Self {
        let cost = (figures.priced > 0).then_some(figures.cost_usd);
        let estimate = figures.is_estimate().then_some(figures.estimate);
        Self {
            values,
            events: figures.events,
            failed: figures.failed,
            p50_ms: figures.latency_ms(0.5),
            p90_ms: figures.latency_ms(0.9),
            p99_ms: figures.latency_ms(0.99),
            max_ms: figures.latency_ms(1.0),
            tokens_input: figures.tokens_input,
            tokens_cached: figures.tokens_cached,
            tokens_output: figures.tokens_output,
            cost_usd: cost.and_then(format_exact_cost),
            unpriced: figures.unpriced,
            estimate,
        }
    }

    /// Of each group.
    pub(super) fn of_groups(groups: &[Group<'g>]) -> Vec<Self> {
        groups.iter().map(|(values, figures)| Self::new(values, figures)).collect()
    }
}

/// The calls of a model without a known price, for `--json`.
#[derive(Serialize)]
pub(super) struct UnpricedObject<'g> {
    model: &'g str,
    calls: u64,
}

impl<'g> UnpricedObject<'g> {
    pub(super) fn of_groups(models: &'g Groups) -> Vec<Self> {
        let models = unpriced_models(models);
        models.map(|(model, figures)| Self { model: &model[0], calls: figures.unpriced }).collect()
    }
}
