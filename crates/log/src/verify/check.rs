//! What is gathered while the lines of a log go by.

use std::collections::HashMap;

use super::report::{Instance, State, Verification};
use super::tally::{InstanceTally, RemovedSeqs};
use crate::folder::{Ending, Entry};
use crate::schema::Line;
use crate::schema::ids::is_instance;
use crate::schema::is_event_type_name;
use crate::schema::notices::{self, Retired};
use crate::writers::Writers;

/// A line, and what it shows alone. Several threads read entries.
pub(super) struct ReadEntry<'a> {
    line: Result<Line<'a>, String>,
    faults: Vec<String>,
}

impl<'a> ReadEntry<'a> {
    pub(super) fn of(entry: Entry<'a>) -> Self {
        let (line, faults) = match entry.ending {
            Ending::Torn if !entry.bytes.contains(&0) => {
                (Err("torn: the line has no newline".to_owned()), Vec::new())
            }
            _ => match entry.into_line(false) {
                Ok(line) => {
                    let faults = faults_of_line(&line);
                    (Ok(line), faults)
                }
                Err(error) => (Err(error.to_string()), Vec::new()),
            },
        };
        Self { line, faults }
    }
}

fn own_instance<'l>(line: &'l Line<'_>) -> Option<&'l str> {
    line.instance().filter(|id| is_instance(id))
}

fn faults_of_line(line: &Line<'_>) -> Vec<String> {
    if own_instance(line).is_none() {
        // Written by another program, or of the time before instances: the readers' rules.
        return line.check().err().iter().map(ToString::to_string).collect();
    }
    let mut faults = Vec::new();
    if !line.is_faultless_event() {
        faults.extend(line.strict_faults().map(|(name, fault)| format!("{name} {fault}")));
    }
    if line.event_type().is_some_and(|name| !line.is_own() && !is_event_type_name(name)) {
        faults.push("event_type is no dotted lower-case name".to_owned());
    }
    faults
}

/// What is gathered while the lines go by.
#[derive(Default)]
pub(super) struct LogCheck {
    pub(super) report: Verification,
    pub(super) tallies: Vec<InstanceTally>,
    by_id: HashMap<String, usize>,
    /// For each file the instance of its last line so far.
    pub(super) last_writer: Vec<Option<String>>,
    /// What went with files that retention removed, by instance.
    removed: HashMap<String, RemovedSeqs>,
    /// Whether any logger here removes files.
    has_retention: bool,
    /// The only service that is checked, if one was asked for.
    service: Option<String>,
    writers: Writers,
}

impl LogCheck {
    pub(super) fn of_service(service: Option<&str>) -> Self {
        Self { service: service.map(str::to_owned), ..Self::default() }
    }

    /// Begins the next file.
    pub(super) fn begin_file(&mut self) {
        self.report.files += 1;
        self.last_writer.push(None);
    }

    pub(super) fn check_entry(&mut self, read: &ReadEntry<'_>, place: (&str, u64)) {
        self.report.lines += 1;
        match &read.line {
            Ok(line) => self.check_line(line, &read.faults, place),
            Err(what) => self.report.add_finding(Some(place), None, what.clone()),
        }
    }

    fn check_line(&mut self, line: &Line<'_>, faults: &[String], place: (&str, u64)) {
        if let Some(service) = &self.service {
            self.writers.note(line);
            if self.writers.service_of(line) != Some(service) {
                return;
            }
        }
        self.report.events += u64::from(!line.is_own());
        for fault in faults {
            self.report.add_finding(Some(place), None, fault.clone());
        }
        let Some(id) = own_instance(line) else { return };
        let notice = notices::ReadNotice::of(line);
        match &notice {
            Some(notices::ReadNotice::Start(start)) => self.has_retention |= start.has_retention,
            Some(notices::ReadNotice::Retired(retired)) => self.note_retired_file(retired, place),
            _ => {}
        }
        let tally = self.tally_of_instance(id);
        let what = match notice {
            Some(notices::ReadNotice::Start(start)) => tally.add_start(start),
            Some(notices::ReadNotice::Loss(loss)) => tally.add_loss(loss),
            Some(notices::ReadNotice::Stop(stopped)) => tally.add_stop(stopped, place),
            Some(notices::ReadNotice::Totals(None)) => {
                Some("audit.totals cannot be read: a time, a number or a row is missing".to_owned())
            }
            Some(_) => None,
            None => tally.add_event(line.seq()),
        };
        if let Some(what) = what {
            self.report.add_finding(Some(place), Some(id), what);
        }
    }

    /// Takes note of a file that retention removed.
    fn note_retired_file(&mut self, retired: &Retired, place: (&str, u64)) {
        self.report.retired += 1;
        self.has_retention = true;
        let Some(instances) = &retired.instances else {
            let what = "retention removed a file that it could not read: which numbers went with it \
                        is unknown";
            return self.report.add_finding(Some(place), None, what.to_owned());
        };
        for seqs in instances {
            self.removed.entry(seqs.instance.clone()).or_default().add(seqs);
        }
    }

    /// The tally of this instance, which is now the last to have written to the current file.
    fn tally_of_instance(&mut self, id: &str) -> &mut InstanceTally {
        let file = self.last_writer.len() - 1;
        if self.last_writer[file].as_deref() != Some(id) {
            self.last_writer[file] = Some(id.to_owned());
        }
        let at = self.by_id.get(id).copied().unwrap_or_else(|| {
            self.by_id.insert(id.to_owned(), self.tallies.len());
            self.tallies.push(InstanceTally::for_instance(id));
            self.tallies.len() - 1
        });
        let tally = &mut self.tallies[at];
        tally.last_file = file;
        tally
    }

    /// What every instance shows as a whole.
    pub(super) fn into_report(mut self, states: Vec<State>) -> Verification {
        let nothing = RemovedSeqs::default();
        for (tally, state) in self.tallies.iter_mut().zip(states) {
            tally.from_the_start |= !self.has_retention;
            let removed = self.removed.get(&tally.id).unwrap_or(&nothing);
            let unexplained = tally.check_numbers(removed, &mut self.report);
            tally.check_counts(removed, &mut self.report);
            if state == State::Killed {
                let what = "killed: no audit.stop; what was in its queue is unknown".to_owned();
                self.report.add_finding(None, Some(&tally.id), what);
            }
            let stopped = tally.stop.as_mut().and_then(|stop| stop.stopped.take());
            let counts = stopped.as_ref().map(|stopped| (stopped.hold_full, stopped.torn_traces));
            let (hold_full, torn_traces) = counts.unwrap_or_default();
            self.report.instances.push(Instance {
                id: tally.id.clone(),
                service: tally.started.service.take(),
                host: tally.started.host.take(),
                pid: tally.started.pid,
                events: tally.events,
                seq: tally.held.first_and_last(),
                overwritten: tally.overwritten,
                io_lost: tally.io_lost,
                unexplained,
                hold_full,
                torn_traces,
                refused: stopped.map(|stopped| stopped.refused).unwrap_or_default(),
                state,
            });
        }
        self.report
    }
}
