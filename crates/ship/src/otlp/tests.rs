//! Tests of the metrics, and of what is sent to a collector on a socket.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use llm_audit_log::Status;
use llm_audit_log::schema::{MetricsRow, TokenHistogram, latency_bucket};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn row(event_type: &str, action: &str, status: Status, latencies_ms: &[u64]) -> MetricsRow {
    let mut row = MetricsRow::default();
    row.event_type = event_type.to_owned();
    row.agent = "benefits".to_owned();
    row.action = action.to_owned();
    row.status = status;
    row.events = latencies_ms.len() as u64;
    row.latency_ms_sum = latencies_ms.iter().sum::<u64>() as f64;
    for ms in latencies_ms {
        row.latencies.add_to_bucket(latency_bucket(ms * 1_000), 1);
    }
    row
}

fn model_row(latencies_ms: &[u64]) -> MetricsRow {
    let mut row = row("llm.invoke", "chat", Status::Ok, latencies_ms);
    row.model = "gpt-4o".to_owned();
    (row.tokens_input, row.tokens_output) = (300, 40);
    (row.usage.audio_input, row.usage.cache_read, row.usage.reasoning) = (100, 50, 7);
    row.cost_usd = "0.25".parse().unwrap();
    // A call with 300 tokens is over 256, and one with 40 is over 16.
    row.calls_by_input = calls_in_bucket(5);
    row.calls_by_output = calls_in_bucket(3);
    row.first_tokens.add_to_bucket(latency_bucket(15_000), 1);
    row.first_token_ms_sum = 15.0;
    row
}

fn calls_in_bucket(bucket: usize) -> TokenHistogram {
    TokenHistogram::from_counts(std::array::from_fn(|at| u64::from(at == bucket)))
}

fn of_rows(rows: &[MetricsRow]) -> Figures {
    Figures { rows: rows.to_vec(), ..Figures::default() }
}

/// The metrics of an export, by name.
fn metrics(rows: &[MetricsRow], conventions: Conventions) -> BTreeMap<String, Metric> {
    let settings = OtlpSettings { conventions, ..OtlpSettings::default() };
    let exporter = OtlpExporter::new(settings).unwrap();
    metrics_of(exporter.request(&of_rows(rows), SystemTime::now()))
}

fn metrics_of(request: ExportMetricsServiceRequest) -> BTreeMap<String, Metric> {
    let scopes = request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    metrics.map(|metric| (metric.name.clone(), metric)).collect()
}

fn text_of(attributes: &[KeyValue]) -> String {
    let pair = |pair: &KeyValue| match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(any_value::Value::StringValue(value)) => format!("{}={value}", pair.key),
        other => panic!("{}: {other:?}", pair.key),
    };
    attributes.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// The points of a sum: attributes and value.
fn sums(metric: &Metric) -> Vec<(String, f64)> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{}", metric.name) };
    assert!(sum.is_monotonic);
    let value = |value: &Option<Value>| match value.as_ref().unwrap() {
        Value::AsInt(count) => *count as f64,
        Value::AsDouble(amount) => *amount,
    };
    let points = sum.data_points.iter();
    points.map(|point| (text_of(&point.attributes), value(&point.value))).collect()
}

