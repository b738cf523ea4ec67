//! `record`: every exit code, bad input of every kind, and that nothing else is lost with it.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{command, event_lines, events, folder, run, run_closed, run_on, run_with, text};
use serde_json::json;

fn line(more: &str) -> String {
    format!(r#"{{"event_type":"tool.call","agent":"a","action":"b","status":"ok"{more}}}"#) + "\n"
}

/// Records with `--json` and checks that the accounting adds up.
fn record(dir: &str, input: &[u8], code: i32) -> (common::Run, serde_json::Value) {
    let run = run_on(&["record", "--json", "--dir", dir], input);
    assert_eq!(run.code, code, "{run:?}");
    let counts = run.json();
    let of = |name: &str| counts[name].as_u64().unwrap();
    let ends = ["written", "overwritten", "sampled_out", "rejected", "io_lost", "queued"];
    assert_eq!(of("emitted"), ends.map(of).iter().sum::<u64>(), "{counts}");
    assert_eq!(of("written") as usize, event_lines(dir), "{counts}");
    (run, counts)
}

#[test]
fn good_lines_are_all_recorded() {
    let (_keep, dir) = folder();
    let (run, counts) = record(&dir, line("").repeat(500).as_bytes(), 0);
    assert_eq!((&counts["written"], &counts["bad_lines"]), (&500.into(), &0.into()));
    assert!(run.stderr.is_empty(), "{run:?}");
    assert_eq!(common::run(&["verify", "--dir", &dir]).code, 0);
    let again = run_on(&["record", "--dir", &dir], line("").as_bytes());
    assert!(again.stdout.contains("emitted") && again.stdout.contains("bad_lines"), "{again:?}");
    assert_eq!(events(&dir).len(), 501);
    assert_eq!(common::run(&["verify", "--dir", &dir]).code, 0, "two instances, one folder");
}

/// The service's own keys go by their variables' names, whatever they look like.
#[test]
fn keys_of_the_environment_are_no_part_of_the_log() {
    let values = [("DESK_API_KEY", "brass gate four"), ("DESK_NAME", "quill street nine")];
    let recorded = |named: &str| {
        let (_keep, dir) = folder();
        let mut command = command(&["record", "--dir", &dir]);
        command.envs(values).env("AUDIT_REDACT_ENV", named);
        let given = line(r#","data":{"q":"brass gate four, quill street nine"}"#);
        let run = run_with(command, |to| to.write_all(given.as_bytes()));
        let start = run.code.eq(&0).then(|| {
            serde_json::from_str::<serde_json::Value>(text(&dir).lines().next().unwrap()).unwrap()
        });
        (run, start, if fs::exists(&dir).unwrap() { events(&dir) } else { Vec::new() })
    };
    let cases = [
        ("", json!(["DESK_API_KEY"]), "[REDACTED_known], quill street nine"),
        ("DESK_NAME", json!(["DESK_NAME"]), "brass gate four, [REDACTED_known]"),
        ("none", json!([]), "brass gate four, quill street nine"),
    ];
    for (named, protected, kept) in cases {
        let (run, start, events) = recorded(named);
        assert_eq!(run.code, 0, "{run:?}");
        let told = &start.unwrap()["data"];
        assert_eq!((&told["redact_env"], &told["redaction_profile"]), (&protected, &json!("full")));
        assert_eq!(events[0]["data"]["q"], kept, "{named:?}");
    }
    let (run, ..) = recorded("DESK_NAME,DESK_NONE");
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("AUDIT_REDACT_ENV is \"DESK_NONE\""), "{run:?}");
}

#[test]
fn fields_arrive_as_given() {
    let (_keep, dir) = folder();
    let given = line(concat!(
        r#","trace_id":"0AF7651916CD","span_id":"b7ad6b71","parent_span_id":null,"seq":99,"#,
        r#""instance":"x","timestamp":"2026-01-02T08:34:05.000006+05:30","latency_ms":1.5,"#,
        r#""tokens_input":10,"tokens_output":2,"cost_usd":0.25,"data":{"n":1},"region":"eu","#,
        r#""n":2,"none":null,"error":"it broke""#
    ));
    // `instance` is not an id here, and is to be replaced all the same.
    let given = given.replace("\"instance\":\"x\",", "\"instance\":\"00112233445566ff\",");
    let (run, _) = record(&dir, (given.clone() + &given).as_bytes(), 0);
    for name in ["region", "n"] {
        let told = format!("unknown field {name:?}");
        assert_eq!(run.stderr.matches(&told).count(), 1, "once per name: {run:?}");
    }
    let event = &events(&dir)[0];
    let expected = json!({
        "event_version": "3.0", "seq": 1, "trace_id": "000000000000000000000af7651916cd",
        "span_id": "00000000b7ad6b71", "timestamp": "2026-01-02T03:04:05.000006Z",
        "event_type": "tool.call", "agent": "a", "action": "b", "status": "ok",
        "latency_ms": 1.5, "tokens_input": 10, "tokens_output": 2, "cost_usd": 0.25,
        "data": {"n": 1, "region": "eu", "n_2": 2}, "error": {"message": "it broke"},
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&event[name], value, "{name} in {event}");
    }
    assert_ne!(event["instance"], "00112233445566ff");
    assert!(event.get("parent_span_id").is_none() && event.get("none").is_none(), "{event}");
}

#[test]
fn money_keeps_its_spelling_and_sums_without_drift() {
    let (_keep, dir) = folder();
    let id = "0af7651916cd43dd8448eb211c80319c";
    let cases = [
        ("0.1", "0.1"),
        ("0.2", "0.2"),
        ("2.5e-06", "0.0000025"),
        ("1.50", "1.5"),
        ("0.123456789012345678901234567", "0.123456789012345678901234567"),
        ("1e-300", "0"),
    ];
    let given: String = cases
        .iter()
        .map(|(cost, _)| line(&format!(r#","trace_id":"{id}","cost_usd":{cost}"#)))
        .map(|line| line.replace("tool.call", "llm.invoke"))
        .collect();
    record(&dir, given.as_bytes(), 0);
    let text = text(&dir);
    for (given, expected) in cases {
        let member = format!(",\"cost_usd\":{expected}}}");
        assert!(text.contains(&member), "{given} in {text}");
    }
    let trace = run(&["trace", id, "--json", "--dir", &dir]);
    let sum = ",\"cost_usd\":1.923459289012345678901234567,";
    assert!(trace.stdout.contains(sum), "{trace:?}");
    let (_keep, dir) = folder();
    let (refused, _) = record(&dir, line(",\"cost_usd\":1e300").as_bytes(), 1);
    assert!(refused.stderr.contains("cost_usd is no number of dollars"), "{refused:?}");
}

#[test]
fn missing_ids_are_made() {
    let (_keep, dir) = folder();
    let given =
        line("") + &line(",\"span_id\":\"00f067aa0ba902b7\"") + &line(",\"trace_id\":\"0af7\"");
    record(&dir, given.as_bytes(), 0);
    let events = events(&dir);
    let digits = |event: &serde_json::Value, name: &str| event[name].as_str().unwrap().len();
    assert!(events.iter().all(|e| digits(e, "trace_id") == 32 && digits(e, "span_id") == 16));
    assert_eq!(events[1]["span_id"], "00f067aa0ba902b7");
    assert_eq!(events[2]["trace_id"], format!("{:032x}", 0x0af7));
    assert_ne!(events[0]["trace_id"], events[1]["trace_id"]);
}

#[test]
fn a_bad_line_is_told_and_the_rest_recorded() {
    let cases: [(&[u8], &str); 11] = [
        (b"hunter2", "not a valid log line"),
        (b"{\"hunter2\"", "not a valid log line"),
        (b"[\"hunter2\"]", "no object"),
        (b"\xff\xfe hunter2", "invalid UTF-8"),
        (br#"{"agent":"hunter2"}"#, "event_type is missing"),
        (br#"{"event_type":"a.b","agent":"a","action":"hunter2","status":"hunter2"}"#, "status is"),
        (br#"{"event_type":"Hunter2!","agent":"a","action":"b","status":"ok"}"#, "event_type is"),
        (br#"{"event_type":"audit.stop","agent":"a","action":"b","status":"ok"}"#, "audit."),
        (
            br#"{"event_type":"a.b","agent":"a","action":"b","status":"ok","latency_ms":"12"}"#,
            "latency_ms is no number",
        ),
        (
            br#"{"event_type":"a.b","agent":"a","action":"b","status":"ok","trace_id":"hunter2"}"#,
            "trace_id is",
        ),
        (
            br#"{"event_type":"a.b","agent":"a","action":"b","status":"ok","timestamp":"today"}"#,
            "timestamp is",
        ),
    ];
    for (bad, expected) in cases {
        let (_keep, dir) = folder();
        let good = line("");
        let input = [good.as_bytes(), b"\n", bad, b"\n", good.as_bytes()].concat();
        let (run, counts) = record(&dir, &input, 1);
        assert_eq!((&counts["written"], &counts["bad_lines"]), (&2.into(), &1.into()));
        assert!(run.stderr.contains("line 3: ") && run.stderr.contains(expected), "{run:?}");
        assert!(!run.stderr.contains("unter2"), "{run:?}");
        assert_eq!(common::run(&["verify", "--dir", &dir]).code, 0);
    }
}

#[test]
fn a_line_past_the_limit_is_stepped_over() {
    let (_keep, dir) = folder();
    let run = run_with(command(&["record", "--json", "--dir", &dir]), |to| {
        to.write_all(line("").as_bytes())?;
        to.write_all(b"{\"data\":\"")?;
        let block = vec![b'x'; 1 << 20];
        (0..70).try_for_each(|_| to.write_all(&block))?;
        to.write_all(b"\"}\n")?;
        to.write_all(line("").as_bytes())
    });
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("line 2: ") && run.stderr.contains("64 MiB"), "{run:?}");
    assert_eq!(events(&dir).len(), 2);
}

#[test]
fn deep_and_large_events_are_recorded() {
    let (_keep, dir) = folder();
    let deep = format!(",\"data\":{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!(",\"data\":{{\"text\":\"{}\"}}", "word ".repeat(200_000));
    record(&dir, (line(&deep) + &line(&large) + &line("")).as_bytes(), 0);
    assert_eq!(event_lines(&dir), 3);
    assert_eq!(run(&["verify", "--dir", &dir]).code, 0);
}

#[test]
fn nothing_on_stdin_is_no_data() {
    for input in ["", "\n\n  \r\n"] {
        let (_keep, dir) = folder();
        let run = run_on(&["record", "--dir", &dir], input.as_bytes());
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("nothing on stdin"), "{run:?}");
    }
}

#[test]
fn a_last_line_without_newline_counts() {
    let (_keep, dir) = folder();
    record(&dir, (line("") + line("").trim_end()).as_bytes(), 0);
    assert_eq!(events(&dir).len(), 2);
}

#[test]
fn a_closed_stdout_loses_no_event() {
    let (_keep, dir) = folder();
    let recording = command(&["record", "--dir", &dir]);
    let closed = run_closed(recording, line("").repeat(50).as_bytes());
    assert_eq!(closed.code, 0, "by what the recording deserves: {closed:?}");
    assert!(closed.stderr.contains("the accounting cannot be printed"), "{closed:?}");
    assert_eq!(events(&dir).len(), 50);
    assert_eq!(run(&["verify", "--dir", &dir]).code, 0);
}

#[test]
fn a_folder_or_setting_that_cannot_be_used_is_a_mistake() {
    let (keep, _) = folder();
    let file = keep.path().join("file");
    fs::write(&file, "").unwrap();
    let run = run_on(&["record", "--dir", file.to_str().unwrap()], line("").as_bytes());
    assert_eq!(run.code, 2, "{run:?}");
    let (_keep, dir) = folder();
    let mut setting = command(&["record", "--dir", &dir]);
    setting.env("TRACE_SAMPLE_RATE", "often");
    let run = run_with(setting, |to| to.write_all(line("").as_bytes()));
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("TRACE_SAMPLE_RATE"), "{run:?}");
}

#[test]
fn what_sampling_leaves_out_is_said() {
    let (_keep, dir) = folder();
    let mut sampled = command(&["record", "--sample", "--json", "--dir", &dir]);
    sampled.env("TRACE_SAMPLE_RATE", "0").env("SUCCESS_SAMPLE_RATE", "0");
    let failed = line("").replace("\"ok\"", "\"error\"");
    let run = run_with(sampled, |to| to.write_all((line("").repeat(9) + &failed).as_bytes()));
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((&run.json()["sampled_out"], &run.json()["written"]), (&9.into(), &1.into()));
    for part in ["9 events sampled out", "TRACE_SAMPLE_RATE", "SUCCESS_SAMPLE_RATE", "--sample"] {
        assert!(run.stderr.contains(part), "{run:?}");
    }
    assert_eq!(events(&dir).len(), 1);
}

#[test]
fn files_only_whatever_the_exporters() {
    let (_keep, dir) = folder();
    let mut recording = command(&["record", "--json", "--dir", &dir]);
    recording.env("AUDIT_EXPORTER", "stdout,stderr");
    let run = run_with(recording, |to| to.write_all(line("").as_bytes()));
    assert_eq!((run.code, &run.json()["written"], &*run.stderr), (0, &1.into(), ""), "{run:?}");
    assert_eq!(events(&dir).len(), 1);
}

#[test]
fn secrets_reach_neither_the_log_nor_stderr() {
    let (_keep, dir) = folder();
    let secret = concat!(
        r#","data":{"mail":"me@example.com","password":"hunter2"},"me@example.com":1,"#,
        r#""error":{"message":"me@example.com failed","input_snapshot":{"token":"hunter2"}}"#
    );
    let (run, _) = record(&dir, line(secret).as_bytes(), 0);
    for leaked in ["me@example.com", "hunter2"] {
        assert!(!text(&dir).contains(leaked), "{leaked}");
        assert!(!run.stderr.contains(leaked), "{run:?}");
    }
    assert!(text(&dir).contains("[REDACTED_email]"));
}

/// While it runs the log is whole and open; killed, it says so.
#[test]
fn a_killed_recording_is_a_finding() {
    let (_keep, dir) = folder();
    let mut recording = command(&["record", "--dir", &dir]);
    let mut child = recording.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(line("").as_bytes()).unwrap();
    let verify = || run(&["verify", "--json", "--dir", &dir]);
    // The writer needs a moment; how long is its own affair.
    let open = (0..10_000).map(|_| verify()).find(|run| run.stdout.contains("\"events\":1,"));
    let open = open.expect("the event was never written");
    assert_eq!((open.code, &open.json()["instances"][0]["state"]), (0, &"open".into()));
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = verify();
    assert_eq!((killed.code, &killed.json()["instances"][0]["state"]), (1, &"killed".into()));
}

/// Records the sample, and real events if there are any.
#[test]
fn every_event_of_a_service_is_recorded() {
    let name = "agent-events.jsonl";
    for input in [Some(testdata::sample(name)), testdata::recording(name)].into_iter().flatten() {
        let (_keep, dir) = folder();
        record(&dir, input.as_bytes(), 0);
        assert_eq!(event_lines(&dir), input.lines().filter(|line| !line.is_empty()).count());
        assert_eq!(run(&["verify", "--dir", &dir]).code, 0);
    }
}

#[cfg(unix)]
#[test]
#[allow(unsafe_code, reason = "what a child does before it is another program")]
fn a_signal_leaves_a_closed_log() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    for (signal, number) in [("INT", 2), ("TERM", 15)] {
        let (_keep, dir) = folder();
        let mut command = command(&["record", "--dir", &dir]);
        // What a shell runs in the background ignores SIGINT, and so all that is run from there.
        let reset = || {
            // SAFETY: the default action has no handler.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
            Ok(())
        };
        // SAFETY: between fork and exec it makes a system call and nothing else.
        unsafe { command.pre_exec(reset) };
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(line("").repeat(500).as_bytes()).unwrap();
        // All are read once all are written; the end of stdin never comes.
        while !fs::exists(&dir).unwrap() || event_lines(&dir) < 500 {
            assert!(child.try_wait().unwrap().is_none(), "it waits for more");
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        let killed = std::process::Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{output:?}");
        drop(stdin);
        let verified = run(&["verify", "--dir", &dir]);
        assert!(verified.code == 0 && verified.stdout.contains("500 events"), "{verified:?}");
    }
}

/// Python's forms: no offset, seconds since 1970, `NaN`, integers past 64 bits, `OK`.
#[test]
fn forms_whose_meaning_is_certain_are_accepted() {
    let producer = include_str!("../../../testdata/cases/recorder/python_producer.jsonl");
    let (_keep, dir) = folder();
    let (run, counts) = record(&dir, producer.as_bytes(), 1);
    assert_eq!(counts["bad_lines"], 1, "warning is no status: {run:?}");
    assert!(run.stderr.contains("line 11: not a valid event: status is none of"), "{run:?}");
    let events = events(&dir);
    let of = |action: &str| events.iter().find(|event| event["action"] == action).expect(action);
    for action in ["utcnow", "aware"] {
        assert_eq!(of(action)["timestamp"], "2026-11-01T10:00:00.123456Z");
    }
    assert_eq!(of("epoch")["timestamp"], "2026-11-01T10:00:00.123000Z");
    assert_eq!(of("status upper")["status"], "ok");
    assert_eq!(of("nan")["data"], json!({"score": "NaN"}));
    assert_eq!(of("bigint")["data"]["id"], "1180591620717411303424");
    assert_eq!(of("bigint")["data"]["u64"], u64::MAX);
    assert_eq!(of("surrogate")["data"]["prompt"], "cut emoji \u{fffd}");
    assert_eq!(of("cost")["cost_usd"], 0.0075);
    assert_eq!(of("usage")["tokens_input"], 10);
    assert_eq!(of("usage")["tokens_output"], 5);
    assert_eq!(of("usage")["cost_usd"], 0.000075);
}

#[test]
fn a_model_call_is_priced_by_its_own_figures_first() {
    let (_keep, dir) = folder();
    let call = |more: &str| {
        let head = r#"{"event_type":"llm.invoke","agent":"a","action":"b","status":"ok""#;
        format!("{head},{more}}}\n")
    };
    let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":500}"#;
    let lines = [
        call(&format!(r#""cost_usd":1,"data":{{"model":"gpt-4o",{usage}}}"#)),
        call(&format!(r#""data":{{"model":"gpt-4o",{usage}}}"#)),
        call(&format!(
            r#""tokens_input":10,"tokens_output":1,"data":{{"model":"gpt-4o",{usage}}}"#
        )),
        call(&format!(r#""tokens_input":10,"data":{{"model":"gpt-4o",{usage}}}"#)),
        call(&format!(r#""data":{{"model":"nobody-knows-it",{usage}}}"#)),
        line(&format!(r#","data":{{"model":"gpt-4o",{usage}}}"#)),
    ];
    record(&dir, lines.concat().as_bytes(), 0);
    let figures: Vec<_> = events(&dir)
        .iter()
        .map(|event| ["tokens_input", "tokens_output", "cost_usd"].map(|name| event[name].clone()))
        .collect();
    let none = serde_json::Value::Null;
    let expected = [
        [none.clone(), none.clone(), json!(1)],
        [json!(1000), json!(500), json!(0.0075)],
        [json!(10), json!(1), json!(0.000035)],
        [json!(10), none.clone(), none.clone()],
        [json!(1000), json!(500), none.clone()],
        [none.clone(), none.clone(), none.clone()],
    ];
    assert_eq!(figures, expected);
}

#[test]
fn the_byte_in_a_message_counts_from_the_start_of_the_line() {
    let (_keep, dir) = folder();
    let bad = r#"{"event_type":"a.b","agent":"a","data":[NaN,1e999],"action":!}"#;
    let (run, _) = record(&dir, format!("\u{feff}{bad}\n{bad}\n").as_bytes(), 1);
    let at = bad.find('!').unwrap() + 1;
    for (number, at) in [(1, at + 3), (2, at)] {
        let told = format!("line {number}: not a valid log line: not JSON at byte {at}\n");
        assert!(run.stderr.contains(&told), "{at}: {run:?}");
    }
}

#[test]
fn a_figure_that_is_no_number_costs_no_event() {
    let (_keep, dir) = folder();
    let figures = [
        (r#","latency_ms":NaN,"cost_usd":Infinity"#, 0),
        (r#","tokens_input":5.0,"tokens_output":NaN"#, 0),
        (r#","tokens_input":5.5"#, 1),
        (r#","latency_ms":"12""#, 1),
    ];
    for (more, code) in figures {
        record(&dir, line(more).as_bytes(), code);
        fs::rename(&dir, format!("{dir}.{}", more.len())).unwrap();
    }
    let second = format!("{dir}.{}", figures[1].0.len());
    let events = events(&second);
    assert_eq!(
        (&events[0]["tokens_input"], &events[0]["tokens_output"]),
        (&5.into(), &json!(null))
    );
}

fn stop(dir: &str) -> serde_json::Value {
    let text = text(dir);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn refused_lines_are_counted_in_the_log_by_reason() {
    let (_keep, dir) = folder();
    let input = line("")
        + "not json\n[1]\n"
        + &line("").replace("\"agent\":\"a\",", "")
        + &line(",\"latency_ms\":\"x\"")
        + &line("").replace("tool.call", "audit.stop")
        + &line(",\"span_id\":\"0000000000000000\"");
    let (run, counts) = record(&dir, input.as_bytes(), 1);
    assert_eq!(counts["bad_lines"], 6, "{run:?}");
    let expected = json!({"not_json": 2, "missing_field": 1, "wrong_field": 2, "wrong_type": 1});
    assert_eq!(stop(&dir)["data"]["refused"], expected, "{run:?}");
    assert_eq!(common::run(&["verify", "--dir", &dir]).code, 0);
    let (_keep, dir) = folder();
    record(&dir, line("").as_bytes(), 0);
    assert!(stop(&dir)["data"].get("refused").is_none());
}

#[test]
fn json_over_several_lines_is_told_once() {
    let (_keep, dir) = folder();
    let pretty = line("").replace('{', "{\n  ").replace(',', ",\n  ").replace('}', "\n}");
    let input = format!("\u{feff}{}{pretty}{pretty}not json\n", line(""));
    let (run, _) = record(&dir, input.as_bytes(), 1);
    let told: Vec<_> = run.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{run:?}");
    assert!(
        told[0].ends_with(
            "line 2: looks like JSON over several lines: jq -c . FILE | llm-audit record"
        )
    );
    assert_eq!(events(&dir).len(), 1);
}

#[test]
fn lines_of_other_programs_are_kept_on_request() {
    let (_keep, dir) = folder();
    let pino = r#"{"level":50,"time":1793527200123,"pid":7,"name":"api","msg":"refused ana@example.org","password":"hunter2","err":{"type":"TypeError","message":"no id"}}"#;
    let python = r#"{"asctime":"2026-11-01 10:00:00,123","name":"app.db","levelname":"WARNING","message":"slow","x":NaN}"#;
    let text = "2026-11-01 INFO listening for ana@example.org";
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASC\n-----END PRIVATE KEY-----";
    let typed = line("").replace("\"agent\":\"a\",", "");
    let input = format!("{}{pino}\n{python}\n{text}\n\n{key}\n[1]\n{typed}", line(""));
    let run = run_on(&["record", "--raw", "--json", "--dir", &dir], input.as_bytes());
    // A line that has a type is meant as an event.
    assert_eq!(run.code, 1, "{run:?}");
    let counts = run.json();
    assert_eq!((&counts["written"], &counts["raw_lines"]), (&9.into(), &8.into()), "{run:?}");
    assert_eq!(stop(&dir)["data"]["refused"], json!({"missing_field": 1}));
    let mut events = events(&dir);
    // Errors have a lane of their own, and may be in the log before or after their neighbours.
    let failed = events.iter().position(|event| event["status"] == "error").unwrap();
    let failed = events.remove(failed);
    events.insert(1, failed);
    let of = |at: usize| (&events[at]["event_type"], &events[at]["agent"], &events[at]["status"]);
    let log = json!("log.line");
    assert_eq!(of(1), (&log, &json!("api"), &json!("error")));
    assert_eq!(events[1]["timestamp"], "2026-11-01T10:00:00.123000Z");
    assert_eq!(events[1]["error"]["message"], "no id");
    assert_eq!(events[1]["data"]["msg"], "refused [REDACTED_email]");
    assert_eq!(of(2), (&log, &json!("app.db"), &json!("ok")));
    assert_eq!(events[2]["data"]["x"], "NaN");
    assert_eq!(events[3]["data"]["text"], "2026-11-01 INFO listening for [REDACTED_email]");
    let kept = common::text(&dir);
    for secret in ["ana@", "hunter2", "MIIEvQ", "EFAASC"] {
        assert!(!kept.contains(secret), "{secret}");
    }
    assert_eq!(events[8]["data"]["text"], "[1]");
    assert_eq!(common::run(&["verify", "--dir", &dir]).code, 0);
    // Without the option they are bad lines.
    let (_keep, dir) = folder();
    assert_eq!(run_on(&["record", "--dir", &dir], pino.as_bytes()).code, 1);
}

#[test]
fn a_line_of_another_program_may_have_a_type_of_its_own() {
    let (_keep, dir) = folder();
    let foreign = [
        r#"{"event_type":"UserLoggedIn","user":"u7","agent":"a","action":"b","status":"ok"}"#,
        r#"{"event_type":"click","trace_id":"no id","x":3}"#,
        r#"{"event_type":17,"agent":"a","action":"b","status":"ok"}"#,
    ];
    // These are meant as events: of a type of ours, of a user's own, of the log itself.
    let refused = [
        line("").replace("\"agent\":\"a\",", ""),
        line(",\"latency_ms\":\"x\"").replace("tool.call", "shop.order"),
        line("").replace("tool.call", "audit.stop"),
    ];
    let input = foreign.join("\n") + "\n" + &refused.concat();
    let run = run_on(&["record", "--raw", "--json", "--dir", &dir], input.as_bytes());
    let counts = run.json();
    assert_eq!((&counts["raw_lines"], &counts["bad_lines"]), (&3.into(), &3.into()), "{run:?}");
    let events = events(&dir);
    assert!(events.iter().all(|event| event["event_type"] == "log.line"), "{events:?}");
    assert_eq!(events[0]["data"]["event_type"], "UserLoggedIn");
    assert_eq!(events[1]["data"]["x"], 3);
}

/// What other programs wrote: a byte order mark, half a surrogate pair, an id that looks like a card.
#[test]
fn every_case_of_a_line_is_an_event() {
    let cases = [
        (&include_bytes!("../../../testdata/cases/recorder/bom.jsonl")[..], "action", "bom"),
        (
            include_bytes!("../../../testdata/cases/recorder/lone_surrogate.jsonl"),
            "action",
            "cut \u{fffd}",
        ),
        (
            include_bytes!("../../../testdata/cases/recorder/span_id_is_card.jsonl"),
            "span_id",
            "9800550434291412",
        ),
    ];
    for (input, field, expected) in cases {
        let (_keep, dir) = folder();
        let (run, _) = record(&dir, input, 0);
        assert_eq!((&*run.stderr, &events(&dir)[0][field]), ("", &json!(expected)), "{run:?}");
    }
}

/// Lines are read by several threads and recorded in their order.
#[test]
fn many_lines_are_recorded_and_reported_as_one_after_the_other() {
    let (_keep, dir) = folder();
    let (mut given, mut bad) = (String::new(), Vec::new());
    for number in 0..20_000 {
        match number % 1_000 {
            3 => bad.push((given.lines().count() + 1, "not a valid log line")),
            5 => given += &line(r#","data":{"n":NaN,"huge":18446744073709551616,"m":1e400}"#),
            7 => bad.push((given.lines().count() + 1, "status is missing")),
            9 => given += "\n",
            11 => given += &line(r#","data":{"text":"a \"b\" \ud83d","huge":1e300}"#),
            _ => given += &line(&format!(r#","data":{{"number":{number}}}"#)),
        }
        match number % 1_000 {
            3 => given += "{\"a\": \"x\\ny\"\n",
            7 => given += "{\"event_type\":\"tool.call\",\"agent\":\"a\",\"action\":\"x\\ny\"}\n",
            _ => {}
        }
    }
    let (run, counts) = record(&dir, given.as_bytes(), 1);
    assert_eq!(counts["bad_lines"], bad.len(), "{counts}");
    assert_eq!(run.stderr.lines().count(), bad.len(), "{}", run.stderr);
    for (told, (number, what)) in run.stderr.lines().zip(&bad) {
        assert!(told.contains(&format!(" line {number}: ")) && told.contains(what), "{told}");
    }
    let events = events(&dir);
    let numbers: Vec<_> = events.iter().filter_map(|e| e["data"]["number"].as_u64()).collect();
    assert!(numbers.len() > 19_000 && numbers.is_sorted());
    let mended: Vec<_> = events.iter().filter(|event| event["data"]["n"] == "NaN").collect();
    assert_eq!(mended.len(), 20);
    let data = json!({"n": "NaN", "huge": "18446744073709551616", "m": "1e400"});
    assert!(mended.iter().all(|event| event["data"] == data), "{mended:?}");
    let data = json!({"text": "a \"b\" \u{fffd}", "huge": 1e300});
    assert_eq!(events.iter().filter(|event| event["data"] == data).count(), 20);
}
