//! What happened in one trace: its events as a tree of spans.

use std::collections::HashMap;

use memchr::memmem;

use crate::error::Error;
use crate::folder::{Entry, Folder};
use crate::json::Json;
use crate::line::Line;
use crate::schema::ids::{parse_span_id, parse_trace_id};
use crate::schema::{Status, Usd};

/// The fewest digits that name a trace.
const PREFIX_DIGITS_MIN: usize = 4;
/// The most events of one trace that are held; further ones are counted.
const EVENTS_MAX: usize = 100_000;
/// The most ids that an ambiguous prefix is answered with.
const IDS_MAX: usize = 8;

/// What a prefix of a trace id stands for.
#[derive(Debug)]
pub enum Found {
    /// Nothing in this folder.
    Nothing,
    /// This trace.
    One(Box<Trace>),
    /// Several traces: the first eight of their ids.
    Several(Vec<String>),
}

/// One trace.
#[derive(Debug, Default)]
pub struct Trace {
    /// Its 32 hex digits; short ids are filled up with zeros in front.
    pub id: String,
    /// Its spans, in the order in which their first events happened.
    pub spans: Vec<Span>,
    /// The spans at the top, by time.
    pub roots: Vec<usize>,
    /// Events past the first 100,000, which are not in the tree.
    pub left_out: u64,
}

/// The events that share a span id.
#[derive(Debug, Default)]
pub struct Span {
    /// 16 hex digits; empty for an event that came without.
    pub id: String,
    /// The id of the span above, whether or not the log has it.
    pub parent: Option<String>,
    /// The spans below, by time.
    pub children: Vec<usize>,
    /// Its events by time, those of one time and those without in the order of the log; never
    /// empty.
    pub events: Vec<Event>,
    /// Whether the span above is missing from the log.
    pub is_orphan: bool,
    /// Whether its chain of parents led back to it; it was put at the top.
    pub is_circular: bool,
}

/// One event of a trace.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// `event_type`.
    pub event_type: String,
    /// `agent`.
    pub agent: String,
    /// `action`.
    pub action: String,
    /// `status`.
    pub status: Option<Status>,
    /// When it was told, which is when it ended: microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// `latency_ms`.
    pub latency_ms: Option<f64>,
    /// `tokens_input`.
    pub tokens_input: Option<u64>,
    /// `tokens_output`.
    pub tokens_output: Option<u64>,
    /// `cost_usd`.
    pub cost_usd: Option<Usd>,
    /// `data.model`.
    pub model: Option<String>,
    /// The message of its error.
    pub error: Option<String>,
    /// The whole line.
    pub line: String,
}

impl Event {
    fn of(line: &Line<'_>, text: String) -> Self {
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let model = line.data().and_then(|data| data.get("model")).and_then(Json::as_str);
        Self {
            event_type: owned(line.event_type()),
            agent: owned(line.agent()),
            action: owned(line.action()),
            status: line.status(),
            timestamp: line.timestamp(),
            latency_ms: line.latency_ms().filter(|ms| ms.is_finite() && *ms >= 0.0),
            tokens_input: line.tokens_input(),
            tokens_output: line.tokens_output(),
            cost_usd: line.cost_usd(),
            model: model.map(str::to_owned),
            error: line.error_message().map(str::to_owned),
            line: text,
        }
    }

    /// When it began and ended, in microseconds since the Unix epoch.
    fn interval(&self) -> Option<(i64, i64)> {
        let end = self.timestamp?;
        let micros = self.latency_ms.unwrap_or(0.0) * 1_000.0;
        Some((end.saturating_sub(micros as i64), end))
    }

    /// Whether it tells of something that failed.
    pub fn is_failure(&self) -> bool {
        matches!(self.status, Some(Status::Error | Status::Timeout))
    }

    /// Whether its tokens and cost count towards the trace's: those of a request repeat the sum of
    /// what happened below it.
    fn counts(&self) -> bool {
        !self.event_type.starts_with("request.")
    }
}

impl Span {
    /// When it began and ended, in microseconds since the Unix epoch, by its events' times and
    /// latencies.
    pub fn interval(&self) -> Option<(i64, i64)> {
        join(self.events.iter().filter_map(Event::interval))
    }
}

