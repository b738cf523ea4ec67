//! The beginning of an event's line, written faster than field by field.

use super::LineFields;
use super::shape::append_time;
use super::spelled::RecentTime;

/// Writes the lines of a logger up to the time of the event. Remembers what they have in common.
pub struct EventStart {
    /// The line up to its instance.
    instance: Vec<u8>,
    time: RecentTime,
}

/// What comes before the names of an event.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields of a line, as in `LineFields`")]
pub struct EventIds {
    pub seq: u64,
    pub trace_id: u128,
    pub span_id: u64,
    pub parent_span_id: Option<u64>,
    pub timestamp: i64,
}

impl EventStart {
    /// Makes the writer of a logger with this instance.
    pub fn new(instance: &str) -> Self {
        let mut line = Vec::new();
        LineFields { instance: Some(instance), ..LineFields::default() }.write(&mut line);
        line.truncate(line.len() - b"}\n".len());
        Self { instance: line, time: RecentTime::default() }
    }

    /// Appends the beginning of a line. The other fields follow by [`LineFields::write_members`].
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>, ids: EventIds) {
        out.extend_from_slice(&self.instance);
        let members = LineFields {
            seq: Some(ids.seq),
            trace_id: Some(ids.trace_id),
            span_id: Some(ids.span_id),
            parent_span_id: ids.parent_span_id,
            ..LineFields::default()
        };
        members.write_members(out);
        out.extend_from_slice(b",\"timestamp\":\"");
        match self.time.spell(ids.timestamp) {
            Some(text) => out.extend_from_slice(text),
            None => append_time(out, ids.timestamp),
        }
        out.push(b'"');
    }
}
