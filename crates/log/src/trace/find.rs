//! The search for a trace by the beginning of its id.

use std::collections::HashSet;
use std::iter;
use std::ops::Range;
use std::slice;

use memchr::memmem;

use super::tree::PlacedEvent;
use super::{Event, Trace};
use crate::error::Error;
use crate::folder::{CHUNK_BYTES, ChunkEnd, Folder, IndexQuery, LogFile, for_each_chunk};
use crate::schema::ids::{parse_span_id, parse_trace_id};
use crate::schema::notices::NoticeType;
use crate::schema::{Line, parse};
use crate::writers::Writers;

/// The fewest digits that name a trace.
const PREFIX_DIGITS_MIN: usize = 4;
/// Before which digits a UUID has dashes.
const UUID_DASHES: [usize; 4] = [8, 12, 16, 20];
/// How the escape of an ASCII character begins.
const ESCAPE: &str = "\\u00";
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
    /// Finds the trace whose id begins with `prefix`, 4 to 32 hex digits in either case, with or without
    /// the dashes of a UUID. A short id that was filled up with zeros is found by its own digits too. Ids that
    /// are spelled with JSON escapes are found if no other line has the id.
    ///
    /// From time to time `progress` gets the number of bytes that are read.
    ///
    /// # Errors
    ///
    /// `prefix` is not such a prefix, or a file cannot be read.
    pub fn find(
        folder: &Folder,
        prefix: &str,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Found, Error> {
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
        progress: impl FnMut(u64) + Send,
    ) -> Result<Found, Error> {
        let mut damage = Vec::new();
        let found = Self::find_despite(folder, prefix, service, &mut damage, progress)?;
        damage.into_iter().next().map_or(Ok(found), Err)
    }

    /// Finds a trace as [`find_of_service`](Self::find_of_service) does, in what can be read. Why the
    /// rest of a file cannot be read is added to `damage`.
    ///
    /// # Errors
    ///
    /// `prefix` is not such a prefix.
    pub fn find_despite(
        folder: &Folder,
        prefix: &str,
        service: Option<&str>,
        damage: &mut Vec<Error>,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Found, Error> {
        let prefix = prefix.replace('-', "").to_ascii_lowercase();
        let is_hex = prefix.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || !(PREFIX_DIGITS_MIN..=32).contains(&prefix.len()) {
            return Err(Error::parse("trace id", "4 to 32 hex digits of it are needed"));
        }
        let (files, wanted) = (folder.files(), WantedTrace::of_prefix(prefix));
        let mut search = TraceSearch { service: service.map(str::to_owned), ..Default::default() };
        if files.iter().any(LogFile::is_stream) {
            search.scan(&wanted, files, Sought::All, damage, &mut progress);
            return Ok(search.into_found());
        }
        search.files = files;
        files.iter().for_each(|file| search.writers.note_file(file, 1));
        search.scan(&wanted, files, Sought::Digits, damage, &mut progress);
        if !search.has_matched {
            // What cannot be read is known from the first time.
            search.scan(&wanted, files, Sought::Escapes, &mut Vec::new(), &mut progress);
        }
        Ok(search.into_found())
    }

    /// Builds the tree of lines that are all of the trace of this id. Others are left out.
    pub fn from_lines<'l>(id: &str, lines: impl IntoIterator<Item = &'l str>) -> Self {
        let (wanted, mut search) = (WantedTrace::of_prefix(id.to_owned()), TraceSearch::default());
        for line in lines {
            for (line, id) in wanted.lines_of(line.as_bytes(), Sought::All) {
                search.add_line(&wanted, line, id, 0);
            }
        }
        Self::build_tree(id.to_owned(), search.events, search.left_out)
    }
}

/// What a scan looks for. A second scan is cheaper than more to look for in the first one, because it is
/// seldom needed.
#[derive(Clone, Copy, PartialEq)]
enum Sought {
    /// An id with its digits as they are.
    Digits,
    /// An id with escapes in it.
    Escapes,
    /// The lines that say who writes.
    Starts,
    All,
}

impl Sought {
    fn includes(self, other: Self) -> bool {
        self == other || self == Self::All
    }
}

/// Whose id begins so.
struct WantedTrace {
    query: IndexQuery,
    prefix: String,
    spellings: Vec<Spelling>,
    /// What all spellings have: digits, which have no case, between two dashes of a UUID.
    digits: memmem::Finder<'static>,
    /// How an escape begins that can spell a digit.
    escape: memmem::Finder<'static>,
    start: memmem::Finder<'static>,
}

