//! What a block of lines may have.

use super::IndexQuery;
use crate::schema::ids::parse_trace_id;
use crate::schema::notices::EventTotals;
use crate::schema::{Line, Status};

/// The first digits of a trace id that are in the filter.
const TRACE_DIGITS: usize = 8;
/// Bits of the filter for each trace. With as many probes one trace in 200 is found that is not there.
const BITS_PER_TRACE: usize = 12;
const PROBES: u32 = 5;

/// What is known of a block of whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(super) bytes: u64,
    /// Whether it has to be read in any case: it has lines that cannot be read, or own lines other than totals.
    pub(super) is_always_read: bool,
    /// Whether every line is whole and has its fields in the order of the schema.
    pub(super) is_in_order: bool,
    /// A bit for each status.
    pub(super) statuses: u8,
    /// The first and the last time; the first is later if there is none.
    pub(super) times: (i64, i64),
    /// The first and the last minute of totals; the first is later if there are none.
    pub(super) totals: (i64, i64),
    /// A bit for each type, and for what types begin with, by a hash.
    pub(super) types: u64,
    /// A Bloom filter of the first digits of trace ids.
    pub(super) traces: Vec<u64>,
}

impl Block {
    /// Whether a line of the block may be asked for.
    pub(super) fn may_have(&self, query: &IndexQuery) -> bool {
        let (first, last) = self.times;
        let is_in_time = query.since.is_none_or(|since| last >= since)
            && query.until.is_none_or(|until| first < until)
            && (first <= last || query.since.is_none() && query.until.is_none());
        let has_type =
            |name: &String| self.types & type_bit(name.strip_suffix('.').unwrap_or(name)) != 0;
        let has_trace = |id: &String| trace_key(id).is_none_or(|key| has_key(&self.traces, key));
        let has_status = |status: &Status| self.statuses & status_bit(*status) != 0;
        let (first, last) = self.totals;
        let has_totals = query
            .totals
            .as_ref()
            .is_some_and(|times| first <= last && last >= times.start && first < times.end);
        self.is_always_read
            || has_totals
            || is_in_time
                && query.event_type.as_ref().is_none_or(has_type)
                && (query.statuses.is_empty() || query.statuses.iter().any(has_status))
                && query.trace.as_ref().is_none_or(has_trace)
    }
}

/// Of a block without any.
const NO_TIMES: (i64, i64) = (i64::MAX, i64::MIN);

fn widen(times: &mut (i64, i64), time: i64) {
    *times = (times.0.min(time), times.1.max(time));
}

/// Gathers what a block has, line by line.
#[derive(Debug)]
pub(crate) struct BlockSummary {
    block: Block,
    keys: Vec<u32>,
}

impl BlockSummary {
    /// Begins a block of so many bytes.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        let block = Block {
            bytes,
            is_always_read: false,
            is_in_order: true,
            statuses: 0,
            times: NO_TIMES,
            totals: NO_TIMES,
            types: 0,
            traces: Vec::new(),
        };
        Self { block, keys: Vec::new() }
    }

    /// Adds a line; `None` for one that cannot be read.
    pub(crate) fn add(&mut self, line: Option<&Line<'_>>) {
        let block = &mut self.block;
        let Some(line) = line else {
            block.is_always_read = true;
            block.is_in_order = false;
            return;
        };
        block.is_in_order &= line.is_in_order();
        let totals = EventTotals::minute_of(line);
        block.is_always_read |= line.is_own() && totals.is_none();
        totals.into_iter().for_each(|time| widen(&mut block.totals, time));
        line.timestamp().into_iter().for_each(|time| widen(&mut block.times, time));
        block.statuses |= line.status().map_or(0, status_bit);
        if let Some(name) = line.event_type() {
            let ends = name.bytes().enumerate().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at);
            let types = ends.chain([name.len()]).map(|end| type_bit(&name[..end]));
            block.types |= types.fold(0, |all, bit| all | bit);
        }
        if let Some(id) = line.trace_id() {
            self.add_trace(id);
        }
    }

    /// Adds what the search for a trace compares its digits with: the id as it is spelled, and as it is in
    /// full.
    fn add_trace(&mut self, id: &str) {
        let is_full = id.len() == 32 && !id.starts_with("00000000");
        self.add_key(trace_key(id));
        if is_full {
            return;
        }
        if let Ok(number) = parse_trace_id(id) {
            let full = format!("{number:032x}");
            self.add_key(trace_key(&full));
            self.add_key(trace_key(full.trim_start_matches("00000000000000000000")));
        }
    }

    fn add_key(&mut self, key: Option<u32>) {
        if key.is_some() && self.keys.last().copied() != key {
            self.keys.extend(key);
        }
    }

    pub(crate) fn into_block(mut self) -> Block {
        self.keys.sort_unstable();
        self.keys.dedup();
        let words = (self.keys.len() * BITS_PER_TRACE).div_ceil(64);
        self.block.traces = vec![0; words];
        for key in self.keys {
            for bit in bits_of_key(key, words) {
                self.block.traces[bit / 64] |= 1 << (bit % 64);
            }
        }
        self.block
    }
}

/// The first digits of a trace id as a number. `None` if it has not so many.
fn trace_key(id: &str) -> Option<u32> {
    let digits = id.as_bytes().get(..TRACE_DIGITS)?;
    digits.iter().try_fold(0, |key, digit| Some(key << 4 | char::from(*digit).to_digit(16)?))
}

fn has_key(words: &[u64], key: u32) -> bool {
    !words.is_empty()
        && bits_of_key(key, words.len()).all(|bit| words[bit / 64] >> (bit % 64) & 1 == 1)
}

/// The bits of a key in a filter of so many words.
fn bits_of_key(key: u32, words: usize) -> impl Iterator<Item = usize> {
    let hash = mix(u64::from(key) + 1);
    let (start, step) = (hash as u32, (hash >> 32) as u32 | 1);
    let bits = words as u64 * 64;
    (0..PROBES).map(move |probe| {
        let at = start.wrapping_add(step.wrapping_mul(probe));
        ((u64::from(at) * bits) >> 32) as usize
    })
}

fn status_bit(status: Status) -> u8 {
    1 << status as u8
}

fn type_bit(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    1 << (mix(hash) >> 58)
}

/// Spreads a number over all bits (splitmix64).
pub(super) fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
