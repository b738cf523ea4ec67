use std::fs;
use std::path::Path;

use super::*;
use crate::parse_time;
use crate::schema::Status;

const BEGIN: i64 = 1_767_323_045_000_000;

/// A line of any kind, good or bad.
fn any_line(rng: &mut fastrand::Rng, number: u64) -> String {
    let status = *rng.choice(&["ok", "error", "timeout", "retry"]).unwrap();
    let event_type = *rng.choice(&["tool.call", "tool.error", "llm.invoke", "toolbox"]).unwrap();
    let trace = match rng.u8(..8) {
        0 => format!("{:012x}", rng.u64(..1 << 48)),
        1 => format!("{:032X}", rng.u128(..)),
        _ => format!("{:032x}", u128::from(rng.u64(..50)) << 96 | 7),
    };
    let second = number % 50;
    let text = "x ".repeat(rng.usize(..30));
    match rng.u8(..20) {
        0 => String::new(),
        1 => "not JSON".to_owned(),
        2 => "{\"event_type\":\"tool.call\"}".to_owned(),
        3 => format!("{{\"trace_id\": \"{trace}\", \"status\": \"{status}\", \"seq\": {number}}}"),
        4 => format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"00112233445566{:02x}\",\
             \"event_type\":\"audit.start\",\"data\":{{\"service\":\"s{}\"}}}}",
            rng.u8(..3),
            rng.u8(..2),
        ),
        5 => format!("{{\"event_version\":\"3.0\",\"seq\":{number},\"data\":{{\"torn"),
        _ => format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"00112233445566{:02x}\",\"seq\":{number},\
             \"trace_id\":\"{trace}\",\"timestamp\":\"2026-01-02T03:04:{second:02}.{number:06}Z\",\
             \"event_type\":\"{event_type}\",\"agent\":\"a\",\"action\":\"x\",\"status\":\"{status}\",\
             \"data\":{{\"model\":\"m{}\",\"text\":\"{text}\"}}}}",
            rng.u8(..3),
            rng.u8(..3),
        ),
    }
}

fn any_filter(rng: &mut fastrand::Rng) -> Filter {
    let mut filter = Filter::default();
    let mut time = || rng.bool().then(|| BEGIN + rng.i64(-10_000_000..60_000_000));
    (filter.since, filter.until) = (time(), time());
    let types = ["tool", "tool.", "tool.call", "llm", "audit", "to", ""];
    filter.event_type = rng.bool().then(|| (*rng.choice(&types).unwrap()).to_owned());
    let statuses = rng.usize(..3);
    filter.statuses = rng.choose_multiple(Status::ALL, statuses);
    if rng.bool() {
        let digits = format!("{:032x}", u128::from(rng.u64(..60)) << 96 | 7);
        filter.trace = Some(digits[..rng.usize(..33)].to_owned());
    }
    filter
}

type Found = (Vec<String>, u64);

/// By parsing every line.
fn naive(folder: &Folder, filter: &Filter, service: Option<&str>, own: bool) -> Found {
    let (mut lines, mut writers, mut found) = (folder.lines(), Writers::default(), Vec::new());
    let mut bad = 0;
    while let Some(entry) = lines.next_line().unwrap() {
        let line = crate::schema::parse_whole(entry.bytes).ok();
        let is_event = |line: &Line<'_>| line.event_type().is_some() || line.timestamp().is_some();
        let Some(line) = line.filter(is_event) else {
            bad += 1;
            continue;
        };
        writers.note(&line);
        if writers.is_of(&line, service) && (own || !line.is_own()) && filter.matches(&line) {
            found.push(format!("{:?}", line.json()));
        }
    }
    (found, bad)
}

fn scanned(scan: &Scan<'_>) -> Found {
    let mut found = Vec::new();
    let scanned = scan.for_each(|line, _| found.push(format!("{:?}", line.json())));
    assert!(scanned.damage.is_empty(), "{:?}", scanned.damage);
    assert_eq!(scanned.events, found.len() as u64);
    (found, scanned.bad_lines)
}

fn write_log(dir: &Path, rng: &mut fastrand::Rng) {
    let mut number = 0;
    for name in ["audit-2026-01-02.jsonl", "audit-2026-01-02.1.jsonl", "audit-2026-01-03.jsonl"] {
        let mut text = String::new();
        for _ in 0..rng.usize(..400) {
            number += 1;
            text += &any_line(rng, number);
            text += "\n";
        }
        if rng.bool() {
            text += &any_line(rng, number);
        }
        fs::write(dir.join(name), text).unwrap();
    }
}

