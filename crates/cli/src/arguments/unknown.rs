//! The values that a log has, if it lacks one that was asked for.

use std::collections::BTreeSet;

use llm_audit::EventType;
use llm_audit::reader::{Filter, Folder, LogFile, Scan, Writers};
use llm_audit_log::edit_distance;
use llm_audit_log::schema::notices::NoticeType;

use super::{FilterArgs, LogInput};
use crate::ui::complain_on_stderr;

/// How many values are shown, how many are compared, and the characters of each.
const SHOWN: usize = 8;
const COMPARED: usize = 10_000;
const VALUE_CHARS: usize = 80;

/// The types of alerts, whose events are the log's own too.
const ALERT_TYPES: [&str; 2] = ["alert.fired", "alert.resolved"];

/// The values of a field, if the one that was asked for is not among them.
#[derive(Clone, Default)]
struct Known {
    has_asked: bool,
    /// The first of them, each cut.
    values: BTreeSet<String>,
    /// Whether there are more of them.
    has_more: bool,
}

impl LogInput {
    /// Prints what there is if the log has no such service, agent, action or type at all. A pipe cannot be
    /// read again.
    pub(crate) fn complain_of_unknown_values(&self, folder: &Folder, filter: &FilterArgs) {
        self.complain_of_unknown_service(folder);
        let asked: Vec<_> = filter.texts().collect();
        if asked.is_empty() || folder.files().iter().any(LogFile::is_stream) {
            return;
        }
        let mut known = vec![Known::default(); asked.len()];
        let scan = Scan::of(folder).service(self.service.as_deref()).own_lines(true);
        scan.for_each(|line, _| {
            for ((name, asked), known) in asked.iter().zip(&mut known) {
                let value = match *name {
                    "event_type" => line.event_type(),
                    _ if line.is_own() => None,
                    "agent" => line.agent(),
                    _ => line.action(),
                };
                value.into_iter().for_each(|value| known.note(value, name, asked));
            }
        });
        for ((name, value), known) in asked.into_iter().zip(known) {
            if !known.has_asked {
                let values = known.values.iter().map(String::as_str);
                let known = closest_first(value, values, known.has_more);
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
            let known = closest_first(asked, services, false);
            complain_on_stderr(format_args!(
                "no audit.start names the service {asked}; services that are named: {known}"
            ));
        }
    }
}

/// Prints that the schema has no such event type, nor any below it.
pub(crate) fn complain_of_unknown_type(filter: &FilterArgs) {
    let own = NoticeType::ALL.iter().map(|notice| notice.name()).chain(ALERT_TYPES);
    let known = EventType::ALL.iter().map(|event_type| event_type.name()).chain(own);
    for (_, asked) in filter.texts().filter(|(name, _)| *name == "event_type") {
        if !known.clone().any(|name| Filter::is_type_below(asked, name)) {
            let known = closest_first(asked, known.clone(), false);
            complain_on_stderr(format_args!(
                "the schema has no event type {asked}; it has {known}"
            ));
        }
    }
}

impl Known {
    /// Notes a value of the field of this name.
    fn note(&mut self, value: &str, name: &str, asked: &str) {
        self.has_asked |= match name {
            "event_type" => Filter::is_type_below(asked, value),
            _ => value == asked,
        };
        if self.has_asked || self.values.contains(value) {
            return;
        }
        let value = cut_value(value);
        if self.values.len() < COMPARED {
            self.values.insert(value);
        } else {
            self.has_more |= !self.values.contains(&value);
        }
    }
}

/// Some values with commas between them, those first that are spelled most like the one that was asked for.
/// `has_more` says that not all of them are given.
fn closest_first<'v>(
    asked: &str,
    values: impl IntoIterator<Item = &'v str>,
    has_more: bool,
) -> String {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by_cached_key(|value| edit_distance(asked, value));
    let more = match values.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more if has_more => format!(" and more than {more} others"),
        more => format!(" and {more} more"),
    };
    match values.is_empty() {
        true => "none".to_owned(),
        false => {
            let shown = values.iter().take(SHOWN).map(|value| cut_value(value));
            shown.collect::<Vec<_>>().join(", ") + &more
        }
    }
}

/// The first characters of a value, which may have any length.
fn cut_value(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
