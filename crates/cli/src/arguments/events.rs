//! The events that a subcommand asks for, one after the other.

use llm_audit::reader::{Line, Writers};

use super::{FilterArgs, LogInput};
use crate::ui::{CommandFailure, Progress, complain_on_stderr, format_count};

impl LogInput {
    /// Gives each event that is wanted to `each`, with its weight, and returns how many there were. The
    /// log's own lines are among them only if their type is asked for. Says how many lines cannot be
    /// read.
    pub(crate) fn for_each_event(
        &self,
        filter: &FilterArgs,
        each: impl FnMut(&Line<'_>, f64),
    ) -> Result<u64, CommandFailure> {
        self.for_each_line(filter, |_| {}, each)
    }

    /// The same, and gives all of the log's own lines to `own`, whatever the filter.
    pub(crate) fn for_each_line(
        &self,
        filter: &FilterArgs,
        mut own: impl FnMut(&Line<'_>),
        mut each: impl FnMut(&Line<'_>, f64),
    ) -> Result<u64, CommandFailure> {
        let Some(folder) = self.open()? else { return Ok(0) };
        let (wanted, mut writers) = (filter.to_filter(), Writers::default());
        let (mut progress, mut bad, mut events) = (Progress::new(), 0, 0);
        let bytes = folder.bytes();
        let mut lines = folder.lines();
        while let Some(mut entry) = lines.next_line()? {
            match entry.parse() {
                Ok(line) => {
                    writers.note(&line);
                    let is_of_service = writers.is_of(&line, self.service.as_deref());
                    if is_of_service && line.is_own() {
                        own(&line);
                    }
                    let may_be_meant = !line.is_own() || filter.names_type();
                    if is_of_service && may_be_meant && wanted.matches(&line) {
                        events += 1;
                        // One trace is what it is, not a sample of others.
                        let is_whole = line.is_own() || wanted.trace.is_some();
                        each(&line, if is_whole { 1.0 } else { writers.weight_of(&line) });
                    }
                }
                Err(_) => bad += 1,
            }
            progress.show_share(lines.bytes_read(), bytes);
        }
        progress.clear();
        complain_of_bad_lines(bad);
        if events == 0 {
            complain_on_stderr("no data: no such event");
            self.complain_of_unknown_service(&folder);
        }
        Ok(events)
    }
}

/// Prints how many lines cannot be read, if there are any.
pub(crate) fn complain_of_bad_lines(bad: u64) {
    if bad > 0 {
        let lines = format_count(bad, "line");
        complain_on_stderr(format_args!("{lines} cannot be read; llm-audit verify says which"));
    }
}
