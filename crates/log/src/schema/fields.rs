//! The fields of a line: one table that the writer, the readers and the documentation share.

use super::shape::{self, FieldKey, FieldShape};
use crate::json::Json;
use crate::schema::Line;

/// Which lines have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Every line that this library writes.
    Always,
    /// Every line that this library writes, and every event that `record` accepts.
    Required,
    /// Every event, but not the log's own lines.
    Event,
    /// Every event, and every event that `record` accepts.
    RequiredEvent,
    /// The events that have it.
    Optional,
    /// The log's own lines, but not those of older versions.
    Notice,
}

impl Presence {
    /// Whether an event of this library without the field is damaged.
    pub fn is_in_events(self) -> bool {
        !matches!(self, Self::Optional | Self::Notice)
    }

    /// Whether one of the log's own lines without the field is damaged.
    pub fn is_in_notices(self) -> bool {
        matches!(self, Self::Always | Self::Required)
    }

    /// Whether an event of another program needs it.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Required | Self::RequiredEvent)
    }
}

/// What is wrong with a value, to be read after the field's name.
pub(crate) type FaultCheck = fn(Json<'_>) -> Option<&'static str>;

/// What the schema says about one field.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The type, as the documentation names it.
    pub type_name: &'static str,
    /// Which lines have it.
    pub presence: Presence,
    /// What it means.
    pub description: &'static str,
    pub(crate) fault: FaultCheck,
    pub(crate) id_fault: FaultCheck,
    pub(crate) object_fault: FaultCheck,
}

impl Field {
    const fn from_shape<S: FieldShape>(
        name: &'static str,
        presence: Presence,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            type_name: S::TYPE,
            presence,
            description,
            fault: |json| (!S::fits(json)).then_some(S::FAULT),
            id_fault: S::id_fault,
            object_fault: S::object_fault,
        }
    }
}

/// Returns the fields that an event can have, in the order of a line.
pub fn event_fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.presence != Presence::Notice)
}

/// The place of a field in [`FIELDS`].
pub(crate) const fn field_index(name: &str) -> usize {
    let mut at = 0;
    while at < FIELDS.len() {
        let (one, other) = (FIELDS[at].name.as_bytes(), name.as_bytes());
        let mut same = 0;
        while same < one.len() && same < other.len() && one[same] == other[same] {
            same += 1;
        }
        if same == one.len() && same == other.len() {
            return at;
        }
        at += 1;
    }
    panic!("the schema has no such field")
}

