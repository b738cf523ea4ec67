//! `slo check --explain`: an alert rule, computed again minute by minute.

use std::io::{self, BufWriter, Write};

use llm_audit::Usd;
use llm_audit_slo::{Condition, ExplainedMinute, Explanation, JudgedLog, Rule, RuleOutcome};
use serde_json::{Value, json};

use super::check::add_measures;
use crate::ui::{
    CommandExit, CommandFailure, Style, Table, escape_for_terminal, escape_json_for_terminal,
    format_dollars, format_period, format_time, terminal_columns, wrap_to_terminal,
};

/// How many minutes are shown: the last ones before the last episode, and in it.
const SHOWN_MINUTES: usize = 40;

pub(super) fn print_explanation(
    log: &JudgedLog,
    rule: &str,
    (since, until): (Option<i64>, i64),
    is_json: bool,
) -> Result<CommandExit, CommandFailure> {
    let explanation = log.explain(rule, since, until);
    let Some(explanation) = explanation.filter(|found| !found.minutes.is_empty()) else {
        return Ok(CommandExit::NoData);
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match is_json {
        true => {
            let json = explanation_json(&explanation).to_string();
            writeln!(out, "{}", escape_json_for_terminal(&json))
        }
        false => print_text(&explanation, &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    let was = |state: fn(&ExplainedMinute) -> bool| explanation.minutes.iter().any(state);
    Ok(match was(ExplainedMinute::is_broken) {
        true => CommandExit::Finding,
        false if was(ExplainedMinute::is_fine) => CommandExit::Fine,
        false => CommandExit::NoData,
    })
}

fn print_text(explanation: &Explanation<'_>, out: &mut impl Write) -> io::Result<()> {
    let (rule, objective) = (explanation.rule, explanation.objective);
    let (first, last) =
        (&explanation.minutes[0], &explanation.minutes[explanation.minutes.len() - 1]);
    let window = rule.condition.window();
    let severity = rule.severity.name();
    writeln!(out, "{} watches {} over {window} ({severity})", rule.name, objective.name)?;
    if let Some(fewest) = fewest_bad(rule) {
        writeln!(out, "fine with fewer than {fewest} bad events in {window}")?;
    }
    writeln!(out, "computed for each minute, {}", format_period(first.end, last.end))?;
    let episodes = explanation.episodes();
    for (from, to) in &episodes {
        writeln!(
            out,
            "{}",
            Style::of_stdout().paint_error(&format!("broken {}", format_period(*from, *to)))
        )?;
    }
    if episodes.is_empty() {
        let is_known = explanation.minutes.iter().any(ExplainedMinute::is_fine);
        writeln!(out, "{}", if is_known { "never broken" } else { "not known in any minute" })?;
    }
    writeln!(out)?;
    let end = episodes.last().map_or(last.end, |(_, to)| *to);
    // From the first minute that the window of the first broken one has.
    let start = episodes.last().map_or(first.end, |(from, _)| from - window.micros());
    let meant = explanation.minutes.iter().filter(|minute| minute.end > start && minute.end <= end);
    let meant: Vec<_> = meant.filter(|minute| is_worth_showing(minute)).collect();
    let left_out = meant.len().saturating_sub(SHOWN_MINUTES);
    if left_out > 0 {
        writeln!(
            out,
            "{}",
            wrap_to_terminal(&format!("{left_out} minutes before these; --json has all"))
        )?;
    }
    print_minutes(rule, &meant[left_out..], out)
}

/// Returns how many bad events the rule needs, if one is not enough.
fn fewest_bad(rule: &Rule) -> Option<f64> {
    match rule.condition {
        Condition::Above { min_bad, .. } | Condition::Burn { min_bad, .. } => {
            Some(min_bad).filter(|fewest| *fewest > 1.0)
        }
        _ => None,
    }
}

/// Whether something happened in the minute, or is wrong after it.
fn is_worth_showing(minute: &ExplainedMinute) -> bool {
    let (events, bad, unknown) = minute.events;
    events + bad + unknown > 0.0 || minute.is_broken()
}

fn print_minutes(
    rule: &Rule,
    minutes: &[&ExplainedMinute],
    out: &mut impl Write,
) -> io::Result<()> {
    let has_cost = minutes.iter().any(|minute| minute.cost > Usd::ZERO);
    let has_unknown = minutes.iter().any(|minute| minute.events.2 > 0.0);
    let over = format!("over {}", rule.condition.window());
    let mut header = vec!["minute until", "rule", &over, "should be", "in 1m: events", "bad"];
    header.extend(has_unknown.then_some("unknown"));
    header.extend(has_cost.then_some("cost"));
    let header = header.into_iter().map(str::to_owned).collect();
    let mut table = Table::new(1, header).keep_names("2026-01-02 03:04Z".len());
    for minute in minutes {
        let (events, bad, unknown) = minute.events;
        let outcome = minute.outcomes.first();
        let text = |of: fn(&RuleOutcome) -> String| outcome.map_or("-".to_owned(), of);
        let mut row = vec![
            format_time(minute.end).replace(":00.000Z", "Z"),
            text(|outcome| outcome.state.name().to_owned()),
            text(shown_value),
            text(|outcome| outcome.target.replacen("at most", "≤", 1)),
            format!("{events:.0}"),
            format!("{bad:.0}"),
        ];
        row.extend(has_unknown.then(|| format!("{unknown:.0}")));
        row.extend(has_cost.then(|| format_dollars(minute.cost)));
        table.push(row);
    }
    let (style, columns) = (Style::of_stdout(), terminal_columns().unwrap_or(usize::MAX));
    for (at, line) in table.lines(columns).iter().enumerate() {
        let is_broken = at.checked_sub(1).is_some_and(|at| minutes[at].is_broken());
        let line = escape_for_terminal(line);
        writeln!(out, "{}", if is_broken { style.paint_error(&line) } else { line.into_owned() })?;
    }
    Ok(())
}

fn shown_value(outcome: &RuleOutcome) -> String {
    match &outcome.subject {
        Some((_, name)) => format!("{name} {}", outcome.value),
        None => outcome.value.clone(),
    }
}

fn explanation_json(explanation: &Explanation<'_>) -> Value {
    let minute = |minute: &ExplainedMinute| {
        json!({
            "until_us": minute.end,
            "events": minute.events.0,
            "bad": minute.events.1,
            "unknown": minute.events.2,
            "cost_usd": minute.cost.as_f64(),
            "rule": minute.outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "rule": explanation.rule.name,
        "objective": explanation.objective.name,
        "broken_us": explanation.episodes(),
        "minutes": explanation.minutes.iter().map(minute).collect::<Vec<_>>(),
    })
}

/// A rule at a moment.
pub(super) fn outcome_json(outcome: &RuleOutcome) -> Value {
    let mut object = json!({
        "state": outcome.state.name(),
        "subject": outcome.subject,
        "counted": outcome.counted,
    });
    add_measures(&mut object, outcome.seen, outcome.most);
    object
}
