//! Gives the lines of a batch to the file and to the exporters, and counts the result.

use std::sync::atomic::Ordering;

use super::Writer;
use super::exporters::{export, export_all};
use super::files::Urgency;
use super::notices::{self, FileStart};
use crate::metrics::add;

impl Writer {
    /// Gives the lines to the log, counts the events among them, and then gives them to the other
    /// exporters. `false`: they were not taken, and nobody else gets them either, since the log will
    /// say that no line holds them.
    pub(super) fn deliver(&mut self, now: i64, urgency: Urgency, events: u64) -> bool {
        let shared = self.shared.clone();
        let counts = &shared.counts;
        let start = self.write_log(now, urgency);
        add(if start.is_some() { &counts.written } else { &counts.io_lost }, events);
        counts.in_hand.fetch_sub(events, Ordering::Relaxed);
        self.sync(if start.is_some() { events } else { 0 });
        let Some(start) = start else { return false };
        // Last: an exporter that hangs holds back neither the count of what is written nor its sync.
        for exporter in self.exporters.iter_mut().skip(usize::from(self.files.is_none())) {
            if !(export(&mut **exporter, &start) && export(&mut **exporter, &self.lines)) {
                add(&counts.export_errors, 1);
            }
        }
        true
    }

    /// Gives the lines to the file, or to the first exporter where there is none. Returns what it put
    /// before them, which is empty or a start line; `None`: they were not taken.
    fn write_log(&mut self, now: i64, urgency: Urgency) -> Option<Vec<u8>> {
        let Self { shared, host, files, exporters, has_started, lines, .. } = self;
        let mut start_text = Vec::new();
        let mut start = |text: &mut Vec<u8>, torn_bytes: u64| {
            let place = FileStart { host, first: !*has_started, torn_bytes };
            notices::write_start(text, now, shared, place);
            start_text.clone_from(text);
        };
        let written = match files {
            Some(files) => {
                let written = files.append(lines, urgency, now, &mut start).is_ok();
                shared.control.set_path(files.path());
                written
            }
            None => {
                if !*has_started {
                    start(&mut Vec::new(), 0);
                }
                let first = exporters.first_mut().expect("checked: there is an output");
                export(&mut **first, &start_text) && export_all(&mut **first, lines)
            }
        };
        *has_started |= written && !start_text.is_empty();
        written.then_some(start_text)
    }

    /// Has the housekeeping thread make durable what was written.
    fn sync(&mut self, events: u64) {
        let (Some(files), Some(house)) = (&mut self.files, &self.house) else { return };
        while let Some(file) = files.take_for_sync() {
            // One file: what was written to those before was handed out with their last batch.
            house.add(file, events);
        }
        // Behind that, for these lines may have gone into a file of which a sync has failed.
        while let Some(file) = house.failed() {
            files.sync_failed(&file);
        }
    }
}
