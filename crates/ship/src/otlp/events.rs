//! Events as OTLP spans and log records, in protobuf.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use llm_audit_log::Line;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use prost::encoding::{WireType, double, encode_key, encode_varint, encoded_len_varint, int64};
use prost::{DecodeError, Message};

use super::OtlpSettings;
use super::client::{Answer, Error, shown};
use super::connection::Connection;
use super::name::collectors_name;
use crate::mapping::{self, Attribute, AttributeValue, Mapper, Record, resource_of};
use crate::shipper::{BatchLimits, Destination, LineSource, Origin, Rejected, SendError, Shipped};

/// The most that is read before it is sent.
const LIMITS: BatchLimits = BatchLimits { lines: 5_000, bytes: 2 << 20 };
/// The most bytes of records that one request has, unless it is one record. Collectors take 4 MiB and more.
const REQUEST_BYTES_MAX: usize = 3 << 20;
/// How many loggers' resources are kept encoded.
const RESOURCES_MAX: usize = 1_024;
/// The parts of a batch.
const SPANS: usize = 0;
const LOGS: usize = 1;
/// What gRPC calls.
const SPANS_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS_METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The fields of `ExportTraceServiceRequest` and `ExportLogsServiceRequest`, `ResourceSpans` and `ResourceLogs`,
/// `ScopeSpans` and `ScopeLogs`, which have the same numbers.
const RESOURCES: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPES: u32 = 2;
const SCOPE: u32 = 1;
const RECORDS: u32 = 2;
/// The fields with attributes.
const RESOURCE_ATTRIBUTES: u32 = 1;
const SPAN_ATTRIBUTES: u32 = 9;
const LOG_ATTRIBUTES: u32 = 6;
/// The fields of `KeyValue` and `AnyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING: u32 = 1;
const INT: u32 = 3;
const DOUBLE: u32 = 4;

/// A collector that takes spans and log records.
#[derive(Debug)]
pub struct OtlpEvents {
    name: String,
    /// One for each part that is sent.
    connections: [Option<Connection>; 2],
    mapper: Mapper,
    /// Attributes of every resource.
    resource: Vec<(String, String)>,
    /// The encoded resources of the loggers whose origin is known, by instance.
    resources: HashMap<String, Arc<[u8]>>,
    scope: Vec<u8>,
}

/// An encoded span or log record.
#[derive(Debug)]
pub struct EncodedRecord {
    /// The encoded resource of its logger.
    resource: Arc<[u8]>,
    bytes: Vec<u8>,
}

impl OtlpEvents {
    /// Makes a destination of the collectors that take log records and spans. They may be the same one. Events for which
    /// there is none are not sent. The resource is that of the first settings. It connects with the first batch.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificates cannot be read, if a header is not one, or if gRPC is asked for without the
    /// feature `otlp-grpc`.
    pub fn new(logs: Option<OtlpSettings>, spans: Option<OtlpSettings>) -> Result<Self, Error> {
        let endpoint = |of: &Option<OtlpSettings>| of.as_ref().map(|of| of.endpoint.clone());
        let name = collectors_name(endpoint(&logs).as_deref(), endpoint(&spans).as_deref());
        let connection = |of: &Option<OtlpSettings>, method| {
            of.as_ref().map(|settings| Connection::new(settings, method)).transpose()
        };
        let connections = [connection(&spans, SPANS_METHOD)?, connection(&logs, LOGS_METHOD)?];
        let scope = InstrumentationScope {
            name: "llm-audit".to_owned(),
            version: mapping::VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        Ok(Self {
            name,
            connections,
            mapper: Mapper::default(),
            resource: logs.or(spans).map(|settings| settings.resource).unwrap_or_default(),
            resources: HashMap::new(),
            scope: scope.encode_to_vec(),
        })
    }

    /// Returns the encoded resource of a logger.
    fn resource(&mut self, instance: &str, origin: Option<&Origin>) -> Arc<[u8]> {
        if let Some(known) = self.resources.get(instance) {
            return Arc::clone(known);
        }
        if self.resources.len() == RESOURCES_MAX {
            self.resources.clear();
        }
        let attributes = resource_of(instance, origin, &self.resource);
        let resource = with_attributes(&Resource::default(), RESOURCE_ATTRIBUTES, &attributes);
        let resource: Arc<[u8]> = resource.into();
        // Its `audit.start` may come later.
        if origin.is_some() {
            self.resources.insert(instance.to_owned(), Arc::clone(&resource));
        }
        resource
    }

    fn request(&self, items: &[Shipped<EncodedRecord>]) -> Vec<u8> {
        let mut groups: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
        for Shipped { item, .. } in items {
            match groups.iter_mut().find(|(resource, _)| **resource == *item.resource) {
                Some((_, records)) => records.push(&item.bytes),
                None => groups.push((&item.resource, vec![&item.bytes])),
            }
        }
        let mut request = Vec::new();
        for (resource, records) in groups {
            encode_group(resource, &self.scope, &records, &mut request);
        }
        request
    }
}

impl Destination for OtlpEvents {
    type Item = EncodedRecord;

    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn recall(&mut self, line: &Line<'_>, origin: Option<&Origin>) {
        if !line.is_own() {
            self.mapper.map(line, origin.and_then(|origin| origin.rates.as_ref()));
        }
    }