#[test]
fn histograms_have_the_advised_buckets() {
    let rows = [
        model_row(&[10, 11, 90_000]),
        row("llm.error", "embed.text", Status::Timeout, &[5]),
        row("tool.error", "search", Status::Error, &[20]),
        row("agent.invoke", "answer", Status::Ok, &[100, 101]),
        row("request.end", "answer", Status::Ok, &[30]),
    ];
    let metrics = metrics(&rows, Conventions::Stable);
    let mut found = Vec::new();
    for metric in metrics.values() {
        let Some(Data::Histogram(histogram)) = &metric.data else { continue };
        assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
        let unit = if metric.name.ends_with("token.usage") { "{token}" } else { "s" };
        assert_eq!(metric.unit, unit, "{}", metric.name);
        for point in &histogram.data_points {
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            let filled = point.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let filled: Vec<_> = filled.map(|(at, count)| format!("{at}:{count}")).collect();
            let bounds = (point.explicit_bounds[0], *point.explicit_bounds.last().unwrap());
            found.push(format!(
                "{} {} {bounds:?} {} sum {}",
                metric.name,
                text_of(&point.attributes),
                filled.join(" "),
                point.sum.unwrap(),
            ));
        }
    }
    let expected = [
        "gen_ai.client.operation.duration gen_ai.operation.name=chat gen_ai.request.model=gpt-4o \
         gen_ai.agent.name=benefits (0.01, 81.92) 0:1 1:1 14:1 sum 90.021",
        "gen_ai.client.operation.duration gen_ai.operation.name=embeddings \
         gen_ai.agent.name=benefits error.type=timeout (0.01, 81.92) 0:1 sum 0.005",
        "gen_ai.client.operation.time_to_first_chunk gen_ai.operation.name=chat \
         gen_ai.request.model=gpt-4o gen_ai.agent.name=benefits (0.01, 81.92) 1:1 sum 0.015",
        "gen_ai.client.token.usage gen_ai.operation.name=chat gen_ai.request.model=gpt-4o \
         gen_ai.agent.name=benefits gen_ai.token.type=input (1.0, 67108864.0) 5:1 sum 300",
        "gen_ai.client.token.usage gen_ai.operation.name=chat gen_ai.request.model=gpt-4o \
         gen_ai.agent.name=benefits gen_ai.token.type=output (1.0, 67108864.0) 3:1 sum 40",
        "gen_ai.execute_tool.duration gen_ai.operation.name=execute_tool gen_ai.tool.name=search \
         gen_ai.agent.name=benefits error.type=_OTHER (0.01, 81.92) 1:1 sum 0.02",
        "gen_ai.invoke_agent.duration gen_ai.operation.name=invoke_agent \
         gen_ai.agent.name=benefits (0.1, 409.6) 0:1 1:1 sum 0.201",
        "llm_audit.request_latency agent=benefits action=answer (0.01, 81.92) 2:1 sum 0.03",
    ];
    assert_eq!(found, expected);
}

#[test]
fn tokens_and_money_are_exact_sums() {
    let mut other = model_row(&[10]);
    other.action = "summary".to_owned();
    let mut repeated = row("request.end", "answer", Status::Ok, &[30]);
    (repeated.tokens_input, repeated.cost_usd) = (300, "1".parse().unwrap());
    let rows = [model_row(&[10, 11]), other, repeated];
    let of = |name: &str, conventions| {
        let metrics = metrics(&rows, conventions);
        metrics.get(name).map_or(Vec::new(), sums)
    };
    let point = |attributes: &str, value| (attributes.to_owned(), value);
    let labels = "agent=benefits model=gpt-4o";
    let expected = [
        point(&format!("{labels} direction=input"), 600.0),
        point(&format!("{labels} direction=output"), 80.0),
    ];
    assert_eq!(of("llm_audit.tokens", Conventions::Stable), expected);
    let kinds = ["audio_input", "cache_read", "reasoning"].into_iter().zip([200.0, 100.0, 14.0]);
    let kinds: Vec<_> =
        kinds.map(|(kind, tokens)| point(&format!("{labels} kind={kind}"), tokens)).collect();
    assert_eq!(of("llm_audit.token_kinds", Conventions::Stable), kinds);
    assert_eq!(of("llm_audit.cost_usd", Conventions::Stable), [point(labels, 0.5)]);
    let requests = [point("agent=benefits action=answer status=ok", 1.0)];
    assert_eq!(of("llm_audit.requests", Conventions::Stable), requests);

    let labels = "gen_ai.operation.name=chat gen_ai.request.model=gpt-4o gen_ai.agent.name=benefits \
                  gen_ai.token.modality";
    let usage =
        |kind: &str| of(&format!("gen_ai.client.inference.usage.{kind}"), Conventions::GenAi01);
    let unknown = |count| [point(&format!("{labels}=unknown"), count)];
    let input =
        [point(&format!("{labels}=audio"), 200.0), point(&format!("{labels}=unknown"), 400.0)];
    assert_eq!(usage("input_tokens"), input);
    assert_eq!(usage("output_tokens"), unknown(80.0));
    assert_eq!(usage("cache_read.input_tokens"), unknown(100.0));
    assert_eq!(usage("reasoning.output_tokens"), unknown(14.0));
    assert_eq!(usage("cache_write.input_tokens"), []);
    assert_eq!(of("llm_audit.tokens", Conventions::GenAi01), []);
}

