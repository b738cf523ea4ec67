//! Decodes a flat record for the writer. It accepts any bytes without a panic or deep recursion.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::{
    COUNTED, DEPTH_MAX, END, ERROR, F32, F64, FALSE, HAS_OTHERS, KEPT_SHIFT, MAP, NEGATIVE, NULL,
    PARTS, PAYLOAD, SEQ, STR, TRUE, UINT, flag,
};
use crate::pricing::Usd;
use crate::sampler::Kept;
use llm_audit_log::{EventType, Status};

/// The largest number of containers inside each other.
///
/// They are a payload's own, the error object around it, and the one that wraps a value that is not
/// an object.
const LEVELS_MAX: usize = DEPTH_MAX + 2;

/// The error for bytes that are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedRecord;

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a flat record")
    }
}

/// One event as it was stored in the ring.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    pub(crate) event_type: Cow<'a, str>,
    pub(crate) agent: Cow<'a, str>,
    pub(crate) action: Cow<'a, str>,
    pub(crate) status: Status,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) tokens_input: Option<u64>,
    pub(crate) tokens_output: Option<u64>,
    pub(crate) cost_usd: Option<Usd>,
    pub(crate) kept: Kept,
    pub(crate) data: Option<EncodedValue<'a>>,
    pub(crate) error: Option<EncodedValue<'a>>,
}

/// An encoded value. It serializes as the value that was encoded. If the bytes are not a value,
/// serializing fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedValue<'a>(&'a [u8]);

#[cfg(all(feature = "macros", feature = "replay"))]
impl<'a> EncodedValue<'a> {
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

/// Reads one record.
///
/// # Errors
///
/// Returns an error if the head or the strings after it are cut short. The payloads are only read
/// when they are serialized.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record<'_>, MalformedRecord> {
    let mut cursor = RecordCursor(bytes);
    let [code, state, flags] = cursor.array()?;
    let (status, kept) = decode_state(state)?;
    let has = |flag| flags & flag != 0;
    let mut record = Record {
        trace_id: u128::from_le_bytes(cursor.array()?),
        span_id: cursor.word()?,
        parent_span_id: Some(cursor.word()?).filter(|_| has(flag::PARENT)),
        timestamp: cursor.word()? as i64,
        latency_ms: Some(f64::from_bits(cursor.word()?)).filter(|_| has(flag::LATENCY)),
        tokens_input: Some(cursor.word()?).filter(|_| has(flag::TOKENS_INPUT)),
        tokens_output: Some(cursor.word()?).filter(|_| has(flag::TOKENS_OUTPUT)),
        cost_usd: match has(flag::COST) {
            true => Some(Usd::from_le_bytes(cursor.array()?)),
            false => None,
        },
        event_type: match EventType::ALL.get(usize::from(code)) {
            Some(event_type) => Cow::Borrowed(event_type.name()),
            None => cursor.string()?,
        },
        agent: cursor.string()?,
        action: cursor.string()?,
        status,
        kept,
        data: None,
        error: None,
    };
    if has(flag::CONTENT) {
        cursor.skip_value()?;
    }
    if has(flag::ERROR) {
        record.error = Some(EncodedValue(cursor.0));
        if has(flag::DATA) {
            cursor.skip_value()?;
        }
    }
    record.data = has(flag::DATA).then_some(EncodedValue(cursor.0));
    Ok(record)
}

/// Reads the byte of the status and of the reason to keep the event.
fn decode_state(state: u8) -> Result<(Status, Kept), MalformedRecord> {
    let status = Status::ALL.get(usize::from(state & ((1 << KEPT_SHIFT) - 1)));
    let kept = match (state & !HAS_OTHERS) >> KEPT_SHIFT {
        0 => Kept::Drawn,
        1 => Kept::Slow,
        2 => Kept::Parent,
        3 => Kept::Failed,
        4 => Kept::Whole,
        5 => Kept::Judgement,
        _ => return Err(MalformedRecord),
    };
    Ok((*status.ok_or(MalformedRecord)?, kept))
}

/// What the hold has to know of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    /// `None` for a type of the caller's own.
    pub(crate) event_type: Option<EventType<'static>>,
    pub(crate) status: Status,
    /// Whether there may be other events of its trace.
    pub(crate) has_others: bool,
    /// Whether other events of its trace may be left out.
    pub(crate) is_split: bool,
    /// Whether it is left out unless its trace fails.
    pub(crate) is_left_out: bool,
    /// Whether it has content that is kept only if its trace fails.
    pub(crate) has_content: bool,
    pub(crate) trace_id: u128,
    pub(crate) timestamp: i64,
}

