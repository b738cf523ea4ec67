//! Destinations of shippers in the model, each with a part of the files.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::retention::{Folder, whole_lines};
use crate::writer::fs::Fs as _;
use crate::writer::fs::mem::MemFs;
use llm_audit_log::FileName;

const NAMES: [&str; 2] = ["collector", "stream"];

/// How many bytes each destination has of the files, by their plain names. `None` if its position is damaged.
#[derive(Default)]
pub(super) struct Destinations(BTreeMap<&'static str, Option<BTreeMap<String, usize>>>);

impl Destinations {
    /// Lets destinations come, go on, be damaged or be forgotten.
    pub(super) fn step(&mut self, fs: &MemFs, rng: &mut fastrand::Rng) {
        for name in NAMES {
            let path = format!("logs/.ship/{name}.json");
            match rng.u32(..12) {
                0 => {
                    self.0.remove(name);
                    if fs.exists(path.as_ref()).unwrap() {
                        fs.remove(path);
                    }
                }
                1 => {
                    self.0.insert(name, None);
                    fs.put(path, b"{");
                }
                2..7 => {
                    let has = any_positions(fs, rng);
                    fs.put(path, position_file(&has).as_bytes());
                    self.0.insert(name, Some(has));
                }
                _ => {}
            }
        }
    }

    /// Returns whether all have a file whole.
    pub(super) fn have(&self, name: &FileName, text: &[u8]) -> bool {
        let bytes = whole_lines(text).len();
        self.0.values().all(|has| bytes_of(has.as_ref(), name) >= bytes)
    }

    /// Returns what an `audit.retired` line must report about those that do not have all events of a file.
    pub(super) fn lack(&self, name: &FileName, text: &[u8]) -> Map<String, Value> {
        let lacks = self.0.iter().map(|(destination, has)| {
            let lines = lines_after(text, bytes_of(has.as_ref(), name));
            let events = lines.iter().map(|line| events_of(line, destination)).sum::<Option<u64>>();
            ((*destination).to_owned(), json!(events.filter(|_| has.is_some())))
        });
        lacks.filter(|(_, events)| *events != json!(0)).collect()
    }
}

fn bytes_of(has: Option<&BTreeMap<String, usize>>, name: &FileName) -> usize {
    has.and_then(|has| has.get(&name.plain().to_string())).copied().unwrap_or(0)
}

/// Returns the ends of whole lines, mostly of the last ones.
fn any_positions(fs: &MemFs, rng: &mut fastrand::Rng) -> BTreeMap<String, usize> {
    let mut has = BTreeMap::new();
    for (name, file) in Folder::of(fs).log() {
        let text = whole_lines(&file.text);
        let end = match rng.u32(..8) {
            0 => 0,
            1 => whole_lines(&text[..rng.usize(..=text.len())]).len(),
            _ => text.len(),
        };
        has.insert(name.plain().to_string(), end);
    }
    has
}

fn position_file(has: &BTreeMap<String, usize>) -> String {
    let position = |(file, offset): (&String, &usize)| {
        json!({
            "file": file, "offset": offset,
            "instance": null, "seq": null, "line_bytes": 0, "line_hash": 0,
        })
    };
    json!({ "version": 1, "positions": has.iter().map(position).collect::<Vec<_>>() }).to_string()
}

/// Returns the lines that begin at this offset or later.
fn lines_after(text: &[u8], offset: usize) -> Vec<Value> {
    let mut start = 0;
    let mut lines = Vec::new();
    for line in whole_lines(text).split_inclusive(|byte| *byte == b'\n') {
        if start >= offset {
            lines.push(serde_json::from_slice(line).unwrap_or_default());
        }
        start += line.len();
    }
    lines
}

/// Returns how many events of a destination go with a line: itself, or those that it reports.
fn events_of(line: &Value, destination: &str) -> Option<u64> {
    match line["event_type"].as_str() {
        Some("audit.retired") => {
            line["data"]["unshipped"].get(destination).map_or(Some(0), Value::as_u64)
        }
        Some(kind) => Some(u64::from(!kind.starts_with("audit."))),
        None => Some(0),
    }
}
