//! Traces found and drawn as text.

use std::fmt::Write;
use std::fs;

use super::*;
use crate::error::Error;
use crate::folder::Folder;
use crate::query::Filter;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A line of `TRACE`: span, parent, microseconds past a second.
fn line(span: &str, parent: Option<&str>, micros: u32) -> String {
    let parent = parent.map_or(String::new(), |id| format!(r#""parent_span_id":"{id}","#));
    format!(
        r#"{{"trace_id":"{TRACE}","span_id":"{span}",{parent}"timestamp":"2026-01-02T03:04:05.{micros:06}Z","event_type":"a.b","agent":"x","action":"{span}","status":"ok"}}"#
    ) + "\n"
}

fn find(lines: &str, prefix: &str) -> Result<Found, Error> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), lines).unwrap();
    Trace::find(&Folder::open(dir.path()).unwrap(), prefix, |_| {})
}

fn one(lines: &str, prefix: &str) -> Trace {
    match find(lines, prefix).unwrap() {
        Found::One(trace) => *trace,
        other => panic!("{other:?}"),
    }
}

/// The tree as text: a line for each span, indented, `?` for an orphan, `o` for a circle.
fn drawn(trace: &Trace) -> String {
    trace.walk().iter().fold(String::new(), |mut text, step| {
        let span = &trace.spans[step.span];
        let mark = match (span.is_orphan, span.is_circular) {
            (true, _) => "?",
            (_, true) => "o",
            _ => "",
        };
        let last = if step.is_last { "." } else { "" };
        let indent = " ".repeat(step.depth);
        let name = span.id.trim_start_matches('0');
        writeln!(text, "{indent}{name}{mark}{last}").unwrap();
        text
    })
}

/// Spans and their parents.
type Edges = [(u32, Option<u32>)];

#[test]
fn trees() {
    let s = |n: u32| format!("{n:016x}");
    let build = |edges: &Edges| {
        let lines = edges
            .iter()
            .enumerate()
            .map(|(at, (span, parent))| line(&s(*span), parent.map(s).as_deref(), at as u32));
        drawn(&one(&lines.collect::<String>(), TRACE))
    };
    let cases: [(&Edges, &str); 8] = [
        (&[(1, None), (2, Some(1)), (3, Some(1))], "1.\n 2\n 3.\n"),
        (&[(2, Some(1)), (1, None)], "1.\n 2.\n"),
        (&[(1, None), (1, None), (2, Some(1)), (2, Some(1))], "1.\n 2.\n"),
        (&[(1, None), (3, Some(9))], "1\n3?.\n"),
        (&[(1, Some(1))], "1.\n"),
        (&[(1, Some(2)), (2, Some(1))], "1o.\n 2.\n"),
        (&[(1, Some(2)), (2, Some(3)), (3, Some(2))], "2o.\n 1\n 3.\n"),
        (&[(9, None), (1, Some(3)), (2, Some(1)), (3, Some(2))], "9\n1o.\n 2.\n  3.\n"),
    ];
    for (edges, expected) in cases {
        assert_eq!(build(edges), expected, "{edges:?}");
    }
}

/// Every span is walked once, whatever the parents are.
#[test]
fn any_parents_make_a_tree() {
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..60 {
        let spans = rng.u32(1..24);
        let lines: String = (1..=spans)
            .map(|span| {
                let parent = rng.bool().then(|| format!("{:016x}", rng.u32(1..spans + 3)));
                line(&format!("{span:016x}"), parent.as_deref(), rng.u32(..9))
            })
            .collect();
        let trace = one(&lines, &TRACE[..6]);
        let mut walked: Vec<usize> = trace.walk().iter().map(|step| step.span).collect();
        walked.sort_unstable();
        assert_eq!(walked, (0..spans as usize).collect::<Vec<_>>());
    }
}

