//! Draws a trace: the tree on the left, a waterfall beside it, numbers on the right.

use std::io::{self, Write};

use llm_audit::Status;
use llm_audit::reader::{Event, Span, Step, Trace, parse};
use llm_audit_log::schema::Judgement;
use unicode_width::UnicodeWidthStr;

use crate::ui::{
    Style, escape_for_terminal, fit_to_width, format_count, format_dollars, format_duration,
    format_time, wrap_to_width,
};

/// Spans deeper than this are drawn at this depth, with a sign.
const DEPTH_MAX: usize = 12;
/// Columns of the numbers: duration, tokens, cost.
const DURATION: usize = 8;
const TOKENS: usize = 12;
const COST: usize = 10;
/// A terminal with fewer columns has no room for tokens.
const NARROW: usize = 60;

/// Draws `trace` within `width` columns.
pub(super) fn draw_trace(
    trace: &Trace,
    width: usize,
    style: Style,
    out: &mut impl Write,
) -> io::Result<()> {
    let failed = failed_count(trace);
    for line in trace_head(trace).iter().flat_map(|line| wrap_to_width(line, width)) {
        let line = match &failed {
            Some(failed) => line.replacen(failed, &style.paint_error(failed), 1),
            None => line,
        };
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    let sheet = TraceColumns::for_trace(trace, width, style);
    let mut rails = TreeRails::default();
    // The agent of the present span and of each one above it.
    let mut agents: Vec<String> = Vec::new();
    for step in trace.walk() {
        let span = &trace.spans[step.span];
        agents.truncate(step.depth);
        let above = agents.last().map(String::as_str);
        let actor = span.events.first().map_or(String::new(), |event| sheet.actor(event));
        let tree = rails.before_span(step);
        writeln!(out, "{}", sheet.span_row(span, above, &actor, &tree).trim_end())?;
        agents.push(actor);
        for note in span_notes(span) {
            let room = width.saturating_sub(rails.before_note().width() + 2);
            let note = style.paint_error(&fit_to_width(&note, room));
            writeln!(out, "{}  {note}", rails.before_note())?;
        }
        for note in judgement_notes(span) {
            let room = width.saturating_sub(rails.before_note().width() + 2);
            writeln!(out, "{}  {}", rails.before_note(), fit_to_width(&note, room))?;
        }
    }
    if trace.left_out > 0 {
        writeln!(out, "… and {} that are not drawn", format_count(trace.left_out, "event"))?;
    }
    Ok(())
}

/// What is said of the whole trace.
pub(super) fn trace_head(trace: &Trace) -> Vec<String> {
    let mut lines = vec![format!("trace {}", escape_for_terminal(&trace.id))];
    if let Some((start, end)) = trace.interval() {
        let took = format_duration(end.abs_diff(start) as f64 / 1e3);
        lines.push(format!("{}, {took}", format_time(start)));
    }
    let spans = format_count(trace.spans.len() as u64, "span");
    let mut counts = format!("{spans}, {}", format_count(trace.events().count() as u64, "event"));
    counts += &failed_count(trace).map_or(String::new(), |failed| format!(", {failed}"));
    let (input, output) = trace.tokens();
    if input + output > 0 {
        counts += &format!(", {input} tokens in, {output} out");
    }
    counts += &trace.cost_usd().map_or(String::new(), |cost| format!(", {}", format_dollars(cost)));
    lines.push(counts);
    lines
}

/// How many events failed, if any did.
fn failed_count(trace: &Trace) -> Option<String> {
    let failed = trace.events().filter(|event| event.is_failure()).count();
    (failed > 0).then(|| format!("{failed} failed"))
}

/// What a person has to know of a span besides its row.
pub(super) fn span_notes(span: &Span) -> Vec<String> {
    let mut notes: Vec<String> = span
        .events
        .iter()
        .filter_map(|event| event.error.as_deref())
        .map(|message| escape_for_terminal(message).into_owned())
        .collect();
    notes.dedup();
    if let (true, Some(parent)) = (span.is_orphan, &span.parent) {
        notes.push(format!("its parent {} is not in the log", escape_for_terminal(parent)));
    }
    if span.is_circular {
        notes.push("its parents lead back to it".to_owned());
    }
    notes
}

/// What was judged about the span, and how.
pub(super) fn judgement_notes(span: &Span) -> Vec<String> {
    let note = |event: &Event| {
        let mut line = event.line.clone().into_bytes();
        let line = parse(&mut line).ok()?;
        let judgement = Judgement::of(&line)?.to_string();
        Some(escape_for_terminal(&judgement).into_owned())
    };
    span.events.iter().chain(&span.judgements).filter_map(note).collect()
}

/// The columns of one drawing.
pub(super) struct TraceColumns {
    style: Style,
    label: usize,
    bar: usize,
    tokens: usize,
    cost: usize,
    /// When the trace began and ended.
    interval: Option<(i64, i64)>,
    has_several_services: bool,
}

impl TraceColumns {
    pub(super) fn for_trace(trace: &Trace, width: usize, style: Style) -> Self {
        let has_tokens = trace.events().any(|event| event.tokens_input.is_some());
        let tokens = if has_tokens && width >= NARROW { TOKENS } else { 0 };
        let cost = if trace.events().any(|event| event.cost_usd.is_some()) { COST } else { 0 };
        let rest = width.saturating_sub(DURATION + tokens + cost);
        let bar = (rest / 4).clamp(6, 40);
        // One column stays free between the label and the bar, one after the bar.
        let label = rest.saturating_sub(bar + 2).max(4);
        let mut services = trace.events().map(|event| &event.service);
        let first = services.next();
        let has_several_services = services.any(|service| Some(service) != first);
        Self { style, label, bar, tokens, cost, interval: trace.interval(), has_several_services }
    }

    /// Who acted: the agent, and its service if others take part.
    pub(super) fn actor(&self, event: &Event) -> String {
        match event.service.as_ref().filter(|_| self.has_several_services) {
            Some(service) => format!("{service} {}", event.agent),
            None => event.agent.clone(),
        }
    }

    fn span_row(&self, span: &Span, above: Option<&str>, actor: &str, tree: &str) -> String {
        let status = worst_span_status(span);
        let label = fit_to_width(
            &format!("{tree}{}{}", status_sign(status), span_label(span, above, actor)),
            self.label,
        );
        let padding = " ".repeat(self.label - label.width());
        let label = self.painted_label(label, tree, status);
        let took = span.interval().map_or(String::new(), |(start, end)| {
            format_duration(end.abs_diff(start) as f64 / 1e3)
        });
        let bar = self.style.paint_by_status(status, &self.span_bar(span));
        let numbers = self.span_numbers(span);
        format!("{label}{padding} {bar} {took:>DURATION$}{numbers}")
    }

    /// Paints the words of a label; the rails before them are not part of the status.
    fn painted_label(&self, label: String, rails: &str, status: Option<Status>) -> String {
        let Some(words) = label.strip_prefix(rails) else { return label };
        format!("{rails}{}", self.style.paint_by_status(failing_status(status), words))
    }

    fn span_numbers(&self, span: &Span) -> String {
        let (tokens_width, cost_width) = (self.tokens, self.cost);
        let tokens = if tokens_width > 0 { span_tokens(span) } else { String::new() };
        format!("{tokens:>tokens_width$}{:>cost_width$}", span_cost(span))
    }

    /// When the span ran within the trace.
    fn span_bar(&self, span: &Span) -> String {
        let (Some((from, to)), Some((start, end))) = (self.interval, span.interval()) else {
            return " ".repeat(self.bar);
        };
        let total = to.abs_diff(from).max(1) as f64;
        let column = |at: i64| (at.abs_diff(from) as f64 / total * self.bar as f64) as usize;
        let first = column(start).min(self.bar - 1);
        let last = column(end).clamp(first + 1, self.bar);
        let body = if start == end { "│" } else { "█" }.repeat(last - first);
        format!("{}{body}{}", " ".repeat(first), " ".repeat(self.bar - last))
    }
}

/// Tokens in and out. The events of one span describe one thing: the last number is the right one.
pub(super) fn span_tokens(span: &Span) -> String {
    let last = |number: fn(&Event) -> Option<u64>| span.events.iter().rev().find_map(number);
    let of = |tokens: Option<u64>| tokens.map_or("?".to_owned(), |n| n.to_string());
    match (last(|event| event.tokens_input), last(|event| event.tokens_output)) {
        (None, None) => String::new(),
        (input, output) => format!("{}+{}", of(input), of(output)),
    }
}

pub(super) fn span_cost(span: &Span) -> String {
    let cost = span.events.iter().rev().find_map(|event| event.cost_usd);
    cost.map_or(String::new(), format_dollars)
}

/// What the span as a whole came to: a failure, if there is one, whatever came after it.
pub(super) fn worst_span_status(span: &Span) -> Option<Status> {
    let rank = |status: &Status| match status {
        Status::Ok => 0,
        Status::Retry => 1,
        Status::Timeout => 2,
        Status::Error => 3,
    };
    span.events.iter().filter_map(|event| event.status).max_by_key(rank)
}

fn failing_status(status: Option<Status>) -> Option<Status> {
    status.filter(|status| *status != Status::Ok)
}

pub(super) fn status_sign(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Error) => "✗ ",
        Some(Status::Timeout) => "✗ timeout ",
        Some(Status::Retry) => "↻ ",
        Some(Status::Ok) | None => "",
    }
}

