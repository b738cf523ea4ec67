//! If content is not captured, what failed steps were given is in their `input_snapshot`, and
//! nowhere else.

mod common;

use common::content::{MARKERS, record};
use common::events;

#[test]
fn snapshots_alone_hold_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = record(folder.path(), |builder| builder);
    let mut snapshots = String::new();
    for mut event in events(&log) {
        let error = event.get_mut("error").and_then(|error| error.as_object_mut());
        if let Some(snapshot) = error.and_then(|error| error.remove("input_snapshot")) {
            snapshots += &snapshot.to_string();
        }
        for marker in MARKERS {
            assert!(!event.to_string().contains(marker), "{marker} is in {event}");
        }
    }
    // The prompt of the model that refused holds the question and what the tools had found.
    for marker in MARKERS {
        let is_there = snapshots.contains(marker);
        assert!(is_there, "{marker} is in no snapshot: {snapshots}");
    }
}
