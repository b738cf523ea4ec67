//! `verify`: whether the log is whole.

use std::io::{self, BufWriter, Write};

use llm_audit::reader::{self, Finding, Instance, State, Verification};
use serde_json::{Value, json};

use crate::arguments::LogInput;
use crate::ui::{
    CommandExit, CommandFailure, Progress, Style, complain_on_stderr, escape_for_terminal,
    format_count, wrap_to_terminal,
};

/// Check that the log is whole: every line by the schema, every number held or reported as lost.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    input: LogInput,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit codes: 0 the log is whole, 1 it is not, 2 none of it can be read, 3 there is none.
A logger that still runs is not a finding. One that ended without audit.stop is. Whether the logger
of a pipe or of a file from a shell still runs is not known: without audit.stop it is a finding.
With --service only the lines of that service are checked, and those that cannot be read.
Lines of input that record refused, and failed traces that lack events because AUDIT_HOLD_BYTES was
too little, are reported as audit.stop counts them. They are not findings.

Examples:
  llm-audit verify --dir /var/log/agents
  AUDIT_EXPORTER=stdout my-agent | llm-audit verify -
  llm-audit verify --json | jq '.instances[] | select(.state == \"killed\")'";

pub(crate) fn run_verify(args: &VerifyArgs) -> Result<CommandExit, CommandFailure> {
    let Some(folder) = args.input.open()? else { return Ok(CommandExit::NoData) };
    let mut progress = Progress::new();
    let service = args.input.service.as_deref();
    let report = reader::verify_folder(&folder, service, |done, of| progress.show_share(done, of))?;
    progress.clear();
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => writeln!(out, "{}", verify_json(&report)),
        false => print_verify(&report, Style::of_stdout(), &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    let has_instance = service.is_none() || !report.instances.is_empty();
    if report.is_clean() && (report.lines == 0 || !has_instance) {
        complain_on_stderr(match report.lines {
            0 => "no data: the files are empty",
            _ => "no data: no line is of this service",
        });
        args.input.complain_of_unknown_service(&folder);
        return Ok(CommandExit::NoData);
    }
    Ok(if report.is_clean() { CommandExit::Fine } else { CommandExit::Finding })
}

fn print_verify(report: &Verification, style: Style, out: &mut impl Write) -> io::Result<()> {
    let (files, lines) = (format_count(report.files, "file"), format_count(report.lines, "line"));
    writeln!(out, "{files}, {lines}, {}", format_count(report.events, "event"))?;
    if report.retired > 0 {
        writeln!(
            out,
            "{} removed by retention, as the log tells",
            format_count(report.retired, "file")
        )?;
    }
    for instance in &report.instances {
        let instance = format!("instance {}", describe_instance(instance));
        writeln!(out, "{}", wrap_to_terminal(&instance))?;
    }
    for finding in &report.findings {
        let finding = wrap_to_terminal(&format!("✗ {finding}"));
        writeln!(out, "{}", finding.replacen('✗', &style.paint_error("✗"), 1))?;
    }
    let further = report.findings_total - report.findings.len() as u64;
    if further > 0 {
        writeln!(out, "… and {further} more")?;
    }
    match report.findings_total {
        0 if report.lines == 0 => Ok(()), // and is said on stderr
        0 => writeln!(out, "nothing is missing"),
        findings => writeln!(out, "{}", format_count(findings, "finding")),
    }
}

fn describe_instance(instance: &Instance) -> String {
    let seq = match instance.seq {
        Some((first, last)) => format!("seq {first} to {last}"),
        None => "no seq".to_owned(),
    };
    let lost = match instance.overwritten.saturating_add(instance.io_lost) {
        0 => String::new(),
        lost => format!(", {lost} reported as lost"),
    };
    let events = format_count(instance.events, "event");
    let mut notes = String::new();
    if !instance.refused.is_empty() {
        let lines = instance.refused.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let by_reason: Vec<_> = instance
            .refused
            .iter()
            .map(|(reason, count)| format!("{count} {}", escape_for_terminal(reason)))
            .collect();
        notes += &format!(
            ", {} of input refused ({})",
            format_count(lines, "line"),
            by_reason.join(", ")
        );
    }
    if instance.hold_full > 0 {
        let events = format_count(instance.hold_full, "event");
        let traces = format_count(instance.torn_traces, "failed trace");
        notes += &format!(", {events} not held for lack of memory ({traces} known to lack some)");
    }
    let known = |text: &Option<String>| {
        text.as_deref().map_or("?".into(), |text| escape_for_terminal(text).into_owned())
    };
    let service = instance.service.as_ref().map_or(String::new(), |_| {
        let pid = instance.pid.map_or("?".to_owned(), |pid| pid.to_string());
        format!("{} on {}, pid {pid}  ", known(&instance.service), known(&instance.host))
    });
    format!(
        "{}  {service}{events}, {seq}{lost}{notes}, {}",
        instance.id,
        instance_state_name(instance.state)
    )
}

fn instance_state_name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::Killed => "killed",
        _ => "unknown",
    }
}

fn verify_json(report: &Verification) -> Value {
    let instance = |instance: &Instance| {
        json!({
            "instance": instance.id,
            "service": instance.service,
            "host": instance.host,
            "pid": instance.pid,
            "events": instance.events,
            "first_seq": instance.seq.map(|seq| seq.0),
            "last_seq": instance.seq.map(|seq| seq.1),
            "overwritten": instance.overwritten,
            "io_lost": instance.io_lost,
            "unexplained": instance.unexplained,
            "hold_full": instance.hold_full,
            "torn_traces": instance.torn_traces,
            "refused": instance.refused,
            "state": instance_state_name(instance.state),
        })
    };
    let finding = |finding: &Finding| {
        json!({
            "file": finding.place.as_ref().map(|place| &place.0),
            "line": finding.place.as_ref().map(|place| place.1),
            "instance": finding.instance,
            "what": finding.what,
        })
    };
    json!({
        "clean": report.is_clean(),
        "files": report.files,
        "bytes": report.bytes,
        "lines": report.lines,
        "events": report.events,
        "retired": report.retired,
        "instances": report.instances.iter().map(instance).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_total": report.findings_total,
    })
}
