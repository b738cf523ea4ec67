//! A hook for [rig](https://docs.rs/rig)'s agents that records what they do as audit events.
//!
//! ```
//! use llm_audit_rig::AuditHook;
//! use rig_agent::AgentBuilder;
//! # use rig_agent::core::{DynModel, operation::Completion};
//!
//! # fn build(model: DynModel<Completion>) {
//! let agent = AgentBuilder::new(model).add_hook(AuditHook::new("benefits")).build();
//! # }
//! ```
//!
//! # Events
//!
//! | rig | event |
//! |---|---|
//! | a run | `agent.invoke`, with the sum of its tokens in `data.total` |
//! | another model than the agent's default is selected | `agent.route` |
//! | a model call | `llm.invoke` with model, provider, tokens, cost, and for streams the time to first token; `llm.error` |
//! | a tool call | `tool.call`, then `tool.result` or `tool.error` |
//! | an invalid tool call: unknown, not allowed, or with malformed arguments | `tool.error` |
//!
//! A run is below the [current context](llm_audit::TraceContext::current), its calls are below the run. If a run
//! or its stream is dropped before its end, the run and its open calls are errors of type `cancelled`.
//!
//! The hook observes only: it never changes, stops or retries anything.
//!
//! # With the `tracing` layer
//!
//! The hook may be used beside [`AuditLayer`](llm_audit::layer::tracing::AuditLayer). If the layer records one
//! of rig's spans, the hook does not record that operation. It gives the layer what the span lacks: why
//! the operation failed, and the time to first token. So nothing is recorded twice, whichever spans a filter
//! lets through.
//!
//! A hook cannot make its span the current context of a tool. So what a tool itself emits is below
//! its call only if the layer is installed.
//!
//! # Failures
//!
//! The type of a provider's error is the `code`, `status` or `type` in its answer, or else the HTTP status. The
//! type is `truncated` if a stream ended before the provider ended it, and `http` if its connection broke. A run may
//! also fail with `cancelled`, `max_turns` or `invalid_tool_call`. Errors of tools have rig's types.
//!
//! rig 0.44 tells hooks only the text of a run's error, so the type is read from that text.
//!
//! # Versions
//!
//! rig 0.44, 0.45 and 0.46. rig 0.44 needs Rust 1.95, the later ones need 1.97.1. In a package of edition 2024 Cargo
//! takes the newest one that the compiler can build. If a program uses an older one, `cargo update rig-agent@VERSION --precise VERSION`
//! makes this package use the same.

mod events;
mod failure;
mod hook;
mod run;

pub use hook::AuditHook;
