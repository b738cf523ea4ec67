//! Tests of retention in a folder, and of power cuts in the middle of it.

use std::cell::RefCell;

use jiff::civil::date;

use super::super::fs::mem::MemFs;
use super::*;
use llm_audit_log::schema::notices::Seqs;

const TODAY: Date = date(2026, 3, 10);
const A: &str = "00000000000000aa";
const B: &str = "00000000000000bb";

fn event(instance: &str, seq: u64) -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{instance}\",\"seq\":{seq},\"agent\":\"a\"}}\n"
    )
}

fn rules(fs: &MemFs) -> Retention {
    Retention {
        fs: Arc::new(fs.clone()),
        dir: PathBuf::new(),
        retention_days: None,
        max_total_bytes: None,
        waits: true,
        compress: false,
        warns: false,
    }
}

/// Runs to the end. Returns the files that were removed.
fn run(retention: &Retention) -> Vec<Retired> {
    let told = RefCell::new(Vec::new());
    let retire = |remove: &mut dyn FnMut() -> io::Result<Retired>| {
        told.borrow_mut().push(remove()?);
        Ok(true)
    };
    assert!(retention.apply_rules(TODAY, &|| true, &retire));
    told.into_inner()
}

fn names(retired: &[Retired]) -> Vec<&str> {
    retired.iter().map(|retired| &*retired.file).collect()
}

#[test]
fn files_of_days_further_back_are_removed() {
    let fs = MemFs::default();
    let all = [
        "audit-2025-12-31.2.jsonl",
        "audit-2026-03-02.jsonl.zst",
        "audit-2026-03-03.jsonl",
        "audit-2026-03-10.jsonl",
        "audit-2027-01-01.jsonl",
        "audit-2020-01-01.jsonl.1",
        "audit-2020-01-01.log",
        "other-2020-01-01.jsonl",
        "audit-2020-1-1.jsonl",
    ];
    for name in all {
        fs.put(name, b"x\n");
    }
    let retired = run(&Retention { retention_days: Some(7), ..rules(&fs) });
    assert_eq!(names(&retired), all[..2]);
    assert_eq!((retired[0].bytes, &*retired[0].why), (2, "AUDIT_RETENTION_DAYS"));
    assert_eq!(fs.names().len(), all.len() - 2, "and nothing that is not the log's");
    assert_eq!(run(&Retention { retention_days: Some(7), ..rules(&fs) }), []);
    // If the limit is before the first day of the calendar, every file stays.
    assert_eq!(run(&Retention { retention_days: Some(u32::MAX), ..rules(&fs) }), []);
}

#[cfg(unix)]
#[test]
fn an_index_is_removed_with_its_file_but_not_through_a_link() {
    use crate::writer::fs::OsFs;

    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let name = "audit-2026-01-02.jsonl";
    let rules = Retention {
        fs: Arc::new(OsFs),
        dir: dir.path().to_owned(),
        retention_days: Some(7),
        ..rules(&MemFs::default())
    };
    for is_link in [false, true] {
        std::fs::create_dir(at("elsewhere")).unwrap();
        match is_link {
            true => std::os::unix::fs::symlink(at("elsewhere"), at(".index")).unwrap(),
            false => std::fs::rename(at("elsewhere"), at(".index")).unwrap(),
        }
        let index = at(".index").join(format!("{name}.idx"));
        std::fs::write(&index, "").unwrap();
        std::fs::write(at(name), "x\n").unwrap();
        assert_eq!(names(&run(&rules)), [name]);
        assert_eq!(index.exists(), is_link);
        if !is_link {
            std::fs::remove_dir(at(".index")).unwrap();
        }
    }
}

