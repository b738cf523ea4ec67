//! `slo check`: whether the log meets its objectives.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use llm_audit::Status;
use llm_audit_slo::{
    Indicator, JudgedLog, Judgement, Measure, Rule, RuleOutcome, RuleState, Verdict,
};
use serde_json::{Value, json};

use super::ObjectivesArgs;
use super::explain::{outcome_json, print_explanation};
use super::junit::junit_report;
use crate::arguments::{LogInput, complain_of_damage, parse_time};
use crate::ui::{
    CommandExit, CommandFailure, Progress, Style, Table, complain_on_stderr, escape_for_terminal,
    escape_json_for_terminal, fit_to_width, format_count, format_period, format_time,
    terminal_columns, wrap_to_terminal, write_page,
};

/// Check whether the log meets its objectives; the exit code is the verdict.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SloCheckArgs {
    #[command(flatten)]
    input: LogInput,
    #[command(flatten)]
    objectives: ObjectivesArgs,
    /// Judge from this time on, instead of over the windows of the objectives: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Judge what was before this time [default: the end of the log]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    until: Option<i64>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Also write the verdicts as a JUnit report, for CI
    #[arg(long, value_name = "PATH")]
    junit: Option<PathBuf>,
    /// Compute an alert rule again, minute by minute, and show when it was broken [default: over the last
    /// day of the log]
    #[arg(long, value_name = "ALERT", conflicts_with = "junit")]
    explain: Option<String>,
}

const AFTER_HELP: &str = "\
The one with the least budget left comes first. An objective is breached if it is breached with every
unknown event good, and met if it is met with every unknown event bad. Events are unknown that were lost,
or that sampling left out after the last audit.totals line of a killed logger. A cost is that of the
dearest window.

Exit codes: 0 all are met, 1 one is breached, 2 bad input or a bad file of objectives, 3 one is unknown
or has no data. With --explain: 0 the rule was never broken, 1 it was, 3 there is no data.

Examples:
  llm-audit slo check --since today --service benefits
  llm-audit slo check --file objectives.yaml --junit slo.xml
  llm-audit slo check --explain request-errors-high --since 3h";

/// To this width the names of objectives differ that are built in.
const NAME_WIDTH_MIN: usize = 14;

pub(super) fn run_check(args: &SloCheckArgs) -> Result<CommandExit, CommandFailure> {
    let objectives = args.objectives.read()?;
    if let Some(path) = &args.junit {
        args.input.refuse_as_output(path)?;
    }
    if let Some(rule) = &args.explain
        && objectives.rule(rule).is_none()
    {
        let names: Vec<_> = objectives.rules.iter().map(|rule| &*rule.name).collect();
        let names = names.join(", ");
        return Err(CommandFailure::new(format!("there is no rule {rule}; there are: {names}")));
    }
    let Some(folder) = args.input.open()? else { return Ok(CommandExit::NoData) };
    let (mut progress, bytes) = (Progress::new(), folder.bytes());
    let service = args.input.service.as_deref();
    let log =
        JudgedLog::read(&folder, objectives, service, |read| progress.show_share(read, bytes))?;
    progress.clear();
    complain_of_damage(&log.damage);
    if log.bad_lines > 0 {
        let bad = format_count(log.bad_lines, "line");
        complain_on_stderr(format_args!("{bad} cannot be read; llm-audit verify says which"));
    }
    if log.period().is_none() {
        complain_on_stderr("no data: no event that an objective counts");
        args.input.complain_of_unknown_service(&folder);
        return Ok(CommandExit::NoData);
    }
    // The minute that is not over counts, if a logger that was closed in it has counted it.
    let now = Timestamp::now().as_microsecond() + 60_000_000;
    let until = args.until.unwrap_or(now);
    match &args.explain {
        Some(rule) => print_explanation(&log, rule, (args.since, until), args.json),
        None => print_verdicts(&log, args, until),
    }
}

