//! What `verify` finds in logs that are whole, and in those that are not.

use std::fs::{self, File};

use super::ranges::{SeqRanges, subtract_seq_ranges};
use super::report::FINDINGS_MAX;
use super::tally::GAPS_MAX;
use super::*;

const A: &str = "00000000000000aa";
const B: &str = "00000000000000bb";
const FILE: &str = "audit-2026-01-02.jsonl";
const NEXT: &str = "audit-2026-01-02.1.jsonl";

fn event(id: &str, seq: u64) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"{id}","seq":{seq},"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00f067aa0ba902b7","timestamp":"2026-01-02T03:04:05.000000Z","event_type":"cache.hit","agent":"a","action":"b","status":"ok"}}"#
    ) + "\n"
}

fn events(id: &str, seqs: impl IntoIterator<Item = u64>) -> String {
    seqs.into_iter().map(|seq| event(id, seq)).collect()
}

fn own(id: &str, kind: &str, data: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"{id}","timestamp":"2026-01-02T03:04:05.000000Z","event_type":"audit.{kind}","data":{{{data}}}}}"#
    ) + "\n"
}

fn start(id: &str) -> String {
    own(id, "start", "\"first\":true")
}

fn loss(id: &str, first: u64, last: u64, overwritten: u64, io_lost: u64) -> String {
    let data = format!(
        r#""first_seq":{first},"last_seq":{last},"overwritten":{overwritten},"io_lost":{io_lost}"#
    );
    own(id, "loss", &data)
}

fn stop(id: &str, emitted: u64, written: u64, overwritten: u64) -> String {
    let data = format!(
        r#""emitted":{emitted},"written":{written},"overwritten":{overwritten},"sampled_out":0,"rejected":0,"io_lost":0,"queued":0"#
    );
    own(id, "stop", &data)
}

fn check(files: &[(&str, &str)]) -> Verification {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    verify(dir.path()).unwrap()
}