/// Reads only the head of a record.
///
/// # Errors
///
/// Returns an error if the bytes end before the timestamp does. The rest is not checked.
pub(crate) fn decode_head(bytes: &[u8]) -> Result<RecordHead, MalformedRecord> {
    let mut cursor = RecordCursor(bytes);
    let [code, state, flags] = cursor.array()?;
    let (status, kept) = decode_state(state)?;
    let has_others = state & HAS_OTHERS != 0;
    Ok(RecordHead {
        event_type: EventType::ALL.get(usize::from(code)).copied(),
        status,
        has_others,
        is_split: has_others && kept != Kept::Whole,
        is_left_out: kept == Kept::Failed,
        has_content: flags & flag::CONTENT != 0,
        trace_id: u128::from_le_bytes(cursor.array()?),
        timestamp: decode_timestamp(bytes)?,
    })
}

/// Reads only the timestamp of a record, in microseconds since the Unix epoch.
///
/// # Errors
///
/// Returns an error if the bytes end before the timestamp does. Nothing else of the record is
/// checked.
pub(crate) fn decode_timestamp(bytes: &[u8]) -> Result<i64, MalformedRecord> {
    // The timestamp comes after the type, status, flags, trace id, span and parent.
    let mut cursor = RecordCursor(bytes.get(3 + 16 + 2 * 8..).ok_or(MalformedRecord)?);
    cursor.word().map(|word| word as i64)
}

impl Serialize for EncodedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        UnreadValue { rest: &Cell::new(self.0), level: 0 }.serialize(serializer)
    }
}

/// The value at the beginning of `rest`. Serializing it removes it from there.
#[derive(Clone, Copy)]
struct UnreadValue<'r, 'a> {
    rest: &'r Cell<&'a [u8]>,
    /// The number of containers around it.
    level: usize,
}

impl<'a> UnreadValue<'_, 'a> {
    fn read_with<R>(
        self,
        read: impl FnOnce(&mut RecordCursor<'a>) -> Result<R, MalformedRecord>,
    ) -> Result<R, MalformedRecord> {
        let mut cursor = RecordCursor(self.rest.get());
        let what = read(&mut cursor);
        self.rest.set(cursor.0);
        what
    }

    /// Returns the next value, one level deeper.
    fn one_level_deeper(self) -> Self {
        Self { level: self.level + 1, ..self }
    }

    /// Removes a tag if it is next. Reports whether it was.
    fn skip_tag(self, tag: u8) -> Result<bool, MalformedRecord> {
        self.read_with(|cursor| {
            let is_next = *cursor.0.first().ok_or(MalformedRecord)? == tag;
            cursor.0 = &cursor.0[is_next.into()..];
            Ok(is_next)
        })
    }

    fn serialize_list<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        while !self.skip_tag(END).map_err(S::Error::custom)? {
            list.serialize_element(&self.one_level_deeper())?;
        }
        list.end()
    }

    fn serialize_object<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        self.serialize_members(&mut object)?;
        object.end()
    }

    fn serialize_members<M: SerializeMap>(self, object: &mut M) -> Result<(), M::Error> {
        while !self.skip_tag(END).map_err(M::Error::custom)? {
            let key = self.read_with(RecordCursor::string).map_err(M::Error::custom)?;
            object.serialize_entry(&*key, &self.one_level_deeper())?;
        }
        Ok(())
    }

    /// Serializes a payload, if there is one, with the members after it.
    fn serialize_counted<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        if self.skip_tag(PAYLOAD).map_err(S::Error::custom)? {
            match self.skip_tag(MAP).map_err(S::Error::custom)? {
                true => self.serialize_members(&mut object)?,
                false => object.serialize_entry("value", &self.one_level_deeper())?,
            }
        }
        self.serialize_members(&mut object)?;
        object.end()
    }

    /// Serializes the value after a tag that requires an object.
    fn serialize_payload<S: Serializer>(
        self,
        serializer: S,
        text_key: &str,
    ) -> Result<S::Ok, S::Error> {
        let key = match self.rest.get().first() {
            Some(&MAP) => return self.one_level_deeper().serialize(serializer),
            Some(&(STR | PARTS)) => text_key,
            _ => "value",
        };
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry(key, &self.one_level_deeper())?;
        object.end()
    }
}

