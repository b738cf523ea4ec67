//! `fixture`: what it writes, what it says first, and its exit codes.

mod common;

use std::fs;
use std::path::Path;

use common::{FILE, TRACE, command, event, folder, run, run_with, write};

const ROOT: &str = "0000000000000001";

/// A root function that calls a tool, which fails.
fn log(result: &str) -> String {
    let below = format!(",\"parent_span_id\":\"{ROOT}\"");
    let error = ",\"error\":{\"type\":\"E\",\"message\":\"no\\nplan\\u001b[2J\",\
        \"environment\":{\"crate\":\"my-agent 0.1.0\"}}";
    let of = |line: String, event_type: &str| line.replace("llm.invoke", event_type);
    of(event(1, TRACE, ROOT, ",\"data\":{\"arguments\":{\"q\":\"[REDACTED_email]\"}}"), "tool.call")
        + &of(event(2, TRACE, "0000000000000002", &below), "tool.call")
        + &of(event(3, TRACE, "0000000000000002", &(below.clone() + result)), "tool.result")
        + &of(event(4, TRACE, ROOT, error), "tool.error").replace("\"ok\"", "\"error\"")
}

const RESULT: &str = ",\"data\":{\"result\":[1]}";

fn run_in(dir: &Path, args: &[&str]) -> common::Run {
    let mut command = command(args);
    command.current_dir(dir);
    run_with(command, |_| Ok(()))
}

#[test]
fn the_fixture_is_json() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log(RESULT));
    let run = run(&["fixture", "0af7", "--dir", &dir]);
    assert_eq!(run.code, 0, "{run:?}");
    let json = run.json();
    assert_eq!((&json["fixture_version"], &json["trace_id"]), (&1.into(), &TRACE.into()));
    assert_eq!(json["root"]["input"]["q"], "[REDACTED_email]");
    assert_eq!(json["calls"][0]["result"][0], 1);
    assert_eq!(json["error"]["message"], "no\nplan\u{1b}[2J");
    assert!(run.stderr.contains("1 call; tool.error chat: E: no"), "{run:?}");
    assert!(!run.stderr.contains('\x1b'), "{run:?}");
}