/// Makes everything that lists the fields from the table below.
///
/// A row is `name: FieldShape, Presence, how it is read, "description"`. The reader of a field is
/// `by_shape`, or `by_hand` if [`Line`] has a method of its own for it.
macro_rules! fields {
    (
        $head:ident: $head_shape:ident, $head_presence:ident, $head_reader:ident, $head_doc:literal;
        $($name:ident: $shape:ident, $presence:ident, $reader:ident, $doc:literal;)+
    ) => {
        /// Every field of the schema, in the order of a line.
        pub const FIELDS: &[Field] = &[
            Field::from_shape::<shape::$head_shape>(
                stringify!($head), Presence::$head_presence, $head_doc,
            ),
            $(Field::from_shape::<shape::$shape>(stringify!($name), Presence::$presence, $doc),)+
        ];

        /// The place in [`FIELDS`] of the field of this name.
        #[inline]
        pub(crate) fn field_named(name: &str) -> Option<usize> {
            match name {
                stringify!($head) => Some(const { field_index(stringify!($head)) }),
                $(stringify!($name) => Some(const { field_index(stringify!($name)) }),)+
                _ => None,
            }
        }

        /// The name of every field in quotes and with its colon.
        pub(super) const FIELD_KEYS: [&str; FIELDS.len()] = [
            concat!("\"", stringify!($head), "\":"),
            $(concat!("\"", stringify!($name), "\":"),)+
        ];

        /// The fields of one line, to be written. A field that is `None` is left out.
        #[derive(Clone, Copy, Default)]
        pub struct LineFields<'a> {
            $(#[doc = $doc] pub $name: Option<<shape::$shape as FieldShape>::Written<'a>>,)+
        }

        impl LineFields<'_> {
            /// Appends the line, with its newline. A payload that does not serialize is written as
            /// `{"value":"[UNSERIALIZABLE]"}`.
            #[inline]
            pub fn write(&self, out: &mut Vec<u8>) {
                shape::$head_shape::write(out, fields!(@key "{\"", $head), ());
                self.write_members(out);
                out.extend_from_slice(b"}\n");
            }

            /// Appends the fields alone, each with the comma before it. A line may be written in parts so.
            ///
            /// Always inlined, so that nothing is left of the fields that a caller never has.
            #[inline(always)]
            pub fn write_members(&self, out: &mut Vec<u8>) {
                $(if let Some(value) = self.$name {
                    shape::$shape::write(out, fields!(@key ",\"", $name), value);
                })+
            }
        }

        impl Line<'_> {
            fields!(@read $head_reader, $head: $head_shape, $head_doc);
            $(fields!(@read $reader, $name: $shape, $doc);)+
        }
    };
    (@read by_shape, $name:ident: $shape:ident, $doc:literal) => {
        #[doc = concat!("`", stringify!($name), "`: ", $doc, ".")]
        pub fn $name(&self) -> Option<<shape::$shape as FieldShape>::Read<'_>> {
            const AT: usize = field_index(stringify!($name));
            self.read_field::<shape::$shape>(AT)
        }
    };
    (@key $open:literal, $name:ident) => {
        FieldKey {
            bare: concat!($open, stringify!($name), "\":"),
            quoted: concat!($open, stringify!($name), "\":\""),
        }
    };
    (@read by_hand, $name:ident: $shape:ident, $doc:literal) => {};
}

fields! {
    event_version: Version, Always, by_shape, "the version of the schema";
    instance: InstanceId, Always, by_shape, "16 hex digits that the logger drew at its start";
    seq: Integer, Event, by_shape,
        "the number of the event within its instance, from 1, in the order of the file";
    notice: Integer, Notice, by_shape,
        "the number of one of the log's own lines within its instance, from 1; these have no `seq`";
    trace_id: TraceId, Event, by_shape, "32 lower-case hex digits (W3C)";
    span_id: SpanId, Event, by_shape, "16 lower-case hex digits (W3C)";
    parent_span_id: SpanId, Optional, by_shape, "the span above, 16 lower-case hex digits";
    timestamp: Time, Always, by_hand,
        "when the event was emitted: RFC 3339, in UTC, with microseconds";
    event_type: Text, Required, by_shape, "what kind of step the event reports";
    agent: Text, RequiredEvent, by_shape, "who did it";
    action: Text, RequiredEvent, by_shape, "what was done";
    status: StatusName, RequiredEvent, by_shape, "`ok`, `error`, `timeout` or `retry`";
    latency_ms: Number, Optional, by_shape, "how long it took, in milliseconds";
    tokens_input: Integer, Optional, by_shape,
        "tokens the model read, cached ones included; absent if unknown";
    tokens_output: Integer, Optional, by_shape,
        "tokens the model wrote, reasoning included; absent if unknown";
    cost_usd: Dollars, Optional, by_hand, "what it cost in US dollars, exact, without exponent";
    kept: Text, Optional, by_shape,
        "why the line is here though the draws left it out: `failed`, `slow`, `parent` or `judgement`";
    data: DataObject, Optional, by_shape, "the payload";
    error: ErrorObject, Optional, by_shape,
        "what went wrong: `type`, `message`, `traceback`, `recoverable`, `input_snapshot`, \
         `environment`";
}

#[cfg(test)]
mod tests {
    use serde::ser::{Error, SerializeMap};
    use serde::{Serialize, Serializer};

    use super::*;
    use crate::parse;
    use crate::schema::{Status, VERSION};

