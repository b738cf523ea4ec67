//! The memory of the queue: chains of fixed blocks. Every `unsafe` line of the ring is here.
//!
//! # Who may touch a block
//! An index handed out by the free list belongs to whoever popped it, until it is pushed back or
//! goes into the ring as part of a chain; a chain belongs to whoever took its buffer out of the
//! ring. [`Chain`] (a producer's) and [`Taken`](super::Taken) (the drainer's) are made from owned
//! indices only, so no two threads ever touch the same block, and the acquire/release pairs of the
//! free lists and slots order one owner's writes before the next one's.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::free::{FreeList, NONE};
use super::{Full, Ring};
use crate::sync::{AtomicU32, Ordering};

/// Bytes in a block; the least an event takes.
pub(crate) const BLOCK_BYTES: usize = 1024;
/// Evictions one emit may make before it gives up on its payload.
const EVICTIONS_MAX: u32 = 8;

/// Blocks, and the buffers that name chains of them.
pub(super) struct Arena {
    /// `blocks + 1` blocks, the first unused. Never a reference, only pointers: parts of it are
    /// written by different threads at once.
    memory: NonNull<u64>,
    words: usize,
    pub(super) blocks: FreeList,
    /// The chain of every buffer; index 0 unused.
    chains: Box<[ChainOf]>,
}

/// The chain of a buffer. Only the buffer's owner reads or writes it; atomic so that no `unsafe`
/// is needed, relaxed because ownership travels with acquire and release.
#[derive(Default)]
struct ChainOf {
    first: AtomicU32,
    last: AtomicU32,
    len: AtomicU32,
}

// SAFETY: the memory is plain bytes, reached only through owned indices (see the module).
unsafe impl Send for Arena {}
// SAFETY: as above; all shared words are atomics.
unsafe impl Sync for Arena {}

impl Arena {
    /// `blocks` blocks and `buffers` buffers without any. The memory is touched when first used.
    pub(super) fn new(blocks: u32, buffers: u32) -> Self {
        let words = (blocks as usize + 1) * (BLOCK_BYTES / 8);
        // Zeroed memory of this size comes fresh from the operating system, untouched.
        let memory = Box::into_raw(vec![0_u64; words].into_boxed_slice());
        Self {
            memory: NonNull::new(memory.cast()).expect("a box is never null"),
            words,
            blocks: FreeList::full(blocks),
            chains: (0..=buffers).map(|_| ChainOf::default()).collect(),
        }
    }

    fn block(&self, index: u32) -> *mut u8 {
        let offset = index as usize * (BLOCK_BYTES / 8);
        assert!(index != NONE && offset < self.words);
        // SAFETY: the offset was checked against the allocation.
        unsafe { self.memory.as_ptr().add(offset).cast() }
    }

    /// Sets the chain of an owned buffer.
    fn set(&self, buffer: u32, first: u32, last: u32, len: u32) {
        let chain = &self.chains[buffer as usize];
        chain.first.store(first, Ordering::Relaxed);
        chain.last.store(last, Ordering::Relaxed);
        chain.len.store(len, Ordering::Relaxed);
    }

    /// First and last block of an owned buffer's chain, [`NONE`] when it has none.
    fn ends(&self, buffer: u32) -> (u32, u32) {
        let chain = &self.chains[buffer as usize];
        (chain.first.load(Ordering::Relaxed), chain.last.load(Ordering::Relaxed))
    }

    /// Gives back all blocks of an owned buffer.
    pub(super) fn free_all(&self, buffer: u32) {
        let (first, last) = self.ends(buffer);
        if first != NONE {
            self.blocks.push_chain(first, last);
        }
        self.set(buffer, NONE, NONE, 0);
    }

    /// Gives back all blocks of an owned buffer but one.
    pub(super) fn free_tail(&self, buffer: u32) {
        let (first, last) = self.ends(buffer);
        if first != last {
            self.blocks.push_chain(self.blocks.linked(first), last);
        }
        self.set(buffer, first, first, 0);
    }

    /// Takes the chain from an owned buffer and puts it before the chain `before`.
    pub(super) fn detach(&self, buffer: u32, before: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let (first, last) = self.ends(buffer);
        if first == NONE {
            return before;
        }
        self.set(buffer, NONE, NONE, 0);
        let Some((next, end)) = before else { return Some((first, last)) };
        self.blocks.link(last, next);
        Some((first, end))
    }

    /// How many blocks there are.
    pub(super) fn block_count(&self) -> u32 {
        (self.words / (BLOCK_BYTES / 8) - 1) as u32
    }

    /// The bytes of a buffer the caller owns: in place when they lie in one block, else copied
    /// together into `scratch`.
    pub(super) fn bytes<'a>(
        &'a self,
        buffer: &'a super::Taken,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let mut left = self.chains[buffer.index() as usize].len.load(Ordering::Relaxed) as usize;
        let mut block = self.ends(buffer.index()).0;
        if left == 0 {
            return &[];
        }
        if left <= BLOCK_BYTES {
            // SAFETY: `buffer` owns its chain (see the module) and is borrowed for as long as the
            // slice lives; its first `left` bytes were written before it was published.
            return unsafe { std::slice::from_raw_parts(self.block(block), left) };
        }
        scratch.clear();
        while left > 0 {
            let piece = left.min(BLOCK_BYTES);
            // SAFETY: as above; all blocks but the last are full.
            scratch
                .extend_from_slice(unsafe { std::slice::from_raw_parts(self.block(block), piece) });
            left -= piece;
            block = self.blocks.linked(block);
        }
        scratch
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let memory = std::ptr::slice_from_raw_parts_mut(self.memory.as_ptr(), self.words);
        // SAFETY: `new` made it from a box of this length, and nobody else is left to use it.
        drop(unsafe { Box::from_raw(memory) });
    }
}

