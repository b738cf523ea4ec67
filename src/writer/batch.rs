//! Takes a batch of events out of the lanes, and turns them into lines in the order of their
//! timestamps.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::control::WriterRequest;
use super::hold::{ContentPlace, Dropped, Hold};
use super::jsonl::EventLines;
use super::{Shared, Writer};
use crate::metrics::{EventCounters, add_to_counter};
use crate::record::{content, decode};
use crate::ring::{DrainStep, Drainer, Lanes, TakenBuffer, Tickets};

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

/// The most held events that are taken for a batch, unless a trace has failed. They are copied and not
/// written, so they are cheaper than others.
const HELD_EVENTS_MAX: u64 = 4 * EVENTS_MAX as u64;

/// A batch, counted.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: u64,
    pub(super) overwritten: u64,
    /// Events that are held from now on.
    pub(super) held: u64,
    /// The first sequence number of the batch.
    pub(super) first_seq: u64,
    /// Whether a producer was between its steps.
    pub(super) is_unready: bool,
}

/// An error that waits for its place among the other events.
pub(super) struct WaitingError {
    timestamp: i64,
    bytes: usize,
    taken: TakenBuffer,
}

impl Writer {
    /// Takes up to a batch of events, and turns them into lines.
    pub(super) fn take_batch(&mut self, request: WriterRequest) -> Batch {
        let dropped = self.take_dropped();
        let mut batch = Batch { overwritten: dropped, first_seq: self.seq + 1, ..Batch::default() };
        self.lines.clear();
        if let Some(hold) = &mut self.hold {
            hold.drop_aged(self.clock.now_micros());
        }
        // If a flush waits only for released events, no others join them.
        let is_flushing =
            self.has_released() && request.settle.is_some_and(|to| self.drainers.are_settled(to));
        if is_flushing || self.is_behind() {
            self.append_released(&mut batch);
        } else {
            // Errors are taken first, so that they do not wait for the end of a flood.
            let has_failed = self.take_errors(request.settle, &mut batch);
            self.take_held(request.settle, has_failed, &mut batch);
            self.append_released(&mut batch);
            self.take_others(request.settle, &mut batch);
        }
        self.drop_ended();
        self.drainers.release_all();
        add_to_counter(&self.shared.counts.overwritten, batch.overwritten - dropped);
        batch
    }

    /// Takes errors, which wait for their place in the batch. Returns whether one of them made its
    /// trace fail.
    fn take_errors(&mut self, settle: Option<Tickets>, batch: &mut Batch) -> bool {
        let Self { shared, drainers, patience, waiting, hold, scratch, .. } = self;
        let settle = settle.map(|to| to.primary);
        let mut lane = BatchLane::new(&mut drainers.primary, &patience.primary, settle);
        let (mut waiting_bytes, mut has_failed) = (0, false);
        while waiting.len() < EVENTS_MAX / 2 && waiting_bytes < BYTES / 2 {
            let Some(taken) = lane.take_next_event(&shared.counts) else { break };
            let bytes = lane.drainer.event_bytes(&taken, scratch);
            waiting_bytes += bytes.len();
            has_failed |= note_kept(hold, shared, bytes);
            let timestamp = ring_event_timestamp(bytes);
            waiting.push(WaitingError { timestamp, bytes: bytes.len(), taken });
        }
        batch.overwritten += lane.lost;
        patience.primary = lane.end(batch);
        has_failed
    }

    /// Moves events of the held lane into the hold. If a trace has failed, that is all that was in the lane
    /// when its error was taken: the error may have overtaken them.
    fn take_held(&mut self, settle: Option<Tickets>, has_failed: bool, batch: &mut Batch) {
        let Self { shared, drainers, patience, hold: Some(hold), scratch, .. } = self else {
            return;
        };
        let to = shared.rings.held_tail();
        let settle = if has_failed { Some(to) } else { settle.map(|to| to.held) };
        let mut lane = BatchLane::new(&mut drainers.held, &patience.held, settle);
        while if has_failed { !lane.drainer.is_settled(to) } else { lane.events < HELD_EVENTS_MAX }
        {
            let Some(taken) = lane.take_next_event(&shared.counts) else { break };
            let record = lane.drainer.event_bytes(&taken, scratch);
            hold.hold(&ring_event_head(record), record, || shared.rings.tails());
            lane.drainer.release(taken);
        }
        batch.held = lane.events;
        // What is overwritten here, sampling had left out.
        add_to_counter(&shared.counts.sampled_out, lane.lost);
        add_to_counter(&shared.counts.hold_full, lane.lost);
        patience.held = lane.end(batch);
    }

