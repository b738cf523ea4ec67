//! `stats` and `cost`: figures of events in groups.

use std::convert::Infallible;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use llm_audit::Prices;
use llm_audit::reader::{Basis, Counting, Follow, GroupBy, Groups, Line, Sums, Writers};
use llm_audit_log::schema::MetricsRow;
use serde::Serialize;

use super::figures::{
    FiguresObject, Group, Sort, UnpricedObject, basis_notes, cost_table, sorted_groups,
    stats_table, unpriced_note,
};
use super::user_costs::UserCosts;
use crate::arguments::{EventsRead, FilterArgs, Followed, LogInput, parse_count};
use crate::ui::{
    CommandExit, CommandFailure, Table, complain_on_stderr, escape_json_for_terminal, format_count,
    terminal_columns, terminal_rows, wrap_to_terminal,
};

/// Show counts, failures, latencies and cost, by any field.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = STATS_AFTER_HELP)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    groups: GroupArgs,
    /// A field, or two with a comma between them: agent, action, status, model, tenant, user,
    /// conversation, day, hour
    #[arg(long, value_name = "FIELDS", value_parser = parse_fields, default_value = "event_type")]
    by: Fields,
    /// Show the figures again whenever there are new events, until Ctrl-C
    #[arg(long, conflicts_with_all = ["json", "files"])]
    live: bool,
}

/// Show what the calls of models cost, by model or any field.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = COST_AFTER_HELP)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    groups: GroupArgs,
    /// A field, or two with a comma between them: model, agent, action, tenant, user, day, hour
    #[arg(long, value_name = "FIELDS", value_parser = parse_fields, default_value = "model")]
    by: Fields,
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

/// How long `--live` waits before it looks for new events.
const POLL: Duration = Duration::from_millis(500);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The name of the prices of this version.
const BUILT_IN: &str = "built-in";

/// The value of a group whose events have none.
const NO_VALUE: &str = "-";

/// The fields of `--by`.
#[derive(Clone, Debug)]
struct Fields(Vec<String>);

/// Fields with commas between them. A comma in quotes belongs to a name: `data."a,b"`.
fn parse_fields(text: &str) -> Result<Fields, Infallible> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    for c in text.chars() {
        is_quoted ^= c == '"';
        match fields.last_mut() {
            Some(field) if c != ',' || is_quoted => field.push(c),
            _ => fields.push(String::new()),
        }
    }
    Ok(Fields(fields))
}

const STATS_AFTER_HELP: &str = "\
A tool.call is the beginning of a call and counts as an event; its tool.result has the latency.
Percentiles are to two digits, of the events that have a latency. At most 1,000 groups are told
apart. Cost and tokens are those of llm.invoke and llm.error alone, because others repeat them.
The figures are those of all events, by the audit.totals lines. If these do not answer the question,
a ~ is before what is estimated: sampling left events out, and those that are left count for them, by
the rates in audit.start. With --trace nothing is estimated.

Exit codes: 0 there are events, 1 there are and a file cannot be read to its end, 2 bad input, 3 there
are none.

Examples:
  llm-audit stats --by action --type tool --sort p99
  llm-audit stats --by agent,status --since 1d
  llm-audit stats --by action --live
  llm-audit stats --by hour --json | jq '.groups[] | {hour: .values[0], p99_ms}'";

const COST_AFTER_HELP: &str = "\
Counts the llm.invoke and llm.error events with tokens or a cost. The cost is exact, and is that of all
events, by the audit.totals lines. A call of a model without a known price costs ?, never zero. If the
totals do not answer the question, as with --reprice, a ~ is before what is estimated: sampling left
events out, and those that are left count for them. Totals name the 256 users of a minute who spent
most. With --by user and a sampled log these are shown, and what more a user may have spent. Of more
than 1,000 users the cost alone is shown.

Exit codes: 0 there are such events, 1 there are and a file cannot be read to its end, 2 bad input, 3
there are none.

Examples:
  llm-audit cost --since 1d
  llm-audit cost --by data.user,model
  llm-audit cost --reprice new-prices.json
  llm-audit cost --by day --json | jq '.groups[] | [.values[0], .cost_usd]'";

