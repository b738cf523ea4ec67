//! The memory of the queue: chains of fixed blocks. All `unsafe` code of the ring is here.
//!
//! # Who may touch a block
//! If a thread pops an index off the free list, it owns the block until it pushes the index back or
//! publishes it as part of a chain. A chain belongs to the thread that took its buffer out of the ring.
//! [`Chain`] (of a producer) and [`TakenBuffer`](super::TakenBuffer) (of the drainer) are made from owned indices
//! only, so no two threads touch the same block. The acquire/release pairs of the free lists and slots
//! order the writes of one owner before those of the next.
#![allow(unsafe_code)]

use std::ptr::{NonNull, null_mut};

use super::free::{FreeList, NONE};
use super::{ChainFull, Ring};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bytes in a block, and so the least an event takes. An odd number of cache lines: if it were a power
/// of two, the first lines of all blocks would share a few sets of the cache.
pub(crate) const BLOCK_BYTES: usize = 17 * 64;
/// Evictions that one emit may make before it gives up on its payload.
const EVICTIONS_MAX: u32 = 8;

/// The blocks.
pub(super) struct Arena {
    /// `blocks + 1` blocks, the first unused. A pointer and never a reference, because different threads
    /// write parts of it at the same time.
    memory: NonNull<u64>,
    words: usize,
    pub(super) blocks: FreeList,
}

/// The state of a buffer beside its bytes, in a cache line's length, because neighbours belong to
/// different threads.
#[derive(Default)]
#[repr(C)]
pub(super) struct Buffer {
    /// See [`slots`](super::slots).
    pub(super) loss: AtomicU64,
    /// The payload, which the protocol of the slots does not read.
    pub(super) chain: BufferChain,
    _rest: [u64; 5],
}

/// A type whose default is all zeros.
///
/// # Safety
///
/// Zeros are a valid value.
pub(super) unsafe trait Zeros: Default {}

// SAFETY: the atomics of std have the representation of their integers. Those of loom are not made of
// zeros: see below.
unsafe impl Zeros for AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeros for AtomicU64 {}
// SAFETY: it consists of integers and of atomics, as above.
unsafe impl Zeros for Buffer {}

/// Makes `count` defaults, at least one. The memory is touched on first use, if it is large and the type
/// needs no more alignment than the allocator gives anyway.
#[cfg(not(loom))]
pub(super) fn untouched_defaults<T: Zeros>(count: usize) -> Box<[T]> {
    use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

    let layout = Layout::array::<T>(count).expect("the settings limit the queue");
    assert!(layout.size() > 0);
    // SAFETY: the size was checked.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: it was allocated for such a slice, and zeros are valid for its elements.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory.cast(), count)) }
}

/// The atomics of loom are not zeros.
#[cfg(loom)]
pub(super) fn untouched_defaults<T: Zeros>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

/// The chain of a buffer. Only the buffer's owner reads or writes it. The fields are atomic so that no
/// `unsafe` is needed, and relaxed because ownership passes with acquire and release.
#[derive(Default)]
pub(super) struct BufferChain {
    first: AtomicU32,
    last: AtomicU32,
    len: AtomicU32,
}

impl BufferChain {
    fn set(&self, first: u32, last: u32, len: u32) {
        self.first.store(first, Ordering::Relaxed);
        self.last.store(last, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
    }

    /// Returns the first and the last block, [`NONE`] if there is none.
    fn ends(&self) -> (u32, u32) {
        (self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed))
    }
}

// SAFETY: the memory is plain bytes, reached only through owned indices (see above).
unsafe impl Send for Arena {}
// SAFETY: as above, and all shared words are atomics.
unsafe impl Sync for Arena {}

impl Arena {
    /// Allocates `blocks` blocks. The memory is touched on first use.
    pub(super) fn new(blocks: u32) -> Self {
        let words = (blocks as usize + 1) * (BLOCK_BYTES / 8);
        // Zeroed memory of this size comes fresh from the operating system, untouched.
        let memory = Box::into_raw(vec![0_u64; words].into_boxed_slice());
        Self {
            memory: NonNull::new(memory.cast()).expect("a box is never null"),
            words,
            blocks: FreeList::with_all_free(blocks),
        }
    }

    fn block(&self, index: u32) -> *mut u8 {
        let offset = index as usize * (BLOCK_BYTES / 8);
        assert!(index != NONE && offset < self.words);
        // SAFETY: the offset was checked against the allocation.
        unsafe { self.memory.as_ptr().add(offset).cast() }
    }

