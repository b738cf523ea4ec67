//! Estimates what a body in protobuf will take in memory, without decoding it.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::DecodeError;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::answer::Signal;

/// Messages nested deeper are malformed. prost has the same limit.
const DEPTH_MAX: u32 = 100;
/// A message in a list can take twice its size, because lists grow by doubling.
const IN_LIST: usize = 2;
/// What an allocation takes beside its bytes.
const ALLOCATION: usize = 32;

/// How much there is in a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Log records, spans or data points.
    pub(super) records: u64,
    /// An estimate of the memory of the decoded message.
    pub(super) bytes: usize,
}

/// A member of a request that takes memory of its own.
#[derive(Clone, Copy)]
enum Node {
    /// The request, or a message that groups others.
    Logs,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
    Traces,
    ResourceSpans,
    ScopeSpans,
    Span,
    SpanEvent,
    SpanLink,
    Metrics,
    ResourceMetrics,
    ScopeMetrics,
    Metric,
    MetricData,
    DataPoint,
    Resource,
    Scope,
    Entity,
    Attribute,
    Value,
    Values,
    Attributes,
    Text,
}

impl Survey {
    pub(super) fn of_protobuf(signal: Signal, body: &[u8]) -> Result<Self, DecodeError> {
        let root = match signal {
            Signal::Logs => Node::Logs,
            Signal::Traces => Node::Traces,
            Signal::Metrics => Node::Metrics,
        };
        let mut survey = Self { records: 0, bytes: body.len() };
        survey.walk(root, body, 0)?;
        Ok(survey)
    }