fn join(intervals: impl Iterator<Item = (i64, i64)>) -> Option<(i64, i64)> {
    intervals.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// One step of [`Trace::walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The index of the span.
    pub span: usize,
    /// How many spans are above it.
    pub depth: usize,
    /// Whether it is the last one below its parent.
    pub is_last: bool,
}

impl Trace {
    /// Finds the trace whose id begins with `prefix`, 4 to 32 hex digits in either case. A short
    /// id that was filled up with zeros is found by its own digits too.
    ///
    /// `progress` is told from time to time how many bytes of the folder are read.
    ///
    /// # Errors
    ///
    /// Where `prefix` is none, or a file cannot be read.
    pub fn find(
        folder: &Folder,
        prefix: &str,
        mut progress: impl FnMut(u64),
    ) -> Result<Found, Error> {
        let prefix = prefix.to_ascii_lowercase();
        let is_hex = prefix.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || !(PREFIX_DIGITS_MIN..=32).contains(&prefix.len()) {
            return Err(Error::parse("trace id", "4 to 32 hex digits of it are needed"));
        }
        let mut search = Search::of(prefix);
        let mut lines = folder.lines();
        while let Some(entry) = lines.next_line()? {
            search.entry(entry);
            progress(lines.bytes_read());
        }
        Ok(search.found())
    }

    /// Builds the tree. `events` come with their span's id and its parent's.
    fn build(id: String, mut events: Vec<Placed>, left_out: u64) -> Self {
        // The log has them in the order of writing, in which errors may come early.
        events.sort_by_key(|placed| placed.event.timestamp);
        let mut trace = Self { id, left_out, ..Self::default() };
        let mut by_id: HashMap<String, usize> = HashMap::new();
        for Placed { span, parent, event } in events {
            let at = match by_id.get(&span) {
                Some(&at) if !span.is_empty() => at,
                _ => {
                    by_id.insert(span.clone(), trace.spans.len());
                    trace.spans.push(Span { id: span, ..Span::default() });
                    trace.spans.len() - 1
                }
            };
            let span = &mut trace.spans[at];
            span.events.push(event);
            // Where the events of one span disagree, the first one has it.
            span.parent = span.parent.take().or(parent.filter(|parent| *parent != span.id));
        }
        trace.link(&by_id);
        trace
    }

    /// Hangs every span below its parent, then puts at the top what no way down leads to.
    fn link(&mut self, by_id: &HashMap<String, usize>) {
        let mut by_time: Vec<usize> = (0..self.spans.len()).collect();
        // Spans without a time come first; the sort keeps the order of the first events otherwise.
        by_time.sort_by_key(|&at| self.spans[at].interval().map(|interval| interval.0));
        let above: Vec<Option<usize>> =
            self.spans.iter().map(|span| by_id.get(span.parent.as_ref()?).copied()).collect();
        for &at in &by_time {
            match above[at] {
                Some(parent) => self.spans[parent].children.push(at),
                None => {
                    self.spans[at].is_orphan = self.spans[at].parent.is_some();
                    self.roots.push(at);
                }
            }
        }
        let mut reached = vec![false; self.spans.len()];
        for root in self.roots.clone() {
            self.reach(root, &mut reached);
        }
        let mut seen = vec![false; self.spans.len()];
        for &at in &by_time {
            if !reached[at] {
                let top = circular(at, &above, &mut seen);
                if let Some(parent) = above[top] {
                    self.spans[parent].children.retain(|&child| child != top);
                }
                self.spans[top].is_circular = true;
                self.roots.push(top);
                self.reach(top, &mut reached);
            }
        }
    }