fn print_verdicts(
    log: &JudgedLog,
    args: &SloCheckArgs,
    until: i64,
) -> Result<CommandExit, CommandFailure> {
    let mut judged = log.judge(args.since, until);
    let left = |judgement: &Judgement<'_>| judgement.budget_left.unwrap_or(f64::INFINITY);
    judged.sort_by(|a, b| left(a).total_cmp(&left(b)));
    if let Some(path) = &args.junit {
        write_page(path, &junit_report(&judged))?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => {
            let json = verdicts_json(&judged, log, until).to_string();
            writeln!(out, "{}", escape_json_for_terminal(&json))
        }
        false => print_table(&judged, log, until, &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    Ok(exit_of(&judged, log))
}

/// The exit code: what is worst.
fn exit_of(judged: &[Judgement<'_>], log: &JudgedLog) -> CommandExit {
    let has = |verdict| judged.iter().any(|judgement| judgement.verdict == verdict);
    match () {
        () if has(Verdict::Breached) => CommandExit::Finding,
        () if judged.is_empty() || has(Verdict::Unknown) || has(Verdict::NoData) => {
            CommandExit::NoData
        }
        () if !log.damage.is_empty() => CommandExit::NoData,
        () => CommandExit::Fine,
    }
}

fn print_table(
    judged: &[Judgement<'_>],
    log: &JudgedLog,
    until: i64,
    out: &mut impl Write,
) -> io::Result<()> {
    let (style, columns) = (Style::of_stdout(), terminal_columns().unwrap_or(usize::MAX));
    let has_unknown = judged.iter().any(|judgement| judgement.events.2 > 0.0);
    let mut header = vec!["objective", "verdict", "budget left", "seen", "target", "events", "bad"];
    header.extend(has_unknown.then_some("unknown"));
    let header = header.into_iter().map(str::to_owned).collect();
    let mut table = Table::new(2, header).keep_names(NAME_WIDTH_MIN);
    judged.iter().for_each(|judgement| table.push(table_row(judgement, has_unknown)));
    for (at, line) in table.lines(columns).iter().enumerate() {
        let verdict = at.checked_sub(1).map(|at| judged[at].verdict);
        writeln!(out, "{}", paint_by_verdict(style, verdict, line))?;
    }
    writeln!(out)?;
    for judgement in judged {
        if let Some(note) = note_of(judgement) {
            writeln!(out, "{}", fit_to_width(&escape_for_terminal(&note), columns))?;
        }
    }
    if log.is_estimate {
        writeln!(
            out,
            "{}",
            wrap_to_terminal("estimated: lines were sampled, and no totals count them")
        )?;
    }
    writeln!(out, "{}", summary(judged))?;
    print_rules(log, until, style, out)
}

/// Prints the alert rules that are broken, and those that cannot be computed yet.
fn print_rules(log: &JudgedLog, until: i64, style: Style, out: &mut impl Write) -> io::Result<()> {
    let rules = log.evaluate_rules(until);
    for state in [RuleState::Broken, RuleState::Off] {
        let is_in_state = |outcome: &RuleOutcome| outcome.state == state;
        let meant = rules.iter().filter(|(_, found)| found.iter().any(is_in_state));
        let names: Vec<_> = meant.map(|(rule, _)| rule.name.as_str()).collect();
        if !names.is_empty() {
            let text = format!("rules {}: {}", state.name(), names.join(", "));
            writeln!(out, "{}", paint_by_state(style, state, &wrap_to_terminal(&text)))?;
        }
    }
    Ok(())
}

fn paint_by_state(style: Style, state: RuleState, text: &str) -> String {
    match state {
        RuleState::Broken => style.paint_error(text),
        _ => style.paint_faint(text),
    }
}

fn table_row(judgement: &Judgement<'_>, has_unknown: bool) -> Vec<String> {
    let (events, bad, unknown) = judgement.events;
    let left = judgement.budget_left.map_or("-".to_owned(), shown_share);
    let mut row = vec![
        judgement.objective.name.clone(),
        judgement.verdict.name().to_owned(),
        left,
        judgement.value.clone(),
        judgement.target.clone(),
        format!("{events:.0}"),
        if has_bad(judgement) { format!("{bad:.0}") } else { "-".to_owned() },
    ];
    row.extend(has_unknown.then(|| format!("{unknown:.0}")));
    row
}

/// A share in whole percent. What is left of a budget is not rounded up to something, or to all.
fn shown_share(share: f64) -> String {
    let percent = share * 100.0;
    let whole = if percent > 0.0 { percent.floor() } else { percent.ceil() };
    match (percent, whole) {
        (percent, whole) if percent < 0.0 && whole == 0.0 => "< 0 %".to_owned(),
        (percent, whole) if percent > 0.0 && whole == 0.0 => "> 0 %".to_owned(),
        (_, whole) => format!("{:.0} %", whole + 0.0),
    }
}

fn paint_by_verdict(style: Style, verdict: Option<Verdict>, line: &str) -> String {
    match verdict {
        None => style.paint_bold(line),
        Some(Verdict::Breached) => style.paint_error(line),
        Some(Verdict::Unknown) => style.paint_by_status(Some(Status::Retry), line),
        Some(Verdict::Met) => style.paint_by_status(Some(Status::Ok), line),
        Some(_) => style.paint_faint(line),
    }
}

/// Who pays most, and when.
fn note_of(judgement: &Judgement<'_>) -> Option<String> {
    let payer = judgement.payer.as_ref()?;
    let kind = judgement.objective.indicator.payer()?.name();
    let (from, to) = judgement.period;
    let name = &judgement.objective.name;
    Some(format!("{name}: {kind} {payer}, {}", format_period(from, to)))
}

fn summary(judged: &[Judgement<'_>]) -> String {
    let counts =
        [Verdict::Breached, Verdict::Unknown, Verdict::NoData, Verdict::Met].map(|verdict| {
            let count = judged.iter().filter(|judgement| judgement.verdict == verdict).count();
            (count > 0).then(|| format!("{count} {}", verdict.name()))
        });
    let ends = judged.iter().map(|judgement| judgement.period.1).max();
    let end = ends.map_or(String::new(), |end| {
        format!(", until {}", format_time(end).replace(":00.000Z", "Z"))
    });
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    format!("{}: {}{end}", format_count(judged.len() as u64, "objective"), counts.join(", "))
}

/// Whether events are good or bad, or counted for others. A cost is only a sum.
fn has_bad(judgement: &Judgement<'_>) -> bool {
    !matches!(judgement.objective.indicator, Indicator::Cost { .. })
}

/// Adds what was seen and the most that it should be, as numbers with units in their names.
pub(super) fn add_measures(object: &mut Value, seen: Option<Measure>, most: Option<Measure>) {
    if let Some(measure) = seen.or(most) {
        object[measure.name()] = json!(seen.map(Measure::number));
        object[format!("{}_max", measure.name())] = json!(most.map(Measure::number));
    }
}

fn verdicts_json(judged: &[Judgement<'_>], log: &JudgedLog, until: i64) -> Value {
    let objective = |judgement: &Judgement<'_>| {
        let (events, bad, unknown) = judgement.events;
        let mut object = json!({
            "name": judgement.objective.name,
            "verdict": judgement.verdict.name(),
            "budget_left": judgement.budget_left,
            "events": events,
            "bad": has_bad(judgement).then_some(bad),
            "unknown": unknown,
            "from_us": judgement.period.0,
            "until_us": judgement.period.1,
            "payer": judgement.payer,
        });
        add_measures(&mut object, judgement.seen, judgement.objective.most());
        object
    };
    let rule = |(rule, found): &(&Rule, Vec<RuleOutcome>)| {
        json!({
            "name": rule.name,
            "severity": rule.severity.name(),
            "outcomes": found.iter().map(outcome_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "objectives": judged.iter().map(objective).collect::<Vec<_>>(),
        "rules": log.evaluate_rules(until).iter().map(rule).collect::<Vec<_>>(),
        "is_estimate": log.is_estimate,
        "bad_lines": log.bad_lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_not_rounded_to_all_or_nothing() {
        let cases = [
            (1.0, "100 %"),
            (0.9999, "99 %"),
            (0.5, "50 %"),
            (0.001, "> 0 %"),
            (0.0, "0 %"),
            (-0.001, "< 0 %"),
            (-1.5, "-150 %"),
        ];
        for (share, expected) in cases {
            assert_eq!(shown_share(share), expected);
        }
    }
}