impl WantedTrace {
    fn of_prefix(prefix: String) -> Self {
        // A short id comes without the zeros that fill it up. The last digits of a UUID have no dash.
        let short = prefix.trim_start_matches('0');
        let zeros = prefix.len() - short.len();
        let digits = longest_run(&prefix, zeros);
        let mut spellings =
            vec![Spelling { text: short.to_owned(), digits_at: digits.start - zeros }];
        let mut dashed = Spelling { text: prefix.clone(), digits_at: digits.start };
        for at in UUID_DASHES.into_iter().rev().filter(|at| *at < prefix.len()) {
            dashed.text.insert(at, '-');
            dashed.digits_at += usize::from(at <= digits.start);
        }
        if dashed.text != prefix {
            spellings.push(dashed);
        }
        let finder = |text: &str| memmem::Finder::new(text).into_owned();
        let (escape, start) = (finder(ESCAPE), finder(NoticeType::Start.name()));
        let query = IndexQuery { trace: Some(prefix.clone()), ..IndexQuery::default() };
        Self { query, digits: finder(&prefix[digits]), prefix, spellings, escape, start }
    }

    /// The lines that may say who writes, and those of matching traces with the id in full.
    fn lines_of<'c>(&self, chunk: &'c [u8], sought: Sought) -> Vec<(&'c [u8], Option<String>)> {
        let chunk_for = |of| if sought.includes(of) { chunk } else { &[] };
        let spelled = lines_with(chunk_for(Sought::Digits), &self.digits)
            .filter(|(line, digits)| self.is_spelled_in(line, *digits));
        let escaped = self.lines_with_escapes(chunk_for(Sought::Escapes));
        let mut found: Vec<_> = spelled.chain(escaped).map(|(line, _)| line).collect();
        found.sort_by_key(|line| line.as_ptr());
        found.dedup_by_key(|line| line.as_ptr());
        let found = found.into_iter().filter_map(|line| {
            let id = self.matching_trace_id(&parse(&mut line.to_vec()).ok()?)?;
            Some((line, Some(id)))
        });
        let starts = lines_with(chunk_for(Sought::Starts), &self.start);
        let mut lines: Vec<_> = starts.map(|(line, _)| (line, None)).chain(found).collect();
        lines.sort_by_key(|(line, _)| line.as_ptr());
        lines
    }

    /// Whether the line has the beginning of the id. The first of the digits are at this place.
    fn is_spelled_in(&self, line: &[u8], digits: usize) -> bool {
        // Without digits, any place may be it.
        let mut places = self.digits.find_iter(&line[digits..]).map(|at| digits + at);
        places.any(|at| self.spellings.iter().any(|spelling| spelling.is_at(line, at)))
    }

    /// The lines in which an escape spells a digit or a dash, and the first escape in each.
    fn lines_with_escapes<'c>(&self, chunk: &'c [u8]) -> impl Iterator<Item = (&'c [u8], usize)> {
        lines_with(chunk, &self.escape).filter(|(line, first)| {
            self.escape.find_iter(&line[*first..]).any(|at| {
                let code = line[first + at..].get(ESCAPE.len()..).unwrap_or_default();
                matches!(
                    code,
                    [b'2', b'd' | b'D', ..]
                        | [b'3', b'0'..=b'9', ..]
                        | [b'4' | b'6', b'1'..=b'6', ..]
                )
            })
        })
    }

    /// The line's trace id in full, if it begins with the prefix.
    fn matching_trace_id(&self, line: &Line<'_>) -> Option<String> {
        let given = line.trace_id()?.to_ascii_lowercase();
        let id = format!("{:032x}", parse_trace_id(&given).ok()?);
        // Ids of older logs had 12 digits.
        let short = id.strip_prefix("00000000000000000000").unwrap_or_default();
        [&*given, &*id, short].iter().any(|id| id.starts_with(&self.prefix)).then_some(id)
    }
}

/// A way to write the beginning of an id, in either case.
struct Spelling {
    text: String,
    /// The place of the digits that all spellings have.
    digits_at: usize,
}

impl Spelling {
    /// Whether a line has it, with these digits.
    fn is_at(&self, line: &[u8], digits: usize) -> bool {
        let text = digits.checked_sub(self.digits_at).and_then(|start| line.get(start..));
        let text = text.and_then(|text| text.get(..self.text.len()));
        text.is_some_and(|text| text.eq_ignore_ascii_case(self.text.as_bytes()))
    }
}

