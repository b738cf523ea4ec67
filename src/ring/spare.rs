//! The buffer every thread keeps for its next event, one for each ring it pushes into.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::free::NONE;
use super::{Ring, SPARES_MAX};

struct Spare {
    ring_id: u64,
    ring: Weak<Ring>,
    /// [`NONE`] while an event is being written into it.
    buffer: u32,
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(ring) = self.ring.upgrade() {
            ring.spares.fetch_sub(1, Ordering::Relaxed);
            if self.buffer != NONE {
                ring.free_buffer(self.buffer);
            }
        }
    }
}

thread_local! {
    static SPARES: RefCell<Vec<Spare>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on the thread's spare for a ring. Returns `None` if the thread has none: it never pushed
/// into that ring, too many threads have one, or its thread-locals are gone.
fn with_thread_spare<R>(ring_id: u64, f: impl FnOnce(&mut Spare) -> R) -> Option<R> {
    SPARES
        .try_with(|spares| {
            let mut spares = spares.try_borrow_mut().ok()?;
            let at = spares.iter().position(|spare| spare.ring_id == ring_id)?;
            // The ring of the last event is likely that of the next.
            if at > 0 {
                spares.swap(0, at);
            }
            spares.first_mut().map(f)
        })
        .ok()
        .flatten()
}

/// Takes the thread's spare for this ring. If this is the thread's first call, it keeps one from now on.
pub(super) fn take_spare_buffer(ring: &Arc<Ring>) -> Option<u32> {
    let known = with_thread_spare(ring.id, |spare| std::mem::replace(&mut spare.buffer, NONE));
    if known.is_none() {
        begin_thread_spare(ring);
    }
    known.filter(|buffer| *buffer != NONE)
}

#[cold]
fn begin_thread_spare(ring: &Arc<Ring>) {
    let _gone = SPARES.try_with(|spares| {
        let Ok(mut spares) = spares.try_borrow_mut() else { return };
        spares.retain(|spare| spare.ring.strong_count() > 0);
        // A spare keeps a block. All of them together may keep a quarter of the memory.
        let most = SPARES_MAX.min(ring.arena.block_count() / 4);
        if ring.spares.fetch_add(1, Ordering::Relaxed) < most {
            let ring_id = ring.id;
            spares.push(Spare { ring_id, ring: Arc::downgrade(ring), buffer: NONE });
        } else {
            ring.spares.fetch_sub(1, Ordering::Relaxed);
        }
    });
}

/// Makes an owned buffer the thread's spare. Returns `false` if the thread keeps none for this ring, or
/// has one already.
pub(super) fn keep_as_spare_buffer(ring_id: u64, buffer: u32) -> bool {
    with_thread_spare(ring_id, |spare| {
        let wanted = spare.buffer == NONE;
        if wanted {
            spare.buffer = buffer;
        }
        wanted
    })
    .unwrap_or(false)
}
