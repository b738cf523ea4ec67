//! The hook, called by rig.

use std::sync::{Arc, Mutex, PoisonError};

use llm_audit::AuditLogger;
use rig_agent::agent::{
    AgentHook, CompletionCallAction, CompletionCallEvent, DispatchAction, DispatchEvent,
    HookContext, InvalidToolCallAction, InvalidToolCallContext, InvalidToolCallReason,
    ModelSelection, ModelSelectionAction, ObservationAction, OutcomeAction, OutcomeEvent,
    ReasoningDelta, RunSettled, RunStart, RunStartAction, SettledOutcome, TextDelta, ToolCallDelta,
};
use serde::Serialize;
use serde_json::Value;

use crate::events::{Answer, ModelName, Recorder};
use crate::failure::Failure;
use crate::run::{Run, ToolEnd, parse_or_text};

/// Records the runs of an agent; see the [crate's page](crate).
///
/// A run with several of these hooks is recorded by the first one.
#[derive(Clone, Debug)]
pub struct AuditHook {
    recorder: Arc<Recorder>,
    model: ModelName,
}

/// The run in rig's scratchpad, which rig drops with the run.
#[derive(Clone)]
struct RunSlot(Arc<Mutex<Run>>);

impl AuditHook {
    /// Returns a hook that records into the recorder of the process, as [`llm_audit::emit`] does.
    ///
    /// `agent` names the agent in the events that the hook records.
    pub fn new(agent: impl Into<String>) -> Self {
        let recorder = Arc::new(Recorder { agent: agent.into(), logger: None });
        Self { recorder, model: ModelName::default() }
    }

    /// Records into this logger instead, which also decides whether content is captured.
    ///
    /// What the `tracing` layer records goes to the layer's logger.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        let agent = self.recorder.agent.clone();
        self.recorder = Arc::new(Recorder { agent, logger: Some(logger) });
        self
    }

    /// Names the agent's model and its provider, for calls that fail before the provider names them.
    ///
    /// rig tells hooks the model only with an answer.
    pub fn model(mut self, provider: impl Into<String>, model: impl Into<String>) -> Self {
        self.model = ModelName { provider: provider.into(), model: model.into() };
        self
    }

    /// Calls `use_run` with the run, which begins with its first event. If another hook records it, nothing
    /// happens.
    fn with_run(&self, ctx: &HookContext, use_run: impl FnOnce(&mut Run)) {
        let slot = ctx.scratchpad().get::<RunSlot>().unwrap_or_else(|| {
            let mut run = Run::begin(&self.recorder, ctx.is_streaming());
            run.model = self.model.clone();
            let slot = RunSlot(Arc::new(Mutex::new(run)));
            ctx.scratchpad().insert(slot.clone());
            slot
        });
        let mut run = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&run.recorder, &self.recorder) {
            use_run(&mut run);
        }
    }

    fn note_chunk(&self, ctx: &HookContext) -> ObservationAction {
        self.with_run(ctx, Run::note_chunk);
        ObservationAction::continue_run()
    }
}

impl AgentHook for AuditHook {
    async fn on_run_start(&self, ctx: &HookContext, event: RunStart<'_>) -> RunStartAction {
        self.with_run(ctx, |run| run.set_prompt(|| json(event.prompt)));
        RunStartAction::continue_run()
    }

    /// A resumed run begins here.
    async fn on_completion_call(
        &self,
        ctx: &HookContext,
        _: CompletionCallEvent<'_>,
    ) -> CompletionCallAction {
        self.with_run(ctx, |_| ());
        CompletionCallAction::continue_run()
    }

    fn on_model_select(
        &self,
        ctx: &HookContext,
        event: ModelSelection<'_>,
    ) -> ModelSelectionAction {
        if event.selected_model != event.default_model {
            self.with_run(ctx, |run| run.select_model(event.selected_model.as_str()));
        }
        ModelSelectionAction::continue_run()
    }

    async fn on_dispatch(&self, ctx: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        self.with_run(ctx, |run| {
            if let Some(request) = event.completion_request() {
                run.send_call(|| json(&request.chat_history));
            } else if let (Some(tool), Some(arguments)) = (event.tool_name(), event.tool_args()) {
                let call_id = event.call_id.map(ToString::to_string);
                run.begin_tool(event.id.as_u64(), tool, call_id, arguments);
            }
        });
        DispatchAction::proceed()
    }

