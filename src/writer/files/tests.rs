//! Tests of `LogFiles`, most of them on a file system in memory.

use super::super::fs::mem::{MemFs, WriteFault};
use super::open_file::{ADDED_BYTES_MAX, RESERVE_BYTES};
use super::*;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Noon of 2026-03-01.
const NOON: i64 = 1_772_366_400_000_000;

const FIRST: &str = "audit-2026-03-01.jsonl";
const SECOND: &str = "audit-2026-03-01.1.jsonl";
const THIRD: &str = "audit-2026-03-01.2.jsonl";
const NEXT_DAY: &str = "audit-2026-03-02.jsonl";

/// A logger's files in memory, of at most 20 bytes each. Their start line is `S` and the number of
/// torn bytes.
struct Rig {
    fs: MemFs,
    files: LogFiles,
}

impl Rig {
    fn new() -> Self {
        Self::over(MemFs::default())
    }

    fn over(fs: MemFs) -> Self {
        let files = open(&fs, NOON).unwrap();
        Self { fs, files }
    }

    fn try_append(&mut self, batch: &str, now: i64) -> io::Result<()> {
        let mut start = |text: &mut Vec<u8>, torn| text.extend(format!("S{torn}\n").bytes());
        self.files.append(batch.as_bytes(), Urgency::Events, now, &mut start)
    }

    fn append(&mut self, batch: &str, now: i64) {
        self.try_append(batch, now).unwrap();
    }

    #[track_caller]
    fn assert_files(&self, expected: &[(&str, &str)]) {
        let names = self.fs.names();
        let found: Vec<_> = names.iter().map(|name| (&**name, self.fs.text(name))).collect();
        let found: Vec<_> = found.iter().map(|(name, text)| (*name, &**text)).collect();
        assert_eq!(found, expected);
    }

    /// Syncs everything that is handed out.
    fn sync(&mut self) -> usize {
        let mut synced = 0;
        while let Some(file) = self.files.take_for_sync() {
            file.sync_data().unwrap();
            synced += 1;
        }
        synced
    }
}

fn options(dir: impl Into<PathBuf>, max_file_bytes: u64) -> FileOptions {
    FileOptions { dir: dir.into(), max_file_bytes, file_mode: 0o600 }
}

fn open(fs: &MemFs, now: i64) -> Result<LogFiles, Error> {
    LogFiles::open(Arc::new(fs.clone()), options("", 20), now)
}

#[test]
fn the_start_line_goes_with_the_first_batch_and_only_there() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    assert_eq!(rig.fs.state().writes, 1);
    assert_eq!(rig.fs.state().dir_syncs, 0, "a slow disk must not stall who writes");
    rig.append("b\nc\n", NOON);
    rig.append("", NOON);
    assert_eq!(rig.fs.state().writes, 2);
    rig.assert_files(&[(FIRST, "S0\na\nb\nc\n")]);
    assert_eq!(rig.files.path(), Path::new(FIRST));
    assert_eq!(rig.fs.mode(FIRST), 0o600);
}

#[test]
fn an_empty_batch_writes_the_start_line() {
    let mut rig = Rig::new();
    rig.append("", NOON);
    rig.assert_files(&[(FIRST, "S0\n")]);
    // The file still counts as empty, so it takes a batch over the limit as well.
    rig.append("a batch of over 20 bytes\n", NOON);
    rig.append("b\n", NOON);
    rig.assert_files(&[(SECOND, "S0\nb\n"), (FIRST, "S0\na batch of over 20 bytes\n")]);
}

#[test]
fn past_the_size_the_next_name_is_begun() {
    let mut rig = Rig::new();
    rig.append("12345678\n", NOON);
    rig.append("1234567\n", NOON);
    rig.assert_files(&[(FIRST, "S0\n12345678\n1234567\n")]);
    rig.append("x\n", NOON);
    rig.append("a batch of over 20 bytes\n", NOON);
    rig.append("y\n", NOON);
    let expected = [
        ("audit-2026-03-01.1.jsonl", "S0\nx\n"),
        ("audit-2026-03-01.2.jsonl", "S0\na batch of over 20 bytes\n"),
        ("audit-2026-03-01.3.jsonl", "S0\ny\n"),
        (FIRST, "S0\n12345678\n1234567\n"),
    ];
    rig.assert_files(&expected);
}

