//! `trace`: which trace it finds, the tree, and its JSON.

mod common;

use common::{FILE, OTHER, TRACE, event, folder, run, run_on, write};

fn log() -> String {
    let below = |parent: &str, more: &str| format!(",\"parent_span_id\":\"{parent}\"{more}");
    let failed = below("0000000000000001", ",\"error\":{\"message\":\"no \\u001b[2J route\"}");
    event(1, TRACE, "0000000000000001", "").replace("llm.invoke", "request.start")
        + &event(2, TRACE, "0000000000000002", &below("0000000000000001", ",\"tokens_input\":12"))
        + &event(3, OTHER, "0000000000000003", "")
        + &event(4, TRACE, "0000000000000004", &failed).replace("\"ok\"", "\"error\"")
        + &event(5, TRACE, "0000000000000005", &below("00000000000000ff", ""))
        + "not json 0af7651916cd43dd\n"
}

#[test]
fn draws_the_tree() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let run = run(&["trace", "0AF76519", "--dir", &dir]);
    assert_eq!(run.code, 0, "{run:?}");
    for part in [
        TRACE,
        "4 spans, 4 events, 1 failed",
        "├─ llm.invoke chat ",
        "└─ ✗ llm.invoke chat ",
        "no \\u{1b}[2J route",
        "its parent 00000000000000ff is not in the log",
    ] {
        assert!(run.stdout.contains(part), "{part} {run:?}");
    }
    assert!(!run.stdout.contains('\x1b'), "no terminal, no colours, no escapes: {run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{run:?}");
}

#[test]
fn as_json() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let json = run(&["trace", TRACE, "--json", "--dir", &dir]).json();
    assert_eq!(json["trace_id"], TRACE);
    assert_eq!(json["tokens_input"], 12);
    let spans = json["spans"].as_array().unwrap();
    let depths: Vec<_> = spans.iter().map(|span| span["depth"].as_u64().unwrap()).collect();
    assert_eq!(depths, [0, 1, 1, 0]);
    assert_eq!((&spans[3]["orphan"], &spans[0]["orphan"]), (&true.into(), &false.into()));
    assert_eq!(spans[2]["events"][0]["error"]["message"], "no \u{1b}[2J route");
}

#[test]
fn exit_codes() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let cases = [("0af76519", 0), ("0af7", 2), ("0af", 2), ("zzzz", 2), ("ffff", 3)];
    for (id, code) in cases {
        let run = run(&["trace", id, "--dir", &dir]);
        assert_eq!(run.code, code, "{id} {run:?}");
        assert_eq!(run.stderr.is_empty(), code == 0, "{id} {run:?}");
    }
    let several = run(&["trace", "0af7", "--dir", &dir]);
    assert!(several.stderr.contains(TRACE) && several.stderr.contains(OTHER), "{several:?}");
}

#[test]
fn a_trace_is_found_without_its_id() {
    let (_keep, dir) = folder();
    let slow = event(6, OTHER, "0000000000000006", ",\"latency_ms\":900");
    write(&dir, FILE, &(log() + &slow));
    let file = format!("{dir}/{FILE}");
    let cases: [(&[&str], i32, &str); 10] = [
        (&["--last", "--dir", &dir], 0, OTHER),
        (&["--failed", "--dir", &dir], 0, TRACE),
        (&["--slowest", &file], 0, OTHER),
        (&["--last", "--until", "2026-01-02T03:04:05.000006Z", "--dir", &dir], 0, TRACE),
        (&["--failed", "--agent", "nobody", "--dir", &dir], 3, "no such trace"),
        (&["0af7", "--failed"], 2, "exclude each other, and no file is named 0af7"),
        (&["--last", "-"], 2, "a pipe is read only once"),
        (&["--last", "--failed", "--dir", &dir], 2, "cannot be used with"),
        (&["--dir", &dir], 2, "which trace?"),
        (&[TRACE, "--slower", "1s", "--dir", &dir], 2, "filters choose a trace with --last"),
    ];
    for (args, code, expected) in cases {
        let run = run(&[&["trace"], args].concat());
        assert_eq!(run.code, code, "{args:?} {run:?}");
        assert!((run.stdout.clone() + &run.stderr).contains(expected), "{args:?} {run:?}");
    }
}

