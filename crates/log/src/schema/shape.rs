//! The shapes of fields: how each is written, read and checked.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;

use super::ids::{is_instance, parse_span_id, parse_trace_id};
use super::json_text::{append_integer, append_string};
use super::spelled::{
    append_usual_decimal, micros_of_time, micros_of_usual_time, usual_number, usual_time_of_micros,
};
use super::{Status, Usd, VERSION};
use crate::json::{Json, unquoted};

/// RFC 3339, in microseconds.
static TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
/// The first moment of the year 0. RFC 3339 has the years 0 to 9999.
const TIME_MIN: i64 = -62_167_219_200_000_000;
/// 9999-12-30T22:00:00Z, the last whole second that jiff takes in microseconds.
const TIME_MAX: i64 = 253_402_207_200_000_000;

/// What is wrong with an id that readers accept and this library does not write.
const NOT_FULL: &str = "is not written in full and in lower case";

/// The name of a field with the comma before it, as literals.
#[derive(Clone, Copy)]
pub struct FieldKey {
    /// Up to the colon.
    pub bare: &'static str,
    /// Up to the quote that opens a string.
    pub quoted: &'static str,
}

/// What a field may hold.
pub trait FieldShape {
    /// The type, as the documentation names it.
    const TYPE: &'static str;
    /// What is wrong with a value of another shape, to be read after the field's name.
    const FAULT: &'static str;
    /// What is written.
    type Written<'a>;
    /// What is read.
    type Read<'a>;

    /// Appends `key` and the value.
    fn write(out: &mut Vec<u8>, key: FieldKey, value: Self::Written<'_>);

    /// Reads the value; `None` if it has another type.
    fn read(json: Json<'_>) -> Option<Self::Read<'_>>;

    /// Reads the value as a line spells it: a string without escapes, or a number from 0.
    #[inline]
    fn read_spelled(text: &[u8]) -> Option<Self::Read<'_>> {
        Self::read(Json::from_spelled(text)?)
    }

    /// Whether readers accept the value.
    fn fits(json: Json<'_>) -> bool {
        Self::read(json).is_some()
    }

    /// What is wrong with an id in a line of this library.
    fn id_fault(_: Json<'_>) -> Option<&'static str> {
        None
    }

    /// What is wrong with an object in a line of this library.
    fn object_fault(_: Json<'_>) -> Option<&'static str> {
        None
    }
}

/// A payload, for the fields `data` and `error`.
pub trait AppendJson {
    /// Appends the payload as JSON. Returns `false` if its `Serialize` impl failed; a part of it is
    /// then written.
    fn append(&self, out: &mut Vec<u8>) -> bool;
}

impl<T: Serialize + ?Sized> AppendJson for T {
    fn append(&self, out: &mut Vec<u8>) -> bool {
        simd_json::to_writer(&mut *out, self).is_ok()
    }
}

/// `"3.0"`.
pub enum Version {}
/// A string.
pub enum Text {}
/// One of the four names.
pub enum StatusName {}
/// A whole number from 0.
pub enum Integer {}
/// Any number.
pub enum Number {}
/// An exact number of dollars from 0.
pub enum Dollars {}
/// 16 hex digits.
pub enum InstanceId {}
/// 32 hex digits.
pub enum TraceId {}
/// 16 hex digits.
pub enum SpanId {}
/// RFC 3339.
pub enum Time {}
/// An object, which readers take in any other shape, too.
pub enum DataObject {}
/// An object; readers also take the message alone.
pub enum ErrorObject {}

impl FieldShape for Version {
    const TYPE: &'static str = "`\"3.0\"`";
    const FAULT: &'static str = Text::FAULT;
    type Written<'a> = ();
    type Read<'a> = &'a str;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, (): ()) {
        write_unescaped_field(out, key, VERSION);
    }

    fn read(json: Json<'_>) -> Option<&str> {
        json.as_str()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<&str> {
        std::str::from_utf8(unquoted(text)?).ok()
    }
}

impl FieldShape for Text {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is no string";
    type Written<'a> = &'a str;
    type Read<'a> = &'a str;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: &str) {
        out.extend_from_slice(key.bare.as_bytes());
        append_string(out, value);
    }

    fn read(json: Json<'_>) -> Option<&str> {
        json.as_str()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<&str> {
        std::str::from_utf8(unquoted(text)?).ok()
    }
}

impl FieldShape for StatusName {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is none of \"ok\", \"error\", \"timeout\" and \"retry\"";
    type Written<'a> = Status;
    type Read<'a> = Status;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: Status) {
        write_unescaped_field(out, key, value.name());
    }

    fn read(json: Json<'_>) -> Option<Status> {
        Status::from_name(json.as_str()?)
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<Status> {
        let name = unquoted(text)?;
        Status::ALL.into_iter().find(|status| status.name().as_bytes() == name)
    }
}

impl FieldShape for Integer {
    const TYPE: &'static str = "integer";
    const FAULT: &'static str = "is no whole number from 0";
    type Written<'a> = u64;
    type Read<'a> = u64;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: u64) {
        out.extend_from_slice(key.bare.as_bytes());
        append_integer(out, value);
    }

    fn read(json: Json<'_>) -> Option<u64> {
        json.as_u64()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<u64> {
        let add = |number: u64, digit: &u8| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        };
        text.iter().try_fold(0, add)
    }
}

impl FieldShape for Number {
    const TYPE: &'static str = "number";
    const FAULT: &'static str = "is no number";
    type Written<'a> = f64;
    type Read<'a> = f64;

    /// Writes the shortest digits that give this `f64` back, without an exponent. A value that is not
    /// finite is left out.
    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: f64) {
        if !value.is_finite() {
            return;
        }
        out.extend_from_slice(key.bare.as_bytes());
        if !append_usual_decimal(out, value, b"") {
            // `Display` never writes an exponent, and a vector takes all there is.
            let _ = write!(out, "{value}");
        }
    }

    fn read(json: Json<'_>) -> Option<f64> {
        json.as_f64()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<f64> {
        usual_number(text).or_else(|| Self::read(Json::from_spelled(text)?))
    }
}

impl FieldShape for Dollars {
    const TYPE: &'static str = "number";
    const FAULT: &'static str = "is no number of dollars from 0";
    type Written<'a> = Usd;
    type Read<'a> = Usd;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: Usd) {
        out.extend_from_slice(key.bare.as_bytes());
        value.append(out);
    }

    /// Reads the amount by the shortest digits of the nearest `f64`. [`Line`](crate::Line) reads
    /// the digits themselves.
    fn read(json: Json<'_>) -> Option<Usd> {
        Usd::try_from(json.as_f64()?).ok().filter(|cost| !cost.is_negative())
    }
}

impl FieldShape for InstanceId {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is no id of 16 hex digits";
    type Written<'a> = &'a str;
    type Read<'a> = &'a str;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: &str) {
        Text::write(out, key, value);
    }

