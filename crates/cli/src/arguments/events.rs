//! The events that a subcommand asks for, one after the other.

use llm_audit::reader::{Line, Writers};

use super::{FilterArgs, LogInput};
use crate::ui::{CommandFailure, Progress, complain_on_stderr, format_count};

impl LogInput {
    /// Gives each event that is wanted to `each`, and returns how many there were. The log's own lines
    /// are among them only if their type is asked for. Says how many lines cannot be read.
    pub(crate) fn for_each_event(
        &self,
        filter: &FilterArgs,
        mut each: impl FnMut(&Line<'_>),
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
                    let may_be_meant = !line.is_own() || filter.names_type();
                    if is_of_service && may_be_meant && wanted.matches(&line) {
                        events += 1;
                        each(&line);
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