pub(crate) fn run_stats(args: &StatsArgs) -> Result<CommandExit, CommandFailure> {
    let (sort, table, prices) = (Sort::Events, stats_table, None);
    let view = View { is_counted: |_| true, is_row_counted: |_| true, sort, table, prices };
    match args.live {
        true => run_live(&args.groups, &args.by.0, view),
        false => run_groups(&args.groups, &args.by.0, view, None),
    }
}

pub(crate) fn run_cost(args: &CostArgs) -> Result<CommandExit, CommandFailure> {
    let prices = match &args.reprice {
        Some(file) if file == Path::new(BUILT_IN) => Some(Prices::built_in()),
        Some(file) => Some(Prices::open(file)?),
        None => None,
    };
    let (sort, table) = (Sort::Cost, cost_table);
    let is_row_counted = MetricsRow::is_paid;
    let view = View { is_counted: |line| line.is_paid(), is_row_counted, sort, table, prices };
    let of_file = args.reprice.as_deref().filter(|file| *file != Path::new(BUILT_IN));
    let is_by_user = matches!(&args.by.0[..], [by] if ["user", "data.user"].contains(&&**by));
    if is_by_user && view.prices.is_none() && args.groups.filter.is_of_time() {
        return run_users(&args.groups, &args.by.0, view);
    }
    run_groups(&args.groups, &args.by.0, view, of_file)
}

