//! The events of a whole log that are asked for, read by several threads.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::error::Error;
use crate::folder::{
    BlockSummary, CHUNK_BYTES, Chunk, ChunkEnd, Ending, Folder, Index, IndexBuilder, IndexQuery,
    Turn, for_each_chunk,
};
use crate::query::Filter;
use crate::schema::Line;
use crate::writers::Writers;

/// A walk through all events of a folder that are asked for.
///
/// Lines are parsed and compared with the filter by several threads. Each event is then given out in the
/// order of the log. Memory does not grow with the log.
///
/// Of a folder the walk keeps an index of every closed file in the folder `.index` beside it, if this user owns the
/// folder. Later walks skip what cannot have what they ask for. The index can be removed at any time.
///
/// # Examples
///
/// ```no_run
/// use llm_audit_log::{Filter, Folder, Scan, Status};
///
/// let mut filter = Filter::default();
/// filter.statuses = vec![Status::Error, Status::Timeout];
/// let folder = Folder::open("logs")?;
/// let mut actions = Vec::new();
/// let scanned = Scan::of(&folder).filter(filter).for_each(|line, _weight| {
///     actions.extend(line.action().map(str::to_owned));
/// });
/// assert_eq!(scanned.events, actions.len() as u64);
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scan<'f> {
    folder: &'f Folder,
    filter: Filter,
    service: Option<String>,
    has_own_lines: bool,
    totals: Option<Range<i64>>,
    chunk_bytes: usize,
}

/// How many lines that cannot be read are named.
const NAMED_MAX: usize = 20;

/// What a [`Scan`] came across.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Scanned {
    /// The events that were given out.
    pub events: u64,
    /// Lines that cannot be read. A line that a living writer is writing is not one.
    pub bad_lines: u64,
    /// The first of them, each with its file and offset.
    pub first_bad_lines: Vec<Error>,
    /// Files that cannot be read to their ends.
    pub damage: Vec<Error>,
}

impl<'f> Scan<'f> {
    /// A walk through all events.
    pub fn of(folder: &'f Folder) -> Self {
        Self {
            folder,
            filter: Filter::default(),
            service: None,
            has_own_lines: false,
            totals: None,
            chunk_bytes: CHUNK_BYTES,
        }
    }

    /// Only events that the filter wants.
    pub fn filter(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }

    /// Only events of this service, by the `audit.start` lines before them.
    pub fn service(self, service: Option<&str>) -> Self {
        Self { service: service.map(str::to_owned), ..self }
    }

    /// Whether the log's own lines, `audit.*` and `alert.*`, are among the events.
    pub fn own_lines(self, are_meant: bool) -> Self {
        Self { has_own_lines: are_meant, ..self }
    }

    /// Finds the totals that [`Counting`](crate::Counting) needs. Otherwise parts of a file without an event that
    /// is asked for are skipped with their totals.
    pub fn totals(self, times: Option<Range<i64>>) -> Self {
        Self { totals: times, ..self }
    }

    /// Reads so many bytes at once. For tests.
    #[doc(hidden)]
    pub fn chunk_bytes(self, chunk_bytes: usize) -> Self {
        Self { chunk_bytes: chunk_bytes.max(1), ..self }
    }

    /// Gives each event to `each`, with its [weight](Writers::weight_of).
    pub fn for_each(&self, mut each: impl FnMut(&Line<'_>, f64) + Send) -> Scanned {
        let each = |line: &Line<'_>, weight: Option<f64>| {
            if let Some(weight) = weight {
                each(line, weight);
            }
        };
        self.for_each_line(each, |_| {})
    }

