//! Events that depend on whether their trace fails, held by trace until that is known: those that
//! sampling leaves out, and those with content that only failed traces keep.
//!
//! A trace fails with an event of status `error` or `timeout`. Then its events are released: the writer
//! writes them. They are dropped if the trace ends well, if nothing came for too long, or if others need
//! the memory. Those that sampling keeps are then released without their content. A failed trace stays
//! known in the same way, so that its later events are released too.
//!
//! The lanes overtake each other. A trace may seem to end well while its error is still in its lane. So an
//! end counts only after all that was in the lanes at that moment was taken. A request may seem to end
//! before it starts, so ends are counted, too.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::record::content::without_content;
use crate::record::decode::RecordHead;
use crate::ring::Tickets;
use llm_audit_log::EventType;

/// What a trace and an event take at most beside the bytes of the record: places in the maps and lists,
/// which may be half empty, and what the allocator adds.
const TRACE_BYTES: usize = 448;
const RECORD_BYTES: usize = 64;

/// The events that wait, and the traces that are known.
pub(super) struct Hold {
    traces: HashMap<u128, HeldTrace>,
    /// The traces in the order of their last events.
    by_age: BTreeMap<u64, u128>,
    /// The last place in that order.
    turn: u64,
    /// Traces without an open request, after how many such moments, and what has to be taken first.
    ended: VecDeque<(Tickets, u128, u32)>,
    /// Records of failed traces that are to be written.
    released: VecDeque<Box<[u8]>>,
    /// Records without their content that are to be written. They are not in `bytes`, so that none of them
    /// takes the room of content. No more events are taken if they are many.
    bare: VecDeque<Box<[u8]>>,
    bytes: usize,
    bytes_max: usize,
    /// How long a trace waits for its next event, in microseconds.
    age_max: i64,
    /// The sum of the clock's steps forward, so that a clock that is set back makes no trace old.
    now: i64,
    clock: i64,
    /// Events in `traces`.
    events: u64,
    /// What was dropped since the last [`take_dropped`](Self::take_dropped).
    dropped: Dropped,
}

/// What the hold has dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) events: u64,
    /// Those of them for which there was no room.
    pub(super) for_room: u64,
    /// Failed traces that lack such events.
    pub(super) torn_traces: u64,
}

/// What becomes of an event that is kept and has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentPlace {
    /// It is written with its content: its trace has failed.
    Whole,
    /// It is written without its content.
    Bare,
    /// It waits.
    Held,
}

struct HeldRecord {
    bytes: Box<[u8]>,
    is_left_out: bool,
    has_content: bool,
}

impl HeldRecord {
    fn of(head: &RecordHead, bytes: &[u8]) -> Self {
        let RecordHead { is_left_out, has_content, .. } = *head;
        Self { bytes: bytes.into(), is_left_out, has_content }
    }
}

struct HeldTrace {
    records: Vec<HeldRecord>,
    turn: u64,
    touched: i64,
    /// The earliest timestamp of its events, and whether that is the start of a request. If so, the
    /// requests are the roots of the trace in this process.
    first: i64,
    begins_with_request: bool,
    has_failed: bool,
    /// Whether an event of it had no room.
    is_torn: bool,
    /// Requests started minus requests ended.
    open: i32,
    /// How often no request was open.
    ends: u32,
}

impl Hold {
    /// Makes a hold of so many bytes, in which a trace waits so long for its next event.
    pub(super) fn new(bytes_max: usize, seconds_max: u32, clock: i64) -> Self {
        Self {
            traces: HashMap::new(),
            by_age: BTreeMap::new(),
            turn: 0,
            ended: VecDeque::new(),
            released: VecDeque::new(),
            bare: VecDeque::new(),
            bytes: 0,
            bytes_max,
            age_max: i64::from(seconds_max) * 1_000_000,
            now: 0,
            clock,
            events: 0,
            dropped: Dropped::default(),
        }
    }

    /// Takes note of an event that is written anyway. `tails` returns the ends of the lanes now. Returns
    /// whether the event made its trace fail.
    pub(super) fn note_kept(&mut self, head: &RecordHead, tails: impl FnOnce() -> Tickets) -> bool {
        let is_failure = head.status.is_failure();
        if !is_failure && !is_request(head) && !self.traces.contains_key(&head.trace_id) {
            return false;
        }
        self.touch(head, tails);
        is_failure && self.fail(head.trace_id)
    }

