//! The whole way of an event: from `emit` to the file, and how the file counts what is missing.

mod common;

use std::time::Duration;

use common::{DEADLINE, data, lines, logger};
use llm_audit::reader::{Folder, Found, Trace};
use llm_audit::{AuditEvent, AuditLogger, EventType, Status, TraceContext, Usd};
use serde_json::json;

#[test]
fn an_event_becomes_the_line_of_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    let context = TraceContext::from_ids(0xa1, 0xb2, Some(0xc3)).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let payload = json!({"tool": "search", "query": "write to ana@example.com"});
    audit.emit(
        &AuditEvent::new(EventType::ToolCall, "benefits", "tool.search")
            .span(&context)
            .timestamp(time)
            .latency_ms(12.5)
            .tokens(3, 4)
            .cost_usd(0.000_000_1)
            .data(&payload),
    );
    audit.shutdown(DEADLINE).unwrap();
    let text = std::fs::read_to_string(audit.path().unwrap()).unwrap();
    let line = text.lines().nth(1).unwrap();
    let expected = format!(
        concat!(
            r#"{{"event_version":"3.0","instance":"{}","seq":1,"#,
            r#""trace_id":"000000000000000000000000000000a1","span_id":"00000000000000b2","#,
            r#""parent_span_id":"00000000000000c3","timestamp":"2023-11-14T22:13:20.123456Z","#,
            r#""event_type":"tool.call","agent":"benefits","action":"tool.search","status":"ok","#,
            r#""latency_ms":12.5,"tokens_input":3,"tokens_output":4,"cost_usd":0.0000001,"#,
            r#""data":{{"query":"write to [REDACTED_email]","tool":"search"}}}}"#,
        ),
        audit.instance(),
    );
    assert_eq!(line, expected);
}

#[test]
fn the_log_says_how_it_began_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).service("desk").build().unwrap();
    for _ in 0..3 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "cache.get"));
    }
    let flushed = audit.shutdown(DEADLINE).unwrap();
    assert_eq!((flushed.written, flushed.overwritten, flushed.io_lost), (3, 0, 0));
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0]["event_type"], "audit.start");
    assert_eq!(lines[0]["data"]["service"], "desk");
    assert_eq!(lines[0]["data"]["first"], true);
    assert_eq!(lines[4]["event_type"], "audit.totals");
    assert_eq!(lines[4]["data"]["rows"][0]["events"], 3);
    assert_eq!(lines[5]["event_type"], "audit.stop");
    assert_eq!(lines[5]["data"]["written"], 3);
    assert_eq!(lines[5]["data"]["emitted"], 3);
}

/// Reads the promise of the queue from the file alone: which events were overwritten, and that they
/// were the oldest. Every event has its end.
#[test]
fn a_full_queue_overwrites_its_oldest_and_says_so() {
    const EMITTED: u64 = 500;
    const CAPACITY: u64 = 64;
    let folder = tempfile::tempdir().unwrap();
    let (gate, held) = common::gate();
    let audit = logger(folder.path())
        .files(false)
        .exporter(gate)
        .queue_capacity(CAPACITY as usize)
        .build()
        .unwrap();
    // The writer is held in the exporter with the first event; the rest meets a full queue.
    audit.emit(&AuditEvent::new(EventType::Custom("test.first"), "a", "b"));
    held.wait_until_held();
    for n in 1..=EMITTED {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
    }
    let accounting = audit.accounting();
    assert_eq!(accounting.queued, CAPACITY + 1, "and one in the writer's hand");
    assert_eq!(accounting.overwritten, EMITTED - CAPACITY);
    assert!(accounting.adds_up());
    held.release();
    audit.shutdown(DEADLINE).unwrap();

    let lines = held.lines();
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["data"]["n"].as_u64()).collect();
    assert_eq!(numbers, (EMITTED - CAPACITY + 1..=EMITTED).collect::<Vec<_>>(), "the newest stay");
    let lost: u64 = lines
        .iter()
        .filter(|line| line["event_type"] == "audit.loss")
        .map(|line| {
            let data = &line["data"];
            let range =
                data["last_seq"].as_u64().unwrap() - data["first_seq"].as_u64().unwrap() + 1;
            assert_eq!(data["overwritten"].as_u64().unwrap(), range);
            range
        })
        .sum();
    assert_eq!(lost, EMITTED - CAPACITY);
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    let missing = seqs.last().unwrap().max(&(EMITTED + 1)) - seqs.len() as u64;
    assert_eq!(missing, lost, "the gaps of seq are the losses");
    let stop = &lines.last().unwrap()["data"];
    assert_eq!(stop["emitted"], EMITTED + 1);
    assert_eq!(stop["written"], CAPACITY + 1);
    assert_eq!(stop["overwritten"], EMITTED - CAPACITY);
    assert_eq!(stop["queued"], 0);
}

