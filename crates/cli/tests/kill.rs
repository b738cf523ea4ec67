//! `kill -9` at any moment: what was written stays whole, and the next start goes on.

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use common::{command, event, folder, run, run_with};

const KILLS: u64 = 5;

/// `record` into `dir`, with files of a few batches and everything kept.
fn record(dir: &str) -> Command {
    let mut record = command(&["record", "--dir", dir]);
    record.env("AUDIT_MAX_FILE_BYTES", "200000");
    record
}

/// The files of a log, without the key of its folder.
fn logs(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|file| !file.ends_with(".key")).collect()
}

fn bytes(dir: &str) -> u64 {
    logs(dir).iter().map(|file| file.metadata().unwrap().len()).sum()
}

/// Feeds `record` until its files have so many bytes, and kills it there.
fn kill_at(dir: &str, bytes_max: u64) {
    let mut record = record(dir);
    record.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = record.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        let lines: String = (0..100).map(|seq| event(seq, common::TRACE, "01", "")).collect();
        while stdin.write_all(lines.as_bytes()).is_ok() {}
    });
    while bytes(dir) < bytes_max {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    feeder.join().unwrap();
}

/// The lines of all files that parse, and the files whose last one is torn.
fn parsed(dir: &str) -> (u64, u64) {
    let (mut whole, mut torn) = (0, 0);
    for file in logs(dir) {
        let text = fs::read_to_string(file).unwrap();
        let (lines, tail) = text.split_at(text.rfind('\n').map_or(0, |at| at + 1));
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
            whole += 1;
        }
        torn += u64::from(!tail.is_empty());
    }
    (whole, torn)
}

#[test]
fn what_was_written_survives_whole_and_the_next_start_goes_on() {
    let mut rng = fastrand::Rng::with_seed(9);
    for _ in 0..KILLS {
        let (_keep, dir) = folder();
        kill_at(&dir, rng.u64(1..600_000));
        let (whole, torn) = parsed(&dir);
        assert!(torn <= 1, "{torn} torn lines");
        let verify = run(&["verify", "--dir", &dir]);
        assert_eq!(verify.code, 1, "{verify:?}");
        assert!(verify.stdout.contains("killed: no audit.stop"), "{verify:?}");
        assert_eq!(verify.stdout.contains("torn:"), torn == 1, "{verify:?}");
        assert!(!verify.stdout.contains("in no line"), "nothing else is missing: {verify:?}");

        let again =
            run_with(record(&dir), |to| to.write_all(event(1, common::TRACE, "02", "").as_bytes()));
        assert_eq!(again.code, 0, "{again:?}");
        let (whole_now, torn_now) = parsed(&dir);
        // The event, its start and stop; another start where the stop went to the next file. What
        // was torn is cut off, or passed over in a file without room.
        let added = whole_now - whole;
        assert!(torn_now <= torn && (3..=4).contains(&added), "{whole} {whole_now}");
    }
}