#[test]
fn the_day_changes_at_midnight_utc_and_never_back() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON + 12 * HOUR - 1);
    rig.append("b\n", NOON + 12 * HOUR);
    rig.append("c\n", NOON - 5 * DAY);
    rig.append("d\n", i64::MIN);
    rig.assert_files(&[(FIRST, "S0\na\n"), (NEXT_DAY, "S0\nb\nc\nd\n")]);
    // If the size limit is reached while the clock is wrong, the name does not go back either.
    rig.append("12345678901\n", NOON - 5 * DAY);
    assert_eq!(rig.files.path(), Path::new("audit-2026-03-02.1.jsonl"));
}

#[test]
fn a_clock_that_leaps_far_ahead_leaves_files_and_order_right() {
    // The first moment of 2100, the last moment of the calendar, and back to today.
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.append("b\n", 4_102_444_800_000_000);
    rig.append("c\n", NOON);
    rig.append("d\n", 4_102_444_800_000_000 + DAY);
    rig.append("e\n", i64::MAX);
    rig.append("f\n", NOON + DAY);
    rig.assert_files(&[
        (FIRST, "S0\na\n"),
        ("audit-2100-01-01.jsonl", "S0\nb\nc\n"),
        ("audit-2100-01-02.jsonl", "S0\nd\n"),
        ("audit-9999-12-30.jsonl", "S0\ne\nf\n"),
    ]);
    assert!(rig.fs.names().iter().all(|name| FileName::parse(name).is_some()));
}

#[test]
fn a_new_day_begins_without_number() {
    let mut rig = Rig::new();
    rig.append("a batch of over 20 bytes\n", NOON);
    rig.append("b\n", NOON);
    assert_eq!(rig.files.path(), Path::new(SECOND));
    rig.append("c\n", NOON + DAY);
    assert_eq!(rig.files.path(), Path::new(NEXT_DAY));
}

#[test]
fn days_of_any_time() {
    let cases = [
        (NOON, "2026-03-01"),
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (951_782_400_000_000, "2000-02-29"),
        (i64::MAX, "9999-12-30"),
    ];
    for (micros, date) in cases {
        assert_eq!(utc_date_of_micros(micros).to_string(), date);
    }
    assert!(utc_date_of_micros(i64::MIN) < utc_date_of_micros(-1));
}

#[test]
fn names_that_cannot_be_had_are_passed_over() {
    let fs = MemFs::default();
    fs.put(FIRST, b"held by another writer\n");
    fs.set_locked(FIRST, true);
    fs.put(format!("{SECOND}.zst"), b"compressed");
    fs.state().foreign.insert(THIRD.into());
    fs.put("audit-2026-03-01.3.jsonl", b"S0\nnearly full here\n");
    fs.put("audit-2026-03-01.4.jsonl", b"S0\nlines\n");
    let mut rig = Rig::over(fs);
    rig.append("new\n", NOON);
    assert_eq!(rig.fs.text("audit-2026-03-01.4.jsonl"), "S0\nlines\nS0\nnew\n");
    assert_eq!(rig.fs.names().len(), 4, "no other file was made");
}

#[test]
fn names_that_retention_freed_are_not_taken_again_while_later_ones_are_there() {
    let fs = MemFs::default();
    fs.put(format!("{THIRD}.zst"), b"compressed");
    fs.put("audit-2026-03-01.4.jsonl", b"S0\nlines\n");
    fs.put("audit-2026-03-02.7.jsonl", b"S0\n");
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    assert_eq!(rig.files.path(), Path::new("audit-2026-03-01.4.jsonl"));
    // Others continued meanwhile, and some of their files were retired.
    rig.fs.put("audit-2026-03-01.30.jsonl", b"S0\nfull for a long time\n");
    rig.append("12345678901234\n", NOON);
    assert_eq!(rig.files.path(), Path::new("audit-2026-03-01.31.jsonl"));
    rig.append("b\n", NOON + DAY);
    assert_eq!(rig.files.path(), Path::new("audit-2026-03-02.7.jsonl"));
    // If no file of the day is left, the first name is used again.
    rig.append("c\n", NOON + 2 * DAY);
    assert_eq!(rig.files.path(), Path::new("audit-2026-03-03.jsonl"));
}