/// Which events are counted, which groups come first, and what is shown of them.
struct View {
    is_counted: fn(&Line<'_>) -> bool,
    is_row_counted: fn(&MetricsRow) -> bool,
    sort: Sort,
    table: fn(&[String], &[Group<'_>], &Groups, usize) -> Table,
    /// By which calls are priced again.
    prices: Option<Prices>,
}

/// What events add up to.
#[derive(Clone)]
struct GroupSums {
    is_row_counted: fn(&MetricsRow) -> bool,
    groups: Groups,
    /// Calls without a known price, by model.
    unpriced: Groups,
    /// Calls whose price is one of the given file's.
    priced_by_file: u64,
}

impl Sums for GroupSums {
    fn add_row(&mut self, row: &MetricsRow, times: Range<i64>) {
        if !(self.is_row_counted)(row) {
            return;
        }
        self.groups.add_row(row, times.clone());
        if row.is_paid() && row.priced < row.events {
            self.unpriced.add_row(row, times.clone());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.groups.merge(&other.groups);
        self.unpriced.merge(&other.unpriced);
        self.priced_by_file += other.priced_by_file;
    }
}

/// What is asked for, and how it is shown.
struct Question<'a> {
    args: &'a GroupArgs,
    by: &'a [String],
    view: View,
}

/// Shows the figures. `price_file` is the file by which calls are priced again.
fn run_groups(
    args: &GroupArgs,
    by: &[String],
    view: View,
    price_file: Option<&Path>,
) -> Result<CommandExit, CommandFailure> {
    let question = Question { args, by, view };
    let mut counting = question.counting()?;
    let read = args.input.count(&args.filter, &mut counting, |counting, line, weight| {
        weight.into_iter().for_each(|weight| question.add(counting, line, weight));
    })?;
    let (sums, basis) = counting.finish();
    question.answer(&sums, &basis, read, price_file)
}

/// Shows the cost of each user: by the lines if they are all there, otherwise by the users of totals. Of more users than
/// there are groups, it shows the cost alone.
fn run_users(args: &GroupArgs, by: &[String], view: View) -> Result<CommandExit, CommandFailure> {
    let question = Question { args, by, view };
    let mut lines = question.counting()?;
    let mut users = Counting::new(UserCosts::default(), &args.filter.to_filter(), &[]);
    let mut users_of_lines = UserCosts::default();
    let read = args.input.count(&args.filter, &mut users, |users, line, weight| {
        if let Some(weight) = weight {
            users.add(line, weight, |costs| costs.add(line, weight));
            users_of_lines.add(line, weight);
            question.add(&mut lines, line, weight);
        }
    })?;
    let (mut shown, (sums, of_lines)) = (users.finish(), lines.finish());
    let has_all_lines = shown.0.total.events <= sums.groups.total.events;
    if has_all_lines && sums.groups.other.events == 0 {
        return question.answer(&sums, &of_lines, read, None);
    }
    if has_all_lines {
        // So many users have no groups of their own.
        shown = (users_of_lines, of_lines);
    }
    let (costs, basis) = shown;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => costs.print_json(by, &basis, &mut out),
        false => costs.print_table(by, &basis, args.limit, &mut out),
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(read.exit)
}

/// Shows the figures again whenever there are new events, until the process is ended.
fn run_live(args: &GroupArgs, by: &[String], view: View) -> Result<CommandExit, CommandFailure> {
    let question = Question { args, by, view };
    let mut counting = question.counting()?;
    let (filter, mut writers) = (args.filter.to_filter(), Writers::default());
    let dir = args.input.dir.path();
    if !dir.exists() {
        let dir = dir.display();
        complain_on_stderr(format_args!("there is no folder {dir} yet; it is waited for"));
    }
    let mut follow = Followed::new(Follow::new(dir));
    let is_terminal = io::stdout().is_terminal();
    // Nothing was shown yet, not even that there is nothing.
    let mut shown = None;
    loop {
        let mut is_new = shown.is_none();
        while let Some(mut entry) = follow.next_line() {
            is_new = true;
            // A line that cannot be read is for verify.
            let Ok(line) = entry.parse() else { continue };
            writers.note(&line);
            if !writers.is_of(&line, args.input.service.as_deref()) {
                continue;
            }
            if line.is_own() {
                counting.note(&line);
            }
            let may_be_meant = !line.is_own() || args.filter.names_type();
            if may_be_meant && filter.matches(&line) {
                let is_whole = line.is_own() || filter.trace.is_some();
                let weight = if is_whole { 1.0 } else { writers.weight_of(&line) };
                question.add(&mut counting, &line, weight);
            }
        }
        let figures = is_new.then(|| counting.clone().finish());
        if let Some((sums, basis)) = figures
            && let events = sums.groups.total.estimate.events
            && shown.replace(events) != Some(events)
        {
            let mut out = BufWriter::new(io::stdout().lock());
            let clear = if is_terminal { CLEAR } else { "" };
            let limit = terminal_rows().map_or(args.limit, |rows| args.limit.min(rows));
            let written = write!(out, "{clear}")
                .and_then(|()| question.print(&sums, &basis, limit, &mut out));
            written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
        }
        thread::sleep(POLL);
    }
}

impl Question<'_> {
    fn counting(&self) -> Result<Counting<GroupSums>, CommandFailure> {
        if self.by.len() > 2 {
            return Err(CommandFailure::new("--by takes one field, or two"));
        }
        let fields = self.by.iter().map(|field| field.parse::<GroupBy>());
        let fields = fields.collect::<Result<Vec<_>, _>>();
        let fields = fields.map_err(|error| CommandFailure::new(error.to_string()))?;
        let sums = GroupSums {
            is_row_counted: self.view.is_row_counted,
            groups: Groups::new(fields.clone()),
            unpriced: Groups::new(vec!["model".parse()?]),
            priced_by_file: 0,
        };
        let counting = Counting::new(sums, &self.args.filter.to_filter(), &fields);
        // Prices depend on each call.
        let is_priced_again = self.view.prices.is_some();
        Ok(if is_priced_again { counting.without_totals() } else { counting })
    }

    fn add(&self, counting: &mut Counting<GroupSums>, line: &Line<'_>, weight: f64) {
        if !(self.view.is_counted)(line) {
            return;
        }
        counting.add(line, weight, |sums| {
            let prices = self.view.prices.as_ref().filter(|_| line.is_paid());
            let cost = prices.map_or_else(|| line.cost_usd(), |prices| prices.cost_of(line));
            sums.priced_by_file += u64::from(prices.is_some_and(|prices| prices.is_of_file(line)));
            sums.groups.add_priced(line, weight, cost);
            if line.is_paid() && cost.is_none() {
                sums.unpriced.add_priced(line, weight, cost);
            }
        });
    }

    /// Shows the figures, or says that there are none.
    fn answer(
        &self,
        sums: &GroupSums,
        basis: &Basis,
        read: EventsRead,
        price_file: Option<&Path>,
    ) -> Result<CommandExit, CommandFailure> {
        if sums.groups.total.events == 0 {
            if read.events > 0 {
                complain_on_stderr("no data: no event has tokens or a cost");
            }
            return Ok(CommandExit::NoData);
        }
        complain_of_missing_values(self.by, &sums.groups);
        if let (Some(file), 0) = (price_file, sums.priced_by_file) {
            let file = file.display();
            complain_on_stderr(format_args!(
                "{file} has a price for none of these calls; those of this version count"
            ));
        }
        let mut out = BufWriter::new(io::stdout().lock());
        let written = self.print(sums, basis, self.args.limit, &mut out).and_then(|()| out.flush());
        written.map_err(CommandFailure::writing)?;
        Ok(read.exit)
    }

    fn print(
        &self,
        sums: &GroupSums,
        basis: &Basis,
        limit: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (args, groups) = (self.args, &sums.groups);
        let is_by_time = args.sort.is_none() && groups.by().any(|(by, _)| by.is_time());
        let mut sorted = sorted_groups(groups, args.sort.unwrap_or(self.view.sort));
        if is_by_time {
            sorted.sort_by_key(|(values, _)| time_of_group(groups, values));
        }
        if args.json {
            return print_json(self.by, sums, basis, &sorted, out);
        }
        let at = sorted.len().saturating_sub(limit);
        let shown = if is_by_time { &sorted[at..] } else { &sorted[..sorted.len() - at] };
        let columns = terminal_columns().unwrap_or(usize::MAX);
        let table = (self.view.table)(self.by, shown, groups, columns);
        print_table(&table, sorted.len() - shown.len(), sums, basis, out)
    }
}

/// Those of a group's values that are times.
fn time_of_group<'g>(groups: &Groups, values: &'g [String]) -> Vec<&'g String> {
    let values = groups.by().zip(values).filter(|((by, _), _)| by.is_time());
    values.map(|(_, value)| value).collect()
}

