//! The exporter to standard error, for programs whose standard output is a protocol.
#![cfg(not(loom))]

mod common;

use common::alone::{self, Alone};
use common::{DEADLINE, data, logger};
use llm_audit::{AuditEvent, EventType};
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
