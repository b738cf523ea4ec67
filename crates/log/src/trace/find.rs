//! The search for a trace by the beginning of its id.

use memchr::memmem;

use super::tree::PlacedEvent;
use super::{Event, Trace};
use crate::error::Error;
use crate::folder::{Entry, Folder};
use crate::schema::ids::{parse_span_id, parse_trace_id};
use crate::schema::{Line, parse};
use crate::writers::Writers;

/// The fewest digits that name a trace.
const PREFIX_DIGITS_MIN: usize = 4;
/// The most events of one trace that are held; further ones are counted.
const EVENTS_MAX: usize = 100_000;
/// The most ids that an ambiguous prefix is answered with.
const IDS_MAX: usize = 8;

/// The traces that a prefix of an id names.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found {
    /// Nothing in this folder.
    Nothing,
    /// This trace.
    One(Box<Trace>),
    /// Several traces: the first eight of their ids.
    Several(Vec<String>),
}

impl Trace {
    /// Finds the trace whose id begins with `prefix`, 4 to 32 hex digits in either case. A short
    /// id that was filled up with zeros is found by its own digits too.
    ///
    /// From time to time `progress` gets the number of bytes that are read.
    ///
    /// # Errors
    ///
    /// `prefix` is not such a prefix, or a file cannot be read.
    pub fn find(folder: &Folder, prefix: &str, progress: impl FnMut(u64)) -> Result<Found, Error> {
        Self::find_of_service(folder, prefix, None, progress)
    }

    /// Finds a trace as [`find`](Self::find) does, with only the events of one service if one is
    /// given.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn find_of_service(
        folder: &Folder,
        prefix: &str,
        service: Option<&str>,
        mut progress: impl FnMut(u64),
    ) -> Result<Found, Error> {
        let prefix = prefix.to_ascii_lowercase();
        let is_hex = prefix.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || !(PREFIX_DIGITS_MIN..=32).contains(&prefix.len()) {
            return Err(Error::parse("trace id", "4 to 32 hex digits of it are needed"));
        }
        let mut search = TraceSearch::for_prefix(prefix);
        search.service = service.map(str::to_owned);
        let mut lines = folder.lines();
        while let Some(entry) = lines.next_line()? {
            search.add_entry(entry);
            progress(lines.bytes_read());
        }
        Ok(search.into_found())
    }
}

/// The traces that begin with a prefix, gathered line by line.
struct TraceSearch {
    prefix: String,
    /// What a line must hold to be worth parsing: digits, which have no case.
    needle: String,
    service: Option<String>,
    writers: Writers,
    ids: Vec<String>,
    events: Vec<PlacedEvent>,
    left_out: u64,
}

impl TraceSearch {
    fn for_prefix(prefix: String) -> Self {
        // A line has a short id without the zeros that fill it up.
        let digits = prefix.trim_start_matches('0').split(|c: char| !c.is_ascii_digit());
        let needle = digits.max_by_key(|run| run.len()).unwrap_or_default().to_owned();
        Self {
            prefix,
            needle,
            service: None,
            writers: Writers::default(),
            ids: Vec::new(),
            events: Vec::new(),
            left_out: 0,
        }
    }

    fn add_entry(&mut self, mut entry: Entry<'_>) {
        if Writers::may_be_start(entry.bytes) {
            // Parsing unescapes in place, and it may be an event that only contains these words.
            if let Ok(line) = parse(&mut entry.bytes.to_vec()) {
                self.writers.note(&line);
            }
        }
        if memmem::find(entry.bytes, self.needle.as_bytes()).is_none() {
            return;
        }
        // Parsing unescapes in place, and the whole line may be asked for later.
        let text = entry.bytes.to_vec();
        let Ok(line) = entry.parse() else { return };
        let Some(id) = self.matching_trace_id(&line) else { return };
        let service = self.writers.service_of(&line);
        let is_wanted = self.writers.is_of(&line, self.service.as_deref());
        if line.is_own() || !is_wanted {
            return;
        }
        if !self.ids.contains(&id) {
            if self.ids.len() < IDS_MAX {
                self.ids.push(id);
            }
            if self.ids.len() > 1 {
                self.events = Vec::new();
            }
        }
        if self.ids.len() > 1 {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.left_out += 1;
            return;
        }
        let text = String::from_utf8(text).expect("it was parsed");
        self.events.push(PlacedEvent {
            span: line.span_id().map(full_span_id).unwrap_or_default(),
            parent: line.parent_span_id().map(full_span_id),
            event: Event::from_line(&line, service, text),
        });
    }

    /// The line's trace id in full, if it begins with the prefix.
    fn matching_trace_id(&self, line: &Line<'_>) -> Option<String> {
        let given = line.trace_id()?.to_ascii_lowercase();
        let id = format!("{:032x}", parse_trace_id(&given).ok()?);
        // Ids of older logs had 12 digits.
        let short = id.strip_prefix("00000000000000000000").unwrap_or_default();
        [&*given, &*id, short].iter().any(|id| id.starts_with(&self.prefix)).then_some(id)
    }

    fn into_found(self) -> Found {
        let mut ids = self.ids;
        match ids.len() {
            0 => Found::Nothing,
            1 => {
                let trace = Trace::build_tree(ids.remove(0), self.events, self.left_out);
                Found::One(Box::new(trace))
            }
            _ => Found::Several(ids),
        }
    }
}

/// A span id in full, or as given if it is not an id.
fn full_span_id(id: &str) -> String {
    parse_span_id(id).map_or_else(|_| id.to_owned(), |id| format!("{id:016x}"))
}