fn findings(text: &str) -> String {
    let findings = check(&[(FILE, text)]).findings;
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn whole_logs_are_clean() {
    let whole = start(A) + &events(A, 1..=5) + &stop(A, 5, 5, 0);
    let retains = "\"first\":false,\"max_total_bytes\":1000";
    let cases = [
        String::new(),
        whole.clone(),
        // Older files were removed.
        own(A, "start", retains) + &events(A, 7..=9) + &stop(A, 9, 9, 0),
        // Two writers, one after the other; the second one's beginning is gone.
        whole.clone() + &own(B, "start", retains) + &events(B, 3..=4) + &stop(B, 4, 4, 0),
        // Written by another program.
        r#"{"event_type":"a","agent":"b","action":"c","status":"ok","trace_id":"0af7651916cd","seq":null}"#
            .to_owned()
            + "\n",
        // Another thread was inside `emit` when the log was closed.
        whole.replace("\"emitted\":5", "\"in_flight\":1,\"emitted\":6"),
    ];
    for case in cases {
        assert_eq!(findings(&case), "");
    }
    let in_two = check(&[
        (FILE, &(start(A) + &events(A, 1..=3))),
        (NEXT, &(events(A, 4..=4) + &stop(A, 4, 4, 0))),
    ]);
    assert!(in_two.is_clean(), "{:?}", in_two.findings);
    assert_eq!((in_two.files, in_two.lines, in_two.events), (2, 6, 4));
    assert_eq!(in_two.instances[0].seq, Some((1, 4)));
    assert_eq!(in_two.instances[0].state, State::Closed);
}

#[test]
fn what_is_wrong_is_found_and_nothing_else() {
    let whole = start(A) + &events(A, 1..=5) + &stop(A, 5, 5, 0);
    let without = |seq| whole.replace(&event(A, seq), "");
    let lossy = |loss: &str| start(A) + &event(A, 1) + loss + &event(A, 5) + &stop(A, 5, 2, 3);
    let cases: Vec<(String, Vec<&str>)> = vec![
        (without(3), vec!["seq 3 in no line", "says 5 written; the files hold 4"]),
        (without(1), vec!["seq 1 in no line", "says 5 written"]),
        (without(5), vec!["seq 5 in no line", "says 5 written; the files hold 4"]),
        (lossy(&loss(A, 2, 4, 3, 0)), vec!["3 events lost: 3 overwritten, 0 io_lost"]),
        (lossy(""), vec!["seq 2 to 4 in no line", "says 3 overwritten; the files hold 0"]),
        (
            lossy(&loss(A, 2, 4, 2, 0)),
            vec!["reports 2 lost events", "2 events lost", "says 3 overwritten"],
        ),
        (
            lossy(&loss(A, 2, 5, 4, 0)),
            vec!["4 events lost", "seq 5 reported as lost", "3 overwritten; the files hold 4"],
        ),
        (
            lossy(&(loss(A, 2, 3, 2, 0) + &loss(A, 3, 4, 2, 0))),
            vec!["4 events lost", "seq 3 reported as lost", "3 overwritten; the files hold 4"],
        ),
        (
            lossy(&loss(A, 4, 2, 0, 3)),
            vec![
                "not a range",
                "3 events lost: 0 overwritten, 3 io_lost",
                "seq 2 to 4 in no line",
                "says 3 overwritten",
                "says 0 io_lost",
            ],
        ),
        (lossy(&own(A, "loss", "")), vec!["without first_seq", "seq 2 to 4", "overwritten"]),
        (
            whole.replace(&event(A, 3), &events(A, [3, 3])),
            vec!["seq 3 is in two lines", "the files hold 6"],
        ),
        (
            without(2).replace(&event(A, 4), &events(A, [4, 2])),
            vec![":5: instance 00000000000000aa: seq 2 comes after 4"],
        ),
        (start(A) + &event(A, 1), vec!["killed: no audit.stop"]),
        (whole.clone() + &event(A, 6), vec!["after audit.stop at", "the files hold 6"]),
        (whole.replace("\"emitted\":5", "\"emitted\":6"), vec!["does not add up: 6 emitted, 5"]),
        (
            whole.replace("\"queued\":0", "\"queued\":2"),
            vec!["add up: 5 emitted, 7 ends", "leaves 2 events queued"],
        ),
        (whole.replace("\"queued\":0", "\"other\":0"), vec!["without the whole accounting"]),
        (whole.clone() + "{\"event_ty", vec![":8: torn"]),
        (whole.clone() + "hunter2\n", vec![":8: not a valid log line"]),
        (whole.clone() + "{\"a\":1}\n", vec![":8: not a valid event: it has neither"]),
        (whole.replace("\"a\",\"action\"", "7,\"action\""), vec!["agent is no string"; 5]),
        (whole.replacen("cache.hit", "Cache hit", 1), vec!["event_type is no dotted"]),
        (whole.replacen("\"3.0\"", "\"2.0\"", 1), vec![":1: event_version is not \"3.0\""]),
        (
            whole.replacen("0af7651916cd43dd", "0AF7651916CD43DD", 1),
            vec!["trace_id is not written in full"],
        ),
        (whole.replacen("\"seq\":2,", "\"seq\":null,", 1), vec!["seq is missing", "seq 2 in"]),
        (whole.replacen("\"ok\"", "\"fine\"", 1), vec!["status is none of"]),
    ];
    for (log, expected) in cases {
        let found = findings(&log);
        assert_eq!(found.lines().count(), expected.len(), "{expected:?}\n{found}");
        for (line, part) in found.lines().zip(expected) {
            assert!(line.contains(part), "{part:?} in {line:?}");
            assert!(!line.contains("hunter2"));
        }
    }
}

#[test]
fn a_held_file_is_open_and_its_last_line_not_torn() {
    let dir = tempfile::tempdir().unwrap();
    let killed_then_open = start(A) + &event(A, 1) + &start(B) + &event(B, 1) + "{\"half";
    fs::write(dir.path().join(FILE), killed_then_open).unwrap();
    let holder = File::open(dir.path().join(FILE)).unwrap();
    holder.lock().unwrap();
    let held = verify(dir.path()).unwrap();
    let states: Vec<State> = held.instances.iter().map(|instance| instance.state).collect();
    assert_eq!(states, [State::Killed, State::Open]);
    assert_eq!(held.findings_total, 1, "{:?}", held.findings);
    drop(holder);
    let let_go = verify(dir.path()).unwrap();
    assert_eq!(let_go.instances[1].state, State::Killed);
    assert_eq!(let_go.findings_total, 3, "two killed, one torn: {:?}", let_go.findings);
}

fn retired(by: &str, instances: &[(&str, u64, u64, u64)]) -> String {
    let of = |&(id, first, last, io_lost): &(&str, u64, u64, u64)| {
        let events = last - first + 1 - io_lost;
        format!(
            r#"{{"instance":"{id}","first_seq":{first},"last_seq":{last},"events":{events},"overwritten":0,"io_lost":{io_lost}}}"#
        )
    };
    let instances: Vec<_> = instances.iter().map(of).collect();
    own(by, "retired", &format!(r#""file":"x","instances":[{}]"#, instances.join(",")))
}

#[test]
fn what_retention_removed_is_no_finding_and_what_it_did_not_is() {
    // The beginning is here, the middle is gone: numbers 3 to 6, of which 2 were reported as lost.
    let log = |retired: &str| {
        let stop = stop(A, 9, 7, 0).replace("\"io_lost\":0", "\"io_lost\":2");
        start(A) + &events(A, 1..=2) + &events(A, 7..=9) + retired + &stop
    };
    let other = || start(B) + &retired(B, &[(A, 3, 6, 2)]) + &stop(B, 0, 0, 0);
    assert_eq!(findings(&log(&retired(A, &[(B, 1, 4, 0), (A, 3, 6, 2)]))), "");
    assert_eq!(findings(&(log("") + &other())), "", "whoever tells of it");
    let report = check(&[(FILE, &log(&retired(A, &[(A, 3, 4, 0)])))]);
    assert_eq!((report.retired, report.instances[0].unexplained), (1, 2));
    assert!(report.findings[0].what.contains("seq 5 to 6 in no line"), "{:?}", report.findings);
    // A file that was put back is there, and reported as removed.
    let back = start(A) + &events(A, 1..=9) + &retired(A, &[(A, 3, 6, 0)]) + &stop(A, 9, 9, 0);
    assert_eq!(findings(&back), "");
    for odd in ["\"instances\":7", "\"instances\":[7,{\"instance\":\"x\"}]", ""] {
        let odd = start(A) + &own(A, "retired", odd) + &stop(A, 0, 0, 0);
        assert_eq!(findings(&odd), "");
    }
    let unread = start(A) + &own(A, "retired", "\"instances\":null") + &stop(A, 0, 0, 0);
    let found = findings(&unread);
    assert!(found.starts_with(&format!("{FILE}:2: retention removed a file")), "{found}");
}

/// Where retention removes the beginning, the end is still to be as `audit.stop` says.
#[test]
fn the_newest_events_are_missed_whatever_retention_removed() {
    let retains = own(A, "start", "\"first\":false,\"retention_days\":7");
    let end = stop(A, 9, 9, 0);
    let found = findings(&(retains.clone() + &events(A, 4..=7) + &end));
    assert!(found.contains("seq 8 to 9 in no line and in no audit.loss"), "{found}");
    // Those that a line tells of are not missing, and are the last or not.
    let told = |last| retired(A, &[(A, 4, last, 0)]);
    let found = findings(&(retains.clone() + &told(6) + &events(A, 7..=8) + &end));
    assert!(found.contains("seq 9 in no line"), "{found}");
    // Where none of its events is left, the lines that told of some or all may have gone with a file of
    // another instance.
    for told in ["", &told(8), &told(9)] {
        assert_eq!(findings(&(retains.clone() + told + &end)), "");
    }
}

#[test]
fn what_makes_a_beginning_and_what_makes_retention() {
    let (first, end) = (start(A), events(A, 4..=5) + &stop(A, 5, 5, 0));
    let retains = own(B, "start", "\"first\":true,\"max_total_bytes\":1") + &stop(B, 0, 0, 0);
    // A start that stands behind events is not where the numbers begin.
    let behind = events(A, 4..=4) + &first + &events(A, 5..=5) + &stop(A, 5, 5, 0);
    assert_eq!(findings(&(behind + &retains)), "");
    assert!(findings(&(first + &end + &retains)).contains("seq 1 to 3 in no line"));
    // Who told of a removal had retention, though its start went with another file.
    assert_eq!(findings(&(end.clone() + &retired(B, &[]) + &stop(B, 0, 0, 0))), "");
    assert!(findings(&(end + &stop(B, 0, 0, 0))).contains("seq 1 to 3 in no line"));
}

#[test]
fn what_cannot_be_opened_is_a_finding_unless_nothing_else_can() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at(NEXT)).unwrap();
    let refused = verify(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("it is a folder"), "{refused}");
    fs::write(at(FILE), start(A) + &events(A, 1..=2) + &stop(A, 2, 2, 0)).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.files, report.events, report.findings_total), (2, 2, 1));
    assert_eq!(report.findings[0].place, Some((NEXT.to_owned(), 1)));
}

