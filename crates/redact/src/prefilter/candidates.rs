//! The candidates of a text, found as they are asked for.

use super::pairs::PairState;
#[cfg(target_arch = "x86_64")]
use super::{FOREIGN, avx512, count_steps};
use super::{FirstLook, MATCH_BYTES_MIN, Prefilter};

/// The most places that are decided together.
pub(super) const SPAN: usize = 64;

/// Candidates among [`SPAN`] places of a text.
///
/// It is small enough to be returned in two registers, because it is computed for every text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CandidateBlock {
    /// The place of bit 0.
    pub(super) base: usize,
    pub(super) bits: u64,
}

impl CandidateBlock {
    /// Returns whether there are no candidates.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Returns the first candidate.
    #[inline]
    pub(super) fn first(self) -> usize {
        self.base.wrapping_add(self.bits.trailing_zeros() as usize)
    }

    /// Removes the first candidate.
    #[inline]
    pub(super) fn remove_first(&mut self) {
        self.bits &= self.bits.wrapping_sub(1);
    }

    /// Returns the first place that was not decided.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn first_undecided(self) -> usize {
        self.base.wrapping_add(SPAN)
    }
}

/// The most blocks that are examined together.
pub(super) const AHEAD: usize = 16;

/// The candidates of a text from a place on, in order. They are found as they are asked for.
///
/// AVX-512 examines several blocks together, the more the farther the search is from its beginning.
/// If a match cuts blocks off, they are examined again.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only AVX-512 looks ahead"))]
pub(in super::super) struct Candidates {
    block: CandidateBlock,
    /// How far the text was read, without AVX-512. The other fields are for AVX-512.
    pairs: PairState,
    /// The blocks after it that have candidates: those from `next` to `count`.
    pub(super) ahead: [CandidateBlock; AHEAD],
    next: usize,
    pub(super) count: usize,
    /// The first place that was not examined.
    pub(super) behind: usize,
    /// The number of blocks that are examined next time.
    pub(super) width: usize,
}

impl Candidates {
    /// Returns all candidates from this place on.
    #[inline]
    pub(in super::super) fn starting_at(at: usize) -> Self {
        let none = CandidateBlock::default();
        let pairs = PairState::starting_at(at);
        Self { block: none, pairs, ahead: [none; AHEAD], next: 0, count: 0, behind: at, width: 1 }
    }

    /// Returns all candidates of a text, or `None` if there are none, as in most texts.
    #[inline]
    pub(in super::super) fn for_text(filter: &Prefilter, bytes: &[u8]) -> Option<Self> {
        match &filter.first_look {
            #[cfg(target_arch = "x86_64")]
            FirstLook::Avx512(_) if bytes.len() >= SPAN => {
                let mut all = Self { width: AHEAD, ..Self::starting_at(0) };
                all.advance(filter, bytes, 0).then_some(all)
            }
            #[cfg(target_arch = "x86_64")]
            FirstLook::Avx512(tables) => {
                // SAFETY: the machine has the instructions that `detect` checks.
                #[allow(unsafe_code)]
                let block = unsafe { avx512::scan_short_text(filter, tables, bytes) };
                let next = block.first_undecided();
                (!block.is_empty()).then(|| Self { block, ..Self::starting_at(next) })
            }
            FirstLook::Pairs(table) => {
                let mut pairs = PairState::starting_at(0);
                let none = CandidateBlock::default();
                let block = filter.scan_pairs(table, bytes, 0, &mut pairs, none);
                (!block.is_empty()).then(|| Self { block, pairs, ..Self::starting_at(0) })
            }
        }
    }

    /// Returns whether a text of less than [`SPAN`] bytes has no candidates. A longer one counts as if it had.
    #[inline]
    pub(in super::super) fn are_none(filter: &Prefilter, bytes: &[u8]) -> bool {
        match &filter.first_look {
            #[cfg(target_arch = "x86_64")]
            FirstLook::Avx512(tables) if bytes.len() < SPAN => {
                // SAFETY: the machine has the instructions that `detect` checks.
                #[allow(unsafe_code)]
                let block = unsafe { avx512::scan_short_text(filter, tables, bytes) };
                block.is_empty()
            }
            FirstLook::Pairs(table) if bytes.len() < SPAN => {
                let (mut pairs, none) = (PairState::starting_at(0), CandidateBlock::default());
                filter.scan_pairs(table, bytes, 0, &mut pairs, none).is_empty()
            }
            _ => false,
        }
    }

    /// Returns the next candidate. `edge` is the beginning of the segment: text before it does not
    /// count.
    #[inline]
    pub(in super::super) fn next(
        &mut self,
        filter: &Prefilter,
        bytes: &[u8],
        edge: usize,
    ) -> Option<usize> {
        self.advance(filter, bytes, edge).then(|| {
            let next = self.block.first();
            self.block.remove_first();
            next
        })
    }

    /// Advances to the next candidate. Returns `false` if there are no more.
    #[inline]
    fn advance(&mut self, filter: &Prefilter, bytes: &[u8], edge: usize) -> bool {
        match &filter.first_look {
            #[cfg(target_arch = "x86_64")]
            FirstLook::Avx512(tables) => {
                // SAFETY: the machine has the instructions that `detect` checks.
                #[allow(unsafe_code)]
                let has_next = unsafe { avx512::advance(self, filter, tables, bytes, edge) };
                has_next
            }
            FirstLook::Pairs(_) if bytes.len() < MATCH_BYTES_MIN => false,
            FirstLook::Pairs(table) => {
                self.block = filter.scan_pairs(table, bytes, edge, &mut self.pairs, self.block);
                !self.block.is_empty()
            }
        }
    }

    /// Advances with `look`, which examines the next blocks.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn advance_with(
        &mut self,
        filter: &Prefilter,
        bytes: &[u8],
        edge: usize,
        look: impl Fn(&mut Self),
    ) -> bool {
        loop {
            while !self.block.is_empty() {
                count_steps(1);
                if filter.is_candidate(bytes, self.block.first(), edge) {
                    return true;
                }
                self.block.remove_first();
            }
            while self.next == self.count {
                if bytes.len() < MATCH_BYTES_MIN || self.behind + FOREIGN > bytes.len() {
                    return false;
                }
                let from = self.behind;
                look(self);
                count_steps((self.behind - from) / SPAN);
                self.next = 0;
                self.width = (2 * self.width).min(AHEAD);
            }
            self.block = self.ahead[self.next];
            self.next += 1;
        }
    }
}
