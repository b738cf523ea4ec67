//! The numbers and the accounting of one instance.

use super::ranges::{SeqRanges, seq_range_text, subtract_seq_ranges};
use super::report::Verification;
use crate::schema::notices::{Loss, Seqs, Started, Stopped, Totals};

/// How many gaps of one instance are reported one by one.
pub(super) const GAPS_MAX: usize = 20;

/// What `audit.retired` lines say of one instance.
#[derive(Default)]
pub(super) struct RemovedSeqs {
    ranges: Vec<(u64, u64)>,
    events: u64,
    overwritten: u64,
    io_lost: u64,
}

impl RemovedSeqs {
    /// Adds what an `audit.retired` line says of this instance.
    pub(super) fn add(&mut self, seqs: &Seqs) {
        let add = |to: &mut u64, count: u64| *to = to.saturating_add(count);
        self.ranges.push((seqs.first_seq, seqs.last_seq));
        add(&mut self.events, seqs.events);
        add(&mut self.overwritten, seqs.overwritten);
        add(&mut self.io_lost, seqs.io_lost);
    }
}

/// What is known of one instance.
#[derive(Default)]
pub(super) struct InstanceTally {
    pub(super) id: String,
    /// Who writes, by its last `audit.start`.
    pub(super) started: Started,
    /// Its first file is here, so that its numbers begin at 1.
    pub(super) from_the_start: bool,
    pub(super) events: u64,
    pub(super) held: SeqRanges,
    lost: Vec<(u64, u64)>,
    pub(super) overwritten: u64,
    pub(super) io_lost: u64,
    pub(super) stop: Option<StopAccounting>,
    pub(super) last_file: usize,
}

/// The accounting of an `audit.stop` line.
pub(super) struct StopAccounting {
    file: String,
    line: u64,
    pub(super) stopped: Option<Stopped>,
}

impl StopAccounting {
    fn totals(&self) -> Option<Totals> {
        self.stopped.as_ref().map(|stopped| stopped.totals)
    }
}