    /// Holds an event, or releases it if its trace has failed. If it does not fit, traces are dropped.
    pub(super) fn hold(
        &mut self,
        head: &RecordHead,
        record: &[u8],
        tails: impl FnOnce() -> Tickets,
    ) {
        self.touch(head, tails);
        let cost = record_cost(record);
        if !self.make_room(cost) {
            self.tear(head.trace_id);
            return;
        }
        self.bytes += cost;
        match self.traces.get_mut(&head.trace_id) {
            Some(trace) if !trace.has_failed => {
                trace.records.push(HeldRecord::of(head, record));
                self.events += 1;
            }
            _ => self.released.push_back(record.into()),
        }
    }

    /// Holds an event that is kept and has content, unless its trace has failed or there is no room.
    pub(super) fn hold_content(
        &mut self,
        head: &RecordHead,
        record: &[u8],
        tails: impl FnOnce() -> Tickets,
    ) -> ContentPlace {
        if !head.has_others {
            return ContentPlace::Bare;
        }
        self.touch(head, tails);
        let cost = record_cost(record);
        if self.traces.get(&head.trace_id).is_some_and(|trace| trace.has_failed) {
            return ContentPlace::Whole;
        }
        let has_room = self.make_room(cost);
        match self.traces.get_mut(&head.trace_id).filter(|_| has_room) {
            Some(trace) => {
                trace.records.push(HeldRecord::of(head, record));
                self.bytes += cost;
                self.events += 1;
                ContentPlace::Held
            }
            None => ContentPlace::Bare,
        }
    }

    /// Makes the trace the youngest one, and counts its requests.
    fn touch(&mut self, head: &RecordHead, tails: impl FnOnce() -> Tickets) {
        let Self { traces, by_age, bytes, .. } = self;
        let trace = traces.entry(head.trace_id).or_insert_with(|| {
            *bytes += TRACE_BYTES;
            HeldTrace {
                records: Vec::new(),
                turn: 0,
                touched: 0,
                first: i64::MAX,
                begins_with_request: false,
                has_failed: false,
                is_torn: false,
                open: 0,
                ends: 0,
            }
        });
        by_age.remove(&trace.turn);
        self.turn += 1;
        by_age.insert(self.turn, head.trace_id);
        (trace.turn, trace.touched) = (self.turn, self.now);
        let is_start = head.event_type == Some(EventType::RequestStart);
        if head.timestamp < trace.first || is_start && head.timestamp == trace.first {
            (trace.first, trace.begins_with_request) = (head.timestamp, is_start);
        }
        if is_request(head) {
            trace.open += if is_start { 1 } else { -1 };
            if trace.open == 0 {
                trace.ends += 1;
                self.ended.push_back((tails(), head.trace_id, trace.ends));
            }
        }
        // A trace has one end that counts. If the others are many, it may be forgotten, and gets too old.
        if self.ended.len() > self.traces.len() {
            self.ended.pop_front();
        }
        self.make_room(0);
    }

    /// Drops the oldest traces until there is room for so many bytes, but not the youngest one. Returns
    /// whether there is room. What does not fit even into an empty hold drops nothing.
    fn make_room(&mut self, bytes: usize) -> bool {
        if bytes + TRACE_BYTES > self.bytes_max {
            return false;
        }
        let before = self.dropped.events;
        while self.bytes + bytes > self.bytes_max && self.by_age.len() > 1 {
            self.drop_oldest();
        }
        self.dropped.for_room += self.dropped.events - before;
        self.bytes + bytes <= self.bytes_max
    }

    /// Counts an event of the trace that there is no room for.
    fn tear(&mut self, trace_id: u128) {
        self.dropped.events += 1;
        self.dropped.for_room += 1;
        if let Some(trace) = self.traces.get_mut(&trace_id)
            && !std::mem::replace(&mut trace.is_torn, true)
            && trace.has_failed
        {
            self.dropped.torn_traces += 1;
        }
    }

