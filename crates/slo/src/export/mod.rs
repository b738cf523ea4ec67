//! Objectives and rules as other programs read them.

mod openslo;
mod prometheus;
mod sloth;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::objectives::Objectives;

/// For whom rules are written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RuleTarget {
    /// The service, which alerts name.
    pub service: Option<String>,
    /// What else selects the series of the service, as PromQL has it: `job="benefits"`.
    pub selector: Option<String>,
}

impl Objectives {
    /// Returns the rules as Prometheus reads them. Their alerts have the labels of
    /// [`Alert::labels`](crate::Alert::labels). A rule that Prometheus has no figures for is named in a comment.
    pub fn to_prometheus(&self, target: &RuleTarget) -> String {
        prometheus::rules(self, target)
    }

    /// Returns the objectives as [sloth](https://sloth.dev) reads them, which makes burn-rate rules of them.
    pub fn to_sloth(&self, target: &RuleTarget) -> String {
        sloth::specification(self, target)
    }

    /// Returns the objectives and burn-rate rules as OpenSLO v1. [`parse`](Self::parse) reads them.
    pub fn to_openslo(&self, target: &RuleTarget) -> String {
        openslo::documents(self, target)
    }
}

/// The name of the service, for formats that need one.
fn service_name(target: &RuleTarget) -> &str {
    target.service.as_deref().unwrap_or("llm-audit")
}

/// A text in quotes. JSON's are YAML's and PromQL's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
