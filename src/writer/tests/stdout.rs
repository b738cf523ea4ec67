//! Standard output beside a file, with a reader that stops, continues and leaves.

use std::io::{self, Read};

use serde_json::Value;

use super::{DEADLINE, FIRST, Rig, kinds};
use crate::export::Stdout;

/// More events than a pipe and the buffer beside it can take.
const EVENTS: u64 = 3_000;

fn emit(rig: &Rig, n: u64) {
    let data = serde_json::json!({ "n": n, "text": "x".repeat(900) });
    rig.audit.emit(&crate::AuditEvent::new(crate::EventType::CacheHit, "a", "b").data(&data));
    // Each event is a batch of its own.
    rig.audit.flush(DEADLINE).unwrap();
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["data"]["n"].as_u64()).collect()
}

#[test]
fn a_reader_that_stops_does_not_stop_the_file_and_continues_at_a_whole_line() {
    let (mut reader, writer) = io::pipe().unwrap();
    let rig = Rig::new(|builder| builder.exporter(Stdout::to(writer)));
    for n in 1..=EVENTS {
        emit(&rig, n);
    }
    let accounting = rig.audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (EVENTS, 0), "the file goes on");
    let refused = accounting.export_errors;
    assert!((1..EVENTS).contains(&refused), "{refused} batches refused");
    assert_eq!(numbers(&rig.lines(FIRST)), (1..=EVENTS).collect::<Vec<_>>());

    // The reader continues. It gets the kept lines without a further event, and then the new ones.
    let (mut text, mut piece) = (Vec::new(), vec![0; 1 << 16]);
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count() as u64;
    while lines(&text) < 1 + EVENTS - refused {
        let read = reader.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..read]);
    }
    assert_eq!(text.last(), Some(&b'\n'));
    std::thread::scope(|scope| {
        let rest = scope.spawn(move || {
            reader.read_to_end(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        emit(&rig, EVENTS + 1);
        rig.audit.shutdown(DEADLINE).unwrap();
        let accounting = rig.audit.accounting();
        assert_eq!(accounting.export_errors, refused);
        // The pipe ends when the writer does.
        drop(rig);
        let text = rest.join().unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let shown = numbers(&lines);
        assert!(shown.is_sorted_by(|a, b| a < b), "in order, and none twice");
        assert_eq!(shown.last(), Some(&(EVENTS + 1)));
        assert_eq!(shown.len() as u64, EVENTS + 1 - refused, "all but those refused");
        assert_eq!(kinds(&lines).last(), Some(&"audit.stop"));
    });
}

#[test]
fn a_reader_that_never_reads_delays_no_close() {
    let (_reader, writer) = io::pipe().unwrap();
    let rig = Rig::new(|builder| builder.exporter(Stdout::to(writer)));
    for n in 1..=EVENTS {
        emit(&rig, n);
    }
    rig.audit.shutdown(DEADLINE).unwrap();
    let lines = rig.lines(FIRST);
    assert_eq!(kinds(&lines).last(), Some(&"audit.stop"));
    let said = lines.last().unwrap()["data"]["export_errors"].as_u64().unwrap();
    assert!(said > 0);
    // The rest was kept, and is now lost and counted once.
    assert!(rig.audit.accounting().export_errors > said);
}

#[test]
fn a_reader_that_leaves_costs_export_errors_alone() {
    let (reader, writer) = io::pipe().unwrap();
    let rig = Rig::new(|builder| builder.exporter(Stdout::to(writer)));
    emit(&rig, 1);
    drop(reader);
    for n in 2..=4 {
        emit(&rig, n);
    }
    rig.audit.shutdown(DEADLINE).unwrap();
    let accounting = rig.audit.accounting();
    assert_eq!((accounting.written, accounting.export_errors), (4, 5), "with those of the end");
}

/// If standard output is the only output, the writer waits for it, and a deadline still holds.
#[test]
fn the_only_output_is_waited_for_until_the_deadline() {
    // As `AUDIT_EXPORTER` makes it, and as a caller may pass it.
    assert_only_output_is_waited_for(Stdout::waiting);
    assert_only_output_is_waited_for(|stdout| stdout);
}

fn assert_only_output_is_waited_for(with: impl FnOnce(Stdout) -> Stdout) {
    let (mut reader, writer) = io::pipe().unwrap();
    let rig = Rig::new(|builder| builder.files(false).exporter(with(Stdout::to(writer))));
    let data = serde_json::json!({ "text": "x".repeat(200_000) });
    rig.audit.emit(&crate::AuditEvent::new(crate::EventType::CacheHit, "a", "b").data(&data));
    let late = rig.audit.flush(std::time::Duration::from_millis(5)).unwrap_err();
    assert!(late.is_deadline());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines().count()
    });
    rig.audit.shutdown(DEADLINE).unwrap();
    assert_eq!((rig.audit.accounting().written, rig.audit.accounting().io_lost), (1, 0));
    drop(rig);
    assert_eq!(read.join().unwrap(), 4);
}
