use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Config, Credentials, Region};
use llm_audit_log::parse;
use serde_json::{Value, json};

use super::*;
use crate::shipper::{Progress, Shipper};

/// A stand-in for the service that gives these answers, and then takes everything. It checks what the service checks.
struct Service {
    destination: CloudWatchLogs,
    /// The operations, and the messages of each request of `PutLogEvents`.
    requests: mpsc::Receiver<(String, Vec<String>)>,
    /// How often a client was made.
    clients: Arc<AtomicUsize>,
}

fn service(answers: impl IntoIterator<Item = (u16, Value)>) -> Service {
    let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (operation, request) = receive(stream.as_ref().unwrap());
            let messages = messages_of(&request);
            let (status, body) =
                answers.lock().unwrap().pop_front().unwrap_or_else(|| (200, json!({})));
            if sender.send((operation, messages)).is_err() {
                return;
            }
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: ");
            write!(stream.unwrap(), "{head}{}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    let clients = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&clients);
    let connect = move |_: &Runtime| {
        made.fetch_add(1, Ordering::Relaxed);
        client_of(&url)
    };
    let destination =
        CloudWatchLogs::connected_by(Box::new(connect), "g".into(), "s".into()).unwrap();
    Service { destination, requests, clients }
}

fn client_of(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn receive(stream: &TcpStream) -> (String, Value) {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0);
    }
    let head = head.to_ascii_lowercase();
    let header = |name: &str| head.split(name).nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; header("content-length: ").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let operation = header("x-amz-target: logs_20140328.").to_owned();
    (operation, serde_json::from_slice(&body).unwrap())
}

/// Returns the messages of a request, which is within the limits of the service.
fn messages_of(request: &Value) -> Vec<String> {
    let Some(events) = request["logEvents"].as_array() else { return Vec::new() };
    let times: Vec<_> = events.iter().map(|event| event["timestamp"].as_i64().unwrap()).collect();
    let messages: Vec<_> =
        events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    let bytes: usize = messages.iter().map(|message| message.len() + 26).sum();
    assert!(times.is_sorted() && times[times.len() - 1] - times[0] < 24 * 60 * 60 * 1_000);
    assert!(bytes <= 1_048_576 && events.len() <= 10_000, "{bytes} bytes, {}", events.len());
    messages
}

fn line(seq: usize, time: &str, rest: &str) -> String {
    format!(r#"{{"seq":{seq},"timestamp":"{time}","event_type":"tool.call"{rest}}}"#)
}

fn folder(lines: &[String]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-11-29.jsonl"), lines.join("\n") + "\n").unwrap();
    dir
}

/// Ships a log. Returns why it waited.
fn ship(dir: &Path, destination: CloudWatchLogs, lines: usize) -> (u64, Vec<String>) {
    let mut shipper = Shipper::open(dir, destination).unwrap().unwrap();
    let mut waits = Vec::new();
    let wait = |_: Duration, why: &str| {
        waits.push(why.to_owned());
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(lines));
    (shipper.refused(), waits)
}

fn failure(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"__type": code, "message": "m"}))
}

#[test]
fn events_go_in_the_order_of_time_in_few_requests() {
    const FIRST: &str = "2026-11-29T23:00:00Z";
    const LATER: &str = "2026-12-02T23:00:00Z";
    // Two loggers, whose clocks are days apart.
    let lines: Vec<_> =
        (0..1_000).map(|n| line(n, if n % 2 == 0 { LATER } else { FIRST }, "")).collect();
    let (dir, service) = (folder(&lines), service([]));
    assert_eq!(ship(dir.path(), service.destination, 1_000), (0, Vec::new()));
    let requests: Vec<_> = service.requests.try_iter().map(|(_, messages)| messages).collect();
    let of = |at: usize| lines.iter().skip(at).step_by(2).cloned().collect::<Vec<_>>();
    assert!(requests == [of(1), of(0)], "{} requests", requests.len());
}

