//! Folders as they are found, whole, torn, compressed and held.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use super::*;
#[cfg(feature = "zstd")]
use crate::zst;

fn append(dir: &Path, name: &str, text: &str) {
    let mut file = File::options().create(true).append(true).open(dir.join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn all(dir: &Path) -> Vec<(String, u64, u64, Ending, String)> {
    let folder = Folder::open(dir).unwrap();
    let mut lines = folder.lines();
    let mut found = Vec::new();
    while let Some(entry) = lines.next_line().unwrap() {
        let text = String::from_utf8_lossy(entry.bytes).into_owned();
        found.push((entry.file.to_owned(), entry.number, entry.offset, entry.ending, text));
    }
    assert_eq!(lines.bytes_read(), folder.bytes());
    found
}

#[test]
fn files_by_day_then_number_and_lines_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "audit-2026-01-02.10.jsonl", "j\n");
    append(dir.path(), "audit-2026-01-02.9.jsonl", "i\n\nk");
    append(dir.path(), "audit-2026-01-02.jsonl", "a\nbb\n");
    append(dir.path(), "audit-2025-12-31.3.jsonl", "");
    append(dir.path(), "notes.txt", "no\n");
    let day = |suffix: &str| format!("audit-2026-01-02{suffix}.jsonl");
    let expected = [
        (day(""), 1, 0, Ending::Newline, "a"),
        (day(""), 2, 2, Ending::Newline, "bb"),
        (day(".9"), 1, 0, Ending::Newline, "i"),
        (day(".9"), 2, 2, Ending::Newline, ""),
        (day(".9"), 3, 3, Ending::Torn, "k"),
        (day(".10"), 1, 0, Ending::Newline, "j"),
    ];
    assert_eq!(all(dir.path()), expected.map(|(f, n, o, e, t)| (f, n, o, e, t.to_owned())));
    assert!(Folder::open(dir.path().join("missing")).unwrap_err().is_io());
}

/// Readers report it, and go on.
#[test]
fn what_has_a_name_of_the_log_and_is_no_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("audit-2026-01-03.jsonl")).unwrap();
    append(dir.path(), "audit-2026-01-04.jsonl", "a\n");
    let folder = Folder::open(dir.path()).unwrap();
    let mut lines = folder.lines();
    let error = lines.next_line().unwrap_err().to_string();
    assert!(error.ends_with("audit-2026-01-03.jsonl: it is a folder"), "{error}");
    assert_eq!(lines.next_line().unwrap().unwrap().bytes, b"a");
    let mut parts = folder.files()[0].parts_from_end();
    let part = parts.next().unwrap().unwrap();
    assert!(
        Lines::of_part(&folder.files()[0], part).next_line().is_err() && parts.next().is_none()
    );
    let mut follow = Follow::after(&folder).unwrap();
    assert!(follow.next_line().unwrap().is_none());
}

#[test]
fn a_line_past_the_limit_is_stepped_over() {
    let limit = LINE_BYTES_MAX as u64;
    for (extra, ending) in [(0, Ending::Newline), (1, Ending::TooLong(limit + 1))] {
        let long = io::repeat(b'x').take(limit + extra);
        let mut input = BufReader::new((&b"first\n"[..]).chain(long).chain(&b"\nlast\nend"[..]));
        let mut line = Vec::new();
        let mut next = || read_line(&mut input, &mut line).unwrap().map(|e| (e, line.len()));
        assert_eq!(next(), Some((Ending::Newline, 5)));
        let held = if extra == 0 { LINE_BYTES_MAX } else { 0 };
        assert_eq!(next(), Some((ending, held)));
        assert_eq!(next(), Some((Ending::Newline, 4)));
        assert_eq!(next(), Some((Ending::Torn, 3)));
        assert_eq!(next(), None);
    }
}

#[test]
fn the_last_whole_line_is_found_across_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let name = "audit-2026-01-02.jsonl";
    let found = || Folder::open(dir.path()).unwrap().files[0].lines_end().unwrap();
    for torn in [0, 1, 64 << 10, 3 * (64 << 10)] {
        fs::write(dir.path().join(name), format!("ab\n{}", "x".repeat(torn))).unwrap();
        assert_eq!(found(), 3, "{torn}");
    }
    fs::write(dir.path().join(name), "x".repeat((64 << 10) + 7)).unwrap();
    assert_eq!(found(), 0);
}

