//! One run of one logger in a process of its own, because most loggers can be set only once.
//!
//! The caller has the first core alone. Every other thread of the process is on the second one.

use std::env;
use std::error::Error;
use std::fs;
use std::hint;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use hdrhistogram::Histogram;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::common::clean_text;
use crate::event::{Event, MARK};
use crate::loggers::{self, Logger};
use crate::sequential::Sequential;

/// Calls before the measured ones, on each thread.
const WARM_UP: u64 = 500;

/// When the next call is due.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub enum Pace {
    /// At once.
    FlatOut,
    /// This many times a second. The thread reads the clock until then, so its core stays awake.
    Spun(u32),
    /// This many times a second. The thread sleeps until then, as that of a service does.
    Slept(u32),
}

impl Pace {
    fn wait(self, begin: Instant, call: u64) {
        let due = |rate: u32| begin + Duration::from_secs_f64(call as f64 / f64::from(rate));
        match self {
            Self::FlatOut => {}
            Self::Spun(rate) => {
                while Instant::now() < due(rate) {
                    hint::spin_loop();
                }
            }
            Self::Slept(rate) => {
                thread::sleep(due(rate).saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// What is to be run.
#[derive(Clone, Deserialize, Serialize)]
pub struct Task {
    pub peer: String,
    pub pace: Pace,
    /// Calls of all threads together.
    pub calls: u64,
    pub threads: u64,
    /// Bytes of text.
    pub bytes: usize,
    /// The number of fields, each with the text, or `None` for the four of [`Event`].
    pub fields: Option<usize>,
    /// Whether the floor rules by `regex` go over the text first.
    pub redact: bool,
}

/// What came of it.
#[derive(Deserialize, Serialize)]
pub struct Outcome {
    /// How often a call took this many nanoseconds.
    pub ns: Vec<(u64, u64)>,
    pub emitted: u64,
    /// Events that are in the file as complete JSON.
    pub arrived: u64,
    /// Events that the settings told the logger to leave out.
    pub left_out: u64,
}

impl Outcome {
    pub fn lost(&self) -> u64 {
        self.emitted - self.arrived - self.left_out
    }

    pub fn histogram(&self) -> Result<Histogram<u64>, Box<dyn Error>> {
        let mut histogram = Histogram::new(3)?;
        for (ns, count) in &self.ns {
            histogram.record_n(*ns, *count)?;
        }
        Ok(histogram)
    }
}

/// Has a child do `what` of this program. Its files are in memory, and are removed at once.
pub fn ask<A: for<'j> Deserialize<'j>>(what: &str, task: &Task) -> Result<A, Box<dyn Error>> {
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let child = Command::new(env::current_exe()?)
        .args([what, &serde_json::to_string(task)?])
        .arg(folder.path())
        .output()?;
    if !child.status.success() {
        let said = String::from_utf8_lossy(&child.stderr);
        return Err(format!("{}: the child ended with {}: {said}", task.peer, child.status).into());
    }
    Ok(serde_json::from_slice(&child.stdout)?)
}

/// Runs a task in this process, with the logger's files in this folder.
pub fn run(task: &Task, folder: &Path) -> Result<Outcome, Box<dyn Error>> {
    let cores = cores()?; // all of them, because `start` pins this thread
    let logger = start(task, folder)?;
    let ns = call(task, &*logger, &cores)?;
    let left_out = logger.close();
    let emitted = task.calls / task.threads * task.threads + WARM_UP * task.threads;
    let is_event =
        |line: &&String| line.contains(MARK) && serde_json::from_str::<IgnoredAny>(line).is_ok();
    let arrived = lines(folder)?.iter().filter(is_event).count() as u64;
    assert!(arrived + left_out <= emitted, "an event is in the file twice");
    let ns = ns.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect();
    Ok(Outcome { ns, emitted, arrived, left_out })
}

/// Starts the logger of a task with all of its threads on the second core.
pub fn start(task: &Task, folder: &Path) -> Result<Box<dyn Logger>, Box<dyn Error>> {
    core_affinity::set_for_current(cores()?[1]);
    let peer = loggers::named(&task.peer).ok_or_else(|| format!("unknown logger {}", task.peer))?;
    Ok((peer.start)(folder))
}

/// Returns the lines of all files in a folder.
pub fn lines(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut lines = Vec::new();
    for path in paths.collect::<Result<Vec<PathBuf>, Box<dyn Error>>>()? {
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            lines.extend(fs::read_to_string(path)?.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

fn cores() -> Result<Vec<CoreId>, Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if cores.len() < 2 {
        return Err("the caller and the logger need a core each, and there is one".into());
    }
    Ok(cores)
}

/// Calls the logger from all threads, and returns the nanoseconds of each call.
fn call(
    task: &Task,
    logger: &dyn Logger,
    cores: &[CoreId],
) -> Result<Histogram<u64>, Box<dyn Error>> {
    let (text, floor) = (clean_text(task.bytes), Sequential::new());
    let step = || match task.fields {
        Some(fields) => logger.log_fields(fields, &text),
        None if task.redact => logger.log(&Event::new(&floor.redact(&text))),
        None => logger.log(&Event::new(&text)),
    };
    let barrier = Barrier::new(task.threads as usize);
    let work = |number: usize| {
        core_affinity::set_for_current(cores[number % cores.len()]);
        (0..WARM_UP).for_each(|_| step());
        if task.threads == 1 {
            assert_eq!(threads_apart(), 1, "a thread of the logger is on the caller's core");
        }
        barrier.wait();
        timed(task, step)
    };
    let mut all = Histogram::new(3)?;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..task.threads).map(|number| scope.spawn(move || work(number as usize))).collect();
        for thread in threads {
            all.add(thread.join().expect("a logger does not panic"))?;
        }
        Ok(all)
    })
}

/// Makes the calls of one thread.
fn timed(task: &Task, step: impl Fn()) -> Histogram<u64> {
    let mut ns = Histogram::new(3).expect("three digits");
    let begin = Instant::now();
    for call in 0..task.calls / task.threads {
        task.pace.wait(begin, call);
        let start = Instant::now();
        step();
        let took = start.elapsed().as_nanos();
        ns.record(took as u64).expect("the histogram grows by itself");
    }
    ns
}

/// Counts the threads of this process that may not run where the main thread may.
fn threads_apart() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists threads").flatten();
    // A thread that has ended in the meantime has no status.
    let allowed = |status: PathBuf| {
        let status = fs::read_to_string(status).ok()?;
        Some(status.lines().find(|line| line.starts_with("Cpus_allowed_list"))?.to_owned())
    };
    let main = allowed("/proc/self/status".into());
    tasks
        .filter_map(|task| allowed(task.path().join("status")))
        .filter(|cores| Some(cores) != main.as_ref())
        .count()
}