    fn read(json: Json<'_>) -> Option<&str> {
        json.as_str()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<&str> {
        std::str::from_utf8(unquoted(text)?).ok()
    }

    fn fits(json: Json<'_>) -> bool {
        json.as_str().is_some_and(is_instance)
    }

    fn id_fault(json: Json<'_>) -> Option<&'static str> {
        id_spelling_fault(json, 16)
    }
}

impl FieldShape for TraceId {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is no id of up to 32 hex digits, not all zero";
    type Written<'a> = u128;
    type Read<'a> = &'a str;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: u128) {
        open_string_field(out, key);
        out.extend_from_slice(&hex_digits((value >> 64) as u64));
        out.extend_from_slice(&hex_digits(value as u64));
        out.push(b'"');
    }

    fn read(json: Json<'_>) -> Option<&str> {
        json.as_str()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<&str> {
        std::str::from_utf8(unquoted(text)?).ok()
    }

    fn fits(json: Json<'_>) -> bool {
        json.as_str().is_some_and(|id| parse_trace_id(id).is_ok())
    }

    fn id_fault(json: Json<'_>) -> Option<&'static str> {
        id_spelling_fault(json, 32)
    }
}

impl FieldShape for SpanId {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is no id of up to 16 hex digits, not all zero";
    type Written<'a> = u64;
    type Read<'a> = &'a str;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: u64) {
        open_string_field(out, key);
        out.extend_from_slice(&hex_digits(value));
        out.push(b'"');
    }

    fn read(json: Json<'_>) -> Option<&str> {
        json.as_str()
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<&str> {
        std::str::from_utf8(unquoted(text)?).ok()
    }

    fn fits(json: Json<'_>) -> bool {
        json.as_str().is_some_and(|id| parse_span_id(id).is_ok())
    }

    fn id_fault(json: Json<'_>) -> Option<&'static str> {
        id_spelling_fault(json, 16)
    }
}

impl FieldShape for Time {
    const TYPE: &'static str = "string";
    const FAULT: &'static str = "is no RFC 3339 time with an offset";
    /// Microseconds since the Unix epoch.
    type Written<'a> = i64;
    type Read<'a> = i64;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: i64) {
        open_string_field(out, key);
        append_time(out, value);
        out.push(b'"');
    }

    fn read(json: Json<'_>) -> Option<i64> {
        micros_of_time(json.as_str()?)
    }

    #[inline]
    fn read_spelled(text: &[u8]) -> Option<i64> {
        let text = unquoted(text)?;
        micros_of_usual_time(text).or_else(|| micros_of_time(std::str::from_utf8(text).ok()?))
    }
}

/// Returns a time as a line has it.
pub(crate) fn spelled_time(micros: i64) -> String {
    let mut text = Vec::new();
    append_time(&mut text, micros);
    String::from_utf8(text).expect("digits and signs")
}

/// Appends a time without quotes.
pub(super) fn append_time(out: &mut Vec<u8>, micros: i64) {
    if let Some(text) = usual_time_of_micros(micros) {
        out.extend_from_slice(&text);
        return;
    }
    // The time is in jiff's range after the clamp, and a vector takes all there is.
    let time = Timestamp::from_microsecond(micros.clamp(TIME_MIN, TIME_MAX)).unwrap_or_default();
    let _ = TIME.print_timestamp(&time, out);
}

impl FieldShape for DataObject {
    const TYPE: &'static str = "object";
    const FAULT: &'static str = "is no object";
    type Written<'a> = &'a dyn AppendJson;
    type Read<'a> = Json<'a>;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: &dyn AppendJson) {
        write_payload_field(out, key, value);
    }

    fn read(json: Json<'_>) -> Option<Json<'_>> {
        Some(json)
    }

    fn object_fault(json: Json<'_>) -> Option<&'static str> {
        (!json.is_object()).then_some(Self::FAULT)
    }
}

impl FieldShape for ErrorObject {
    const TYPE: &'static str = "object";
    const FAULT: &'static str = "is no object and no string";
    type Written<'a> = &'a dyn AppendJson;
    type Read<'a> = Json<'a>;

    #[inline]
    fn write(out: &mut Vec<u8>, key: FieldKey, value: &dyn AppendJson) {
        write_payload_field(out, key, value);
    }

    fn read(json: Json<'_>) -> Option<Json<'_>> {
        Some(json)
    }

    fn fits(json: Json<'_>) -> bool {
        json.is_object() || json.as_str().is_some()
    }

    fn object_fault(json: Json<'_>) -> Option<&'static str> {
        DataObject::object_fault(json)
    }
}

/// What is wrong with an id that is not `digits` lower-case digits long.
fn id_spelling_fault(json: Json<'_>, digits: usize) -> Option<&'static str> {
    let id = json.as_str()?;
    let is_full = id.len() == digits && !id.bytes().any(|b| b.is_ascii_uppercase());
    (!is_full).then_some(NOT_FULL)
}

/// Appends a payload. If that fails, the part that was written is taken back.
fn write_payload_field(out: &mut Vec<u8>, key: FieldKey, value: &(impl AppendJson + ?Sized)) {
    out.extend_from_slice(key.bare.as_bytes());
    let start = out.len();
    if !value.append(out) {
        out.truncate(start);
        out.extend_from_slice(br#"{"value":"[UNSERIALIZABLE]"}"#);
    }
}

/// Returns the hexadecimal digits of a number.
#[inline]
fn hex_digits(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let (first, last) = digits.split_at_mut(8);
    first.copy_from_slice(&eight_hex_digits((number >> 32) as u32));
    last.copy_from_slice(&eight_hex_digits(number as u32));
    digits
}

/// Spells all digits of a number at once.
#[inline]
fn eight_hex_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 0xff;
    // Each digit gets a byte of its own.
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & (ONES * 0x0f);
    // Six more than a digit carries into the upper half of its byte if it is a letter.
    let letters = (digits + ONES * 6) >> 4 & ONES;
    let text = digits + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    text.to_be_bytes()
}

/// Appends a text that needs no escapes.
#[inline]
fn write_unescaped_field(out: &mut Vec<u8>, key: FieldKey, text: &str) {
    open_string_field(out, key);
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends the key and the quote that opens a string.
#[inline]
fn open_string_field(out: &mut Vec<u8>, key: FieldKey) {
    out.extend_from_slice(key.quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_all_their_digits() {
        let mut random = fastrand::Rng::with_seed(2);
        for number in [0, 1, 0x9a, u64::MAX].into_iter().chain((0..1000).map(|_| random.u64(..))) {
            assert_eq!(hex_digits(number), format!("{number:016x}").as_bytes());
        }
    }

    #[test]
    fn numbers_have_the_shortest_digits() {
        let mut random = fastrand::Rng::with_seed(4);
        for round in 0..100_000 {
            let bits = random.u32(1..60);
            let number = match round % 3 {
                0 => f64::from_bits(random.u64(..)),
                1 => random.u64(..1 << bits) as f64 / 1e6,
                _ => random.u64(..1 << bits) as f64 / 10_f64.powi(random.i32(0..12)),
            };
            let mut out = Vec::new();
            Number::write(&mut out, FieldKey { bare: ":", quoted: "" }, number);
            let expected = if number.is_finite() { format!(":{number}") } else { String::new() };
            assert_eq!(out, expected.as_bytes());
        }
    }
}
