//! `verify`: whether the log is whole.

use std::io::{self, BufWriter, Write};

use llm_audit::reader::{self, Finding, Instance, State, Verification};
use serde_json::{Value, json};

use crate::arguments::Dir;
use crate::ui::{Exit, Failure, Progress, Style, complain, count};

/// Check that the log is whole: every line by the schema, every number held or told as lost.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit codes: 0 the log is whole, 1 it is not, 2 it cannot be read, 3 there is none.
A logger that still runs is no finding; one that ended without a word is.

Examples:
  llm-audit verify --dir /var/log/agents
  llm-audit verify --json | jq '.instances[] | select(.state == \"killed\")'";

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.dir.open()?.is_none() {
        return Ok(Exit::NoData);
    }
    let mut progress = Progress::new();
    let report = reader::verify_with(args.dir.path(), |done, of| progress.share(done, of))?;
    progress.clear();
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => writeln!(out, "{}", object(&report)),
        false => print(&report, Style::of_stdout(), &mut out),
    };
    written.and_then(|()| out.flush()).map_err(Failure::writing)?;
    if report.lines == 0 && report.is_clean() {
        complain("no data: the files are empty");
        return Ok(Exit::NoData);
    }
    Ok(if report.is_clean() { Exit::Fine } else { Exit::Finding })
}

fn print(report: &Verification, style: Style, out: &mut impl Write) -> io::Result<()> {
    let (files, lines) = (count(report.files, "file"), count(report.lines, "line"));
    writeln!(out, "{files}, {lines}, {}", count(report.events, "event"))?;
    if report.retired > 0 {
        writeln!(out, "{} removed by retention, as the log tells", count(report.retired, "file"))?;
    }
    for instance in &report.instances {
        writeln!(out, "instance {}", describe(instance))?;
    }
    for finding in &report.findings {
        writeln!(out, "{} {finding}", style.error("✗"))?;
    }
    let further = report.findings_total - report.findings.len() as u64;
    if further > 0 {
        writeln!(out, "… and {further} more")?;
    }
    match report.findings_total {
        0 if report.lines == 0 => Ok(()), // and is said on stderr
        0 => writeln!(out, "nothing is missing"),
        findings => writeln!(out, "{}", count(findings, "finding")),
    }
}

fn describe(instance: &Instance) -> String {
    let seq = match instance.seq {
        Some((first, last)) => format!("seq {first} to {last}"),
        None => "no seq".to_owned(),
    };
    let lost = match instance.overwritten.saturating_add(instance.io_lost) {
        0 => String::new(),
        lost => format!(", {lost} told as lost"),
    };
    let events = count(instance.events, "event");
    format!("{}  {events}, {seq}{lost}, {}", instance.id, name(instance.state))
}

fn name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::Killed => "killed",
        _ => "unknown",
    }
}

fn object(report: &Verification) -> Value {
    let instance = |instance: &Instance| {
        json!({
            "instance": instance.id,
            "events": instance.events,
            "first_seq": instance.seq.map(|seq| seq.0),
            "last_seq": instance.seq.map(|seq| seq.1),
            "overwritten": instance.overwritten,
            "io_lost": instance.io_lost,
            "unexplained": instance.unexplained,
            "state": name(instance.state),
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
