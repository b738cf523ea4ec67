//! `stats` and `cost`: figures of events in groups.

use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};

use llm_audit::Usd;
use llm_audit::reader::{Figures, GroupBy, Groups, Line};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::arguments::{FilterArgs, LogInput};
use crate::ui::{
    CommandExit, CommandFailure, Table, complain_on_stderr, escape_for_terminal,
    escape_json_for_terminal, format_count, format_dollars, format_duration, format_exact_cost,
    terminal_columns,
};

/// Show counts, failures, latencies and cost, by any field.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = STATS_AFTER_HELP)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    groups: GroupArgs,
    /// A field, or two with a comma between them: agent, action, status, model, data.user, day, hour
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', default_value = "event_type")]
    by: Vec<String>,
}

/// Show what the calls of models cost, by model or any field.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = COST_AFTER_HELP)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    groups: GroupArgs,
    /// A field, or two with a comma between them: model, agent, action, data.user, day, hour
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', default_value = "model")]
    by: Vec<String>,
}

/// What both take.
#[derive(Clone, Debug, clap::Args)]
struct GroupArgs {
    #[command(flatten)]
    input: LogInput,
    /// How many groups, the largest first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// One JSON object with all groups
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

const STATS_AFTER_HELP: &str = "\
Percentiles are to two digits, of the events that have a latency. Figures are of the events in the
log: what sampling left out is not in them. At most 1,000 groups are told apart. Cost and tokens
leave out request.* events, which may repeat the sum of what is below them.

Exit codes: 0 there are events, 2 bad input, 3 there are none.

Examples:
  llm-audit stats --by action --type tool
  llm-audit stats --by agent,status --since 1d
  llm-audit stats --by hour --json | jq '.groups[] | {hour: .values[0], p99_ms}'";

const COST_AFTER_HELP: &str = "\
Counts the events with tokens or a cost, except request.* events, which may repeat the sum of what is
below them. The cost is exact. A call of a model without a known price costs ?, never zero. Figures
are of the events in the log: what sampling left out is not in them.

Exit codes: 0 there are such events, 2 bad input, 3 there are none.

Examples:
  llm-audit cost --since 1d
  llm-audit cost --by data.user,model
  llm-audit cost --by day --json | jq '.groups[] | [.values[0], .cost_usd]'";

pub(crate) fn run_stats(args: &StatsArgs) -> Result<CommandExit, CommandFailure> {
    let view = View { is_counted: |_| true, weight: by_events, table: stats_table };
    run_groups(&args.groups, &args.by, view)
}

pub(crate) fn run_cost(args: &CostArgs) -> Result<CommandExit, CommandFailure> {
    let view = View { is_counted: is_paid, weight: by_cost, table: cost_table };
    run_groups(&args.groups, &args.by, view)
}

/// Whether the event says what a call took.
fn is_paid(line: &Line<'_>) -> bool {
    let has_tokens = line.tokens_input().is_some() || line.tokens_output().is_some();
    let is_request = line.event_type().is_some_and(|name| name.starts_with("request."));
    !is_request && (has_tokens || line.cost_usd().is_some())
}

/// Which events are counted, which groups come first, and what is shown of them.
struct View {
    is_counted: fn(&Line<'_>) -> bool,
    weight: Weight,
    table: fn(&[String], &[Group<'_>], &Groups) -> Table,
}

type Group<'g> = (&'g [String], &'g Figures);
type Weight = fn(&Figures) -> (Usd, u64);

fn by_events(figures: &Figures) -> (Usd, u64) {
    (Usd::default(), figures.events)
}

fn by_cost(figures: &Figures) -> (Usd, u64) {
    (figures.cost_usd, figures.events)
}

fn run_groups(args: &GroupArgs, by: &[String], view: View) -> Result<CommandExit, CommandFailure> {
    if by.len() > 2 {
        return Err(CommandFailure::new("--by takes one field, or two"));
    }
    let fields = by.iter().map(|field| field.parse::<GroupBy>()).collect::<Result<_, _>>();
    let mut groups = Groups::new(fields.map_err(|error| CommandFailure::new(error.to_string()))?);
    let mut unpriced = Groups::new(vec!["model".parse()?]);
    let events = args.input.for_each_event(&args.filter, |line| {
        if (view.is_counted)(line) {
            groups.add(line);
            if is_paid(line) && line.cost_usd().is_none() {
                unpriced.add(line);
            }
        }
    })?;
    if groups.total.events == 0 {
        if events > 0 {
            complain_on_stderr("no data: no event has tokens or a cost");
        }
        return Ok(CommandExit::NoData);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => print_json(by, &groups, view.weight, &unpriced, &mut out),
        false => {
            let sorted = sorted(&groups, view.weight);
            let shown = &sorted[..sorted.len().min(args.limit)];
            let table = (view.table)(by, shown, &groups);
            print_table(&table, sorted.len() - shown.len(), &unpriced, &mut out)
        }
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(CommandExit::Fine)
}

/// The groups, the heaviest first.
fn sorted(groups: &Groups, weight: Weight) -> Vec<Group<'_>> {
    let mut sorted: Vec<_> = groups.iter().collect();
    sorted.sort_by_key(|(values, figures)| (Reverse(weight(figures)), *values));
    sorted
}

fn stats_table(by: &[String], shown: &[Group<'_>], groups: &Groups) -> Table {
    let numbers = ["events", "failed", "p50", "p90", "p99", "max", "cost"];
    let row = |figures: &Figures| {
        let latency = |share| figures.latency_ms(share).map_or("-".to_owned(), format_duration);
        let counts = [figures.events.to_string(), figures.failed.to_string()];
        let latencies = [0.5, 0.9, 0.99, 1.0].map(latency);
        counts.into_iter().chain(latencies).chain([format_cost(figures)]).collect()
    };
    table_of(by, &numbers, shown, groups, row)
}

fn cost_table(by: &[String], shown: &[Group<'_>], groups: &Groups) -> Table {
    let numbers = ["calls", "tokens in", "tokens out", "cost", "share"];
    let all = groups.total.cost_usd.as_f64();
    let row = |figures: &Figures| {
        let share = match figures.cost_usd.as_f64() / all {
            share if share.is_finite() => format!("{:.1} %", share * 100.0),
            _ => "-".to_owned(),
        };
        let counts = [figures.events, figures.tokens_input, figures.tokens_output];
        let counts = counts.map(|count| count.to_string());
        counts.into_iter().chain([format_cost(figures), share]).collect()
    };
    table_of(by, &numbers, shown, groups, row)
}

/// What the priced events cost; `?` if there are only others.
fn format_cost(figures: &Figures) -> String {
    match (figures.priced, figures.unpriced) {
        (0, 0) => "-".to_owned(),
        (0, _) => "?".to_owned(),
        _ => format_dollars(figures.cost_usd),
    }
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

fn print_table(
    table: &Table,
    left_out: usize,
    unpriced: &Groups,
    out: &mut impl Write,
) -> io::Result<()> {
    for line in table.lines(terminal_columns().unwrap_or(usize::MAX)) {
        writeln!(out, "{line}")?;
    }
    if left_out > 0 {
        writeln!(out, "{}: -n shows them", format_count(left_out as u64, "more group"))?;
    }
    if unpriced.total.events > 0 {
        let models = sorted(unpriced, by_events).into_iter().map(|(model, figures)| {
            format!("{} ({})", escape_for_terminal(&model[0]), figures.events)
        });
        let models = models.collect::<Vec<_>>().join(", ");
        let calls = format_count(unpriced.total.events, "call");
        writeln!(out, "no price is known for {calls}, which are not in the cost: {models}")?;
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct GroupsObject<'g> {
    by: &'g [String],
    groups: Vec<FiguresObject<'g>>,
    /// Events past the groups that are told apart.
    other: FiguresObject<'g>,
    total: FiguresObject<'g>,
    /// The calls without a known price, by model.
    unpriced_models: Vec<UnpricedObject<'g>>,
}

#[derive(Serialize)]
struct FiguresObject<'g> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    values: &'g [String],
    events: u64,
    failed: u64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    tokens_input: u64,
    tokens_output: u64,
    cost_usd: Option<Box<RawValue>>,
    unpriced: u64,
}

#[derive(Serialize)]
struct UnpricedObject<'g> {
    model: &'g str,
    calls: u64,
}

impl<'g> FiguresObject<'g> {
    fn new(values: &'g [String], figures: &Figures) -> Self {
        let cost = (figures.priced > 0).then_some(figures.cost_usd);
        Self {
            values,
            events: figures.events,
            failed: figures.failed,
            p50_ms: figures.latency_ms(0.5),
            p90_ms: figures.latency_ms(0.9),
            p99_ms: figures.latency_ms(0.99),
            max_ms: figures.latency_ms(1.0),
            tokens_input: figures.tokens_input,
            tokens_output: figures.tokens_output,
            cost_usd: cost.and_then(format_exact_cost),
            unpriced: figures.unpriced,
        }
    }
}

fn print_json(
    by: &[String],
    groups: &Groups,
    weight: Weight,
    unpriced: &Groups,
    out: &mut impl Write,
) -> io::Result<()> {
    let object = GroupsObject {
        by,
        groups: sorted(groups, weight).into_iter().map(|(v, f)| FiguresObject::new(v, f)).collect(),
        other: FiguresObject::new(&[], &groups.other),
        total: FiguresObject::new(&[], &groups.total),
        unpriced_models: sorted(unpriced, by_events)
            .into_iter()
            .map(|(model, figures)| UnpricedObject { model: &model[0], calls: figures.events })
            .collect(),
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
