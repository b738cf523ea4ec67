//! Tests of events with content that only failed traces keep.

use llm_audit_log::Status;
use serde_json::{Value, json};

use super::hold::{HeldRig, NOTHING};
use crate::context::TraceContext;
use crate::writer::WriterTurn;
use crate::writer::batch::EVENTS_MAX;
use crate::{AuditEvent, Builder, CaptureContent, EventType, FailedTraces, SamplingPolicy};

const EVERYTHING: SamplingPolicy = SamplingPolicy { debug: true, ..NOTHING };

fn rig(with: impl FnOnce(Builder) -> Builder) -> HeldRig {
    HeldRig::new(|builder| {
        with(builder.capture_content(CaptureContent::Failed).sampling(EVERYTHING))
    })
}

impl HeldRig {
    fn emit_with_content(&self, kind: EventType<'_>, action: &str, context: &TraceContext) {
        let data = json!({"prompt": "why", "model": "m", "completion": ["because"]});
        let event = AuditEvent::new(kind, "a", action).context(context).data(&data);
        self.audit.emit(&event.content(&["prompt", "completion"]));
    }

    fn queued(&self) -> u64 {
        self.audit.accounting().queued
    }
}

/// Actions of lines, each with the names in its data.
fn told(lines: &[Value]) -> Vec<(&str, Vec<&str>)> {
    let names = |line: &Value| -> Vec<&'static str> {
        let known = ["completion", "model", "prompt"];
        known.into_iter().filter(|name| line["data"].get(name).is_some()).collect()
    };
    lines.iter().map(|line| (line["action"].as_str().unwrap(), names(line))).collect()
}

const WHOLE: [&str; 3] = ["completion", "model", "prompt"];
const BARE: [&str; 1] = ["model"];

#[test]
fn content_is_written_if_the_trace_fails_and_else_left_out() {
    for failed_traces in [FailedTraces::Whole, FailedTraces::Sampled] {
        let mut rig = rig(|builder| builder.failed_traces(failed_traces));
        let (good, bad) = (TraceContext::new_trace(), TraceContext::new_trace());
        for trace in [&good, &bad] {
            rig.emit(EventType::RequestStart, "start", trace);
            rig.emit_with_content(EventType::LlmInvoke, "model", trace);
        }
        rig.flush();
        assert_eq!((rig.lines().len(), rig.queued()), (2, 2), "the flush waits for neither");
        rig.emit(EventType::RequestEnd, "end", &good);
        rig.emit(EventType::ToolError, "error", &bad);
        rig.flush();
        assert_eq!(rig.queued(), 0, "both ends are known");
        rig.emit_with_content(EventType::LlmInvoke, "later", &bad);
        let lines = rig.close().0;
        let of = |trace: &TraceContext| {
            let id = format!("{:032x}", trace.trace_id());
            lines.iter().filter(|line| line["trace_id"] == id).cloned().collect::<Vec<_>>()
        };
        let nothing = Vec::new();
        let expected =
            [("start", nothing.clone()), ("end", nothing.clone()), ("model", BARE.into())];
        assert_eq!(told(&of(&good)), expected);
        let expected = [
            ("start", nothing.clone()),
            ("model", WHOLE.into()),
            ("error", nothing),
            ("later", WHOLE.into()),
        ];
        assert_eq!(told(&of(&bad)), expected);
    }
}

#[test]
fn a_failure_keeps_its_own_content_and_an_event_alone_does_not_wait() {
    let mut rig = rig(|builder| builder);
    let trace = TraceContext::new_trace();
    rig.emit_with_content(EventType::LlmError, "failure", &trace);
    let data = json!({"prompt": "why"});
    let alone = AuditEvent::new(EventType::LlmInvoke, "a", "alone").data(&data);
    rig.audit.emit(&alone.content(&["prompt"]));
    rig.audit.emit(&alone.status(Status::Timeout).content(&["prompt"]));
    rig.flush();
    assert_eq!(rig.queued(), 0);
    let lines = rig.close().0;
    let mut told = told(&lines);
    told.sort_unstable();
    let expected = [("alone", vec![]), ("alone", vec!["prompt"]), ("failure", WHOLE.into())];
    assert_eq!(told, expected);
    assert!(lines.iter().any(|line| line.get("data").is_none()), "no data is left");
}