impl InstanceTally {
    pub(super) fn for_instance(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    pub(super) fn add_start(&mut self, start: Started) -> Option<String> {
        self.from_the_start |= start.first && self.events == 0;
        self.started = start;
        None
    }

    pub(super) fn add_event(&mut self, seq: Option<u64>) -> Option<String> {
        self.events += 1;
        let seq = seq?;
        if seq == 0 {
            return Some("seq is 0; numbers begin at 1".to_owned());
        }
        let last = self.held.first_and_last().map_or(0, |(_, last)| last);
        if !self.held.insert(seq) {
            return Some(format!("seq {seq} is in two lines"));
        }
        if seq < last {
            return Some(format!("seq {seq} comes after {last}"));
        }
        let stop = self.stop.as_ref()?;
        Some(format!("an event after audit.stop at {}:{}", stop.file, stop.line))
    }

    pub(super) fn add_loss(&mut self, loss: Option<Loss>) -> Option<String> {
        let Some(Loss { first_seq: first, last_seq: last, overwritten, io_lost }) = loss else {
            return Some("audit.loss without first_seq, last_seq, overwritten, io_lost".to_owned());
        };
        self.overwritten = self.overwritten.saturating_add(overwritten);
        self.io_lost = self.io_lost.saturating_add(io_lost);
        if first == 0 || last < first {
            return Some(format!(
                "audit.loss of the numbers {first} to {last}, which is not a range"
            ));
        }
        self.lost.push((first, last));
        let (range, told) = (last - first + 1, overwritten.saturating_add(io_lost));
        (range != told).then(|| {
            format!(
                "audit.loss reports {told} lost events, its range {first} to {last} has {range}"
            )
        })
    }

    pub(super) fn add_stop(
        &mut self,
        stopped: Option<Stopped>,
        (file, number): (&str, u64),
    ) -> Option<String> {
        let is_whole = stopped.is_some();
        self.stop = Some(StopAccounting { file: file.to_owned(), line: number, stopped });
        (!is_whole).then(|| "audit.stop without the whole accounting".to_owned())
    }

    /// Compares the numbers in lines with those that `audit.loss` and `audit.retired` lines name.
    /// Returns how many are in neither.
    pub(super) fn check_numbers(&self, removed: &RemovedSeqs, report: &mut Verification) -> u64 {
        if self.overwritten > 0 || self.io_lost > 0 {
            let (overwritten, io_lost) = (self.overwritten, self.io_lost);
            let lost = overwritten.saturating_add(io_lost);
            let events = if lost == 1 { "event" } else { "events" };
            let what =
                format!("{lost} {events} lost: {overwritten} overwritten, {io_lost} io_lost");
            report.add_finding(None, Some(&self.id), what);
        }
        let mut ranges: Vec<(u64, u64)> =
            self.held.iter().chain(self.lost.iter().copied()).collect();
        ranges.sort_unstable();
        let gone = removed.ranges.iter().map(|range| range.0).min();
        let first = ranges.first().map(|range| range.0).or(gone).unwrap_or(1);
        let mut expected = if self.from_the_start { 1 } else { first };
        let (mut unexplained, mut gaps) = (0_u64, 0);
        let mut gap = |between: (u64, u64), report: &mut Verification| {
            for (first, last) in subtract_seq_ranges(between, &removed.ranges) {
                unexplained += last - first + 1;
                gaps += 1;
                if gaps <= GAPS_MAX {
                    let what =
                        format!("{} in no line and in no audit.loss", seq_range_text(first, last));
                    report.add_finding(None, Some(&self.id), what);
                }
            }
        };
        for &(first, last) in &ranges {
            if first > expected {
                gap((expected, first - 1), report);
            } else if first < expected {
                let numbers = seq_range_text(first, last.min(expected - 1));
                let what = format!("{numbers} reported as lost, and present or reported twice");
                report.add_finding(None, Some(&self.id), what);
            }
            expected = expected.max(last.saturating_add(1));
        }
        // If retention removed all that this instance said about its numbers, the lines about the
        // last ones may have gone with other files, too.
        let says_some = self.from_the_start || !ranges.is_empty();
        let totals = self.stop.as_ref().and_then(StopAccounting::totals);
        if let Some(last) = totals.map(Totals::last_seq).filter(|_| says_some)
            && last >= expected
        {
            gap((expected, last), report);
        }
        if gaps > GAPS_MAX {
            let what = format!("{gaps} gaps; {unexplained} numbers in no line and no audit.loss");
            report.add_finding(None, Some(&self.id), what);
        }
        unexplained
    }

    /// Compares the accounting of `audit.stop` with itself and with the lines.
    pub(super) fn check_counts(&self, removed: &RemovedSeqs, report: &mut Verification) {
        let Some(stop @ StopAccounting { file, line, .. }) = &self.stop else { return };
        let Some(totals) = stop.totals() else { return };
        let mut find = |what| report.add_finding(Some((file, *line)), Some(&self.id), what);
        let (emitted, ends) = (totals.emitted, totals.ends());
        if emitted != ends {
            find(format!("audit.stop does not add up: {emitted} emitted, {ends} ends"));
        }
        if totals.queued != 0 {
            find(format!("audit.stop leaves {} events queued", totals.queued));
        }
        let compare = [
            ("written", totals.written, self.events, removed.events),
            ("overwritten", totals.overwritten, self.overwritten, removed.overwritten),
            ("io_lost", totals.io_lost, self.io_lost, removed.io_lost),
        ];
        for (name, told, found, removed) in compare {
            // Files that were removed took lines with them, but added none.
            let is_all = told == found || told == found.saturating_add(removed);
            if told < found || (self.from_the_start && !is_all) {
                find(format!("audit.stop says {told} {name}; the files hold {found}"));
            }
        }
    }
}