#[test]
fn two_writers_in_one_folder_keep_apart() {
    let mut first = Rig::new();
    let mut second = Rig::over(first.fs.clone());
    first.append("a\n", NOON);
    second.append("b\n", NOON);
    first.append("c\n", NOON);
    first.assert_files(&[(SECOND, "S0\nb\n"), (FIRST, "S0\na\nc\n")]);
    // A writer that starts again takes the first free name.
    drop(first);
    let mut third = Rig::over(second.fs.clone());
    third.append("d\n", NOON);
    assert_eq!(third.fs.text(FIRST), "S0\na\nc\nS0\nd\n");
}

#[test]
fn a_torn_tail_is_cut_off_and_reported() {
    let long = "x".repeat(3 * ADDED_BYTES_MAX as usize);
    let cases = [
        ("S0\na\n{\"torn", "S0\na\n", 6),
        ("no line at all", "", 14),
        ("\n", "\n", 0),
        ("a\n\0\0\0", "a\n", 3),
        ("a\nb\n\nc", "a\nb\n\n", 1),
        (&long, "", long.len()),
        (&format!("line\n{long}"), "line\n", long.len()),
        (&format!("{long}\n{long}"), &format!("{long}\n"), long.len()),
    ];
    for (found, whole, torn) in cases {
        let fs = MemFs::default();
        fs.put(FIRST, found.as_bytes());
        let files = LogFiles::open(Arc::new(fs.clone()), options("", 1 << 30), NOON).unwrap();
        let mut rig = Rig { fs, files };
        rig.append("new\n", NOON);
        assert_eq!(rig.fs.text(FIRST), format!("{whole}S{torn}\nnew\n"));
    }
}

#[test]
fn the_end_of_the_last_line_is_found_at_every_length() {
    let piece = ADDED_BYTES_MAX as usize;
    for tail in [0, 1, 2, piece - 1, piece, piece + 1, piece + 2, 2 * piece, 2 * piece + 1] {
        for head in [0, 1, piece] {
            let mut bytes = vec![b'h'; head];
            bytes.extend_from_slice(b"\n");
            bytes.resize(bytes.len() + tail, b't');
            let fs = MemFs::default();
            fs.put("f", &bytes);
            let file = fs.open_log(Path::new("f"), 0).unwrap().unwrap();
            assert_eq!(
                whole_lines_len_of_file(&*file, bytes.len() as u64).unwrap(),
                head as u64 + 1
            );
        }
    }
}

#[test]
fn a_torn_tail_of_a_file_then_left_is_reported_in_the_next() {
    let fs = MemFs::default();
    fs.put(FIRST, b"S0\n12345678\ntorn");
    let mut rig = Rig::over(fs);
    rig.append("12345678\n", NOON);
    rig.append("1\n", NOON);
    rig.append("12345678\n", NOON);
    rig.assert_files(&[
        (SECOND, "S4\n12345678\n1\n"),
        (THIRD, "S0\n12345678\n"),
        (FIRST, "S0\n12345678\n"),
    ]);
}

#[test]
fn a_torn_tail_of_a_full_file_is_cut_off_and_reported_in_the_next() {
    let fs = MemFs::default();
    fs.put(FIRST, b"S0\n12345678901234567\ntorn");
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    rig.assert_files(&[(SECOND, "S4\na\n"), (FIRST, "S0\n12345678901234567\n")]);
}

#[test]
fn the_torn_tails_of_all_files_are_cut_off_at_the_start_and_reported() {
    const DAY_BEFORE: &str = "audit-2026-02-28.jsonl";
    const LOCKED: &str = "audit-2026-02-28.1.jsonl";
    const COMPRESSED: &str = "audit-2026-02-28.2.jsonl";
    let fs = MemFs::default();
    fs.put(FIRST, b"S0\n");
    fs.put(SECOND, b"S0\nx\nto");
    fs.put(DAY_BEFORE, b"torn");
    fs.put(LOCKED, b"b\nbeing writ");
    fs.put(COMPRESSED, b"torn");
    fs.put(COMPRESSED.to_owned() + ".zst", b"whole");
    fs.put("another", b"torn");
    fs.set_locked(LOCKED, true);
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    rig.assert_files(&[
        ("another", "torn"),
        (LOCKED, "b\nbeing writ"),
        (COMPRESSED, "torn"),
        ("audit-2026-02-28.2.jsonl.zst", "whole"),
        (DAY_BEFORE, ""),
        (SECOND, "S0\nx\n"),
        (FIRST, "S0\nS6\na\n"),
    ]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let faults = [
        || WriteFault::Short(0),
        || WriteFault::Short(3),
        || WriteFault::Fails(0, ErrorKind::StorageFull),
        || WriteFault::Fails(4, ErrorKind::Other),
    ];
    for fault in faults {
        let mut rig = Rig::new();
        // This includes the very first write, with the start line.
        for (batch, whole) in [("a\nb\n", "S0\na\nb\n"), ("c\nd\n", "S0\na\nb\nc\nd\n")] {
            let before = rig.fs.text(FIRST);
            rig.fs.state().write_faults.push_back(fault());
            assert!(rig.try_append(batch, NOON).is_err());
            rig.assert_files(&[(FIRST, &before)]);
            rig.append(batch, NOON);
            rig.assert_files(&[(FIRST, whole)]);
        }
    }
}

#[test]
fn an_interrupted_write_is_tried_again() {
    let mut rig = Rig::new();
    let interrupted = || WriteFault::Fails(0, ErrorKind::Interrupted);
    rig.fs.state().write_faults.extend([interrupted(), interrupted()]);
    rig.append("a\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\n")]);
}