/// What the writer cannot know of: another process cut the file, removed it or renamed it.
#[test]
fn what_somebody_else_took_away_is_found() {
    let copytruncated = start(A) + &events(A, 1..=2) + &events(A, 6..=7) + &stop(A, 7, 7, 0);
    let found = findings(&copytruncated);
    assert!(found.contains("seq 3 to 5 in no line and in no audit.loss"), "{found}");
    assert!(found.contains("says 7 written; the files hold 4"), "{found}");
    let again = own(A, "start", "\"first\":false");
    let only_the_end = start(A) + &again + &events(A, 4..=5) + &stop(A, 5, 5, 0);
    assert!(findings(&only_the_end).contains("seq 1 to 3 in no line"));
    // The file with the beginning is gone altogether. Where nobody has retention, nothing else can have
    // removed it.
    let settings = |days: &str| {
        let data = format!("\"first\":false,\"retention_days\":{days},\"max_total_bytes\":null");
        own(A, "start", &data)
    };
    let end = events(A, 4..=5) + &stop(A, 5, 5, 0);
    let found = findings(&(settings("null") + &end));
    assert!(found.contains("seq 1 to 3 in no line"), "{found}");
    assert_eq!(findings(&(settings("7") + &end)), "");
    let beheaded = findings(&end);
    assert!(beheaded.contains("seq 1 to 3 in no line"), "{beheaded}");
    let nothing_but_its_end = findings(&stop(A, 5, 5, 0));
    assert!(
        nothing_but_its_end.contains("says 5 written; the files hold 0"),
        "{nothing_but_its_end}"
    );
    let others = settings("7").replace(A, B) + &stop(B, 0, 0, 0);
    assert_eq!(findings(&(settings("null") + &end + &others)), "");
    // A hole between two files is one in any case.
    let report = check(&[(FILE, &(start(A) + &event(A, 1))), (NEXT, &(again + &event(A, 3)))]);
    assert_eq!(report.instances[0].unexplained, 1);
}

