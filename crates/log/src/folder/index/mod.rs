//! What the blocks of a closed file may have, kept beside the log, so that whole blocks are skipped.
//! It also says of which blocks all lines are whole, so that these lines are not checked again.
//!
//! The index of `DIR/NAME` is `DIR/.index/NAME.idx`. It can be removed at any time, and nothing needs it. An
//! index is ignored if it is damaged, if its file has changed since, or if somebody else wrote it. It is then built
//! anew, also for a file that has only grown.

#[cfg(not(unix))]
mod absent;
mod block;
mod bytes;
#[cfg(unix)]
mod stored;

use std::ops::Range;
use std::path::{Path, PathBuf};

#[cfg(not(unix))]
pub(crate) use absent::{FileIdentity, remove_orphans};
pub(crate) use block::{Block, BlockSummary};
pub(super) use bytes::checksum;
#[cfg(unix)]
pub(crate) use stored::{FileIdentity, remove_orphans};

use super::{LINE_BYTES_MAX, LogFile};
use crate::file_name::with_suffix;
use crate::schema::Status;

/// The folder of the indexes, within the folder of the log.
const FOLDER: &str = ".index";

/// The path of the index of a log file.
pub fn index_path(file: &Path) -> Option<PathBuf> {
    let name = with_suffix(Path::new(file.file_name()?), ".idx");
    Some(file.parent()?.join(FOLDER).join(name))
}

/// What is asked for. A field that is `None` or empty asks for nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexQuery {
    /// Not before this time, in microseconds since the Unix epoch.
    pub(crate) since: Option<i64>,
    /// Before this time.
    pub(crate) until: Option<i64>,
    /// This event type, or those below it.
    pub(crate) event_type: Option<String>,
    /// One of these statuses.
    pub(crate) statuses: Vec<Status>,
    /// Traces whose id begins so. Fewer than eight digits ask for nothing.
    pub(crate) trace: Option<String>,
    /// Also `audit.totals` lines of minutes that begin in this time, whatever the rest asks for.
    pub(crate) totals: Option<Range<i64>>,
    /// Whether missing indexes are built. All lines are then parsed.
    pub(crate) builds: bool,
}

/// A part of a file, made of whole blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(super) range: Range<u64>,
    /// Whether every line is whole and has its fields in the order of the schema.
    pub(super) is_in_order: bool,
}

impl Part {
    /// A whole file, of which nothing is known.
    pub(super) const WHOLE: Self = Self { range: 0..u64::MAX, is_in_order: false };
}

/// The blocks of one file.
#[derive(Debug, PartialEq)]
pub(crate) struct Index {
    blocks: Vec<Block>,
}

impl Index {
    /// Reads the index of a file, if there is a valid one.
    pub(super) fn load(file: &LogFile) -> Option<Self> {
        let identity = FileIdentity::of_closed(file)?;
        let index = bytes::decode(&identity.read_index(file)?, &identity.to_bytes())?;
        is_whole(&index.blocks, file.bytes()).then_some(index)
    }

    /// Keeps the blocks of a file for later, if they are those of the whole file. What goes wrong is ignored.
    pub(crate) fn store(blocks: &[Block], file: &LogFile, identity: FileIdentity) {
        if is_whole(blocks, file.bytes()) && FileIdentity::of_closed(file) == Some(identity) {
            identity.write_index(file, &bytes::encode(blocks, &identity.to_bytes()));
        }
    }

    /// The parts of the file that may have what is asked for, the last one first.
    pub(super) fn parts(&self, query: &IndexQuery) -> Vec<Part> {
        let (mut parts, mut end): (Vec<Part>, _) = (Vec::new(), 0);
        for block in &self.blocks {
            let (range, is_in_order) = (end..end + block.bytes, block.is_in_order);
            end = range.end;
            match parts.last_mut() {
                _ if !block.may_have(query) => {}
                Some(last) if last.range.end == range.start && last.is_in_order == is_in_order => {
                    last.range.end = range.end;
                }
                _ => parts.push(Part { range, is_in_order }),
            }
        }
        parts.reverse();
        parts
    }
}

/// Whether these are the blocks of a file with so many bytes.
fn is_whole(blocks: &[Block], file_bytes: u64) -> bool {
    let total = blocks.iter().try_fold(0_u64, |total, block| total.checked_add(block.bytes));
    let is_last_too_long = blocks.last().is_some_and(|last| last.bytes > LINE_BYTES_MAX as u64);
    // The newline of a line that is too long is counted even if it is missing.
    let fits = |total| total == file_bytes || is_last_too_long && total == file_bytes + 1;
    total.is_some_and(fits) && blocks.iter().all(|block| block.bytes > 0)
}

/// Gathers the blocks of a file, unless its index would be too large.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    blocks: Vec<Block>,
    bytes: u64,
}

impl IndexBuilder {
    pub(crate) fn push(&mut self, block: Block) {
        self.bytes += bytes::bytes_of_block(&block);
        if self.bytes > bytes::BYTES_MAX {
            self.blocks = Vec::new();
        } else {
            self.blocks.push(block);
        }
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// Reads bytes as an index, and as the content of one that says of itself that it is whole. Returns how many
/// blocks it has. For a fuzz target.
#[doc(hidden)]
pub fn index_blocks(bytes: &[u8]) -> Option<usize> {
    let query = IndexQuery {
        since: Some(0),
        until: Some(i64::MAX),
        event_type: Some("tool".to_owned()),
        statuses: vec![Status::Error],
        trace: Some("0af7651916cd43dd".to_owned()),
        totals: Some(0..i64::MAX),
        builds: false,
    };
    let identity = [0; bytes::IDENTITY_BYTES];
    let whole = bytes::with_head_and_sum(bytes, &identity);
    let index = bytes::decode(bytes, &identity).or_else(|| bytes::decode(&whole, &identity))?;
    let total = index.blocks.iter().try_fold(0_u64, |sum, block| sum.checked_add(block.bytes));
    if !total.is_some_and(|total| is_whole(&index.blocks, total)) {
        return None;
    }
    let parts = index.parts(&query);
    assert!(parts.is_sorted_by(|one, next| one.range.start >= next.range.end));
    Some(index.blocks.len())
}

#[cfg(all(test, unix))]
mod tests;