#[test]
fn a_full_disk_is_outlasted() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.fs.state().capacity = Some(7);
    for _ in 0..3 {
        assert!(rig.try_append("bcd\n", NOON).is_err());
        rig.assert_files(&[(FIRST, "S0\na\n")]);
    }
    rig.append("b\n", NOON);
    assert_eq!(rig.try_append("c\n", NOON).unwrap_err().kind(), ErrorKind::StorageFull);
    rig.fs.state().capacity = None;
    rig.append("d\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\nb\nd\n")]);
}

#[test]
fn a_file_whose_fragment_cannot_be_cut_is_left() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.fs.state().truncate_fails = true;
    rig.fs.state().write_faults.push_back(WriteFault::Short(3));
    assert!(rig.try_append("b\nc\n", NOON).is_err());
    rig.append("b\nc\n", NOON);
    rig.assert_files(&[(SECOND, "S0\nb\nc\n"), (FIRST, "S0\na\nb\nc")]);
    assert_eq!(rig.sync(), 2);
}

#[test]
fn a_file_that_somebody_cut_or_added_to_is_gone_on_with() {
    // After copytruncate, after a cut within a line, and after whole lines and half a line of
    // someone else.
    type Somebody = fn(&MemFs);
    let cases: [(Somebody, &str); 5] = [
        (|fs| fs.set_len(FIRST, 0), "S0\nb\n"),
        (|fs| fs.set_len(FIRST, 5), "S0\nS2\nb\n"),
        (|fs| fs.set_len(FIRST, 11), "S0\n12345\nS2\nb\n"),
        (|fs| fs.add_foreign_bytes(FIRST, b"x\n"), "S0\n12345\nx\nS0\nb\n"),
        (|fs| fs.add_foreign_bytes(FIRST, b"x\ny"), "S0\n12345\nx\nS1\nb\n"),
    ];
    for (somebody, expected) in cases {
        let mut rig = Rig::new();
        rig.append("12345\n", NOON);
        somebody(&rig.fs);
        // A later write that fails does not fill it with zeros either.
        rig.fs.state().write_faults.push_back(WriteFault::Short(1));
        assert!(rig.try_append("b\n", NOON).is_err());
        rig.append("b\n", NOON);
        rig.append("c\n", NOON);
        rig.assert_files(&[(FIRST, &format!("{expected}c\n"))]);
    }
}

#[test]
fn what_is_added_between_the_look_and_the_write_spoils_no_line() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    let adds = |rig: &Rig, what: &[&str]| {
        let what = what.iter().map(|what| what.as_bytes().to_vec());
        rig.fs.state().added_before_write = what.collect();
    };
    // Half a line is added during the write, and again while it is repeated.
    adds(&rig, &["ha", "l", "f"]);
    rig.append("b\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\nb\n")]);
    rig.append("c\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\nb\nc\n")]);
    // What was added after it meanwhile stays, even if more is inserted before it.
    let current = rig.files.current.as_mut().unwrap();
    rig.fs.state().added_before_write = [&b"ha"[..], b"", b"lf"].map(<[u8]>::to_vec).into();
    current.append_whole(b"d\n").unwrap();
    current.file.handle().append(b"x\n").unwrap();
    current.repair_glued_write(b"d\n").unwrap();
    rig.assert_files(&[(FIRST, "S0\na\nb\nc\nd\nx\n")]);
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    // Whole lines stay, and half a line after them is removed.
    adds(&rig, &["x\n"]);
    rig.append("b\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\nx\nb\n")]);
    let mut rig = Rig::new();
    adds(&rig, &["x\ny"]);
    rig.append("a\n", NOON);
    rig.assert_files(&[(FIRST, "x\nS0\na\n")]);
    // If the file cannot be cut, `verify` reports the line.
    let mut rig = Rig::new();
    adds(&rig, &["y"]);
    rig.fs.state().truncate_fails = true;
    rig.append("a\n", NOON);
    rig.assert_files(&[(FIRST, "yS0\na\n")]);
    // If the disk is full by then, the batch is lost as a whole, and can be given again.
    let mut rig = Rig::new();
    adds(&rig, &["y"]);
    rig.fs.state().write_faults.extend([WriteFault::Short(20), WriteFault::Short(1)]);
    rig.try_append("a\n", NOON).unwrap_err();
    rig.append("a\n", NOON);
    rig.assert_files(&[(FIRST, "S0\na\n")]);
}

