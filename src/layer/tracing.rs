//! A `tracing` layer: spans and events with OpenTelemetry's GenAI fields become audit events.

mod entered;
mod fields;
mod step;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::context::TraceContext;
use crate::recorder::{AuditLogger, Outlet};
use crate::sanitize::Sanitizer;
use entered::Busy;
use fields::{Fields, Keeps};
use step::{Kind, Step};

/// Text held of one span where no logger says how large an event may be, in bytes.
const BYTES_MAX_DEFAULT: usize = 256 << 10;

/// Turns spans and events with the fields of OpenTelemetry's [GenAI conventions] into audit events:
/// a program whose libraries are instrumented needs no other line.
///
/// # Examples
///
/// ```
/// use llm_audit::layer::tracing::AuditLayer;
/// use tracing_subscriber::prelude::*;
///
/// # let seen = llm_audit::testing::capture();
/// // In `main`, behind `llm_audit::init()`, with `init()` in place of `set_default()`.
/// let _subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits")).set_default();
///
/// // What an instrumented library does.
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
/// # What becomes what
///
/// A span whose callsite has a field for an operation, a model, a tool or tokens is an operation, and
/// an event when it closes. `latency_ms` runs from its opening; for a tool that is named later, from
/// then.
///
/// | `gen_ai.operation.name` | event | `action` |
/// |---|---|---|
/// | `chat`, `text_completion`, `generate_content`, `embeddings`, any unknown one with a model | `llm.invoke`, `llm.error` | the operation |
/// | `execute_tool` | `tool.call` at its start; `tool.result`, `tool.error` | the tool |
/// | `invoke_agent`, `create_agent`, `plan`, `invoke_workflow` | `agent.invoke`, `agent.create`, `agent.plan`, `workflow.invoke` | the operation |
/// | any other | `gen_ai.` and its name | the operation |
/// | none | by what it has: a tool, a model, else `gen_ai.step` | the span's name |
///
/// The types of agents are not among the schema's: none of those says that an agent ran as a whole.
///
/// | fields | become |
/// |---|---|
/// | `gen_ai.agent.name`, of the span or the nearest above it | `agent` |
/// | `gen_ai.usage.input_tokens`, `output_tokens`; older `prompt_tokens`, `completion_tokens` | `tokens_input`, `tokens_output` of `llm.*`; for agents, whose sum repeats that of their calls, `data.total` |
/// | `gen_ai.usage.cache_read.input_tokens`, `cache_creation.input_tokens`, `reasoning.output_tokens`, `audio.input_tokens`, `audio.output_tokens`, and older names | `data.usage` |
/// | `gen_ai.response.model`, else `gen_ai.request.model` | `data.model`; `data.request_model` where it is another |
/// | `gen_ai.provider.name`, else `gen_ai.system` | `data.provider` |
/// | `gen_ai.response.id`, `gen_ai.response.finish_reasons`, `gen_ai.conversation.id` | `data.response_id`, `finish_reasons`, `conversation` |
/// | `gen_ai.tool.name`, `gen_ai.tool.type`, `gen_ai.tool.call.id` | `data.tool`, `tool_type`, `call_id` |
/// | `error.type`; `otel.status_description`, `error.message`, `exception.message` | `error.type`, `error.message` |
/// | content: `gen_ai.system_instructions`, `gen_ai.input.messages` or `gen_ai.prompt`, `gen_ai.output.messages` or `gen_ai.completion`, `gen_ai.tool.call.arguments`, `gen_ai.tool.call.result` | `data.system_instructions`, `prompt`, `completion`, `arguments`, `result`; only where [content is captured](crate::Builder::capture_content); the arguments of a tool that failed also as `error.input_snapshot`, where [snapshots](crate::Builder::include_snapshots) are recorded |
///
/// Where one model's span lies right below another and both have tokens, as where a framework and its
/// client are both instrumented, the outer one's are put into `data.total` too.
///
/// The last value of a field counts; an empty one counts as none. Numbers may come as any type, as
/// text too. A text that spells JSON is recorded as the value it spells. A model's span with tokens of
/// the input alone has no cost, unless it made embeddings: half of it would pass for all.
///
/// # Failures
///
/// An operation failed where `otel.status_code` is `ERROR`, where its span has a value for one of the
/// fields of an error's type or message above, where an event in it has an `error.type`, or where one
/// of level `ERROR` has such a field or one named `error`, as `#[instrument(err)]` makes them; what
/// a warning says of an exception is no failure. `otel.status_code` of `OK` overrules all. An `error.type` that speaks of time (`timeout`,
/// `DeadlineExceeded`, `504`) makes the status `timeout`. A model's or a tool's span that has fields
/// for its answer, and was closed with none of them given, failed too, or was cancelled: its error
/// is of type `no_response`. Any other span that says nothing ended well.
///
/// # Parents
///
/// The ids of an operation are fixed when its span is opened. It lies below the nearest operation
/// above it, by tracing's own parents, through spans that are none and through spans that a filter
/// disabled; where there is none, below the [current context](TraceContext::current); and below a
/// context that was entered inside that operation, if there is one. `follows_from` changes nothing.
///
/// While a span of an operation is entered, its context is the current one of the thread, so that
/// what is emitted there lies below it. Spans may be entered, left and closed in any order, on any
/// thread, again and again.
///
/// Make the subscriber that of the process. Under one that is scoped to some threads or futures, the
/// registry of `tracing-subscriber` never closes a span whose last child is closed elsewhere.
///
/// # Events
///
/// An event with GenAI fields inside an operation's span tells of that operation where it names no
/// operation or the same one: what the span lacks is filled in, and there is one event. So a call
/// whose span and whose `gen_ai.client.inference.operation.details` both have the usage is recorded
/// once. Any other event that names an operation, a model or tokens is recorded for itself,
/// without latency; one of content alone only where content is captured. The events of the older
/// conventions (`gen_ai.user.message`, `gen_ai.choice`, …) are contents.
///
/// # Limits
///
/// Of one span's text at most `AUDIT_MAX_EVENT_BYTES` are held; of what is longer, the beginning, cut
/// between two words. A `Debug` of a value that panics becomes `[UNSERIALIZABLE]`; what it logs while
/// it is looked at is not recorded. Where the logger is [not enabled](crate::Builder::enabled), no
/// value is looked at.
///
/// From the pages on [spans], [agents] and [events] as they were in November 2026, in development
/// since version 1.41; older names are those of version 1.36 and of instrumentations before it.
///
/// [GenAI conventions]: https://github.com/open-telemetry/semantic-conventions-genai
/// [spans]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
/// [agents]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-agent-spans.md
/// [events]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-events.md
#[derive(Debug)]
pub struct AuditLayer {
    /// Tells its spans from those of other layers over the same registry.
    id: u64,
    agent: String,
    outlet: Outlet,
}

