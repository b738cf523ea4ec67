//! Takes a batch of events out of both lanes, and turns them into lines in the order of their
//! timestamps.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::Request;
use super::{Writer, jsonl};
use crate::metrics::{Counts, add};
use crate::record::decode;
use crate::ring::{Drainer, Lanes, Next, Taken};

/// The most events of a batch. At most half of them are errors, so that a flood of errors does not
/// starve the other lane.
pub(super) const EVENTS_MAX: usize = 512;
/// A batch of this many bytes is written. Errors alone take at most half of them, so that the
/// others have the rest, or at least one event.
pub(super) const BYTES: usize = 256 << 10;
/// How long the writer waits for a producer that is between its steps: at first, and at most. Each
/// producer given up in a row doubles it. Otherwise a cycle of draw and seal could go on without
/// any push completing.
const PATIENCE: (Duration, Duration) = (Duration::from_micros(2), Duration::from_millis(1));

/// A batch, counted.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: u64,
    pub(super) overwritten: u64,
    /// The first sequence number of the batch.
    pub(super) first_seq: u64,
    /// Whether a producer was between its steps.
    pub(super) is_unready: bool,
}

/// An error that waits for its place among the other events.
pub(super) struct HeldError {
    timestamp: i64,
    bytes: usize,
    taken: Taken,
}

impl Writer {
    /// Takes up to a batch of events, and turns them into lines.
    pub(super) fn batch(&mut self, request: Request) -> Batch {
        let Self { shared, drainers, patience, held, lines, scratch, seq, .. } = self;
        let counts = &shared.counts;
        let dropped = counts.dropped.swap(0, Ordering::Relaxed);
        let mut batch = Batch { overwritten: dropped, first_seq: *seq + 1, ..Batch::default() };
        lines.clear();
        let mut out = Out { instance: &shared.instance, seq, lines };
        let mut errors = OpenLane::new(
            &mut drainers.primary,
            &patience.primary,
            request.settle.map(|to| to.primary),
        );
        let mut others = OpenLane::new(
            &mut drainers.secondary,
            &patience.secondary,
            request.settle.map(|to| to.secondary),
        );

        // Errors are taken first, so that they do not wait for the end of a flood.
        let mut held_bytes = 0;
        while held.len() < EVENTS_MAX / 2 && held_bytes < BYTES / 2 {
            let Some(taken) = errors.next(counts) else { break };
            let bytes = errors.drainer.bytes(&taken, scratch);
            held_bytes += bytes.len();
            held.push(HeldError { timestamp: timestamp(bytes), bytes: bytes.len(), taken });
        }
        batch.events = held.len() as u64;
        let mut held = held.drain(..).peekable();
        while batch.events < EVENTS_MAX as u64
            && (others.events == 0 || out.lines.len() + held_bytes < BYTES)
        {
            let Some(taken) = others.next(counts) else { break };
            batch.events += 1;
            if held.peek().is_some() {
                let now = timestamp(others.drainer.bytes(&taken, scratch));
                while let Some(error) = held.next_if(|error| error.timestamp <= now) {
                    held_bytes -= error.bytes;
                    out.line(errors.drainer, error.taken, scratch);
                }
            }
            out.line(others.drainer, taken, scratch);
        }
        for error in held {
            out.line(errors.drainer, error.taken, scratch);
        }

        batch.overwritten += errors.lost + others.lost;
        batch.is_unready = errors.is_unready || others.is_unready;
        *patience = Lanes { primary: errors.patience_left(), secondary: others.patience_left() };
        drainers.release_all();
        add(&counts.overwritten, batch.overwritten);
        batch
    }
}

fn timestamp(bytes: &[u8]) -> i64 {
    decode::timestamp(bytes).expect("the ring holds what the encoder wrote")
}

fn record(bytes: &[u8]) -> decode::Record<'_> {
    decode::decode(bytes).expect("the ring holds what the encoder wrote")
}

/// The buffer for the lines, and the number of the last one.
struct Out<'w> {
    instance: &'w str,
    seq: &'w mut u64,
    lines: &'w mut Vec<u8>,
}

impl Out<'_> {
    fn line(&mut self, drainer: &mut Drainer, taken: Taken, scratch: &mut Vec<u8>) {
        *self.seq += 1;
        let record = record(drainer.bytes(&taken, scratch));
        jsonl::write_event(self.lines, self.instance, *self.seq, &record);
        drainer.release(taken);
    }
}

/// A lane while a batch is taken out of it.
struct OpenLane<'d> {
    drainer: &'d mut Drainer,
    patience: Patience,
    /// Producers that may be given up. The second field is this number at the start.
    seals: u32,
    seals_given: u32,
    settle: Option<u64>,
    events: u64,
    lost: u64,
    is_unready: bool,
}

impl<'d> OpenLane<'d> {
    fn new(drainer: &'d mut Drainer, patience: &Patience, settle: Option<u64>) -> Self {
        let seals = match settle {
            Some(_) => u32::MAX,
            None => u32::from(patience.is_out()),
        };
        let patience = patience.clone();
        Self {
            drainer,
            patience,
            seals,
            seals_given: seals,
            settle,
            events: 0,
            lost: 0,
            is_unready: false,
        }
    }

    /// Returns the next event. After `None` this batch gets no more from the lane.
    fn next(&mut self, counts: &Counts) -> Option<Taken> {
        loop {
            match self.drainer.next(&mut self.seals, self.settle) {
                Next::Taken(taken) => {
                    self.lost += taken.lost();
                    if taken.is_event() {
                        add(&counts.in_hand, 1);
                        self.events += 1;
                        return Some(taken);
                    }
                    self.drainer.release(taken);
                }
                Next::Unready => {
                    self.is_unready = true;
                    return None;
                }
                Next::Empty => return None,
            }
        }
    }

    /// Returns the patience that is left for the next batch.
    fn patience_left(self) -> Patience {
        match self.events + self.lost {
            0 => self.patience.after_look(self.is_unready, self.seals < self.seals_given),
            _ => Patience::default(),
        }
    }
}

/// How long the writer has waited for the same producer of a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    /// Since when the producer has been between its steps.
    unready_since: Option<Instant>,
    /// Producers given up since the last event.
    sealed_in_a_row: u32,
}

impl Patience {
    fn is_out(&self) -> bool {
        let patience = PATIENCE.0.saturating_mul(1 << self.sealed_in_a_row.min(16)).min(PATIENCE.1);
        self.unready_since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Updates the patience after a look that found nothing. `is_unready`: the look ended at an
    /// unready slot. `has_sealed`: it gave up a producer.
    fn after_look(mut self, is_unready: bool, has_sealed: bool) -> Self {
        if has_sealed {
            self.sealed_in_a_row += 1;
            self.unready_since = None;
        }
        self.unready_since = is_unready.then(|| self.unready_since.unwrap_or_else(Instant::now));
        self
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_read_as_the_decoder_reads_it() {
        // A head whose bytes all differ, then two strings with no text.
        let mut bytes: Vec<u8> = (100..167).collect();
        bytes[..3].fill(0);
        bytes.extend_from_slice(&[8, 0, 8, 0]);
        assert_eq!(timestamp(&bytes), record(&bytes).timestamp);
        assert_eq!(timestamp(&bytes), i64::from_le_bytes(*bytes[35..].first_chunk().unwrap()));
    }
}
