//! The events that a subcommand asks for, one after the other.

use std::fmt::Display;
use std::ops::Range;

use llm_audit::reader::{Counting, Error, Folder, Line, Scan, Scanned, Sums};
use serde::Serialize;

use super::{FilterArgs, LogInput};
use crate::ui::{CommandExit, CommandFailure, Progress, complain_on_stderr, format_count};

/// What was read of a log.
pub(crate) struct EventsRead {
    /// How many events are wanted.
    pub(crate) events: u64,
    /// The exit code: no data, or that a file cannot be read to its end.
    pub(crate) exit: CommandExit,
    pub(crate) damage: Damage,
}

/// What cannot be read of a log. It is printed on stderr, too.
#[derive(Default, Serialize)]
pub(crate) struct Damage {
    /// Lines that cannot be read.
    pub(crate) bad_lines: u64,
    /// Why files cannot be read to their ends.
    pub(crate) files: Vec<String>,
}

impl EventsRead {
    fn nothing() -> Self {
        Self { events: 0, exit: CommandExit::NoData, damage: Damage::default() }
    }
}

impl LogInput {
    /// Gives each event that is wanted to `each`, with its weight. The log's own lines are among them only
    /// if their type is asked for. All of them come without a weight, whatever the filter.
    pub(crate) fn for_each_line(
        &self,
        filter: &FilterArgs,
        each: impl FnMut(&Line<'_>, Option<f64>) + Send,
    ) -> Result<EventsRead, CommandFailure> {
        let Some(folder) = self.open()? else { return Ok(EventsRead::nothing()) };
        let scanned = self.scan(&folder, filter, None, each);
        let events = scanned.events;
        self.conclude(&folder, filter, scanned, events)
    }

    /// The same, and counts events by totals. `each` adds a line to the sums of `counting`, if it is an event.
    pub(crate) fn count<T: Sums + Send>(
        &self,
        filter: &FilterArgs,
        counting: &mut Counting<T>,
        mut each: impl FnMut(&mut Counting<T>, &Line<'_>, Option<f64>) + Send,
    ) -> Result<EventsRead, CommandFailure> {
        let Some(folder) = self.open()? else { return Ok(EventsRead::nothing()) };
        let scanned = self.scan(&folder, filter, counting.totals(), |line, weight| {
            if weight.is_none() {
                counting.note(line);
            }
            each(counting, line, weight);
        });
        let events = scanned.events.saturating_add(counting.counted());
        self.conclude(&folder, filter, scanned, events)
    }

    fn scan(
        &self,
        folder: &Folder,
        filter: &FilterArgs,
        totals: Option<Range<i64>>,
        each: impl FnMut(&Line<'_>, Option<f64>) + Send,
    ) -> Scanned {
        let (mut progress, bytes) = (Progress::new(), folder.bytes());
        let scan = Scan::of(folder).filter(filter.to_filter()).service(self.service.as_deref());
        let scan = scan.own_lines(filter.names_type()).totals(totals);
        let scanned = scan.for_each_line(each, |read| progress.show_share(read, bytes));
        progress.clear();
        scanned
    }

    /// Prints what cannot be read. `events` is how many are wanted, in lines and in totals.
    fn conclude(
        &self,
        folder: &Folder,
        filter: &FilterArgs,
        mut scanned: Scanned,
        events: u64,
    ) -> Result<EventsRead, CommandFailure> {
        let last = if events == 0 { scanned.damage.pop() } else { None };
        complain_of_damage(&scanned.damage);
        complain_of_bad_lines(scanned.bad_lines, &scanned.first_bad_lines);
        if let Some(error) = last {
            return Err(error.into());
        }
        if events == 0 {
            complain_on_stderr("no data: no such event");
            self.complain_of_unknown_values(folder, filter);
        }
        let exit = match events {
            0 => CommandExit::NoData,
            _ if scanned.damage.is_empty() => CommandExit::Fine,
            _ => CommandExit::Finding,
        };
        let files = scanned.damage.iter().map(Error::to_string).collect();
        let damage = Damage { bad_lines: scanned.bad_lines, files };
        Ok(EventsRead { events, exit, damage })
    }
}

/// Prints which files cannot be read to their ends.
pub(crate) fn complain_of_damage(damage: &[Error]) {
    for error in damage {
        complain_on_stderr(format_args!("{error}; the rest of it is left out"));
    }
}

/// Prints which lines cannot be read, and how many there are besides.
pub(crate) fn complain_of_bad_lines(bad: u64, named: &[impl Display]) {
    for line in named {
        complain_on_stderr(format_args!("{line}; the line is left out"));
    }
    let more = bad.saturating_sub(named.len() as u64);
    if more > 0 {
        let more = format_count(more, "more line");
        complain_on_stderr(format_args!("{more} cannot be read; llm-audit verify says which"));
    }
}