#[test]
fn the_oldest_are_removed_until_the_rest_fits() {
    let name = |n: u32| format!("audit-2026-03-{n:02}.jsonl");
    for (limit, removed) in [(1000, 0), (50, 0), (49, 1), (21, 3), (0, 5)] {
        let fs = MemFs::default();
        (1..=5).for_each(|n| fs.put(name(n), b"123456789\n"));
        fs.put("not-the-logs", &[0; 1000]);
        let retired = run(&Retention { max_total_bytes: Some(limit), ..rules(&fs) });
        assert_eq!(names(&retired), (1..=removed).map(name).collect::<Vec<_>>());
        assert!(retired.iter().all(|retired| retired.why == "AUDIT_MAX_TOTAL_BYTES"));
    }
}

#[test]
fn what_somebody_holds_or_that_cannot_be_removed_stays() {
    let fs = MemFs::default();
    for n in 1..=3 {
        fs.put(format!("audit-2026-01-0{n}.jsonl"), b"1234\n");
    }
    fs.set_locked("audit-2026-01-01.jsonl", true);
    let by_size = Retention { max_total_bytes: Some(10), ..rules(&fs) };
    assert_eq!(names(&run(&by_size)), ["audit-2026-01-02.jsonl"], "the next one goes instead");
    fs.state().remove_fails = true;
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    assert_eq!(run(&by_day), []);
    fs.state().remove_fails = false;
    fs.state().open_fails = true;
    assert_eq!(run(&by_day), []);
    fs.state().open_fails = false;
    fs.set_locked("audit-2026-01-01.jsonl", false);
    // Another process removed it between the listing and the lock.
    fs.state().vanishes_at_lock = true;
    assert_eq!(names(&run(&by_day)), ["audit-2026-01-03.jsonl"]);
    assert!(fs.names().is_empty() && fs.state().handles == 0);
}

#[test]
fn no_file_of_an_instance_goes_before_an_older_one_of_it() {
    let fs = MemFs::default();
    let name = |n: u32| format!("audit-2026-01-0{n}.jsonl");
    fs.put(name(1), event(A, 1).as_bytes());
    fs.put(name(2), (event(A, 2) + &event(B, 1)).as_bytes());
    fs.put(name(3), event(B, 2).as_bytes());
    fs.put(name(4), event("00000000000000cc", 1).as_bytes());
    // The last lines of B, which have no number.
    let stop = event(B, 9).replace("\"seq\":9", "\"event_type\":\"audit.stop\"");
    fs.put(name(5), stop.as_bytes());
    // The oldest is locked, for example by a process that compresses it.
    fs.set_locked(name(1), true);
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    assert_eq!(names(&run(&by_day)), [name(4)]);
    fs.set_locked(name(1), false);
    let retired = run(&by_day);
    assert_eq!(names(&retired), [name(1), name(2), name(3), name(5)]);
    assert_eq!(retired[3].instances, Some(vec![]));
}

#[test]
fn a_file_that_cannot_be_read_goes_as_one_that_can_but_not_before_an_older_one() {
    let fs = MemFs::default();
    let unread = |n: u32| format!("audit-2026-01-0{n}.jsonl.zst");
    fs.put(unread(1), b"not zstd at all");
    fs.put("audit-2026-01-02.jsonl", event(A, 1).as_bytes());
    fs.put(unread(3), b"not zstd at all");
    fs.put("audit-2026-01-04.jsonl", event(B, 1).as_bytes());
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    // If an older file stays, later ones may contain the same instance, so they stay too.
    fs.set_locked("audit-2026-01-02.jsonl", true);
    let retired = run(&by_day);
    assert_eq!(names(&retired), [unread(1)]);
    assert_eq!(retired[0].instances, None);
    // The same holds if the older file cannot be read.
    fs.set_locked("audit-2026-01-02.jsonl", false);
    fs.set_locked(unread(3), true);
    assert_eq!(names(&run(&by_day)), ["audit-2026-01-02.jsonl"]);
    fs.set_locked(unread(3), false);
    assert_eq!(names(&run(&by_day)), [unread(3), "audit-2026-01-04.jsonl".to_owned()]);
}