    /// The same, and gives all of the log's own lines to `each` without a weight, whatever the filter. From
    /// time to time `progress` gets the number of bytes that are read.
    pub fn for_each_line(
        &self,
        each: impl FnMut(&Line<'_>, Option<f64>) + Send,
        progress: impl FnMut(u64) + Send,
    ) -> Scanned {
        let mut state = ScanState {
            each,
            progress,
            bytes: 0,
            writers: Writers::default(),
            index: IndexBuilder::default(),
            scanned: Scanned::default(),
        };
        let query = self.index_query();
        for_each_chunk(
            self.folder.files(),
            Some(&query),
            self.chunk_bytes,
            &mut state,
            |chunk, turn| self.scan_chunk(chunk, turn),
        );
        self.folder.remove_old_indexes();
        state.scanned
    }

    fn index_query(&self) -> IndexQuery {
        let Filter { since, until, event_type, statuses, trace, .. } = self.filter.clone();
        IndexQuery {
            since,
            until,
            event_type,
            statuses,
            trace,
            totals: self.totals.clone(),
            builds: true,
        }
    }

    fn scan_chunk<E, P>(&self, chunk: &mut Chunk<'_>, turn: Turn<'_, '_, ScanState<E, P>>)
    where
        E: FnMut(&Line<'_>, Option<f64>),
        P: FnMut(u64),
    {
        let (file, identity, range) = (chunk.file, chunk.identity, chunk.range.clone());
        let is_in_order = chunk.is_in_order;
        let end = chunk.take_end();
        let mut summary = identity.map(|_| BlockSummary::of_bytes(range.end - range.start));
        let (mut lines, mut bad_lines, mut named) = (Vec::new(), 0, Vec::new());
        for entry in chunk.entries() {
            let (is_torn, offset) = (entry.ending == Ending::Torn, entry.offset);
            let line = entry.into_line(is_in_order);
            if let Some(summary) = &mut summary {
                summary.add(line.as_ref().ok());
            }
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    if !is_torn || !file.is_in_use() {
                        bad_lines += 1;
                        named.extend(
                            (named.len() < NAMED_MAX).then(|| error.of_line(file.name(), offset)),
                        );
                    }
                    continue;
                }
            };
            let is_own = line.is_own();
            let is_wanted = (self.has_own_lines || !is_own) && self.filter.matches(&line);
            if is_wanted || is_own {
                lines.push((line, is_own, is_wanted));
            }
        }
        let block = summary.map(BlockSummary::into_block);
        turn.take(|state| {
            state.note_chunk(&range, bad_lines);
            let first = &mut state.scanned.first_bad_lines;
            first.extend(named.drain(..).take(NAMED_MAX.saturating_sub(first.len())));
            for (line, is_own, is_wanted) in &lines {
                if *is_own {
                    state.writers.note(line);
                }
                if !state.writers.is_of(line, self.service.as_deref()) {
                    continue;
                }
                if *is_own {
                    (state.each)(line, None);
                }
                if *is_wanted {
                    // One trace is what it is, not a sample of others.
                    let is_whole = *is_own || self.filter.trace.is_some();
                    let weight = if is_whole { 1.0 } else { state.writers.weight_of(line) };
                    state.scanned.events += 1;
                    (state.each)(line, Some(weight));
                }
            }
            match (end, identity) {
                (ChunkEnd::Failure(error), _) => state.scanned.damage.push(error),
                (ChunkEnd::File, Some(identity)) => {
                    Index::store(state.index.blocks(), file, identity);
                }
                _ => {
                    if let Some(block) = block {
                        state.index.push(block);
                    }
                }
            }
        });
    }
}

/// What is gathered in the order of the log.
struct ScanState<E, P> {
    each: E,
    progress: P,
    bytes: u64,
    writers: Writers,
    /// Of the current file.
    index: IndexBuilder,
    scanned: Scanned,
}

impl<E, P: FnMut(u64)> ScanState<E, P> {
    fn note_chunk(&mut self, range: &Range<u64>, bad_lines: u64) {
        if range.start == 0 {
            self.index = IndexBuilder::default();
        }
        self.scanned.bad_lines += bad_lines;
        self.bytes += range.end - range.start;
        (self.progress)(self.bytes);
    }
}