#[test]
fn content_that_waits_too_long_or_until_the_close_is_left_out() {
    let mut rig = rig(|builder| builder.hold_seconds(5));
    let (old, open) = (TraceContext::new_trace(), TraceContext::new_trace());
    rig.emit_with_content(EventType::LlmInvoke, "old", &old);
    rig.flush();
    rig.pass(3);
    rig.emit(EventType::RequestStart, "start", &open);
    rig.emit_with_content(EventType::LlmInvoke, "open", &open);
    rig.flush();
    assert_eq!(rig.queued(), 2);
    rig.pass(2);
    rig.writer.run_turn();
    rig.flush();
    assert_eq!((rig.lines().len(), rig.queued()), (2, 1));
    // What comes later of the trace that was too old begins anew.
    rig.emit_with_content(EventType::LlmInvoke, "new", &old);
    rig.emit(EventType::ToolError, "error", &old);
    let (lines, sampled_out) = rig.close();
    let mut told = told(&lines);
    told.sort_unstable();
    let nothing = Vec::new();
    let expected = [
        ("error", nothing.clone()),
        ("new", WHOLE.into()),
        ("old", BARE.into()),
        ("open", BARE.into()),
        ("start", nothing),
    ];
    assert_eq!((told.as_slice(), sampled_out), (expected.as_slice(), 0));
}

/// Events that sampling leaves out are whole if the trace fails, and those that it keeps are all there.
#[test]
fn a_sampled_trace_has_its_content_if_it_fails() {
    for success_rate in [0.0, 0.5, 1.0] {
        let sampling = SamplingPolicy { success_rate, ..NOTHING };
        let mut rig = rig(|builder| builder.sampling(sampling));
        let traces: Vec<_> = (0..40).map(|_| TraceContext::new_trace()).collect();
        for trace in &traces {
            rig.emit(EventType::RequestStart, "start", trace);
            rig.emit_with_content(EventType::LlmInvoke, "model", trace);
        }
        for (at, trace) in traces.iter().enumerate() {
            let is_bad = at % 2 == 0;
            let (kind, action) = match is_bad {
                true => (EventType::ToolError, "error"),
                false => (EventType::RequestEnd, "end"),
            };
            rig.emit(kind, action, trace);
        }
        let (lines, sampled_out) = rig.close();
        assert_eq!(lines.len() as u64 + sampled_out, 120);
        for (at, trace) in traces.iter().enumerate() {
            let id = format!("{:032x}", trace.trace_id());
            let of_trace = lines.iter().filter(|line| line["trace_id"] == id.as_str());
            let models = of_trace.filter(|line| line["action"] == "model");
            let prompts: Vec<_> = models.map(|line| line["data"].get("prompt").is_some()).collect();
            match at % 2 {
                0 => assert_eq!(prompts, [true], "{success_rate}"),
                _ => assert!(prompts.iter().all(|has| !has), "{success_rate}"),
            }
        }
    }
}

#[test]
fn without_room_events_are_written_without_their_content() {
    let mut rig = rig(|builder| builder.hold_bytes(64 << 10));
    let traces: Vec<_> = (0..600).map(|_| TraceContext::new_trace()).collect();
    for trace in &traces {
        rig.emit_with_content(EventType::LlmInvoke, "model", trace);
    }
    rig.flush();
    assert!((1..300).contains(&rig.queued()), "{}", rig.queued());
    // Failed traces take room, too, so those that still have content fail first.
    for trace in traces.iter().rev() {
        rig.emit(EventType::ToolError, "error", trace);
    }
    let (lines, sampled_out) = rig.close();
    assert_eq!((lines.len(), sampled_out), (1_200, 0));
    let models = lines.iter().filter(|line| line["action"] == "model");
    let whole = models.filter(|line| line["data"].get("prompt").is_some()).count();
    assert!((1..300).contains(&whole), "{whole}");
}

/// The writer takes more events for a batch than it writes of those that are released.
#[test]
fn events_that_are_released_do_not_pile_up() {
    let mut rig = rig(|builder| builder.queue_capacity(65_536));
    let mut most = 0;
    for _ in 0..60 {
        for _ in 0..100 {
            let trace = TraceContext::new_trace();
            rig.emit(EventType::RequestStart, "start", &trace);
            for _ in 0..4 {
                rig.emit_with_content(EventType::LlmInvoke, "model", &trace);
            }
            rig.emit(EventType::RequestEnd, "end", &trace);
        }
        assert!(!matches!(rig.writer.run_turn(), WriterTurn::Last));
        most = most.max(rig.writer.hold.as_ref().unwrap().bare_events());
    }
    assert!((EVENTS_MAX..2 * EVENTS_MAX).contains(&most), "{most}");
    rig.flush();
    assert_eq!((rig.lines().len(), rig.queued()), (36_000, 0));
    rig.close();
}