/// Names the span: its type, or the family of its types, and its action. The actor is added if it
/// is not the agent of the span above.
pub(super) fn span_label(span: &Span, above: Option<&str>, actor: &str) -> String {
    let Some(first) = span.events.first() else { return String::new() };
    let family = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let (mut kind, own) = (first.event_type.clone(), family(&first.event_type));
    if span.events.iter().any(|event| event.event_type != first.event_type)
        && span.events.iter().all(|event| family(&event.event_type) == own)
    {
        kind = own;
    }
    let model = first.model.as_ref().filter(|model| !first.action.contains(model.as_str()));
    let model = model.map_or(String::new(), |model| format!(" [{model}]"));
    let mut text = format!("{kind} {}{model}", first.action);
    if above != Some(actor) {
        text += &format!(" ({actor})");
    }
    escape_for_terminal(&text).into_owned()
}

/// The lines that hold the tree together.
#[derive(Default)]
struct TreeRails {
    /// For the present span and each one above it, whether it is the last below its parent.
    last: Vec<bool>,
    under: String,
}

impl TreeRails {
    /// What comes before the span of this step.
    fn before_span(&mut self, step: Step) -> String {
        let depth = step.depth.min(DEPTH_MAX);
        self.last.truncate(depth);
        self.last.push(step.is_last);
        let above = self.last.iter().take(depth).skip(1);
        let mut front: String = above.map(|last| if *last { "   " } else { "│  " }).collect();
        self.under = front.clone();
        if depth > 0 {
            front += if step.is_last { "└─ " } else { "├─ " };
            self.under += if step.is_last { "   " } else { "│  " };
        }
        if step.depth > DEPTH_MAX {
            front += &format!("({}) ", step.depth);
        }
        front
    }

