//! `errors`, `stats` and `cost`: what they count, how they look, and their JSON.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{FILE, OTHER, TRACE, event, folder, own, run, write};

fn model(seq: u64, agent: &str, model: &str, more: &str) -> String {
    event(seq, TRACE, "01", &format!("{more},\"data\":{{\"model\":\"{model}\",\"user\":\"ana\"}}"))
        .replace("planner", agent)
}

fn failed(seq: u64, trace: &str, message: &str) -> String {
    let error = format!(",\"error\":{{\"type\":\"Late\",\"message\":\"{message}\"}}");
    let line = event(seq, trace, "02", &error).replace("\"ok\"", "\"timeout\"");
    line.replace("llm.invoke", "tool.error").replace("chat", "search")
}

fn log() -> String {
    let priced = ",\"latency_ms\":100,\"tokens_input\":10,\"tokens_output\":2,\"cost_usd\":0.1";
    own("start", "\"first\":true")
        + &model(1, "planner", "gpt-4o", priced)
        + &model(2, "planner", "gpt-4o", priced)
        + &model(3, "clerk", "gpt-4o", priced)
        + &model(4, "clerk", "my\\u001b[2J-model", ",\"latency_ms\":900,\"tokens_input\":7")
        + &failed(5, TRACE, "no plan 17 in 250 ms")
        + &failed(6, OTHER, "no plan 18 in 300 ms")
        + &failed(7, TRACE, "no route")
        + "not json\n"
        + &own("stop", "")
}

#[test]
fn failures_are_shown_in_groups() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let shown = run(&["errors", "--dir", &dir]);
    // The last line has all that a next command needs.
    let expected = "\
3 of 7 events failed

     2  ████████  tool.error  planner  search  Late
        no plan 18 in 300 ms
        llm-audit trace 0af7beef16cd --dir DIR  2026-01-02 03:04:05Z to 03:04:05Z

     1  ████████  tool.error  planner  search  Late
        no route
        llm-audit trace 0af7651916cd --dir DIR  2026-01-02 03:04:05.000Z

a test of the first one: llm-audit fixture 0af7beef16cd --dir DIR --test
";
    assert_eq!(shown.stdout.replace(&dir, "DIR"), expected, "{shown:?}");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stderr.contains("not JSON; the line is left out"), "{shown:?}");

    let json = run(&["errors", "--json", "--dir", &dir]).json();
    assert_eq!(
        (&json["events"], &json["failed"], &json["other"]),
        (&7.into(), &3.into(), &0.into())
    );
    let group = &json["groups"][0];
    assert_eq!((&group["count"], &group["trace_id"]), (&2.into(), &OTHER.into()));
    assert_eq!((&group["error_type"], &group["action"]), (&"Late".into(), &"search".into()));
    assert_eq!(group["last_us"].as_i64().unwrap() - group["first_us"].as_i64().unwrap(), 1);

    let limited = run(&["errors", "-n", "1", "--dir", &dir]);
    assert!(limited.stdout.contains("\n1 more group: -n shows them\n"), "{limited:?}");
}

#[test]
fn figures_are_shown_in_groups() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let expected = "\
event_type  events  failed    p50    p90    p99    max   cost     over time
llm.invoke       4       0  100ms  900ms  900ms  900ms  $0.30  ████████████
tool.error       3       3      -      -      -      -      -  ████████████
all              7       3  100ms  900ms  900ms  900ms  $0.30  ████████████
no cost is known for 1 call, which is not in the sum: my\\u{1b}[2J-model (1)
";
    assert_eq!(run(&["stats", "--dir", &dir]).stdout, expected);

    let json = run(&["stats", "--by", "agent,model", "--json", "--dir", &dir]).json();
    let values = |at: usize| json["groups"][at]["values"].clone();
    assert_eq!(values(0), serde_json::json!(["planner", "-"]));
    assert_eq!(json["total"]["events"], 7);
    assert_eq!(json["total"]["cost_usd"], 0.3);
    assert_eq!(json["unpriced_models"][0]["calls"], 1);
}