    fn walk(&mut self, node: Node, mut body: &[u8], depth: u32) -> Result<(), DecodeError> {
        if depth > DEPTH_MAX {
            return Err(malformed("messages are nested too deeply"));
        }
        while !body.is_empty() {
            let (field, content) = take_field(&mut body)?;
            let Some(content) = content else { continue };
            if let Some(member) = node.member(field) {
                self.count(member);
                // What is in a text is not a message.
                if !matches!(member, Node::Text) {
                    self.walk(member, content, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, node: Node) {
        self.records += u64::from(node.is_record());
        self.bytes = self.bytes.saturating_add(node.size());
    }
}

/// Takes the first field off a message: its number, and its content if it is a message, a text or bytes.
#[inline]
fn take_field<'b>(body: &mut &'b [u8]) -> Result<(u32, Option<&'b [u8]>), DecodeError> {
    let (field, wire_type) = take_key(body)?;
    let length = match wire_type {
        WireType::Varint => decode_varint(body).map(|_| 0)?,
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => take_length(body)?,
        // The fields of a group follow. prost knows where it ends.
        WireType::StartGroup | WireType::EndGroup => 0,
    };
    let length = usize::try_from(length).ok();
    let content = length.and_then(|length| body.split_off(..length));
    let content = content.ok_or_else(|| malformed("it is cut short"))?;
    Ok((field, (wire_type == WireType::LengthDelimited).then_some(content)))
}

/// Takes a key, which has one byte if the number of the field is below 16.
#[inline]
fn take_key(body: &mut &[u8]) -> Result<(u32, WireType), DecodeError> {
    match **body {
        [key @ 0x08..0x80, ref rest @ ..] => {
            *body = rest;
            Ok((u32::from(key >> 3), WireType::try_from(u64::from(key & 7))?))
        }
        _ => decode_key(body),
    }
}

/// Takes a length, which has one byte if it is below 128.
#[inline]
fn take_length(body: &mut &[u8]) -> Result<u64, DecodeError> {
    match **body {
        [length @ ..0x80, ref rest @ ..] => {
            *body = rest;
            Ok(length.into())
        }
        _ => decode_varint(body),
    }
}

fn malformed(why: &'static str) -> DecodeError {
    #[expect(deprecated, reason = "prost has no other public constructor")]
    DecodeError::new(why)
}

impl Node {
    fn is_record(self) -> bool {
        matches!(self, Self::LogRecord | Self::Span | Self::DataPoint)
    }

    /// Returns what the decoded message takes, without its members.
    fn size(self) -> usize {
        match self {
            Self::LogRecord | Self::Span => 1_024,
            Self::SpanEvent | Self::SpanLink | Self::Entity => 256,
            Self::Attribute => size_of::<KeyValue>() * IN_LIST + ALLOCATION,
            Self::Value => size_of::<AnyValue>() * IN_LIST + ALLOCATION,
            Self::Text => size_of::<String>() * IN_LIST + ALLOCATION,
            Self::Metric | Self::MetricData | Self::DataPoint => 0,
            _ => 256,
        }
    }

    /// Returns what a field of the message is, if it can be there more than once or has such fields below it.
    fn member(self, field: u32) -> Option<Self> {
        Some(match (self, field) {
            (Self::Logs, 1) => Self::ResourceLogs,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::ScopeLogs, 2) => Self::LogRecord,
            (Self::LogRecord, 5) => Self::Value,
            (Self::LogRecord, 6) => Self::Attribute,
            (Self::Traces, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 9) => Self::Attribute,
            (Self::Span, 11) => Self::SpanEvent,
            (Self::Span, 13) => Self::SpanLink,
            (Self::SpanEvent, 3) | (Self::SpanLink, 4) => Self::Attribute,
            (Self::Metrics, 1) => Self::ResourceMetrics,
            (Self::ResourceMetrics, 2) => Self::ScopeMetrics,
            (Self::ScopeMetrics, 2) => Self::Metric,
            (Self::Metric, 5 | 7 | 9 | 10 | 11) => Self::MetricData,
            (Self::MetricData, 1) => Self::DataPoint,
            (Self::ResourceLogs | Self::ResourceSpans, 1) => Self::Resource,
            (Self::ScopeLogs | Self::ScopeSpans, 1) => Self::Scope,
            (Self::Resource, 1) | (Self::Scope, 3) => Self::Attribute,
            (Self::Resource, 3) => Self::Entity,
            (Self::Entity, 3 | 4) => Self::Text,
            (Self::Attribute, 2) => Self::Value,
            (Self::Value, 5) => Self::Values,
            (Self::Value, 6) => Self::Attributes,
            (Self::Values, 1) => Self::Value,
            (Self::Attributes, 1) => Self::Attribute,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::EntityRef;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;

    /// A field of this number that contains `inner`.
    fn field(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut field);
        field.extend(inner);
        field
    }

    #[test]
    fn records_are_counted_and_weighed() {
        let records = field(2, &[]).repeat(1_000);
        let body = field(1, &field(2, &records));
        for signal in [Signal::Logs, Signal::Traces] {
            let survey = Survey::of_protobuf(signal, &body).unwrap();
            assert_eq!(survey.records, 1_000);
            assert!(survey.bytes > 1_000_000, "{survey:?}");
        }
        let points = field(7, &field(1, &[]).repeat(7));
        let metrics = field(1, &field(2, &field(2, &points)));
        let survey = Survey::of_protobuf(Signal::Metrics, &metrics).unwrap();
        assert_eq!((survey.records, survey.bytes), (7, metrics.len() + 512));
    }

    #[test]
    fn the_names_in_an_entity_are_texts() {
        let entity = EntityRef {
            r#type: "service".to_owned(),
            id_keys: vec!["service.name".to_owned(), "\u{7}".to_owned()],
            ..EntityRef::default()
        };
        let resource = Resource { entity_refs: vec![entity], ..Resource::default() };
        let body = field(1, &field(1, &resource.encode_to_vec()));
        assert!(Survey::of_protobuf(Signal::Logs, &body).is_ok());
    }

    #[test]
    fn malformed_bodies_are_errors() {
        let mut deep = Vec::new();
        for _ in 0..60 {
            // A list in a value in a list.
            deep = field(5, &field(1, &deep));
        }
        let deep = field(1, &field(2, &field(2, &field(5, &deep))));
        let cases: [&[u8]; 6] =
            [&[0x0A], &[0x0A, 5], &[0x07], &[0x00], &[0x09, 1, 2], deep.as_slice()];
        for body in cases {
            assert!(Survey::of_protobuf(Signal::Logs, body).is_err(), "{body:?}");
        }
        assert!(Survey::of_protobuf(Signal::Logs, &[]).is_ok());
    }
}
