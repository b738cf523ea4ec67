//! `slo`: verdicts, their exit codes, and rules for other programs.
//!
//! `LLM_AUDIT_BLESS=1` writes the expected page anew; read the difference before you commit it.

mod common;

use std::path::Path;
use std::{env, fs};
#[cfg(feature = "alerts")]
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use common::{FILE, command, folder, run, run_with, write};
use llm_audit::{AuditEvent, AuditLogger, EventType, Usd};
#[cfg(feature = "alerts")]
use llm_audit_slo::{AlertEngine, Objectives};
use serde_json::Value;

const INSTANCE: &str = "00000000000000aa";

/// The log's own line of this type.
fn own(notice: u64, minute: u64, event_type: &str, data: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"{INSTANCE}","notice":{notice},"timestamp":"2026-01-02T03:{minute:02}:00.000000Z","event_type":"audit.{event_type}","agent":"llm-audit","action":"{event_type}","status":"ok","data":{{{data}}}}}"#
    ) + "\n"
}

fn start() -> String {
    own(1, 0, "start", r#""service":"benefits","first":true,"totals":true"#)
}

/// The totals of a minute: so many requests are good and so many fail.
fn totals(notice: u64, minute: u64, good: u64, bad: u64) -> String {
    let row = |status: &str, events: u64| {
        format!(
            r#"{{"event_type":"request.end","status":"{status}","agent":"benefits","events":{events}}}"#
        )
    };
    let rows = format!("{},{}", row("ok", good), row("error", bad));
    let data = format!(
        r#""from":"2026-01-02T03:{minute:02}:00.000000Z","to":"2026-01-02T03:{:02}:00.000000Z","through_seq":0,"rows":[{rows}]"#,
        minute + 1
    );
    own(notice, minute + 1, "totals", &data)
}

fn stop(notice: u64) -> String {
    let counts = r#""emitted":0,"written":0,"overwritten":0,"sampled_out":0,"rejected":0,"io_lost":0,"queued":0"#;
    own(notice, 30, "stop", counts)
}

/// The start of a logger that keeps a fourth of what goes well.
fn sampled_start() -> String {
    let sampling =
        r#""totals":true,"sampling":{"trace_rate":0,"success_rate":0.25,"error_rate":1}"#;
    start().replace(r#""totals":true"#, sampling)
}

fn request(seq: u64, minute: u64, status: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"{INSTANCE}","seq":{seq},"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"{seq:016x}","timestamp":"2026-01-02T03:{minute:02}:05.000000Z","event_type":"request.end","agent":"benefits","action":"answer","status":"{status}"}}"#
    ) + "\n"
}

const OBJECTIVES: &str = r#"
[[objective]]
name = "errors"
indicator = "ratio"
of = { type = "request.end" }
bad = { status = "error" }
target = 0.9
[[rule]]
name = "errors-high"
objective = "errors"
above = 0.5
window = "5m"
severity = "page"
"#;

/// A folder with this log, and a file of objectives beside it.
fn judged(log: &str) -> (tempfile::TempDir, String, String) {
    let (keep, dir) = folder();
    write(&dir, FILE, log);
    let file = keep.path().join("objectives.toml");
    fs::write(&file, OBJECTIVES).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (keep, dir, file)
}

#[test]
fn the_exit_code_is_the_verdict() {
    let met = start() + &totals(2, 1, 95, 5) + &stop(3);
    let breached = start() + &totals(2, 1, 85, 15) + &stop(3);
    // Killed: of the events after the last totals only those that were kept are known.
    let ended = |status| (1..=10).map(|seq| request(seq, 2, status)).collect::<String>();
    let killed = start() + &totals(2, 1, 95, 5) + &ended("error");
    let left_out = sampled_start() + &totals(2, 1, 95, 5) + &ended("ok");
    let no_data = start() + &stop(2);
    let cases = [
        (met, 0, "met"),
        (breached, 1, "breached"),
        (killed, 1, "breached"),
        (left_out, 3, "unknown"),
        (no_data, 3, ""),
    ];
    for (log, code, verdict) in cases {
        let (_keep, dir, file) = judged(&log);
        let run = run(&["slo", "check", "--dir", &dir, "--file", &file, "--json"]);
        assert_eq!(run.code, code, "{run:?}");
        if verdict.is_empty() {
            assert_eq!(run.stderr, "llm-audit: no data: no event that an objective counts\n");
        } else {
            assert_eq!(run.json()["objectives"][0]["verdict"], verdict, "{run:?}");
        }
    }
}

#[test]
fn json_has_numbers_with_units_in_their_names() {
    let (_keep, dir, file) = judged(&(start() + &totals(2, 1, 95, 5) + &stop(3)));
    let json = run(&["slo", "check", "--dir", &dir, "--file", &file, "--json"]).json();
    let (objective, rule) = (&json["objectives"][0], &json["rules"][0]["outcomes"][0]);
    for (object, max) in [(objective, 0.1), (rule, 0.5)] {
        assert_eq!((&object["bad_share"], &object["bad_share_max"]), (&0.05.into(), &max.into()));
    }
    assert_eq!((&objective["events"], &objective["bad"]), (&100.0.into(), &5.0.into()));
}

#[test]
fn a_period_and_a_service_are_judged_alone() {
    let log = start() + &totals(2, 1, 50, 50) + &totals(3, 20, 100, 0) + &stop(4);
    let (_keep, dir, file) = judged(&log);
    let check = |more: &[&str]| {
        let args = [&["slo", "check", "--dir", &dir, "--file", &file][..], more].concat();
        run(&args).code
    };
    assert_eq!(check(&[]), 1);
    assert_eq!(check(&["--since", "2026-01-02T03:10:00Z"]), 0);
    assert_eq!(check(&["--until", "2026-01-02T03:10:00Z"]), 1);
    assert_eq!(check(&["--service", "benefits"]), 1);
    assert_eq!(check(&["--service", "billing"]), 3);
    assert_eq!(check(&["--since", "2026-01-03"]), 3);
}

#[test]
fn a_bad_file_is_named_with_line_and_column() {
    let (_keep, dir, file) = judged(&start());
    fs::write(&file, OBJECTIVES.replace("0.9\n", "9\n")).unwrap();
    let expected = format!("llm-audit: {file}:7:10: 9 is not accepted; accepted: a share above 0");
    for args in [&["slo", "check", "--dir", &dir][..], &["slo", "rules"]] {
        let given = run(&[args, &["--file", &file]].concat());
        assert_eq!(given.code, 2, "{given:?}");
        assert!(given.stderr.starts_with(&expected), "{given:?}");
        let mut named = command(args);
        named.env("AUDIT_SLO_FILE", &file);
        assert_eq!(run_with(named, |_| Ok(())).stderr, given.stderr);
    }
    let missing = run(&["slo", "check", "--file", "/nowhere", "--dir", &dir]);
    assert_eq!(missing.code, 2, "{missing:?}");
    let no_rule = run(&["slo", "check", "--explain", "x", "--dir", &dir]);
    assert_eq!(no_rule.code, 2, "{no_rule:?}");
    assert!(no_rule.stderr.contains("there is no rule x; there are: request-latency-high"));
}

#[test]
fn a_file_that_says_nothing_or_has_another_form_is_refused() {
    let (keep, dir, file) = judged(&(start() + &totals(2, 1, 95, 5) + &stop(3)));
    let other = keep.path().join("objectives.conf");
    let (other, read_as) = (other.to_str().unwrap(), "it is read as OpenSLO in YAML");
    for (file, text, expected) in [
        (&*file, "burn_rates = false\n", "there is no objective"),
        (&*file, "", "there is no objective"),
        (other, "", "there is no objective"),
        (other, OBJECTIVES, read_as),
    ] {
        fs::write(file, text).unwrap();
        let given = run(&["slo", "check", "--dir", &dir, "--file", file]);
        assert_eq!(given.code, 2, "{text}: {given:?}");
        assert!(given.stderr.contains(expected), "{text}: {given:?}");
    }
}

#[test]
fn ci_gets_a_junit_report() {
    let (keep, dir, _) = judged(&(start() + &totals(2, 1, 50, 50) + &stop(3)));
    let path = keep.path().join("slo.xml");
    let run = run(&["slo", "check", "--dir", &dir, "--junit", path.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{run:?}");
    let xml = fs::read_to_string(path).unwrap();
    let head =
        r#"<testsuite name="llm-audit slo check" tests="5" failures="1" errors="0" skipped="3">"#;
    assert!(xml.contains(head), "{xml}");
    let failure = r#"name="request-errors"><failure message="50 %, target ≤ 2 %"/>"#;
    assert!(xml.contains(failure), "{xml}");
}

#[test]
fn an_alert_is_computed_again_minute_by_minute() {
    let log =
        start() + &totals(2, 1, 10, 2) + &totals(3, 2, 0, 20) + &totals(4, 3, 100, 0) + &stop(5);
    let (_keep, dir, file) = judged(&log);
    let args =
        ["slo", "check", "--dir", &dir, "--file", &file, "--explain", "errors-high", "--json"];
    let explained = run(&args);
    assert_eq!(explained.code, 1, "{explained:?}");
    let json = explained.json();
    let minutes = json["minutes"].as_array().unwrap();
    let last = &minutes[minutes.len() - 3..];
    let of =
        |of: fn(&Value) -> &Value| last.iter().map(|minute| of(minute).clone()).collect::<Value>();
    assert_eq!(of(|minute| &minute["bad"]), serde_json::json!([2.0, 20.0, 0.0]));
    let states = of(|minute| &minute["rule"][0]["state"]);
    assert_eq!(states, serde_json::json!(["fine", "broken", "fine"]));
    assert_eq!(json["broken_us"].as_array().unwrap().len(), 1);
    let never = run(&[&args[..7], &["request-errors-burn-1h"]].concat());
    assert_eq!(never.code, 2, "the file has no such rule: {never:?}");
}

/// What people see, at the width of a terminal.
#[test]
fn the_page_fits_80_columns() {
    let killed: String = (1..=10).map(|seq| request(seq, 4, "ok")).collect();
    let log = sampled_start() + &totals(2, 1, 990, 10) + &totals(3, 2, 400, 140) + &killed;
    let (_keep, dir, file) = judged(&log);
    let mut page = String::new();
    let queries: [&[&str]; 3] = [
        &["slo", "check"],
        &["slo", "check", "--file", &file],
        &["slo", "check", "--explain", "request-errors-high"],
    ];
    for query in queries {
        let mut command = command(&[query, &["--dir", &dir]].concat());
        command.env("COLUMNS", "80");
        let run = run_with(command, |_| Ok(()));
        assert_eq!(run.stderr, "");
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
        let shown = query.join(" ").replace(&file, "objectives.toml");
        page += &format!("$ llm-audit {shown}\n{}exit code {}\n\n", run.stdout, run.code);
    }
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/slo.txt"));
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        fs::write(path, &page).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(page == expected, "it differs; LLM_AUDIT_BLESS=1 writes it anew\n{page}");
}

#[test]
fn rules_are_written_in_every_format() {
    let cases = [
        ("prometheus", "groups:\n  - name: llm-audit\n"),
        ("sloth", "version: prometheus/v1\nservice: \"benefits\"\n"),
        ("openslo", "---\napiVersion: openslo/v1\nkind: SLO\n"),
    ];
    for (format, head) in cases {
        let run = run(&["slo", "rules", "--format", format, "--service", "benefits"]);
        assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
        assert!(run.stdout.starts_with(head), "{}", run.stdout);
    }
    assert_eq!(run(&["slo", "rules", "--format", "datadog"]).code, 2);
    let wrong = run(&["slo", "rules", "--match", "job=benefits"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("matchers of PromQL"), "{wrong:?}");
}

/// With what the recorder itself writes: its totals name the users who spent most.
#[test]
fn the_user_who_spends_too_much_is_found_among_10_000() {
    let (keep, dir) = folder();
    let logger = AuditLogger::builder().directory(&dir).build().unwrap();
    let call = |user: &str, cost: &str| {
        let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "chat");
        logger.emit(&event.user(user).tokens(7, 3).cost_usd(cost.parse::<Usd>().unwrap()));
    };
    for at in 0..10_000 {
        call(&format!("member-{at}"), "0.001");
        if at % 200 == 0 {
            call("member-4711", "0.11");
        }
    }
    drop(logger);
    let file = keep.path().join("objectives.toml");
    for (max, code, verdict) in [("5", 1, "breached"), ("7", 0, "met")] {
        let text = format!(
            "[[objective]]\nname = \"user-cost\"\nindicator = \"cost\"\nby = \"user\"\nmax = {max}\nwindow = \"1h\"\n"
        );
        fs::write(&file, text).unwrap();
        let run = run(&["slo", "check", "--dir", &dir, "--file", file.to_str().unwrap(), "--json"]);
        let judged = &run.json()["objectives"][0];
        assert_eq!((run.code, judged["verdict"].as_str()), (code, Some(verdict)), "{run:?}");
        assert_eq!(judged["payer"], "member-4711");
        let max: f64 = max.parse().unwrap();
        assert_eq!((&judged["cost_usd"], &judged["cost_usd_max"]), (&5.501.into(), &max.into()));
        assert_eq!(judged["bad"], Value::Null);
    }
}

/// A log whose last minutes are those before now, with so many bad requests of ten.
#[cfg(feature = "alerts")]
fn recent(bad: u64) -> String {
    let minute = 60_000_000;
    let now = jiff::Timestamp::now().as_microsecond();
    let time = |micros: i64| format!("{:.6}", jiff::Timestamp::from_microsecond(micros).unwrap());
    let end = now - now.rem_euclid(minute);
    let lines = (1..=4).rev().map(|back| {
        let (from, to) = (time(end - back * minute), time(end - (back - 1) * minute));
        let notice = 6 - back;
        totals(notice as u64, 0, 10 - bad, bad)
            .replace("2026-01-02T03:00:00.000000Z", &from)
            .replace("2026-01-02T03:01:00.000000Z", &to)
    });
    start().replace("2026-01-02T03:00:00.000000Z", &time(end - 5 * minute))
        + &lines.collect::<String>()
}

#[test]
#[cfg(feature = "alerts")]
fn watch_tells_what_fires() {
    let (_keep, dir, file) = judged(&recent(6));
    let args = ["slo", "watch", "--once", "--dir", &dir, "--file", &file];
    let seen = run(&args);
    assert_eq!(seen.code, 1, "{seen:?}");
    assert!(seen.stdout.contains("errors-high") && seen.stdout.contains("benefits"), "{seen:?}");
    let (_keep, dir, file) = judged(&recent(1));
    let seen = run(&["slo", "watch", "--once", "--dir", &dir, "--file", &file]);
    assert_eq!((seen.code, &*seen.stdout), (0, ""), "{seen:?}");
}

#[test]
#[cfg(feature = "alerts")]
fn watch_once_evaluates_a_log_alone() {
    let (_keep, dir, file) = judged("");
    let once = |dir: &str| run(&["slo", "watch", "--once", "--dir", dir]);
    let empty = once(&dir);
    assert_eq!(
        (empty.code, &*empty.stderr),
        (3, &*format!("llm-audit: no data: no line in {dir}\n"))
    );
    fs::remove_file(Path::new(&dir).join(FILE)).unwrap();
    assert_eq!(once(&dir).code, 3);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "it gets no state");
    assert_eq!(once(&file).code, 2, "a file");
    let missing = once("/nowhere");
    assert_eq!((missing.code, &*missing.stderr), (2, "llm-audit: there is no folder /nowhere\n"));
}

#[test]
#[cfg(feature = "alerts")]
fn watch_once_says_when_another_evaluator_has_the_folder() {
    let (_keep, dir, _) = judged(&recent(6));
    let mut other = AlertEngine::new(&dir, Objectives::built_in());
    other.check(0);
    let seen = run(&["slo", "watch", "--once", "--dir", &dir]);
    assert_eq!((seen.code, &*seen.stdout), (3, ""), "{seen:?}");
    assert!(seen.stderr.contains("nothing was evaluated"), "{seen:?}");
    drop(other);
    fs::remove_dir_all(Path::new(&dir).join(".slo")).unwrap();
    fs::write(Path::new(&dir).join(".slo"), "").unwrap();
    let refused = run(&["slo", "watch", "--once", "--dir", &dir]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
#[cfg(feature = "alerts")]
fn watch_waits_for_a_log() {
    let (keep, dir, file) = judged(&recent(6));
    let later = keep.path().join("later");
    let args = ["slo", "watch", "--dir", later.to_str().unwrap(), "--file", &file];
    let mut watch = command(&args);
    watch.env("AUDIT_ALERT_COMAND", "x").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let unknown = said.next().unwrap().unwrap();
    assert!(unknown.contains("the closest is AUDIT_ALERT_COMMAND"), "{unknown}");
    let waits = said.next().unwrap().unwrap();
    let expected =
        format!("llm-audit: there is no log in {} yet; it is waited for", later.display());
    assert_eq!(waits, expected);
    fs::rename(&dir, &later).unwrap();
    let fires = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(fires.contains("[FIRING] errors-high"), "{fires}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(feature = "alerts")]
fn watch_refuses_a_place_without_showing_it() {
    let (_keep, dir, _) = judged(&recent(0));
    let mut watch = command(&["slo", "watch", "--once", "--dir", &dir]);
    watch.env("AUDIT_ALERT_WEBHOOK", "ftp://hooks.example/walrus-7");
    let seen = watch.output().unwrap();
    let said = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(seen.status.code(), Some(2), "{said}");
    assert!(said.contains("AUDIT_ALERT_WEBHOOK") && !said.contains("walrus"), "{said}");
}

#[test]
fn an_explanation_without_data_says_so() {
    let (_keep, dir, file) = judged(&(start() + &totals(2, 1, 95, 5) + &stop(3)));
    let explain = |since: &str, until: &str| {
        let args = ["slo", "check", "--dir", &dir, "--file", &file, "--explain", "errors-high"];
        run(&[&args[..], &["--since", since, "--until", until]].concat())
    };
    let seen = explain("2025-01-01", "2025-01-02");
    assert_eq!(seen.code, 3, "{seen:?}");
    assert!(seen.stdout.contains("not known in any minute"), "{seen:?}");
    let seen = explain("2026-01-02T03:00:00Z", "2026-01-02T03:03:00Z");
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(seen.stdout.contains("never broken"), "{seen:?}");
}