#[test]
fn group_and_stream_are_created_if_they_are_missing() {
    let exists = failure(400, "ResourceAlreadyExistsException");
    let missing = failure(400, "ResourceNotFoundException");
    let denied = failure(400, "AccessDeniedException");
    let ok = (200, json!({}));
    for [group, stream] in [[&ok, &ok], [&exists, &ok], [&ok, &exists], [&denied, &ok]] {
        let dir = folder(&[line(1, "2026-11-29T23:00:00Z", "")]);
        let service = service([missing.clone(), group.clone(), stream.clone()]);
        assert_eq!(ship(dir.path(), service.destination, 1), (0, Vec::new()));
        let operations: Vec<_> = service.requests.try_iter().map(|(of, _)| of).collect();
        let expected = ["putlogevents", "createloggroup", "createlogstream", "putlogevents"];
        assert_eq!(operations, expected);
    }
}

#[test]
fn whatever_may_pass_is_tried_again_with_what_the_machine_has_then() {
    // A client may hold credentials that have expired, but not the reason of the others.
    for (status, code, clients) in [
        (400, "ThrottlingException", 1),
        (503, "ServiceUnavailableException", 1),
        (500, "InternalFailure", 1),
        (400, "ExpiredTokenException", 2),
        (400, "UnrecognizedClientException", 2),
        (400, "AccessDeniedException", 2),
    ] {
        let dir = folder(&[line(1, "2026-11-29T23:00:00Z", "")]);
        let service = service([failure(status, code)]);
        let (refused, waits) = ship(dir.path(), service.destination, 1);
        assert_eq!((refused, waits), (0, vec![format!("CloudWatch answered {code}")]));
        assert_eq!(service.clients.load(Ordering::Relaxed), clients, "{code}");
        assert_eq!(service.requests.try_iter().count(), 2);
    }
}

/// No region, no credentials, or nobody at the address: the machine may get them later.
#[test]
fn a_client_that_cannot_ask_is_made_again() {
    let made = Arc::new(AtomicUsize::new(0));
    let service = service([]);
    let (good, counter) = (service.destination.connect, Arc::clone(&made));
    let connect = move |runtime: &Runtime| match counter.fetch_add(1, Ordering::Relaxed) {
        0 => {
            Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build())
        }
        1 => client_of("http://127.0.0.1:1"),
        _ => good(runtime),
    };
    let destination = CloudWatchLogs::connected_by(Box::new(connect), "g".into(), "s".into());
    let dir = folder(&[line(1, "2026-11-29T23:00:00Z", "")]);
    let (refused, waits) = ship(dir.path(), destination.unwrap(), 1);
    assert_eq!((refused, waits.len(), made.load(Ordering::Relaxed)), (0, 2, 3), "{waits:?}");
    assert!(waits[0].contains("no identity resolver"), "{waits:?}");
    assert!(waits[1].contains("Connection refused"), "{waits:?}");
}

#[test]
fn what_the_service_does_not_store_is_counted_and_kept() {
    let lines = [27, 28, 29].map(|day| line(day, &format!("2026-11-{day}T23:59:59Z"), ""));
    let dir = folder(&lines);
    let old = json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}});
    let invalid = failure(400, "InvalidParameterException");
    // The second line alone shows nothing. The third is taken, so it is the second itself.
    let service = service([(200, old), invalid.clone(), (200, json!({})), invalid]);
    let (refused, waits) = ship(dir.path(), service.destination, 3);
    assert_eq!((refused, waits.len()), (2, 1));
    let files = fs::read_dir(dir.path().join(".ship/refused")).unwrap();
    let kept: Vec<_> =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(kept, [lines[..2].join("\n") + "\n"]);
    assert_eq!(service.requests.try_iter().count(), 4);
}

