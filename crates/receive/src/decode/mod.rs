//! Bodies of requests as messages of OTLP, within limits.

mod json;
mod survey;

use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
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

/// Returns the message in a body, without the records that have too many attributes.
///
/// What the message will take in memory is estimated first, because a body of a megabyte can hold a million empty
/// messages.
pub(crate) fn decode_body(
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<(Decoded, Accepted), Refusal> {
    let mut decoded = match encoding {
        Encoding::Protobuf => decode_protobuf(signal, body)?,
        Encoding::Json => json::decode_json(signal, body)?,
    };
    let cut = drop_overlong(&mut decoded);
    Ok((decoded, cut))
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