    /// Returns the first byte of a block, and the one at which it or `limit` ends.
    #[inline]
    fn block_within(&self, index: u32, limit: usize) -> (*mut u8, *mut u8) {
        let start = self.block(index);
        // SAFETY: it is at most the block's length.
        (start, unsafe { start.add(BLOCK_BYTES.min(limit)) })
    }

    /// Prefetches the first lines of a chain's first block, which another core may have written. The next event is
    /// written into it, or read from it.
    #[inline]
    pub(super) fn prefetch_first_block(&self, chain: &BufferChain) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            const LINES: usize = 8;
            let (first, _) = chain.ends();
            if first == NONE {
                return;
            }
            let at = self.block(first);
            for line in 0..LINES {
                // SAFETY: the address is in the block, and a prefetch only affects time.
                unsafe { _mm_prefetch(at.add(line * 64).cast(), _MM_HINT_T0) };
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = chain;
    }

    /// Gives back all blocks of an owned buffer.
    pub(super) fn free_all(&self, chain: &BufferChain) {
        let (first, last) = chain.ends();
        if first != NONE {
            self.blocks.push_chain(first, last);
            chain.set(NONE, NONE, 0);
        }
    }

    /// Gives back all blocks of an owned buffer except one.
    pub(super) fn free_tail(&self, chain: &BufferChain) {
        let (first, last) = chain.ends();
        if first != last {
            self.blocks.push_chain(self.blocks.index_below(first), last);
            chain.set(first, first, 0);
        }
    }

    /// Takes the blocks from an owned buffer and puts them before those of `before`.
    pub(super) fn detach_blocks(
        &self,
        chain: &BufferChain,
        before: Option<(u32, u32)>,
    ) -> Option<(u32, u32)> {
        let (first, last) = chain.ends();
        if first == NONE {
            return before;
        }
        chain.set(NONE, NONE, 0);
        let Some((next, end)) = before else { return Some((first, last)) };
        self.blocks.link_below(last, next);
        Some((first, end))
    }

    /// Returns the number of blocks.
    pub(super) fn block_count(&self) -> u32 {
        (self.words / (BLOCK_BYTES / 8) - 1) as u32
    }

    /// Returns the bytes of a buffer that the caller owns. If they are in one block, they stay in place.
    /// Otherwise they are copied into `scratch`.
    ///
    /// `owner` and `chain` belong to the same buffer.
    #[inline]
    pub(super) fn contiguous_bytes<'a>(
        &'a self,
        _owner: &'a super::TakenBuffer,
        chain: &'a BufferChain,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let mut left = chain.len.load(Ordering::Relaxed) as usize;
        let mut block = chain.ends().0;
        if left == 0 {
            return &[];
        }
        if left <= BLOCK_BYTES {
            // SAFETY: the holder of the `TakenBuffer` owns its chain (see above), and `owner` is borrowed
            // while the slice lives. Its first `left` bytes were written before publishing.
            return unsafe { std::slice::from_raw_parts(self.block(block), left) };
        }
        scratch.clear();
        while left > 0 {
            let piece = left.min(BLOCK_BYTES);
            // SAFETY: as above, and all blocks except the last are full.
            scratch
                .extend_from_slice(unsafe { std::slice::from_raw_parts(self.block(block), piece) });
            left -= piece;
            block = self.blocks.index_below(block);
        }
        scratch
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let memory = std::ptr::slice_from_raw_parts_mut(self.memory.as_ptr(), self.words);
        // SAFETY: `new` made it from a box of this length, and nobody is left to use it.
        drop(unsafe { Box::from_raw(memory) });
    }
}

/// Prefetches the first line of a value that is about to be read.
#[inline]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is that of a value, and a prefetch only affects time.
        unsafe { _mm_prefetch(std::ptr::from_ref(value).cast(), _MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// How a chain gets room if the queue has no block left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFull {
    /// Overwrite a few of the oldest events.
    Evict,
    /// Wait for the writer.
    Wait,
}

/// The bytes of one event while they are written: a buffer and its blocks, owned. If it is dropped
/// without being pushed, it gives everything back.
pub(crate) struct Chain<'r> {
    ring: &'r Ring,
    buffer: u32,
    /// The first block.
    first: u32,
    /// The last block, which is written to.
    block: u32,
    /// Its first byte, the next one, and the one at which the block or the limit ends.
    start: *mut u8,
    at: *mut u8,
    end: *mut u8,
    /// The bytes in the blocks before it.
    before: usize,
    limit: usize,
    evictions: u32,
    on_full: OnFull,
}

/// A place in a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainMark {
    block: u32,
    /// The bytes in that block, and in those before it.
    used: usize,
    before: usize,
}

