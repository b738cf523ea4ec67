//! Bodies of requests as messages of OTLP, within limits.

mod json;
mod survey;

use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::answer::{Accepted, Encoding, Refusal, Signal};
use crate::settings::{ATTRIBUTES_MAX, DECODED_BYTES_MAX, RECORDS_MAX};
use survey::Survey;

/// What a request asks to record.
pub(crate) enum Decoded {
    Logs(ExportLogsServiceRequest),
    Traces(ExportTraceServiceRequest),
    /// This number of data points, which are not recorded.
    Metrics(u64),
}

impl Decoded {
    /// Whether an equal request is the same one, sent again. Records without times and ids may be equal by chance.
    pub(crate) fn tells_records_apart(&self) -> bool {
        match self {
            Self::Logs(request) => {
                let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
                let mut logs = scopes.flat_map(|scope| &scope.log_records);
                logs.any(|log| log.time_unix_nano | log.observed_time_unix_nano != 0)
            }
            Self::Traces(request) => {
                let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
                let mut spans = scopes.flat_map(|scope| &scope.spans);
                spans.any(|span| span.end_time_unix_nano != 0 || !span.span_id.is_empty())
            }
            Self::Metrics(_) => true,
        }
    }
}

/// Returns the message in a body, without the records that have too many attributes or cannot be read.
///
/// What the message will take in memory is estimated first, because a body of a megabyte can hold a million empty
/// messages.
pub(crate) fn decode_body(
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<(Decoded, Accepted), Refusal> {
    let (mut decoded, mut left_out) = match encoding {
        Encoding::Protobuf => (decode_protobuf(signal, body)?, Accepted::default()),
        Encoding::Json => json::decode_json(signal, body)?,
    };
    let Accepted { rejected, why } = drop_overlong(&mut decoded);
    left_out.add(rejected, why);
    check_size(0, repeated_bytes(&decoded))?;
    Ok((decoded, left_out))
}

fn decode_protobuf(signal: Signal, body: &[u8]) -> Result<Decoded, Refusal> {
    let malformed = |error: prost::DecodeError| Refusal::malformed(format!("not OTLP: {error}"));
    let survey = Survey::of_protobuf(signal, body).map_err(malformed)?;
    check_size(survey.records, survey.bytes)?;
    Ok(match signal {
        Signal::Logs => Decoded::Logs(Message::decode(body).map_err(malformed)?),
        Signal::Traces => Decoded::Traces(Message::decode(body).map_err(malformed)?),
        Signal::Metrics => Decoded::Metrics(survey.records),
    })
}

/// Refuses a request by what it would be when it is decoded.
fn check_size(records: u64, bytes: usize) -> Result<(), Refusal> {
    if records > RECORDS_MAX as u64 {
        return Err(Refusal::too_large(format!(
            "{records} records in one request; the limit is {RECORDS_MAX}"
        )));
    }
    if bytes > DECODED_BYTES_MAX {
        let limit = DECODED_BYTES_MAX >> 20;
        return Err(Refusal::too_large(format!("decoded, it takes more than {limit} MiB")));
    }
    Ok(())
}

/// Returns how many bytes the resources and scopes have, each as often as a record has it. Every event repeats them, so
/// a small request with a large resource and many records would become a large log.
fn repeated_bytes(decoded: &Decoded) -> usize {
    let mut bytes = 0_usize;
    let mut add = |resource: &Option<Resource>, scope: &Option<InstrumentationScope>, records| {
        let resource = resource.as_ref().map_or(0, Resource::encoded_len);
        let scope = scope.as_ref().map_or(0, InstrumentationScope::encoded_len);
        bytes = bytes.saturating_add((resource + scope).saturating_mul(records));
    };
    match decoded {
        Decoded::Logs(request) => request.resource_logs.iter().for_each(|of| {
            of.scope_logs.iter().for_each(|s| add(&of.resource, &s.scope, s.log_records.len()));
        }),
        Decoded::Traces(request) => request.resource_spans.iter().for_each(|of| {
            of.scope_spans.iter().for_each(|s| add(&of.resource, &s.scope, s.spans.len()));
        }),
        Decoded::Metrics(_) => {}
    }
    bytes
}

/// Removes the records with too many attributes, and says so.
fn drop_overlong(decoded: &mut Decoded) -> Accepted {
    let mut rejected = 0;
    let mut fits = |attributes: usize| {
        rejected += u64::from(attributes > ATTRIBUTES_MAX);
        attributes <= ATTRIBUTES_MAX
    };
    match decoded {
        Decoded::Logs(request) => {
            let scopes = request.resource_logs.iter_mut().flat_map(|logs| &mut logs.scope_logs);
            scopes.for_each(|s| s.log_records.retain(|record| fits(record.attributes.len())));
        }
        Decoded::Traces(request) => {
            let scopes = request.resource_spans.iter_mut().flat_map(|spans| &mut spans.scope_spans);
            scopes.for_each(|s| s.spans.retain(|span| fits(span.attributes.len())));
        }
        Decoded::Metrics(_) => {}
    }
    let why = || format!("a record has more than {ATTRIBUTES_MAX} attributes");
    Accepted { rejected, why: (rejected > 0).then(why) }
}

/// Unpacks a body in gzip. Stops at the limit, however much the body would become.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    use std::io::Read;

    let mut body = Vec::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(packed).take(limit as u64 + 1);
    unpacked
        .read_to_end(&mut body)
        .map_err(|error| Refusal::malformed(format!("the body is not gzip: {error}")))?;
    if body.len() > limit {
        return Err(over_limit(limit));
    }
    Ok(body)
}

/// Returns the refusal of a body that is larger than the limit.
pub(crate) fn over_limit(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body has more than {limit} bytes, packed or unpacked"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_and_a_scope_are_weighed_once_for_each_record() {
        let large =
            json!({"attributes": [{"key": "a", "value": {"stringValue": "a".repeat(100_000)}}]});
        let none = json!({});
        for (resource, scope, count, fits) in [
            (&large, &none, 100, true),
            (&large, &none, 2_000, false),
            (&none, &large, 2_000, false),
        ] {
            let records = vec![json!({}); count];
            let logs = json!({"resourceLogs": [
                {"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": records}]}
            ]});
            let spans = json!({"resourceSpans": [
                {"resource": resource, "scopeSpans": [{"scope": scope, "spans": records}]}
            ]});
            for (signal, body) in [(Signal::Logs, logs), (Signal::Traces, spans)] {
                let decoded = decode_body(signal, Encoding::Json, body.to_string().as_bytes());
                let status = decoded.map_err(|refusal| refusal.status).err();
                let expected = (!fits).then_some(StatusCode::PAYLOAD_TOO_LARGE);
                assert_eq!(status, expected, "{signal:?} {count}");
            }
        }
    }
}
