//! The open spans that a layer holds.

use std::time::{Duration, Instant, SystemTime};

use tracing_core::Metadata;

use super::amendment::Amendment;
use super::fields::{GenAiFields, KeptContents};
use super::kind::{OperationKind, kind_of_fields};
use super::names::{self, metadata_has_field};
use super::reason::FailureReason;
use crate::context::TraceContext;
use crate::sanitize::Sanitizer;

/// The open span of each layer over one registry, in the extensions of the registry's span.
pub(super) struct OpenSpans(pub(super) Vec<(u64, OpenSpan)>);

/// A span that is open, with the values of its fields so far.
#[derive(Clone)]
pub(super) struct OpenSpan {
    /// `None` if the span is not an operation; it may still name the agent of those below it.
    pub(super) context: Option<TraceContext>,
    pub(super) fields: GenAiFields,
    pub(super) began: Instant,
    pub(super) began_at: SystemTime,
    /// When it was left last, or got a value after that. Others may hold it open for longer.
    pub(super) left: Option<Instant>,
    /// It has fields that only an answer fills in.
    pub(super) expects_answer: bool,
    /// Its `tool.call` is recorded.
    pub(super) is_call_recorded: bool,
    /// That `tool.call` contains the arguments.
    pub(super) has_call_arguments: bool,
    /// The event of a model's call directly below it already has the tokens.
    pub(super) repeats_tokens: bool,
    /// It was left by a panic.
    pub(super) has_panicked: bool,
    /// The last problem inside it.
    pub(super) reason: Option<FailureReason>,
    /// That problem is the failure of the operation that ended last directly below it.
    pub(super) has_failed_child: bool,
    pub(super) amendment: Amendment,
}

impl OpenSpan {
    pub(super) fn new(
        context: Option<TraceContext>,
        fields: GenAiFields,
        expects_answer: bool,
    ) -> Self {
        Self {
            context,
            fields,
            began: Instant::now(),
            began_at: SystemTime::now(),
            left: None,
            expects_answer,
            is_call_recorded: false,
            has_call_arguments: false,
            repeats_tokens: false,
            has_panicked: false,
            reason: None,
            has_failed_child: false,
            amendment: Amendment::default(),
        }
    }

    /// Notes how the operation directly below it ended that ended last.
    pub(super) fn note_child_end(&mut self, failure: Option<FailureReason>) {
        self.has_failed_child = failure.is_some();
        self.reason = failure;
    }

    /// Notes a problem, or that the next try succeeded. The failure of an operation says more.
    pub(super) fn note_problem(&mut self, problem: Option<FailureReason>) {
        if !self.has_failed_child {
            self.reason = problem;
        }
    }

    /// Takes the values out, without a copy of their text.
    pub(super) fn take_values(&mut self) -> Self {
        let nothing = GenAiFields::new(0, KeptContents::default(), Sanitizer::default());
        let fields = std::mem::replace(&mut self.fields, nothing);
        Self { fields, ..self.clone() }
    }

    pub(super) fn is_model(&self) -> bool {
        kind_of_fields(&self.fields) == Some(OperationKind::Model)
    }

    pub(super) fn is_named_tool(&self) -> bool {
        self.fields.text(names::TOOL).is_some()
            && kind_of_fields(&self.fields) == Some(OperationKind::Tool)
    }

    /// Returns how long it took, up to its last exit. If it was never entered, it is up to now.
    pub(super) fn latency(&self) -> Duration {
        self.left.unwrap_or_else(Instant::now).saturating_duration_since(self.began)
    }

    pub(super) fn merge(&mut self, newer: GenAiFields) {
        if self.left.is_some() {
            self.left = Some(Instant::now());
        }
        let was_named = self.is_named_tool();
        self.fields.merge(newer);
        // rig opens the spans of a batch of tools before it runs the first one. It names a span
        // when that tool's turn comes.
        if !was_named && self.is_named_tool() {
            (self.began, self.began_at) = (Instant::now(), SystemTime::now());
        }
    }

    /// Reports whether an event belongs to the span's own operation.
    ///
    /// It does if it names no operation, or the same one.
    pub(super) fn owns_event(&self, event: &GenAiFields) -> bool {
        let (own, kind) = (kind_of_fields(&self.fields), kind_of_fields(event));
        let name = |fields: &GenAiFields| fields.text(names::OPERATION).map(str::to_owned);
        let is_same = match (name(&self.fields), name(event)) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        kind.is_none() || own.is_none() || own == kind && is_same
    }

    /// Reports whether a tool never ran: its span has a field for the name, which got no value.
    ///
    /// rig leaves such spans if a tool's turn never comes.
    pub(super) fn tool_never_began(&self, metadata: &Metadata<'_>) -> bool {
        kind_of_fields(&self.fields) == Some(OperationKind::Tool)
            && !self.is_named_tool()
            && metadata_has_field(metadata, |name| names::TOOL.contains(&name))
            && !self.fields.has_error()
    }
}
