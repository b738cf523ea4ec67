//! `stats` and `cost`: figures of events in groups.

use std::cmp::Ordering;
use std::io::{self, BufWriter, Write};

use llm_audit::reader::{Figures, GroupBy, Groups, Line};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::arguments::{FilterArgs, LogInput, parse_count};
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

/// By what groups are sorted.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Sort {
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
            Self::Failed => Some(one.failed.cmp(&other.failed)),
            Self::P50 => by_latency(0.5),
            Self::P99 => by_latency(0.99),
            Self::Max => by_latency(1.0),
            Self::Cost => Some(one.cost_usd.cmp(&other.cost_usd)),
        };
        order.unwrap_or(Ordering::Equal).then(one.events.cmp(&other.events))
    }
}

/// What both take.
#[derive(Clone, Debug, clap::Args)]
struct GroupArgs {
    #[command(flatten)]
    input: LogInput,
    /// What is largest in the first groups [default: events, for cost: cost; groups by day or hour are
    /// in the order of time]
    #[arg(long, value_name = "FIGURE")]
    sort: Option<Sort>,
    /// How many groups, the first ones; in the order of time the last ones
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = parse_count)]
    limit: usize,
    /// One JSON object with all groups
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

const STATS_AFTER_HELP: &str = "\
A tool.call is the beginning of a call and counts as an event; its tool.result has the latency.
Percentiles are to two digits, of the events that have a latency. Figures are of the events in the
log: what sampling left out is not in them. At most 1,000 groups are told apart. Cost and tokens
leave out request.* events, which may repeat the sum of what is below them.

Exit codes: 0 there are events, 2 bad input, 3 there are none.

Examples:
  llm-audit stats --by action --type tool.result --sort p99
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
    let view = View { is_counted: |_| true, sort: Sort::Events, table: stats_table };
    run_groups(&args.groups, &args.by, view)
}

pub(crate) fn run_cost(args: &CostArgs) -> Result<CommandExit, CommandFailure> {
    let view = View { is_counted: |line| line.is_paid(), sort: Sort::Cost, table: cost_table };
    run_groups(&args.groups, &args.by, view)
}

/// Which events are counted, which groups come first, and what is shown of them.
struct View {
    is_counted: fn(&Line<'_>) -> bool,
    sort: Sort,
    table: fn(&[String], &[Group<'_>], &Groups) -> Table,
}

type Group<'g> = (&'g [String], &'g Figures);

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
            if line.is_paid() && line.cost_usd().is_none() {
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
    complain_of_compound_values(by, &groups);
    let is_by_time = args.sort.is_none() && groups.by().any(|(by, _)| by.is_time());
    let mut sorted = sorted(&groups, args.sort.unwrap_or(view.sort));
    if is_by_time {
        sorted.sort_by_key(|(values, _)| time_of_group(&groups, values));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => print_json(by, &groups, &sorted, &unpriced, &mut out),
        false => {
            let at = sorted.len().saturating_sub(args.limit);
            let shown = match is_by_time {
                true => &sorted[at..],
                false => &sorted[..sorted.len() - at],
            };
            let table = (view.table)(by, shown, &groups);
            print_table(&table, sorted.len() - shown.len(), &unpriced, &mut out)
        }
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(CommandExit::Fine)
}

/// The groups, the largest first.
fn sorted(groups: &Groups, sort: Sort) -> Vec<Group<'_>> {
    let mut sorted: Vec<_> = groups.iter().collect();
    sorted.sort_by(|one, other| sort.compare(other.1, one.1).then(one.0.cmp(other.0)));
    sorted
}

/// Those of a group's values that are times.
fn time_of_group<'g>(groups: &Groups, values: &'g [String]) -> Vec<&'g String> {
    let values = groups.by().zip(values).filter(|((by, _), _)| by.is_time());
    values.map(|(_, value)| value).collect()
}

fn complain_of_compound_values(by: &[String], groups: &Groups) {
    for (name, (_, is_compound)) in by.iter().zip(groups.by()) {
        if is_compound {
            complain_on_stderr(format_args!(
                "values of {name} are objects or lists, which count as none; name a member of \
                 them, as in --by {name}.NAME"
            ));
        }
    }
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
            _ if figures.priced == 0 && figures.unpriced > 0 => "?".to_owned(),
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
        let models = sorted(unpriced, Sort::Events).into_iter().map(|(model, figures)| {
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
    sorted_groups: &[Group<'_>],
    unpriced: &Groups,
    out: &mut impl Write,
) -> io::Result<()> {
    let object = GroupsObject {
        by,
        groups: sorted_groups.iter().map(|(v, f)| FiguresObject::new(v, f)).collect(),
        other: FiguresObject::new(&[], &groups.other),
        total: FiguresObject::new(&[], &groups.total),
        unpriced_models: sorted(unpriced, Sort::Events)
            .into_iter()
            .map(|(model, figures)| UnpricedObject { model: &model[0], calls: figures.events })
            .collect(),
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