#[test]
fn a_removed_file_is_reported_with_its_numbers() {
    let loss = format!(
        "{{\"instance\":\"{B}\",\"event_type\":\"audit.loss\",\"data\":{{\"first_seq\":9,\"last_seq\":12,\"overwritten\":3,\"io_lost\":1}}}}\n"
    );
    let text = event(A, 3)
        + &event(A, 4)
        + &event(B, 7)
        + "{\"event_type\":\"a\",\"seq\":99}\n"
        + &event(A, 6)
        + &loss
        + event(B, 14).split_once(",\"agent").unwrap().0;
    let fs = MemFs::default();
    fs.put("audit-2026-01-01.jsonl", text.as_bytes());
    let retired = run(&Retention { retention_days: Some(1), ..rules(&fs) });
    let a = Seqs { first_seq: 3, last_seq: 6, events: 3, ..Seqs::of(A) };
    let b =
        Seqs { first_seq: 7, last_seq: 12, events: 1, overwritten: 3, io_lost: 1, ..Seqs::of(B) };
    assert_eq!(retired[0].instances, Some(vec![a, b]));
}

#[test]
fn tidying_is_broken_off_between_files_and_gone_on_with_later() {
    let fs = MemFs::default();
    for n in 1..=3 {
        fs.put(format!("audit-2026-01-0{n}.jsonl"), b"1234\n");
    }
    let told = RefCell::new(0);
    let one = || *told.borrow() < 1;
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    let retire = |remove: &mut dyn FnMut() -> io::Result<Retired>| {
        *told.borrow_mut() += 1;
        remove().map(|_| true)
    };
    assert!(!by_day.apply_rules(TODAY, &one, &retire));
    assert_eq!((*told.borrow(), fs.names().len()), (1, 2));
    assert_eq!(run(&by_day).len(), 2);
}

/// Puts the position of a destination that has so many bytes of these files.
fn put_position(fs: &MemFs, destination: &str, has: &[(&str, usize)]) {
    let position = |(file, offset): &(&str, usize)| {
        format!(
            "{{\"file\":\"{file}\",\"offset\":{offset},\"instance\":null,\"seq\":null,\
             \"line_bytes\":0,\"line_hash\":0}}"
        )
    };
    let positions: Vec<_> = has.iter().map(position).collect();
    let text = format!("{{\"version\":1,\"positions\":[{}]}}", positions.join(","));
    fs.put(format!(".ship/{destination}.json"), text.as_bytes());
}

/// What a removed file's line says of destinations.
fn unshipped(retired: &Retired) -> Vec<(&str, Option<u64>)> {
    retired.unshipped.iter().map(|(name, events)| (&**name, *events)).collect()
}

#[test]
fn retention_by_days_waits_for_every_destination() {
    let (first, second) = ("audit-2026-01-01.jsonl", "audit-2026-01-02.jsonl");
    let fs = MemFs::default();
    let torn = "{\"event_version\":";
    let text = event(A, 1) + &event(A, 2);
    fs.put(first, (text.clone() + torn).as_bytes());
    fs.put(second, event(B, 1).as_bytes());
    put_position(&fs, "one", &[(first, text.len()), (second, event(B, 1).len())]);
    put_position(&fs, "two", &[(first, event(A, 1).len()), (second, event(B, 1).len())]);
    fs.put(".ship/two.lock", b"");
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    assert_eq!(run(&by_day), [], "a destination has half of the first, and later files wait too");
    put_position(&fs, "two", &[(first, text.len())]);
    let retired = run(&by_day);
    assert_eq!(names(&retired), [first], "nobody waits for half a line");
    assert!(retired[0].unshipped.is_empty());
    // A destination that was just begun has nothing.
    put_position(&fs, "three", &[]);
    assert_eq!(run(&by_day), []);
    fs.remove(".ship/two.json");
    fs.remove(".ship/three.json");
    assert_eq!(names(&run(&by_day)), [second], "who was forgotten is not waited for");
}