    fn item(&mut self, line: &Line<'_>, source: &LineSource<'_>) -> Option<(usize, EncodedRecord)> {
        if line.is_own() {
            return None;
        }
        let rates = source.origin.and_then(|origin| origin.rates.as_ref());
        let (part, bytes) = match self.mapper.map(line, rates) {
            Record::Span(span) if self.connections[SPANS].is_some() => (SPANS, encoded_span(&span)),
            Record::Log(log) if self.connections[LOGS].is_some() => {
                (LOGS, encoded_log_record(&log))
            }
            _ => return None,
        };
        let resource = self.resource(line.instance().unwrap_or_default(), source.origin);
        Some((part, EncodedRecord { resource, bytes }))
    }

    fn arrange(&self, items: &mut [Shipped<EncodedRecord>]) -> Vec<Range<usize>> {
        let (mut requests, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (at, of) in items.iter().enumerate() {
            bytes += of.item.bytes.len();
            if bytes > REQUEST_BYTES_MAX && at > start {
                requests.push(start..at);
                (start, bytes) = (at, of.item.bytes.len());
            }
        }
        requests.push(start..items.len());
        requests
    }

    fn send(
        &mut self,
        part: usize,
        items: &[Shipped<EncodedRecord>],
    ) -> Result<Rejected, SendError> {
        let request = self.request(items);
        let connection = self.connections[part].as_mut();
        let answer = connection.expect("only parts that are sent have items").send(request)?;
        // A page of something else, such as of a proxy.
        let (count, why) = rejected_of(part, &answer).ok_or_else(|| {
            let content_type = answer.content_type.as_deref().unwrap_or("no content type");
            let why = format!("answered 200 with {content_type}, not as a collector");
            SendError::Later { why, after: None }
        })?;
        let count = u64::try_from(count).unwrap_or(0).min(items.len() as u64);
        let why = match &*shown(&why) {
            "" => format!("the collector refused {count} of {} without a reason", items.len()),
            why => why.to_owned(),
        };
        Ok(Rejected { count, places: None, why })
    }
}

/// Returns how many records a collector did not take, and why. `None` if the answer is not one of a collector.
fn rejected_of(part: usize, answer: &Answer) -> Option<(i64, String)> {
    if answer.body.is_empty() || answer.is_cut() {
        return Some((0, String::new()));
    }
    if answer.is_json() {
        return rejected_in_json(part, &answer.body);
    }
    match part {
        SPANS => rejected_spans(&answer.body).ok(),
        _ => rejected_logs(&answer.body).ok(),
    }
}

/// Some collectors answer in JSON, whatever they are asked in. Its numbers may be texts.
fn rejected_in_json(part: usize, answer: &[u8]) -> Option<(i64, String)> {
    let answer: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(answer).ok()?;
    let Some(partial) = answer.get("partialSuccess") else { return Some((0, String::new())) };
    let count = &partial[if part == SPANS { "rejectedSpans" } else { "rejectedLogRecords" }];
    let count = count.as_i64().or_else(|| count.as_str()?.parse().ok());
    Some((count.unwrap_or(0), partial["errorMessage"].as_str().unwrap_or_default().to_owned()))
}

fn rejected_spans(answer: &[u8]) -> Result<(i64, String), DecodeError> {
    let part = ExportTraceServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok((part.rejected_spans, part.error_message))
}

fn rejected_logs(answer: &[u8]) -> Result<(i64, String), DecodeError> {
    let part = ExportLogsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok((part.rejected_log_records, part.error_message))
}

/// Adds a `ResourceSpans` or `ResourceLogs` to a request.
fn encode_group(resource: &[u8], scope: &[u8], records: &[&[u8]], request: &mut Vec<u8>) {
    let scope_bytes = field_bytes(scope.len())
        + records.iter().map(|record| field_bytes(record.len())).sum::<usize>();
    let group_bytes = field_bytes(resource.len()) + field_bytes(scope_bytes);
    request.reserve(field_bytes(group_bytes));
    encode_length(RESOURCES, group_bytes, request);
    encode_field(RESOURCE, resource, request);
    encode_length(SCOPES, scope_bytes, request);
    encode_field(SCOPE, scope, request);
    records.iter().for_each(|record| encode_field(RECORDS, record, request));
}

/// Returns how many bytes a field of this length takes. All fields here have keys of one byte.
fn field_bytes(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn encode_field(field: u32, bytes: &[u8], to: &mut Vec<u8>) {
    encode_length(field, bytes.len(), to);
    to.extend_from_slice(bytes);
}

fn encode_length(field: u32, length: usize, to: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, to);
    encode_varint(length as u64, to);
}

fn encoded_span(span: &mapping::Span<'_>) -> Vec<u8> {
    let status = span
        .error
        .map(|message| Status { message: message.to_owned(), code: StatusCode::Error.into() });
    let head = Span {
        trace_id: span.trace_id.to_be_bytes().to_vec(),
        span_id: span.span_id.to_be_bytes().to_vec(),
        parent_span_id: span.parent_span_id.map_or(Vec::new(), |id| id.to_be_bytes().to_vec()),
        trace_state: span.trace_state.clone(),
        name: span.name.clone().into_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        status,
        ..Span::default()
    };
    with_attributes(&head, SPAN_ATTRIBUTES, &span.attributes)
}

fn encoded_log_record(log: &mapping::LogRecord<'_>) -> Vec<u8> {
    let (trace_id, span_id) = log.ids.map_or((Vec::new(), Vec::new()), |(trace, span)| {
        (trace.to_be_bytes().to_vec(), span.to_be_bytes().to_vec())
    });
    let head = LogRecord {
        time_unix_nano: log.time.unwrap_or(0),
        observed_time_unix_nano: log.time.unwrap_or(0),
        severity_number: log.severity as i32,
        body: Some(AnyValue { value: Some(Value::StringValue(log.body.to_owned())) }),
        trace_id,
        span_id,
        event_name: log.event_name.to_owned(),
        ..LogRecord::default()
    };
    with_attributes(&head, LOG_ATTRIBUTES, &log.attributes)
}

/// Encodes a message that has no attributes yet, and attributes after it as its field of this number. A payload may be
/// long, so it is not copied into a message first.
fn with_attributes(head: &impl Message, field: u32, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let sizes = attributes.iter().map(|(key, value)| key_value_bytes(key, value));
    let bytes = head.encoded_len() + sizes.map(field_bytes).sum::<usize>();
    let mut encoded = Vec::with_capacity(bytes);
    head.encode_raw(&mut encoded);
    for (key, value) in attributes {
        encode_length(field, key_value_bytes(key, value), &mut encoded);
        encode_field(KEY, key.as_bytes(), &mut encoded);
        encode_length(VALUE, value_bytes(value), &mut encoded);
        match value {
            AttributeValue::Text(text) => encode_field(STRING, text.as_bytes(), &mut encoded),
            AttributeValue::Int(int) => int64::encode(INT, int, &mut encoded),
            AttributeValue::Double(double) => double::encode(DOUBLE, double, &mut encoded),
        }
    }
    encoded
}

/// The length of a `KeyValue`.
fn key_value_bytes(key: &str, value: &AttributeValue<'_>) -> usize {
    field_bytes(key.len()) + field_bytes(value_bytes(value))
}

/// The length of an `AnyValue`.
fn value_bytes(value: &AttributeValue<'_>) -> usize {
    match value {
        AttributeValue::Text(text) => field_bytes(text.len()),
        AttributeValue::Int(int) => int64::encoded_len(INT, int),
        AttributeValue::Double(double) => double::encoded_len(DOUBLE, double),
    }
}
