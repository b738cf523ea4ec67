//! Counts events by `audit.totals`, and by lines if there are none.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use serde::Serialize;

use crate::query::timeline::MINUTE;
use crate::query::{Filter, GroupBy};
use crate::schema::notices::{EventTotals, ReadNotice, Started, UserTotals};
use crate::schema::{CaptureContent, Line, MetricsRow};

/// The most instances of which lines are held that totals may still contain.
const HELD_MAX: usize = 64;
/// How much later than the period the minute of totals may begin that contain lines of it.
const LATER_MAX: i64 = 2 * MINUTE;

/// What events add up to.
pub trait Sums: Clone {
    /// Adds the events of a row of totals, which were at these times.
    fn add_row(&mut self, row: &MetricsRow, times: Range<i64>);

    /// Adds the users of totals. Their figures are those of all events of the minute, whatever the filter asks for
    /// besides the time.
    fn add_users(&mut self, _users: &UserTotals) {}

    /// Adds the sums of other events.
    fn merge(&mut self, other: &Self);
}

/// Counts the events of a log exactly, even if sampling left some out.
///
/// A recorder counts its events before it samples them, and writes an `audit.totals` line each minute. These
/// figures count instead of its lines. Lines after its last totals count by their
/// [weights](crate::Writers::weight_of), and so do all lines of an instance without totals. So do all lines if
/// the labels of totals do not answer the question: if it is about a trace, a latency, an expression, or a field
/// in `data` other than the model and the tenant.
///
/// Totals of more than a minute come after the log could not be written. Their events count in the last of these
/// minutes.
///
/// The period is one of whole minutes for what totals count. It has the minute of `since`, and ends before the one
/// of `until`. At most 64 instances have lines whose totals may still come. If there are more, those of the one
/// that was read first are counted.
///
/// # Examples
///
/// ```no_run
/// use llm_audit_log::{Counting, Filter, Folder, Groups, Scan};
///
/// let by = vec!["model".parse()?];
/// let mut counting = Counting::new(Groups::new(by.clone()), &Filter::default(), &by);
/// let folder = Folder::open("logs")?;
/// let scan = Scan::of(&folder).totals(counting.totals());
/// scan.for_each_line(
///     |line, weight| match weight {
///         None => counting.note(line),
///         Some(weight) => counting.add(line, weight, |groups| groups.add(line, weight)),
///     },
///     |_| {},
/// );
/// let (groups, basis) = counting.finish();
/// println!("{} events, {} of them counted before sampling", groups.total.events, basis.counted);
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Counting<T> {
    filter: Filter,
    has_totals: bool,
    empty: T,
    sums: T,
    /// The instances that write totals.
    instances: HashMap<Vec<u8>, Counted>,
    /// Lines that later totals may contain, of each instance, in the order in which they began.
    held: VecDeque<Held<T>>,
    basis: Basis,
}

/// What figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Basis {
    /// Events that were counted before sampling.
    pub counted: u64,
    /// Events whose labels count as `other`, because there were too many. They are those of the period, whatever
    /// else is asked for.
    pub others: u64,
    /// Instances whose last lines are after their last totals and are estimated.
    pub estimated_instances: u64,
    /// The longest time of such lines, in microseconds.
    pub estimated_us: i64,
    /// Totals that cannot be read. The lines before them are estimated.
    pub unreadable: u64,
    /// Lines of the log itself that are missing. If they were totals, their events are not counted.
    pub missing: u64,
}

/// How far an instance has counted its events.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    through_seq: u64,
    /// The end of its last totals and when they were written, in microseconds since the Unix epoch.
    to: i64,
    written: i64,
    /// Whether events wait that have content.
    holds_content: bool,
    /// The number and the time of its last own line.
    last: Option<(u64, i64)>,
    /// The number of its last totals.
    totals: Option<u64>,
    /// When it began, if its first file was read.
    started: Option<i64>,
}

/// Lines of one instance that its next totals may contain.
#[derive(Clone, Debug)]
struct Held<T> {
    instance: Vec<u8>,
    sums: T,
    last_seq: u64,
    is_estimate: bool,
    /// The first time and the last one.
    times: Option<(i64, i64)>,
}

impl<T: Sums> Counting<T> {
    /// Begins to count events that the filter wants, in sums that are told apart `by` these values.
    pub fn new(empty: T, filter: &Filter, by: &[GroupBy]) -> Self {
        Self {
            filter: filter.clone(),
            has_totals: filter.is_of_labels() && by.iter().all(GroupBy::is_label),
            sums: empty.clone(),
            empty,
            instances: HashMap::new(),
            held: VecDeque::new(),
            basis: Basis::default(),
        }
    }

    /// Counts the lines alone.
    pub fn without_totals(self) -> Self {
        Self { has_totals: false, ..self }
    }

    /// Returns when the minutes of totals begin that are needed, for [`Scan::totals`](crate::Scan::totals). Returns `None` if
    /// totals do not answer the question.
    pub fn totals(&self) -> Option<Range<i64>> {
        let from = self.filter.since.map_or(i64::MIN, |since| since.saturating_sub(MINUTE));
        let to = self.filter.until.map_or(i64::MAX, |until| until.saturating_add(LATER_MAX));
        self.has_totals.then_some(from..to)
    }