#[test]
fn ranges_without_ranges() {
    type Spans = [(u64, u64)];
    let cases: [(&Spans, &Spans); 7] = [
        (&[], &[(5, 9)]),
        (&[(5, 9)], &[]),
        (&[(1, 6)], &[(7, 9)]),
        (&[(8, 20), (1, 4)], &[(5, 7)]),
        (&[(6, 6), (8, 8)], &[(5, 5), (7, 7), (9, 9)]),
        (&[(6, 8), (7, 7)], &[(5, 5), (9, 9)]),
        (&[(0, u64::MAX)], &[]),
    ];
    for (ranges, left) in cases {
        assert_eq!(subtract_seq_ranges((5, 9), ranges), left, "{ranges:?}");
    }
}

#[test]
fn findings_are_bounded_and_counted() {
    let report = check(&[(FILE, &"x\n".repeat(FINDINGS_MAX + 5))]);
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    assert_eq!(report.findings_total, FINDINGS_MAX as u64 + 5);
    let odd = start(A) + &events(A, (1..=199).step_by(2)) + &stop(A, 199, 199, 0);
    let report = check(&[(FILE, &odd)]);
    assert_eq!(report.instances[0].unexplained, 99);
    assert_eq!(report.findings.len(), GAPS_MAX + 2);
}

#[test]
fn ranges_are_sets() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let (mut ranges, mut naive) = (SeqRanges::default(), std::collections::BTreeSet::new());
        for _ in 0..rng.usize(..40) {
            let n = rng.u64(1..40);
            assert_eq!(ranges.insert(n), naive.insert(n));
        }
        let held: Vec<u64> = ranges.0.iter().flat_map(|&(first, last)| first..=last).collect();
        assert!(held.iter().eq(&naive), "{ranges:?} {naive:?}", ranges = ranges.0);
        assert!(ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "they do not touch");
        assert_eq!(ranges.first_and_last(), naive.first().copied().zip(naive.last().copied()));
    }
}

#[test]
fn a_missing_folder_is_an_error() {
    assert!(verify("/nonexistent/logs").unwrap_err().is_io());
}
