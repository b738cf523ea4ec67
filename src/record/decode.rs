//! Decodes a flat record for the writer. It accepts any bytes without a panic or deep recursion.

use std::borrow::Cow;

use super::{
    COUNTED, END, ERROR, F32, F64, FALSE, HAS_OTHERS, HEAD_BYTES, KEPT_SHIFT, MAP, NEGATIVE, NULL,
    PARTS, PAYLOAD, SEQ, STR, TRUE, UINT, flag,
};
use crate::pricing::Usd;
use crate::sampler::Kept;
use llm_audit_log::{EventType, Status};

/// The error for bytes that are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedRecord;

/// One event as it was stored in the ring.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    pub(crate) names: EncodedNames<'a>,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) tokens_input: Option<u64>,
    pub(crate) tokens_output: Option<u64>,
    pub(crate) cost_usd: Option<Usd>,
    pub(crate) kept: Kept,
    pub(crate) data: Option<EncodedValue<'a>>,
    pub(crate) error: Option<EncodedValue<'a>>,
}

/// What an event is called, as far as the next event may be called the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncodedNames<'a> {
    /// The code of the type.
    pub(crate) code: u8,
    pub(crate) status: Status,
    /// The name of the type, if it is the caller's own. Then the agent and the action.
    pub(crate) strings: &'a [u8],
}

impl<'a> EncodedNames<'a> {
    /// Returns the type, the agent and the action.
    ///
    /// # Errors
    ///
    /// Returns an error if one of them is not a string.
    pub(crate) fn decode(self) -> Result<[Cow<'a, str>; 3], MalformedRecord> {
        let mut cursor = RecordCursor(self.strings);
        let event_type = match EventType::ALL.get(usize::from(self.code)) {
            Some(event_type) => Cow::Borrowed(event_type.name()),
            None => cursor.string()?,
        };
        Ok([event_type, cursor.string()?, cursor.string()?])
    }
}

/// The bytes of a value and what comes after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedValue<'a>(pub(super) &'a [u8]);

/// Reads one record and its names. For tests.
#[cfg(any(fuzzing, test))]
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record<'_>, MalformedRecord> {
    let record = read_record(bytes)?;
    record.names.decode().map(|_| record)
}

/// Reads one record.
///
/// # Errors
///
/// Returns an error if the head or the strings after it are cut short. Names and payloads are only read
/// when they are written.
#[inline]
pub(crate) fn read_record(bytes: &[u8]) -> Result<Record<'_>, MalformedRecord> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(MalformedRecord)?;
    let (mut head, mut cursor) = (RecordCursor(head), RecordCursor(rest));
    let [code, state, flags] = head.array()?;
    let (status, kept) = decode_state(state)?;
    let has = |flag| flags & flag != 0;
    let mut record = Record {
        trace_id: u128::from_le_bytes(head.array()?),
        span_id: head.word()?,
        parent_span_id: Some(head.word()?).filter(|_| has(flag::PARENT)),
        timestamp: head.word()? as i64,
        latency_ms: Some(f64::from_bits(head.word()?)).filter(|_| has(flag::LATENCY)),
        tokens_input: Some(head.word()?).filter(|_| has(flag::TOKENS_INPUT)),
        tokens_output: Some(head.word()?).filter(|_| has(flag::TOKENS_OUTPUT)),
        cost_usd: match has(flag::COST) {
            true => Some(Usd::from_le_bytes(cursor.array()?)),
            false => None,
        },
        names: EncodedNames { code, status, strings: cursor.skip_names(code)? },
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

/// Bytes that are read from the beginning.
pub(super) struct RecordCursor<'a>(pub(super) &'a [u8]);

impl<'a> RecordCursor<'a> {
    #[inline]
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], MalformedRecord> {
        let count = usize::try_from(count).map_err(|_| MalformedRecord)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, MalformedRecord> {
        self.array().map(|[byte]| byte)
    }

    /// Skips a tag if it is next. Returns whether it was.
    #[inline]
    pub(super) fn skip_tag(&mut self, tag: u8) -> Result<bool, MalformedRecord> {
        let (next, rest) = self.0.split_first().ok_or(MalformedRecord)?;
        let is_next = *next == tag;
        if is_next {
            self.0 = rest;
        }
        Ok(is_next)
    }

    #[inline]
    fn word(&mut self) -> Result<u64, MalformedRecord> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, MalformedRecord> {
        match self.0 {
            [byte @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, MalformedRecord> {
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

    #[inline]
    pub(super) fn float(&mut self) -> Result<f64, MalformedRecord> {
        self.array().map(f64::from_le_bytes)
    }

    /// Returns the `f64` that is spelled like the `f32`. For example 0.1, not 0.10000000149011612,
    /// which simd-json would write.
    pub(super) fn short_float(&mut self) -> Result<f64, MalformedRecord> {
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

    pub(super) fn parts(&mut self) -> Result<String, MalformedRecord> {
        let mut whole = String::new();
        loop {
            match self.varint()? {
                0 => return Ok(whole),
                len => whole.push_str(self.utf8_text(len)?),
            }
        }
    }

    /// Skips the names of an event whose type has this code, and returns them.
    #[inline]
    pub(super) fn skip_names(&mut self, code: u8) -> Result<&'a [u8], MalformedRecord> {
        let names = self.0;
        if usize::from(code) >= EventType::ALL.len() {
            self.skip_value()?;
        }
        self.skip_name()?;
        self.skip_name()?;
        Ok(&names[..names.len() - self.0.len()])
    }

    /// Skips a string that most likely is short and in one piece.
    #[inline]
    fn skip_name(&mut self) -> Result<(), MalformedRecord> {
        if let [STR, len @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest.get(usize::from(*len)..).ok_or(MalformedRecord)?;
            return Ok(());
        }
        self.skip_value()
    }

    /// Reads the names of content.
    pub(super) fn names(&mut self) -> Result<Vec<Cow<'a, str>>, MalformedRecord> {
        let mut names = Vec::new();
        if self.byte()? != SEQ {
            return Err(MalformedRecord);
        }
        while !self.skip_tag(END)? {
            names.push(self.string()?);
        }
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
