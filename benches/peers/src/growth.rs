//! How the cost of an event grows in llm-audit and in tracing: four charts.

use std::error::Error;

use crate::chart::{Lines, Series};
use crate::child::{Outcome, Pace, Task, ask};
use crate::figures::{percent, percentile};
use crate::loggers::wide::FIELDS;
use crate::report::write_chart;

const ROUNDS: usize = 3;
const COMPARED: [&str; 2] = ["llm-audit", "tracing"];
const SHARES: [(f64, &str); 2] = [(0.5, "p50"), (0.99, "p99")];

/// One chart: what grows, and a task for each tick.
struct Growth {
    file: &'static str,
    title: &'static str,
    axis: &'static str,
    ticks: Vec<(String, Task)>,
}

/// Measures and draws all charts. If `quick`, it tries each once and writes nothing.
pub fn draw(quick: bool) -> Result<(), Box<dyn Error>> {
    let (rounds, shorter) = if quick { (1, 20) } else { (ROUNDS, 1) };
    for growth in [threads(), bytes(), fields(), queue()] {
        let chart = growth.chart(&growth.measure(rounds, shorter)?)?;
        print(&chart);
        if !quick {
            write_chart(growth.file, &chart.draw())?;
        }
    }
    Ok(())
}

/// Returns a task for a logger that is still to be named: 256 bytes of text, one thread.
fn task(pace: Pace, calls: u64) -> Task {
    Task { peer: String::new(), pace, calls, threads: 1, bytes: 256, fields: None, redact: false }
}

fn threads() -> Growth {
    let of = |threads: u64| Task { threads, ..task(Pace::FlatOut, 128_000) };
    Growth {
        file: "growth-threads",
        title: "The cost of an event, by the number of threads that log flat out",
        axis: "threads",
        ticks: [1, 2, 4, 8, 16, 32, 64].map(|threads| (threads.to_string(), of(threads))).into(),
    }
}

/// A larger event comes less often, so that both writers keep up.
fn bytes() -> Growth {
    let of = |bytes: usize| {
        let rate = (50_000_000 / bytes).min(10_000) as u32;
        Task { bytes, ..task(Pace::Spun(rate), u64::from(rate)) }
    };
    let sizes = [
        ("64 B", 64),
        ("256 B", 256),
        ("1 KB", 1 << 10),
        ("4 KB", 4 << 10),
        ("16 KB", 16 << 10),
        ("64 KB", 64 << 10),
        // An event of more than 256 KB would be cut.
        ("255 KB", 255 << 10),
    ];
    Growth {
        file: "growth-bytes",
        title: "The cost of an event, by the length of its text",
        axis: "text",
        ticks: sizes.map(|(name, bytes)| (name.to_owned(), of(bytes))).into(),
    }
}

fn fields() -> Growth {
    let of = |fields| Task { fields: Some(fields), bytes: 16, ..task(Pace::Spun(10_000), 10_000) };
    Growth {
        file: "growth-fields",
        title: "The cost of an event, by the number of its fields, each a text of 16 B",
        axis: "fields",
        ticks: FIELDS.iter().map(|fields| (fields.to_string(), of(*fields))).collect(),
    }
}

fn queue() -> Growth {
    let rates = [1_000, 10_000, 50_000, 100_000, 200_000, 400_000, 800_000];
    let spun = rates.map(|rate: u32| {
        (
            format!("{} k", rate / 1000),
            task(Pace::Spun(rate), u64::from(rate).clamp(2_000, 400_000)),
        )
    });
    let mut ticks = Vec::from(spun);
    ticks.push(("flat out".to_owned(), task(Pace::FlatOut, 400_000)));
    Growth {
        file: "growth-queue",
        title: "The cost of an event, from a queue that is nearly empty to one that overflows",
        axis: "events per second",
        ticks,
    }
}

/// The rounds of one task.
type Rounds = Vec<Outcome>;

impl Growth {
    /// Runs each task with both loggers in turn. Returns the rounds of each task, for each logger.
    fn measure(&self, rounds: usize, shorter: u64) -> Result<[Vec<Rounds>; 2], Box<dyn Error>> {
        let mut measured = COMPARED.map(|_| Vec::new());
        measured.iter_mut().for_each(|tasks| tasks.resize_with(self.ticks.len(), Rounds::new));
        for round in 1..=rounds {
            eprintln!("{}: round {round} of {rounds}", self.axis);
            for (tick, (_, task)) in self.ticks.iter().enumerate() {
                for (peer, tasks) in COMPARED.iter().zip(&mut measured) {
                    let calls = (task.calls / shorter).max(task.threads);
                    let task = Task { peer: (*peer).to_owned(), calls, ..task.clone() };
                    tasks[tick].push(ask("run", &task)?);
                }
            }
        }
        Ok(measured)
    }

    fn chart(&self, measured: &[Vec<Rounds>; 2]) -> Result<Lines, Box<dyn Error>> {
        let ticks = self.ticks.iter().map(|(tick, _)| tick.clone()).collect();
        let (mut series, mut below) = (Vec::new(), Vec::new());
        for (peer, tasks) in COMPARED.iter().zip(measured) {
            for (share, name) in SHARES {
                series.push(Series {
                    name: format!("{peer}, {name}"),
                    ours: *peer == COMPARED[0],
                    dashed: share > 0.5,
                    values: tasks
                        .iter()
                        .map(|rounds| over(rounds, share))
                        .collect::<Result<_, _>>()?,
                });
            }
            below
                .push((format!("lost, {peer}"), tasks.iter().map(|rounds| lost(rounds)).collect()));
        }
        Ok(Lines { title: self.title, axis: self.axis, ticks, series, below })
    }
}

fn over(rounds: &[Outcome], share: f64) -> Result<Option<f64>, Box<dyn Error>> {
    let rounds = rounds.iter().map(Outcome::histogram).collect::<Result<Vec<_>, _>>()?;
    Ok(percentile(&rounds, share))
}

fn lost(rounds: &[Outcome]) -> String {
    let sum = |of: fn(&Outcome) -> u64| rounds.iter().map(of).sum();
    percent(sum(Outcome::lost), sum(|outcome| outcome.emitted))
}

/// Prints what a chart shows, in nanoseconds.
fn print(chart: &Lines) {
    let row = |name: &str, cells: &[String]| println!("| {name} | {} |", cells.join(" | "));
    println!();
    row(chart.axis, &chart.ticks);
    println!("|---|{}", "---:|".repeat(chart.ticks.len()));
    for series in &chart.series {
        let cell = |ns: &Option<f64>| ns.map_or_else(String::new, |ns| format!("{ns:.0}"));
        row(&series.name, &series.values.iter().map(cell).collect::<Vec<_>>());
    }
    chart.below.iter().for_each(|(name, cells)| row(name, cells));
}
