//! Requests to a collector that speaks gRPC.

use std::collections::VecDeque;
use std::fs;
use std::io::Read as _;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use h2::server;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use ureq::http::{HeaderMap, Request, Response};

use super::super::{OtlpEvents, OtlpProtocol, OtlpSettings};
use crate::shipper::{Progress, Shipper};

/// A request as the collector got it: the method, its headers, and the unpacked message.
struct Received {
    method: String,
    headers: HeaderMap,
    message: Vec<u8>,
}

type Answer = Result<Vec<u8>, Status>;
type Answers = Arc<Mutex<VecDeque<Answer>>>;

/// Starts a collector that gives these answers, and then none.
fn collector(answers: Vec<Answer>) -> (OtlpSettings, mpsc::Receiver<Received>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let settings = OtlpSettings {
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        protocol: OtlpProtocol::Grpc,
        headers: vec![("api-key".to_owned(), "k".to_owned())],
        ..OtlpSettings::default()
    };
    let (sender, received) = mpsc::channel();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    thread::spawn(move || {
        runtime.block_on(async {
            // Spans and log records have a connection each.
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, answers) = (sender.clone(), answers.clone());
                tokio::spawn(async move {
                    let mut connection = server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond, sender.clone(), answers.clone()));
                    }
                });
            }
        })
    });
    (settings, received)
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: server::SendResponse<prost::bytes::Bytes>,
    sender: mpsc::Sender<Received>,
    answers: Answers,
) {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let mut message = Vec::new();
    assert_eq!(bytes[0], 1, "packed");
    GzDecoder::new(&bytes[5..]).read_to_end(&mut message).unwrap();
    let method = head.uri.path().to_owned();
    let _gone = sender.send(Received { method, headers: head.headers, message });
    let Some(answer) = answers.lock().unwrap().pop_front() else {
        std::future::pending::<()>().await;
        return;
    };
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    let status = match answer {
        Ok(message) => {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let message = [&[0][..], &length, &message].concat();
            stream.send_data(message.into(), false).unwrap();
            Status::ok("")
        }
        Err(status) => status,
    };
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    stream.send_trailers(trailers).unwrap();
}

