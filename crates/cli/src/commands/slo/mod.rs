//! `slo`: objectives over the log.

mod check;
mod explain;
mod junit;
mod rules;
#[cfg(feature = "alerts")]
mod watch;

use std::env;
use std::path::PathBuf;

use llm_audit_slo::Objectives;

use crate::ui::{CommandExit, CommandFailure};

/// Judge the log by objectives, send alerts, or write the rules for other programs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SloArgs {
    #[command(subcommand)]
    command: SloCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum SloCommand {
    Check(check::SloCheckArgs),
    Rules(rules::SloRulesArgs),
    #[cfg(feature = "alerts")]
    Watch(watch::SloWatchArgs),
}

/// Where the objectives are.
#[derive(Clone, Debug, clap::Args)]
struct ObjectivesArgs {
    /// Objectives and alert rules: OpenSLO in YAML, or the short form in a .toml [default: AUDIT_SLO_FILE,
    /// else those that are built in]
    #[arg(long = "file", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl ObjectivesArgs {
    fn read(&self) -> Result<Objectives, CommandFailure> {
        let named = || env::var_os("AUDIT_SLO_FILE").filter(|path| !path.is_empty());
        match self.path.clone().or_else(|| named().map(PathBuf::from)) {
            Some(path) => Ok(Objectives::read(path)?),
            None => Ok(Objectives::built_in()),
        }
    }
}

pub(crate) fn run_slo(args: &SloArgs) -> Result<CommandExit, CommandFailure> {
    match &args.command {
        SloCommand::Check(args) => check::run_check(args),
        SloCommand::Rules(args) => rules::run_rules(args),
        #[cfg(feature = "alerts")]
        SloCommand::Watch(args) => watch::run_watch(args),
    }
}