/// The longest run of decimal digits from this place on that is within one group of a UUID.
fn longest_run(prefix: &str, from: usize) -> Range<usize> {
    let (mut longest, mut start) = (from..from, from);
    for (at, digit) in prefix.bytes().enumerate().skip(from) {
        if UUID_DASHES.contains(&at) {
            start = at;
        }
        if !digit.is_ascii_digit() {
            start = at + 1;
        } else if at + 1 - start > longest.len() {
            longest = start..at + 1;
        }
    }
    longest
}

/// The lines that hold what is looked for, and its first place in each.
fn lines_with<'c>(
    chunk: &'c [u8],
    needle: &memmem::Finder<'_>,
) -> impl Iterator<Item = (&'c [u8], usize)> {
    let mut rest = chunk;
    iter::from_fn(move || {
        let at = needle.find(rest).filter(|_| !rest.is_empty())?;
        let start = memchr::memrchr(b'\n', &rest[..at]).map_or(0, |newline| newline + 1);
        let length = memchr::memchr(b'\n', &rest[at..]).unwrap_or(rest.len() - at);
        let line = &rest[start..at + length];
        rest = rest.get(at + length + 1..).unwrap_or_default();
        Some((line, at - start))
    })
}

/// The traces that begin with a prefix, gathered line by line.
#[derive(Default)]
struct TraceSearch<'f> {
    /// The files, if they can be read again.
    files: &'f [LogFile],
    /// Which of them were searched for lines that say who writes.
    searched_for_starts: HashSet<usize>,
    service: Option<String>,
    writers: Writers,
    /// Whether there was a line of a matching trace.
    has_matched: bool,
    ids: Vec<String>,
    events: Vec<PlacedEvent>,
    left_out: u64,
}

impl TraceSearch<'_> {
    /// Adds the lines of files.
    fn scan(
        &mut self,
        wanted: &WantedTrace,
        files: &[LogFile],
        sought: Sought,
        damage: &mut Vec<Error>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) {
        let mut state = (self, damage, progress, 0);
        for_each_chunk(files, Some(&wanted.query), CHUNK_BYTES, &mut state, |chunk, turn| {
            let (end, bytes) = (chunk.take_end(), chunk.range.end - chunk.range.start);
            let (lines, file_at) = (wanted.lines_of(chunk.bytes(), sought), chunk.file_at);
            if lines.is_empty() && matches!(end, ChunkEnd::Lines) {
                return turn.pass(|(.., progress, read)| {
                    *read += bytes;
                    progress(*read);
                });
            }
            turn.take(|(search, damage, progress, read)| {
                for (line, id) in lines {
                    search.add_line(wanted, line, id, file_at);
                }
                if let ChunkEnd::Failure(error) = end {
                    damage.push(error);
                }
                *read += bytes;
                progress(*read);
            });
        });
    }

    /// Looks for the line that says who wrote this one. A logger begins each of its files with such a line, but
    /// several may have written into one file, one after the other.
    fn look_for_writer(&mut self, wanted: &WantedTrace, line: &Line<'_>, file_at: usize) {
        for at in (0..=file_at.min(self.files.len())).rev() {
            let is_known = line.instance().is_none() || self.writers.service_of(line).is_some();
            let Some(file) = self.files.get(at).filter(|_| !is_known) else { continue };
            if self.searched_for_starts.insert(at) {
                let file = slice::from_ref(file);
                self.scan(wanted, file, Sought::Starts, &mut Vec::new(), &mut |_| {});
            }
        }
    }

    /// Adds a line that may say who writes, or one of a matching trace, of the file at this place.
    fn add_line(&mut self, wanted: &WantedTrace, text: &[u8], id: Option<String>, file_at: usize) {
        // Parsing unescapes in place, and the whole line may be asked for later.
        let mut scratch = text.to_vec();
        let Ok(line) = parse(&mut scratch) else { return };
        let Some(id) = id else { return self.writers.note(&line) };
        self.has_matched = true;
        self.look_for_writer(wanted, &line, file_at);
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
        let text = String::from_utf8(text.to_vec()).expect("it was parsed");
        self.events.push(PlacedEvent {
            span: line.span_id().map(full_span_id).unwrap_or_default(),
            parent: line.parent_span_id().map(full_span_id),
            event: Event::from_line(&line, &self.writers, text),
        });
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