#[test]
fn what_the_recorder_counts_and_measures_is_sent() {
    let figures = |counts: [u64; 2], ms: &[u64]| Figures {
        rows: Vec::new(),
        counters: vec![Counter {
            name: "counts",
            description: "",
            unit: "{count}",
            label: "name",
            counts: ["found", "missed"].map(str::to_owned).into_iter().zip(counts).collect(),
        }],
        gauges: vec![Counter {
            name: "ship_lag_bytes",
            description: "",
            unit: "By",
            label: "destination",
            counts: vec![("otlp".to_owned(), counts[1])],
        }],
        timings: vec![Timing {
            name: "write_latency",
            description: "",
            ms_sum: ms.iter().sum::<u64>() as f64,
            latencies: row("", "", Status::Ok, ms).latencies,
        }],
    };
    let settings = OtlpSettings { is_delta: true, ..OtlpSettings::default() };
    let mut exporter = OtlpExporter::new(settings).unwrap();
    let now = SystemTime::now();
    let first = metrics_of(exporter.request(&figures([2, 0], &[3]), now));
    assert_eq!(sums(&first["llm_audit.counts"]), [("name=found".to_owned(), 2.0)]);
    assert_eq!(gauge(&first["llm_audit.ship_lag_bytes"]), 0);
    exporter.sent = (figures([2, 0], &[3]), now);
    let second = metrics_of(exporter.request(&figures([2, 5], &[3, 70]), now));
    assert_eq!(sums(&second["llm_audit.counts"]), [("name=missed".to_owned(), 5.0)]);
    let Some(Data::Histogram(writes)) = &second["llm_audit.write_latency"].data else {
        panic!("no histogram")
    };
    let [point] = &writes.data_points[..] else { panic!("{writes:?}") };
    assert_eq!((point.count, point.sum, point.bucket_counts[6]), (1, Some(0.07), 1));
    exporter.sent = (figures([2, 5], &[3, 70]), now);
    let third = metrics_of(exporter.request(&figures([2, 5], &[3, 70]), now));
    assert_eq!(third.keys().collect::<Vec<_>>(), ["llm_audit.ship_lag_bytes"]);
    assert_eq!(gauge(&third["llm_audit.ship_lag_bytes"]), 5, "it is no difference");
}

fn gauge(metric: &Metric) -> i64 {
    let Some(Data::Gauge(gauge)) = &metric.data else { panic!("{metric:?}") };
    let [point] = &gauge.data_points[..] else { panic!("{gauge:?}") };
    assert_eq!(point.attributes[0].key, "destination");
    match point.value {
        Some(Value::AsInt(value)) => value,
        other => panic!("{other:?}"),
    }
}

/// A request as the collector got it.
pub(in crate::otlp) struct Received {
    pub(in crate::otlp) head: String,
    body: Vec<u8>,
}

