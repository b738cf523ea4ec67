//! `tail`: which lines it shows, and that it goes on across rotation.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use common::{FILE, OTHER, TRACE, command, event, folder, own, run, whole, write};

const NEXT: &str = "audit-2026-01-02.1.jsonl";

#[test]
fn shows_the_last_ones_over_two_files() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &whole(15));
    write(&dir, NEXT, &(16..=25).map(|seq| event(seq, TRACE, "00", "")).collect::<String>());
    let seqs = |args: &[&str]| {
        let run = run(&[&["tail", "--json", "--dir", &dir], args].concat());
        assert_eq!(run.code, 0, "{run:?}");
        let seq =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64();
        run.stdout.lines().map(|line| seq(line).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&[]), (6..=25).collect::<Vec<_>>());
    assert_eq!(seqs(&["-n", "3"]), [23, 24, 25]);
    assert_eq!(seqs(&["-n", "100"]), (1..=25).collect::<Vec<_>>());
}

#[test]
fn the_text_of_a_line_of_another_program_is_shown() {
    let (_keep, dir) = folder();
    let raw = |seq, data: &str| {
        event(seq, TRACE, "01", &format!(",\"data\":{data}")).replace("llm.invoke", "log.line")
    };
    let failed = raw(3, r#"{"msg":"refused"}"#);
    let log = raw(1, r#"{"text":"listening on \u001b[1m80"}"#)
        + &raw(2, r#"{"level":30,"message":"slow"}"#)
        + &failed
            .replace("\"ok\"", "\"error\"")
            .replace(",\"data\"", ",\"error\":\"no id\",\"data\"")
        + &event(4, TRACE, "04", ",\"data\":{\"text\":\"of an event\"}");
    write(&dir, FILE, &log);
    let run = run(&["tail", "--dir", &dir]);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].contains("listening on") && !lines[0].contains('\x1b'), "{run:?}");
    assert!(lines[1].ends_with("slow") && lines[2].ends_with("no id"), "{run:?}");
    assert!(!lines[3].contains("of an event"), "{run:?}");
}

#[test]
fn filters() {
    let (_keep, dir) = folder();
    let log = event(1, TRACE, "01", ",\"latency_ms\":12.5,\"tokens_input\":7,\"cost_usd\":0.5")
        + &event(2, OTHER, "02", "")
        + &event(3, TRACE, "03", ",\"error\":\"late\"").replace("\"ok\"", "\"timeout\"")
        + &event(4, TRACE, "04", "").replace("planner", "clerk")
        + &event(5, TRACE, "05", "").replace("llm.invoke", "tool.call")
        + "not json\n"
        + &own("stop", "");
    write(&dir, FILE, &log);
    let cases: [(&[&str], usize, &str); 20] = [
        (&[], 5, "12.5ms  7+? tokens  $0.50"),
        (&["--agent", "clerk"], 1, "clerk"),
        (&["--type", "tool"], 1, "tool.call"),
        (&["--type", "Tool.Call"], 1, "tool.call"),
        (&["--type", "llm.invoke"], 4, "llm.invoke"),
        (&["--type", "too"], 0, ""),
        (&["--status", "timeout"], 1, "late"),
        (&["--status", "ERROR,timeout"], 1, "late"),
        (&["--status", "error, timeout"], 1, "late"),
        (&["--status", "timeout,ok"], 5, "late"),
        (&["--trace", "0AF7BEEF"], 1, "0af7beef"),
        (&["--slower", "12ms"], 1, "12.5ms"),
        (&["--since", "2026-01-02"], 5, ""),
        (&["--since", "2999-01-01"], 0, ""),
        (&["--until", "2999-01-01", "--agent", "planner"], 4, "planner"),
        (&["--action", "chat", "--model", "gpt"], 0, ""),
        (&["-q", "latency_ms > 12 or error.message ~ 'LATE'"], 2, "late"),
        (
            &["-q", "error.message == 'late' and not status == 'ok'", "--agent", "planner"],
            1,
            "late",
        ),
        (&["--type", "audit"], 1, "audit.stop"),
        (&["-n", "0"], 0, ""),
    ];
    for (args, count, expected) in cases {
        let run = run(&[&["tail", "--dir", &dir], args].concat());
        assert_eq!(run.stdout.lines().count(), count, "{args:?} {run:?}");
        assert!(run.stdout.contains(expected), "{args:?} {run:?}");
        let is_none = count == 0 && args != ["-n", "0"];
        assert_eq!(run.code, if is_none { 3 } else { 0 }, "{args:?} {run:?}");
        assert_eq!(
            run.stderr.contains("not JSON; the line is left out"),
            args != ["-n", "0"],
            "{run:?}"
        );
    }
    for (args, said) in [
        (["--trace", "xyz"], "the first hex digits of a trace id"),
        (["--since", "soon"], "today, yesterday, now, or how long ago: 90s, 3h, 2d"),
        (["-n", "abc"], "a whole number up to 1000000 is needed"),
        (["--slower", "500"], "accepted: 500ms, 2s, 1m30s"),
        (["-q", "stauts == 'ok'"], "at column 1: no such field, did you mean status?"),
    ] {
        let run = run(&[&["tail", "--dir", &dir], args.as_slice()].concat());
        assert!(run.code == 2 && run.stderr.contains(said), "{run:?}");
    }
}

#[test]
fn losses_are_always_shown_and_escapes_never_sent() {
    let (_keep, dir) = folder();
    let loss = own("loss", r#""first_seq":2,"last_seq":3,"overwritten":2,"io_lost":0"#);
    let hostile = event(1, TRACE, "01", "").replace("chat", "\\u001b[2Jchat");
    write(&dir, FILE, &(hostile + &loss));
    let run = run(&["tail", "--dir", &dir]);
    assert_eq!(run.stdout.lines().count(), 2, "{run:?}");
    assert!(run.stdout.contains("2 overwritten, 0 io_lost"), "{run:?}");
    assert!(run.stdout.contains("\\u{1b}[2Jchat") && !run.stdout.contains('\x1b'), "{run:?}");
}

#[test]
fn rows_without_a_day_are_below_it() {
    let (_keep, dir) = folder();
    let day = |seq, day: &str| event(seq, TRACE, "01", "").replace("2026-01-02", day);
    let log = [day(1, "2026-01-02"), day(2, "2026-01-03"), day(3, "2026-01-03")].concat();
    write(&dir, FILE, &log);
    let days = |args: &[&str], columns: &str| {
        let mut tail = command(&[&["tail", "--dir", &dir], args].concat());
        tail.env("COLUMNS", columns);
        let run = common::run_with(tail, |_| Ok(()));
        let is_day = |line: &&str| !line.contains("chat");
        run.stdout.lines().filter(is_day).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(days(&[], "80"), ["2026-01-02", "2026-01-03"]);
    assert_eq!(days(&["-n", "1"], "80"), ["2026-01-03"]);
    assert_eq!(days(&[], ""), [""; 0], "the rows have their times in full");
    assert_eq!(days(&["--json"], "80"), [""; 0]);
}

#[test]
fn a_type_that_the_schema_lacks_is_named_before_it_is_waited_for() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &event(1, TRACE, "01", ""));
    let mut tail = command(&["tail", "-f", "--type", "tol.call", "--dir", &dir]);
    let mut child = tail.stderr(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(first.contains("the schema has no event type tol.call; it has tool.call, "), "{first}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn follows_across_rotation() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &event(1, TRACE, "01", ""));
    let mut tail = command(&["tail", "-f", "--json", "--dir", &dir]);
    let mut child = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains("\"seq\":1"), "the last one first");
    let append = |name: &str, text: &str| {
        let path = Path::new(&dir).join(name);
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(FILE, &event(2, TRACE, "02", ""));
    assert!(next().contains("\"seq\":2"));
    append(NEXT, &event(3, TRACE, "03", ""));
    assert!(next().contains("\"seq\":3"));
    append("audit-2026-01-03.jsonl", &event(4, TRACE, "04", ""));
    assert!(next().contains("\"seq\":4"));
    child.kill().unwrap();
    child.wait().unwrap();
}