#[test]
fn a_file_that_cannot_be_cut_at_the_moment_is_kept() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.fs.set_len(FIRST, 4);
    rig.fs.state().truncate_fails = true;
    assert!(rig.try_append("b\n", NOON).is_err());
    rig.fs.state().truncate_fails = false;
    rig.append("b\n", NOON);
    rig.assert_files(&[(FIRST, "S0\nS1\nb\n")]);
}

/// Its server or mount may be gone, and the path may be valid again.
#[test]
fn a_file_that_cannot_be_looked_at_is_left_for_another() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.fs.forget_files();
    rig.append("b\n", NOON);
    rig.append("c\n", NOON);
    rig.assert_files(&[(FIRST, "S0\nb\nc\n")]);
}

#[test]
fn a_removed_file_is_noticed_at_once_and_a_renamed_one_within_a_second() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.fs.remove(FIRST);
    rig.append("b\n", NOON);
    rig.assert_files(&[(FIRST, "S0\nb\n")]);
    // This is what logrotate does with `create`. Lines written before the check are in the old
    // file.
    rig.fs.rename_away(FIRST, "old");
    rig.append("c\n", NOON + 999_999);
    rig.append("d\n", NOON + 1_000_000);
    rig.assert_files(&[(FIRST, "S0\nd\n"), ("old", "S0\nb\nc\n")]);
    // The clock may go back meanwhile.
    rig.fs.rename_away(FIRST, "older");
    rig.append("e\n", NOON - HOUR);
    assert_eq!(rig.fs.text(FIRST), "S0\ne\n");
    // A file of someone else at the path is not written to while it is locked. A symlink never is.
    for theirs in [true, false] {
        let mut rig = Rig::new();
        rig.append("a\n", NOON);
        rig.fs.remove(FIRST);
        rig.fs.put(FIRST, b"theirs\n");
        rig.fs.set_locked(FIRST, theirs);
        if !theirs {
            rig.fs.state().foreign.insert(FIRST.into());
        }
        rig.append("f\n", NOON);
        assert_eq!(
            (rig.fs.text(SECOND), rig.fs.text(FIRST)),
            ("S0\nf\n".into(), "theirs\n".into())
        );
    }
}

#[test]
fn what_was_written_is_handed_out_for_sync_once() {
    let mut rig = Rig::new();
    assert_eq!(rig.sync(), 0);
    rig.append("a\n", NOON);
    assert_eq!((rig.sync(), rig.sync()), (1, 0));
    assert_eq!((rig.fs.synced(FIRST), rig.fs.state().dir_syncs), (5, 1), "and its name");
    rig.append("12345678901234\n", NOON);
    rig.append("12345678901234\n", NOON);
    rig.append("1\n", NOON + DAY);
    assert_eq!(rig.sync(), 3, "those left behind, too");
    assert_eq!([FIRST, SECOND, NEXT_DAY].map(|name| rig.fs.synced(name)), [20, 18, 5]);
    assert_eq!(rig.sync(), 0);
}

#[test]
fn a_new_file_is_synced_with_its_name_once() {
    let mut rig = Rig::new();
    for batch in ["a\n", "b\n"] {
        rig.append(batch, NOON);
        rig.sync();
        assert_eq!(rig.fs.state().dir_syncs, 1);
    }
    // If a file is continued, its name may not be durable yet.
    let mut again = Rig::over(rig.fs.clone());
    drop(rig);
    again.append("c\n", NOON);
    again.sync();
    again.append("d\n", NOON);
    again.sync();
    assert_eq!(again.fs.state().dir_syncs, 2);
}