#[test]
fn waiting_emits_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).queue_capacity(64).queue_bytes(64 << 10).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let audit = &audit;
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(thread);
                for n in 0..2000_u64 {
                    let text = "x".repeat(rng.usize(0..3000));
                    let payload = json!({"n": thread << 32 | n, "text": text});
                    audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&payload));
                }
            });
        }
    });
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.overwritten, accounting.truncated), (8000, 0, 0));
    assert!(accounting.adds_up());
    let mut seen: Vec<u64> =
        lines(folder.path()).iter().filter_map(|line| line["data"]["n"].as_u64()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 8000);
}

/// A payload that records an event of its own, and waits for another thread's, while it is
/// serialized.
struct Nested<'a>(&'a AuditLogger);

impl serde::Serialize for Nested<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = || self.0.emit_wait(&AuditEvent::new(EventType::CacheMiss, "a", "inner"));
        inner();
        std::thread::scope(|scope| scope.spawn(inner).join()).unwrap();
        serializer.serialize_str(&"x".repeat(20_000))
    }
}

#[test]
fn waiting_emits_inside_each_other_neither_hang_nor_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).queue_capacity(64).queue_bytes(64 << 10).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let payload = Nested(&audit);
                    audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&payload));
                }
            });
        }
    });
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!(accounting.overwritten, 0);
    assert!(accounting.emitted >= 600 && accounting.adds_up());
}

#[test]
fn what_the_first_output_refuses_no_other_gets() {
    let (sink, refused) = common::failing(1);
    let (other, seen) = common::failing(0);
    let audit = AuditLogger::builder()
        .without_environment()
        .files(false)
        .debug(true)
        .exporter(sink)
        .exporter(other)
        .build()
        .unwrap();
    for n in 0..3 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
        audit.flush(DEADLINE).unwrap();
    }
    audit.shutdown(DEADLINE).unwrap();
    let numbers = |lines: Vec<serde_json::Value>| -> Vec<_> {
        lines.iter().filter_map(|line| line["data"]["n"].as_u64()).collect()
    };
    assert_eq!(numbers(refused.lines()), [1, 2]);
    assert_eq!(numbers(seen.lines()), [1, 2]);
}

#[test]
fn a_flush_says_what_became_of_the_events_since_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    for count in [0, 1, 700, 5] {
        for _ in 0..count {
            audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
        }
        assert_eq!(audit.flush(DEADLINE).unwrap().written, count);
        assert!(audit.accounting().adds_up());
    }
}

#[test]
fn what_is_in_the_file_is_counted_though_an_exporter_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, held) = common::gate();
    let audit = logger(folder.path()).exporter(gate).build().unwrap();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    held.wait_until_held();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.queued), (1, 1));
    let error = audit.flush(Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.to_string(), "not done within 5ms: 1 event is outstanding");
    held.release();
    assert_eq!(audit.flush(DEADLINE).unwrap().written, 2);
}

#[test]
fn a_flush_that_meets_a_stuck_sink_ends_at_its_deadline() {
    let (gate, held) = common::gate();
    let audit = AuditLogger::builder()
        .without_environment()
        .files(false)
        .debug(true)
        .exporter(gate)
        .build()
        .unwrap();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    held.wait_until_held();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    let error = audit.flush(Duration::from_millis(5)).unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(error.to_string(), "not done within 5ms: 2 events are outstanding");
    assert!(audit.shutdown(Duration::from_millis(5)).unwrap_err().is_deadline());
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(audit.accounting().written, 2);
}

