//! All loggers, with the same event, at several rates.

use std::error::Error;

use hdrhistogram::Histogram;

use crate::Options;
use crate::check::Findings;
use crate::child::{Outcome, Pace, Task, ask};
use crate::common::median;
use crate::figures::{Row, percentile};
use crate::loggers::{PEERS, Peer, SAMPLING, WhenFull};
use crate::report;

const ROUNDS: usize = 5;
/// Bytes of text in each event.
const BYTES: usize = 256;

/// A rate at which events come.
pub struct Mode {
    pub name: &'static str,
    pace: Pace,
    /// Calls in a round.
    calls: u64,
    /// Whether each rival is also measured with the floor rules before it.
    with_regex: bool,
}

pub const MODES: [Mode; 6] = [
    Mode { name: "saturated", pace: Pace::FlatOut, calls: 200_000, with_regex: true },
    Mode { name: "100,000/s", pace: Pace::Spun(100_000), calls: 50_000, with_regex: true },
    Mode { name: "20,000/s", pace: Pace::Spun(20_000), calls: 10_000, with_regex: false },
    Mode { name: "2,000/s", pace: Pace::Spun(2_000), calls: 2_000, with_regex: false },
    Mode { name: "100/s", pace: Pace::Spun(100), calls: 200, with_regex: false },
    Mode { name: "100/s, asleep", pace: Pace::Slept(100), calls: 200, with_regex: false },
];

/// Checks and measures the loggers, and prints and writes what was found.
pub fn all(options: &Options) -> Result<(), Box<dyn Error>> {
    let chosen =
        |peer: &&Peer| options.only.is_empty() || options.only.iter().any(|name| name == peer.name);
    let peers: Vec<&Peer> = PEERS.iter().filter(chosen).collect();
    let checked = peers
        .iter()
        .filter(|peer| peer.when_full.is_some() && peer.name != SAMPLING)
        .map(|peer| Ok((*peer, check(peer)?)))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    report::print_findings(&checked, &[]);
    if options.check_only {
        return Ok(());
    }
    let (rounds, shorter) = if options.quick { (1, 20) } else { (ROUNDS, 1) };
    let mut rows = Vec::new();
    for mode in &MODES {
        let mode_rows = measure(mode, &peers, rounds, shorter)?;
        report::print_mode(mode.name, &mode_rows);
        rows.extend(mode_rows);
    }
    report::print_findings(&checked, &rows);
    report::print_summary(&rows);
    if options.quick || !options.only.is_empty() {
        return Ok(());
    }
    report::write(rounds, &rows, &checked)
}

/// Returns what a logger does to its texts. Fails if its lines are not complete JSON.
fn check(peer: &Peer) -> Result<Findings, Box<dyn Error>> {
    let plain = task(peer, &MODES[0], false, 1);
    let findings: Findings = ask("check", &plain)?;
    let redacted: Findings = ask("check", &Task { redact: true, ..plain })?;
    match (findings.escapes, redacted.redacts) {
        (false, _) => Err(format!("{}: a text cannot be read back", peer.name).into()),
        (_, false) => Err(format!("{}: the floor rules before it do not work", peer.name).into()),
        _ => Ok(findings),
    }
}

fn task(peer: &Peer, mode: &Mode, redact: bool, shorter: u64) -> Task {
    Task {
        peer: peer.name.to_owned(),
        pace: mode.pace,
        calls: mode.calls / shorter,
        threads: 1,
        bytes: BYTES,
        fields: None,
        redact,
    }
}

/// Runs each logger once in each round, and returns a row for each.
fn measure(
    mode: &Mode,
    peers: &[&Peer],
    rounds: usize,
    shorter: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let with_regex = |peer: &Peer| mode.with_regex && peer.when_full.is_some() && !peer.is_ours();
    let entries: Vec<(&Peer, bool)> = peers
        .iter()
        .map(|peer| (*peer, false))
        .chain(peers.iter().filter(|peer| with_regex(peer)).map(|peer| (*peer, true)))
        .collect();
    let mut outcomes: Vec<Vec<Outcome>> = entries.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("{}: round {round} of {rounds}", mode.name);
        for ((peer, redact), outcomes) in entries.iter().zip(&mut outcomes) {
            outcomes.push(ask("run", &task(peer, mode, *redact, shorter))?);
        }
    }
    entries
        .iter()
        .zip(&outcomes)
        .map(|((peer, redact), outcomes)| row(mode, peer, *redact, outcomes))
        .collect()
}

fn row(
    mode: &Mode,
    peer: &Peer,
    redact: bool,
    outcomes: &[Outcome],
) -> Result<Row, Box<dyn Error>> {
    let counts = peer.when_full.is_some();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let lost = counts.then(|| sum(Outcome::lost));
    if peer.when_full == Some(WhenFull::Blocks) && lost != Some(0) {
        return Err(format!("{} is to block, but it lost {lost:?} events", peer.name).into());
    }
    let rounds = outcomes.iter().map(Outcome::histogram).collect::<Result<Vec<_>, _>>()?;
    let [p50, p99, p999, p9999] =
        [0.5, 0.99, 0.999, 0.9999].map(|share| percentile(&rounds, share));
    Ok(Row {
        peer: peer.name,
        mode: mode.name,
        regex_first: redact,
        p50,
        p99,
        p999,
        p9999,
        mean: median(rounds.iter().map(Histogram::mean).collect()),
        emitted: sum(|outcome| outcome.emitted),
        left_out: sum(|outcome| outcome.left_out),
        lost,
    })
}