#[test]
fn what_sampling_left_out_is_estimated() {
    let (_keep, dir) = folder();
    let sampling =
        r#""sampling":{"trace_rate":0,"success_rate":0.25,"error_rate":1,"slow_threshold_ms":500}"#;
    let priced = ",\"latency_ms\":100,\"tokens_input\":10,\"tokens_output\":2,\"cost_usd\":0.1";
    let kept = ",\"latency_ms\":100,\"kept\":\"failed\"";
    let lines = [
        own("start", sampling),
        model(1, "planner", "gpt-4o", priced),
        model(2, "planner", "gpt-4o", priced),
        model(3, "planner", "gpt-4o", &priced.replace("100", "900")),
        model(4, "planner", "gpt-4o", kept),
        failed(5, TRACE, "no route"),
    ];
    write(&dir, FILE, &lines.concat());
    let shown = run(&["stats", "--dir", &dir]).stdout;
    for part in [
        "llm.invoke      ~9       0  100ms  900ms  900ms  900ms  ~$0.90",
        "tool.error       1       1",
        "all             ~10       1",
        "~ estimated from the 5 of about 10 events that sampling kept",
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&shown).contains(&words(part)), "no {part} in {shown}");
    }
    let json = run(&["cost", "--json", "--dir", &dir]).json();
    assert_eq!((&json["total"]["events"], &json["total"]["cost_usd"]), (&3.into(), &0.3.into()));
    let estimate = &json["total"]["estimate"];
    assert_eq!((&estimate["events"], &estimate["tokens_input"]), (&9.0.into(), &90.0.into()));
    // Of one trace all is shown as it is.
    let json = run(&["stats", "--trace", TRACE, "--json", "--dir", &dir]).json();
    assert_eq!((&json["total"]["events"], &json["total"]["estimate"]), (&5.into(), &().into()));
}

#[test]
fn live_figures_are_shown_again_when_there_are_new_events() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &event(1, TRACE, "01", ""));
    let mut stats = common::command(&["stats", "--live", "--dir", &dir]);
    let mut child = stats.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut total = || loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(total) = line.strip_prefix("all ") {
            return total.split_whitespace().next().unwrap().to_owned();
        }
    };
    assert_eq!(total(), "1");
    let path = std::path::Path::new(&dir).join(FILE);
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all((event(2, TRACE, "02", "") + &event(3, TRACE, "03", "")).as_bytes()).unwrap();
    // What was written at once may be seen in two steps.
    let second = total();
    assert!(second == "3" || second == "2" && total() == "3", "{second}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn live_figures_of_a_folder_that_is_not_there_yet_wait_for_it() {
    let (_keep, dir) = folder();
    let mut stats = common::command(&["stats", "--live", "--dir", &dir]);
    let mut child = stats.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(said, format!("llm-audit: there is no folder {dir} yet; it is waited for"));
    write(&dir, FILE, &event(1, TRACE, "01", ""));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.split_whitespace().take(2).eq(["all", "1"])));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_comma_in_quotes_belongs_to_a_name() {
    let (_keep, dir) = folder();
    let line = event(1, TRACE, "01", r#","data":{"a,b":"x"}"#);
    write(&dir, FILE, &line);
    let json = run(&["stats", "--by", "agent,data.\"a,b\"", "--json", "--dir", &dir]).json();
    assert_eq!(json["groups"][0]["values"], serde_json::json!(["planner", "x"]));
}

#[test]
fn calls_are_priced_again() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let prices = format!("{dir}/prices.json");
    let text = r#"{"gpt-4o": {"input_cost_per_token": 1, "output_cost_per_token": 0.5}}"#;
    std::fs::write(&prices, text).unwrap();
    let json = run(&["cost", "--json", "--reprice", &prices, "--dir", &dir]).json();
    assert_eq!(json["total"]["cost_usd"], 33.0);
    let json = run(&["cost", "--json", "--reprice", "built-in", "--dir", &dir]).json();
    assert_eq!(json["total"]["cost_usd"], 0.000135);
    let others = text.replace("gpt-4o", "gpt-9");
    std::fs::write(&prices, others).unwrap();
    let useless = run(&["cost", "--reprice", &prices, "--dir", &dir]);
    let said = format!("{prices} has a price for none of these calls; those of this version count");
    assert!(useless.code == 0 && useless.stderr.contains(&said), "{useless:?}");
    let refused = run(&["cost", "--reprice", "no-such-file", "--dir", &dir]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("no-such-file"), "{refused:?}");
}

