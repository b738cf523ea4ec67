//! Harm to a log that is being written, by real disks and by other processes in its folder.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DEADLINE, data, lines, logger};
use llm_audit::reader::{Verification, verify};
use llm_audit::{AuditEvent, AuditLogger, EventType};

fn emit(audit: &AuditLogger, n: u64) {
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
    audit.flush(DEADLINE).unwrap();
}

/// Emits until `is_so`; how many it took.
fn emit_until(audit: &AuditLogger, mut is_so: impl FnMut() -> bool) -> u64 {
    for n in 1.. {
        emit(audit, n);
        if is_so() {
            return n;
        }
        std::thread::yield_now();
    }
    unreachable!("it goes on until it is so")
}

fn unexplained(report: &Verification) -> u64 {
    report.instances.iter().map(|instance| instance.unexplained).sum()
}

#[test]
fn a_folder_that_is_removed_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let audit = logger(&dir).build().unwrap();
    emit(&audit, 1);
    fs::remove_dir_all(&dir).unwrap();
    emit(&audit, 2);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(audit.accounting().written, 2);
    let report = verify(&dir).unwrap();
    assert_eq!((report.events, unexplained(&report)), (1, 1), "verify misses what was removed");
    assert!(lines(&dir).iter().any(|line| line["data"]["n"] == 2));
}

#[test]
fn logrotate_with_create_costs_no_line_and_verify_misses_those_it_took_away() {
    let root = tempfile::tempdir().unwrap();
    let audit = logger(root.path()).build().unwrap();
    let path = audit.path().unwrap();
    emit(&audit, 1);
    let moved = path.with_extension("jsonl.1");
    fs::rename(&path, &moved).unwrap();
    // As logrotate does with `create`.
    fs::write(&path, "").unwrap();
    let after = emit_until(&audit, || fs::metadata(&path).unwrap().len() > 0);
    audit.shutdown(DEADLINE).unwrap();
    let numbered = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.contains("\"seq\":")).count() as u64
    };
    assert_eq!(numbered(&path), 1);
    assert_eq!(numbered(&moved), after, "the first one, and those before it was noticed");
    assert_eq!(audit.accounting().written, after + 1);
    let report = verify(root.path()).unwrap();
    assert_eq!(unexplained(&report), after, "they are in no file of the log");
}

#[test]
fn what_copytruncate_takes_is_found() {
    let root = tempfile::tempdir().unwrap();
    let audit = logger(root.path()).build().unwrap();
    let path = audit.path().unwrap();
    (1..=3).for_each(|n| emit(&audit, n));
    fs::copy(&path, root.path().join("copy")).unwrap();
    emit(&audit, 4);
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    (5..=6).for_each(|n| emit(&audit, n));
    // Within a line, too.
    let cut = fs::metadata(&path).unwrap().len() - 5;
    fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
    emit(&audit, 7);
    audit.shutdown(DEADLINE).unwrap();
    let all = lines(root.path());
    let numbers: Vec<u64> = all.iter().filter_map(|line| line["data"]["n"].as_u64()).collect();
    assert_eq!(numbers, [5, 7, 1, 2, 3], "of the log, and of the copy");
    fs::remove_file(root.path().join("copy")).unwrap();
    let report = verify(root.path()).unwrap();
    assert!(!report.is_clean());
    assert_eq!(unexplained(&report), 5, "{:?}", report.findings);
    let said = report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains("seq 1 to 4 in no line and in no audit.loss"), "{said}");
    assert!(said.contains("seq 6 in no line"), "the line cut in two: {said}");
}

#[test]
fn a_symlink_in_the_files_place_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    fs::write(&target, "theirs\n").unwrap();
    let dir = root.path().join("logs");
    let audit = logger(&dir).build().unwrap();
    let path = audit.path().unwrap();
    emit(&audit, 1);
    fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    emit(&audit, 2);
    assert!(audit.path().unwrap().to_str().unwrap().ends_with(".1.jsonl"));
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "theirs\n");
    // Nor does retention follow or remove one.
    let old = dir.join("audit-2001-01-01.jsonl");
    symlink(&target, &old).unwrap();
    let plain = dir.join("audit-2001-01-02.jsonl");
    fs::write(&plain, "\n").unwrap();
    let audit = logger(&dir).retention_days(1).build().unwrap();
    emit_until(&audit, || !plain.exists());
    audit.shutdown(DEADLINE).unwrap();
    assert!(old.symlink_metadata().unwrap().is_symlink() && target.exists());
}

