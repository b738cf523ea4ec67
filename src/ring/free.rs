//! A lock-free stack of free indices.

use crossbeam_utils::CachePadded;

use super::arena::untouched_defaults;
use crate::sync::{AtomicU32, AtomicU64, Ordering, ordering_weakened_by, pause};

/// Bits of an index. The rest of a word is a tag or a lap.
pub(super) const INDEX_BITS: u32 = 24;
/// The index that names nothing.
pub(super) const NONE: u32 = 0;

/// Index and tag (or lap) of a word.
pub(super) fn unpack_index(word: u64) -> (u64, u32) {
    (word >> INDEX_BITS, (word & ((1 << INDEX_BITS) - 1)) as u32)
}

/// A word of tag (or lap) and index.
pub(super) fn pack_index(upper: u64, index: u32) -> u64 {
    (upper << INDEX_BITS) | u64::from(index)
}

/// A Treiber stack over the indices `1..=count`. The head has a tag of 40 bits that grows with every
/// change. So a word never comes back while a slow thread still compares with it.
pub(super) struct FreeList {
    head: CachePadded<AtomicU64>,
    /// `links[i]` is the index below `i`, XOR `i + 1`. So zeros join every index to the next one. It also
    /// joins the blocks of a chain that is in use.
    links: Box<[AtomicU32]>,
}

impl FreeList {
    /// Makes a stack of all of `1..=count`, the lowest on top.
    pub(super) fn with_all_free(count: u32) -> Self {
        assert!(count < 1 << INDEX_BITS, "an index has {INDEX_BITS} bits");
        let all = Self {
            head: CachePadded::new(AtomicU64::new(pack_index(0, count.min(1)))),
            links: untouched_defaults(count as usize + 1),
        };
        all.link_below(count, NONE);
        all
    }

    /// Returns the index that `link_below` joined under `index`. Only the owner of `index` may ask.
    pub(super) fn index_below(&self, index: u32) -> u32 {
        self.links[index as usize].load(Ordering::Relaxed) ^ (index + 1)
    }

    /// Joins `below` under `index`. Only the owner of both may call it.
    pub(super) fn link_below(&self, index: u32, below: u32) {
        self.links[index as usize].store(below ^ (index + 1), Ordering::Relaxed);
    }

    /// Takes the top index, which the caller then owns.
    pub(super) fn pop(&self) -> Option<u32> {
        // Acquire: pairs with the release of `push_chain`, so that the former owner has finished with
        // the index. The exchange may be relaxed, because it succeeds only on the word that this load
        // read. As a read-modify-write it continues the release sequence of all pushes below.
        let acquire = ordering_weakened_by("free_pop", Ordering::Acquire);
        let mut word = self.head.load(acquire);
        loop {
            let (tag, index) = unpack_index(word);
            if index == NONE {
                return None;
            }
            let below = self.index_below(index);
            pause("pop");
            match self.head.compare_exchange_weak(
                word,
                pack_index(tag + 1, below),
                Ordering::Relaxed,
                acquire,
            ) {
                Ok(_) => return Some(index),
                Err(now) => word = now,
            }
        }
    }

    /// Gives back the linked indices from `first` to `last`, both owned by the caller.
    pub(super) fn push_chain(&self, first: u32, last: u32) {
        // Release: pairs with the acquire of `pop`.
        let release = ordering_weakened_by("free_push", Ordering::Release);
        let mut word = self.head.load(Ordering::Relaxed);
        loop {
            let (tag, top) = unpack_index(word);
            self.link_below(last, top);
            pause("push_back");
            match self.head.compare_exchange_weak(
                word,
                pack_index(tag + 1, first),
                release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Counts the free indices one by one. Exact only if nobody pushes or pops.
    #[cfg(test)]
    pub(super) fn count_free(&self) -> usize {
        let mut index = unpack_index(self.head.load(Ordering::Acquire)).1;
        let mut count = 0;
        while index != NONE {
            count += 1;
            index = self.index_below(index);
        }
        count
    }
}
