//! `verify`: its exit codes and what it prints.

mod common;

use common::{FILE, event, folder, own, run, whole, write};

#[test]
fn a_whole_log_is_fine() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &whole(5));
    let plain = run(&["verify", "--dir", &dir]);
    assert_eq!(plain.code, 0, "{plain:?}");
    assert!(plain.stdout.contains("1 file, 7 lines, 5 events"), "{plain:?}");
    assert!(plain.stdout.contains("nothing is missing"), "{plain:?}");
    let json = run(&["verify", "--json", "--dir", &dir]).json();
    assert_eq!((&json["clean"], &json["events"]), (&true.into(), &5.into()));
    assert_eq!(json["instances"][0]["state"], "closed");
    assert_eq!(json["instances"][0]["last_seq"], 5);
    assert_eq!(json["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn a_log_with_holes_is_a_finding() {
    let gone = event(3, common::TRACE, "0000000000000003", "");
    let loss = own("loss", r#""first_seq":3,"last_seq":3,"overwritten":1,"io_lost":0"#);
    let cases = [
        (whole(5).replace(&gone, ""), "seq 3 in no line"),
        (whole(5).replace(&gone, &loss), "1 event lost: 1 overwritten"),
        (whole(5) + "{\"torn", "audit-2026-01-02.jsonl:8: torn"),
        (whole(5) + "\x1b[2J not json\n", "audit-2026-01-02.jsonl:8: not a valid log line"),
        (own("start", "\"first\":true"), "killed"),
    ];
    for (log, expected) in cases {
        let (_keep, dir) = folder();
        write(&dir, FILE, &log);
        let run = run(&["verify", "--dir", &dir]);
        assert_eq!(run.code, 1, "{expected} {run:?}");
        assert!(run.stdout.contains(expected), "{expected} {run:?}");
        assert!(!run.stdout.contains('\x1b'), "{run:?}");
        let json = common::run(&["verify", "--json", "--dir", &dir]).json();
        assert_eq!(json["clean"], false);
        assert!(json["findings_total"].as_u64() > Some(0));
    }
}

#[test]
fn what_audit_stop_says_of_input_and_of_failed_traces_is_reported() {
    let (_keep, dir) = folder();
    let more = r#""queued":0,"hold_full":7,"torn_traces":1,"refused":{"not_json":2,"too_long":1}"#;
    write(&dir, FILE, &whole(5).replace("\"queued\":0", more));
    let plain = run(&["verify", "--dir", &dir]);
    assert_eq!(plain.code, 0, "{plain:?}");
    let refused = "3 lines of input refused (2 not_json, 1 too_long)";
    assert!(plain.stdout.contains(refused), "{plain:?}");
    let torn = "7 events not held for lack of memory (1 failed trace known to lack some)";
    assert!(plain.stdout.contains(torn), "{plain:?}");
    let json = run(&["verify", "--json", "--dir", &dir]).json();
    let instance = &json["instances"][0];
    assert_eq!((&instance["hold_full"], &instance["torn_traces"]), (&7.into(), &1.into()));
    assert_eq!(instance["refused"]["not_json"], 2);
}

#[test]
fn empty_files_are_no_data() {
    let (_keep, dir) = folder();
    write(&dir, FILE, "");
    assert_eq!(run(&["verify", "--dir", &dir]).code, 3);
}
