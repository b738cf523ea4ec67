//! `stats` and `cost`: figures of events in groups.

use std::io::{self, BufWriter, Write};

use std::path::{Path, PathBuf};

use llm_audit::Prices;
use llm_audit::reader::{GroupBy, Groups, Line};
use serde::Serialize;

use super::figures::{
    FiguresObject, Group, Sort, UnpricedObject, cost_table, estimate_note, sorted_groups,
    stats_table, unpriced_note,
};
use crate::arguments::{FilterArgs, LogInput, parse_count};
use crate::ui::{
    CommandExit, CommandFailure, Table, complain_on_stderr, escape_json_for_terminal, format_count,
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
    /// Price the calls again by a file of prices in LiteLLM's layout, or by those of this version if
    /// FILE is built-in
    #[arg(long, value_name = "FILE")]
    reprice: Option<PathBuf>,
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
Percentiles are to two digits, of the events that have a latency. At most 1,000 groups are told
apart. Cost and tokens leave out request.* events, which may repeat the sum of what is below them.
A ~ is before what is estimated: sampling left events out, and those that are left count for them, by
the rates in audit.start. With --trace nothing is estimated.

Exit codes: 0 there are events, 2 bad input, 3 there are none.

Examples:
  llm-audit stats --by action --type tool.result --sort p99
  llm-audit stats --by agent,status --since 1d
  llm-audit stats --by hour --json | jq '.groups[] | {hour: .values[0], p99_ms}'";

const COST_AFTER_HELP: &str = "\
Counts the events with tokens or a cost, except request.* events, which may repeat the sum of what is
below them. The cost is exact. A call of a model without a known price costs ?, never zero. A ~ is
before what is estimated: sampling left events out, and those that are left count for them.

Exit codes: 0 there are such events, 2 bad input, 3 there are none.

Examples:
  llm-audit cost --since 1d
  llm-audit cost --by data.user,model
  llm-audit cost --reprice new-prices.json
  llm-audit cost --by day --json | jq '.groups[] | [.values[0], .cost_usd]'";

pub(crate) fn run_stats(args: &StatsArgs) -> Result<CommandExit, CommandFailure> {
    let (sort, table, prices) = (Sort::Events, stats_table, None);
    let view = View { is_counted: |_| true, sort, table, prices };
    run_groups(&args.groups, &args.by, view)
}

pub(crate) fn run_cost(args: &CostArgs) -> Result<CommandExit, CommandFailure> {
    let prices = match &args.reprice {
        Some(file) if file == Path::new("built-in") => Some(Prices::built_in()),
        Some(file) => Some(Prices::open(file)?),
        None => None,
    };
    let (sort, table) = (Sort::Cost, cost_table);
    let view = View { is_counted: |line| line.is_paid(), sort, table, prices };
    run_groups(&args.groups, &args.by, view)
}

/// Which events are counted, which groups come first, and what is shown of them.
struct View {
    is_counted: fn(&Line<'_>) -> bool,
    sort: Sort,
    table: fn(&[String], &[Group<'_>], &Groups, usize) -> Table,
    /// By which calls are priced again.
    prices: Option<Prices>,
}

fn run_groups(args: &GroupArgs, by: &[String], view: View) -> Result<CommandExit, CommandFailure> {
    if by.len() > 2 {
        return Err(CommandFailure::new("--by takes one field, or two"));
    }
    let fields = by.iter().map(|field| field.parse::<GroupBy>()).collect::<Result<_, _>>();
    let mut groups = Groups::new(fields.map_err(|error| CommandFailure::new(error.to_string()))?);
    let mut unpriced = Groups::new(vec!["model".parse()?]);
    let events = args.input.for_each_event(&args.filter, |line, weight| {
        if !(view.is_counted)(line) {
            return;
        }
        let prices = view.prices.as_ref().filter(|_| line.is_paid());
        let cost = prices.map_or_else(|| line.cost_usd(), |prices| prices.cost_of(line));
        groups.add_priced(line, weight, cost);
        if line.is_paid() && cost.is_none() {
            unpriced.add_priced(line, weight, cost);
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
    let mut sorted = sorted_groups(&groups, args.sort.unwrap_or(view.sort));
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
            let columns = terminal_columns().unwrap_or(usize::MAX);
            let table = (view.table)(by, shown, &groups, columns);
            print_table(&table, sorted.len() - shown.len(), &groups, &unpriced, &mut out)
        }
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(CommandExit::Fine)
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

fn print_table(
    table: &Table,
    left_out: usize,
    groups: &Groups,
    unpriced: &Groups,
    out: &mut impl Write,
) -> io::Result<()> {
    for line in table.lines(terminal_columns().unwrap_or(usize::MAX)) {
        writeln!(out, "{line}")?;
    }
    if left_out > 0 {
        writeln!(out, "{}: -n shows them", format_count(left_out as u64, "more group"))?;
    }
    for note in [unpriced_note(unpriced), estimate_note(&groups.total)].into_iter().flatten() {
        writeln!(out, "{note}")?;
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

fn print_json(
    by: &[String],
    groups: &Groups,
    sorted: &[Group<'_>],
    unpriced: &Groups,
    out: &mut impl Write,
) -> io::Result<()> {
    let object = GroupsObject {
        by,
        groups: FiguresObject::of_groups(sorted),
        other: FiguresObject::new(&[], &groups.other),
        total: FiguresObject::new(&[], &groups.total),
        unpriced_models: UnpricedObject::of_groups(unpriced),
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
