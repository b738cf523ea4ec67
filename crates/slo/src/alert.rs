//! An alert, as notifiers get it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A rule that is broken, or was broken until now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// The name of the rule.
    pub rule: String,
    /// The objective that the rule watches.
    pub objective: String,
    /// The service whose log is judged.
    pub service: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Of whom the rule speaks, if it watches each user or tenant: `user` or `tenant` and the value.
    pub subject: Option<(String, String)>,
    /// Since when the rule is broken, in microseconds since the Unix epoch.
    pub starts_at: i64,
    /// Since when it is not broken any more; `None` while it is broken.
    pub ends_at: Option<i64>,
    /// One sentence: what was seen, over which time, and what was promised.
    pub summary: String,
    /// The value that broke the rule, as it is shown: `5.1 %`, `1,730 ms`, `$12.50`.
    pub value: String,
    /// What the value should be, as it is shown.
    pub target: String,
    /// The time over which the value was computed, as it is shown: `1h`.
    pub window: String,
    /// Up to three traces that failed, or were slow, in this time.
    pub traces: Vec<String>,
    /// The command that makes a test of the first trace; empty without one.
    pub command: String,
}

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look today.
    Ticket,
    /// Somebody should look now.
    Page,
}

impl Severity {
    /// The name as labels have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

impl Alert {
    /// Returns whether the rule is still broken.
    pub fn is_firing(&self) -> bool {
        self.ends_at.is_none()
    }

    /// Returns what tells this alert from others. It is the same as long as the rule stays broken, in every
    /// process and after a restart, so it has no host, no process and no value.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        let mut labels = BTreeMap::from([
            ("alertname", &*self.rule),
            ("objective", &*self.objective),
            ("service", &*self.service),
            ("severity", self.severity.name()),
        ]);
        if let Some((name, value)) = &self.subject {
            labels.insert(name, value);
        }
        labels
    }
}
