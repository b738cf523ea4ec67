//! The tables, `results.json` and the chart.

use std::error::Error;
use std::fs;

use serde::Serialize;

use crate::chart;
use crate::check::Findings;
use crate::compare::MODES;
use crate::figures::{Row, percent};
use crate::loggers::{PEERS, Peer, WhenFull};

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results.json");
/// The folder of the charts.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// What `results.json` contains.
#[derive(Serialize)]
struct Results<'r> {
    processor: String,
    time: String,
    rounds: usize,
    rows: &'r [Row],
    loggers: Vec<Behaviour>,
}

#[derive(Serialize)]
struct Behaviour {
    name: &'static str,
    when_full: &'static str,
    escapes: bool,
    redacts: bool,
}

/// Prints what each logger does, as it was declared and as the check saw it. If there are rows, it
/// also prints what each lost.
pub fn print_findings(checked: &[(&Peer, Findings)], rows: &[Row]) {
    println!(
        "\n| logger | if its queue is full, it | escapes | redacts | lost, {} |",
        MODES[0].name
    );
    println!("|---|---|---|---|---:|");
    for (peer, findings) in checked {
        let [escapes, redacts] = [findings.escapes, findings.redacts].map(yes_or_no);
        let row = rows.iter().find(|row| row.peer == peer.name && row.mode == MODES[0].name);
        let lost = row.map_or_else(String::new, lost);
        println!("| {} | {} | {escapes} | {redacts} | {lost} |", peer.name, when_full(peer));
    }
}

fn lost(row: &Row) -> String {
    row.lost.map_or_else(String::new, |lost| percent(lost, row.emitted))
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn when_full(peer: &Peer) -> &'static str {
    peer.when_full.map_or("", WhenFull::words)
}

/// Prints a table of nanoseconds.
pub fn print_mode(mode: &str, rows: &[Row]) {
    println!("\n| {mode} | p50, ns | p99 | p99.9 | p99.99 | mean | p50, ratio | lost |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let ours = rows.iter().find(|row| row.peer == PEERS[0].name).and_then(|row| row.p50);
    for row in rows {
        let [p50, p99, p999, p9999] = [row.p50, row.p99, row.p999, row.p9999]
            .map(|ns| ns.map_or_else(String::new, |ns| format!("{ns:.0}")));
        let ratio = row.p50.zip(ours);
        let ratio = ratio.map_or_else(String::new, |(its, ours)| format!("{:.1}", its / ours));
        let lost = lost(row);
        println!(
            "| {} | {p50} | {p99} | {p999} | {p9999} | {:.0} | {ratio} | {lost} |",
            name(row),
            row.mean
        );
    }
}

/// Prints one table of all rates, in microseconds.
pub fn print_summary(rows: &[Row]) {
    let modes = MODES.map(|mode| mode.name);
    println!("\n| p50 / p99.9, µs | {} |\n|---|{}", modes.join(" | "), "---:|".repeat(modes.len()));
    for first in rows.iter().filter(|row| row.mode == modes[0]) {
        let same = |row: &&Row| row.peer == first.peer && row.regex_first == first.regex_first;
        let cells = modes.map(|mode| {
            let row = rows.iter().filter(same).find(|row| row.mode == mode);
            row.map_or_else(String::new, |row| {
                format!("{} / {}", micros(row.p50), micros(row.p999))
            })
        });
        println!("| {} | {} |", name(first), cells.join(" | "));
    }
}

fn micros(ns: Option<f64>) -> String {
    match ns.map(|ns| ns / 1e3) {
        None => "–".to_owned(),
        Some(micros) if micros < 10.0 => format!("{micros:.2}"),
        Some(micros) => format!("{micros:.0}"),
    }
}

fn name(row: &Row) -> String {
    format!("{}{}", row.peer, if row.regex_first { ", `regex` first" } else { "" })
}

/// Writes `results.json` and the chart.
pub fn write(
    rounds: usize,
    rows: &[Row],
    checked: &[(&Peer, Findings)],
) -> Result<(), Box<dyn Error>> {
    let loggers = checked.iter().map(|(peer, findings)| Behaviour {
        name: peer.name,
        when_full: when_full(peer),
        escapes: findings.escapes,
        redacts: findings.redacts,
    });
    let results = Results {
        processor: processor()?,
        time: jiff::Timestamp::now().to_string(),
        rounds,
        rows,
        loggers: loggers.collect(),
    };
    fs::write(RESULTS, serde_json::to_string_pretty(&results)? + "\n")?;
    write_chart("emit-peers", &chart::bars(rows))
}

/// Writes a chart into the folder of the documentation.
pub fn write_chart(name: &str, svg: &str) -> Result<(), Box<dyn Error>> {
    Ok(fs::write(format!("{DOCS}/{name}.svg"), svg)?)
}

fn processor() -> Result<String, Box<dyn Error>> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find(|line| line.starts_with("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{}, {cores} cores", model.rsplit(": ").next().unwrap_or_default()))
}