#[test]
fn a_report_is_one_page() {
    let (_keep, dir) = folder();
    let counts = r#""emitted":9,"written":7,"overwritten":2,"sampled_out":0,"rejected":0,"io_lost":0,"queued":0"#;
    let cached = r#","tokens_input":1000,"tokens_output":1,"cost_usd":0.00131,"data":{"model":"gpt-4o","usage":{"cache_read":1000},"to":"[REDACTED_email] [REDACTED_no] [REDACTED_email]"}"#;
    let lines = log().replace(&own("stop", ""), "")
        + &event(8, TRACE, "05", cached)
        + &own("loss", r#""overwritten":2,"io_lost":0,"first_seq":9,"last_seq":10"#)
        + &own("stop", counts);
    write(&dir, FILE, &lines);
    let shown = run(&["report", "--dir", &dir]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for part in [
        "Report of the log, 2026-01-02 03:04:05Z to 03:04:05Z",
        "8 events, 3 failed (37.5 %)",
        "no plan 18 in 300 ms",
        "caching saved $0.001250",
        "no cost is known for 1 call",
        "2 [REDACTED_email]",
        "closed, 2 events LOST: 9 emitted, 7 written",
    ] {
        assert!(shown.stdout.contains(part), "no {part} in {}", shown.stdout);
    }
    let json = run(&["report", "--json", "--dir", &dir]).json();
    assert_eq!(json["total"]["events"], 8);
    assert_eq!(json["placeholders"]["[REDACTED_email]"], 2);
    assert_eq!(json["loggers"][0]["accounting"]["overwritten"], 2);
    assert_eq!(json["failures"][0]["count"], 2);
    assert_eq!(run(&["report", "--since", "2027-01-01", "--dir", &dir]).code, 3);
}

#[test]
fn a_page_of_html_loads_nothing_and_takes_no_markup_from_the_log() {
    let (_keep, dir) = folder();
    let hostile = r"</script><img src=http://x.example/y onerror=alert(1)>\u001b[2J\u202e'&amp;";
    write(&dir, FILE, &(log() + &failed(9, TRACE, hostile) + &model(10, hostile, hostile, "")));
    let page = format!("{dir}/page.html");
    let run = run(&["report", "--html", &page, "--dir", &dir]);
    assert_eq!((run.code, &*run.stdout), (0, ""), "{run:?}");
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("&lt;/script&gt;&lt;img src="), "{html}");
    for forbidden in ["<img", "<script", "</script", "\u{1b}", "\u{202e}", "src=\"", "href", "url("]
    {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    assert!(html.contains("default-src 'none'"), "{html}");
}

#[test]
fn cost_is_exact_and_unknown_prices_are_named() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let expected = "\
agent    model               calls  tokens in  cached  tokens out   cost   share
planner  gpt-4o                  2         20       0           4  $0.20  66.7 %
clerk    gpt-4o                  1         10       0           2  $0.10  33.3 %
clerk    my\\u{1b}[2J-model      1          7       0           0      ?       ?
all                              4         37       0           6  $0.30  100.0 %
";
    let shown = run(&["cost", "--by", "agent,model", "--dir", &dir]);
    for (shown, expected) in shown.stdout.lines().zip(expected.lines()) {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(shown), words(expected));
    }
    let json = run(&["cost", "--by", "data.user", "--json", "--dir", &dir]);
    assert!(json.stdout.contains("\"cost_usd\":0.3,"), "exact: {json:?}");
    assert_eq!(json.json()["groups"][0]["values"], serde_json::json!(["ana"]));
}

#[test]
fn groups_are_sorted_by_any_figure_and_days_by_time() {
    let (_keep, dir) = folder();
    let timed = |seq: u64, day: u64, agent: &str, more: &str| {
        let line = event(seq, TRACE, "01", more).replace("planner", agent);
        line.replace("2026-01-02T", &format!("2026-01-{day:02}T"))
    };
    let lines = [
        timed(1, 3, "often", ",\"latency_ms\":1,\"cost_usd\":0.1"),
        timed(2, 3, "often", ",\"latency_ms\":2"),
        timed(3, 3, "often", ",\"latency_ms\":900"),
        timed(4, 2, "slow", ",\"latency_ms\":500,\"cost_usd\":0.5"),
        timed(5, 4, "never", ""),
        timed(6, 4, "never", "").replace("\"ok\"", "\"error\""),
    ];
    write(&dir, FILE, &lines.concat());
    let order = |args: &[&str]| {
        let json = run(&[&["stats", "--json", "--dir", &dir], args].concat()).json();
        let groups = json["groups"].as_array().unwrap().iter();
        groups.map(|group| group["values"][0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (sort, expected) in [
        ("events", ["often", "never", "slow"]),
        ("failed", ["never", "often", "slow"]),
        ("p50", ["slow", "often", "never"]),
        ("p99", ["often", "slow", "never"]),
        ("max", ["often", "slow", "never"]),
        ("cost", ["slow", "often", "never"]),
    ] {
        assert_eq!(order(&["--by", "agent", "--sort", sort]), expected, "{sort}");
    }
    let days = ["2026-01-02", "2026-01-03", "2026-01-04"];
    assert_eq!(order(&["--by", "day"]), days);
    assert_eq!(order(&["--by", "day,agent"]), days);
    assert_eq!(order(&["--by", "day", "--sort", "p50"]), days);
    assert_eq!(order(&["--by", "day", "--sort", "events"]), [days[1], days[2], days[0]]);
    let newest = run(&["stats", "--by", "day", "-n", "1", "--dir", &dir]).stdout;
    assert!(newest.contains(days[2]) && !newest.contains(days[1]), "{newest}");
}

#[test]
fn a_model_is_found_where_answers_have_it() {
    let (_keep, dir) = folder();
    let line = |seq: u64, data: &str| {
        event(seq, TRACE, "01", &format!(",\"tokens_input\":7,\"data\":{{{data}}}"))
    };
    let lines = line(1, r#""response":{"model":"qx-1"}"#) + &line(2, r#""response_model":"qx-1""#);
    write(&dir, FILE, &(lines + &line(3, r#""model":"other","usage":{"cached":1}"#)));
    let shown = run(&["cost", "--model", "QX", "--dir", &dir]);
    assert!(shown.stdout.contains("for 2 calls, which are not in the sum: qx-1 (2)"), "{shown:?}");
    assert_eq!(shown.stderr, "");
    let shown = run(&["cost", "--by", "data.usage", "--dir", &dir]);
    assert!(shown.stderr.contains("values of data.usage are objects or lists"), "{shown:?}");
    assert!(shown.stderr.contains("--by data.usage.NAME"), "{shown:?}");
}

#[test]
fn exit_codes_and_refusals() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let cases: [(&[&str], i32, &str); 13] = [
        (&["errors", "--agent", "nobody"], 3, "no data: no such event"),
        (&["errors", "--status", "ok"], 0, "0 of 4 events failed"),
        (&["stats", "--by", "modle"], 2, "no such field, did you mean model? accepted: event_v"),
        (&["stats", "--by", "tool"], 2, "did you mean data.tool?"),
        (&["stats", "--by", "agent,data.typo"], 0, "no event has data.typo"),
        (&["stats", "-n", "abc"], 2, "a whole number is needed"),
        (&["errors", "--status", "TimeOut", "--since", "now"], 3, "no such event"),
        (&["cost", "--model", "GPT", "--until", "today"], 0, "gpt-4o"),
        (&["stats", "--by", "agent,action,status"], 2, "--by takes one field, or two"),
        (&["stats", "--since", "2999-01-01"], 3, "no data: no such event"),
        (&["cost", "--type", "tool"], 3, "no data: no event has tokens or a cost"),
        (&["cost", "--by", "hour", "-n", "0"], 0, "1 more group: -n shows them"),
        (&["stats", "--type", "audit.stop"], 0, "audit.stop"),
    ];
    for (args, code, expected) in cases {
        let run = run(&[args, &["--dir", &dir]].concat());
        assert_eq!(run.code, code, "{args:?} {run:?}");
        assert!((run.stdout.clone() + &run.stderr).contains(expected), "{args:?} {run:?}");
    }
}

#[test]
fn a_value_that_no_event_has_is_answered_with_those_that_there_are() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    for (args, said) in [
        (["errors", "--agent", "plannr"], "no event has the agent plannr; there is planner"),
        (["stats", "--action", "serch"], "no event has the action serch; there is search, chat"),
        (["cost", "--type", "lm"], "no event has the event_type lm; there is llm.invoke, tool."),
        (["tail", "--type", "tool.eror"], "event_type tool.eror; there is tool.error, "),
        (["report", "--agent", "audit"], "no event has the agent audit; there is clerk, planner"),
    ] {
        let run = run(&[&args[..], &["--dir", &dir]].concat());
        assert_eq!(run.code, 3, "{args:?} {run:?}");
        assert!(run.stderr.contains(said), "{args:?} {run:?}");
    }
    // There are such events, though none that all filters want.
    let known = run(&["errors", "--type", "tool", "--until", "2001-01-01", "--dir", &dir]);
    assert!(known.code == 3 && !known.stderr.contains("no event has"), "{known:?}");
    for (option, time) in [("--since", "-1h"), ("--until", "-2d"), ("--slower", "-5ms")] {
        let refused = run(&["errors", option, time, "--dir", &dir]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("accepted: "), "{refused:?}");
    }
}

#[test]
fn a_value_is_found_among_any_number_of_others() {
    let (_keep, dir) = folder();
    let of = |agent: &str| event(1, TRACE, "01", "").replace("planner", agent);
    let others: String = (0..10_001).map(|at| of(&format!("a{at}"))).collect();
    write(&dir, FILE, &(others + &of("late")));
    let late = run(&["errors", "--agent", "late", "--dir", &dir]);
    assert_eq!((late.code, late.stderr.contains("no event has")), (0, false), "{late:?}");
    let late = run(&["errors", "--agent", "late", "--until", "2001-01-01", "--dir", &dir]);
    assert_eq!((late.code, late.stderr.contains("no event has")), (3, false), "{late:?}");
    let unknown = run(&["errors", "--agent", "a-1", "--dir", &dir]);
    assert!(unknown.stderr.ends_with(" and more than 9992 others\n"), "{unknown:?}");
}

#[test]
fn a_value_of_any_length_is_shown_cut() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &event(1, TRACE, "01", "").replace("planner", &"é".repeat(200_000)));
    let unknown = run(&["errors", "--agent", "x", "--dir", &dir]);
    let shown = format!("there is {}…\n", "é".repeat(80));
    assert!(unknown.stderr.ends_with(&shown), "{unknown:?}");
}

/// The beginning of a log of a logger that keeps a quarter of what goes well and writes totals.
fn sampled_start() -> String {
    own(
        "start",
        r#""totals":true,"sampling":{"trace_rate":0,"success_rate":0.25,"error_rate":1,"slow_threshold_ms":500}"#,
    )
}

/// Totals of one minute: six calls of a model, one of them without a cost, and two requests, one of which failed.
/// All took 100 ms, to the bucket.
fn totals(through_seq: u64) -> String {
    let data = format!(
        r#""from":"2026-01-02T03:04:00Z","to":"2026-01-02T03:05:00Z","through_seq":{through_seq},"rows":[
        {{"event_type":"llm.invoke","agent":"planner","action":"chat","model":"gpt-4o","events":6,"tokens_input":6000,"tokens_output":60,"usage":{{"cache_read":3000}},"cost_usd":"0.5","priced":5,"latency_ms_sum":600,"latencies":[7706,6]}},
        {{"event_type":"request.end","agent":"planner","action":"answer","events":1}},
        {{"event_type":"request.end","status":"error","agent":"planner","action":"answer","events":1}}]"#
    );
    own("totals", &data.replace('\n', ""))
}

#[test]
fn totals_count_what_sampling_left_out() {
    let (_keep, dir) = folder();
    // Not one event is kept.
    write(&dir, FILE, &(sampled_start() + &totals(0) + &own("stop", "")));
    let stats = run(&["stats", "--dir", &dir]);
    assert_eq!(stats.code, 0, "{stats:?}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "llm.invoke 6 0 100ms 100ms 100ms 100ms $0.50",
        "request.end 2 1 - - - - -",
        "all 8 1 100ms",
        "no cost is known for 1 call, which is not in the sum: gpt-4o (1)",
        "all events, counted before sampling",
    ] {
        assert!(words(&stats.stdout).contains(part), "no {part} in {}", stats.stdout);
    }
    let cost = run(&["cost", "--by", "tenant,data.model", "--json", "--dir", &dir]).json();
    let group = &cost["groups"][0];
    assert_eq!(group["values"], serde_json::json!(["-", "gpt-4o"]));
    assert_eq!((&group["events"], &group["tokens_cached"]), (&6.into(), &3000.into()));
    assert_eq!((&group["cost_usd"], &group["unpriced"]), (&0.5.into(), &1.into()));
    assert_eq!((&cost["basis"]["counted"], &cost["total"]["estimate"]), (&8.into(), &().into()));
    let report = run(&["report", "--dir", &dir]);
    for part in [
        "8 events, 1 failed (12.5 %), p50 100ms",
        "2 requests, 1 failed (50.0 %)",
        "all events, counted before sampling",
        "caching saved $",
    ] {
        assert!(report.stdout.contains(part), "no {part} in {report:?}");
    }
    assert_eq!(
        run(&["stats", "--type", "llm", "--json", "--dir", &dir]).json()["total"]["events"],
        6
    );
    assert_eq!(run(&["stats", "--since", "2026-01-02T03:05:00Z", "--dir", &dir]).code, 3);
}

#[test]
fn lines_after_the_last_totals_are_estimated_and_the_output_says_so() {
    let (_keep, dir) = folder();
    let call = |seq| event(seq, TRACE, "01", ",\"latency_ms\":100,\"data\":{\"model\":\"gpt-4o\"}");
    let late = |seq: u64, second: &str| call(seq).replace("03:04:05", second);
    let log = sampled_start() + &call(1) + &totals(1) + &late(2, "03:05:05") + &late(3, "03:05:42");
    write(&dir, FILE, &log);
    let stats = run(&["stats", "--dir", &dir]).stdout;
    assert!(
        stats.contains("counted before sampling; ~ the last 37.00s of 1 logger are estimated"),
        "{stats}"
    );
    let json = run(&["report", "--json", "--dir", &dir]).json();
    assert_eq!(
        (&json["total"]["events"], &json["total"]["estimate"]["events"]),
        (&10.into(), &16.0.into())
    );
    assert_eq!(json["basis"]["estimated_instances"], 1);
    // What totals do not answer is about lines.
    let slow = run(&["stats", "--slower", "1ms", "--dir", &dir]).stdout;
    assert!(slow.contains("~ estimated from the 3 of about 12 events"), "{slow}");
    // Not even the lines of an unreadable minute are left out.
    write(&dir, FILE, &log.replace("\"rows\"", "\"row\""));
    let damaged = run(&["stats", "--dir", &dir]).stdout;
    assert!(damaged.contains("~ estimated from the 3 of about 12 events"), "{damaged}");
    assert!(damaged.contains("1 audit.totals line cannot be read"), "{damaged}");
    let verified = run(&["verify", "--dir", &dir]).stdout;
    assert!(verified.contains("audit.totals cannot be read"), "{verified}");
}

#[test]
fn live_figures_count_by_totals() {
    let (_keep, dir) = folder();
    let call = event(1, TRACE, "01", ",\"latency_ms\":100,\"data\":{\"model\":\"gpt-4o\"}");
    write(&dir, FILE, &(sampled_start() + &call));
    let mut stats = common::command(&["stats", "--live", "--dir", &dir]);
    let mut child = stats.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut all = |count: &str| {
        let is_all = |line: String| line.split_whitespace().take(2).eq(["all", count]);
        assert!(lines.any(is_all), "not {count}");
    };
    all("~4");
    let path = std::path::Path::new(&dir).join(FILE);
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all(totals(1).as_bytes()).unwrap();
    all("8");
    child.kill().unwrap();
    child.wait().unwrap();
}
