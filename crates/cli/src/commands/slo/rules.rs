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
    /// The service that alerts name; it selects no series, which --match does
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Further labels that select the series of the service, as PromQL has them
    #[arg(long = "match", value_name = "LABELS", value_parser = parse_matchers)]
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

/// Accepts matchers of PromQL, such as `job="benefits",env=~"prod|test"`.
fn parse_matchers(text: &str) -> Result<String, String> {
    let mut rest = text;
    while let Some(after) = strip_matcher(rest) {
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(text.to_owned()),
            None => break,
        }
    }
    Err("accepted: matchers of PromQL with commas between them: job=\"benefits\",env!=\"test\""
        .to_owned())
}

/// Returns what comes after the first matcher.
fn strip_matcher(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = text.split_at(text.find(|c| !is_of_name(c))?);
    let rest = rest.trim_start();
    let operator =
        ["=~", "!~", "!=", "="].into_iter().find(|operator| rest.starts_with(operator))?;
    let value = rest[operator.len()..].trim_start().strip_prefix('"')?;
    let mut is_escaped = false;
    let end = value.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let is_name = name.starts_with(|c: char| !c.is_ascii_digit());
    (is_name && !value[..end].contains('\n')).then(|| value[end + 1..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_promql() {
        for text in
            [r#"job="benefits""#, r#" job = "a" , env=~"prod|test" "#, r#"a!="",b!~"x\"y,{}""#]
        {
            assert_eq!(parse_matchers(text).as_deref(), Ok(text));
        }
        for text in ["", "job", "job=benefits", r#"{job="a"}"#, r#"job="a"b="c""#, r#"1a="b""#]
            .into_iter()
            .chain([
                r#"a="b"#,
                r#"a="b\""#,
                r#"a=="b""#,
                r#"a="b",,c="d""#,
                r#"a="b"}) or vector(1"#,
            ])
        {
            assert!(parse_matchers(text).is_err(), "{text}");
        }
    }
}
