//! If content is captured, all of it is in the log: the markers of the other tests can be found.

mod common;

use common::content::{MARKERS, record};

#[test]
fn with_content_all_of_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let log =
        record(folder.path(), |builder| builder.include_snapshots(false).capture_content(true));
    for marker in MARKERS {
        assert!(log.contains(marker), "{marker} is not in the log");
    }
}