    /// Adds an event that the filter wants, unless totals contain it. `add` adds it to sums.
    pub fn add(&mut self, line: &Line<'_>, weight: f64, add: impl FnOnce(&mut T)) {
        let instance = line.instance_bytes().filter(|_| !self.instances.is_empty());
        let counted = instance.and_then(|id| Some((id, self.instances.get(id)?)));
        let (Some((id, counted)), Some(seq)) = (counted, line.seq()) else {
            return add(&mut self.sums);
        };
        if seq > counted.through_seq && !counted.is_before_totals(line) {
            let held = self.held_of(id);
            add(&mut held.sums);
            held.note(seq, line.timestamp(), weight);
        }
    }

    fn held_of(&mut self, instance: &[u8]) -> &mut Held<T> {
        if let Some(at) = self.held.iter().position(|held| held.instance == instance) {
            return &mut self.held[at];
        }
        if self.held.len() == HELD_MAX {
            self.count_held(0);
        }
        self.held.push_back(Held {
            instance: instance.to_vec(),
            sums: self.empty.clone(),
            last_seq: 0,
            is_estimate: false,
            times: None,
        });
        self.held.back_mut().expect("one was added")
    }

    /// Counts lines that no totals contain.
    fn count_held(&mut self, at: usize) {
        let Some(held) = self.held.remove(at) else { return };
        self.sums.merge(&held.sums);
        if held.is_estimate {
            let length = held.times.map_or(0, |(first, last)| last.saturating_sub(first));
            self.basis.estimated_instances += 1;
            self.basis.estimated_us = self.basis.estimated_us.max(length);
        }
    }

    /// Notes one of the log's own lines.
    pub fn note(&mut self, line: &Line<'_>) {
        let Some(id) = line.instance_bytes().filter(|_| self.has_totals) else { return };
        let notice = ReadNotice::of(line);
        if let Some(ReadNotice::Start(Started { totals: true, first, capture_content, .. })) =
            &notice
        {
            let counted = self.instances.entry(id.to_vec()).or_default();
            counted.holds_content = *capture_content == Some(CaptureContent::Failed);
            if *first {
                counted.started = line.timestamp();
            }
        }
        let Some(counted) = self.instances.get_mut(id) else { return };
        self.basis.missing += counted.note_place(line, &self.filter);
        let is_again = line.notice().is_some() && counted.totals == line.notice();
        let held = self.held.iter().position(|held| held.instance == id);
        match notice {
            // A write that failed half-way was done again.
            Some(ReadNotice::Totals(_)) if is_again => {}
            Some(ReadNotice::Totals(Some(totals))) => {
                counted.totals = line.notice();
                counted.through_seq = counted.through_seq.max(totals.through_seq);
                counted.to = totals.to;
                counted.written = line.timestamp().unwrap_or(totals.to);
                if let Some(at) = held.filter(|at| self.held[*at].last_seq <= totals.through_seq) {
                    self.held.remove(at);
                }
                let times = counted.times_of(&totals, line.timestamp());
                self.add_totals(&totals, &times);
            }
            Some(ReadNotice::Totals(None)) => {
                let times = self.totals().zip(line.timestamp());
                self.basis.unreadable += u64::from(times.is_some_and(|(of, at)| of.contains(&at)));
                held.into_iter().for_each(|at| self.count_held(at));
            }
            _ => {}
        }
    }

    fn add_totals(&mut self, totals: &EventTotals, times: &Range<i64>) {
        if !self.filter.matches_minute(totals.minute()) {
            return;
        }
        self.basis.others = self.basis.others.saturating_add(totals.others);
        for row in totals.rows.iter().filter(|row| self.filter.matches_row(row)) {
            self.basis.counted = self.basis.counted.saturating_add(row.events);
            self.sums.add_row(row, times.clone());
        }
        self.sums.add_users(&totals.users);
    }

    /// Returns how many events totals have counted so far.
    pub fn counted(&self) -> u64 {
        self.basis.counted
    }

    /// Returns the sums and what they come from.
    pub fn finish(mut self) -> (T, Basis) {
        while !self.held.is_empty() {
            self.count_held(0);
        }
        (self.sums, self.basis)
    }
}

impl Counted {
    /// Reports whether totals have an event although its line comes later: it was held, or was emitted after the end
    /// of their minute and before they were written.
    fn is_before_totals(&self, line: &Line<'_>) -> bool {
        let is_early =
            |time| time < self.written && (time >= self.to || line.may_be_held(self.holds_content));
        line.timestamp().is_some_and(is_early)
    }

    /// When the events of totals were: in their minute, after the instance began and before the line was written.
    fn times_of(&self, totals: &EventTotals, written: Option<i64>) -> Range<i64> {
        let minute = totals.minute();
        let start = self.started.map_or(minute, |started| started.max(minute));
        let end = totals.to.min(written.unwrap_or(totals.to));
        start..end.max(start)
    }

    /// Notes the number and the time of an own line. Returns how many are missing before it, if all of that time
    /// were asked for.
    fn note_place(&mut self, line: &Line<'_>, filter: &Filter) -> u64 {
        let Some((number, time)) = line.notice().zip(line.timestamp()) else { return 0 };
        let before = self.last.replace((number, time));
        let before = before.filter(|(_, since)| filter.is_within(*since, time));
        before.map_or(0, |(before, _)| number.saturating_sub(before.saturating_add(1)))
    }
}

impl<T> Held<T> {
    fn note(&mut self, seq: u64, time: Option<i64>, weight: f64) {
        self.last_seq = self.last_seq.max(seq);
        self.is_estimate |= weight != 1.0;
        if let Some(time) = time {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
    }
}