#[test]
fn after_close_events_are_rejected_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    audit.shutdown(DEADLINE).unwrap();
    for _ in 0..1000 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
        audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    }
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.rejected), (1, 2000));
    assert!(accounting.adds_up());
    assert_eq!(audit.shutdown(DEADLINE).unwrap().written, 0, "a second close waits for the same");
}

#[test]
fn loggers_of_one_process_and_folder_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    let loggers: Vec<_> = (0..3).map(|_| logger(folder.path()).build().unwrap()).collect();
    std::thread::scope(|scope| {
        for (n, audit) in loggers.iter().enumerate() {
            scope.spawn(move || {
                for _ in 0..=n {
                    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
                }
            });
        }
    });
    for (n, audit) in loggers.iter().enumerate() {
        audit.shutdown(DEADLINE).unwrap();
        let text = std::fs::read_to_string(audit.path().unwrap()).unwrap();
        assert!(text.lines().all(|line| line.contains(audit.instance())), "a file each");
        assert_eq!(text.lines().count(), n + 4);
    }
}

#[test]
fn dropping_the_last_handle_writes_and_closes() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    let clone = audit.clone();
    drop(audit);
    clone.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    drop(clone);
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["event_type"], "audit.stop");
}

#[test]
fn a_switched_off_logger_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let audit = logger(&logs).enabled(false).build().unwrap();
    assert!(!audit.is_enabled());
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    audit.flush(DEADLINE).unwrap();
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(audit.accounting(), llm_audit::Accounting::default());
    assert!(!logs.exists());
}

/// A sink that is a folder full of trouble: what cannot be written is counted, and said as soon as
/// something can.
#[test]
fn a_failing_sink_costs_events_and_says_how_many() {
    let (sink, seen) = common::failing(2);
    let audit = AuditLogger::builder()
        .without_environment()
        .files(false)
        .debug(true)
        .exporter(sink)
        .build()
        .unwrap();
    for n in 0..6 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
        audit.flush(DEADLINE).unwrap();
    }
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (4, 2));
    assert!(accounting.adds_up());
    let lines = seen.lines();
    // One line for both, or one for each if the writer came to it in between.
    let losses: Vec<_> = lines.iter().filter(|line| line["event_type"] == "audit.loss").collect();
    let all = |name: &str| losses.iter().map(|line| line["data"][name].as_u64().unwrap()).sum();
    let counts: [u64; 2] = ["overwritten", "io_lost"].map(all);
    assert_eq!(counts, [0, 2]);
    assert_eq!(losses.first().unwrap()["data"]["first_seq"], 1);
    assert_eq!(losses.last().unwrap()["data"]["last_seq"], 2);
    let seqs: Vec<_> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, [3, 4, 5, 6]);
}

/// If it is the only output, lines that it took before it failed count as lost.
#[test]
fn a_sink_that_keeps_lines_and_then_fails_costs_them() {
    struct Keeps(bool);
    impl llm_audit::export::Exporter for Keeps {
        fn export(&mut self, lines: &[u8]) -> std::io::Result<()> {
            self.0 = lines.windows(9).any(|part| part == b"cache.hit");
            Ok(())
        }
        fn resume(&mut self) -> std::io::Result<usize> {
            if std::mem::take(&mut self.0) { Err(std::io::Error::other("gone")) } else { Ok(0) }
        }
    }
    let builder = AuditLogger::builder().without_environment().files(false).debug(true);
    let audit = builder.exporter(Keeps(false)).build().unwrap();
    for n in 0..3 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
        audit.flush(DEADLINE).unwrap();
    }
    audit.emit(&AuditEvent::new(EventType::CacheMiss, "a", "b"));
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (1, 3), "{accounting:?}");
}

#[test]
fn a_panicking_exporter_is_its_own_problem() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).exporter(common::Panicking).build().unwrap();
    for _ in 0..3 {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
        audit.flush(DEADLINE).unwrap();
    }
    let accounting = audit.accounting();
    assert_eq!(accounting.written, 3);
    // The start has a batch of its own, unless an event came before it.
    assert!((3..=4).contains(&accounting.export_errors), "{accounting:?}");
}

