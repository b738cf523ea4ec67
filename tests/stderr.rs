//! What reaches standard error: the lines, for programs whose standard output is a protocol, and one
//! notice for each kind of trouble.
#![cfg(not(loom))]

mod common;

use common::alone::{self, Alone};
use common::{DEADLINE, data, logger};
use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde_json::Value;

#[test]
fn the_lines_go_to_standard_error_alone_and_none_to_standard_output() {
    if let Some(folder) = alone::folder() {
        let audit = logger(&folder).files(false).stderr(true).build().unwrap();
        for n in 0..3 {
            audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
        }
        assert_eq!(audit.shutdown(DEADLINE).unwrap().written, 3);
        return;
    }
    let ended =
        Alone::new("the_lines_go_to_standard_error_alone_and_none_to_standard_output").run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    assert!(!ended.out.contains('{'), "{}", ended.out);
    let lines = ended.err.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let events: Vec<_> = lines.filter_map(|line| line["data"]["n"].as_u64()).collect();
    assert_eq!(events, [0, 1, 2]);
}

/// Emits until the queue has lost events.
fn flood(audit: &AuditLogger) {
    while audit.accounting().overwritten == 0 {
        for n in 0..10_000 {
            audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
        }
    }
}

#[test]
fn the_first_loss_of_a_process_is_told_once() {
    if let Some(folder) = alone::folder() {
        for instance in ["one", "two"] {
            let audit = logger(&folder.join(instance)).queue_capacity(64).build().unwrap();
            flood(&audit);
            audit.shutdown(DEADLINE).unwrap();
        }
        return;
    }
    let ended = Alone::new("the_first_loss_of_a_process_is_told_once").run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    let told: Vec<_> = ended.err.lines().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["llm-audit: ", "were lost", "AUDIT_QUEUE_CAPACITY", "AUDIT_NOTICES=none"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}

#[test]
fn nothing_is_told_if_notices_are_off() {
    if let Some(folder) = alone::folder() {
        let audit = logger(&folder).queue_capacity(64).notices(false).build().unwrap();
        flood(&audit);
        audit.shutdown(DEADLINE).unwrap();
        return;
    }
    let ended = Alone::new("nothing_is_told_if_notices_are_off").run();
    assert!(ended.status.success() && ended.err.is_empty(), "{}{}", ended.out, ended.err);
}

#[test]
fn a_folder_that_cannot_be_used_names_other_places() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = logger(&file.path().join("logs")).build().unwrap_err().to_string();
    for part in ["AUDIT_LOG_DIR", "AUDIT_EXPORTER=stdout"] {
        assert!(error.contains(part), "{error}");
    }
}