/// The names of the folder and of those above it are synced too: once, and again if the folder was
/// replaced.
#[test]
fn a_new_folder_is_synced_with_all_above_it() {
    let fs = MemFs::default();
    let files = LogFiles::open(Arc::new(fs.clone()), options("a/b", 20), NOON).unwrap();
    let mut rig = Rig { fs, files };
    let syncs = |rig: &mut Rig, batch: &str| {
        let before = rig.fs.state().dir_syncs;
        rig.append(batch, NOON);
        rig.sync();
        rig.fs.state().dir_syncs - before
    };
    assert_eq!(syncs(&mut rig, "a\n"), 3, "a/b, a and where that is");
    assert_eq!(syncs(&mut rig, "12345678901234567\n"), 1, "another file");
    assert_eq!(syncs(&mut rig, "b\n"), 1);
    for name in rig.fs.names() {
        rig.fs.remove(name);
    }
    assert_eq!(syncs(&mut rig, "c\n"), 3);
}

#[test]
fn a_closed_file_stays_locked_until_it_is_synced() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    rig.append("b\n", NOON + DAY);
    let is_free = |rig: &Rig| {
        let file = rig.fs.open_log(Path::new(FIRST), 0).unwrap().unwrap();
        file.try_lock().unwrap()
    };
    assert!(!is_free(&rig));
    rig.sync();
    assert!(is_free(&rig));
}

#[test]
fn rotation_by_size_waits_while_too_many_files_wait_for_sync() {
    let mut rig = Rig::new();
    for _ in 0..2 * UNSYNCED_MAX {
        rig.append("123456789012\n", NOON);
    }
    assert_eq!(rig.fs.names().len(), UNSYNCED_MAX + 1);
    rig.sync();
    rig.append("1234567890\n", NOON);
    assert_eq!(rig.fs.names().len(), UNSYNCED_MAX + 2);
}

#[test]
fn after_a_failed_sync_another_file_is_begun() {
    let mut rig = Rig::new();
    rig.append("a\n", NOON);
    let file = rig.files.take_for_sync().unwrap();
    rig.fs.state().sync_fails = true;
    assert!(file.sync_data().is_err());
    rig.files.sync_failed(&file);
    // Not even if no handle is left.
    drop(file);
    rig.fs.state().sync_fails = false;
    rig.append("b\n", NOON);
    rig.assert_files(&[(SECOND, "S0\nb\n"), (FIRST, "S0\na\n")]);
    // A failed sync of a closed file changes nothing.
    rig.append("c\n", NOON + DAY);
    let left = rig.files.take_for_sync().unwrap();
    rig.files.sync_failed(&left);
    rig.append("d\n", NOON + DAY);
    assert_eq!(rig.fs.text(NEXT_DAY), "S0\nc\nd\n");
}

#[test]
fn a_file_removed_while_it_was_being_locked_is_not_written_to() {
    let fs = MemFs::default();
    fs.state().vanishes_at_lock = true;
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    rig.assert_files(&[(SECOND, "S0\na\n")]);
}

#[test]
fn a_file_compressed_while_it_was_being_locked_is_not_written_to() {
    let fs = MemFs::default();
    fs.state().compressed_at_lock = true;
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    let compressed = format!("{FIRST}.zst");
    rig.assert_files(&[(SECOND, "S0\na\n"), (&compressed, "")]);
}