#[test]
fn a_folder_that_becomes_a_file_costs_counted_events_until_it_is_mended() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let audit = logger(&dir).build().unwrap();
    emit(&audit, 1);
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "a file").unwrap();
    (2..=4).for_each(|n| emit(&audit, n));
    assert_eq!(audit.accounting().io_lost, 3);
    fs::remove_file(&dir).unwrap();
    emit(&audit, 5);
    audit.shutdown(DEADLINE).unwrap();
    let all = lines(&dir);
    let loss = all.iter().find(|line| line["event_type"] == "audit.loss").unwrap();
    assert_eq!((&loss["data"]["first_seq"], &loss["data"]["last_seq"]), (&2.into(), &4.into()));
    assert!(audit.accounting().adds_up());
}

#[test]
fn permission_that_is_revoked_and_given_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let audit = logger(&dir).max_file_bytes(4096).build().unwrap();
    emit(&audit, 1);
    let set = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
    set(0o500);
    // The open file is full after some; root may make the next one all the same.
    (2..=60).for_each(|n| emit(&audit, n));
    set(0o700);
    emit(&audit, 61);
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!(accounting.written + accounting.io_lost, 61);
    assert!(lines(&dir).iter().any(|line| line["data"]["n"] == 61));
    let report = verify(&dir).unwrap();
    assert_eq!((report.events, unexplained(&report)), (accounting.written, 0));
    let told: u64 = report.instances.iter().map(|instance| instance.io_lost).sum();
    assert_eq!(told, accounting.io_lost);
}

#[test]
fn the_reserve_shows_in_no_length_and_is_given_back() {
    let root = tempfile::tempdir().unwrap();
    let audit = logger(root.path()).build().unwrap();
    let path = audit.path().unwrap();
    emit(&audit, 1);
    let held = fs::metadata(&path).unwrap();
    assert_eq!(held.len(), fs::read(&path).unwrap().len() as u64);
    audit.shutdown(DEADLINE).unwrap();
    let closed = fs::metadata(&path).unwrap();
    // 64 KiB or more if the file system can reserve, about a page if not.
    assert!(closed.blocks() <= held.blocks());
    assert!(closed.blocks() * 512 < 32 << 10, "{} blocks", closed.blocks());
}

/// A small file system of its own, gone at the end.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None` if this process may not mount one, which it says.
    #[allow(clippy::print_stdout, reason = "a test that runs fewer cases says so")]
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("no tmpfs can be mounted here: the full disk is left to the one in memory");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _left = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn on_a_full_disk_the_log_says_what_it_cost_while_it_is_full() {
    let root = tempfile::tempdir().unwrap();
    let Some(_disk) = Tmpfs::mount(root.path(), "3m") else { return };
    let dir = root.path().join("logs");
    let audit = logger(&dir).build().unwrap();
    emit(&audit, 1);
    // Somebody else fills it to the last byte.
    let mut hog = fs::File::create(root.path().join("hog")).unwrap();
    while std::io::Write::write_all(&mut hog, &[0; 1024]).is_ok() {}
    let mut n = emit_until(&audit, || audit.accounting().io_lost > 0);
    let path = audit.path().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.lines().last().unwrap().contains("audit.loss"), "at once");
    for _ in 0..100 {
        n += 1;
        emit(&audit, n);
    }
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert!(accounting.io_lost > 100 && accounting.adds_up(), "{accounting:?}");
    let report = verify(&dir).unwrap();
    assert_eq!((report.events, unexplained(&report)), (accounting.written, 0));
    assert_eq!(report.instances[0].io_lost, accounting.io_lost, "on the full disk");
    assert_eq!(report.instances[0].state, llm_audit::reader::State::Closed);
}

#[test]
fn several_loggers_keep_one_folder_small_without_a_fight() {
    let root = tempfile::tempdir().unwrap();
    let builder = || logger(root.path()).max_file_bytes(20_000).max_total_bytes(200_000);
    #[cfg(feature = "zstd")]
    let builder = || builder().compress(llm_audit::Compress::Zstd);
    let loggers: Vec<_> = (0..4).map(|_| builder().build().unwrap()).collect();
    std::thread::scope(|scope| {
        for audit in &loggers {
            scope.spawn(move || {
                for n in 0..5_000 {
                    let event = AuditEvent::new(EventType::CacheHit, "a", "b");
                    audit.emit_wait(&event.data(&data(n)));
                }
            });
        }
    });
    for audit in loggers {
        audit.shutdown(DEADLINE).unwrap();
        let accounting = audit.accounting();
        assert_eq!((accounting.written, accounting.io_lost), (5_000, 0));
    }
    let report = verify(root.path()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(report.retired > 0 && report.events < 20_000, "{report:?}");
    let left: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