#[test]
fn what_goes_unshipped_is_counted_for_each_destination() {
    let name = "audit-2026-01-01.jsonl";
    let own = format!("{{\"event_version\":\"3.0\",\"instance\":\"{A}\",\"notice\":1}}\n");
    let text = own + &event(A, 1) + "{\"other\":1}\n" + "not JSON\n" + &event(A, 2);
    for (waits, days, bytes, why) in [
        (true, None, Some(0), "AUDIT_MAX_TOTAL_BYTES"),
        (true, Some(1), Some(0), "AUDIT_MAX_TOTAL_BYTES"),
        (false, Some(1), None, "AUDIT_RETENTION_DAYS"),
    ] {
        let fs = MemFs::default();
        fs.put(name, text.as_bytes());
        put_position(&fs, "none", &[]);
        put_position(&fs, "some", &[(name, text.len() - event(A, 2).len())]);
        put_position(&fs, "whole", &[(name, text.len())]);
        fs.put(".ship/damaged.json", b"{");
        let rules = Retention { retention_days: days, max_total_bytes: bytes, waits, ..rules(&fs) };
        let retired = run(&rules);
        assert_eq!((names(&retired), &*retired[0].why), (vec![name], why));
        let expected = [("damaged", None), ("none", Some(3)), ("some", Some(1))];
        assert_eq!(unshipped(&retired[0]), expected);
    }
}

#[test]
fn what_a_removed_line_said_of_unshipped_events_is_said_again() {
    let name = "audit-2026-01-01.jsonl";
    let said = format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{A}\",\"notice\":1,\"event_type\":\"audit.retired\",\
         \"agent\":\"llm-audit\",\"action\":\"retired\",\"status\":\"ok\",\"data\":{{\"file\":\"x\",\
         \"unshipped\":{{\"one\":5,\"two\":null,\"other\":7}}}}}}\n"
    );
    let fs = MemFs::default();
    fs.put(name, (event(A, 1) + &said).as_bytes());
    for destination in ["one", "three", "two"] {
        put_position(&fs, destination, &[]);
    }
    put_position(&fs, "whole", &[(name, (event(A, 1) + &said).len())]);
    let retired = run(&Retention { max_total_bytes: Some(0), ..rules(&fs) });
    let expected = [("one", Some(6)), ("three", Some(1)), ("two", None)];
    assert_eq!(unshipped(&retired[0]), expected);
}

#[test]
fn a_position_that_cannot_be_read_is_waited_for() {
    let name = "audit-2026-01-01.jsonl";
    let fs = MemFs::default();
    fs.put(name, event(A, 1).as_bytes());
    let by_day = Retention { retention_days: Some(1), ..rules(&fs) };
    for damaged in ["", "{}", "{\"version\":2,\"positions\":[]}"] {
        fs.put(".ship/one.json", damaged.as_bytes());
        assert_eq!(run(&by_day), [], "{damaged}");
    }
    // A file in the place of the folder.
    fs.remove(".ship/one.json");
    fs.put(".ship", b"");
    assert_eq!(run(&by_day), []);
    let retired = run(&Retention { waits: false, ..by_day });
    assert_eq!(unshipped(&retired[0]), [(".ship", None)]);
}

#[test]
fn refused_lines_are_removed_by_day_and_before_files_of_the_log() {
    let refused = |day: &str| format!(".ship/refused/otlp_http_h_1-{day}.jsonl");
    let (old, yesterday, today) =
        (refused("2026-01-01"), refused("2026-03-09"), refused("2026-03-10"));
    let filled = || {
        let fs = MemFs::default();
        for name in [&old, &yesterday, &today, ".ship/refused/other", "audit-2026-03-09.jsonl"] {
            fs.put(name, b"123456789\n");
        }
        fs
    };
    let fs = filled();
    let retired = run(&Retention { retention_days: Some(1), ..rules(&fs) });
    assert_eq!(names(&retired), [&*old]);
    assert_eq!((retired[0].bytes, &retired[0].instances), (10, &Some(Vec::new())));
    for (limit, expected) in [
        (40, vec![]),
        (39, vec![&*old]),
        (20, vec![&*old, &yesterday]),
        (10, vec![&*old, &yesterday, "audit-2026-03-09.jsonl"]),
        // Lines of today may be added to now.
        (0, vec![&*old, &yesterday, "audit-2026-03-09.jsonl"]),
    ] {
        let fs = filled();
        let retired = run(&Retention { max_total_bytes: Some(limit), ..rules(&fs) });
        assert_eq!(names(&retired), expected, "{limit}");
        assert!(fs.exists(today.as_ref()).unwrap());
    }
}