    /// Releases what is held of the trace. Returns whether it had not failed before.
    fn fail(&mut self, trace_id: u128) -> bool {
        let Some(trace) = self.traces.get_mut(&trace_id) else { return false };
        self.events -= trace.records.len() as u64;
        self.released.extend(std::mem::take(&mut trace.records).into_iter().map(|held| held.bytes));
        let is_first = !std::mem::replace(&mut trace.has_failed, true);
        self.dropped.torn_traces += u64::from(is_first && trace.is_torn);
        is_first
    }

    /// Drops the traces that have ended well. `is_settled` says whether everything before these tickets
    /// was taken.
    pub(super) fn drop_ended(&mut self, is_settled: impl Fn(Tickets) -> bool) {
        while let Some(&(to, trace_id, ends)) = self.ended.front() {
            if !is_settled(to) {
                return;
            }
            self.ended.pop_front();
            let has_ended = |trace: &HeldTrace| {
                trace.ends == ends
                    && trace.open == 0
                    && trace.begins_with_request
                    && !trace.has_failed
            };
            if self.traces.get(&trace_id).is_some_and(has_ended) {
                self.drop_trace(trace_id);
            }
        }
    }

    /// Drops the traces that have waited too long at this time of the clock.
    pub(super) fn drop_aged(&mut self, clock: i64) {
        self.now += clock.saturating_sub(self.clock).max(0);
        self.clock = clock;
        while let Some((_, trace_id)) = self.by_age.first_key_value()
            && self.now - self.traces[trace_id].touched >= self.age_max
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, trace_id)) = self.by_age.first_key_value() {
            self.drop_trace(*trace_id);
        }
    }

    fn drop_trace(&mut self, trace_id: u128) {
        for record in self.take_trace(trace_id) {
            if record.is_left_out {
                self.bytes -= record_cost(&record.bytes);
                self.dropped.events += 1;
            } else {
                self.release_bare(record);
            }
        }
    }

    /// Releases a record of a trace that is not known to have failed.
    fn release_bare(&mut self, mut record: HeldRecord) {
        self.bytes -= record_cost(&record.bytes);
        if record.has_content {
            let bare = without_content(&record.bytes);
            record.bytes = bare.expect("the encoder wrote it").into();
        }
        self.bare.push_back(record.bytes);
    }

    fn take_trace(&mut self, trace_id: u128) -> Vec<HeldRecord> {
        let Some(trace) = self.traces.remove(&trace_id) else { return Vec::new() };
        self.by_age.remove(&trace.turn);
        self.bytes -= TRACE_BYTES;
        self.events -= trace.records.len() as u64;
        trace.records
    }

    /// Releases the traces with a request that has not ended, and drops all others. Returns whether
    /// anything is to be written.
    pub(super) fn end(&mut self) -> bool {
        while let Some((_, &trace_id)) = self.by_age.first_key_value() {
            match self.traces[&trace_id].open > 0 {
                true => {
                    let records = self.take_trace(trace_id);
                    records.into_iter().for_each(|record| self.release_bare(record));
                }
                false => self.drop_trace(trace_id),
            }
        }
        self.has_released()
    }

    /// Returns the next record to be written.
    pub(super) fn next_released(&mut self) -> Option<Box<[u8]>> {
        let Some(record) = self.released.pop_front() else { return self.bare.pop_front() };
        self.bytes -= record_cost(&record);
        Some(record)
    }

    /// Returns whether there is a record to be written.
    pub(super) fn has_released(&self) -> bool {
        !(self.released.is_empty() && self.bare.is_empty())
    }

    /// Returns how many records without their content are to be written.
    pub(super) fn bare_events(&self) -> usize {
        self.bare.len()
    }

    /// Returns how many events are held and not released.
    pub(super) fn held_events(&self) -> u64 {
        self.events
    }

    /// Returns what was dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }
}

fn record_cost(record: &[u8]) -> usize {
    record.len() + RECORD_BYTES
}

