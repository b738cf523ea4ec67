//! The roots for replays: the agent, and a function around it that limits its time.

use std::fmt;
use std::time::Duration;

use llm_audit::audit_span;
use llm_audit::layer::tracing::AuditLayer;
use llm_audit::replay::{RootInput, StepKind};
use rig::prelude::PromptError;
use tracing_subscriber::prelude::*;

use crate::replayable_agent;

/// A question that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The agent failed.
    Agent(Box<PromptError>),
    /// It took too long.
    TimedOut,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the agent took too long"),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the agent, whose provider is at `url`.
///
/// # Errors
///
/// The agent fails, or takes too long.
#[audit_span(agent = "benefits", action = "ask", capture_args, skip(url))]
pub async fn ask(url: &str, question: &str) -> Result<String, AskError> {
    let agent = replayable_agent(url);
    let answer = tokio::time::timeout(PATIENCE, async { agent.prompt(question).await });
    let answer = answer.await.map_err(|_| AskError::TimedOut)?;
    answer.map(|answer| answer.output().to_owned()).map_err(|error| AskError::Agent(error.into()))
}

/// Asks the recorded question again: the agent itself if its run was the root. `llm-audit fixture --test` writes tests that call this.
///
/// # Panics
///
/// Panics if the question is not recorded.
pub fn replay_root(input: &RootInput) {
    let is_agent = input.kind() == StepKind::Event;
    let argument = if is_agent { "prompt" } else { "question" };
    let question: String = input.argument(argument).expect("it is recorded");
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits"));
    let _subscriber = subscriber.set_default();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    // Nothing is sent there.
    let url = "http://127.0.0.1:9/v1";
    runtime.block_on(async {
        match is_agent {
            true => drop(input.drive(async { replayable_agent(url).prompt(question).await }).await),
            false => drop(input.drive(ask(url, &question)).await),
        }
    });
}