impl Received {
    pub(in crate::otlp) fn decode<M: Message + Default>(&self) -> M {
        let mut unpacked = Vec::new();
        GzDecoder::new(self.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        M::decode(unpacked.as_slice()).unwrap()
    }

    fn metrics(&self) -> BTreeMap<String, Metric> {
        metrics_of(self.decode())
    }

    fn calls(&self) -> f64 {
        self.metrics().get("llm_audit.llm_calls").map_or(0.0, |calls| sums(calls)[0].1)
    }
}

/// Starts a collector that gives these answers, one a request, and then ends. Without a head it hangs up.
pub(in crate::otlp) fn collector(
    answers: Vec<(String, Vec<u8>)>,
) -> (OtlpSettings, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for (head, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            sender.send(receive(&stream)).unwrap();
            if head.is_empty() {
                continue;
            }
            let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n");
            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
            (&stream).write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    (OtlpSettings { endpoint, ..OtlpSettings::default() }, receiver)
}

fn receive(stream: &TcpStream) -> Received {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0);
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    Received { head, body }
}

pub(in crate::otlp) fn answers(heads: &[&str]) -> Vec<(String, Vec<u8>)> {
    heads.iter().map(|head| ((*head).to_owned(), Vec::new())).collect()
}

/// Exports once. Returns the pauses that were waited for.
fn export(exporter: &mut OtlpExporter, calls: usize) -> (Result<(), Error>, Vec<Duration>) {
    let mut pauses = Vec::new();
    let wait = |pause| {
        pauses.push(pause);
        true
    };
    let result = exporter.export(of_rows(&[model_row(&vec![10; calls])]), LIMIT, wait);
    (result, pauses)
}

#[test]
fn a_request_is_packed_and_has_its_headers() {
    let (mut settings, received) = collector(answers(&["200 OK", "200 OK"]));
    settings.headers = vec![("api-key".to_owned(), "k 1".to_owned())];
    settings.resource = vec![("service.name".to_owned(), "desk".to_owned())];
    export(&mut OtlpExporter::new(settings.clone()).unwrap(), 2).0.unwrap();
    let request = received.recv().unwrap();
    assert!(request.head.starts_with("post /v1/metrics http/1.1\r\n"), "{}", request.head);
    let content = ["content-type: application/x-protobuf", "content-encoding: gzip"];
    for header in content.into_iter().chain(["api-key: k 1", "user-agent: llm-audit/"]) {
        assert!(request.head.contains(&format!("\r\n{header}")), "{header}: {}", request.head);
    }
    assert_eq!(request.calls(), 2.0);

    settings.gzip = false;
    export(&mut OtlpExporter::new(settings).unwrap(), 3).0.unwrap();
    let request = received.recv().unwrap();
    assert!(!request.head.contains("content-encoding"), "{}", request.head);
    let plain = ExportMetricsServiceRequest::decode(request.body.as_slice()).unwrap();
    let resource = plain.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(text_of(&resource.attributes), "service.name=desk");
}

#[test]
fn what_may_pass_is_tried_again() {
    let soon = Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
    let (settings, received) = collector(answers(&[
        "503 Service Unavailable",
        "429 Too Many Requests\r\nretry-after: 3",
        &format!("504 Gateway Timeout\r\nretry-after: {date}"),
        "502 Bad Gateway",
        "200 OK",
    ]));
    let (result, pauses) = export(&mut OtlpExporter::new(settings).unwrap(), 1);
    result.unwrap();
    assert_eq!(received.iter().count(), 5);
    let [first, asked, until, fourth] = pauses[..] else { panic!("{pauses:?}") };
    let seconds = Duration::from_secs;
    assert!((seconds(1) / 2..=seconds(1)).contains(&first), "{first:?}");
    assert!((seconds(2)..=seconds(3)).contains(&asked), "{asked:?}");
    assert!((seconds(1)..=seconds(5)).contains(&until), "{until:?}");
    assert!((seconds(4)..=seconds(8)).contains(&fourth), "{fourth:?}");
}

#[test]
fn what_is_refused_is_not_tried_again() {
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "500 Oops", "302 Found"]
    {
        let (settings, received) = collector(answers(&[status]));
        let (result, pauses) = export(&mut OtlpExporter::new(settings).unwrap(), 1);
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(&format!("the collector answered {}", &status[..3])), "{error}");
        assert_eq!((pauses.len(), received.iter().count()), (0, 1), "{status}");
    }
}

#[test]
fn a_close_ends_the_retries() {
    let (settings, received) = collector(answers(&["503 Service Unavailable"]));
    let mut exporter = OtlpExporter::new(settings).unwrap();
    exporter.export(of_rows(&[model_row(&[1])]), LIMIT, |_| false).unwrap_err();
    assert_eq!(received.iter().count(), 1);
}

#[test]
fn a_busy_collector_is_left_alone() {
    let (settings, received) =
        collector(answers(&["503 Service Unavailable\r\nretry-after: 100", "200 OK"]));
    let mut exporter = OtlpExporter::new(settings).unwrap();
    let (first, pauses) = export(&mut exporter, 1);
    assert_eq!((first.is_err(), pauses.len()), (true, 0));
    let (second, pauses) = export(&mut exporter, 1);
    assert_eq!(second.unwrap_err().to_string(), "the collector asked for a pause");
    assert_eq!((pauses.len(), received.try_iter().count()), (0, 1));
}