impl<'r> Chain<'r> {
    /// Makes an empty chain in `buffer`, which the caller hands over with at most one block. If it has none, the
    /// chain takes one, unless there is none left.
    #[inline(always)]
    pub(super) fn new(ring: &'r Ring, buffer: u32, limit: usize, on_full: OnFull) -> Self {
        let first = match ring.slots.chain_of_buffer(buffer).ends() {
            (NONE, _) => ring.arena.blocks.pop().unwrap_or(NONE),
            (first, _) => first,
        };
        let limit = limit.min(u32::MAX as usize);
        let (start, end) = match first {
            NONE => (null_mut(), null_mut()),
            block => ring.arena.block_within(block, limit),
        };
        let (block, at, before, evictions) = (first, start, 0, 0);
        Self { ring, buffer, first, block, start, at, end, before, limit, evictions, on_full }
    }

    /// Goes on in a block after its first `used` bytes. `before` counts the bytes in the blocks before it.
    #[inline]
    fn begin_block(&mut self, block: u32, before: usize, used: usize) {
        (self.block, self.before) = (block, before);
        (self.start, self.end) = self.ring.arena.block_within(block, self.limit - before);
        assert!(used <= self.end.addr() - self.start.addr());
        // SAFETY: it is at most the block's length.
        self.at = unsafe { self.start.add(used) };
    }

    /// Returns how many bytes fit into the block.
    #[inline]
    fn room(&self) -> usize {
        self.end.addr() - self.at.addr()
    }

