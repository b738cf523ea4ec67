//! What a span or a log record of OTLP becomes.
//!
//! Each sender has a preset: a table that says where each of its attributes goes. `docs/receive-mapping.md` shows
//! the tables.

mod draft;
mod log_record;
mod messages;
mod origin;
mod own;
mod presets;
mod sequences;
mod span;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::sync::{Mutex, MutexGuard, PoisonError};

use llm_audit::{Usage, Usd};
use llm_audit_log::Recent;
use llm_audit_log::schema::Status;
use llm_audit_log::schema::notices::is_own_type_name;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::{Map, Value};

use origin::Origin;
use sequences::Sequences;

/// The members of `data` that are content. Without capture of content they are not there.
pub const CONTENT: &[&str] = &[
    "system_instructions",
    "prompt",
    "completion",
    "arguments",
    "result",
    "documents",
    "template",
    "explanation",
    "comment",
    "command",
    "file",
    "body",
    "events",
];

/// An event, as it was received. Nothing of it is redacted yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceivedEvent {
    /// One of the schema's types, or a name of the sender's own. The recorder redacts it before it makes a type of it.
    pub event_type: String,
    /// Who did it.
    pub agent: String,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub status: Status,
    /// W3C ids, as far as the sender gives them.
    pub trace_id: Option<u128>,
    /// The span of the event.
    pub span_id: Option<u64>,
    /// The span above it.
    pub parent_span_id: Option<u64>,
    /// When it ended, in microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Tokens, with cached ones.
    pub tokens_input: Option<u64>,
    /// Tokens, with those of reasoning.
    pub tokens_output: Option<u64>,
    /// What it cost.
    pub cost_usd: Option<Usd>,
    /// The tokens of a model call that may have no cost yet. Its parts are in `data.usage`.
    pub usage: Option<Usage>,
    /// The payload.
    pub data: Map<String, Value>,
    /// The error's object, with `type` and `message`.
    pub error: Option<Map<String, Value>>,
}

impl ReceivedEvent {
    /// Whether the logger of this instance wrote it, or what it was made of.
    pub(crate) fn is_of(&self, instance: &str) -> bool {
        let mut origin = self.data.get("origin");
        while let Some(members) = origin {
            if members.get("instance").and_then(Value::as_str) == Some(instance) {
                return true;
            }
            origin = members.get("origin");
        }
        false
    }
}

/// Records that became no event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// Why the first one did not.
    pub why: Option<String>,
}

/// Maps requests, and remembers what spans several of them.
#[derive(Debug, Default)]
pub struct Mapper {
    captures_content: bool,
    memory: Mutex<Memory>,
}

/// How many spans above calls, and how many sessions, are remembered at least.
const REMEMBERED_MAX: usize = 1 << 14;

/// What is remembered of earlier records. It is bounded.
#[derive(Debug, Default)]
struct Memory {
    sequences: Sequences,
    /// The spans directly above calls whose tokens were counted, by trace and span.
    callers: Recent<(u128, u64), (), REMEMBERED_MAX>,
}

impl Mapper {
    /// Returns a mapper. Without `captures_content` events have no [`CONTENT`].
    pub fn new(captures_content: bool) -> Self {
        Self { captures_content, ..Self::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What a panic leaves behind is still a bounded memory.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `each` for every event of a request.
    pub fn logs(
        &self,
        request: ExportLogsServiceRequest,
        each: &mut dyn FnMut(ReceivedEvent),
    ) -> Skipped {
        let mut taken = Taken { each, skipped: Skipped::default() };
        for resource in request.resource_logs {
            let mut origin = Origin::of_resource(resource.resource);
            for scope in resource.scope_logs {
                origin.enter_scope(scope.scope.as_ref());
                for record in scope.log_records {
                    taken.take(log_record::event_of(record, &origin, self));
                }
            }
        }
        taken.skipped
    }

    /// Calls `each` for every event of a request.
    pub fn spans(
        &self,
        request: ExportTraceServiceRequest,
        each: &mut dyn FnMut(ReceivedEvent),
    ) -> Skipped {
        let mut taken = Taken { each, skipped: Skipped::default() };
        for resource in request.resource_spans {
            let mut origin = Origin::of_resource(resource.resource);
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.for_each(|span| span::note_caller(span, &origin, self));
            for scope in resource.scope_spans {
                origin.enter_scope(scope.scope.as_ref());
                for mut span in scope.spans {
                    let judgements = span::take_judgements(&mut span);
                    taken.take(span::event_of(span, &origin, self));
                    for judgement in judgements {
                        taken.take(log_record::event_of(judgement, &origin, self));
                    }
                }
            }
        }
        taken.skipped
    }
}

struct Taken<'e> {
    each: &'e mut dyn FnMut(ReceivedEvent),
    skipped: Skipped,
}

impl Taken<'_> {
    /// Passes an event on, unless it has a type of the log's own lines.
    fn take(&mut self, mut event: ReceivedEvent) {
        if event.event_type.is_empty() {
            "log.line".clone_into(&mut event.event_type);
        }
        if !is_own_type_name(event.event_type.to_ascii_lowercase()) {
            return (self.each)(event);
        }
        self.skipped.count += 1;
        self.skipped.why.get_or_insert_with(|| {
            let name: String = event.event_type.chars().take(64).collect();
            format!("the type {name:?} belongs to the log's own lines")
        });
    }
}