#[cfg(feature = "zstd")]
fn compressed(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    zst::compress(&mut text.as_bytes(), text.len() as u64, &mut out).unwrap();
    out
}

#[cfg(feature = "zstd")]
#[test]
fn compressed_files_are_read_and_a_copy_is_not_read_twice() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let texts = || -> Vec<String> { all(dir.path()).into_iter().map(|line| line.4).collect() };
    append(dir.path(), "audit-2026-01-02.1.jsonl", "c\n");
    fs::write(at("audit-2026-01-02.jsonl.zst"), compressed("a\nb\n")).unwrap();
    assert_eq!(texts(), ["a", "b", "c"]);
    // Both are there until the original is removed.
    append(dir.path(), "audit-2026-01-02.jsonl", "a\nb\n");
    assert_eq!(texts(), ["a", "b", "c"]);
    assert_eq!(Folder::open(dir.path()).unwrap().files()[0].name(), "audit-2026-01-02.jsonl");
    // Of two that differ the longer is read: a power cut may have made the original shorter.
    fs::write(at("audit-2026-01-02.jsonl"), "a\n").unwrap();
    assert_eq!(texts(), ["a", "b", "c"]);
    fs::write(at("audit-2026-01-02.jsonl"), "a\nb\nx\n").unwrap();
    assert_eq!(texts(), ["a", "b", "x", "c"]);
    // Compressed between the listing and the reading.
    let folder = Folder::open(dir.path()).unwrap();
    fs::write(at("audit-2026-01-02.1.jsonl.zst"), compressed("c\n")).unwrap();
    fs::remove_file(at("audit-2026-01-02.1.jsonl")).unwrap();
    let (mut lines, mut found) = (folder.lines(), Vec::new());
    while let Some(entry) = lines.next_line().unwrap() {
        found.push(String::from_utf8(entry.bytes.to_vec()).unwrap());
    }
    assert_eq!(found, ["a", "b", "x", "c"]);
    // Damaged.
    let mut bytes = compressed(&"long ".repeat(100));
    bytes.pop();
    fs::write(at("audit-2026-01-01.jsonl.zst"), bytes).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let error = folder.lines().next_line().unwrap_err().to_string();
    assert!(error.contains("audit-2026-01-01.jsonl.zst"), "{error}");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn without_the_feature_a_compressed_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "audit-2026-01-02.jsonl.zst", "whatever");
    let folder = Folder::open(dir.path()).unwrap();
    let error = folder.lines().next_line().unwrap_err().to_string();
    assert!(error.contains("audit-2026-01-02.jsonl.zst"), "{error}");
    assert!(error.contains("lacks the feature zstd"), "{error}");
}

#[test]
fn a_held_file_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), "audit-2026-01-02.jsonl", "a\n");
    let folder = Folder::open(dir.path()).unwrap();
    assert!(!folder.files[0].is_locked());
    let holder = File::open(dir.path().join("audit-2026-01-02.jsonl")).unwrap();
    holder.lock().unwrap();
    assert!(folder.files[0].is_locked());
    drop(holder);
    assert!(!folder.files[0].is_locked());
}

#[test]
fn the_parts_of_a_file_are_its_lines_once() {
    for lines in [0, 1, 3, 1_000, 40_000] {
        for ending in ["", "torn"] {
            let dir = tempfile::tempdir().unwrap();
            let long = "x".repeat(200_000);
            let mut text: String = (0..lines).map(|n| format!("line {n}\n")).collect();
            if lines == 3 {
                text += &format!("{long}\n{long}\nend\n");
            }
            text += ending;
            fs::write(dir.path().join("audit-2026-01-02.jsonl"), &text).unwrap();
            let folder = Folder::open(dir.path()).unwrap();
            let file = &folder.files()[0];
            let mut found = Vec::new();
            for part in file.parts_from_end() {
                let (mut lines, mut of_part) = (Lines::of_part(file, part.unwrap()), Vec::new());
                while let Some(entry) = lines.next_line().unwrap() {
                    assert!(text.as_bytes()[entry.offset as usize..].starts_with(entry.bytes));
                    of_part.push(String::from_utf8(entry.bytes.to_vec()).unwrap());
                }
                found.splice(..0, of_part);
            }
            assert!(found.iter().map(String::as_str).eq(text.lines()), "{lines} {ending}");
        }
    }
}