#[test]
fn a_scan_finds_what_parsing_every_line_finds() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path(), &mut rng);
        let folder = Folder::open(dir.path()).unwrap();
        for _ in 0..12 {
            let (filter, own) = (any_filter(&mut rng), rng.bool());
            let service = rng.bool().then_some("s1");
            let expected = naive(&folder, &filter, service, own);
            let chunk_bytes = *rng.choice(&[0, 1, 100, 3_000, CHUNK_BYTES]).unwrap();
            let scan = Scan::of(&folder).filter(filter.clone()).service(service).own_lines(own);
            // An index is there from the second time on, with blocks of some size.
            for round in 0..2 {
                let found = scanned(&scan.clone().chunk_bytes(chunk_bytes));
                assert!(found == expected, "{round}, {chunk_bytes} bytes, {filter:?}");
            }
        }
        let index = dir.path().join(".index/audit-2026-01-02.jsonl.idx");
        assert!(index.exists() || cfg!(not(unix)));
    }
}

#[test]
fn what_happens_to_an_index_changes_no_answer() {
    let mut rng = fastrand::Rng::with_seed(2);
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), &mut rng);
    let filter = Filter { statuses: vec![Status::Error], ..Filter::default() };
    let check = |what: &str| {
        let folder = Folder::open(dir.path()).unwrap();
        let expected = naive(&folder, &filter, None, false);
        let scan = Scan::of(&folder).filter(filter.clone()).chunk_bytes(1_000);
        assert!(scanned(&scan) == expected, "{what}");
    };
    check("first");
    let log = dir.path().join("audit-2026-01-02.jsonl");
    let index = dir.path().join(".index/audit-2026-01-02.jsonl.idx");
    let good = fs::read(&index).unwrap_or_default();
    let other = fs::read(dir.path().join(".index/audit-2026-01-03.jsonl.idx")).unwrap_or_default();
    assert!(!good.is_empty() && !other.is_empty() || cfg!(not(unix)));
    for at in (0..good.len()).step_by(101) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&index, bytes).unwrap();
        check("damaged");
    }
    for (what, bytes) in [("cut", &good[..good.len() / 2]), ("empty", b""), ("foreign", &other)] {
        fs::write(&index, bytes).unwrap();
        check(what);
    }
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    check("a folder");
    fs::remove_dir_all(dir.path().join(".index")).unwrap();
    fs::write(dir.path().join(".index"), "").unwrap();
    check("a file in the place of the folder");
    fs::remove_file(dir.path().join(".index")).unwrap();
    check("again");
    // The log changes after that.
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{text}\n{}\n", any_line(&mut rng, 9_999))).unwrap();
    check("stale: longer");
    fs::write(&log, text.replace("error", "retry")).unwrap();
    check("stale: other lines");
    fs::write(&log, "").unwrap();
    check("stale: empty");
    assert_eq!(parse_time("2026-01-02T03:04:05Z"), Some(BEGIN));
}

#[test]
fn an_index_lets_a_scan_skip_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let line = |hour: u32| {
        format!(
            "{{\"timestamp\":\"2026-01-02T{hour:02}:00:00Z\",\"event_type\":\"a.b\",\"status\":\"ok\",\
             \"trace_id\":\"{hour:08x}916cd43dd8448eb211c80319c000000\"}}\n"
        )
    };
    let text: String = (0..24).map(line).collect();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), &text).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let bytes_read = |filter: Filter| {
        let scan = Scan::of(&folder).filter(filter).chunk_bytes(line(0).len() + 10);
        let mut bytes = 0;
        let events = scan.for_each_line(|_, _| {}, |read| bytes = read).events;
        (events, bytes as usize)
    };
    let at = |since, until| Filter {
        since: parse_time(since),
        until: parse_time(until),
        ..Filter::default()
    };
    let of_trace = |id: &str| Filter { trace: Some(id.to_owned()), ..Filter::default() };
    let hour = at("2026-01-02T05:00:00Z", "2026-01-02T06:00:00Z");
    assert_eq!(bytes_read(hour.clone()), (1, text.len()), "without an index");
    if cfg!(unix) {
        assert_eq!(bytes_read(hour), (1, line(0).len()));
        assert_eq!(bytes_read(at("2026-02-02", "2026-02-03")), (0, 0));
        assert_eq!(bytes_read(of_trace("00000007")).0, 1);
        assert!(bytes_read(of_trace("00000007")).1 < text.len() / 4);
    }
}

