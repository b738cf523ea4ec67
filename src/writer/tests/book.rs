//! Reads the files of a log, and checks them against what must be true.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::Accounting;

/// The facts that all lines of one instance report together.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// The numbers of event lines, each with the event's own `n`. It is `None` if there was only
    /// memory for the head of the event.
    pub(super) held: BTreeMap<u64, Option<u64>>,
    /// Numbers that `audit.loss` lines report.
    pub(super) lost: BTreeSet<u64>,
    pub(super) overwritten: u64,
    pub(super) io_lost: u64,
    /// Events in its `audit.totals` lines.
    pub(super) totals: u64,
    /// The numbers of its `audit.totals` lines.
    pub(super) notices: BTreeSet<u64>,
    /// The `data` of its `audit.retired` lines, one for each removed file.
    pub(super) retired: Vec<Value>,
    /// The `data` of its `audit.stop` line.
    pub(super) stop: Option<Value>,
}

/// Adds whole lines, by instance. Checks that each one parses, and that no number occurs twice.
pub(super) fn read<'a>(
    books: &mut BTreeMap<String, Book>,
    lines: impl IntoIterator<Item = &'a [u8]>,
) {
    for line in lines {
        let value: Value = serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
        let book = books.entry(value["instance"].as_str().unwrap().to_owned()).or_default();
        book.take(&value);
    }
}

impl Book {
    /// Returns the events' own `n`. Checks that none occurs twice.
    pub(super) fn ns(&self) -> BTreeSet<u64> {
        let mut ns = BTreeSet::new();
        let is_new = self.held.values().flatten().all(|n| ns.insert(*n));
        assert!(is_new, "an event is written twice");
        ns
    }

    fn take(&mut self, line: &Value) {
        let (kind, data) = (line["event_type"].as_str().unwrap(), &line["data"]);
        let count = |name: &str| data[name].as_u64().unwrap();
        match kind {
            "audit.loss" => {
                let range = count("first_seq")..=count("last_seq");
                let (overwritten, io_lost) = (count("overwritten"), count("io_lost"));
                assert_eq!(range.clone().count() as u64, overwritten + io_lost, "{line}");
                self.overwritten += overwritten;
                self.io_lost += io_lost;
                self.lost.extend(range);
            }
            // After a write that failed and could not be cut off, lines may be there twice.
            "audit.totals" if self.notices.insert(line["notice"].as_u64().unwrap()) => {
                let rows = data["rows"].as_array().unwrap();
                self.totals += rows.iter().map(|row| row["events"].as_u64().unwrap()).sum::<u64>();
            }
            "audit.retired" => self.retired.push(data.clone()),
            "audit.stop" => {
                assert!(self.stop.replace(data.clone()).is_none(), "a second end");
            }
            "audit.start" | "audit.totals" => {}
            _ => {
                let seq = line["seq"].as_u64().unwrap();
                let before = self.held.insert(seq, data["n"].as_u64());
                assert_eq!(before, None, "{seq} is written twice");
            }
        }
    }

    /// Returns all numbers that lines have or report as lost.
    pub(super) fn numbers(&self) -> BTreeSet<u64> {
        self.held.keys().chain(&self.lost).copied().collect()
    }

    /// Returns what `audit.retired` must report about this instance, if a file took all lines of
    /// this book with it. Returns `None` if they have no number.
    pub(super) fn as_retired(&self, instance: &str) -> Option<Value> {
        let numbers = self.numbers();
        Some(json!({
            "instance": instance,
            "first_seq": numbers.first()?,
            "last_seq": numbers.last()?,
            "events": self.held.len(),
            "overwritten": self.overwritten,
            "io_lost": self.io_lost,
        }))
    }

    /// Checks a log that could be written to its end. Every number is in a line or reported as
    /// lost, and the accounting agrees. If a failed write could not be cut off, a lost number may
    /// be in a line as well, or be reported twice.
    pub(super) fn assert_complete(&self, accounting: &Accounting, may_keep_fragments: bool) {
        assert!(accounting.adds_up(), "{accounting:?}");
        assert_eq!(accounting.queued, 0);
        let held: BTreeSet<u64> = self.held.keys().copied().collect();
        let numbers = self.numbers();
        let last = numbers.last().copied().unwrap_or(0);
        let missing: Vec<u64> = (1..=last).filter(|seq| !numbers.contains(seq)).collect();
        assert!(missing.is_empty(), "no line has or reports {missing:?}, up to {last}");
        let both: Vec<_> = held.intersection(&self.lost).collect();
        assert!(may_keep_fragments || both.is_empty(), "held and lost: {both:?}");
        assert_eq!((held.len() - both.len()) as u64, accounting.written);
        if may_keep_fragments {
            assert!(self.lost.len() as u64 >= accounting.overwritten + accounting.io_lost);
        } else {
            assert_eq!(self.overwritten, accounting.overwritten);
            assert_eq!(self.io_lost, accounting.io_lost);
            assert_eq!(self.lost.len() as u64, self.overwritten + self.io_lost, "told twice");
        }
    }

    /// Checks that the last line agrees, if no event was emitted after it.
    pub(super) fn assert_stop(&self, accounting: &Accounting) {
        let stop = self.stop.as_ref().expect("an audit.stop");
        for (name, count) in accounting.ends() {
            assert_eq!(stop[name], count, "{name}: {stop}");
        }
        assert_eq!(stop["emitted"], accounting.emitted);
        assert_eq!(stop["in_flight"], 0);
        assert_eq!(self.totals, accounting.emitted - accounting.rejected, "in totals");
    }
}

/// Returns the whole lines of a text, and what follows the last one.
pub(super) fn split(text: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let (whole, torn) = text.split_at(memchr::memrchr(b'\n', text).map_or(0, |at| at + 1));
    (whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()), torn)
}

/// Runs `run` with each of `runs` seeds, and prints a seed that fails. If `LLM_AUDIT_SEED` is set,
/// it runs that one. If `LLM_AUDIT_RUNS` is set, it runs that many.
pub(super) fn with_seeds(runs: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match asked("LLM_AUDIT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("LLM_AUDIT_RUNS").unwrap_or(runs),
    };
    for seed in seeds {
        if std::panic::catch_unwind(|| run(seed)).is_err() {
            panic!("seed {seed} failed; LLM_AUDIT_SEED={seed} runs it alone");
        }
    }
}
