//! Logs that somebody hostile wrote: they do nothing to a terminal.

mod common;

use std::fs;

use common::{FILE, TRACE, folder, run, write};
use serde_json::{Value, json};

/// Clears the screen, sets the title, hides text, moves the cursor, turns the line around.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{90}q\u{9c}\r\n\u{8}\u{7f}\u{0}\
    \u{202e}txet\u{2066}\u{200f}\u{61c}\u{2028}";

/// What no output may hold but a newline at the end of a line.
fn is_harmful(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

fn hostile_event(seq: u64, field: &str) -> String {
    let mut event = json!({
        "event_version": "3.0", "instance": "00000000000000aa", "seq": seq, "trace_id": TRACE,
        "span_id": format!("{seq:016x}"), "timestamp": "2026-01-02T03:04:05.000000Z",
        "event_type": "llm.invoke", "agent": "planner", "action": "chat", "status": "error",
        "data": {"model": "m", "key": "k"},
        "error": {"type": "T", "message": "m", "traceback": "t"},
    });
    let at = event.pointer_mut(field).unwrap();
    let plain = at.as_str().unwrap_or_default().to_owned();
    *at = Value::String(format!("{plain}{HOSTILE}"));
    format!("{event}\n")
}

#[test]
fn nothing_in_any_field_reaches_the_terminal() {
    let fields = [
        "/event_version",
        "/instance",
        "/seq",
        "/trace_id",
        "/span_id",
        "/timestamp",
        "/event_type",
        "/agent",
        "/action",
        "/status",
        "/data/model",
        "/data/key",
        "/error/type",
        "/error/message",
        "/error/traceback",
    ];
    let (_keep, dir) = folder();
    let mut log: String = (1..).zip(fields).map(|(seq, field)| hostile_event(seq, field)).collect();
    let parent = hostile_event(90, "/agent").replace(
        "\"planner",
        &format!("\"planner\",\"parent_span_id\":{}", Value::from(HOSTILE))
            .replace("\"planner\",", "p\","),
    );
    log += &parent;
    // Not escaped at all.
    log += &format!("{{\"event_type\":\"{HOSTILE}\"}}\n{HOSTILE}\n");
    write(&dir, FILE, &log);
    fs::write(format!("{dir}/audit-2026-01-02.1.jsonl"), HOSTILE).unwrap();
    let mut shown = 0;
    for args in [
        &["tail", "-n", "100"][..],
        &["tail", "-n", "100", "--json"],
        &["trace", &TRACE[..8]],
        &["trace", "--json", &TRACE[..8]],
        &["verify"],
        &["verify", "--json"],
    ] {
        let run = run(&[args, &["--dir", &dir]].concat());
        assert!(run.code <= 2, "{args:?} {run:?}");
        for output in [&run.stdout, &run.stderr] {
            assert!(!output.contains(is_harmful), "{args:?} {output:?}");
        }
        shown += usize::from(run.stdout.contains("planner"));
        // A row is a row, whatever is in it.
        if args[0] == "tail" {
            let rows = run.stdout.lines().filter(|line| line.contains("llm.invoke")).count();
            assert!(rows >= fields.len() - 1, "{args:?} {run:?}");
        }
        if args.contains(&"--json") && args[0] == "tail" {
            let agents =
                run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let hostile = Value::String(format!("planner{HOSTILE}"));
            assert!(agents.into_iter().any(|line| line["agent"] == hostile), "the same JSON");
        }
    }
    assert!(shown >= 3, "{shown}");
}

#[test]
fn nor_does_the_name_of_a_file() {
    let (_keep, dir) = folder();
    write(&dir, "a\u{1b}[2J\u{202e}\u{9b}.log", "kim@post.example\n");
    for args in [&["scan", &dir][..], &["scan", "--json", &dir], &["scan", "x\u{1b}[2J\u{9b}"]] {
        let run = run(args);
        for output in [&run.stdout, &run.stderr] {
            assert!(!output.contains(is_harmful), "{args:?} {output:?}");
        }
    }
}
