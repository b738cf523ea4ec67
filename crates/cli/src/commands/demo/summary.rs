//! Summary of what one logger wrote into a folder: events by type, tokens and cost by model.

use std::collections::BTreeMap;
use std::path::Path;

use llm_audit::reader::{Folder, Line};
use llm_audit::{Error, Usd};

/// Read back from the files, not counted on the way.
#[derive(Debug, Default)]
pub(super) struct DemoSummary {
    /// How many events of each type there are.
    pub(super) types: BTreeMap<String, u64>,
    /// What each model's calls took, by its name.
    pub(super) models: BTreeMap<String, ModelCalls>,
}

/// The calls of one model.
#[derive(Debug, Default)]
pub(super) struct ModelCalls {
    pub(super) count: u64,
    pub(super) tokens_input: u64,
    pub(super) tokens_output: u64,
    /// Exact: costs are added as decimals.
    pub(super) cost: Usd,
    /// Calls without a cost: their price is not known.
    pub(super) unpriced: u64,
}

impl DemoSummary {
    /// Of the lines of `instance` in `folder`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or if a line is not an event.
    pub(super) fn read(folder: &Path, instance: &str) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let mut lines = folder.lines();
        let mut summary = Self::default();
        while let Some(mut entry) = lines.next_line()? {
            let line = entry.parse()?;
            if line.instance() == Some(instance) && !line.is_own() {
                summary.add(&line);
            }
        }
        Ok(summary)
    }

    fn add(&mut self, line: &Line<'_>) {
        let event_type = line.event_type().unwrap_or_default();
        *self.types.entry(event_type.to_owned()).or_default() += 1;
        if event_type != "llm.invoke" {
            return;
        }
        let model = line.data().and_then(|data| data.get("model")?.as_str());
        let calls = self.models.entry(model.unwrap_or("unknown").to_owned()).or_default();
        calls.count += 1;
        calls.tokens_input += line.tokens_input().unwrap_or(0);
        calls.tokens_output += line.tokens_output().unwrap_or(0);
        match line.cost_usd() {
            Some(cost) => calls.cost += cost,
            None => calls.unpriced += 1,
        }
    }
}