    fn event() -> LineFields<'static> {
        LineFields {
            instance: Some("0123456789abcdef"),
            seq: Some(7),
            trace_id: Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            span_id: Some(0xb7ad),
            timestamp: Some(0),
            event_type: Some("tool.call"),
            agent: Some("benefits"),
            action: Some("tool \"search\"\n"),
            status: Some(Status::Ok),
            ..LineFields::default()
        }
    }

    fn line(fields: &LineFields<'_>) -> String {
        let mut out = Vec::new();
        fields.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn absent_fields_are_left_out() {
        let expected = concat!(
            r#"{"event_version":"3.0","instance":"0123456789abcdef","seq":7,"#,
            r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"000000000000b7ad","#,
            r#""timestamp":"1970-01-01T00:00:00.000000Z","event_type":"tool.call","#,
            r#""agent":"benefits","action":"tool \"search\"\n","status":"ok"}"#,
            "\n"
        );
        assert_eq!(line(&event()), expected);
    }

    #[test]
    fn present_fields_have_their_order() {
        let full = LineFields {
            notice: Some(1),
            parent_span_id: Some(u64::MAX),
            status: Some(Status::Timeout),
            latency_ms: Some(12.5),
            tokens_input: Some(u64::MAX),
            tokens_output: Some(0),
            cost_usd: "1e-7".parse().ok(),
            kept: Some("slow"),
            data: Some(&[1]),
            error: Some(&"late"),
            ..event()
        };
        let line = line(&full);
        assert!(
            line.contains(r#""span_id":"000000000000b7ad","parent_span_id":"ffffffffffffffff","#)
        );
        let end = concat!(
            r#""status":"timeout","latency_ms":12.5,"tokens_input":18446744073709551615,"#,
            r#""tokens_output":0,"cost_usd":0.0000001,"kept":"slow","data":[1],"error":"late"}"#,
            "\n"
        );
        assert!(line.ends_with(end), "{line}");
        let mut bytes = line.into_bytes();
        let names: Vec<String> =
            parse(&mut bytes).unwrap().json().members().map(|(name, _)| name.to_owned()).collect();
        assert!(names.iter().eq(FIELDS.iter().map(|field| field.name)), "{names:?}");
    }

    #[test]
    fn what_is_written_has_no_fault() {
        let line = line(&event());
        let mut bytes = line.clone().into_bytes();
        let parsed = parse(&mut bytes).unwrap();
        parsed.check().unwrap();
        assert_eq!(parsed.strict_faults().next(), None, "{line}");
        assert_eq!(parsed.event_version(), Some(VERSION));
    }

    #[test]
    fn numbers_are_exact_or_left_out() {
        let cases = [
            (12.0, ",\"latency_ms\":12}"),
            (0.1, ",\"latency_ms\":0.1}"),
            (1e21, ",\"latency_ms\":1000000000000000000000}"),
            (1.5e-9, ",\"latency_ms\":0.0000000015}"),
            (-0.0, ",\"latency_ms\":-0}"),
            (f64::NAN, "\"status\":\"ok\"}"),
            (f64::INFINITY, "\"status\":\"ok\"}"),
        ];
        for (value, end) in cases {
            let line = line(&LineFields { latency_ms: Some(value), ..event() });
            assert!(line.trim_end().ends_with(end), "{value}: {line}");
        }
    }

    #[test]
    fn every_time_is_rfc_3339() {
        let cases = [
            (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
            (1_000_000, "1970-01-01T00:00:01.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000000Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
            (i64::MAX, "9999-12-30T22:00:00.000000Z"),
        ];
        for (micros, expected) in cases {
            let line = line(&LineFields { timestamp: Some(micros), ..event() });
            assert!(line.contains(&format!("\"timestamp\":\"{expected}\"")), "{micros}: {line}");
        }
    }

    #[test]
    fn a_value_that_fails_leaves_a_line() {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("written", "before")?;
                Err(S::Error::custom("no"))
            }
        }
        let line = line(&LineFields { data: Some(&Fails), ..event() });
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["data"]["value"], "[UNSERIALIZABLE]");
    }
}
