//! No text of an event becomes a line, or a path, of its own.

mod common;

use std::collections::BTreeMap;

use common::{DEADLINE, lines, logger};
use llm_audit::{AuditEvent, ErrorDetail, EventType};

/// Ends the line and the string in every way, and begins a line of the log's.
const FORGED: &str = "x\"}\n{\"event_version\":\"3.0\",\"event_type\":\"forged\"}\r\n\0\u{1b}[2J\
    \u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\\\"\\n../../../etc/passwd";

fn payload() -> BTreeMap<String, String> {
    BTreeMap::from([(FORGED.to_owned(), FORGED.to_owned()), ("path".to_owned(), FORGED.to_owned())])
}

#[test]
fn no_field_can_forge_a_line_or_name_a_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let audit = logger(&dir).service(FORGED).build().unwrap();
    let payload = payload();
    let detail = ErrorDetail::new(FORGED, FORGED)
        .traceback(FORGED)
        .input_snapshot(&payload)
        .environment(&payload);
    let events = [
        AuditEvent::new(EventType::Custom(FORGED), "a", "b"),
        AuditEvent::new(EventType::CacheHit, FORGED, "b"),
        AuditEvent::new(EventType::CacheHit, "a", FORGED),
        AuditEvent::new(EventType::CacheHit, "a", "b").data(&payload),
        AuditEvent::new(EventType::CacheHit, "a", "b").data(&FORGED),
        AuditEvent::new(EventType::ToolError, "a", "b").error(&detail),
        AuditEvent::new(EventType::Custom(FORGED), FORGED, FORGED).data(&payload).error(&detail),
    ];
    for event in &events {
        audit.emit(event);
    }
    audit.shutdown(DEADLINE).unwrap();
    let text = std::fs::read(audit.path().unwrap()).unwrap();
    let control = |b: &u8| b.is_ascii_control() && *b != b'\n' && *b != 0x7f;
    assert!(!text.iter().any(control), "JSON escapes every control character below a space");
    let lines = lines(&dir);
    assert_eq!(lines.len(), events.len() + 3, "one line each, and the log's own three");
    assert!(lines.iter().all(|line| line["event_type"] != "forged"));
    // A type is a dotted name, whatever it was.
    let event_type = lines[1]["event_type"].as_str().unwrap();
    assert!(event_type.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_')));
    let fields = [
        (2, "/agent"),
        (3, "/action"),
        (4, "/data/path"),
        (6, "/error/message"),
        (7, "/error/traceback"),
    ];
    for (line, field) in fields {
        let found = lines[line].pointer(field).and_then(|value| value.as_str());
        assert_eq!(found, Some(FORGED), "{field}: every byte is there");
    }
    let names: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "the folder of the log, and in it its file");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "its file and a key");
}