#[test]
fn blocks_with_totals_are_read_if_these_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let line = |hour: i64| {
        format!(
            "{{\"instance\":\"00112233445566ff\",\"timestamp\":\"2026-01-02T{hour:02}:01:00Z\",\
             \"event_type\":\"audit.totals\",\"data\":{{\"to\":\"2026-01-02T{hour:02}:01:00Z\"}}}}\n"
        )
    };
    let text: String = (0..24).map(line).collect();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), &text).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let hour_of_events = Filter {
        since: parse_time("2026-01-02T05:00:00Z"),
        until: parse_time("2026-01-02T06:00:00Z"),
        statuses: vec![Status::Error],
        ..Filter::default()
    };
    let totals_read = |totals| {
        let scan = Scan::of(&folder).filter(hour_of_events.clone()).totals(totals);
        let mut lines = 0;
        scan.chunk_bytes(line(0).len() + 10).for_each_line(|_, _| lines += 1, |_| {});
        lines
    };
    assert_eq!(totals_read(None), 24, "without an index");
    if cfg!(unix) {
        assert_eq!(totals_read(None), 0);
        let time = |text| parse_time(text).unwrap();
        let hours = time("2026-01-02T07:00:00Z")..time("2026-01-02T09:00:00Z");
        assert_eq!(totals_read(Some(hours)), 2);
    }
}

#[test]
fn damage_is_reported_once_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
    let line = |seq: u32| format!("{{\"event_type\":\"a.b\",\"status\":\"ok\",\"seq\":{seq}}}\n");
    write("audit-2026-01-01.jsonl", format!("{}\0\0\0\0\n{}torn", line(1), line(2)).as_bytes());
    fs::create_dir(dir.path().join("audit-2026-01-02.jsonl")).unwrap();
    let long = "x".repeat(crate::LINE_BYTES_MAX + 5);
    let after_long = format!("{long}\n{}", line(3));
    write("audit-2026-01-03.jsonl", format!("{after_long}{}", line(9)).as_bytes());
    write("audit-2026-01-04.jsonl", line(4).repeat(10).as_bytes());
    write("audit-2026-01-05.jsonl", line(5).as_bytes());
    write("audit-2026-01-06.jsonl", line(6).as_bytes());
    let folder = Folder::open(dir.path()).unwrap();
    // Cut and removed since the folder was listed.
    let log = fs::File::options().write(true).open(dir.path().join("audit-2026-01-03.jsonl"));
    log.unwrap().set_len(after_long.len() as u64).unwrap();
    write("audit-2026-01-04.jsonl", line(4).as_bytes());
    fs::remove_file(dir.path().join("audit-2026-01-05.jsonl")).unwrap();
    let mut seqs = Vec::new();
    let scanned = Scan::of(&folder).for_each(|line, _| seqs.extend(line.seq()));
    assert_eq!(seqs, [1, 2, 3, 4, 6]);
    assert_eq!(scanned.bad_lines, 3, "NUL bytes, a torn line, a long one");
    let damage: Vec<_> = scanned.damage.iter().map(ToString::to_string).collect();
    assert_eq!(damage.len(), 4, "{damage:?}");
    assert!(damage[0].contains("01-02.jsonl: it is a folder"), "{damage:?}");
    assert!(damage[1].contains("01-03.jsonl: it was cut to"), "{damage:?}");
    assert!(damage[2].contains("01-04.jsonl: it was cut to"), "{damage:?}");
    assert!(damage[3].contains("01-05.jsonl: "), "{damage:?}");
    let bad: Vec<_> = scanned.first_bad_lines.iter().map(ToString::to_string).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    let nuls = format!("audit-2026-01-01.jsonl at byte {}: not a valid log line: ", line(1).len());
    assert!(bad[0].starts_with(&nuls) && bad[0].ends_with("4 NUL bytes"), "{bad:?}");
}

#[test]
fn lines_after_one_that_is_too_long_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let line = |seq: u32| format!("{{\"event_type\":\"a.b\",\"status\":\"ok\",\"seq\":{seq}}}\n");
    let spaces = " ".repeat(crate::LINE_BYTES_MAX + 1 - line(3).len());
    let longest = [spaces, line(3)].concat();
    let text = ["x".repeat(crate::LINE_BYTES_MAX + 10), "\n".to_owned()].concat();
    let text = [text, line(1), line(2), longest, line(4)].concat();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), text).unwrap();
    let mut seqs = Vec::new();
    let folder = Folder::open(dir.path()).unwrap();
    let scanned = Scan::of(&folder).for_each(|line, _| seqs.extend(line.seq()));
    assert_eq!((seqs, scanned.bad_lines), (vec![1, 2, 3, 4], 1));
}
