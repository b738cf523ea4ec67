//! A `tracing` layer that turns spans and events with OpenTelemetry's GenAI fields into audit
//! events.

mod amendment;
mod data;
mod entered;
mod fields;
mod kind;
mod names;
mod open;
mod operation;
mod reason;
mod spans;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing_core::dispatcher::get_default;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::context::TraceContext;
use crate::recorder::{AuditLogger, Outlet};
use crate::sanitize::Sanitizer;
use crate::warnings::disabled_spans::{self, InstalledLayer};
pub use amendment::Amendment;
use entered::ReentryGuard;
use fields::{GenAiFields, KeptContents};
use kind::kind_of_fields;
use names::{has_gen_ai_fields, is_client_span, is_kept_span, metadata_has_field};
use open::{OpenSpan, OpenSpans};
use reason::FailureReason;

/// The bytes of text held for one span if no logger limits the size of an event.
const BYTES_MAX_DEFAULT: usize = 256 << 10;

/// Turns spans and events with the fields of OpenTelemetry's [GenAI conventions] into audit events.
///
/// If a program's libraries are instrumented, it needs no other line.
///
/// # Examples
///
/// ```
/// use llm_audit::layer::tracing::AuditLayer;
/// use tracing_subscriber::prelude::*;
///
/// # let seen = llm_audit::testing::capture();
/// // In `main`, after `llm_audit::init()`, with `init()` in place of `set_default()`.
/// let _subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits")).set_default();
///
/// // An instrumented library does this.
/// let call = tracing::info_span!(
///     "chat",
///     gen_ai.operation.name = "chat",
///     gen_ai.request.model = "gpt-4o",
///     gen_ai.usage.input_tokens = tracing::field::Empty,
/// );
/// call.record("gen_ai.usage.input_tokens", 1200);
/// drop(call);
/// # let lines = seen.lines();
/// # assert!(lines[0].contains(r#""event_type":"llm.invoke""#), "{lines:?}");
/// # assert!(lines[0].contains(r#""tokens_input":1200"#), "{lines:?}");
/// ```
///
/// # Spans and fields
///
/// A span is an operation if its callsite has a field for an operation, a model, a tool or tokens.
/// An operation becomes an event when it closes. `latency_ms` counts from its opening to its last exit,
/// or to a value that it gets after that. If a tool is named later, it counts from then. A span that
/// is never entered counts to its close.
///
/// | `gen_ai.operation.name` | event | `action` |
/// |---|---|---|
/// | `chat`, `text_completion`, `generate_content`, `embeddings`, any unknown one with a model | `llm.invoke`, `llm.error` | the operation |
/// | `execute_tool` | `tool.call` at its start; `tool.result`, `tool.error` | the tool |
/// | `invoke_agent`, `create_agent`, `plan`, `invoke_workflow` | `agent.invoke`, `agent.create`, `agent.plan`, `workflow.invoke` | the operation |
/// | any other | `gen_ai.` and its name | the operation |
/// | none | decided by its fields: a tool, a model, else `gen_ai.step` | the span's name |
///
/// The types for agents are not in the schema, because none of its types is for the whole run of an
/// agent.
///
/// | fields | become |
/// |---|---|
/// | `gen_ai.agent.name`, of the span or the nearest above it | `agent` |
/// | `gen_ai.usage.input_tokens`, `output_tokens`; before 1.36 `prompt_tokens`, `completion_tokens` | `tokens_input`, `tokens_output` of `llm.*`; `data.total` for agents, because their sum repeats the tokens of their calls |
/// | `gen_ai.usage.cache_read.input_tokens`, `cache_write.input_tokens` (in 1.41 `cache_creation.input_tokens`), `reasoning.output_tokens`, `audio.input_tokens`, `audio.output_tokens`, `audio.cache_read.input_tokens`, and older names | `data.usage` |
/// | `gen_ai.response.model`, else `gen_ai.request.model` | `data.model`; `data.request_model` if it differs |
/// | `gen_ai.provider.name`, else `gen_ai.system` | `data.provider` |
/// | `gen_ai.response.id`, `gen_ai.response.finish_reasons` | `data.response_id`, `finish_reasons` |
/// | `user.id`, else `enduser.id`; `tenant.id`, else `tenant`; `gen_ai.conversation.id`, else `session.id`; of the span or the nearest above it | `data.user`, `data.tenant`, `data.conversation`, also of events that are emitted inside |
/// | `gen_ai.tool.name`, `gen_ai.tool.type`, `gen_ai.tool.call.id` | `data.tool`, `tool_type`, `call_id` |
/// | `error.type`; `otel.status_description`, `error.message`, `exception.message` | `error.type`, `error.message` |
/// | content: `gen_ai.system_instructions`, `gen_ai.input.messages` or `gen_ai.prompt`, `gen_ai.output.messages` or `gen_ai.completion`, `gen_ai.tool.call.arguments`, `gen_ai.tool.call.result` | `data.system_instructions`, `prompt`, `completion`, `arguments`, `result`; only if [content is captured](crate::Builder::capture_content). If [snapshots](crate::Builder::include_snapshots) are recorded, the arguments of a failed tool are also its `error.input_snapshot` |
///
/// If a framework and its client are both instrumented, one model's span may be directly below
/// another. If both have tokens, the tokens of the outer one are put into `data.total`, too.
///
/// The last value of a field counts. An empty value counts as none. A number may have any type, also
/// text. If a text is JSON, its value is recorded. If a model's span has only input tokens or only
/// output tokens, it has no cost, unless it made embeddings. Half of the cost would look like all of
/// it.
///
/// # Failures
///
/// An operation failed if one of these is true:
///
/// - a hook of the library says so by an [`Amendment`];
/// - `otel.status_code` is `ERROR`;
/// - its span has a value for one of the fields above of an error's type or message;
/// - an event in it has an `error.type`;
/// - an event of level `ERROR` in it has such a field, or one named `error`, as
///   `#[instrument(err)]` makes them;
/// - a panic leaves its span, or closes it before an answer. The error is then of type `panic`;
/// - it has no answer, and the operation that ended last directly below it failed. Its error is then
///   that one's. So a run fails with the step that ended it.
///
/// An exception in a warning is not a failure. Neither is an `ERROR` event of a library, without
/// GenAI fields, in a span that gets its answer: what failed was tried again. If `otel.status_code` is
/// `OK`, the operation did not fail. If the `error.type` names a timeout (`timeout`,
/// `DeadlineExceeded`, `504`), the status is `timeout`.
///
/// A model's or a tool's span may have fields for its answer. If it closes without a value for any of
/// them, it failed or was cancelled, and its error is of type `no_response`. Any other span ended
/// well.
///
/// If a failed operation has no message of its own, its message names the last problem inside it:
///
/// - the text of an event of level `WARN` or `ERROR`, or of rig's "Tool call denied";
/// - the `error.message` and the status code of an HTTP client's span, as `reqwest-tracing` makes it. A
///   code from 400 is also the error's type. A later span with a better code revokes it.
///
/// Libraries may log the body of an answer, which is a content. The body that async-openai cannot
/// parse is left out, unless content is captured. If content is captured, the message of a failed tool
/// of rig is its result.
///
/// # Parents
///
/// The ids of an operation are fixed when its span is opened. Its parent is the first of these:
///
/// - a context that was entered inside the nearest operation above it;
/// - that operation, found by tracing's own parents, also through spans that are not operations and
///   spans that a filter disabled;
/// - the [current context](TraceContext::current).
///
/// `follows_from` changes nothing.
///
/// While the span of an operation is entered, its context is the current one of the thread. So events
/// emitted there are below it. Spans may be entered, left and closed in any order, on any thread, and
/// repeatedly.
///
/// Install the subscriber for the whole process. If a subscriber is scoped to some threads or
/// futures, the registry of `tracing-subscriber` never closes a span whose last child is closed
/// elsewhere.
///
/// # Events
///
/// An event with GenAI fields may occur inside an operation's span. If it names no operation, or the
/// same one, it belongs to that operation: it fills in the fields that the span lacks. So a call is
/// recorded once if its span and its `gen_ai.client.inference.operation.details` both have the
/// usage.
///
/// Any other event is recorded for itself, without latency, if it names an operation, a model or
/// tokens. An event of content alone is recorded only if content is captured. The events of the older
/// conventions (`gen_ai.user.message`, `gen_ai.choice`, …) are contents.
///
/// An event with `gen_ai.evaluation.name`, such as `gen_ai.evaluation.result`, is recorded as `eval.result` with the
/// ids of the operation around it, or else of the current context. `gen_ai.evaluation.score.value`, `score.label` and
/// `explanation` become `data.score`, `label` and `explanation`, of which the last one is a content. To judge an
/// operation of the past, use [`record_evaluation`](crate::record_evaluation).
///
/// # Filters
///
/// A filter of the whole subscriber, such as an `EnvFilter` beside this layer, also decides what this
/// layer is told. Without `RUST_LOG` an `EnvFilter` enables nothing below `ERROR`, so that no
/// operation is recorded. Attach it to the layer it is meant for:
///
/// ```
/// use llm_audit::layer::tracing::AuditLayer;
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// // In place of the level: `EnvFilter::from_default_env()`, with the feature `env-filter`.
/// let log = tracing_subscriber::fmt::layer().with_filter(LevelFilter::ERROR);
/// let subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits")).with(log);
/// # drop(subscriber);
/// ```
///
/// If no span with GenAI fields can be enabled, or the first ones are disabled, a warning on stderr
/// says so once (`AUDIT_NOTICES`).
///
/// # Limits
///
/// At most `AUDIT_MAX_EVENT_BYTES` of a span's text are held. A longer text is cut between two words.
/// If the `Debug` of a value panics, the value becomes `[UNSERIALIZABLE]`. Events that a `Debug`
/// emits are not recorded. If the logger is [not enabled](crate::Builder::enabled), no value is
/// read.
///
/// The names come from the pages on [spans], [agents] and [events] as of November 2026. The
/// conventions have been in development since version 1.41. The older names are from version 1.36 and
/// from earlier instrumentations.
///
/// [GenAI conventions]: https://github.com/open-telemetry/semantic-conventions-genai
/// [spans]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
/// [agents]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-agent-spans.md
/// [events]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-events.md
#[derive(Debug)]
pub struct AuditLayer {
    /// Distinguishes its spans from those of other layers over the same registry.
    id: u64,
    agent: String,
    outlet: Outlet,
    installed: InstalledLayer,
}

