//! The `llm-audit` command: parses the arguments, runs the subcommand, sets the exit code.

mod arguments;
mod commands;
mod ui;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::Command;
use crate::ui::{CommandFailure, complain_on_stderr, fit_help, terminal_columns};

/// Records what LLM agents do, and shows what was recorded.
#[derive(Debug, Parser)]
#[command(name = "llm-audit", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
First steps:
  llm-audit demo --dir trial     an agent service under load, and what it left in the log
  llm-audit report --dir trial   the page about it again; errors, stats, cost and trace say more
  my-agent | llm-audit record    JSON lines of any program become events in logs/
  llm-audit scan /var/log/app    what redaction would take out of logs that are there already

Exit codes:
  0  fine
  1  a finding: a loss, a mismatch, a bad line, a breach
  2  bad input or usage
  3  no data

Environment:
  AUDIT_LOG_DIR   the folder, unless --dir is given [default: logs]
  AUDIT_SLO_FILE  the objectives of slo, unless --file is given
  NO_COLOR        no colours if it is set
  CLICOLOR_FORCE  colours, also where output is not a terminal
  COLUMNS         the width where output is not a terminal";

fn main() -> ExitCode {
    let outcome = match parse_arguments() {
        Ok(cli) => cli.command.run(),
        Err(error) => print_help_or_fail(&error),
    };
    outcome.unwrap_or_else(|failure| {
        complain_on_stderr(&failure);
        ExitCode::from(2)
    })
}

/// Parses the arguments. Help is fitted only if it is asked for.
fn parse_arguments() -> Result<Cli, clap::Error> {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand};

    let parsed = Cli::try_parse();
    match parsed.as_ref().map_err(clap::Error::kind) {
        Err(DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand) => {
            let matches = fit_help(Cli::command(), terminal_columns()).try_get_matches()?;
            Cli::from_arg_matches(&matches)
        }
        _ => parsed,
    }
}

/// Prints the help or the version if it was asked for; anything else is a mistake.
fn print_help_or_fail(error: &clap::Error) -> Result<ExitCode, CommandFailure> {
    if !error.use_stderr() {
        return CommandFailure::from_report(error.print()).map(|()| ExitCode::SUCCESS);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    Err(CommandFailure::new(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        super::Cli::command().debug_assert();
    }
}