/// In the log an error may stand before what happened earlier.
#[test]
fn events_are_put_in_the_order_they_happened() {
    let (root, step) = ("0000000000000001", "0000000000000002");
    let lines = [
        line(step, Some(root), 30).replace("a.b", "tool.error"),
        line(root, None, 40).replace("a.b", "request.end"),
        line(step, Some(root), 20).replace("a.b", "tool.call"),
        line(root, None, 10).replace("a.b", "request.start"),
    ];
    let trace = one(&lines.concat(), TRACE);
    let events: Vec<&str> = trace.events().map(|event| &*event.event_type).collect();
    assert_eq!(events, ["request.start", "request.end", "tool.call", "tool.error"]);
}

#[test]
fn a_chain_of_many_spans_is_walked() {
    let lines: String = (1..=20_000_u32)
        .map(|n| line(&format!("{n:016x}"), Some(&format!("{:016x}", n - 1)), n))
        .collect();
    let trace = one(&lines, TRACE);
    assert_eq!(trace.walk().last().unwrap().depth, 19_999);
}

#[test]
fn an_id_is_found_however_it_is_spelled() {
    for (spelled, prefix) in [
        (TRACE, TRACE),
        ("0AF7651916CD43DD8448EB211C80319C", TRACE),
        ("0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd84"),
        ("0af76519-16cd-43dd-8448-eb211c80319c", "0af7651"),
        ("0af76519-16cd-43dd-8448-eb211c80319c", "0af765191"),
        ("0AF76519-16cd-43dd-8448-eb211c80319c", TRACE),
        (TRACE, "0AF76519-16c"),
        ("0af76519-16cd-43dd-8448-eb211c80319c", "0af76519-16cd-43dd-8448-eb211c80319c"),
        ("0af7651916cd43dd8448eb211c80319\\u0063", TRACE),
        ("0af765\\u003191\\u0036cd43dd8448eb211c80319c", TRACE),
        ("0af76519\\u002d16cd-43dd-8448-eb211c80319c", TRACE),
        ("0\\u0041F76519-16cd-43dd-8448-eb211c80319c", "0af7"),
    ] {
        // The digits are there before, in another value.
        let line = line("00f067aa0ba902b7", None, 1).replace(TRACE, spelled);
        let line = line.replacen("{", "{\"x\":\"7651916 7651\",", 1);
        let trace = one(&line, prefix);
        assert_eq!((&*trace.id, trace.events().count()), (TRACE, 1), "{spelled} {prefix}");
    }
}

/// What all spellings share is in one group of a UUID, and after the zeros that a short id lacks.
#[test]
fn ids_of_few_digits_or_zeros_are_found() {
    for (id, spelled, prefixes) in [
        (
            "abcdefabcdefabcdefabcdefabcdefab",
            "ABCDEFAB-cdef-ABCD-efab-cdefABCDEFAB",
            &[4, 9, 32][..],
        ),
        ("abcdefabcdefabcdefab1defabcdefab", "abcdefab-cdef-abcd-efab-1defabcdefab", &[20, 21, 22]),
        (
            "abcdef12345fabcdefabcdefabcdefab",
            "abcdef12-345f-abcd-efab-cdefabcdefab",
            &[8, 9, 12, 32],
        ),
        ("000000001234cdefabcdefabcdefabcd", "00000000-1234-cdef-abcd-efabcdefabcd", &[8, 11, 32]),
        ("00000000000000000000a1b2c3d4e5f6", "a1b2c3d4e5f6", &[21, 24, 32]),
        ("000000000000000000000000deadbeef", "DEADBEEF", &[25, 32]),
    ] {
        for spelled in [spelled, id] {
            let line = line("00f067aa0ba902b7", None, 1).replace(TRACE, spelled);
            let lines = line.clone() + &line.replace(spelled, "0123456789abcdef0123456789abcdef");
            for digits in prefixes {
                let trace = one(&lines, &id[..*digits]);
                assert_eq!((&*trace.id, trace.events().count()), (id, 1), "{spelled} {digits}");
            }
        }
    }
}