#[test]
fn a_part_that_is_refused_is_reported_and_not_sent_again() {
    let partial = ExportMetricsPartialSuccess {
        rejected_data_points: 2,
        error_message: "too\nmany labels".to_owned(),
    };
    let answer = ExportMetricsServiceResponse { partial_success: Some(partial) };
    let ok = "200 OK".to_owned();
    let (mut settings, received) =
        collector(vec![(ok.clone(), answer.encode_to_vec()), (ok, Vec::new())]);
    settings.is_delta = true;
    let mut exporter = OtlpExporter::new(settings).unwrap();
    let (result, pauses) = export(&mut exporter, 2);
    let expected = "the collector refused 2 data points: \"toomany labels\"";
    assert_eq!((result.unwrap_err().to_string().as_str(), pauses.len()), (expected, 0));
    export(&mut exporter, 5).0.unwrap();
    let calls: Vec<_> = received.iter().map(|request| request.calls()).collect();
    assert_eq!(calls, [2.0, 3.0]);
}

#[test]
fn a_delta_contains_what_the_collector_did_not_take() {
    let (mut settings, received) =
        collector(answers(&["200 OK", "400 Bad Request", "200 OK", "200 OK"]));
    settings.is_delta = true;
    let mut exporter = OtlpExporter::new(settings).unwrap();
    for (calls, is_taken) in [(2, true), (3, false), (7, true), (7, true), (8, true)] {
        assert_eq!(export(&mut exporter, calls).0.is_ok(), is_taken, "{calls}");
    }
    // Without anything new there is no request.
    let requests: Vec<_> = received.iter().collect();
    let calls: Vec<_> = requests.iter().map(Received::calls).collect();
    assert_eq!(calls, [2.0, 1.0, 5.0, 1.0]);
    let periods = requests.iter().map(|request| {
        let metrics = request.metrics();
        let Some(Data::Histogram(of)) = &metrics["gen_ai.client.operation.duration"].data else {
            panic!("no histogram")
        };
        assert_eq!(of.aggregation_temporality(), AggregationTemporality::Delta);
        let point = &of.data_points[0];
        assert_eq!(point.count as f64, request.calls());
        (point.start_time_unix_nano, point.time_unix_nano)
    });
    let periods: Vec<_> = periods.collect();
    let begins = [periods[1].0, periods[2].0, periods[3].0];
    assert_eq!(begins, [periods[0].1, periods[0].1, periods[2].1]);
}

#[test]
fn a_collector_that_is_not_there_is_tried_until_the_time_is_over() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://user:secret@{free}/v1/metrics");
    let settings = OtlpSettings { endpoint, ..OtlpSettings::default() };
    let (result, pauses) = export(&mut OtlpExporter::new(settings).unwrap(), 1);
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("cannot reach the collector: "), "{error}");
    assert!(!error.contains("secret"), "{error}");
    assert!((3..=5).contains(&pauses.len()), "{pauses:?}");
}

#[test]
fn a_collector_that_does_not_answer_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let settings = OtlpSettings { endpoint, ..OtlpSettings::default() };
    let mut exporter = OtlpExporter::new(settings).unwrap();
    let limit = Duration::from_millis(100);
    exporter.export(of_rows(&[model_row(&[1])]), limit, |_| true).unwrap_err();
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let headers = vec![("a b".to_owned(), "1".to_owned())];
    let error = OtlpExporter::new(OtlpSettings { headers, ..OtlpSettings::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the header \"a b\" cannot be sent");
    let endpoint = "https://localhost/".to_owned();
    let good = OtlpSettings { endpoint, ..OtlpSettings::default() };
    let missing = Some("/nonexistent.pem".into());
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = Some(empty.path().to_owned());
    for (settings, expected) in [
        (OtlpSettings { certificate: missing.clone(), ..good.clone() }, "/nonexistent.pem: "),
        (OtlpSettings { certificate: empty.clone(), ..good.clone() }, "no certificate is in it"),
        (
            OtlpSettings { client_certificate: missing.clone(), ..good.clone() },
            "a client has either both a certificate and a key",
        ),
        (
            OtlpSettings { client_certificate: missing, client_key: empty, ..good },
            "/nonexistent.pem: ",
        ),
    ] {
        let error = OtlpExporter::new(settings).unwrap_err().to_string();
        assert!(error.starts_with("certificates for the collector: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