#[test]
fn a_full_disk_has_room_for_the_logs_append_pending() {
    let own = |rig: &mut Rig, line: &str, what| {
        rig.files.append(line.as_bytes(), what, NOON, &mut |_, _| {})
    };
    let fs = MemFs::default();
    let files = LogFiles::open(Arc::new(fs.clone()), options("", 1 << 30), NOON).unwrap();
    let mut rig = Rig { fs, files };
    rig.fs.state().reserves = true;
    rig.append("a\n", NOON);
    let reserve = RESERVE_BYTES as usize;
    assert!(rig.fs.reserved_to(FIRST) >= 5 + reserve, "ahead of the end from the first line on");
    assert!(rig.files.has_reserve());
    assert_eq!(rig.fs.text(FIRST), "S0\na\n", "and in no length");
    // Batches are as large as the room allows. After that, no event goes into the reserve.
    rig.fs.state().capacity = Some(3 << 20);
    let batch = format!("{}\n", "x".repeat(100_000));
    let mut written = 0;
    while rig.try_append(&batch, NOON).is_ok() {
        written += 1;
        assert!(rig.fs.reserved_to(FIRST) >= rig.fs.text(FIRST).len() + reserve);
    }
    assert!((27..=31).contains(&written), "{written}");
    // A smaller batch may still fit, but in the end none does.
    while rig.try_append("b\n", NOON).is_ok() {}
    let full = rig.try_append("b\n", NOON).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    let loss = format!("{}\n", "l".repeat(999));
    let losses = std::iter::from_fn(|| own(&mut rig, &loss, Urgency::Loss).ok()).count();
    assert_eq!(losses, reserve / 2 / 1000, "half of it is kept for the last lines");
    let last = format!("{}\n", "z".repeat(30_000));
    own(&mut rig, &last, Urgency::Last).unwrap();
    assert!(rig.fs.text(FIRST).ends_with(&last));
    // If the disk has room again, the reserve is filled again.
    rig.fs.state().capacity = None;
    rig.append("c\n", NOON);
    assert!(rig.fs.reserved_to(FIRST) >= rig.fs.text(FIRST).len() + reserve);
    // The reserve is released when a file is closed.
    rig.append("d\n", NOON + DAY);
    assert_eq!(rig.fs.reserved_to(FIRST), 0);
    assert!(rig.fs.reserved_to(NEXT_DAY) > 0);
    let Rig { fs, files } = rig;
    drop(files);
    assert_eq!((fs.reserved_to(NEXT_DAY), &*fs.text(NEXT_DAY)), (0, "S0\nd\n"));
}

#[test]
fn a_reserve_that_a_fragment_cost_is_renewed() {
    let mut rig = Rig::new();
    rig.fs.state().reserves = true;
    rig.append("a\n", NOON);
    rig.fs.state().write_faults.push_back(WriteFault::Short(1));
    assert!(rig.try_append("b\n", NOON).is_err());
    assert!(!rig.files.has_reserve());
    rig.append("b\n", NOON);
    assert!(rig.files.has_reserve());
    rig.assert_files(&[(FIRST, "S0\na\nb\n")]);
}

#[test]
fn a_file_that_cannot_be_begun_is_tried_again() {
    let fs = MemFs::default();
    fs.state().open_fails = true;
    assert!(open(&fs, NOON).err().unwrap().is_io());
    fs.state().open_fails = false;
    let mut rig = Rig::over(fs);
    rig.append("a\n", NOON);
    rig.fs.state().open_fails = true;
    assert!(rig.try_append("b\n", NOON + DAY).is_err());
    rig.fs.state().open_fails = false;
    rig.append("b\n", NOON + DAY);
    rig.assert_files(&[(FIRST, "S0\na\n"), (NEXT_DAY, "S0\nb\n")]);
}

#[test]
fn the_search_for_a_name_ends() {
    let fs = MemFs::default();
    let date = utc_date_of_micros(NOON);
    fs.state()
        .foreign
        .extend((0..NAMES_TRIED_MAX).map(|n| FileName::new(date, n.into()).to_string().into()));
    let error = open(&fs, NOON).err().unwrap().to_string();
    assert!(error.contains("65536 names tried"), "{error}");
}

/// Runs random batches, faults, clock steps, removals and restarts. After each step every file has
/// only whole lines. Accepted lines are there once, in order.
#[test]
fn whatever_happens_files_hold_what_was_accepted() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new();
        rig.fs.state().reserves = seed % 2 == 1;
        let (mut now, mut accepted, mut removed) = (NOON, Vec::new(), Vec::new());
        for step in 0..120 {
            let batch: String = (0..rng.u32(1..4)).map(|n| format!("{step:04}.{n}\n")).collect();
            match rng.u8(..12) {
                0 => now += rng.i64(-DAY..2 * DAY),
                1 => {
                    rig.sync();
                }
                2 => {
                    // Everything is synced and closed first, so that a restart finds the files as
                    // they are.
                    let fs = rig.fs.clone();
                    drop(rig);
                    rig = Rig { files: open(&fs, now).unwrap(), fs };
                }
                3 => {
                    let taken = rng.usize(..batch.len());
                    rig.fs.state().write_faults.push_back(WriteFault::Short(taken));
                }
                4 => {
                    let kind = rng.choice([ErrorKind::Other, ErrorKind::Interrupted]).unwrap();
                    // An interrupted call has written nothing.
                    let taken = if kind == ErrorKind::Other { rng.usize(..batch.len()) } else { 0 };
                    rig.fs.state().write_faults.push_back(WriteFault::Fails(taken, kind));
                }
                5 => {
                    if let Some(name) = rng.choice(rig.fs.names()) {
                        removed.push(rig.fs.text(&name));
                        rig.fs.remove(&name);
                        now += 1_000_000;
                    }
                }
                _ => now += 1_000,
            }
            if rig.try_append(&batch, now).is_ok() {
                accepted.push(batch);
            }
            assert_consistent(&rig, &removed, &accepted, seed);
        }
        assert!(accepted.len() > 60, "seed {seed}: only {} accepted", accepted.len());
    }
}

