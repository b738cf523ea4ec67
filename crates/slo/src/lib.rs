//! Objectives and alerts over the logs of `llm-audit`.
//!
//! - [`Objectives`]: what is promised, and when somebody is told. They come from a file, in OpenSLO or in a short form,
//!   or are those that are built in.
//! - [`JudgedLog`]: whether a log meets them, and why a rule was broken.
//! - [`AlertEngine`]: which alerts fire, from the files of a log that is being written.
//!
//! Both count by the `audit.totals` lines, which have every event, whatever was sampled.

mod alert;
mod engine;
mod error;
mod explain;
mod export;
mod log;
mod measure;
mod minutes;
#[cfg(feature = "notify")]
pub mod notify;
mod objectives;
mod rules;
mod show;
mod span;
mod tally;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

pub use alert::{Alert, Severity};
pub use engine::AlertEngine;
pub use error::Error;
pub use explain::{ExplainedMinute, Explanation};
pub use export::RuleTarget;
pub use log::JudgedLog;
pub use measure::Measure;
pub use minutes::Payers;
pub use objectives::{
    Condition, EventCounts, Indicator, Objective, Objectives, Payer, Rule, Selection, Target,
};
pub use rules::{RuleOutcome, RuleState};
pub use span::Span;
pub use verdict::{Judgement, Verdict};
