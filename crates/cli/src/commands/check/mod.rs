//! `check`: prints the effective configuration, tries it, and says what is wrong.

mod trial;

use std::io::{self, Write};

use llm_audit::environment::{Environment, Setting, Source};
use serde_json::{Value, json};

use self::trial::{Checked, Outcome, check_by_trial};
use crate::arguments::help_with_environment;
use crate::ui::{
    CommandExit, CommandFailure, Style, complain_on_stderr, escape_for_terminal, format_count,
    terminal_columns, wrap_to_width,
};

/// Check the configuration before a deployment: every setting with its source, and a trial of it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, after_long_help = help_with_environment(AFTER_HELP, &[]))]
pub(crate) struct CheckArgs {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The values are those of a service that starts in this environment and sets nothing in its code.
Every variable that is not accepted is named with what is accepted. A variable that begins with
AUDIT_ and is not known is a finding. AUDIT_REDACT_ENV shows names, never values.

The trial records events with secrets into a temporary folder and reads them back, lets an exporter
hang, and writes a file in the folder of the log, which it removes again. A ! is before what works and
somebody should look at, such as AUDIT_DEBUG=true, which keeps every event.

Exit codes: 0 the configuration is fine, 1 there are unknown variables or a trial failed, 2 values are
not accepted.

Examples:
  llm-audit check
  AUDIT_FSYNC=5s llm-audit check --json | jq '.settings[] | select(.source != \"default\")'";

pub(crate) fn run_check(args: &CheckArgs) -> Result<CommandExit, CommandFailure> {
    let environment = Environment::read();
    let checks = check_by_trial(&environment);
    let mut out = io::stdout().lock();
    let written = match args.json {
        true => writeln!(out, "{}", check_json(&environment, &checks)),
        false => print_check(&environment, &checks, Style::of_stdout(), &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    let is_fine = findings(&environment, &checks) == 0;
    let mut refused = environment.refused.into_iter();
    // The last one becomes the failure, which prints it.
    if let Some(last) = refused.next_back() {
        refused.for_each(complain_on_stderr);
        return Err(last.into());
    }
    Ok(if is_fine { CommandExit::Fine } else { CommandExit::Finding })
}

/// How much is wrong.
fn findings(environment: &Environment, checks: &[Checked]) -> usize {
    let failed = checks.iter().filter(|checked| checked.outcome == Outcome::Failed).count();
    environment.refused.len() + environment.unknown.len() + failed
}

fn print_check(
    environment: &Environment,
    checks: &[Checked],
    style: Style,
    out: &mut impl Write,
) -> io::Result<()> {
    let rows: Vec<_> = environment.settings.iter().map(setting_row).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let columns = terminal_columns().unwrap_or(usize::MAX);
    let (values, others) = (width(1), width(1) + width(2) + 4);
    // A name that is longer takes from the room of its value.
    let names = width(0).min(columns.saturating_sub(others));
    let before_source = names + 2 + values;
    for [name, value, source] in &rows {
        let source = match source.as_str() {
            "default" => style.paint_faint(source),
            "not accepted" => style.paint_error(source),
            _ => source.clone(),
        };
        let setting = format!("{name:<names$}  {value}");
        writeln!(out, "{setting:<before_source$}  {source}")?;
    }
    for unknown in &environment.unknown {
        writeln!(out, "{} {}", style.paint_error("✗"), escape_for_terminal(&unknown.to_string()))?;
    }
    for Checked { name, outcome, what } in checks {
        let sign = match outcome {
            Outcome::Fine => "✓".to_owned(),
            Outcome::Warning => style.paint_bold("!"),
            Outcome::Failed => style.paint_error("✗"),
        };
        let text = format!("{name}: {}", escape_for_terminal(what));
        writeln!(out, "{sign} {}", wrap_to_width(&text, columns - 2).join("\n"))?;
    }
    match findings(environment, checks) {
        0 => writeln!(out, "the configuration is fine"),
        findings => writeln!(out, "{}", format_count(findings as u64, "finding")),
    }
}

/// Returns the name, the value and the source.
fn setting_row(setting: &Setting) -> [String; 3] {
    let name = setting.variable.name();
    let source = match setting.source {
        Source::Environment(by) if by != name => by,
        source => setting_source_name(source),
    };
    let value = match setting.source {
        Source::Refused => "-".into(),
        _ => escape_for_terminal(&setting.value),
    };
    [name.to_owned(), value.into_owned(), source.to_owned()]
}

fn setting_source_name(source: Source) -> &'static str {
    match source {
        Source::Default => "default",
        Source::Environment(_) => "environment",
        Source::Derived => "other settings",
        Source::Refused => "not accepted",
        _ => "unknown",
    }
}

fn check_json(environment: &Environment, checks: &[Checked]) -> Value {
    let setting = |setting: &Setting| {
        let set_by = match setting.source {
            Source::Environment(name) => Some(name),
            _ => None,
        };
        json!({
            "name": setting.variable.name(),
            "value": (setting.source != Source::Refused).then_some(&setting.value),
            "source": setting_source_name(setting.source),
            "set_by": set_by,
            "default": setting.variable.default_value(),
            "accepted": setting.variable.accepted(),
        })
    };
    let unknown = environment.unknown.iter();
    json!({
        "fine": findings(environment, checks) == 0,
        "settings": environment.settings.iter().map(setting).collect::<Vec<_>>(),
        "refused": environment.refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unknown": unknown
            .map(|unknown| json!({"name": unknown.name, "closest": unknown.closest}))
            .collect::<Vec<_>>(),
        "checks": checks
            .iter()
            .map(|Checked { name, outcome, what }| {
                json!({"name": name, "outcome": outcome.name(), "what": what})
            })
            .collect::<Vec<_>>(),
    })
}
