//! Writes an encoded value as JSON while it is decoded, without a value in between.

use llm_audit_log::schema::AppendJson;
use llm_audit_log::schema::json_text::{
    SHORT_BYTES, append_float, append_integer, append_short, append_string, append_utf8_string,
};

use super::decode::{EncodedValue, MalformedRecord, RecordCursor};
use super::{
    COUNTED, DEPTH_MAX, END, ERROR, F32, F64, FALSE, MAP, NEGATIVE, NULL, PARTS, PAYLOAD, SEQ, STR,
    TRUE, UINT,
};

/// The largest number of containers inside each other.
///
/// They are a payload's own, the error object around it, and the one that wraps a value that is not
/// an object.
const LEVELS_MAX: usize = DEPTH_MAX + 2;
/// The longest string that [`append_short`] takes.
const SHORT_BYTES_MAX: u8 = SHORT_BYTES as u8;

impl AppendJson for EncodedValue<'_> {
    /// Appends the value that was encoded. Returns `false` if the bytes are not a value.
    fn append(&self, out: &mut Vec<u8>) -> bool {
        JsonWriter { unread: RecordCursor(self.0), out }.append_bare_value(0).is_ok()
    }
}

struct JsonWriter<'a, 'o> {
    unread: RecordCursor<'a>,
    out: &'o mut Vec<u8>,
}

impl JsonWriter<'_, '_> {
    /// Appends the sign before a value and the value, which has so many containers around it.
    #[inline(always)]
    fn append_value(&mut self, before: u8, level: usize) -> Result<(), MalformedRecord> {
        if self.append_short_string(before) {
            return Ok(());
        }
        self.out.push(before);
        self.append_bare_value(level)
    }

    /// Appends a value. Not inlined, so that a short string does not pay for its registers.
    #[inline(never)]
    fn append_bare_value(&mut self, level: usize) -> Result<(), MalformedRecord> {
        match self.unread.byte()? {
            NULL => self.out.extend_from_slice(b"null"),
            FALSE => self.out.extend_from_slice(b"false"),
            TRUE => self.out.extend_from_slice(b"true"),
            UINT => append_integer(self.out, self.unread.varint()?),
            NEGATIVE => self.append_negative()?,
            F64 => append_float(self.out, self.unread.float()?),
            F32 => append_float(self.out, self.unread.short_float()?),
            tag @ (STR | PARTS) => self.append_string_after(tag)?,
            _ if level == LEVELS_MAX => return Err(MalformedRecord),
            SEQ => self.append_list(level)?,
            MAP => {
                let next = self.append_members(b'{', level)?;
                self.close(next, b'{', b'}');
            }
            PAYLOAD => self.append_payload("value", level)?,
            ERROR => self.append_payload("message", level)?,
            COUNTED => self.append_counted(level)?,
            _ => return Err(MalformedRecord),
        }
        Ok(())
    }

    /// Appends an integer below 0, which is the complement of what is stored.
    fn append_negative(&mut self) -> Result<(), MalformedRecord> {
        let stored = i64::try_from(self.unread.varint()?).map_err(|_| MalformedRecord)?;
        self.out.push(b'-');
        append_integer(self.out, stored.unsigned_abs() + 1);
        Ok(())
    }

    /// Appends the sign before a string and the string, if that is next, short and plain. Returns whether it
    /// did. Most strings are, and names of members even more.
    #[inline(always)]
    fn append_short_string(&mut self, before: u8) -> bool {
        if let [STR, len @ ..=SHORT_BYTES_MAX, text @ ..] = self.unread.0
            && let Some(padded) = text.first_chunk()
            && append_short(self.out, before, padded, usize::from(*len))
        {
            self.unread.0 = &text[usize::from(*len)..];
            return true;
        }
        false
    }

    #[inline(never)]
    fn append_string_after(&mut self, tag: u8) -> Result<(), MalformedRecord> {
        let is_utf8 = match tag {
            STR => {
                let len = self.unread.varint()?;
                append_utf8_string(self.out, self.unread.take(len)?)
            }
            PARTS => {
                append_string(self.out, &self.unread.parts()?);
                true
            }
            _ => false,
        };
        if is_utf8 { Ok(()) } else { Err(MalformedRecord) }
    }

    fn append_list(&mut self, level: usize) -> Result<(), MalformedRecord> {
        let mut next = b'[';
        while !self.unread.skip_tag(END)? {
            self.append_value(next, level + 1)?;
            next = b',';
        }
        self.close(next, b'[', b']');
        Ok(())
    }

    /// Appends the members up to the end of an object. `next` is the sign before the next one: the opening
    /// brace or a comma. Returns the sign before one that may follow.
    fn append_members(&mut self, mut next: u8, level: usize) -> Result<u8, MalformedRecord> {
        while !self.unread.skip_tag(END)? {
            if !self.append_short_string(next) {
                self.out.push(next);
                let tag = self.unread.byte()?;
                self.append_string_after(tag)?;
            }
            self.append_value(b':', level + 1)?;
            next = b',';
        }
        Ok(next)
    }

    /// Ends a container. `next` is the sign that another value would have before it.
    fn close(&mut self, next: u8, opening: u8, closing: u8) {
        if next == opening {
            self.out.push(opening);
        }
        self.out.push(closing);
    }

    /// Begins an object with the next value, by this name.
    fn append_named(&mut self, name: &str, level: usize) -> Result<(), MalformedRecord> {
        self.out.push(b'{');
        append_string(self.out, name);
        self.append_value(b':', level + 1)
    }

    /// Appends a payload, if there is one, with the members after it.
    fn append_counted(&mut self, level: usize) -> Result<(), MalformedRecord> {
        let mut next = b'{';
        if self.unread.skip_tag(PAYLOAD)? {
            if self.unread.skip_tag(MAP)? {
                next = self.append_members(next, level)?;
            } else {
                self.append_named("value", level)?;
                next = b',';
            }
        }
        next = self.append_members(next, level)?;
        self.close(next, b'{', b'}');
        Ok(())
    }

    /// Appends the value after a tag that requires an object.
    fn append_payload(&mut self, text_name: &str, level: usize) -> Result<(), MalformedRecord> {
        let name = match self.unread.0.first() {
            Some(&MAP) => return self.append_bare_value(level + 1),
            Some(&(STR | PARTS)) => text_name,
            _ => "value",
        };
        self.append_named(name, level)?;
        self.out.push(b'}');
        Ok(())
    }
}