#[test]
fn waiting_on_the_writers_own_thread_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (asker, answer) = common::asker();
    let audit = logger(folder.path()).exporter(asker).build().unwrap();
    answer.give(audit.clone());
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    assert_eq!(answer.take(), "the writer's own thread cannot wait for itself");
}

#[test]
fn the_last_handle_may_be_dropped_on_the_writers_own_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (asker, answer) = common::asker();
    let audit = logger(folder.path()).exporter(asker).build().unwrap();
    let path = audit.path().unwrap();
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    answer.give(audit);
    assert_eq!(answer.take(), "the writer's own thread cannot wait for itself");
    // The log closes all the same, in its own time.
    while !std::fs::read_to_string(&path).unwrap().contains("audit.stop") {
        std::thread::yield_now();
    }
}

#[test]
fn a_folder_that_is_a_file_is_refused_at_construction() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logs");
    std::fs::write(&file, "not a folder").unwrap();
    let error = logger(&file).build().unwrap_err();
    assert!(error.is_io());
    assert!(error.to_string().contains("logs"), "{error}");
}

#[test]
fn an_error_event_keeps_its_snapshot_or_not() {
    for include in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let audit = logger(folder.path()).include_snapshots(include).build().unwrap();
        let cause = std::io::Error::other("mail ana@example.com bounced");
        let (input, environment) = (json!({"q": "x"}), json!({"model": "gpt-4o"}));
        let detail = llm_audit::ErrorDetail::from_error(&cause)
            .recoverable(true)
            .input_snapshot(&input)
            .environment(&environment);
        audit.emit(&AuditEvent::new(EventType::ToolError, "a", "b").error(&detail));
        audit.shutdown(DEADLINE).unwrap();
        let line = &lines(folder.path())[1];
        assert_eq!(line["status"], Status::Error.name());
        let mut expected = json!({
            "type": "std::io::error::Error",
            "message": "mail [REDACTED_email] bounced",
            "recoverable": true,
            "environment": {"model": "gpt-4o"},
        });
        if include {
            expected["input_snapshot"] = json!({"q": "x"});
        }
        assert_eq!(line["error"], expected);
    }
}

#[test]
fn money_is_exact_from_the_caller_to_the_sum_of_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).build().unwrap();
    let event = AuditEvent::new(EventType::LlmInvoke, "planner", "chat");
    let price: Usd = "0.000000137500000000000000001".parse().unwrap();
    let trace = TraceContext::new_trace();
    let event = event.context(&trace);
    for _ in 0..1_000 {
        audit.emit_wait(&event.cost_usd(price));
        audit.emit_wait(&event.cost_usd(0.1));
        audit.emit_wait(&event.cost_usd(f64::NAN));
    }
    audit.shutdown(DEADLINE).unwrap();
    let text = std::fs::read_to_string(audit.path().unwrap()).unwrap();
    let spelled = |cost: &str| text.matches(&format!(",\"cost_usd\":{cost}}}")).count();
    assert_eq!(spelled("0.000000137500000000000000001"), 1_000);
    assert_eq!((spelled("0.1"), text.matches(r#""cost_usd":0"#).count()), (1_000, 2_000));
    // The sum of 1,000 times each, in the totals, of which a minute that ends meanwhile has a part.
    let lines = lines(folder.path());
    let totals = lines.iter().filter(|line| line["event_type"] == "audit.totals");
    let costs = totals.filter_map(|line| line["data"]["rows"][0]["cost_usd"].as_str());
    let sum: Usd = costs.map(|cost| cost.parse::<Usd>().unwrap()).sum();
    assert_eq!(sum.to_string(), "100.000137500000000000000001");

    let read = Folder::open(folder.path()).unwrap();
    let id = format!("{:032x}", trace.trace_id());
    let found = Trace::find(&read, &id, |_| {}).unwrap();
    let Found::One(found) = found else { panic!("{found:?}") };
    let expected = "100.000137500000000000000001";
    assert_eq!(found.cost_usd().unwrap().to_string(), expected);
}
