//! `errors`, `stats` and `cost`: what they count, how they look, and their JSON.

mod common;

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
    let expected = "\
3 of 7 events failed

     2  tool.error  planner  search  Late
        no plan 18 in 300 ms
        2026-01-02 03:04:05.000Z to 2026-01-02 03:04:05.000Z  llm-audit trace 0af7beef16cd

     1  tool.error  planner  search  Late
        no route
        2026-01-02 03:04:05.000Z  llm-audit trace 0af7651916cd
";
    assert_eq!(shown.stdout, expected, "{shown:?}");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stderr.contains("1 line cannot be read"), "{shown:?}");

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
    assert!(limited.stdout.ends_with("\n1 more group: -n shows them\n"), "{limited:?}");
}

#[test]
fn figures_are_shown_in_groups() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let expected = "\
event_type  events  failed    p50    p90    p99    max   cost
llm.invoke       4       0  100ms  900ms  900ms  900ms  $0.30
tool.error       3       3      -      -      -      -      -
all              7       3  100ms  900ms  900ms  900ms  $0.30
no price is known for 1 call, which are not in the cost: my\\u{1b}[2J-model (1)
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
fn cost_is_exact_and_unknown_prices_are_named() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let expected = "\
agent    model               calls  tokens in  tokens out   cost   share
planner  gpt-4o                  2         20           4  $0.20  66.7 %
clerk    gpt-4o                  1         10           2  $0.10  33.3 %
clerk    my\\u{1b}[2J-model      1          7           0      ?       ?
all                              4         37           6  $0.30  100.0 %
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
    assert!(shown.stdout.contains("for 2 calls, which are not in the cost: qx-1 (2)"), "{shown:?}");
    assert_eq!(shown.stderr, "");
    let shown = run(&["cost", "--by", "data.usage", "--dir", &dir]);
    assert!(shown.stderr.contains("values of data.usage are objects or lists"), "{shown:?}");
    assert!(shown.stderr.contains("--by data.usage.NAME"), "{shown:?}");
}

#[test]
fn exit_codes_and_refusals() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let cases: [(&[&str], i32, &str); 12] = [
        (&["errors", "--agent", "nobody"], 3, "no data: no such event"),
        (&["errors", "--status", "ok"], 0, "0 of 4 events failed"),
        (&["stats", "--by", "modle"], 2, "no such field, did you mean model? accepted: event_v"),
        (&["stats", "--by", "tool"], 2, "did you mean data.tool?"),
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