#[cfg(feature = "zstd")]
mod compressing {
    use super::*;
    use llm_audit_log::zst;

    const PLAIN: &str = "audit-2026-03-09.jsonl";
    const COMPRESSED: &str = "audit-2026-03-09.jsonl.zst";
    const UNFINISHED: &str = "audit-2026-03-09.jsonl.zst.tmp";

    fn text() -> String {
        (1..=2_000).map(|seq| event(A, seq)).collect()
    }

    fn compressing(fs: &MemFs) -> Retention {
        Retention { compress: true, ..rules(fs) }
    }

    fn plain(bytes: &[u8]) -> String {
        let mut text = String::new();
        zst::reader(bytes).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn closed_files_are_compressed_with_their_mode() {
        let fs = MemFs::default();
        let file = fs.open_log(Path::new(PLAIN), 0o640).unwrap().unwrap();
        file.append(text().as_bytes()).unwrap();
        drop(file);
        for (other, locked) in
            [("audit-2026-03-10.jsonl", true), ("audit-2026-03-10.1.jsonl", false)]
        {
            fs.put(other, if locked { b"active\n" } else { b"" });
            fs.set_locked(other, locked);
        }
        run(&compressing(&fs));
        let expected = [COMPRESSED, "audit-2026-03-10.1.jsonl", "audit-2026-03-10.jsonl"];
        assert_eq!(fs.names(), expected, "neither the active one nor an empty one");
        let compressed = fs.bytes(COMPRESSED);
        assert!(compressed.len() * 10 < text().len(), "{}", compressed.len());
        assert_eq!(plain(&compressed), text());
        assert_eq!(zst::content_bytes(&compressed), Some(text().len() as u64));
        assert_eq!(fs.mode(COMPRESSED), 0o640);
        assert_eq!(fs.synced(COMPRESSED), compressed.len());
        // Retention can read the compressed file too.
        let retired = run(&Retention { retention_days: Some(0), ..rules(&fs) });
        let seqs = Seqs { first_seq: 1, last_seq: 2_000, events: 2_000, ..Seqs::of(A) };
        assert_eq!(names(&retired), [COMPRESSED]);
        assert_eq!(retired[0].instances, Some(vec![seqs]));
    }

    #[test]
    fn what_was_left_unfinished_is_cleaned_up_and_begun_again() {
        let fs = MemFs::default();
        fs.put(PLAIN, text().as_bytes());
        fs.put(UNFINISHED, b"half of it");
        let orphan = "audit-2026-01-01.jsonl.zst.tmp";
        fs.put(orphan, b"half of it");
        let theirs = "audit-2026-01-02.jsonl.zst.tmp";
        fs.put(theirs, b"another process is at it");
        fs.set_locked(theirs, true);
        run(&compressing(&fs));
        assert_eq!(fs.names(), [theirs, COMPRESSED]);
        assert_eq!(plain(&fs.bytes(COMPRESSED)), text());
    }

    #[test]
    fn a_copy_that_is_not_the_same_replaces_nothing() {
        for copy in [&b"not zstd at all"[..], b"", &compressed("x\n"), &compressed(&text()[1..])] {
            let fs = MemFs::default();
            fs.put(PLAIN, text().as_bytes());
            fs.put(COMPRESSED, copy);
            run(&compressing(&fs));
            assert_eq!(fs.names(), [PLAIN, COMPRESSED]);
            assert_eq!((fs.text(PLAIN), &*fs.bytes(COMPRESSED)), (text(), copy));
        }
    }

    /// The process was killed after the copy was made and before the file was removed.
    #[test]
    fn a_file_and_its_copy_are_reported_once() {
        let by_days = |fs: &MemFs| Retention { retention_days: Some(0), ..rules(fs) };
        let by_bytes = |fs: &MemFs| Retention { max_total_bytes: Some(0), ..rules(fs) };
        for rules in [by_days, by_bytes] {
            let fs = MemFs::default();
            fs.put(PLAIN, text().as_bytes());
            fs.put(COMPRESSED, &compressed(&text()));
            let retired = run(&rules(&fs));
            assert_eq!((names(&retired), fs.names().len()), (vec![COMPRESSED], 0));
        }
        // If both stay, the one that no reader reads is removed.
        let fs = MemFs::default();
        fs.put(PLAIN, text().as_bytes());
        fs.put(COMPRESSED, &compressed(&text()));
        assert_eq!(run(&Retention { retention_days: Some(99), ..rules(&fs) }), []);
        assert_eq!(fs.names(), [COMPRESSED]);
    }

    fn compressed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        zst::compress(&mut text.as_bytes(), text.len() as u64, &mut out).unwrap();
        out
    }