    /// What comes before a note below that span.
    fn before_note(&self) -> &str {
        &self.under
    }
}

#[cfg(test)]
mod tests {
    use llm_audit::reader::Event;

    use super::*;

    fn event(kind: &str, action: &str, end_ms: i64, latency_ms: f64) -> Event {
        let mut event = Event::default();
        event.event_type = kind.to_owned();
        event.agent = "planner".to_owned();
        event.action = action.to_owned();
        event.status = Some(Status::Ok);
        event.timestamp = Some(1_767_323_045_000_000 + end_ms * 1_000);
        event.latency_ms = Some(latency_ms);
        event
    }

    fn span(event: Event, children: &[usize]) -> Span {
        let mut span = Span::default();
        (span.events, span.children) = (vec![event], children.to_vec());
        span
    }

    fn drawn(trace: &Trace, width: usize) -> String {
        let mut out = Vec::new();
        draw_trace(trace, width, Style { colour: false }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn example() -> Trace {
        let mut failed = event("tool.call", "search", 80, 30.0);
        failed.status = Some(Status::Error);
        failed.error = Some("no\x1b[2J route".to_owned());
        let mut model = event("llm.invoke", "chat", 50, 50.0);
        (model.tokens_input, model.tokens_output) = (Some(1200), Some(34));
        (model.cost_usd, model.model) = ("0.0125".parse().ok(), Some("m-1".to_owned()));
        let mut trace = Trace::default();
        trace.id = "0af7651916cd43dd8448eb211c80319c".to_owned();
        trace.spans = vec![
            span(event("request.end", "request", 100, 100.0), &[1, 2]),
            span(model, &[]),
            span(failed, &[]),
        ];
        trace.roots = vec![0];
        trace
    }

    #[test]
    fn a_small_tree() {
        let expected = "\
trace 0af7651916cd43dd8448eb211c80319c
2026-01-02 03:04:05.000Z, 100ms
3 spans, 3 events, 1 failed, 1200 tokens in, 34 out, $0.0125

request.end request (planner)        ████████████    100ms
├─ llm.invoke chat [m-1]             ██████         50.0ms     1200+34   $0.0125
└─ ✗ tool.call search                      ███      30.0ms
     no\\u{1b}[2J route
";
        assert_eq!(drawn(&example(), 80), expected);
    }

    #[test]
    fn every_row_fits() {
        let mut rng = fastrand::Rng::with_seed(11);
        for width in [40, 60, 80, 120] {
            let mut trace = Trace::default();
            for at in 0..40_usize {
                let action: String = "långt 名前 ".repeat(rng.usize(1..7));
                let mut event = event("llm.invoke", &action, rng.i64(0..900), 12.0);
                event.error = (at % 3 == 0).then(|| "失敗 ".repeat(40));
                event.tokens_input = Some(rng.u64(..1_000_000));
                let child = if at < 39 { vec![at + 1] } else { vec![] };
                trace.spans.push(span(event, &child));
            }
            trace.roots.push(0);
            for row in drawn(&trace, width).lines() {
                assert!(row.width() <= width, "{width}: {} {row}", row.width());
            }
        }
    }
}
