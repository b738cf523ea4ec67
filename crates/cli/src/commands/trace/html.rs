//! A trace as a page of HTML: the tree, the waterfall, and the lines of each span.

use std::fmt::Write;

use llm_audit::Status;
use llm_audit::reader::{Span, Step, Trace};

use super::draw::{
    TraceColumns, judgement_notes, span_cost, span_label, span_notes, span_tokens, status_sign,
    trace_head, worst_span_status,
};
use crate::ui::{Style, escape_html, format_duration, html_document};

/// The page as a document.
pub(super) fn trace_as_html(trace: &Trace) -> String {
    let plain = Style { colour: false };
    let mut body = String::new();
    for line in trace_head(trace).iter().skip(1) {
        let _ = writeln!(body, "<p>{}</p>", escape_html(line));
    }
    body += "<table><tr><th>span</th><th>when</th><th class=\"n\">took</th>\
             <th class=\"n\">tokens</th><th class=\"n\">cost</th></tr>\n";
    let columns = TraceColumns::for_trace(trace, 0, plain);
    let mut agents: Vec<String> = Vec::new();
    for step in trace.walk() {
        let span = &trace.spans[step.span];
        agents.truncate(step.depth);
        let above = agents.last().map(String::as_str);
        let actor = span.events.first().map_or(String::new(), |event| columns.actor(event));
        push_span(trace, step, &span_label(span, above, &actor), &mut body);
        agents.push(actor);
    }
    body += "</table>\n";
    if trace.left_out > 0 {
        let _ = writeln!(body, "<p>… and {} events that are not here</p>", trace.left_out);
    }
    html_document(&format!("Trace {}", trace.id), &body)
}

fn push_span(trace: &Trace, step: Step, label: &str, html: &mut String) {
    let span = &trace.spans[step.span];
    let status = worst_span_status(span);
    let class = if status.is_some_and(Status::is_failure) { " failed" } else { "" };
    let took = span.interval().map(|(start, end)| end.abs_diff(start) as f64 / 1e3);
    // Deep ones do not leave the page.
    let indent = step.depth.min(24);
    let _ = write!(
        html,
        "<tr><td style=\"padding-left:{indent}.5em\"><details><summary class=\"{class}\">{}{}</summary>",
        status_sign(status),
        escape_html(label)
    );
    for event in span.events.iter().chain(&span.judgements) {
        let lines: Vec<_> = pretty(&event.line).lines().map(escape_html).collect();
        let _ = write!(html, "<pre>{}</pre>", lines.join("\n"));
    }
    *html += "</details>";
    for note in span_notes(span) {
        let _ = write!(html, "<p class=\"failed\">{}</p>", escape_html(&note));
    }
    for note in judgement_notes(span) {
        let _ = write!(html, "<p>{}</p>", escape_html(&note));
    }
    let _ = write!(html, "</td><td class=\"bars\">{}</td>", bar(trace, span, class));
    let cells = [took.map_or(String::new(), format_duration), span_tokens(span), span_cost(span)];
    for cell in cells {
        let _ = write!(html, "<td class=\"n\">{}</td>", escape_html(&cell));
    }
    *html += "</tr>\n";
}

/// When the span ran within the trace.
fn bar(trace: &Trace, span: &Span, class: &str) -> String {
    let (Some((from, to)), Some((start, end))) = (trace.interval(), span.interval()) else {
        return String::new();
    };
    let share = |at: i64| at.abs_diff(from) as f64 / to.abs_diff(from).max(1) as f64 * 100.0;
    let (left, width) = (share(start), share(end) - share(start));
    format!("<div class=\"bar{class}\" style=\"margin-left:{left:.2}%;width:{width:.2}%\"></div>")
}

/// The line over several lines, or as it is if it is not JSON to another parser.
fn pretty(line: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(line);
    let text = parsed.and_then(|json| serde_json::to_string_pretty(&json));
    text.unwrap_or_else(|_| line.to_owned())
}