    #[test]
    fn a_full_disk_leaves_the_original() {
        let fs = MemFs::default();
        fs.put(PLAIN, text().as_bytes());
        fs.state().capacity = Some(text().len() + 100);
        run(&compressing(&fs));
        assert_eq!(fs.names(), [PLAIN]);
        fs.state().capacity = None;
        run(&compressing(&fs));
        assert_eq!(fs.names(), [COMPRESSED]);
    }

    /// Kills the process, or cuts the power, after each change. One of the two files stays whole,
    /// and after the next start only the compressed one is left.
    #[test]
    fn a_power_cut_at_any_step_loses_no_line() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut steps = 0;
        for changes in 0.. {
            let fs = MemFs::default();
            fs.put(PLAIN, text().as_bytes());
            fs.state().changes_left = Some(changes);
            run(&compressing(&fs));
            let is_done = fs.state().changes_left > Some(0);
            for _ in 0..20 {
                let after = fs.after_power_cut(&mut rng);
                let names = after.names();
                let holds_all = |name: &String| match &**name {
                    PLAIN => after.text(PLAIN) == text(),
                    COMPRESSED => plain(&after.bytes(COMPRESSED)) == text(),
                    _ => false,
                };
                assert!(names.iter().any(holds_all), "step {changes}: {names:?}");
                assert!(names.iter().all(|name| name == UNFINISHED || holds_all(name)));
                run(&compressing(&after));
                assert_eq!(after.names(), [COMPRESSED], "step {changes}: {names:?}");
                assert_eq!(plain(&after.bytes(COMPRESSED)), text());
            }
            if is_done {
                break;
            }
            steps += 1;
        }
        assert!(
            steps >= 7,
            "made, cut, written, synced, renamed, its name synced, removed: {steps}"
        );
    }

    #[test]
    fn a_compressed_file_waits_for_its_content() {
        let fs = MemFs::default();
        fs.put(COMPRESSED, &compressed(&text()));
        let with_position_at = |bytes: usize| {
            put_position(&fs, "one", &[(PLAIN, bytes)]);
            run(&Retention { retention_days: Some(0), ..rules(&fs) })
        };
        assert_eq!(with_position_at(text().len() - 1), []);
        assert_eq!(names(&with_position_at(text().len())), [COMPRESSED]);
        // No destination can get what cannot be read.
        fs.put(COMPRESSED, b"not zstd at all");
        let retired = with_position_at(0);
        assert_eq!(
            (names(&retired), unshipped(&retired[0])),
            (vec![COMPRESSED], vec![("one", None)])
        );
    }
}