fn complain_of_missing_values(by: &[String], groups: &Groups) {
    for (at, (name, (_, is_compound))) in by.iter().zip(groups.by()).enumerate() {
        let mut values = groups.iter().map(|(values, _)| &values[at]);
        if is_compound {
            complain_on_stderr(format_args!(
                "values of {name} are objects or lists, which count as none; name a member of \
                 them, as in --by {name}.NAME"
            ));
        } else if name.contains('.') && values.all(|value| value == NO_VALUE) {
            // Any other name is one of those that are accepted.
            complain_on_stderr(format_args!("no event has {name}"));
        }
    }
}

fn print_table(
    table: &Table,
    left_out: usize,
    sums: &GroupSums,
    basis: &Basis,
    out: &mut impl Write,
) -> io::Result<()> {
    for line in table.lines(terminal_columns().unwrap_or(usize::MAX)) {
        writeln!(out, "{line}")?;
    }
    if left_out > 0 {
        writeln!(out, "{}: -n shows them", format_count(left_out as u64, "more group"))?;
    }
    let unpriced = unpriced_note(&sums.unpriced);
    for note in unpriced.into_iter().chain(basis_notes(&sums.groups.total, basis)) {
        writeln!(out, "{}", wrap_to_terminal(&note))?;
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
    basis: &'g Basis,
}

fn print_json(
    by: &[String],
    sums: &GroupSums,
    basis: &Basis,
    sorted: &[Group<'_>],
    out: &mut impl Write,
) -> io::Result<()> {
    let object = GroupsObject {
        by,
        groups: FiguresObject::of_groups(sorted),
        other: FiguresObject::new(&[], &sums.groups.other),
        total: FiguresObject::new(&[], &sums.groups.total),
        unpriced_models: UnpricedObject::of_groups(&sums.unpriced),
        basis,
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
