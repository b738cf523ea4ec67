//! Compressed files of a log: read as any other, or named if this build cannot.

mod common;

use std::fs;

use common::{FILE, TRACE, folder, run, whole, write};

fn compress(dir: &str, name: &str, text: &str) {
    fs::create_dir_all(dir).unwrap();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.set_pledged_src_size(Some(text.len() as u64)).unwrap();
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    fs::write(format!("{dir}/{name}.zst"), encoder.finish().unwrap()).unwrap();
}

/// A log of two files, of which the first is compressed.
fn log(dir: &str) -> String {
    let log = whole(9) + "{\"event_type\":\"mail\",\"to\":\"kim@post.example\"}\n";
    let (first, second) = log.split_at(log.match_indices('\n').nth(4).unwrap().0 + 1);
    compress(dir, FILE, first);
    write(dir, "audit-2026-01-02.1.jsonl", second);
    first.to_owned()
}

#[cfg(feature = "zstd")]
#[test]
fn every_command_reads_them() {
    let (_keep, dir) = folder();
    let first = log(&dir);
    let read = || {
        let tail = run(&["tail", "-n", "100", "--json", "--dir", &dir]);
        assert_eq!(tail.stdout.lines().count(), 10, "{tail:?}");
        let verify = run(&["verify", "--dir", &dir]);
        assert!(verify.stdout.contains("2 files, 12 lines"), "{verify:?}");
        assert!(verify.stdout.contains("9 events, seq 1 to 9"), "{verify:?}");
        let trace = run(&["trace", &TRACE[..8], "--dir", &dir]);
        assert!(trace.stdout.contains("9 spans"), "{trace:?}");
    };
    read();
    let scan = run(&["scan", &dir]);
    assert!(scan.code == 1 && scan.stdout.contains("of 12 lines of 2 files"), "{scan:?}");
    // Both are there, as a power cut may leave them: no line counts twice.
    write(&dir, FILE, &first);
    read();
    // Damaged: named, and no part of it is taken for the whole. What is whole is shown.
    fs::remove_file(format!("{dir}/{FILE}")).unwrap();
    let path = format!("{dir}/{FILE}.zst");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let tail = run(&["tail", "--dir", &dir]);
    assert_eq!(tail.code, 1, "{tail:?}");
    for run in [tail, run(&["stats", "--dir", &dir]), run(&["errors", "--dir", &dir])] {
        assert_eq!(run.stderr.matches("audit-2026-01-02.jsonl.zst").count(), 1, "{run:?}");
    }
    // The other file is checked all the same, and what the damaged one held is missing.
    let verify = run(&["verify", "--dir", &dir]);
    assert_eq!(verify.code, 1, "{verify:?}");
    assert!(verify.stdout.contains("audit-2026-01-02.jsonl.zst:1: cannot read "), "{verify:?}");
    assert!(verify.stdout.contains("; what follows is not checked"), "{verify:?}");
    assert!(verify.stdout.contains("in no line and in no audit.loss"), "{verify:?}");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_build_that_cannot_says_which() {
    let (_keep, dir) = folder();
    log(&dir);
    for args in [
        &["tail", "-n", "100", "--dir", &dir][..],
        &["verify", "--dir", &dir],
        &["trace", &TRACE[..8], "--dir", &dir],
        &["scan", &dir],
    ] {
        let run = run(args);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("audit-2026-01-02.jsonl.zst"), "{run:?}");
        assert!(run.stderr.contains("lacks the feature zstd"), "{run:?}");
    }
}

/// Processes that rotate, compress and remove in one folder: each line is there, or reported.
#[cfg(feature = "zstd")]
#[test]
fn four_processes_share_a_folder() {
    use std::thread;

    use common::{command, event, run_with};

    let (_keep, dir) = folder();
    let lines: String = (1..=3_000).map(|seq| event(seq, TRACE, "01", "")).collect();
    let record = || {
        let mut record = command(&["record", "--json", "--dir", &dir]);
        record.env("AUDIT_MAX_FILE_BYTES", "50000").env("AUDIT_MAX_TOTAL_BYTES", "400000");
        record.env("AUDIT_COMPRESS", "zstd").env("AUDIT_FSYNC", "never");
        run_with(record, |to| to.write_all(lines.as_bytes()))
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(record)).collect();
        for run in runs {
            let run = run.join().unwrap();
            assert_eq!((run.code, &run.json()["written"]), (0, &3_000.into()), "{run:?}");
        }
    });
    let verify = run(&["verify", "--json", "--dir", &dir]);
    assert_eq!(verify.code, 0, "{verify:?}");
    let names =
        || fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(names().any(|name| name.ends_with(".jsonl.zst")), "{:?}", names().collect::<Vec<_>>());
    assert!(!names().any(|name| name.ends_with(".tmp")));
}
