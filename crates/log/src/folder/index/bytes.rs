//! The bytes of an index: a head, a record for each block, the filters of all blocks, a checksum. All numbers
//! are little-endian and of eight bytes.

use super::Index;
use super::block::{Block, mix};

/// The name of the format, and its version.
const MAGIC: u64 = u64::from_le_bytes(*b"auditix5");
/// The numbers that say of which file it is.
pub(super) const IDENTITY_BYTES: usize = 7 * 8;
/// The numbers of a block.
const RECORD: usize = 8;
/// A larger index is not read.
pub(super) const BYTES_MAX: u64 = 16 << 20;

pub(super) fn encode(blocks: &[Block], identity: &[u8; IDENTITY_BYTES]) -> Vec<u8> {
    let mut out = (blocks.len() as u64).to_le_bytes().to_vec();
    for block in blocks {
        let flags = u64::from(block.is_in_order) << 9
            | u64::from(block.is_always_read) << 8
            | u64::from(block.statuses);
        let numbers: [u64; RECORD] = [
            block.bytes,
            flags,
            block.traces.len() as u64,
            block.times.0.cast_unsigned(),
            block.times.1.cast_unsigned(),
            block.types,
            block.totals.0.cast_unsigned(),
            block.totals.1.cast_unsigned(),
        ];
        out.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
    }
    for block in blocks {
        out.extend(block.traces.iter().flat_map(|word| word.to_le_bytes()));
    }
    with_head_and_sum(&out, identity)
}

/// How many bytes a block takes in an index.
pub(super) fn bytes_of_block(block: &Block) -> u64 {
    ((RECORD + block.traces.len()) * 8) as u64
}

pub(super) fn with_head_and_sum(content: &[u8], identity: &[u8; IDENTITY_BYTES]) -> Vec<u8> {
    let mut out = [&MAGIC.to_le_bytes(), &identity[..], content].concat();
    out.extend_from_slice(&checksum(&out).to_le_bytes());
    out
}

/// Reads an index. Returns `None` if it is damaged or of another file.
pub(super) fn decode(bytes: &[u8], identity: &[u8; IDENTITY_BYTES]) -> Option<Index> {
    let (content, sum) = bytes.split_last_chunk()?;
    let body = content.strip_prefix(&MAGIC.to_le_bytes())?.strip_prefix(identity)?;
    let (words, rest) = body.as_chunks::<8>();
    if !rest.is_empty() || u64::from_le_bytes(*sum) != checksum(content) {
        return None;
    }
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (count, words) = words.split_first()?;
    let records = usize::try_from(*count).ok()?.checked_mul(RECORD)?;
    let (records, mut filters) = words.split_at_checked(records)?;
    let mut blocks = Vec::new();
    for record in records.as_chunks::<RECORD>().0 {
        let [bytes, flags, filter, first, last, types, totals_first, totals_last] = *record;
        let traces;
        (traces, filters) = filters.split_at_checked(usize::try_from(filter).ok()?)?;
        blocks.push(Block {
            bytes,
            is_always_read: flags >> 8 & 1 == 1,
            is_in_order: flags >> 9 & 1 == 1,
            statuses: flags as u8,
            times: (first.cast_signed(), last.cast_signed()),
            totals: (totals_first.cast_signed(), totals_last.cast_signed()),
            types,
            traces: traces.to_vec(),
        });
    }
    filters.is_empty().then_some(Index { blocks })
}

/// Any change of a bit changes it. It is no protection against intent.
pub(in crate::folder) fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let numbers = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    let sum = numbers.chain(rest).fold(bytes.len() as u64, |sum, number| {
        (sum ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    });
    mix(sum)
}