/// Two spans and a log record.
fn folder() -> tempfile::TempDir {
    let line = |seq: u64, rest: &str| {
        format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"4c8e78a91890a010\",\"seq\":{seq},\
             \"trace_id\":\"0af7651916cd43dd84ffffffffffffff\",\"span_id\":\"{seq:016x}\",\
             \"timestamp\":\"2026-11-29T23:00:40Z\",\"event_type\":\"tool.result\",\"agent\":\"benefits\",\
             \"action\":\"plan.search\",\"status\":\"ok\"{rest}}}\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let took = ",\"latency_ms\":9";
    let text = line(1, took) + &line(2, took) + &line(3, "");
    fs::write(dir.path().join("audit-2026-11-29.jsonl"), text).unwrap();
    dir
}

/// Ships them. Returns how many were refused, and the pauses with their reasons.
fn ship(settings: &OtlpSettings) -> (u64, Vec<(Duration, String)>) {
    let dir = folder();
    let events = OtlpEvents::new(Some(settings.clone()), Some(settings.clone())).unwrap();
    let mut shipper = Shipper::open(dir.path(), events).unwrap().unwrap();
    let mut waits = Vec::new();
    let wait = |pause: Duration, why: &str| {
        waits.push((pause, why.to_owned()));
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(3));
    (shipper.refused(), waits)
}

#[test]
fn spans_and_log_records_are_calls_with_the_headers_of_the_settings() {
    let (settings, received) = collector(vec![Ok(Vec::new()), Ok(Vec::new())]);
    assert_eq!(ship(&settings), (0, Vec::new()));
    let requests: Vec<_> = received.try_iter().collect();
    let methods: Vec<_> = requests.iter().map(|request| &*request.method).collect();
    let method = |of: &str| format!("/opentelemetry.proto.collector.{of}/Export");
    assert_eq!(methods, [method("trace.v1.TraceService"), method("logs.v1.LogsService")]);
    let spans = ExportTraceServiceRequest::decode(&*requests[0].message).unwrap();
    assert_eq!(spans.resource_spans[0].scope_spans[0].spans[0].name, "execute_tool plan.search");
    let header = |name: &str| requests[0].headers[name].to_str().unwrap();
    assert_eq!((header("api-key"), header("grpc-timeout")), ("k", "10000000u"));
    assert!(header("user-agent").starts_with("llm-audit/"), "{}", header("user-agent"));
}

#[test]
fn what_may_pass_is_waited_for() {
    let ok = || Ok(Vec::new());
    let busy = ErrorDetails::with_retry_info(Some(Duration::from_secs(1_234)));
    let busy = Status::with_error_details(Code::ResourceExhausted, "busy", busy);
    for (status, why, least) in [
        (busy, "the collector answered ResourceExhausted: \"busy\"", 1_234),
        (Status::unavailable("x"), "the collector answered Unavailable: \"x\"", 0),
        (Status::unauthenticated("x"), "the collector answered Unauthenticated: \"x\"", 0),
        (Status::internal("x"), "the collector answered Internal: \"x\"", 0),
    ] {
        let (settings, received) = collector(vec![Err(status), ok(), ok()]);
        let (refused, waits) = ship(&settings);
        let [(pause, reason)] = &waits[..] else { panic!("{waits:?}") };
        assert_eq!((refused, &**reason, received.try_iter().count()), (0, why, 3));
        assert!(pause.as_secs() >= least, "{pause:?}");
    }
}

#[test]
fn what_is_refused_is_counted() {
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too long".to_owned() };
    let answer = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let invalid = || Err(Status::invalid_argument("bad"));
    // Both spans, the first, the second, and the log record.
    let answers = vec![invalid(), Ok(Vec::new()), invalid(), Ok(answer)];
    let (settings, received) = collector(answers);
    assert_eq!(ship(&settings), (2, Vec::new()));
    assert_eq!(received.try_iter().count(), 4);
}

/// A message that is too large for the collector is one of them.
#[test]
fn what_the_collector_fails_with_again_and_again_is_refused() {
    let fails = Status::resource_exhausted("larger than max");
    let mut answers: Vec<Answer> = vec![Err(fails); 10];
    answers.insert(8, Ok(Vec::new()));
    answers.push(Ok(Vec::new()));
    let (settings, _received) = collector(answers);
    let (refused, waits) = ship(&settings);
    assert_eq!((refused, waits.len()), (1, 8));
}

#[test]
fn a_collector_that_hangs_or_is_not_there_is_waited_for() {
    let timeout = Duration::from_millis(300);
    let (hangs, _received) = collector(Vec::new());
    let absent = OtlpSettings { endpoint: "http://127.0.0.1:1".to_owned(), ..hangs.clone() };
    for settings in [hangs, absent] {
        let dir = folder();
        let settings = OtlpSettings { timeout, ..settings };
        let events = OtlpEvents::new(Some(settings.clone()), Some(settings)).unwrap();
        let mut shipper = Shipper::open(dir.path(), events).unwrap().unwrap();
        let progress = shipper.ship(|_, _| false).unwrap();
        assert_eq!((progress, shipper.refused()), (Progress::Interrupted, 0));
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = OtlpSettings { protocol: OtlpProtocol::Grpc, ..OtlpSettings::default() };
    let https = "https://localhost:4317".to_owned();
    let missing = Some(dir.path().join("missing.pem"));
    for (settings, expected) in [
        (OtlpSettings { endpoint: "http://a b".to_owned(), ..good.clone() }, "is not a URL"),
        (OtlpSettings { headers: vec![("a b".into(), "c".into())], ..good.clone() }, "header"),
        (
            OtlpSettings { endpoint: https.clone(), certificate: missing.clone(), ..good.clone() },
            "missing.pem",
        ),
        (
            OtlpSettings { endpoint: https, client_key: missing, ..good },
            "both a certificate and a key",
        ),
    ] {
        let error =
            OtlpEvents::new(Some(settings.clone()), Some(settings)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