/// How a chain gets room when the queue has no block left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFull {
    /// Overwrite the oldest events, a few.
    Evict,
    /// Wait for the writer.
    Wait,
}

/// One event's bytes while they are being written: a buffer and its blocks, owned. Dropped without
/// being pushed, it gives everything back.
pub(crate) struct Chain<'r> {
    ring: &'r Ring,
    buffer: u32,
    /// The block written to, the place in it, and what it has left.
    block: u32,
    at: *mut u8,
    room: usize,
    len: usize,
    limit: usize,
    evictions: u32,
    on_full: OnFull,
}

/// A place in a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    block: u32,
    room: usize,
    len: usize,
}

impl<'r> Chain<'r> {
    /// An empty chain in `buffer`, which the caller hands over with at most one block.
    pub(super) fn new(ring: &'r Ring, buffer: u32, limit: usize, on_full: OnFull) -> Self {
        let (first, _) = ring.arena.ends(buffer);
        let mut chain = Self {
            ring,
            buffer,
            block: NONE,
            at: std::ptr::null_mut(),
            room: 0,
            len: 0,
            limit: limit.min(u32::MAX as usize),
            evictions: 0,
            on_full,
        };
        if first != NONE {
            chain.begin(first);
        }
        chain
    }

    fn begin(&mut self, block: u32) {
        self.block = block;
        self.at = self.ring.arena.block(block);
        self.room = BLOCK_BYTES;
    }

    /// Appends `bytes`, all or nothing as far as the caller can rely on: after an error the chain
    /// is to be rewound or dropped.
    ///
    /// # Errors
    /// [`Full::Limit`] past the size limit, [`Full::Memory`] when the queue has no block left and
    /// none could be gained.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.limit - self.len {
            return Err(Full::Limit);
        }
        if bytes.len() > self.room {
            return self.put_across(bytes);
        }
        self.put_here(bytes);
        Ok(())
    }

    #[inline]
    fn put_here(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room);
        // SAFETY: `at` points `BLOCK_BYTES - room` into a block this chain owns (or `room` is 0
        // and so is the length), and the callers checked that the bytes fit into what is left.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len());
            self.at = self.at.add(bytes.len());
        }
        self.room -= bytes.len();
        self.len += bytes.len();
    }

    #[cold]
    fn put_across(&mut self, mut bytes: &[u8]) -> Result<(), Full> {
        while !bytes.is_empty() {
            if self.room == 0 {
                self.grow()?;
            }
            let (here, rest) = bytes.split_at(bytes.len().min(self.room));
            self.put_here(here);
            bytes = rest;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Full> {
        let next = loop {
            if let Some(block) = self.ring.arena.blocks.pop() {
                break block;
            }
            match self.on_full {
                OnFull::Wait if self.ring.wait_for_room() => {}
                OnFull::Evict if self.evictions < EVICTIONS_MAX && self.ring.evict() => {
                    self.evictions += 1;
                }
                _ => return Err(Full::Memory),
            }
        };
        let arena = &self.ring.arena;
        match self.block {
            NONE => arena.set(self.buffer, next, next, 0),
            block => {
                arena.blocks.link(block, next);
                arena.set(self.buffer, arena.ends(self.buffer).0, next, 0);
            }
        }
        self.begin(next);
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes it may hold.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The place after the last byte.
    pub(crate) fn mark(&self) -> Mark {
        Mark { block: self.block, room: self.room, len: self.len }
    }

    /// Forgets everything written since `mark`, which is of this chain.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        if mark.block == NONE {
            self.ring.arena.free_all(self.buffer);
            (self.block, self.at, self.room, self.len) = (NONE, std::ptr::null_mut(), 0, 0);
            return;
        }
        let arena = &self.ring.arena;
        let (first, last) = arena.ends(self.buffer);
        if mark.block != last {
            arena.blocks.push_chain(arena.blocks.linked(mark.block), last);
            arena.set(self.buffer, first, mark.block, 0);
        }
        self.begin(mark.block);
        // SAFETY: the offset is at most the block's length.
        self.at = unsafe { self.at.add(BLOCK_BYTES - mark.room) };
        (self.room, self.len) = (mark.room, mark.len);
    }

    /// Ends the writing: the buffer, ready to be published.
    pub(super) fn finish(self) -> u32 {
        let (first, last) = self.ring.arena.ends(self.buffer);
        // The limit fits 32 bits.
        self.ring.arena.set(self.buffer, first, last, self.len as u32);
        let buffer = self.buffer;
        std::mem::forget(self);
        buffer
    }

    /// A chain of a ring of its own, for tests of what writes into one.
    #[cfg(test)]
    pub(crate) fn for_tests(limit: usize) -> Chain<'static> {
        let ring: &'static std::sync::Arc<Ring> = Box::leak(Box::new(Ring::new(64, limit * 2)));
        ring.chain(limit, OnFull::Evict).expect("a new ring has buffers")
    }

    /// The content, contiguous: for tests and fuzzing.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let arena = &self.ring.arena;
        let (mut block, mut content) = (arena.ends(self.buffer).0, Vec::new());
        while content.len() < self.len {
            let piece = (self.len - content.len()).min(BLOCK_BYTES);
            // SAFETY: this chain owns the block, and all blocks but the last are full.
            content.extend_from_slice(unsafe {
                std::slice::from_raw_parts(arena.block(block), piece)
            });
            block = arena.blocks.linked(block);
        }
        content
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        self.ring.give_back(self.buffer);
    }
}
