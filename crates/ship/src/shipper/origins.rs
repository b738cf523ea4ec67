//! The loggers whose lines are sent.

use std::collections::VecDeque;

use llm_audit_log::Line;
use llm_audit_log::schema::notices::{ReadNotice, SamplingRates};
use serde::{Deserialize, Serialize};

/// How many loggers are remembered. Those that wrote nothing for longest are forgotten first.
const ORIGINS_MAX: usize = 256;

/// Who wrote a line, as `audit.start` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The logger.
    pub instance: String,
    /// Its service.
    pub service: Option<String>,
    /// The host that it ran on.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u64>,
    /// The rates by which it samples; `None` if it keeps everything.
    pub rates: Option<SamplingRates>,
}

/// The loggers of lines that are still to come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Origins(VecDeque<Origin>);

impl Origins {
    /// Remembers the logger, if the line is its `audit.start`.
    pub(super) fn note(&mut self, line: &Line<'_>) {
        let (true, Some(instance)) = (line.is_own(), line.instance()) else { return };
        let Some(ReadNotice::Start(started)) = ReadNotice::of(line) else { return };
        self.0.retain(|origin| origin.instance != instance);
        if self.0.len() == ORIGINS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Origin {
            instance: instance.to_owned(),
            service: started.service,
            host: started.host,
            pid: started.pid,
            rates: started.rates,
        });
    }

    /// Finds the logger of a line.
    pub(super) fn of(&mut self, line: &Line<'_>) -> Option<&Origin> {
        let instance = line.instance()?;
        let at = self.0.iter().rposition(|origin| origin.instance == instance)?;
        // Lines of one logger mostly follow each other.
        if at + 1 < self.0.len() {
            let found = self.0.remove(at)?;
            self.0.push_back(found);
        }
        self.0.back()
    }
}
