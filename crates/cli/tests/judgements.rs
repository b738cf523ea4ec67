//! Evaluations and feedback are in the report, in statistics and at the spans that they judge.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{folder, run, run_on};
use llm_audit::{
    AuditEvent, AuditLogger, Evaluation, EventType, FailedTraces, Feedback, SamplingPolicy,
    TraceContext,
};
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A request with a model call, which is judged two days later, and once for the whole trace.
const LINES: &str = r#"
{"timestamp":"2026-01-02T03:04:05Z","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000a1","event_type":"request.end","agent":"benefits","action":"POST /ask","status":"ok","latency_ms":100}
{"timestamp":"2026-01-02T03:04:04.980Z","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000b2","parent_span_id":"00000000000000a1","event_type":"llm.invoke","agent":"benefits","action":"chat","status":"ok","latency_ms":50}
{"timestamp":"2026-01-04T03:04:05Z","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000b2","event_type":"eval.result","agent":"benefits","action":"faithfulness","status":"ok","data":{"name":"faithfulness","score":0.8,"label":"pass","explanation":"quotes ann@example.org"}}
{"timestamp":"2026-01-04T03:04:06Z","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000b2","event_type":"eval.result","agent":"benefits","action":"faithfulness","status":"ok","data":{"name":"faithfulness","score":0.3,"label":"fail"}}
{"timestamp":"2026-01-04T03:04:07Z","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000a1","event_type":"feedback.given","agent":"benefits","action":"feedback","status":"ok","data":{"thumb":"down","score":2}}
{"timestamp":"2026-01-04T03:04:08Z","trace_id":"0af7651916cd43dd8448eb211c80319c","event_type":"feedback.given","agent":"benefits","action":"feedback","status":"ok","data":{"thumb":"up"}}
{"timestamp":"2026-01-03T00:00:00Z","trace_id":"1af7651916cd43dd8448eb211c80319c","span_id":"00000000000000c3","event_type":"request.end","agent":"benefits","action":"POST /ask","status":"ok","latency_ms":20}
"#;

fn recorded() -> (tempfile::TempDir, String) {
    let (keep, dir) = folder();
    let run = run_on(&["record", "--dir", &dir], LINES.trim_start().as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    (keep, dir)
}

#[test]
fn a_trace_shows_them_at_the_spans_that_they_judge() {
    let (keep, dir) = recorded();
    let shown = run(&["trace", TRACE, "--dir", &dir]).stdout;
    let rows: Vec<_> = shown.lines().collect();
    assert_eq!(rows[1], "2026-01-02 03:04:04.900Z, 100ms", "a judgement takes no time of it");
    let below = |span: &str, notes: &[&str]| {
        let at =
            rows.iter().position(|row| row.contains(span)).unwrap_or_else(|| panic!("{shown}"));
        for (note, row) in notes.iter().zip(&rows[at + 1..]) {
            assert!(row.contains(note), "{note}: {shown}");
        }
    };
    below(
        "llm.invoke",
        &["faithfulness 0.8 pass: quotes [REDACTED_email]", "faithfulness 0.3 fail"],
    );
    below("request.end", &["feedback 2 down"]);
    below("feedback.given", &["feedback up"]);

    let json = run(&["trace", TRACE, "--json", "--dir", &dir]).json();
    let spans = json["spans"].as_array().unwrap();
    let counts = spans
        .iter()
        .map(|span| ["events", "judgements"].map(|name| span[name].as_array().unwrap().len()));
    assert_eq!(counts.collect::<Vec<_>>(), [[1, 1], [1, 2], [1, 0]], "{json}");
    assert_eq!(json["duration_ms"], 100.0);

    let page = keep.path().join("trace.html");
    run(&["trace", TRACE, "--html", page.to_str().unwrap(), "--dir", &dir]);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<p>faithfulness 0.3 fail</p>"), "{page}");
    // The trace that is judged late is not the last one.
    let last = run(&["trace", "--last", "--dir", &dir]).stdout;
    assert!(last.starts_with("trace 1af7"), "{last}");
}

#[test]
fn the_report_has_them_by_name_and_by_thumb() {
    let (keep, dir) = recorded();
    let report = run(&["report", "--json", "--dir", &dir]).json();
    let evaluations = json!([{"name": "faithfulness", "count": 2, "mean_score": 0.55,
        "labels": {"fail": 1, "pass": 1}}]);
    assert_eq!(report["evaluations"], evaluations);
    assert_eq!(report["feedback"], json!({"count": 2, "up": 1, "down": 1, "mean_score": 2.0}));
    let shown = run(&["report", "--dir", &dir]).stdout;
    let page = keep.path().join("report.html");
    run(&["report", "--html", page.to_str().unwrap(), "--dir", &dir]);
    let html = fs::read_to_string(page).unwrap();
    for text in
        ["Evaluations", "1 fail, 1 pass", "0.550", "Feedback", "1 thumbs up, 1 down (50.0 % up)"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
        assert!(html.contains(text), "{text}: {html}");
    }
    let stats =
        run(&["stats", "--type", "eval", "--by", "data.name,data.label", "--json", "--dir", &dir]);
    let stats = stats.json();
    let groups = stats["groups"].as_array().unwrap().iter();
    let mut groups: Vec<_> =
        groups.map(|group| (group["values"].clone(), group["events"].clone())).collect();
    groups.sort_by_key(|(values, _)| values.to_string());
    let of = |label: &str| (json!(["faithfulness", label]), json!(1));
    assert_eq!(groups, [of("fail"), of("pass")]);
}

/// Sampling leaves out what was judged and no judgement, and estimates count each of these once.
#[test]
fn a_sampled_log_has_all_of_them() {
    let (_keep, dir) = folder();
    let policy =
        SamplingPolicy { trace_rate: 0.0, success_rate: 0.05, ..SamplingPolicy::default() };
    let builder = AuditLogger::builder().without_environment().directory(Path::new(&dir));
    let builder = builder.sampling(policy).failed_traces(FailedTraces::Sampled);
    let logger = builder.build().unwrap();
    for at in 0..200 {
        let answer = TraceContext::new_trace();
        logger.emit_wait(&AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").span(&answer));
        let evaluation = Evaluation::new("benefits", "tone").score(f64::from(at % 2));
        logger.record_evaluation(&evaluation.span(&answer));
        logger.record_feedback(&Feedback::new("benefits").thumb(at % 4 > 0).span(&answer));
    }
    logger.shutdown(Duration::from_secs(60)).unwrap();
    let lines = common::events(&dir);
    assert!(lines.len() < 500, "{}", lines.len());
    let report = run(&["report", "--json", "--dir", &dir]).json();
    let tone = json!([{"name": "tone", "count": 200, "mean_score": 0.5, "labels": {}}]);
    assert_eq!(report["evaluations"], tone);
    assert_eq!(
        report["feedback"],
        json!({"count": 200, "up": 150, "down": 50, "mean_score": null})
    );
    let args = ["stats", "--by", "data.name", "--type", "eval", "--json", "--dir", &dir];
    let total = run(&args).json()["total"].clone();
    assert_eq!(
        (&total["events"], total.get("estimate")),
        (&json!(200), None),
        "each counts as one"
    );
}
