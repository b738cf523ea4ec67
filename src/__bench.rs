//! The ring by itself, for `benches/ring.rs`. Present only with `LLM_AUDIT_INTERNALS=1`.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::ring::{DrainStep, Drainer, OnFull};

/// The ring and its drainer.
pub struct BenchRing {
    ring: Arc<crate::ring::Ring>,
    drainer: Mutex<Drainer>,
}

impl BenchRing {
    /// `capacity` slots over `bytes` of memory.
    pub fn new(capacity: usize, bytes: usize) -> Self {
        let ring = crate::ring::Ring::new(capacity, bytes);
        Self { drainer: Mutex::new(Drainer::new(ring.clone())), ring }
    }

    /// Pushes a copy of `payload`, overwriting the oldest when full.
    #[inline]
    pub fn push(&self, payload: &[u8]) {
        let mut chain =
            self.ring.begin_chain(usize::MAX, OnFull::Evict).expect("a buffer a thread");
        chain.put(payload).expect("room for a small payload");
        self.ring.push(chain);
    }

    /// Takes everything out and says how many entries there were.
    pub fn drain(&self) -> usize {
        let (mut drainer, mut taken, mut seals) = (self.drainer.lock(), 0, u32::MAX);
        while let DrainStep::Taken(entry) = drainer.take_next(&mut seals, None) {
            taken += usize::from(entry.is_event());
            drainer.release(entry);
        }
        drainer.release_all();
        taken
    }
}