impl Serialize for UnreadValue<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wrong = S::Error::custom;
        match self.read_with(RecordCursor::byte).map_err(wrong)? {
            NULL => serializer.serialize_unit(),
            FALSE => serializer.serialize_bool(false),
            TRUE => serializer.serialize_bool(true),
            UINT => serializer.serialize_u64(self.read_with(RecordCursor::varint).map_err(wrong)?),
            NEGATIVE => {
                serializer.serialize_i64(self.read_with(RecordCursor::negative).map_err(wrong)?)
            }
            F64 => serializer.serialize_f64(self.read_with(RecordCursor::float).map_err(wrong)?),
            F32 => {
                serializer.serialize_f64(self.read_with(RecordCursor::short_float).map_err(wrong)?)
            }
            tag @ (STR | PARTS) => {
                let text = self.read_with(|cursor| cursor.string_after(tag)).map_err(wrong)?;
                serializer.serialize_str(&text)
            }
            _ if self.level == LEVELS_MAX => Err(wrong(MalformedRecord)),
            SEQ => self.serialize_list(serializer),
            MAP => self.serialize_object(serializer),
            PAYLOAD => self.serialize_payload(serializer, "value"),
            ERROR => self.serialize_payload(serializer, "message"),
            COUNTED => self.serialize_counted(serializer),
            _ => Err(wrong(MalformedRecord)),
        }
    }
}

/// Bytes that are read from the beginning.
pub(super) struct RecordCursor<'a>(pub(super) &'a [u8]);

impl<'a> RecordCursor<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], MalformedRecord> {
        let count = usize::try_from(count).map_err(|_| MalformedRecord)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, MalformedRecord> {
        self.array().map(|[byte]| byte)
    }

    fn word(&mut self) -> Result<u64, MalformedRecord> {
        self.array().map(u64::from_le_bytes)
    }

    fn varint(&mut self) -> Result<u64, MalformedRecord> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(MalformedRecord)
    }

    fn negative(&mut self) -> Result<i64, MalformedRecord> {
        i64::try_from(self.varint()?).map(|number| !number).map_err(|_| MalformedRecord)
    }

    fn float(&mut self) -> Result<f64, MalformedRecord> {
        self.array().map(f64::from_le_bytes)
    }

    /// Returns the `f64` that is spelled like the `f32`. For example 0.1, not 0.10000000149011612,
    /// which simd-json would write.
    fn short_float(&mut self) -> Result<f64, MalformedRecord> {
        let number = self.array().map(f32::from_le_bytes)?;
        number.to_string().parse().map_err(|_| MalformedRecord)
    }

    fn utf8_text(&mut self, len: u64) -> Result<&'a str, MalformedRecord> {
        std::str::from_utf8(self.take(len)?).map_err(|_| MalformedRecord)
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, MalformedRecord> {
        let tag = self.byte()?;
        self.string_after(tag)
    }

    fn string_after(&mut self, tag: u8) -> Result<Cow<'a, str>, MalformedRecord> {
        let len = match tag {
            STR => self.varint()?,
            PARTS => return self.parts().map(Cow::Owned),
            _ => return Err(MalformedRecord),
        };
        self.utf8_text(len).map(Cow::Borrowed)
    }

    fn parts(&mut self) -> Result<String, MalformedRecord> {
        let mut whole = String::new();
        loop {
            match self.varint()? {
                0 => return Ok(whole),
                len => whole.push_str(self.utf8_text(len)?),
            }
        }
    }

    /// Skips what comes before the names of content.
    pub(super) fn skip_names(
        &mut self,
        has_cost: bool,
        has_type: bool,
    ) -> Result<(), MalformedRecord> {
        if has_cost {
            self.take(16)?;
        }
        (0..2 + u32::from(has_type)).try_for_each(|_| self.skip_value())
    }

    /// Reads the names of content.
    pub(super) fn names(&mut self) -> Result<Vec<Cow<'a, str>>, MalformedRecord> {
        let mut names = Vec::new();
        if self.byte()? != SEQ {
            return Err(MalformedRecord);
        }
        while *self.0.first().ok_or(MalformedRecord)? != END {
            names.push(self.string()?);
        }
        self.byte()?;
        Ok(names)
    }

    /// Skips one value.
    pub(super) fn skip_value(&mut self) -> Result<(), MalformedRecord> {
        let mut open = 0_usize;
        loop {
            match self.byte()? {
                NULL | FALSE | TRUE => {}
                UINT | NEGATIVE => drop(self.varint()?),
                F64 => drop(self.take(8)?),
                F32 => drop(self.take(4)?),
                STR => {
                    let len = self.varint()?;
                    self.take(len)?;
                }
                PARTS => self.skip_parts()?,
                SEQ | MAP | COUNTED => open += 1,
                END => open = open.checked_sub(1).ok_or(MalformedRecord)?,
                // The value of this tag follows.
                PAYLOAD | ERROR => continue,
                _ => return Err(MalformedRecord),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn skip_parts(&mut self) -> Result<(), MalformedRecord> {
        loop {
            match self.varint()? {
                0 => return Ok(()),
                len => drop(self.take(len)?),
            }
        }
    }
}