    fn reach(&self, from: usize, reached: &mut [bool]) {
        let mut ahead = vec![from];
        while let Some(at) = ahead.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                ahead.extend(&self.spans[at].children);
            }
        }
    }

    /// Every span once, from the top down, those below one another by time.
    pub fn walk(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.spans.len());
        let mut ahead = Vec::new();
        let push = |ahead: &mut Vec<Step>, spans: &[usize], depth| {
            let last = spans.len().wrapping_sub(1);
            let step = |(at, &span)| Step { span, depth, is_last: at == last };
            ahead.extend(spans.iter().enumerate().map(step).rev());
        };
        push(&mut ahead, &self.roots, 0);
        while let Some(step) = ahead.pop() {
            push(&mut ahead, &self.spans[step.span].children, step.depth + 1);
            steps.push(step);
        }
        steps
    }

    /// All events, span by span.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.spans.iter().flat_map(|span| &span.events)
    }

    /// When it began and ended, in microseconds since the Unix epoch.
    pub fn interval(&self) -> Option<(i64, i64)> {
        join(self.spans.iter().filter_map(Span::interval))
    }

    /// Input and output tokens of all events but `request.*`, which may repeat their sum.
    pub fn tokens(&self) -> (u64, u64) {
        let counting = || self.events().filter(|event| event.counts());
        let sum = |tokens: fn(&Event) -> Option<u64>| {
            counting().filter_map(tokens).fold(0, u64::saturating_add)
        };
        (sum(|event| event.tokens_input), sum(|event| event.tokens_output))
    }

    /// US dollars of all events but `request.*`, exactly; `None` where no event has any.
    pub fn cost_usd(&self) -> Option<Usd> {
        let counting = self.events().filter(|event| event.counts());
        counting.filter_map(|event| event.cost_usd).reduce(|a, b| a + b)
    }
}

/// The span of the circle above `at` that the way up meets first. Every circle is looked for once,
/// so that what was `seen` belongs to it.
fn circular(mut at: usize, above: &[Option<usize>], seen: &mut [bool]) -> usize {
    while !std::mem::replace(&mut seen[at], true) {
        let Some(parent) = above[at] else { break };
        at = parent;
    }
    at
}

/// An event and where it belongs.
struct Placed {
    span: String,
    parent: Option<String>,
    event: Event,
}

/// The traces that begin with a prefix, while the lines go by.
struct Search {
    prefix: String,
    /// What a line must hold to be worth parsing: digits, which have no case.
    needle: String,
    ids: Vec<String>,
    events: Vec<Placed>,
    left_out: u64,
}

impl Search {
    fn of(prefix: String) -> Self {
        // A short id stands in the line without the zeros it is filled up with.
        let digits = prefix.trim_start_matches('0').split(|c: char| !c.is_ascii_digit());
        let needle = digits.max_by_key(|run| run.len()).unwrap_or_default().to_owned();
        Self { prefix, needle, ids: Vec::new(), events: Vec::new(), left_out: 0 }
    }

    fn entry(&mut self, mut entry: Entry<'_>) {
        if memmem::find(entry.bytes, self.needle.as_bytes()).is_none() {
            return;
        }
        // Parsing unescapes in place, and the whole line may be asked for later.
        let text = entry.bytes.to_vec();
        let Ok(line) = entry.parse() else { return };
        let Some(id) = self.matching(&line) else { return };
        if line.is_own() {
            return;
        }
        if !self.ids.contains(&id) {
            if self.ids.len() < IDS_MAX {
                self.ids.push(id);
            }
            if self.ids.len() > 1 {
                self.events = Vec::new();
            }
        }
        if self.ids.len() > 1 {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.left_out += 1;
            return;
        }
        let text = String::from_utf8(text).expect("it was parsed");
        self.events.push(Placed {
            span: line.span_id().map(span_id).unwrap_or_default(),
            parent: line.parent_span_id().map(span_id),
            event: Event::of(&line, text),
        });
    }

    /// The line's trace id in full, where it is one that is looked for.
    fn matching(&self, line: &Line<'_>) -> Option<String> {
        let given = line.trace_id()?.to_ascii_lowercase();
        let id = format!("{:032x}", parse_trace_id(&given).ok()?);
        // Ids of older logs had 12 digits.
        let short = id.strip_prefix("00000000000000000000").unwrap_or_default();
        [&*given, &*id, short].iter().any(|id| id.starts_with(&self.prefix)).then_some(id)
    }

    fn found(self) -> Found {
        let mut ids = self.ids;
        match ids.len() {
            0 => Found::Nothing,
            1 => {
                let trace = Trace::build(ids.remove(0), self.events, self.left_out);
                Found::One(Box::new(trace))
            }
            _ => Found::Several(ids),
        }
    }
}

/// A span id in full; as given where it is none.
fn span_id(id: &str) -> String {
    parse_span_id(id).map_or_else(|_| id.to_owned(), |id| format!("{id:016x}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::fs;

    use super::*;

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
}