fn is_request(head: &RecordHead) -> bool {
    matches!(head.event_type, Some(EventType::RequestStart | EventType::RequestEnd))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use llm_audit_log::Status;

    use super::*;

    fn head(trace_id: u128, event_type: EventType<'static>, status: Status) -> RecordHead {
        let event_type = Some(event_type);
        RecordHead {
            event_type,
            status,
            has_others: true,
            is_split: true,
            is_left_out: true,
            has_content: false,
            trace_id,
            timestamp: 0,
        }
    }

    #[test]
    fn a_million_open_traces_stay_within_the_bytes() {
        const BYTES: usize = 8 << 20;
        const TRACES: u64 = 1_000_000;
        let mut hold = Hold::new(BYTES, 60, 0);
        let (record, mut dropped) = ([7; 300], 0);
        for id in 1..=u128::from(TRACES) {
            let tails = Tickets::default;
            hold.hold(&head(id, EventType::RequestStart, Status::Ok), &record, tails);
            // One in eight fails, and one in eight only starts a kept request.
            match id % 8 {
                0 => drop(hold.note_kept(&head(id, EventType::ToolError, Status::Error), tails)),
                1 => drop(hold.note_kept(&head(!id, EventType::RequestStart, Status::Ok), tails)),
                _ => {}
            }
            while hold.next_released().is_some() {}
            let of_turn = hold.take_dropped();
            assert_eq!((of_turn.events, of_turn.torn_traces), (of_turn.for_room, 0));
            dropped += of_turn.events;
            assert!(hold.bytes <= BYTES && hold.ended.len() <= hold.traces.len());
        }
        let held: usize = hold.traces.values().map(|trace| trace.records.len()).sum();
        assert_eq!(hold.held_events(), held as u64);
        assert_eq!(dropped + hold.held_events(), TRACES / 8 * 7, "the rest was released");
        assert!(hold.traces.len() > 9_000 && hold.by_age.len() == hold.traces.len());
        // The youngest ones are known.
        let mut fails = |id: u64| {
            let head = head(id.into(), EventType::ToolError, Status::Error);
            hold.note_kept(&head, || unreachable!("no request ends"))
        };
        assert_eq!((fails(TRACES), fails(TRACES - 1)), (false, true), "the first failed before");
        while hold.next_released().is_some() {}
        hold.drop_aged(60_000_000);
        assert_eq!((hold.bytes, hold.traces.len(), hold.held_events()), (0, 0, 0));
    }

    #[test]
    fn an_event_that_cannot_fit_drops_no_other() {
        let mut hold = Hold::new(4_096, 60, 0);
        let content = RecordHead { has_content: true, ..head(3, EventType::LlmInvoke, Status::Ok) };
        let hold_one = |hold: &mut Hold, id, length: usize| {
            hold.hold(
                &head(id, EventType::ToolCall, Status::Ok),
                &vec![7; length],
                Tickets::default,
            );
        };
        hold_one(&mut hold, 1, 300);
        hold_one(&mut hold, 2, 4_000);
        let place = hold.hold_content(&content, &[7; 4_000], Tickets::default);
        assert_eq!((place, hold.held_events()), (ContentPlace::Bare, 1));
        let dropped = Dropped { events: 1, for_room: 1, torn_traces: 0 };
        assert_eq!(hold.take_dropped(), dropped, "the large one");
        // One that fits takes the room of the oldest.
        hold_one(&mut hold, 4, 3_000);
        assert_eq!((hold.held_events(), hold.take_dropped()), (1, dropped));
        assert!(hold.traces[&4].records.len() == 1 && !hold.traces.contains_key(&1));
    }

    #[test]
    fn an_end_counts_only_after_all_that_came_before_it_was_taken() {
        let mut hold = Hold::new(1 << 20, 60, 0);
        let ticket = |primary| Tickets { primary, ..Tickets::default() };
        hold.hold(&head(1, EventType::RequestStart, Status::Ok), &[1], || unreachable!());
        hold.hold(&head(1, EventType::RequestEnd, Status::Ok), &[2], || ticket(7));
        hold.drop_ended(|to| ticket(6).reach(to));
        assert_eq!(hold.held_events(), 2);
        // Another request of the trace has begun meanwhile.
        hold.hold(&head(1, EventType::RequestStart, Status::Ok), &[3], || unreachable!());
        hold.drop_ended(|to| ticket(7).reach(to));
        assert_eq!(hold.held_events(), 3);
        hold.hold(&head(1, EventType::RequestEnd, Status::Ok), &[4], || ticket(9));
        hold.drop_ended(|to| ticket(9).reach(to));
        let dropped = Dropped { events: 4, ..Dropped::default() };
        assert_eq!((hold.held_events(), hold.take_dropped(), hold.bytes), (0, dropped, 0));
    }
}