impl AuditLayer {
    /// Records into the recorder of the process, wherever [`emit`](crate::emit) goes. `agent` is
    /// who acts where neither a span nor one above it has a `gen_ai.agent.name`.
    pub fn new(agent: impl Into<String>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: it only has to be another number each time.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, agent: agent.into(), outlet: Outlet::default() }
    }

    /// Records into this logger instead, and asks it whether content is captured.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.outlet = Outlet(Some(logger));
        self
    }

    fn fields(&self) -> Fields {
        let fields = self.outlet.peek(|logger| {
            let (content, snapshots) = (logger.captures_content(), logger.includes_snapshots());
            let keeps = Keeps { content, snapshots };
            Fields::new(logger.max_event_bytes(), keeps, logger.sanitizer().clone())
        });
        fields.unwrap_or_else(|| {
            Fields::new(BYTES_MAX_DEFAULT, Keeps::default(), Sanitizer::default())
        })
    }

    /// Looks at what this layer holds of a span.
    fn look<'a, S: LookupSpan<'a> + 'a, R>(
        &self,
        span: &SpanRef<'a, S>,
        look: impl FnOnce(&mut Open) -> R,
    ) -> Option<R> {
        if !is_gen_ai(span.metadata()) {
            return None;
        }
        let mut extensions = span.extensions_mut();
        let held = extensions.get_mut::<Held>()?;
        held.0.iter_mut().find(|(layer, _)| *layer == self.id).map(|(_, open)| look(open))
    }

    fn context_of<'a, S: LookupSpan<'a> + 'a>(
        &self,
        span: &SpanRef<'a, S>,
    ) -> Option<TraceContext> {
        self.look(span, |open| open.context.clone()).flatten()
    }

    /// The innermost operation of these spans.
    fn operation<'a, S: LookupSpan<'a> + 'a>(
        &self,
        mut spans: impl Iterator<Item = SpanRef<'a, S>>,
    ) -> Option<(SpanRef<'a, S>, TraceContext)> {
        spans.find_map(|span| self.context_of(&span).map(|context| (span, context)))
    }

    /// The first of these spans that has one of the fields, and what it says.
    fn said<'a, S: LookupSpan<'a> + 'a>(
        &self,
        spans: impl Iterator<Item = SpanRef<'a, S>>,
        names: &[&str],
    ) -> Option<String> {
        let said = |open: &mut Open| open.fields.text(names).map(str::to_owned);
        spans.filter_map(|span| self.look(&span, said).flatten()).next()
    }

    /// The context a new operation lies in: the operation above it, a scope entered inside that, or
    /// what is current on the thread.
    fn context_above(
        &self,
        operation: Option<TraceContext>,
        is_contextual: bool,
    ) -> Option<TraceContext> {
        let Some(operation) = operation else { return TraceContext::current() };
        let scope = is_contextual.then(|| entered::scope_inside(&operation)).flatten();
        Some(scope.unwrap_or(operation))
    }

    /// Records that a tool begins, once its name is known.
    fn tell_call<'a, S: LookupSpan<'a> + 'a>(&self, span: &SpanRef<'a, S>) {
        let due = self.look(span, |open| {
            let is_due = !open.is_told && open.is_named_tool();
            open.is_told |= is_due;
            open.arguments_told |= is_due && open.fields.text(fields::ARGUMENTS).is_some();
            is_due.then(|| open.clone())
        });
        if let Some(open) = due.flatten() {
            self.record(&open, span, |step| step.call(open.began_at));
        }
    }

    fn record<'a, S: LookupSpan<'a> + 'a>(
        &self,
        open: &Open,
        span: &SpanRef<'a, S>,
        record: impl FnOnce(&Step<'_>),
    ) {
        let Some(context) = &open.context else { return };
        let said = |names: &[&str]| {
            let own = open.fields.text(names).map(str::to_owned);
            own.or_else(|| self.said(span.scope().skip(1), names))
        };
        let (agent, conversation) = (said(fields::AGENT), said(fields::CONVERSATION));
        record(&Step {
            outlet: &self.outlet,
            fields: &open.fields,
            context,
            agent: agent.as_deref().unwrap_or(&self.agent),
            conversation: conversation.as_deref(),
            name: span.name(),
            latency: Some(open.began.elapsed()),
            lacks_answer: open.expects_answer && !open.fields.is_answered,
            arguments_told: open.arguments_told,
            repeats: open.repeats,
        });
    }

    /// An event that belongs to no span's operation is one of its own.
    fn record_event<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        fields: &Fields,
        above: Option<TraceContext>,
        ctx: &Context<'_, S>,
    ) {
        let above = self.context_above(above, event.is_contextual());
        let context = above.map_or_else(TraceContext::new_trace, |above| above.new_span());
        let said = |names: &[&str]| {
            let own = fields.text(names).map(str::to_owned);
            own.or_else(|| self.said(ctx.event_scope(event).into_iter().flatten(), names))
        };
        let (agent, conversation) = (said(fields::AGENT), said(fields::CONVERSATION));
        let step = Step {
            outlet: &self.outlet,
            fields,
            context: &context,
            agent: agent.as_deref().unwrap_or(&self.agent),
            conversation: conversation.as_deref(),
            name: event.metadata().name(),
            latency: None,
            lacks_answer: false,
            arguments_told: false,
            repeats: false,
        };
        step.end();
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for AuditLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let metadata = attributes.metadata();
        if self.outlet.is_off() || !is_gen_ai(metadata) {
            return;
        }
        let (Some(_busy), Some(span)) = (Busy::begin(), ctx.span(id)) else { return };
        let mut fields = self.fields();
        attributes.record(&mut fields);
        let context = has_field(metadata, fields::is_operation).then(|| {
            let above = self.operation(span.scope().skip(1));
            if let Some((span, _)) = &above {
                self.tell_call(span);
            }
            let above = above.map(|(_, context)| context);
            let above = self.context_above(above, attributes.is_contextual());
            above.map_or_else(TraceContext::new_trace, |above| above.new_span())
        });
        let open = Open::new(context, fields, has_field(metadata, fields::is_answer));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Held>() {
            Some(held) => held.0.push((self.id, open)),
            None => extensions.insert(Held(vec![(self.id, open)])),
        }
        drop(extensions);
        self.tell_call(&span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if self.look(&span, |_| ()).is_none() {
            return;
        }
        let Some(_busy) = Busy::begin() else { return };
        // Read before the span is locked: reading runs the caller's code.
        let mut fields = self.fields();
        values.record(&mut fields);
        self.look(&span, |open| open.merge(fields));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let is_error = *metadata.level() == Level::ERROR && has_field(metadata, fields::is_error);
        let is_gen_ai = is_gen_ai(metadata) || metadata.name().starts_with("gen_ai.");
        if !is_error && !is_gen_ai || self.outlet.is_off() {
            return;
        }
        let Some(_busy) = Busy::begin() else { return };
        let scope = ctx.event_scope(event).into_iter().flatten();
        let operation = self.operation(scope);
        if operation.is_none() && !is_gen_ai {
            return;
        }
        let mut fields = self.fields().of_event(metadata.name());
        event.record(&mut fields);
        if !is_error {
            fields.forget_error();
        }
        if let Some((span, _)) = &operation {
            self.tell_call(span);
            let fill =
                |open: &mut Open| open.takes(&fields).then(|| open.fields.fill(fields.clone()));
            let filled = self.look(span, fill);
            if filled.flatten().is_some() {
                return;
            }
        }
        if Kind::of(&fields).is_some() || fields.has_content() {
            let above = operation.map(|(_, context)| context);
            self.record_event(event, &fields, above, &ctx);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.outlet.is_off() {
            return;
        }
        if let Some(context) = ctx.span(id).and_then(|span| self.context_of(&span)) {
            entered::enter(self.id, id, &context);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if entered::exit(self.id, id)
            && let Some(span) = ctx.span(id)
        {
            self.tell_call(&span);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        self.tell_call(&span);
        let Some(open) = self.look(&span, Open::take) else { return };
        // An `Entered` that was leaked is left at last.
        while entered::exit(self.id, &id) {}
        if open.never_began(span.metadata()) {
            return;
        }
        if open.is_model() && open.fields.usage().is_some() {
            let above = self.operation(span.scope().skip(1));
            above.and_then(|(span, _)| self.look(&span, |open| open.repeats |= open.is_model()));
        }
        self.record(&open, &span, |step| step.end());
    }
}

/// What the layers over one registry hold of a span, by layer.
struct Held(Vec<(u64, Open)>);

/// An open span.
#[derive(Clone)]
struct Open {
    /// `None`: it is no operation, but says whose those below it are.
    context: Option<TraceContext>,
    fields: Fields,
    began: Instant,
    began_at: SystemTime,
    /// It has fields for what only an answer gives.
    expects_answer: bool,
    /// Its `tool.call` is recorded,
    is_told: bool,
    /// with the arguments.
    arguments_told: bool,
    /// A model's call right below it has told of the tokens.
    repeats: bool,
}

impl Open {
    fn new(context: Option<TraceContext>, fields: Fields, expects_answer: bool) -> Self {
        Self {
            context,
            fields,
            began: Instant::now(),
            began_at: SystemTime::now(),
            expects_answer,
            is_told: false,
            arguments_told: false,
            repeats: false,
        }
    }

    /// What is known of it, without a copy of its text.
    fn take(&mut self) -> Self {
        let nothing = Fields::new(0, Keeps::default(), Sanitizer::default());
        let fields = std::mem::replace(&mut self.fields, nothing);
        Self { fields, ..self.clone() }
    }

    fn is_model(&self) -> bool {
        Kind::of(&self.fields) == Some(Kind::Model)
    }

    fn is_named_tool(&self) -> bool {
        self.fields.text(fields::TOOL).is_some() && Kind::of(&self.fields) == Some(Kind::Tool)
    }

    fn merge(&mut self, newer: Fields) {
        let was_named = self.is_named_tool();
        self.fields.merge(newer);
        // rig opens the spans of a batch of tools before it runs the first, and gives each its name
        // when its turn comes.
        if !was_named && self.is_named_tool() {
            (self.began, self.began_at) = (Instant::now(), SystemTime::now());
        }
    }

    /// Whether an event tells of the span's own operation: it names none, or the same.
    fn takes(&self, event: &Fields) -> bool {
        let (own, kind) = (Kind::of(&self.fields), Kind::of(event));
        let name = |fields: &Fields| fields.text(fields::OPERATION).map(str::to_owned);
        let is_same = match (name(&self.fields), name(event)) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        kind.is_none() || own.is_none() || own == kind && is_same
    }

    /// A tool's span that has a field for the name and never got one: rig leaves those so whose
    /// turn never came.
    fn never_began(&self, metadata: &Metadata<'_>) -> bool {
        Kind::of(&self.fields) == Some(Kind::Tool)
            && !self.is_named_tool()
            && has_field(metadata, |name| fields::TOOL.contains(&name))
            && !self.fields.has_error()
    }
}

fn has_field(metadata: &Metadata<'_>, is_meant: impl Fn(&str) -> bool) -> bool {
    metadata.fields().iter().any(|field| is_meant(field.name()))
}

fn is_gen_ai(metadata: &Metadata<'_>) -> bool {
    has_field(metadata, |name| name.starts_with("gen_ai."))
}
