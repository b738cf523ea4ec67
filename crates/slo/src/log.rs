//! A log that was read to be judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use llm_audit_log::{Folder, Lines, LogFile};

use crate::error::Error;
use crate::explain::Explanation;
use crate::minutes::{CostWindow, LogReader, Minutes, ReaderState};
use crate::objectives::{Objectives, Rule};
use crate::rules::RuleOutcome;
use crate::span::{MINUTE, floor};
use crate::verdict::Judgement;

/// How often a folder is looked at again for files that were begun meanwhile.
const LISTS_MAX: usize = 4;

/// A log that was read to be judged by objectives.
///
/// # Examples
///
/// ```no_run
/// use llm_audit_log::Folder;
/// use llm_audit_slo::{JudgedLog, Objectives, Verdict};
///
/// let folder = Folder::open("logs")?;
/// let log = JudgedLog::read(&folder, Objectives::built_in(), None, |_| {})?;
/// let judged = log.judge(None, i64::MAX);
/// assert!(judged.iter().all(|judgement| judgement.verdict != Verdict::Breached));
/// # Ok::<(), llm_audit_slo::Error>(())
/// ```
#[derive(Debug)]
pub struct JudgedLog {
    objectives: Arc<Objectives>,
    minutes: Minutes,
    /// Lines that cannot be read.
    pub bad_lines: u64,
    /// Whether lines were sampled and no totals count them, so that the counts are estimates.
    pub is_estimate: bool,
    /// Files that cannot be read to their ends.
    pub damage: Vec<llm_audit_log::Error>,
}

impl JudgedLog {
    /// Reads a log of one service, or of all services as if they were one. From time to time `progress` gets the
    /// number of bytes that are read.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed again, or a file not be read again.
    pub fn read(
        folder: &Folder,
        objectives: Objectives,
        service: Option<&str>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, Error> {
        let objectives = Arc::new(objectives);
        let mut reader = LogReader::new(Arc::clone(&objectives), ReaderState::default());
        let mut damage = Vec::new();
        let mut folder = folder.clone();
        let mut files = folder.files().to_vec();
        for _ in 0..LISTS_MAX {
            add_files(&files, &mut reader, &mut damage, &mut progress);
            reader.settle(&folder)?;
            let again = folder.reopen()?;
            files = again.files().iter().filter(|file| is_new(file, &folder)).cloned().collect();
            if files.is_empty() {
                break;
            }
            folder = again;
        }
        // No line came, so that a logger that seemed to be dead is dead.
        reader.settle(&folder)?;
        let minutes = match service {
            Some(service) => reader.minutes_of(service).into_owned(),
            None => reader.minutes_of_all(),
        };
        let (bad_lines, is_estimate) = (reader.bad_lines, reader.has_weighed);
        Ok(Self { objectives, minutes, bad_lines, is_estimate, damage })
    }

    /// Returns the objectives.
    pub fn objectives(&self) -> &Objectives {
        &self.objectives
    }

    /// Returns the time that the log covers, in whole minutes: from, and to before. `None` if it has no event.
    pub fn period(&self) -> Option<(i64, i64)> {
        self.minutes.range().map(|(first, last)| (first, last + MINUTE))
    }

    /// Judges every objective that has a target. Each is judged over its window before `until`, or before the end of
    /// the log if that is earlier. With `since` they are judged from then on.
    pub fn judge(&self, since: Option<i64>, until: i64) -> Vec<Judgement<'_>> {
        let since = since.map(|since| floor(since, MINUTE));
        self.objectives.judge(&self.minutes, since, self.end_before(until))
    }

    /// Computes every alert rule at the end of the minute before `until`, or at the end of the log if that is
    /// earlier.
    pub fn evaluate_rules(&self, until: i64) -> Vec<(&Rule, Vec<RuleOutcome>)> {
        let end = self.end_before(until);
        let rules = self.objectives.rules.iter().map(|rule| {
            let objective = &self.objectives.objectives[rule.objective];
            let mut costs = CostWindow::new(&self.minutes, rule.objective);
            (rule, rule.evaluate(objective, &mut costs, end, &BTreeSet::new()))
        });
        rules.collect()
    }

    /// Computes a rule again, minute by minute, over the time from `since` on and before `until`. Without `since`
    /// it is a day. Returns `None` if there is no such rule.
    pub fn explain(&self, rule: &str, since: Option<i64>, until: i64) -> Option<Explanation<'_>> {
        let (rule, objective) = self.objectives.rule(rule)?;
        let since = since.map(|since| floor(since, MINUTE));
        Some(Explanation::of(rule, objective, &self.minutes, since, self.end_before(until)))
    }

    #[cfg(test)]
    pub(crate) fn minutes(&self) -> Minutes {
        self.minutes.clone()
    }

    fn end_before(&self, until: i64) -> i64 {
        let end = self.period().map_or(0, |(_, end)| end);
        end.min(floor(until, MINUTE))
    }
}

fn add_files(
    files: &[LogFile],
    reader: &mut LogReader,
    damage: &mut Vec<llm_audit_log::Error>,
    progress: &mut impl FnMut(u64),
) {
    let mut lines = Lines::of(files);
    loop {
        match lines.next_line() {
            Ok(Some(mut entry)) => reader.add(&mut entry),
            Ok(None) => return,
            Err(error) => damage.push(error),
        }
        progress(lines.bytes_read());
    }
}

fn is_new(file: &LogFile, folder: &Folder) -> bool {
    // A file that was compressed meanwhile has another name, and begins with the old one.
    !folder.files().iter().any(|old| file.name().starts_with(old.name()))
}
