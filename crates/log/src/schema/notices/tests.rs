//! What is written is read back.

use std::collections::BTreeMap;

use super::*;
use crate::parse;
use crate::schema::{CaptureContent, Latencies, MetricsRow, Status, TokenKinds, latency_bucket};

const INSTANCE: &str = "0123456789abcdef";

fn line(notice: &impl Notice) -> String {
    let mut out = Vec::new();
    notice.write(&mut out, NoticeHead { instance: INSTANCE, notice: 1, timestamp: 0 });
    String::from_utf8(out).expect("UTF-8")
}

fn read(text: &str) -> Option<ReadNotice> {
    let mut bytes = text.as_bytes().to_vec();
    let line = parse(&mut bytes).expect("a line");
    assert_eq!(line.strict_faults().next(), None, "{text}");
    ReadNotice::of(&line)
}

fn seqs(instance: &str, first_seq: u64, last_seq: u64) -> Seqs {
    Seqs { first_seq, last_seq, events: 3, overwritten: 2, io_lost: 1, ..Seqs::of(instance) }
}

fn start() -> Start<'static> {
    Start {
        version: "0.1.0",
        host: "here",
        pid: 7,
        service: "benefits",
        first: true,
        sampling: Sampling {
            trace_rate: 0.2,
            success_rate: 0.1,
            error_rate: 1.0,
            slow_threshold_ms: 1500.0,
            debug: false,
            failed_traces: "whole",
        },
        capture_content: CaptureContent::Failed,
        include_snapshots: true,
        redaction_profile: "full",
        redact_env: None,
        redaction_rules: 0xff,
        torn_bytes: 4,
        fsync: "1s",
        max_file_bytes: 1 << 20,
        compress: "none",
        retention_days: None,
        max_total_bytes: None,
        totals: true,
        user_key: "0123abcd",
    }
}

#[test]
fn the_logs_own_lines_have_numbers_of_their_own() {
    let loss = Loss { first_seq: 4, last_seq: 6, overwritten: 3, io_lost: 0 };
    let expected = concat!(
        r#"{"event_version":"3.0","instance":"0123456789abcdef","notice":1,"#,
        r#""timestamp":"1970-01-01T00:00:00.000000Z","event_type":"audit.loss","#,
        r#""agent":"llm-audit","action":"loss","status":"error","#,
        r#""data":{"overwritten":3,"io_lost":0,"first_seq":4,"last_seq":6}}"#,
        "\n"
    );
    assert_eq!(line(&loss), expected);
}

#[test]
fn a_loss_comes_back() {
    let loss = Loss { first_seq: 4, last_seq: 6, overwritten: 1, io_lost: 2 };
    let text = line(&loss);
    assert_eq!(read(&text), Some(ReadNotice::Loss(Some(loss))));
    assert_eq!(read(&text.replace("io_lost", "other")), Some(ReadNotice::Loss(None)));
}

#[test]
fn what_readers_take_from_a_start_comes_back() {
    let later = Start { first: false, ..start() };
    let cases = [
        (start(), true, false),
        (later, false, false),
        (Start { capture_content: CaptureContent::Never, ..start() }, true, false),
        (Start { capture_content: CaptureContent::Always, ..start() }, true, false),
        (Start { retention_days: Some(0), ..start() }, true, true),
        (Start { max_total_bytes: Some(1), ..start() }, true, true),
    ];
    for (start, first, has_retention) in cases {
        let (service, host) = (Some(start.service.to_owned()), Some(start.host.to_owned()));
        let pid = Some(u64::from(start.pid));
        let rates = Some(SamplingRates {
            trace: 0.2,
            success: 0.28,
            error: 1.0,
            slow_threshold_ms: 1500.0,
            keeps_failed_traces: true,
        });
        let (capture_content, totals) = (Some(start.capture_content), true);
        let started =
            Started { service, host, pid, first, capture_content, has_retention, totals, rates };
        assert_eq!(read(&line(&start)), Some(ReadNotice::Start(started)), "{start:?}");
    }
}

#[test]
fn a_logger_in_debug_leaves_nothing_out() {
    let sampling = Sampling { debug: true, slow_threshold_ms: f64::INFINITY, ..start().sampling };
    let Some(ReadNotice::Start(started)) = read(&line(&Start { sampling, ..start() })) else {
        panic!("no start");
    };
    let rates = SamplingRates {
        trace: 1.0,
        success: 1.0,
        error: 1.0,
        slow_threshold_ms: f64::MAX,
        keeps_failed_traces: true,
    };
    assert_eq!(started.rates, Some(rates));
}