/// Of a log's lines a search reads few, and may meet an event before the line that says who wrote it.
#[test]
fn the_service_of_an_event_is_found_wherever_its_logger_began() {
    let start = |instance: u32| {
        format!(
            r#"{{"instance":"{instance:016x}","event_type":"audit.start","data":{{"service":"s{instance}"}}}}"#
        ) + "\n"
    };
    let event = |instance: u32| {
        line("00f067aa0ba902b7", None, instance).replacen(
            '{',
            &format!(r#"{{"instance":"{instance:016x}","#),
            1,
        )
    };
    let filler = "{\"x\":1}\n".repeat(50_000);
    // A file of two loggers, two files in one, and a file whose beginning is in the one before.
    let first = start(1) + &event(1) + &filler + &start(2) + &filler + &event(2);
    let second = filler.clone() + &start(3) + &start(4) + &event(3) + &filler;
    let third = event(4) + &event(5);
    let dir = tempfile::tempdir().unwrap();
    for (at, text) in [first, second, third].iter().enumerate() {
        fs::write(dir.path().join(format!("audit-2026-01-0{}.jsonl", at + 1)), text).unwrap();
    }
    let folder = Folder::open(dir.path()).unwrap();
    let services = |service: Option<&str>| -> Vec<Option<String>> {
        match Trace::find_of_service(&folder, TRACE, service, |_| {}).unwrap() {
            Found::One(trace) => trace.events().map(|event| event.service.clone()).collect(),
            found => panic!("{found:?}"),
        }
    };
    let named =
        |names: &[&str]| names.iter().map(|name| Some((*name).to_owned())).collect::<Vec<_>>();
    let mut all = named(&["s1", "s2", "s3", "s4"]);
    all.push(None);
    assert_eq!(services(None), all);
    for name in ["s1", "s2", "s3", "s4"] {
        assert_eq!(services(Some(name)), named(&[name]));
    }
}

#[test]
fn prefixes() {
    let short = line("00f067aa", None, 1).replace(TRACE, "0AF7beef1234");
    let padded = line("00f067aa0ba902b7", Some("00f067aa"), 2)
        .replace(TRACE, "000000000000000000000af7beef1234");
    let lines = line("00f067aa0ba902b7", None, 1) + &short + "not json 0af7\n" + &padded;
    let cases = [
        ("0af76", vec![TRACE]),
        ("0AF7651916CD43DD8448EB211C80319C", vec![TRACE]),
        ("0af7", vec![TRACE, "000000000000000000000af7beef1234"]),
        ("0af7beef", vec!["000000000000000000000af7beef1234"]),
        ("000000000000000000000af7beef1234", vec!["000000000000000000000af7beef1234"]),
        ("0000", vec!["000000000000000000000af7beef1234"]),
        ("ffff", vec![]),
    ];
    for (prefix, expected) in cases {
        let found = match find(&lines, prefix).unwrap() {
            Found::Nothing => vec![],
            Found::One(trace) => vec![trace.id],
            Found::Several(ids) => ids,
        };
        assert_eq!(found, expected, "{prefix}");
    }
    for bad in ["", "0af", "xyzt", "0af7651916cd43dd8448eb211c80319c0"] {
        assert!(find(&lines, bad).is_err(), "{bad}");
    }
    let trace = one(&lines, "0af7beef");
    assert_eq!(drawn(&trace), "f067aa.\n f067aa0ba902b7.\n", "short and long ids meet");
}

#[test]
fn sums_and_times() {
    let event = |kind: &str, more: &str| {
        line("00f067aa0ba902b7", None, 500_000)
            .replace("a.b", kind)
            .replace("\"status\"", &format!("{more},\"status\""))
    };
    let tokens = r#""tokens_input":10,"tokens_output":2,"cost_usd":0.5,"latency_ms":250"#;
    let lines = event("llm.invoke", tokens) + &event("request.end", tokens);
    let trace = one(&lines, TRACE);
    assert_eq!((trace.tokens(), trace.cost_usd()), ((10, 2), "0.5".parse().ok()));
    let (start, end) = trace.interval().unwrap();
    assert_eq!(end - start, 250_000);
    assert_eq!(trace.events().next().unwrap().line, lines.lines().next().unwrap());
}

#[test]
fn a_trace_is_chosen_by_its_events() {
    let event = |trace: &str, micros: u32, more: &str| {
        line("1", None, micros).replace(TRACE, trace).replace(r#""status":"ok""#, more)
    };
    let log = event("a1", 5, r#""status":"error","latency_ms":3"#)
        + &event("b2", 9, r#""status":"ok""#)
        + "not json\n"
        + &event("c3", 7, r#""status":"timeout","latency_ms":2"#)
        + &event("d4", 6, r#""status":"retry","latency_ms":4"#)
        + r#"{"event_type":"audit.stop","timestamp":"2999-01-01T00:00:00Z","trace_id":"e5"}"#;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), log).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let chosen = |choice, expression: &str| {
        let filter = Filter { expression: expression.parse().ok(), ..Filter::default() };
        let id = Trace::choose(&folder, choice, &filter, None, &mut Vec::new(), |_| {})?;
        Some(id.trim_start_matches('0').to_owned())
    };
    for (choice, expression, expected) in [
        (Choice::Last, "", Some("b2")),
        (Choice::Failed, "", Some("c3")),
        (Choice::Slowest, "", Some("d4")),
        (Choice::Failed, "status == 'error'", Some("a1")),
        (Choice::Slowest, "status != 'retry'", Some("a1")),
        (Choice::Last, "agent == 'nobody'", None),
    ] {
        assert_eq!(chosen(choice, expression).as_deref(), expected, "{choice:?} {expression}");
    }
}

#[test]
fn a_trace_is_found_by_an_index_as_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let line = |seq: u32, id: &str| {
        format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"00112233445566ff\",\"seq\":{seq},\
             \"trace_id\":\"{id}\",\"span_id\":\"00f067aa0ba902b7\",\
             \"timestamp\":\"2026-01-02T03:04:05.000006Z\",\"event_type\":\"a.b\",\"agent\":\"a\",\
             \"action\":\"x\",\"status\":\"ok\"}}\n"
        )
    };
    let ids: Vec<String> = (0..400)
        .map(|n: u32| match n % 4 {
            0 => format!("{:012x}", 0xa1b2_c3d4_0000_u64 + u64::from(n)),
            1 => format!("{:08X}-16cd-43dd-8448-eb211c80319c", n * 7_919_000),
            _ => format!("{:08x}{:024x}", n * 7_919_000, n),
        })
        .collect();
    let text: String = (1..).zip(&ids).map(|(seq, id)| line(seq, id)).collect();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), text).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let found = |prefix: &str| match Trace::find(&folder, prefix, |_| {}).unwrap() {
        Found::One(trace) => format!("{} {}", trace.id, trace.events().count()),
        other => format!("{other:?}"),
    };
    let prefixes = || ids.iter().flat_map(|id| [&id[..8], &id[..12.min(id.len())], id.as_str()]);
    let prefixes = || {
        prefixes().filter(|id| !id.contains('-')).chain(["00000000", "a1b2c3d4", "ffff0000ffff"])
    };
    let without: Vec<_> = prefixes().map(found).collect();
    let scanned = crate::Scan::of(&folder).chunk_bytes(2_000).for_each(|_, _| {});
    assert_eq!(scanned.events, 400);
    assert!(dir.path().join(".index/audit-2026-01-02.jsonl.idx").exists() || cfg!(not(unix)));
    assert!(prefixes().map(found).eq(without));
}
