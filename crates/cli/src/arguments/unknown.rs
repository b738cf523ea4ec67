//! The values that a log has, if it lacks one that was asked for.

use std::collections::BTreeSet;

use llm_audit::reader::{Filter, Folder, LogFile, Scan, Writers};
use llm_audit_log::edit_distance;

use super::{FilterArgs, LogInput};
use crate::ui::complain_on_stderr;

/// How many values are shown, and how many are compared.
const SHOWN: usize = 8;
const COMPARED: usize = 10_000;

impl LogInput {
    /// Prints what there is if the log has no such service, agent, action or type at all. A pipe cannot be
    /// read again.
    pub(crate) fn complain_of_unknown_values(&self, folder: &Folder, filter: &FilterArgs) {
        if folder.files().iter().any(LogFile::is_stream) {
            return self.complain_of_unknown_service(folder);
        }
        self.complain_of_unknown_service(folder);
        let asked: Vec<_> = filter.texts().collect();
        if asked.is_empty() {
            return;
        }
        let mut known = vec![BTreeSet::new(); asked.len()];
        let scan = Scan::of(folder).service(self.service.as_deref()).own_lines(true);
        scan.for_each(|line, _| {
            for ((name, _), known) in asked.iter().zip(&mut known) {
                let value = match *name {
                    "event_type" => line.event_type(),
                    _ if line.is_own() => None,
                    "agent" => line.agent(),
                    _ => line.action(),
                };
                if let Some(value) = value
                    && !known.contains(value)
                    && known.len() < COMPARED
                {
                    known.insert(value.to_owned());
                }
            }
        });
        for ((name, value), known) in asked.into_iter().zip(known) {
            let is_known = match name {
                "event_type" => known.iter().any(|known| Filter::is_type_below(value, known)),
                _ => known.contains(value),
            };
            if !is_known {
                let known = closest_first(value, known.iter().map(String::as_str));
                complain_on_stderr(format_args!(
                    "no event has the {name} {value}; there is {known}"
                ));
            }
        }
    }

    /// Prints which services there are if the one that was asked for is none of them. Pipes, which
    /// cannot be read again, count as if they had none.
    pub(crate) fn complain_of_unknown_service(&self, folder: &Folder) {
        let Some(asked) = &self.service else { return };
        let mut writers = Writers::default();
        for file in folder.files().iter().filter(|file| !file.is_stream()) {
            writers.note_file(file, usize::MAX);
        }
        let services = writers.services();
        if !services.contains(asked.as_str()) {
            let known = closest_first(asked, services);
            complain_on_stderr(format_args!(
                "no audit.start names the service {asked}; services that are named: {known}"
            ));
        }
    }
}

/// Some values with commas between them, those first that are spelled most like the one that was asked for.
fn closest_first<'v>(asked: &str, values: impl IntoIterator<Item = &'v str>) -> String {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by_cached_key(|value| edit_distance(asked, value));
    let more = match values.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match values.is_empty() {
        true => "none".to_owned(),
        false => values[..values.len().min(SHOWN)].join(", ") + &more,
    }
}