#[test]
fn whether_failed_traces_are_kept_whole_and_all_errors_comes_back() {
    for (trace_rate, failed_traces, keeps_failed_traces) in
        [(0.001, "whole", true), (0.2, "sampled", false)]
    {
        let sampling = Sampling { trace_rate, failed_traces, ..start().sampling };
        let Some(ReadNotice::Start(started)) = read(&line(&Start { sampling, ..start() })) else {
            panic!("no start");
        };
        let rates = started.rates.unwrap();
        assert_eq!((rates.error, rates.keeps_failed_traces), (1.0, keeps_failed_traces));
    }
}

#[test]
fn totals_come_back() {
    let mut latencies = Latencies::default();
    latencies.add_to_bucket(latency_bucket(90_000), 2);
    let row = MetricsRow {
        event_type: "llm.invoke".into(),
        status: Status::Timeout,
        agent: "benefits".into(),
        model: "gpt-4o".into(),
        events: 3,
        tokens_input: 10,
        usage: TokenKinds { cache_read: 7, ..TokenKinds::default() },
        cost_usd: "0.000000000000000001".parse().unwrap(),
        priced: 2,
        latency_ms_sum: 180.5,
        latencies,
        ..MetricsRow::default()
    };
    let cache = MetricsRow { event_type: "cache.hit".into(), events: 1, ..MetricsRow::default() };
    let user = UserRow {
        user: "u_1".into(),
        events: 2,
        tokens: 10,
        cost_usd: "0.5".parse().unwrap(),
        events_error: 1,
        cost_usd_error: "0.25".parse().unwrap(),
    };
    let totals = EventTotals {
        from: 0,
        to: 60_000_000,
        through_seq: 4,
        others: 1,
        rows: vec![row, cache],
        users: UserTotals { top: vec![user], rest_max: (1, "0.1".parse().unwrap()) },
    };
    let text = line(&totals);
    assert!(text.contains(r#""to":"1970-01-01T00:01:00.000000Z","through_seq":4"#), "{text}");
    assert!(text.contains(r#"{"event_type":"cache.hit","events":1}"#), "{text}");
    assert_eq!(read(&text), Some(ReadNotice::Totals(Some(Box::new(totals)))));
    let damaged = text.replace(r#""events":3"#, r#""events":"3""#);
    assert_eq!(read(&damaged), Some(ReadNotice::Totals(None)));
}

#[test]
fn a_retired_file_comes_back() {
    let retired = Retired {
        file: "audit-2026-01-02.jsonl".to_owned(),
        bytes: 12,
        why: "AUDIT_RETENTION_DAYS".into(),
        instances: Some(vec![seqs(INSTANCE, 1, 9)]),
        unshipped: BTreeMap::from([("otlp".to_owned(), Some(3)), ("other".to_owned(), None)]),
    };
    assert_eq!(read(&line(&retired)), Some(ReadNotice::Retired(retired.clone())));
    let unread = Retired { instances: None, ..retired.clone() };
    assert_eq!(read(&line(&unread)), Some(ReadNotice::Retired(unread)));
    // Readers take what there is of a line that somebody cut.
    let bare = line(&retired).replace("instances", "others");
    let Some(ReadNotice::Retired(found)) = read(&bare) else { panic!("{bare}") };
    assert_eq!(found.instances, Some(Vec::new()));
}

#[test]
fn a_retired_line_names_a_bounded_number_of_instances() {
    let instances: Vec<_> = (1..=1_002).map(|n| seqs(&format!("{n:016x}"), n, n)).collect();
    let retired = Retired {
        file: "x".to_owned(),
        bytes: 0,
        why: "y".into(),
        instances: Some(instances),
        unshipped: BTreeMap::new(),
    };
    let text = line(&retired);
    assert!(text.contains(r#""instances_more":2"#), "{text}");
    let Some(ReadNotice::Retired(found)) = read(&text) else { panic!("{text}") };
    let ends = found.instances.map(|found| (found.len(), found[0].last_seq, found[999].last_seq));
    assert_eq!(ends, Some((1_000, 1_002, 3)), "the last ones come first");
}

#[test]
fn an_accounting_comes_back() {
    let totals = Totals {
        emitted: 28,
        written: 1,
        overwritten: 2,
        sampled_out: 3,
        rejected: 4,
        io_lost: 5,
        queued: 6,
        in_flight: 7,
    };
    let stop = Stop {
        totals,
        hold_full: 18,
        torn_traces: 19,
        unserializable: 8,
        truncated: 9,
        export_errors: 10,
        sampled_out_by: "SUCCESS_SAMPLE_RATE=0.1".to_owned(),
        redactions: BTreeMap::from([("email", 11)]),
        refused: &BTreeMap::from([("not_json", 17)]),
        unpriced: &BTreeMap::from([("a-model".to_owned(), 12)]),
        unpriced_others: 13,
        unmetered: &BTreeMap::from([("b-model".to_owned(), 15)]),
        unmetered_others: 16,
        prices_refused: 14,
        prices_refused_last: "why",
    };
    let text = line(&stop);
    let stopped = |text: &str| match read(text) {
        Some(ReadNotice::Stop(stopped)) => stopped,
        other => panic!("{other:?}"),
    };
    let found = stopped(&text).unwrap();
    assert_eq!((found.totals, found.hold_full, found.torn_traces), (totals, 18, 19));
    assert_eq!(found.refused, BTreeMap::from([("not_json".to_owned(), 17)]));
    assert_eq!((totals.ends(), totals.last_seq()), (28, 8));
    let data = concat!(
        r#""data":{"emitted":28,"written":1,"overwritten":2,"sampled_out":3,"rejected":4,"#,
        r#""io_lost":5,"queued":6,"in_flight":7,"unserializable":8,"truncated":9,"#,
        r#""export_errors":10,"sampled_out_by":"SUCCESS_SAMPLE_RATE=0.1","#,
        r#""hold_full":18,"torn_traces":19,"#,
        r#""redactions":{"email":11},"refused":{"not_json":17},"unpriced":{"a-model":12},"unpriced_others":13,"#,
        r#""unmetered":{"b-model":15},"unmetered_others":16,"#,
        r#""prices_refused":14,"prices_refused_last":"why"}"#,
    );
    assert!(text.contains(data), "{text}");
    let older = text.replace("in_flight", "other");
    let in_flight = Totals { in_flight: 0, ..totals };
    assert_eq!(stopped(&older).map(|stopped| stopped.totals), Some(in_flight));
    assert_eq!(stopped(&text.replace("rejected", "other")), None);
}

#[test]
fn what_is_not_there_is_not_written() {
    let stop = Stop {
        totals: Totals::default(),
        hold_full: 0,
        torn_traces: 0,
        unserializable: 0,
        truncated: 0,
        export_errors: 0,
        sampled_out_by: "SUCCESS_SAMPLE_RATE=0.1".to_owned(),
        redactions: BTreeMap::new(),
        refused: &BTreeMap::new(),
        unpriced: &BTreeMap::new(),
        unpriced_others: 0,
        unmetered: &BTreeMap::new(),
        unmetered_others: 0,
        prices_refused: 0,
        prices_refused_last: "",
    };
    let end = r#""export_errors":0,"redactions":{}}}"#;
    assert!(line(&stop).trim_end().ends_with(end), "{}", line(&stop));
}

#[test]
fn events_and_later_types_are_told_apart() {
    let of = |name: &str| {
        let text = format!(
            r#"{{"event_version":"3.0","instance":"{INSTANCE}","timestamp":"1970-01-01T00:00:00Z","event_type":"{name}"}}"#
        );
        let mut bytes = text.into_bytes();
        ReadNotice::of(&parse(&mut bytes).expect("a line"))
    };
    assert_eq!(of("cache.hit"), None);
    assert_eq!(of("audits.x"), None);
    assert_eq!(of("audit.later"), Some(ReadNotice::Unknown));
    assert_eq!(of("audit.loss"), Some(ReadNotice::Loss(None)));
}

#[test]
fn an_alert_comes_back() {
    let fired = AlertChange {
        rule: "errors-high".to_owned(),
        objective: "errors".to_owned(),
        service: "benefits".to_owned(),
        severity: "page".to_owned(),
        subject: Some(("user".to_owned(), "u_3f9a".to_owned())),
        starts_at: 60_000_000,
        ends_at: None,
        summary: "errors: 6.2 % over 5m".to_owned(),
        value: "6.2 %".to_owned(),
        target: "at most 5 %".to_owned(),
        window: "5m".to_owned(),
        traces: vec!["4bf92f3577b34da6a3ce929d0e0e4736".to_owned()],
    };
    let tenant = Some(("tenant".to_owned(), "acme".to_owned()));
    let resolved = AlertChange { ends_at: Some(120_000_000), subject: tenant, ..fired.clone() };
    for (change, head) in [
        (
            &fired,
            r#""event_type":"alert.fired","agent":"llm-audit","action":"fired","status":"error""#,
        ),
        (
            &resolved,
            r#""event_type":"alert.resolved","agent":"llm-audit","action":"resolved","status":"ok""#,
        ),
    ] {
        let text = line(change);
        assert!(text.contains(head), "{text}");
        assert_eq!(read(&text), Some(ReadNotice::Alert(Some(Box::new(change.clone())))));
        let broken = text.replace("starts_at", "other");
        assert_eq!(read(&broken), Some(ReadNotice::Alert(None)));
    }
}