    async fn on_text_delta(&self, ctx: &HookContext, _: TextDelta<'_>) -> ObservationAction {
        self.note_chunk(ctx)
    }

    async fn on_reasoning_delta(
        &self,
        ctx: &HookContext,
        _: ReasoningDelta<'_>,
    ) -> ObservationAction {
        self.note_chunk(ctx)
    }

    async fn on_tool_call_delta(
        &self,
        ctx: &HookContext,
        _: ToolCallDelta<'_>,
    ) -> ObservationAction {
        self.note_chunk(ctx)
    }

    async fn on_outcome(&self, ctx: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        self.with_run(ctx, |run| match (event.tool_name(), event.completion(), event.outcome) {
            (Some(tool), ..) => {
                let id = event.id.as_u64();
                // Another hook denied the call before this one saw it.
                if !run.has_begun_tool(id) {
                    let call_id = event.call_id.map(ToString::to_string);
                    run.begin_tool(id, tool, call_id, event.tool_args().unwrap_or_default());
                }
                run.end_tool(id, tool_end(&event));
            }
            (None, Some(response), _) => {
                run.model = ModelName {
                    provider: response.provider().to_owned(),
                    model: response.origin.model.clone(),
                };
                run.end_call(Ok(Answer {
                    model: response.model().map(str::to_owned),
                    usage: json(&response.usage),
                    completion: run.recorder.content(|| json(&response.choice)),
                }));
            }
            // Since rig 0.45.
            (None, None, Err(report)) => run.end_call(Err(Failure::of_text(&report.message))),
            (None, None, Ok(_)) => {}
        });
        OutcomeAction::proceed()
    }

    async fn on_invalid_tool_call(
        &self,
        ctx: &HookContext,
        event: &InvalidToolCallContext,
    ) -> Option<InvalidToolCallAction> {
        let call_id = event.tool_call_id.as_ref().map(ToString::to_string);
        self.with_run(ctx, |run| {
            let (arguments, failure) = (event.args.as_deref(), invalid_call(event));
            run.refuse_tool(&event.tool_name, call_id.as_deref(), arguments, &failure);
        });
        None
    }

    async fn on_run_settled(&self, ctx: &HookContext, event: RunSettled<'_>) {
        self.with_run(ctx, |run| match event.outcome {
            SettledOutcome::Response(response) => {
                let usages: Vec<_> =
                    response.completion_calls.iter().map(|call| json(&call.usage)).collect();
                run.end_well(&usages, &json(&response.usage), response.output());
            }
            SettledOutcome::Error(text) => run.fail(&Failure::of_text(text)),
        });
    }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn tool_end(event: &OutcomeEvent<'_>) -> ToolEnd {
    let Some(result) = event.tool_result() else {
        let report = event.outcome.as_ref().err();
        let failure = report.map(|report| Failure::new(report.kind.code(), &report.message));
        return ToolEnd { failure, outcome: None, result: Value::Null };
    };
    let failed = result
        .error()
        .map(|error| Failure::new(error.code().unwrap_or(error.kind().as_str()), error.message()));
    let refused = || result.refusal().map(|error| Failure::new("denied", error.message()));
    ToolEnd {
        failure: failed.or_else(refused),
        outcome: Some(result.status_name()).filter(|_| !result.is_success()),
        result: parse_or_text(&result.output().render()),
    }
}

fn invalid_call(event: &InvalidToolCallContext) -> Failure {
    let tool = &event.tool_name;
    match &event.reason {
        InvalidToolCallReason::UnknownTool => {
            Failure::new("unknown_tool", format!("the model called `{tool}`, which is not a tool"))
        }
        InvalidToolCallReason::DisallowedByToolChoice => {
            let message =
                format!("the model called `{tool}`, which the tool choice does not allow");
            Failure::new("disallowed_tool", message)
        }
        InvalidToolCallReason::MalformedArguments { error } => {
            let message = format!("the arguments for `{tool}` are not a JSON object: {error}");
            Failure::new("malformed_arguments", message)
        }
        other => {
            Failure::new("invalid_tool_call", format!("the call of `{tool}` is invalid: {other:?}"))
        }
    }
}