    /// Returns whether so many events without their content are to be written that no others are taken. A
    /// batch takes more events than it writes of them.
    fn is_behind(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.bare_events() >= EVENTS_MAX)
    }

    /// Appends released events, at most half a batch.
    fn append_released(&mut self, batch: &mut Batch) {
        let Self { event_lines, hold: Some(hold), lines, seq, .. } = self else { return };
        let mut out = BatchLines { event_lines, seq, lines };
        for _ in 0..EVENTS_MAX / 2 {
            if out.lines.len() >= BYTES / 2 {
                return;
            }
            let Some(record) = hold.next_released() else { return };
            batch.events += 1;
            out.append_record(&record);
        }
    }

    /// Appends the other events and the errors that wait, in the order of their timestamps.
    fn take_others(&mut self, settle: Option<Tickets>, batch: &mut Batch) {
        let Self {
            shared,
            drainers,
            patience,
            waiting,
            hold,
            event_lines,
            lines,
            scratch,
            seq,
            ..
        } = self;
        let Lanes { primary: errors, secondary, .. } = drainers;
        let settle = settle.map(|to| to.secondary);
        let mut others = BatchLane::new(secondary, &patience.secondary, settle);
        let lines_max = lines.len() + BYTES;
        let mut out = BatchLines { event_lines, seq, lines };
        // Those of errors, and of events that are held.
        let mut waiting_bytes: usize = waiting.iter().map(|error| error.bytes).sum();
        let events_max = (EVENTS_MAX - waiting.len()) as u64;
        batch.events += waiting.len() as u64;
        let held_before = batch.held;
        let mut waiting = waiting.drain(..).peekable();
        while others.events < events_max
            && (others.events == 0 || out.lines.len() + waiting_bytes < lines_max)
        {
            let Some(taken) = others.take_next_event(&shared.counts) else { break };
            let mut place = ContentPlace::Whole;
            // This may copy the event, so only if it is needed.
            if hold.is_some() || waiting.peek().is_some() {
                let bytes = others.drainer.event_bytes(&taken, scratch);
                place = place_kept(hold, shared, bytes);
                let (now, length) = (ring_event_timestamp(bytes), bytes.len());
                while let Some(error) = waiting.next_if(|error| error.timestamp <= now) {
                    waiting_bytes -= error.bytes;
                    out.append_event_line(errors, error.taken, scratch);
                }
                if place == ContentPlace::Held {
                    others.drainer.release(taken);
                    batch.held += 1;
                    waiting_bytes += length;
                    continue;
                }
            }
            match place {
                ContentPlace::Bare => out.append_bare_line(others.drainer, taken, scratch),
                _ => out.append_event_line(others.drainer, taken, scratch),
            }
        }
        for error in waiting {
            out.append_event_line(errors, error.taken, scratch);
        }
        batch.events += others.events - (batch.held - held_before);
        batch.overwritten += others.lost;
        patience.secondary = others.end(batch);
    }

    /// Drops the held traces that have ended well, and counts what the batch has dropped.
    fn drop_ended(&mut self) {
        let Self { shared, drainers, hold: Some(hold), .. } = self else { return };
        hold.drop_ended(|to| drainers.are_settled(to));
        count_held(hold, &shared.counts);
    }

    /// Releases at the close what is not known to have ended well, and drops the rest. Returns whether
    /// anything is to be written.
    pub(super) fn end_hold(&mut self) -> bool {
        let Some(hold) = &mut self.hold else { return false };
        let has_released = hold.end();
        count_held(hold, &self.shared.counts);
        has_released
    }

    /// Returns whether events of failed traces are not written yet.
    pub(super) fn has_released(&self) -> bool {
        self.hold.as_ref().is_some_and(Hold::has_released)
    }
}

/// Shows the hold an event that is written anyway. Returns whether the event made its trace fail.
fn note_kept(hold: &mut Option<Hold>, shared: &Shared, bytes: &[u8]) -> bool {
    let Some(hold) = hold else { return false };
    let head = ring_event_head(bytes);
    // Of the others, nothing is held.
    let may_be_held = head.is_split || shared.settings.holds_content() && head.has_others;
    may_be_held && hold.note_kept(&head, || shared.rings.tails())
}

/// Shows the hold an event that sampling keeps, and returns what becomes of it.
fn place_kept(hold: &mut Option<Hold>, shared: &Shared, bytes: &[u8]) -> ContentPlace {
    let head = ring_event_head(bytes);
    match hold {
        Some(hold) if head.has_content => hold.hold_content(&head, bytes, || shared.rings.tails()),
        _ => {
            note_kept(hold, shared, bytes);
            ContentPlace::Whole
        }
    }
}

fn count_held(hold: &mut Hold, counts: &EventCounters) {
    let Dropped { events, for_room, torn_traces } = hold.take_dropped();
    add_to_counter(&counts.sampled_out, events);
    add_to_counter(&counts.hold_full, for_room);
    add_to_counter(&counts.torn_traces, torn_traces);
    counts.take_from_hand(events);
    counts.held.store(hold.held_events(), Ordering::Relaxed);
}

fn ring_event_head(bytes: &[u8]) -> decode::RecordHead {
    decode::decode_head(bytes).expect("the ring holds what the encoder wrote")
}

fn ring_event_timestamp(bytes: &[u8]) -> i64 {
    decode::decode_timestamp(bytes).expect("the ring holds what the encoder wrote")
}

/// The buffer for the lines, and the number of the last one.
struct BatchLines<'w> {
    event_lines: &'w mut EventLines,
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
        self.append_record(drainer.event_bytes(&taken, scratch));
        drainer.release(taken);
    }

    fn append_bare_line(
        &mut self,
        drainer: &mut Drainer,
        taken: TakenBuffer,
        scratch: &mut Vec<u8>,
    ) {
        let bare = content::without_content(drainer.event_bytes(&taken, scratch));
        self.append_record(&bare.expect("the ring holds what the encoder wrote"));
        drainer.release(taken);
    }

    fn append_record(&mut self, bytes: &[u8]) {
        *self.seq += 1;
        let appended = self.event_lines.append(self.lines, *self.seq, bytes);
        appended.expect("the ring holds what the encoder wrote");
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
                        counts.add_in_hand(1);
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

    /// Tells the batch whether a producer was between its steps. Returns the patience that is left for the
    /// next batch.
    fn end(self, batch: &mut Batch) -> Patience {
        batch.is_unready |= self.is_unready;
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
        assert_eq!(
            ring_event_timestamp(&bytes),
            decode::read_record(&bytes).expect("a record").timestamp
        );
        assert_eq!(
            ring_event_timestamp(&bytes),
            i64::from_le_bytes(*bytes[35..].first_chunk().unwrap())
        );
    }
}