#[test]
fn a_test_is_written_beside_the_fixture() {
    let (keep, dir) = folder();
    write(&dir, FILE, &log(RESULT));
    let run = run_in(keep.path(), &["fixture", "0af7", "--test"]);
    assert_eq!(run.code, 0, "{run:?}");
    let text = fs::read_to_string(keep.path().join("tests/replay_0af7651916cd.rs")).unwrap();
    for part in [
        "//! It failed with: tool.error chat: E: no plan",
        "fn replay_0af7651916cd() {\n    let path",
        "let path = concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/tests/fixtures/replay_0af7651916cd.json\");",
        "replayer.run(my_agent::replay_root).assert_fixed();\n}\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(keep.path().join("tests/fixtures/replay_0af7651916cd.json").exists());
    let again = run_in(keep.path(), &["fixture", "0af7", "--test"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("cannot write tests/fixtures/replay_"), "{again:?}");
    // The test is there, so neither is written.
    let other = ["fixture", "0af7", "--test", "--out", "f.json", "--root", "a::b"];
    assert_eq!(run_in(keep.path(), &other).code, 2);
    assert!(!keep.path().join("f.json").exists());
    fs::remove_file(keep.path().join("tests/replay_0af7651916cd.rs")).unwrap();
    assert_eq!(run_in(keep.path(), &other).code, 0);
    let text = fs::read_to_string(keep.path().join("tests/replay_0af7651916cd.rs")).unwrap();
    assert!(text.contains("\"/f.json\"") && text.contains("run(a::b)"), "{text}");
}

#[test]
fn the_text_of_the_error_cannot_harm_the_test() {
    let (keep, dir) = folder();
    let long = format!("\\u202eno\\u0007 {}", "x".repeat(400));
    let log = log(RESULT).replace("no\\nplan\\u001b[2J", &long);
    write(&dir, FILE, &log.replace(TRACE, "a1b2c3d4e5f60718"));
    let run = run_in(keep.path(), &["fixture", "a1b2", "--test"]);
    assert_eq!(run.code, 0, "{run:?}");
    let text = fs::read_to_string(keep.path().join("tests/replay_a1b2c3d4e5f6.rs")).unwrap();
    assert!(text.contains(r"E: \u{202e}no\u{7} xx"), "{text}");
    assert!(
        text.lines().all(|line| line.len() < 130 && !line.contains(char::is_control)),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (keep, dir) = folder();
    write(&dir, FILE, &log(RESULT));
    assert_eq!(run_in(keep.path(), &["fixture", "0af7", "--test"]).code, 0);
    for file in ["replay_0af7651916cd.rs", "fixtures/replay_0af7651916cd.json"] {
        let mode = fs::metadata(keep.path().join("tests").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_deep_trace_has_a_short_list() {
    let (_keep, dir) = folder();
    let deep = (1..300).map(|at: u64| {
        let parent = format!(",\"parent_span_id\":\"{at:016x}\"");
        event(at, TRACE, &format!("{:016x}", at + 1), &parent).replace("llm.invoke", "tool.call")
    });
    let root = event(0, TRACE, ROOT, "").replace("llm.invoke", "tool.call");
    write(&dir, FILE, &(root + &deep.collect::<String>()));
    let run = run(&["fixture", "0af7", "--dir", &dir]);
    assert!(run.stderr.contains("more, in the fixture under not_captured"), "{run:?}");
    assert!(run.stderr.lines().count() < 30 && run.stderr.len() < 5_000, "{run:?}");
}

#[test]
fn what_is_missing_comes_first_and_there_is_no_test() {
    let (keep, dir) = folder();
    write(&dir, FILE, &log(""));
    let run = run_in(keep.path(), &["fixture", "0af7", "--test", "--out", "f.json"]);
    assert_eq!(run.code, 1, "{run:?}");
    let first = run.stderr.lines().next().unwrap();
    assert!(first.starts_with("llm-audit: cannot replay: the result"), "{run:?}");
    assert!(first.contains("(step 1: tool chat > tool chat)"), "{run:?}");
    assert!(keep.path().join("f.json").exists() && !keep.path().join("tests").exists());
}

#[test]
fn a_trace_by_another_writer_is_a_fixture_to_read() {
    let (_keep, dir) = folder();
    let line = r#"{"trace_id":"a1b2c3d4e5f6","span_id":"0a1b","parent_span_id":null,"timestamp":"2026-01-02T03:04:05+00:00","event_type":"tool.error","agent":"a","action":"search","status":"error","data":null,"error":{"type":"TimeoutError","message":"no answer","input_snapshot":{"q":"plan"},"environment":null}}"#;
    write(&dir, FILE, &format!("{line}\n"));
    let run = run(&["fixture", "a1b2", "--dir", &dir]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.starts_with("llm-audit: cannot replay: the root is an event"), "{run:?}");
    let json = run.json();
    assert_eq!(json["trace_id"], "00000000000000000000a1b2c3d4e5f6");
    assert_eq!(
        (&json["error"]["message"], &json["root"]["input"]["q"]),
        (&"no answer".into(), &"plan".into())
    );
}

#[test]
fn the_type_of_an_error_names_a_crate_too() {
    let (keep, dir) = folder();
    let log = log(RESULT).replace(",\"environment\":{\"crate\":\"my-agent 0.1.0\"}", "");
    for (error_type, root) in [("my_bot::E", Some("my_bot::replay_root")), ("std::io::Error", None)]
    {
        write(&dir, FILE, &log.replace("\"type\":\"E\"", &format!("\"type\":\"{error_type}\"")));
        let run = run_in(keep.path(), &["fixture", "0af7", "--test"]);
        let said = root.map_or("--root PATH names the function".to_owned(), |root| {
            format!("the test calls {root}, by the type of the error")
        });
        assert_eq!(run.code, if root.is_some() { 0 } else { 2 }, "{run:?}");
        assert!(run.stderr.contains(&said), "{run:?}");
        fs::remove_dir_all(keep.path().join("tests")).ok();
    }
}

#[test]
fn exit_codes() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log(RESULT).replace("my-agent 0.1.0", "9 lives"));
    let cases: [(&[&str], i32, &str); 6] = [
        (&["ffff"], 3, "no such trace"),
        (&["zzzz"], 2, "hex digits"),
        (&["0af7", "--root", "a::b"], 2, "--test"),
        (&["0af7", "--test", "--root", "a b"], 2, "accepted: the path of a function"),
        (&["0af7", "--test", "--root", "self::b"], 2, "accepted: the path of a function"),
        (&["0af7", "--test"], 2, "--root PATH names the function"),
    ];
    for (args, code, expected) in cases {
        let run = run(&[&["fixture"], args, &["--dir", &dir]].concat());
        assert_eq!(run.code, code, "{args:?} {run:?}");
        assert!(run.stderr.contains(expected), "{args:?} {run:?}");
    }
}
