//! Takes a batch of events out of both lanes, and turns them into lines in the order of their
//! timestamps.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::WriterRequest;
use super::{Writer, jsonl};
use crate::metrics::{EventCounters, add_to_counter};
use crate::record::decode;
use crate::ring::{DrainStep, Drainer, Lanes, TakenBuffer};

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
    taken: TakenBuffer,
}

impl Writer {
    /// Takes up to a batch of events, and turns them into lines.
    pub(super) fn take_batch(&mut self, request: WriterRequest) -> Batch {
        let Self { shared, drainers, patience, held, lines, scratch, seq, .. } = self;
        let counts = &shared.counts;
        let dropped = counts.dropped.swap(0, Ordering::Relaxed);
        let mut batch = Batch { overwritten: dropped, first_seq: *seq + 1, ..Batch::default() };
        lines.clear();
        let mut out = BatchLines { instance: &shared.instance, seq, lines };
        let mut errors = BatchLane::new(
            &mut drainers.primary,
            &patience.primary,
            request.settle.map(|to| to.primary),
        );
        let mut others = BatchLane::new(
            &mut drainers.secondary,
            &patience.secondary,
            request.settle.map(|to| to.secondary),
        );

        // Errors are taken first, so that they do not wait for the end of a flood.
        let mut held_bytes = 0;
        while held.len() < EVENTS_MAX / 2 && held_bytes < BYTES / 2 {
            let Some(taken) = errors.take_next_event(counts) else { break };
            let bytes = errors.drainer.event_bytes(&taken, scratch);
            held_bytes += bytes.len();
            held.push(HeldError {
                timestamp: ring_event_timestamp(bytes),
                bytes: bytes.len(),
                taken,
            });
        }
        batch.events = held.len() as u64;
        let mut held = held.drain(..).peekable();
        while batch.events < EVENTS_MAX as u64
            && (others.events == 0 || out.lines.len() + held_bytes < BYTES)
        {
            let Some(taken) = others.take_next_event(counts) else { break };
            batch.events += 1;
            if held.peek().is_some() {
                let now = ring_event_timestamp(others.drainer.event_bytes(&taken, scratch));
                while let Some(error) = held.next_if(|error| error.timestamp <= now) {
                    held_bytes -= error.bytes;
                    out.append_event_line(errors.drainer, error.taken, scratch);
                }
            }
            out.append_event_line(others.drainer, taken, scratch);
        }
        for error in held {
            out.append_event_line(errors.drainer, error.taken, scratch);
        }

        batch.overwritten += errors.lost + others.lost;
        batch.is_unready = errors.is_unready || others.is_unready;
        *patience = Lanes { primary: errors.patience_left(), secondary: others.patience_left() };
        drainers.release_all();
        add_to_counter(&counts.overwritten, batch.overwritten);
        batch
    }
}

fn ring_event_timestamp(bytes: &[u8]) -> i64 {
    decode::decode_timestamp(bytes).expect("the ring holds what the encoder wrote")
}

fn decode_ring_event(bytes: &[u8]) -> decode::Record<'_> {
    decode::decode_record(bytes).expect("the ring holds what the encoder wrote")
}

/// The buffer for the lines, and the number of the last one.
struct BatchLines<'w> {
    instance: &'w str,
    seq: &'w mut u64,
    lines: &'w mut Vec<u8>,
}

impl BatchLines<'_> {
    fn append_event_line(
        &mut self,
        drainer: &mut Drainer,
        taken: TakenBuffer,
        scratch: &mut Vec<u8>,
    ) {
        *self.seq += 1;
        let record = decode_ring_event(drainer.event_bytes(&taken, scratch));
        jsonl::write_event_line(self.lines, self.instance, *self.seq, &record);
        drainer.release(taken);
    }
}

/// A lane while a batch is taken out of it.
struct BatchLane<'d> {
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

impl<'d> BatchLane<'d> {
    fn new(drainer: &'d mut Drainer, patience: &Patience, settle: Option<u64>) -> Self {
        let seals = match settle {
            Some(_) => u32::MAX,
            None => u32::from(patience.has_run_out()),
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
    fn take_next_event(&mut self, counts: &EventCounters) -> Option<TakenBuffer> {
        loop {
            match self.drainer.take_next(&mut self.seals, self.settle) {
                DrainStep::Taken(taken) => {
                    self.lost += taken.events_lost();
                    if taken.is_event() {
                        add_to_counter(&counts.in_hand, 1);
                        self.events += 1;
                        return Some(taken);
                    }
                    self.drainer.release(taken);
                }
                DrainStep::Unready => {
                    self.is_unready = true;
                    return None;
                }
                DrainStep::Empty => return None,
            }
        }
    }

    /// Returns the patience that is left for the next batch.
    fn patience_left(self) -> Patience {
        match self.events + self.lost {
            0 => self.patience.after_empty_take(self.is_unready, self.seals < self.seals_given),
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
    fn has_run_out(&self) -> bool {
        let patience = PATIENCE.0.saturating_mul(1 << self.sealed_in_a_row.min(16)).min(PATIENCE.1);
        self.unready_since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Updates the patience after a look that found nothing. `is_unready`: the look ended at an
    /// unready slot. `has_sealed`: it gave up a producer.
    fn after_empty_take(mut self, is_unready: bool, has_sealed: bool) -> Self {
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
        assert_eq!(ring_event_timestamp(&bytes), decode_ring_event(&bytes).timestamp);
        assert_eq!(
            ring_event_timestamp(&bytes),
            i64::from_le_bytes(*bytes[35..].first_chunk().unwrap())
        );
    }
}
