//! The `llm-audit` command: which subcommand runs, and with which exit code it ends.

#[cfg(feature = "demo")]
mod demo;
mod output;
mod progress;
mod record;
mod redact;
mod rules;
mod scan;
mod tail;
mod trace;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::output::{Exit, Failure, complain};

/// Records what LLM agents do, and shows what was recorded.
#[derive(Debug, Parser)]
#[command(name = "llm-audit", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  fine
  1  a finding: a loss, a mismatch, a bad line
  2  bad input or usage
  3  no data

Environment:
  AUDIT_LOG_DIR  the folder where --dir is not given [default: logs]
  NO_COLOR       no colours where it is set";

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    Record(record::Args),
    Redact(redact::Args),
    Scan(scan::Args),
    Tail(tail::Args),
    Trace(trace::Args),
    Verify(verify::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            #[cfg(feature = "demo")]
            Command::Demo(args) => return demo::run(&args),
            Command::Record(args) => record::run(&args),
            Command::Redact(args) => redact::run(&args),
            Command::Scan(args) => scan::run(&args),
            Command::Tail(args) => shown_enough(tail::run(&args)),
            Command::Trace(args) => shown_enough(trace::run(&args)),
            Command::Verify(args) => verify::run(&args),
        },
        Err(error) => usage(&error),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            complain(&failure);
            ExitCode::from(2)
        }
    }
}

/// For what only shows something: who closed the pipe, as `head` does, has seen enough.
fn shown_enough(outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
    outcome.or_else(|failure| if failure.is_closed_pipe { Ok(Exit::Fine) } else { Err(failure) })
}

/// Help and version are what was asked for; anything else is a mistake.
fn usage(error: &clap::Error) -> Result<Exit, Failure> {
    if !error.use_stderr() {
        return error.print().map(|()| Exit::Fine).map_err(Failure::writing);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    Err(Failure::new(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        super::Cli::command().debug_assert();
    }
}
