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
    /// The numbers of its last event and of its last notice that were read. Both grow with each file of it.
    pub(super) seq: Option<u64>,
    pub(super) notice: Option<u64>,
}

impl Origin {
    /// Reads `audit.start`. `None` if the line is another one.
    pub fn read(line: &Line<'_>) -> Option<Self> {
        let (true, Some(instance)) = (line.is_own(), line.instance()) else { return None };
        let Some(ReadNotice::Start(started)) = ReadNotice::of(line) else { return None };
        Some(Self {
            instance: instance.to_owned(),
            service: started.service,
            host: started.host,
            pid: started.pid,
            rates: started.rates,
            seq: None,
            notice: None,
        })
    }
}

/// The loggers of lines that are still to come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Origins(VecDeque<Origin>);

impl Origins {
    /// Takes note of a line that is sent: of its logger, if it is the logger's `audit.start`, and of its number.
    /// Returns the logger.
    pub(super) fn note(&mut self, line: &Line<'_>) -> Option<&Origin> {
        self.note_start(line);
        let origin = self.find(line)?;
        origin.seq = line.seq().max(origin.seq);
        origin.notice = line.notice().max(origin.notice);
        Some(origin)
    }

    /// Whether a line with this number, or one after it, was sent.
    pub(super) fn has_sent(&mut self, line: &Line<'_>) -> bool {
        let Some(origin) = self.find(line) else { return false };
        let is_past = |number: Option<u64>, last| number.is_some() && number <= last;
        is_past(line.seq(), origin.seq) || is_past(line.notice(), origin.notice)
    }

    /// Finds the logger of a line.
    pub(super) fn of(&mut self, line: &Line<'_>) -> Option<&Origin> {
        self.find(line).map(|origin| &*origin)
    }

    fn note_start(&mut self, line: &Line<'_>) {
        let Some(mut started) = Origin::read(line) else { return };
        if let Some(known) = self.find(line) {
            (started.seq, started.notice) = (known.seq, known.notice);
            *known = started;
            return;
        }
        if self.0.len() == ORIGINS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(started);
    }

    fn find(&mut self, line: &Line<'_>) -> Option<&mut Origin> {
        let instance = line.instance()?;
        let at = self.0.iter().rposition(|origin| origin.instance == instance)?;
        // Lines of one logger mostly follow each other.
        if at + 1 < self.0.len() {
            let found = self.0.remove(at)?;
            self.0.push_back(found);
        }
        self.0.back_mut()
    }
}