    /// Appends `bytes`. After an error the caller must rewind or drop the chain.
    ///
    /// # Errors
    /// [`ChainFull::Limit`] if the event would exceed its limit. [`ChainFull::Memory`] if the queue has no block
    /// left and none could be gained.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), ChainFull> {
        if bytes.len() > self.room() {
            return self.put_across_blocks(bytes);
        }
        self.put_in_block(bytes);
        Ok(())
    }

    /// Works as [`put`](Self::put), without a call to copy the bytes.
    #[inline(always)]
    pub(crate) fn put_array<const N: usize>(&mut self, bytes: &[u8; N]) -> Result<(), ChainFull> {
        if N > self.room() {
            return self.put_across_blocks(bytes);
        }
        // SAFETY: the bytes from `at` to `end` are of a block that this chain owns, and there are as many as are
        // written.
        unsafe {
            self.at.cast::<[u8; N]>().write_unaligned(*bytes);
            self.at = self.at.add(N);
        }
        Ok(())
    }

    /// Appends two bytes and a few more, if they fit into the block. Returns whether they did. Most strings
    /// are written so.
    #[inline(always)]
    pub(crate) fn put_if_short(&mut self, head: [u8; 2], bytes: &[u8]) -> bool {
        let fits = bytes.len() <= FEW_BYTES && head.len() + bytes.len() <= self.room();
        if fits {
            self.put_in_block(&head);
            self.put_in_block(bytes);
        }
        fits
    }

    /// Appends the first `length` of these bytes, if all of them fit into the block. Returns whether they did.
    #[inline(always)]
    pub(crate) fn put_padded(&mut self, bytes: &[u8; PADDED_BYTES], length: usize) -> bool {
        let fits = length <= PADDED_BYTES && PADDED_BYTES <= self.room();
        if fits {
            // SAFETY: the bytes from `at` to `end` are of a block that this chain owns, and there are as many as
            // are written. What is behind `length` is written again.
            unsafe {
                self.at.cast::<[u8; PADDED_BYTES]>().write_unaligned(*bytes);
                self.at = self.at.add(length);
            }
        }
        fits
    }

    #[inline(always)]
    fn put_in_block(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        // SAFETY: the bytes from `at` to `end` are of a block that this chain owns, and the callers
        // checked that these fit between them. If there is no block, none does.
        unsafe {
            copy_few_bytes(bytes, self.at);
            self.at = self.at.add(bytes.len());
        }
    }

    #[cold]
    fn put_across_blocks(&mut self, mut bytes: &[u8]) -> Result<(), ChainFull> {
        if bytes.len() > self.limit - self.len() {
            return Err(ChainFull::Limit);
        }
        while !bytes.is_empty() {
            if self.room() == 0 {
                self.add_block()?;
            }
            let (here, rest) = bytes.split_at(bytes.len().min(self.room()));
            self.put_in_block(here);
            bytes = rest;
        }
        Ok(())
    }

    fn add_block(&mut self) -> Result<(), ChainFull> {
        /// If nothing is left to drain, memory can only come from other chains. This is how long to
        /// wait for them, in milliseconds.
        const WAITS_MAX: u32 = 4;
        let mut waits = 0;
        let next = loop {
            if let Some(block) = self.ring.arena.blocks.pop() {
                break block;
            }
            match self.on_full {
                OnFull::Wait if waits < WAITS_MAX && self.ring.wait_for_room() => {
                    waits += u32::from(self.ring.is_drained());
                }
                OnFull::Evict if self.evictions < EVICTIONS_MAX => {
                    self.evictions += 1;
                    if !self.ring.evict_oldest() {
                        // The drainer may have taken them all and given their blocks back.
                        break self.ring.arena.blocks.pop().ok_or(ChainFull::Memory)?;
                    }
                }
                _ => return Err(ChainFull::Memory),
            }
        };
        match self.block {
            NONE => self.first = next,
            block => self.ring.arena.blocks.link_below(block, next),
        }
        self.begin_block(next, self.len(), 0);
        Ok(())
    }

    /// Returns the number of bytes written so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.before + (self.at.addr() - self.start.addr())
    }

    /// Returns the most bytes that the chain may hold.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the place after the last byte.
    #[inline]
    pub(crate) fn mark(&self) -> ChainMark {
        let used = self.at.addr() - self.start.addr();
        ChainMark { block: self.block, used, before: self.before }
    }

    /// Discards everything written since `mark`, which is of this chain.
    pub(crate) fn rewind(&mut self, mark: ChainMark) {
        let blocks = &self.ring.arena.blocks;
        if mark.block != self.block {
            let from = if mark.block == NONE { self.first } else { blocks.index_below(mark.block) };
            blocks.push_chain(from, self.block);
        }
        if mark.block == NONE {
            (self.first, self.block, self.before) = (NONE, NONE, 0);
            (self.start, self.at, self.end) = (null_mut(), null_mut(), null_mut());
            return;
        }
        self.begin_block(mark.block, mark.before, mark.used);
    }

    /// Returns whether other events were overwritten for its memory.
    pub(super) fn has_evicted(&self) -> bool {
        self.evictions > 0
    }

    /// Ends the writing and returns the buffer, ready to be published.
    #[inline(always)]
    pub(super) fn finish(self) -> u32 {
        let buffer = self.store_in_buffer();
        std::mem::forget(self);
        buffer
    }

    /// Stores in the buffer which blocks it has.
    #[inline(always)]
    fn store_in_buffer(&self) -> u32 {
        // The limit fits 32 bits.
        self.ring.slots.chain_of_buffer(self.buffer).set(self.first, self.block, self.len() as u32);
        self.buffer
    }

    /// Makes a chain with a ring of its own, for tests of code that writes into one.
    #[cfg(test)]
    pub(crate) fn for_tests(limit: usize) -> Chain<'static> {
        let ring: &'static std::sync::Arc<Ring> = Box::leak(Box::new(Ring::new(64, limit * 2)));
        ring.begin_chain(limit, OnFull::Evict).expect("a new ring has buffers")
    }

    /// Copies the content into one vector.
    #[cfg(any(feature = "macros", fuzzing, test))]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let arena = &self.ring.arena;
        let (mut block, mut content) = (self.first, Vec::with_capacity(self.len()));
        while content.len() < self.len() {
            let piece = (self.len() - content.len()).min(BLOCK_BYTES);
            // SAFETY: this chain owns the block, and all blocks except the last are full.
            content.extend_from_slice(unsafe {
                std::slice::from_raw_parts(arena.block(block), piece)
            });
            block = arena.blocks.index_below(block);
        }
        content
    }
}

/// So many bytes are copied at once, though fewer may count.
pub(crate) const PADDED_BYTES: usize = 32;
/// So many bytes are copied without a call.
const FEW_BYTES: usize = 32;

/// Copies bytes, without a call if they are few.
///
/// # Safety
///
/// `to` is valid for as many bytes, which are not those of `from`.
#[inline(always)]
unsafe fn copy_few_bytes(from: &[u8], to: *mut u8) {
    /// Copies two pieces that cover the bytes and may overlap.
    macro_rules! copy_ends {
        ($($size:literal),*) => {$(
            if let (Some(first), Some(last)) = (from.first_chunk::<$size>(), from.last_chunk::<$size>())
                && from.len() <= 2 * $size
            {
                // SAFETY: each piece is a part of the bytes, at its place in them.
                unsafe {
                    to.cast::<[u8; $size]>().write_unaligned(*first);
                    to.add(from.len() - $size).cast::<[u8; $size]>().write_unaligned(*last);
                }
                return;
            }
        )*};
    }
    copy_ends!(8, 16, 4, 2, 1);
    // SAFETY: the caller promises it.
    unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        self.ring.give_back_buffer(self.store_in_buffer());
    }
}
