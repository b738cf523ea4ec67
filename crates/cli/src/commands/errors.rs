//! `errors`: what failed, in groups.

use std::io::{self, BufWriter, Write};

use llm_audit::reader::{Failure, Failures, Line};
use llm_audit_log::schema::notices::ReadNotice;
use serde::Serialize;

use crate::arguments::{FilterArgs, LogInput, parse_count};
use crate::ui::{
    CommandExit, CommandFailure, Style, escape_for_terminal, escape_json_for_terminal,
    fit_to_width, format_count, format_period, format_time, sparkline, terminal_columns,
    wrap_to_terminal, wrap_to_width,
};

/// Show what failed, in groups: how often, since when, and an example of each.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ErrorsArgs {
    #[command(flatten)]
    input: LogInput,
    /// How many groups, the most frequent first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = parse_count)]
    limit: usize,
    /// One JSON object with all groups
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

const AFTER_HELP: &str = "\
Events with the status error or timeout of the same type, agent, action and error are one group.
Messages that differ only in numbers and ids are the same. At most 1,000 groups are told apart.
The lines count, so events that sampling left out are missing. stats --by status counts all.

Exit codes: 0 there are events, 1 there are and a file cannot be read to its end, 2 bad input, 3 there
are none.

Examples:
  llm-audit errors --since 1h
  llm-audit errors --type tool --json | jq -r '.groups[] | [.count, .action, .message] | @tsv'";

pub(crate) fn run_errors(args: &ErrorsArgs) -> Result<CommandExit, CommandFailure> {
    let (mut failures, mut is_sampled) = (Failures::default(), false);
    let read = args.input.for_each_line(&args.filter, |line, weight| match weight {
        Some(_) => failures.add(line),
        None => is_sampled |= is_sampled_from(line),
    })?;
    let events = read.events;
    if events == 0 {
        return Ok(read.exit);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => print_json(&failures, events, is_sampled, &mut out),
        false => print_groups(&failures, (events, is_sampled), args, &mut out),
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(read.exit)
}

/// Whether a line of the log itself says that its logger leaves events out.
fn is_sampled_from(line: &Line<'_>) -> bool {
    let Some(ReadNotice::Start(start)) = ReadNotice::of(line) else { return false };
    start.rates.is_some_and(|rates| rates.success.min(rates.error) < 1.0)
}

fn print_groups(
    failures: &Failures,
    (events, is_sampled): (u64, bool),
    args: &ErrorsArgs,
    out: &mut impl Write,
) -> io::Result<()> {
    let limit = args.limit;
    let (style, columns) = (Style::of_stdout(), terminal_columns());
    let (groups, log) = (failures.by_count(), args.input.words());
    let kept = if is_sampled { ", of those that sampling kept" } else { "" };
    writeln!(out, "{} of {} failed{kept}", failures.total, format_count(events, "event"))?;
    for group in groups.iter().take(limit) {
        writeln!(out)?;
        let lines = failure_lines(group, failures, log.as_deref());
        for (at, line) in fit_failure(&lines, columns.unwrap_or(usize::MAX)).iter().enumerate() {
            let line = match at {
                0 => style.paint_error(line),
                1 => line.clone(),
                _ => style.paint_faint(line),
            };
            writeln!(out, "{line}")?;
        }
    }
    let left_out = groups.len().saturating_sub(limit);
    if left_out > 0 {
        let left_out = format_count(left_out as u64, "more group");
        writeln!(out, "\n{left_out}: -n shows them")?;
    }
    if failures.other > 0 {
        writeln!(out, "\n{} of yet other groups", format_count(failures.other, "failure"))?;
    }
    let example = groups.iter().find_map(|group| group.trace_id.as_deref());
    if let (Some(id), Some(log)) = (example, log) {
        let id = id.get(..12).unwrap_or(id);
        let test = format!("a test of the first one: llm-audit fixture {id}{log} --test");
        writeln!(out, "\n{}", wrap_to_terminal(&escape_for_terminal(&test)))?;
    }
    Ok(())
}

/// What failed and how often over the time of all failures, the message if there is one, when and an
/// example. `log` is what a further command needs to read the same log, if one can.
pub(super) fn failure_lines(group: &Failure, all: &Failures, log: Option<&str>) -> Vec<String> {
    let error_type = group.error_type.as_deref().unwrap_or_default();
    let range = all.times.range();
    let trend = range.map_or("-".to_owned(), |range| sparkline(&group.times.parts::<8>(range)));
    let what = format!(
        "{:>6}  {trend}  {}  {}  {}  {error_type}",
        group.count, group.event_type, group.agent, group.action
    );
    let when = match (group.first, group.last) {
        (Some(first), Some(last)) if group.count > 1 => format_period(first, last),
        (_, last) => last.map_or("-".to_owned(), format_time),
    };
    let example = group.trace_id.as_deref().map(|id| id.get(..12).unwrap_or(id));
    let example = match (example, log) {
        (Some(id), Some(log)) => format!("llm-audit trace {id}{log}  "),
        (Some(id), None) => format!("trace {id}  "),
        (None, _) => String::new(),
    };
    let mut lines = vec![what];
    lines.extend(group.message.as_ref().map(|message| format!("        {message}")));
    lines.push(format!("        {example}{when}"));
    lines.iter().map(|line| escape_for_terminal(line.trim_end()).into_owned()).collect()
}

/// Cuts the lines of a failure to the width. The last one, a command, is broken instead.
pub(super) fn fit_failure(lines: &[String], columns: usize) -> Vec<String> {
    let Some((command, lines)) = lines.split_last() else { return Vec::new() };
    let cut = lines.iter().map(|line| fit_to_width(line, columns));
    cut.chain(wrap_to_width(command, columns)).collect()
}

/// What `--json` prints.
#[derive(Serialize)]
struct ErrorsObject<'f> {
    events: u64,
    failed: u64,
    /// Whether sampling left events out, which are not counted.
    is_sampled: bool,
    groups: Vec<FailureObject<'f>>,
    /// Failures past the groups that are told apart.
    other: u64,
}

/// Failures that are alike, for `--json`.
#[derive(Serialize)]
pub(super) struct FailureObject<'f> {
    count: u64,
    event_type: &'f str,
    agent: &'f str,
    action: &'f str,
    error_type: Option<&'f str>,
    message: Option<&'f str>,
    first_us: Option<i64>,
    last_us: Option<i64>,
    trace_id: Option<&'f str>,
}

impl<'f> FailureObject<'f> {
    pub(super) fn of_failures(failures: &'f Failures) -> Vec<Self> {
        let groups = failures.by_count().into_iter().map(|group| Self {
            count: group.count,
            event_type: &group.event_type,
            agent: &group.agent,
            action: &group.action,
            error_type: group.error_type.as_deref(),
            message: group.message.as_deref(),
            first_us: group.first,
            last_us: group.last,
            trace_id: group.trace_id.as_deref(),
        });
        groups.collect()
    }
}

fn print_json(
    failures: &Failures,
    events: u64,
    is_sampled: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let object = ErrorsObject {
        events,
        failed: failures.total,
        is_sampled,
        groups: FailureObject::of_failures(failures),
        other: failures.other,
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