/// Deep payloads and long chains of spans neither stop the command nor widen its drawing.
#[test]
fn depth_is_harmless() {
    let (_keep, dir) = folder();
    let deep = format!(",\"data\":{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let chain: String = (2..=3_000_u32)
        .map(|span| {
            let parent = format!(",\"parent_span_id\":\"{:016x}\"", span - 1);
            event(u64::from(span), TRACE, &format!("{span:016x}"), &parent)
        })
        .collect();
    write(&dir, FILE, &(event(1, TRACE, "0000000000000001", &deep) + &chain));
    let drawn = run(&["trace", TRACE, "--dir", &dir]);
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    assert!(drawn.stdout.lines().all(|line| line.chars().count() <= 80));
    let json = run(&["trace", TRACE, "--json", "--dir", &dir]);
    assert_eq!((json.code, json.stdout.contains("\"depth\":2999")), (0, true), "{}", json.stderr);
}

#[test]
fn a_page_of_html_shows_the_tree_and_takes_no_markup_from_the_log() {
    let (_keep, dir) = folder();
    let hostile = r"</pre><script>alert(1)</script><img src=x>\u001b[2J\u202e";
    let data = format!(",\"latency_ms\":5,\"data\":{{\"note\":\"{hostile}\"}}");
    let child = event(2, TRACE, "00f067aa0ba902b8", &data).replace("chat", hostile);
    let child = child.replace("\"span_id\"", "\"parent_span_id\":\"00f067aa0ba902b7\",\"span_id\"");
    write(&dir, FILE, &(event(1, TRACE, "00f067aa0ba902b7", ",\"latency_ms\":50") + &child));
    let page = format!("{dir}/trace.html");
    let run = run(&["trace", TRACE, "--html", &page, "--dir", &dir]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""), "{run:?}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains(&format!("<h1>Trace {TRACE}</h1>")), "{html}");
    assert_eq!(html.matches("<details>").count(), 2, "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    for forbidden in ["<script", "<img", "\u{1b}", "\u{202e}", "src=\"", "href", "url("] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    let nowhere = common::run(&["trace", TRACE, "--html", "/nonexistent/x", "--dir", &dir]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("/nonexistent/x"), "{nowhere:?}");
}

#[test]
fn without_an_id_the_newest_traces_are_listed() {
    let (_keep, dir) = folder();
    let failed = event(2, OTHER, "02", "").replace("\"ok\"", "\"error\"");
    write(&dir, FILE, &(event(1, TRACE, "01", "") + &failed + &event(3, OTHER, "03", "")));
    let file = format!("{dir}/{FILE}");
    for args in [&["trace", "--dir", &dir][..], &["trace", &file]] {
        let run = run(args);
        assert_eq!(run.code, 2, "{args:?} {run:?}");
        let lines: Vec<_> = run.stderr.lines().collect();
        assert!(lines[0].contains("--last, --failed or --slowest"), "{run:?}");
        assert!(lines[1].contains("0af7beef16cd") && lines[1].contains("failed"), "{run:?}");
        assert!(lines[2].contains("0af7651916cd") && lines.len() == 3, "{run:?}");
    }
    for choice in [&[][..], &["--last"]] {
        let both = run(&[&["trace", &*file, "--dir", &*dir][..], choice].concat());
        assert_eq!(both.code, 2, "{both:?}");
        assert!(both.stderr.contains("FILE and --dir exclude each other"), "{both:?}");
    }
    let none = run(&["trace", "--type", "nothing", "--last", "--dir", &dir]);
    assert!(none.code == 3 && none.stderr.contains("there is llm.invoke"), "{none:?}");
}

#[test]
fn the_command_that_errors_and_report_print_reads_the_same_log() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &event(1, TRACE, "01", "").replace("\"ok\"", "\"error\""));
    let file = format!("{dir}/{FILE}");
    for log in [&["--dir", &*dir][..], &[&*file]] {
        for subcommand in ["errors", "report"] {
            let shown = run(&[&[subcommand], log].concat()).stdout;
            let (_, command) = shown.split_once("llm-audit trace ").unwrap();
            // Two blanks are before the time, and a line that is too long is broken.
            let command = command.split_once("  2026").unwrap().0;
            let words: Vec<_> = command.split_whitespace().collect();
            assert_eq!(words[1..], *log, "{shown}");
            let trace = run(&[&["trace"], &words[..]].concat());
            assert!(trace.code == 0 && trace.stdout.contains(TRACE), "{trace:?}");
        }
    }
    let line = event(1, TRACE, "01", "").replace("\"ok\"", "\"error\"");
    let piped = run_on(&["errors", "-"], line.as_bytes());
    assert!(
        piped.stdout.contains("  trace 0af7") && !piped.stdout.contains("llm-audit"),
        "{piped:?}"
    );
}

#[test]
fn a_trace_of_a_uuid_is_opened_as_errors_prints_it() {
    let (_keep, dir) = folder();
    let uuid = "0af76519-16cd-43dd-8448-eb211c80319c";
    write(&dir, FILE, &event(1, uuid, "01", "").replace("\"ok\"", "\"error\""));
    let errors = run(&["errors", "--dir", &dir]);
    let (_, printed) = errors.stdout.split_once("llm-audit trace ").unwrap();
    let printed = printed.split_whitespace().next().unwrap();
    for words in [
        &["trace", printed][..],
        &["trace", uuid],
        &["trace", "--last"],
        &["trace", TRACE],
        &["fixture", printed],
    ] {
        let shown = run(&[words, &["--dir", &*dir]].concat());
        assert_eq!(shown.code, 0, "{words:?} {shown:?}");
        assert!(shown.stdout.contains(TRACE), "{words:?} {shown:?}");
    }
}
