//! Writes an encoded value as JSON while it is decoded, without a value in between.

use llm_audit_log::schema::AppendJson;
use llm_audit_log::schema::json_text::{
    append_float, append_integer, append_string, append_utf8_string,
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

impl AppendJson for EncodedValue<'_> {
    /// Appends the value that was encoded. Returns `false` if the bytes are not a value.
    fn append(&self, out: &mut Vec<u8>) -> bool {
        JsonWriter { unread: RecordCursor(self.0), out }.append_value(0).is_ok()
    }
}

struct JsonWriter<'a, 'o> {
    unread: RecordCursor<'a>,
    out: &'o mut Vec<u8>,
}

impl JsonWriter<'_, '_> {
    /// Appends the next value, which has so many containers around it.
    fn append_value(&mut self, level: usize) -> Result<(), MalformedRecord> {
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
            MAP => self.append_object(level)?,
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

    /// Appends the name of a member.
    #[inline]
    fn append_name(&mut self) -> Result<(), MalformedRecord> {
        let tag = self.unread.byte()?;
        self.append_string_after(tag)?;
        self.out.push(b':');
        Ok(())
    }

    #[inline]
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
        self.out.push(b'[');
        while !self.unread.skip_tag(END)? {
            self.separate();
            self.append_value(level + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn append_object(&mut self, level: usize) -> Result<(), MalformedRecord> {
        self.out.push(b'{');
        self.append_last_members(level)
    }

    /// Appends the members up to the end of the object.
    fn append_last_members(&mut self, level: usize) -> Result<(), MalformedRecord> {
        self.append_members(level)?;
        self.out.push(b'}');
        Ok(())
    }

    fn append_members(&mut self, level: usize) -> Result<(), MalformedRecord> {
        while !self.unread.skip_tag(END)? {
            self.separate();
            self.append_name()?;
            self.append_value(level + 1)?;
        }
        Ok(())
    }

    /// Appends the next value as the member of this name.
    fn append_named(&mut self, name: &str, level: usize) -> Result<(), MalformedRecord> {
        append_string(self.out, name);
        self.out.push(b':');
        self.append_value(level + 1)
    }

    /// Appends a payload, if there is one, with the members after it.
    fn append_counted(&mut self, level: usize) -> Result<(), MalformedRecord> {
        self.out.push(b'{');
        if self.unread.skip_tag(PAYLOAD)? {
            match self.unread.skip_tag(MAP)? {
                true => self.append_members(level)?,
                false => self.append_named("value", level)?,
            }
        }
        self.append_last_members(level)
    }

    /// Appends the value after a tag that requires an object.
    fn append_payload(&mut self, text_name: &str, level: usize) -> Result<(), MalformedRecord> {
        let name = match self.unread.0.first() {
            Some(&MAP) => return self.append_value(level + 1),
            Some(&(STR | PARTS)) => text_name,
            _ => "value",
        };
        self.out.push(b'{');
        self.append_named(name, level)?;
        self.out.push(b'}');
        Ok(())
    }

    /// Appends a comma, except at the beginning of a container. No value ends in an opening bracket.
    #[inline]
    fn separate(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }
}
