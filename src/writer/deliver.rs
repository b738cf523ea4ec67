//! Gives the lines of a batch to the file and to the exporters, and counts the result.

use std::time::Instant;

use super::Writer;
use super::exporters::{export_all_lines, export_lines};
use super::files::Urgency;
use super::notices::{FileStart, notice_head, write_start_notice};
use crate::metrics::add_to_counter;
use crate::warnings;

impl Writer {
    /// Gives the lines to the log, counts the events in them, and then gives them to the other
    /// exporters.
    ///
    /// Returns `false` if the log did not take the lines. Then no exporter gets them either,
    /// because the log will report their numbers as lost.
    pub(super) fn deliver_lines(&mut self, now: i64, urgency: Urgency, events: u64) -> bool {
        let shared = self.shared.clone();
        let counts = &shared.counts;
        let start = self.deliver_to_log(now, urgency);
        // A loss that the reserve takes says nothing about the next event.
        if start.is_none() || matches!(urgency, Urgency::Events) {
            shared.control.note_write(now, start.is_some());
        }
        add_to_counter(if start.is_some() { &counts.written } else { &counts.io_lost }, events);
        counts.take_from_hand(events);
        self.deliver_files_to_sync(if start.is_some() { events } else { 0 });
        let Some(start) = start else { return false };
        // This comes last. An exporter that hangs then delays neither the count of written events
        // nor their sync.
        for exporter in self.exporters.iter_mut().skip(usize::from(self.files.is_none())) {
            if !(export_lines(&mut **exporter, &start)
                && export_lines(&mut **exporter, &self.lines))
            {
                add_to_counter(&counts.export_errors, 1);
            }
        }
        true
    }

    /// Gives the lines to the file. If there is no file, the first exporter gets them.
    ///
    /// Returns the start line that it put before them, or an empty one. Returns `None` if the lines
    /// were not taken.
    fn deliver_to_log(&mut self, now: i64, urgency: Urgency) -> Option<Vec<u8>> {
        let Self { shared, host, files, exporters, has_started, lines, notices, .. } = self;
        let mut start_text = Vec::new();
        let mut start = |text: &mut Vec<u8>, torn_bytes: u64| {
            let place = FileStart { host, first: !*has_started, torn_bytes };
            write_start_notice(text, notice_head(shared, notices, now), shared, place);
            start_text.clone_from(text);
        };
        let written = match files {
            Some(files) => {
                let begun = Instant::now();
                let written = files.append(lines, urgency, now, &mut start);
                shared.counts.writes.add(begun.elapsed());
                shared.control.set_log_path(files.path());
                if let (Err(error), true) = (&written, shared.settings.notices) {
                    warnings::warn_of_failed_write(files.path(), error);
                }
                if written.is_ok() {
                    let bytes = start_text.len() + lines.len();
                    add_to_counter(&shared.counts.bytes_written, bytes as u64);
                }
                written.is_ok()
            }
            None => {
                if !*has_started {
                    start(&mut Vec::new(), 0);
                }
                let first = exporters.first_mut().expect("checked: there is an output");
                export_lines(&mut **first, &start_text) && export_all_lines(&mut **first, lines)
            }
        };
        *has_started |= written && !start_text.is_empty();
        written.then_some(start_text)
    }

    /// Has the housekeeping thread make durable what was written.
    fn deliver_files_to_sync(&mut self, events: u64) {
        let (Some(files), Some(house)) = (&mut self.files, &self.house) else { return };
        while let Some(file) = files.take_for_sync() {
            // This is one file. What was written to earlier ones was handed out with their last
            // batch.
            house.add_unsynced(file, events);
        }
        // After the loop above, since these lines may be in a file that failed to sync.
        while let Some(file) = house.take_failed_sync() {
            files.sync_failed(&file);
        }
    }
}
