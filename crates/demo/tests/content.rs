//! If content is not captured and snapshots are left out, no prompt, completion, argument or result
//! is in the log.

mod common;

use common::content::{MARKERS, record};
use common::{events, name};

#[test]
fn without_content_and_snapshots_there_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = record(folder.path(), |builder| builder.include_snapshots(false));
    for marker in MARKERS {
        assert!(!log.contains(marker), "{marker} is in the log");
    }
    let events = events(&log);
    for wanted in ["llm.invoke", "llm.error", "tool.call", "tool.result", "tool.error"] {
        assert!(events.iter().any(|event| name(event) == wanted), "no {wanted}");
    }
}