fn assert_consistent(rig: &Rig, removed: &[String], accepted: &[String], seed: u64) {
    let names = rig.fs.names();
    let texts: Vec<_> =
        names.iter().map(|name| rig.fs.text(name)).chain(removed.iter().cloned()).collect();
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        assert!(text.starts_with("S0\n") && text.ends_with('\n'), "seed {seed}: {text:?}");
        let lines: Vec<_> = text.lines().filter(|line| *line != "S0").collect();
        assert!(lines.is_sorted(), "seed {seed}: {text:?}");
        found.extend(lines);
        // At most the limit, not counting the start lines that restarts added.
        let restarts = text.matches("S0\n").count() * 3;
        assert!(text.len() <= 21 + restarts, "seed {seed}: {text:?}");
    }
    found.sort_unstable();
    let accepted: Vec<_> = accepted.iter().flat_map(|batch| batch.lines()).collect();
    assert_eq!(found, accepted, "seed {seed}");
}

#[cfg(unix)]
mod on_the_real_file_system {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::super::fs::OsFs;
    use super::*;

    fn open(dir: &Path, max_file_bytes: u64) -> Result<LogFiles, Error> {
        LogFiles::open(Arc::new(OsFs), options(dir, max_file_bytes), NOON)
    }

    fn append(files: &mut LogFiles, batch: &str, now: i64) {
        let mut start = |text: &mut Vec<u8>, torn| text.extend(format!("S{torn}\n").bytes());
        files.append(batch.as_bytes(), Urgency::Events, now, &mut start).unwrap();
    }

    #[test]
    fn days_sizes_and_a_clock_that_steps_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("logs");
        let mut files = open(&dir, 10).unwrap();
        append(&mut files, "1234\n", NOON);
        append(&mut files, "1234\n", NOON);
        append(&mut files, "a\n", NOON + DAY);
        append(&mut files, "b\n", NOON);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(read(FIRST), "S0\n1234\n");
        assert_eq!(read(SECOND), "S0\n1234\n");
        assert_eq!(read(NEXT_DAY), "S0\na\nb\n");
        assert_eq!(files.path(), dir.join(NEXT_DAY));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&dir), mode(files.path())), (0o700, 0o600));
        while let Some(file) = files.take_for_sync() {
            file.sync_data().unwrap();
        }
    }

    #[test]
    fn links_locks_and_torn_tails() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("target"), "theirs\n").unwrap();
        symlink(at("target"), at(FIRST)).unwrap();
        fs::write(at(SECOND), "a\ntorn").unwrap();
        let mut first = open(root.path(), 1_000).unwrap();
        let mut second = open(root.path(), 1_000).unwrap();
        append(&mut first, "b\n", NOON);
        append(&mut second, "c\n", NOON);
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(read("target"), "theirs\n");
        assert_eq!(read(SECOND), "a\nS4\nb\n");
        assert_eq!(read(THIRD), "S0\nc\n");
        fs::rename(at(THIRD), at("moved")).unwrap();
        append(&mut second, "d\n", NOON + HOUR);
        assert_eq!((read("moved"), read(THIRD)), ("S0\nc\n".into(), "S0\nd\n".into()));
    }

    #[test]
    fn a_folder_that_vanishes_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("logs");
        let mut files = open(&dir, 1_000).unwrap();
        append(&mut files, "a\n", NOON);
        fs::remove_dir_all(&dir).unwrap();
        append(&mut files, "b\n", NOON + HOUR);
        assert_eq!(fs::read_to_string(dir.join(FIRST)).unwrap(), "S0\nb\n");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        for dir in [file.clone(), file.join("below")] {
            let error = open(&dir, 1_000).err().unwrap();
            assert!(error.is_io() && error.to_string().contains("file"), "{error}");
        }
    }
}
