//! `ship status` and `ship forget`: how far each destination has the log.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use llm_audit_ship::shipper::{DestinationStatus, Error, destinations, forget};
use serde_json::{Value, json};

use crate::arguments::LogDir;
use crate::ui::{
    CommandExit, CommandFailure, Table, complain_on_stderr, format_duration, format_time,
    terminal_columns,
};

/// Show how far each destination has the log.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ShipStatusArgs {
    #[command(flatten)]
    dir: LogDir,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
`sent` counts since the position was begun, with what was `refused`. `waiting` is about how many events the
destination has not got, and `behind` the age of the oldest of them. Events that retention removed before they
were sent are `lost`.

Exit codes: 0 fine, 1 events were refused or lost, or a position is damaged, 3 nothing was shipped from here.";

pub(super) fn run_status(args: &ShipStatusArgs) -> Result<CommandExit, CommandFailure> {
    let dir = args.dir.path();
    if !dir.try_exists().unwrap_or(true) {
        complain_on_stderr(format_args!("no data: there is no folder {}", dir.display()));
        return Ok(CommandExit::NoData);
    }
    let all = destinations(&dir, Timestamp::now().as_microsecond()).map_err(failure)?;
    if all.is_empty() {
        complain_on_stderr(format_args!("no data: nothing was shipped from {}", dir.display()));
        return Ok(CommandExit::NoData);
    }
    let (known, damaged): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let known: Vec<_> = known.into_iter().flatten().collect();
    let damaged: Vec<_> = damaged.into_iter().filter_map(Result::err).collect();
    let mut out = io::stdout().lock();
    let written = match args.json {
        true => writeln!(out, "{}", status_json(&known)),
        false => print_status(&known, &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    damaged.iter().for_each(complain_on_stderr);
    let has_all = |of: &DestinationStatus| of.refused == 0 && of.lost == 0 && of.lost_files == 0;
    let is_whole = known.iter().all(has_all) && damaged.is_empty();
    Ok(if is_whole { CommandExit::Fine } else { CommandExit::Finding })
}

fn print_status(all: &[DestinationStatus], out: &mut impl Write) -> io::Result<()> {
    let header = ["destination", "sent", "refused", "lost", "waiting", "behind", "last event"];
    let mut table = Table::new(1, header.map(str::to_owned).to_vec());
    for of in all {
        let waiting = match of.lag.lines {
            Some(0) => "0".to_owned(),
            Some(lines) => format!("~{lines}"),
            None => format!("{} bytes", of.lag.bytes),
        };
        let behind =
            of.lag.seconds.map_or("-".to_owned(), |seconds| format_duration(seconds * 1e3));
        let until = of.until.map_or("-".to_owned(), format_time);
        let at_least = if of.lost_files > 0 { "at least " } else { "" };
        let lost = format!("{at_least}{}", of.lost);
        let counts = vec![of.sent.to_string(), of.refused.to_string(), lost];
        table.push([vec![of.name.clone()], counts, vec![waiting, behind, until]].concat());
    }
    let columns = terminal_columns().unwrap_or(usize::MAX);
    table.lines(columns).iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn status_json(all: &[DestinationStatus]) -> Value {
    let time = |micros| Timestamp::from_microsecond(micros).ok().map(|at| at.to_string());
    let destination = |of: &DestinationStatus| {
        let file = |at: &llm_audit_log::Position| json!({"file": at.file, "offset": at.offset});
        json!({
            "name": of.name,
            "sent": of.sent,
            "refused": of.refused,
            "lost": of.lost,
            "lost_files": of.lost_files,
            "last_event": of.until.and_then(time),
            "lag": {"events": of.lag.lines, "bytes": of.lag.bytes, "seconds": of.lag.seconds},
            "positions": of.positions.iter().map(file).collect::<Vec<_>>(),
        })
    };
    json!({"destinations": all.iter().map(destination).collect::<Vec<_>>()})
}

pub(super) fn run_forget(dir: &Path, name: &str) -> Result<CommandExit, CommandFailure> {
    if forget(dir, name).map_err(failure)? {
        let written = writeln!(io::stdout(), "{name} is forgotten: all events are sent again");
        CommandFailure::from_report(written)?;
        return Ok(CommandExit::Fine);
    }
    let known = destinations(dir, 0).map_err(failure)?;
    let known: Vec<_> = known.into_iter().flatten().map(|of| of.name).collect();
    let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
    let dir = dir.display();
    Err(CommandFailure::new(format!("{dir} has no destination {name:?}; known: {known}")))
}

fn failure(error: Error) -> CommandFailure {
    CommandFailure::new(error.to_string())
}