impl AuditLayer {
    /// Returns a layer that records into the recorder of the process, as [`emit`](crate::emit)
    /// does.
    ///
    /// `agent` is used if neither a span nor one above it has a `gen_ai.agent.name`.
    pub fn new(agent: impl Into<String>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: each number only has to differ from the others.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (agent, installed) = (agent.into(), InstalledLayer::default());
        Self { id, agent, outlet: Outlet::default(), installed }
    }

    /// Records into this logger instead, which also decides whether content is captured.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.outlet = Outlet(Some(logger));
        self
    }

    fn new_fields(&self) -> GenAiFields {
        let fields = self.outlet.peek_logger(|logger| {
            let (content, snapshots) = (logger.captures_content(), logger.includes_snapshots());
            let keeps = KeptContents { content, snapshots, reasons: false };
            GenAiFields::new(logger.max_event_bytes(), keeps, logger.sanitizer().clone())
        });
        fields.unwrap_or_else(|| {
            GenAiFields::new(BYTES_MAX_DEFAULT, KeptContents::default(), Sanitizer::default())
        })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for AuditLayer {
    fn on_register_dispatch(&self, _subscriber: &Dispatch) {
        self.installed.note_installed();
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // A new subscriber is asked about everything that the program ever came to. It is not the
        // current one yet. What is more verbose than `INFO` may well be disabled.
        if metadata.is_span()
            && *metadata.level() <= Level::INFO
            && has_gen_ai_fields(metadata)
            && !self.outlet.is_off()
            && get_default(|current| current.is::<Self>())
        {
            disabled_spans::note_reached();
        }
        Interest::always()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let metadata = attributes.metadata();
        let is_gen_ai = has_gen_ai_fields(metadata);
        let is_kept = is_kept_span(metadata);
        if self.outlet.is_off() || !is_kept && !is_client_span(metadata) {
            return;
        }
        if is_gen_ai {
            disabled_spans::note_enabled();
        }
        let (Some(_busy), Some(span)) = (ReentryGuard::begin(), ctx.span(id)) else { return };
        if !is_kept && self.innermost_operation(span.scope().skip(1)).is_none() {
            return;
        }
        let mut fields = self.new_fields();
        attributes.record(&mut fields);
        let context = metadata_has_field(metadata, names::is_operation_field).then(|| {
            let above = self.innermost_operation(span.scope().skip(1));
            if let Some((span, _)) = &above {
                self.record_tool_call(span);
            }
            let above = above.map(|(_, context)| context);
            let above = self.parent_context(above, attributes.is_contextual());
            let context = above.map_or_else(TraceContext::new_root, |above| above.new_span());
            self.with_identity(context, &fields, || span.scope().skip(1))
        });
        let open =
            OpenSpan::new(context, fields, metadata_has_field(metadata, names::is_answer_field));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<OpenSpans>() {
            Some(held) => held.0.push((self.id, open)),
            None => extensions.insert(OpenSpans(vec![(self.id, open)])),
        }
        drop(extensions);
        self.record_tool_call(&span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if self.with_open_span(&span, |_| ()).is_none() {
            return;
        }
        let Some(_busy) = ReentryGuard::begin() else { return };
        // The values are read before the span is locked, because reading runs the caller's code.
        let mut fields = self.new_fields();
        values.record(&mut fields);
        self.with_open_span(&span, |open| open.merge(fields));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let is_error = *metadata.level() == Level::ERROR
            && metadata_has_field(metadata, names::is_error_field);
        let is_gen_ai = has_gen_ai_fields(metadata) || metadata.name().starts_with("gen_ai.");
        let is_problem = *metadata.level() <= Level::WARN
            || metadata_has_field(metadata, |name| name == names::REASON);
        if !is_problem && !is_gen_ai || self.outlet.is_off() {
            return;
        }
        if is_gen_ai {
            disabled_spans::note_enabled();
        }
        let Some(_busy) = ReentryGuard::begin() else { return };
        let scope = ctx.event_scope(event).into_iter().flatten();
        let operation = self.innermost_operation(scope);
        if operation.is_none() && !is_gen_ai {
            return;
        }
        let mut fields = self.new_fields().for_event(metadata.name()).with_reasons();
        event.record(&mut fields);
        if names::is_evaluation(metadata) {
            let judged = operation.map(|(_, context)| context);
            return self.record_event(event, &fields, judged, &ctx);
        }
        if let Some((span, _)) = &operation
            && is_problem
            && let problem @ Some(_) = FailureReason::of_log(&fields)
        {
            self.with_open_span(span, |open| open.note_problem(problem));
        }
        if !is_error && !is_gen_ai {
            return;
        }
        fields.forget_reasons();
        if !is_error {
            fields.forget_error();
        }
        fields.is_error_logged = !is_gen_ai;
        if let Some((span, _)) = &operation {
            self.record_tool_call(span);
            let fill = |open: &mut OpenSpan| {
                open.owns_event(&fields).then(|| open.fields.fill_from_event(fields.clone()))
            };
            let filled = self.with_open_span(span, fill);
            if filled.flatten().is_some() {
                return;
            }
        }
        if kind_of_fields(&fields).is_some() || fields.has_content() {
            let above = operation.map(|(_, context)| context);
            self.record_event(event, &fields, above, &ctx);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.outlet.is_off() {
            return;
        }
        let Some(span) = ctx.span(id) else { return };
        if let Some(context) = self.context_of_span(&span) {
            entered::enter_tracing_span(self.id, id, span.name(), &context);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if let Some(amendment) = entered::exit_tracing_span(self.id, id)
            && let Some(span) = ctx.span(id)
        {
            self.with_open_span(&span, |open| {
                open.left = Some(Instant::now());
                open.amendment.merge(amendment);
                open.has_panicked |= std::thread::panicking();
            });
            self.record_tool_call(&span);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        self.record_tool_call(&span);
        let Some(mut open) = self.with_open_span(&span, OpenSpan::take_values) else { return };
        // One that has its answer may be dropped by a panic that came later.
        open.has_panicked |= std::thread::panicking() && !open.fields.is_answered;
        // If the guard of an entered span was leaked, the span is left now.
        while let Some(amendment) = entered::exit_tracing_span(self.id, &id) {
            open.amendment.merge(amendment);
        }
        if open.tool_never_began(span.metadata()) {
            return;
        }
        let repeats_tokens = open.is_model() && open.fields.usage().is_some();
        let failure = self.record_operation(&open, &span, |operation| operation.record_end());
        let Some((above, _)) = self.innermost_operation(span.scope().skip(1)) else { return };
        self.with_open_span(&above, |above| {
            above.repeats_tokens |= repeats_tokens && above.is_model();
            match failure {
                Some(failure) => above.note_child_end(failure),
                None if is_client_span(span.metadata()) => {
                    above.note_problem(FailureReason::of_client_span(&open.fields));
                }
                None => {}
            }
        });
    }
}