#[test]
fn events_that_are_there_already_are_acknowledged() {
    let dir = folder(&[line(1, "2026-11-29T23:00:00Z", "")]);
    let service = service([failure(400, "DataAlreadyAcceptedException")]);
    assert_eq!(ship(dir.path(), service.destination, 1), (0, Vec::new()));
    assert_eq!(service.requests.try_iter().count(), 1);
}

/// What a provider of credentials has answered may contain a token.
#[test]
fn causes_end_at_credentials() {
    let error = CredentialsError::provider_error("token 12345");
    let text = text(&SdkError::<PutLogEventsError>::construction_failure(error));
    assert!(text.contains("loading credentials") && !text.contains("12345"), "{text}");
}

#[test]
fn a_line_that_is_too_long_keeps_its_fields_and_says_where_it_is() {
    let long = "x".repeat(2 << 20);
    let text = format!(
        r#"{{"event_version":"3.0","seq":7,"event_type":"tool.call","agent":"a","action":"b","status":"ok",
        "timestamp":"2026-11-29T23:00:40Z","data":{{"x":"{long}"}}}}"#
    );
    let mut bytes = text.clone().into_bytes();
    let line = parse(&mut bytes).unwrap();
    let file = "audit-2026-11-29.jsonl";
    let source = LineSource { bytes: text.as_bytes(), file, offset: 5, origin: None };
    let cut: Value = serde_json::from_str(&message_of(&line, &source)).unwrap();
    assert_eq!((&cut["seq"], &cut["data"]), (&7.into(), &Value::Null));
    let place = serde_json::json!({"file": file, "offset": 5, "bytes": text.len()});
    assert_eq!(cut["cut"], place);
    let members = (0..4_000).map(|n| format!(r#","m{n}":"{}""#, "x".repeat(5_000)));
    let many =
        text.replace(r#","seq":7"#, &(r#","seq":7"#.to_owned() + &members.collect::<String>()));
    let mut bytes = many.clone().into_bytes();
    let line = parse(&mut bytes).unwrap();
    let source = LineSource { bytes: many.as_bytes(), ..source };
    assert!(message_of(&line, &source).len() <= cut::MESSAGE_BYTES_MAX);
    let short = LineSource { bytes: b"{}", ..source };
    assert_eq!(message_of(&line, &short), "{}");
}

#[test]
fn the_events_that_were_not_stored_are_named() {
    let info = |old: Option<i32>, expired: Option<i32>, new: Option<i32>| {
        let info = RejectedLogEventsInfo::builder().set_too_old_log_event_end_index(old);
        let info = info.set_expired_log_event_end_index(expired);
        info.set_too_new_log_event_start_index(new).build()
    };
    for (info, expected) in [
        (info(None, None, None), vec![]),
        (info(Some(1), None, None), vec![0]),
        (info(Some(1), Some(2), None), vec![0, 1]),
        (info(None, None, Some(3)), vec![3]),
        (info(Some(1), None, Some(3)), vec![0, 3]),
        (info(Some(9), None, Some(-1)), vec![0, 1, 2, 3]),
    ] {
        let rejected = rejected_of(&info, 4);
        assert_eq!(rejected.places.as_ref(), Some(&expected), "{info:?}");
        assert_eq!(rejected.count, expected.len() as u64);
    }
}

#[test]
fn other_streams_have_other_positions() {
    let name = |group: &str, stream: &str| CloudWatchLogs::new(group, stream).unwrap().name;
    // The environment of the test may add a region.
    assert!(name("/agents", "host.1").starts_with("cloudwatch_=2Fagents_host.1"));
    assert_ne!(name("a_b", "c"), name("a", "b_c"));
    assert!(CloudWatchLogs::new("a".repeat(512), "s").is_ok());
    for (group, stream) in [("a b", "s"), ("", "s"), ("g", "a:b"), ("g", "*"), ("g", "")] {
        let error = CloudWatchLogs::new(group, stream).unwrap_err().to_string();
        assert!(error.contains("accepted: "), "{error}");
    }
}
