//! Turns the record of an event into a line.

use llm_audit_log::Status;
use llm_audit_log::schema::{AppendJson, EventIds, EventStart, LineFields};

use crate::record::decode::{EncodedNames, EncodedValue, MalformedRecord, Record, read_record};

/// How many names are remembered, at places that their bytes choose.
const PLACES_SHIFT: u32 = 6;
/// Longer names are not remembered.
const NAMES_BYTES_MAX: usize = 256;

/// Writes the lines of a logger. A service has few agents and actions, so it remembers how their names
/// were written.
pub(crate) struct EventLines {
    start: EventStart,
    names: Vec<WrittenNames>,
}

/// Names of an event, as they were encoded and as members of a line.
#[derive(Default)]
struct WrittenNames {
    /// The code of the type, and the status.
    head: Option<(u8, Status)>,
    strings: Vec<u8>,
    members: Vec<u8>,
}

impl EventLines {
    pub(crate) fn new(instance: &str) -> Self {
        let names = (0..1 << PLACES_SHIFT).map(|_| WrittenNames::default()).collect();
        Self { start: EventStart::new(instance), names }
    }

    /// Appends the line of an event.
    ///
    /// # Errors
    ///
    /// Returns an error, and appends nothing, if the bytes are not a record.
    pub(crate) fn append(
        &mut self,
        out: &mut Vec<u8>,
        seq: u64,
        record: &[u8],
    ) -> Result<(), MalformedRecord> {
        self.append_record(out, seq, &read_record(record)?)
    }

    #[inline]
    fn append_record(
        &mut self,
        out: &mut Vec<u8>,
        seq: u64,
        record: &Record<'_>,
    ) -> Result<(), MalformedRecord> {
        let names = &mut self.names[place_of(record.names)];
        if !names.are_of(record.names) {
            names.write(record.names)?;
        }
        let ids = EventIds {
            seq,
            trace_id: record.trace_id,
            span_id: record.span_id,
            parent_span_id: record.parent_span_id,
            timestamp: record.timestamp,
        };
        self.start.write(out, ids);
        out.extend_from_slice(&names.members);
        fields_after_names(record).write_members(out);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// Returns the fields of a line that come after its names.
#[inline(always)]
fn fields_after_names<'a>(record: &'a Record<'_>) -> LineFields<'a> {
    fn payload_as_json<'a>(value: &'a EncodedValue<'_>) -> &'a dyn AppendJson {
        value
    }
    LineFields {
        latency_ms: record.latency_ms,
        tokens_input: record.tokens_input,
        tokens_output: record.tokens_output,
        cost_usd: record.cost_usd,
        kept: record.kept.reason(),
        data: record.data.as_ref().map(payload_as_json),
        error: record.error.as_ref().map(payload_as_json),
        ..LineFields::default()
    }
}

impl WrittenNames {
    #[inline]
    fn are_of(&self, names: EncodedNames<'_>) -> bool {
        self.head == Some((names.code, names.status)) && self.strings == names.strings
    }

    #[cold]
    fn write(&mut self, names: EncodedNames<'_>) -> Result<(), MalformedRecord> {
        let [event_type, agent, action] = names.decode()?;
        // Names that are too long have to be written again.
        let is_kept = names.strings.len() <= NAMES_BYTES_MAX;
        self.head = is_kept.then_some((names.code, names.status));
        self.strings.clear();
        self.strings.extend_from_slice(if is_kept { names.strings } else { &[] });
        self.members.clear();
        self.members.shrink_to(NAMES_BYTES_MAX);
        let members = LineFields {
            event_type: Some(&event_type),
            agent: Some(&agent),
            action: Some(&action),
            status: Some(names.status),
            ..LineFields::default()
        };
        members.write_members(&mut self.members);
        Ok(())
    }
}

/// Returns the place of names, by their status, their length and some of their bytes. Those in the middle are
/// the end of the agent and the beginning of the action.
#[inline]
fn place_of(names: EncodedNames<'_>) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: Option<&[u8; 8]>| u64::from_le_bytes(*bytes.unwrap_or(&[0; 8]));
    let (strings, half) = (names.strings, names.strings.len() / 2);
    let middle = word(strings[half..].first_chunk());
    let (first, last) = (word(strings.first_chunk()), word(strings.last_chunk()));
    let facts = half << 16 | usize::from(names.code) << 8 | names.status as usize;
    let mixed = (first ^ facts as u64).wrapping_mul(MIX).rotate_left(32) ^ last;
    let mixed = mixed.wrapping_mul(MIX).rotate_left(32) ^ middle;
    (mixed.wrapping_mul(MIX) >> (u64::BITS - PLACES_SHIFT)) as usize
}

/// Appends the line of an event. Checks that it is the same if its names are remembered, and if it is
/// written field by field. What the thread wrote before is remembered.
#[cfg(any(fuzzing, test))]
pub(crate) fn write_event_line(out: &mut Vec<u8>, seq: u64, record: &Record<'_>) {
    const INSTANCE: &str = "0123456789abcdef";
    thread_local! {
        static LINES: std::cell::RefCell<EventLines> = EventLines::new(INSTANCE).into();
    }
    let mut again = Vec::new();
    let begin = out.len();
    LINES.with_borrow_mut(|lines| {
        lines.append_record(out, seq, record).expect("the names are strings");
        lines.append_record(&mut again, seq, record).expect("the names are strings");
    });
    assert_eq!(out[begin..], again);
    let [event_type, agent, action] = record.names.decode().expect("the names are strings");
    let fields = LineFields {
        instance: Some(INSTANCE),
        seq: Some(seq),
        notice: None,
        trace_id: Some(record.trace_id),
        span_id: Some(record.span_id),
        parent_span_id: record.parent_span_id,
        timestamp: Some(record.timestamp),
        event_type: Some(&event_type),
        agent: Some(&agent),
        action: Some(&action),
        status: Some(record.names.status),
        ..fields_after_names(record)
    };
    again.clear();
    fields.write(&mut again);
    assert_eq!(out[begin..], again);
}
