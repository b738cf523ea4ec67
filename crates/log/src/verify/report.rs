//! The result of a check: counts, instances and findings.

use std::collections::BTreeMap;
use std::fmt;

/// How many findings are kept with their text; all are counted.
pub(super) const FINDINGS_MAX: usize = 1_000;

/// What [`verify`](super::verify) found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines of any kind, bad ones included.
    pub lines: u64,
    /// Event lines, of any instance or none.
    pub events: u64,
    /// Files that retention removed, by the `audit.retired` lines.
    pub retired: u64,
    /// Every instance that wrote to these files, in the order of its first line.
    pub instances: Vec<Instance>,
    /// What is wrong, up to 1,000 of it: what a line shows in the order of the lines, then what an
    /// instance shows as a whole.
    pub findings: Vec<Finding>,
    /// All of it.
    pub findings_total: u64,
}

/// What one logger left in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Instance {
    /// Its 16 hex digits.
    pub id: String,
    /// The service, by its `audit.start`.
    pub service: Option<String>,
    /// The host, by its `audit.start`.
    pub host: Option<String>,
    /// The process, by its `audit.start`.
    pub pid: Option<u64>,
    /// Its event lines.
    pub events: u64,
    /// The first and the last number that a line of it holds.
    pub seq: Option<(u64, u64)>,
    /// Overwritten in the queue, by its `audit.loss` lines.
    pub overwritten: u64,
    /// Lost by the disk, by its `audit.loss` lines.
    pub io_lost: u64,
    /// Numbers that neither a line holds nor an `audit.loss` line explains.
    pub unexplained: u64,
    /// Events that sampling left out and the memory for held events had no room for, by its
    /// `audit.stop`.
    pub hold_full: u64,
    /// Failed traces that lack such events, by its `audit.stop`.
    pub torn_traces: u64,
    /// Lines of input that `record` refused, by reason, by its `audit.stop`.
    pub refused: BTreeMap<String, u64>,
    /// How it ended.
    pub state: State,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// With `audit.stop`.
    Closed,
    /// Not yet: it holds its file.
    Open,
    /// Without `audit.stop`. What was in its queue is unknown.
    Killed,
}

/// One thing that is wrong. It never quotes what a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file's name and the number of the line, if it is about one line.
    pub place: Option<(String, u64)>,
    /// The instance, if it is about one.
    pub instance: Option<String>,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "{file}:{line}: ")?;
        }
        if let Some(instance) = &self.instance {
            write!(f, "instance {instance}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl Verification {
    /// Whether nothing is wrong: no loss, no gap, no bad line, no killed instance.
    pub fn is_clean(&self) -> bool {
        self.findings_total == 0
    }

    pub(super) fn add_finding(
        &mut self,
        place: Option<(&str, u64)>,
        instance: Option<&str>,
        what: String,
    ) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            let place = place.map(|(file, line)| (file.to_owned(), line));
            let instance = instance.map(str::to_owned);
            self.findings.push(Finding { place, instance, what });
        }
    }
}
