//! `slo rules`: the objectives and rules for other programs.

use std::io::{self, Write};

use llm_audit_slo::RuleTarget;

use super::ObjectivesArgs;
use crate::ui::{CommandExit, CommandFailure};

/// Write the rules for Prometheus, or the objectives for sloth or in OpenSLO.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SloRulesArgs {
    #[command(flatten)]
    objectives: ObjectivesArgs,
    /// For which program
    #[arg(long, value_enum, default_value_t = RulesFormat::Prometheus)]
    format: RulesFormat,
    /// The service that alerts name
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Further labels that select the series of the service, as PromQL has them
    #[arg(long = "match", value_name = "LABELS")]
    selector: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RulesFormat {
    Prometheus,
    Sloth,
    Openslo,
}

const AFTER_HELP: &str = "\
The rules use llm_audit_slo_events_total and other series of /metrics. Their alerts have the labels of
those that the library sends. What the other program cannot express is named in a comment.

Exit codes: 0 written, 2 bad input or a bad file of objectives.

Examples:
  llm-audit slo rules --service benefits --match 'job=\"benefits\"' > llm-audit.rules.yml
  llm-audit slo rules --file objectives.yaml --format sloth";

pub(super) fn run_rules(args: &SloRulesArgs) -> Result<CommandExit, CommandFailure> {
    let objectives = args.objectives.read()?;
    let mut target = RuleTarget::default();
    (target.service, target.selector) = (args.service.clone(), args.selector.clone());
    let text = match args.format {
        RulesFormat::Prometheus => objectives.to_prometheus(&target),
        RulesFormat::Sloth => objectives.to_sloth(&target),
        RulesFormat::Openslo => objectives.to_openslo(&target),
    };
    CommandFailure::from_report(io::stdout().write_all(text.as_bytes()))?;
    Ok(CommandExit::Fine)
}
