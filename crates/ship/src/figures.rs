//! What is sent: the figures of events, and those of the recorder itself.

use std::collections::HashMap;

use llm_audit_log::schema::{Latencies, MetricsRow};

use crate::since::rows_since;

/// All figures of a recorder at one time.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The figures of events.
    pub rows: Vec<MetricsRow>,
    /// What the recorder counts beside them.
    pub counters: Vec<Counter>,
    /// What it measures at this time, such as how far a shipper is behind. Each is sent as it is.
    pub gauges: Vec<Counter>,
    /// What the recorder measures of itself.
    pub timings: Vec<Timing>,
}

/// Counts with one label: of a counter or a gauge.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The name after `llm_audit.`.
    pub name: &'static str,
    /// What is counted.
    pub description: &'static str,
    /// The unit, as OpenTelemetry spells it.
    pub unit: &'static str,
    /// The name of the label. If it is empty, there is none.
    pub label: &'static str,
    /// The counts by the values of the label.
    pub counts: Vec<(String, u64)>,
}

/// How long something took.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The name after `llm_audit.`.
    pub name: &'static str,
    /// What is measured.
    pub description: &'static str,
    /// The times.
    pub latencies: Latencies,
    /// Their sum, in milliseconds.
    pub ms_sum: f64,
}

impl Figures {
    /// Returns what came since `earlier`, the same figures at an earlier time.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        since.rows = rows_since(&self.rows, &earlier.rows);
        let counters = earlier.counters.iter();
        let counts: HashMap<_, _> = counters
            .flat_map(|of| of.counts.iter().map(|(value, count)| ((of.name, value), *count)))
            .collect();
        for counter in &mut since.counters {
            for (value, count) in &mut counter.counts {
                let before = counts.get(&(counter.name, &*value)).copied().unwrap_or_default();
                *count = count.saturating_sub(before);
            }
        }
        for timing in &mut since.timings {
            if let Some(before) = earlier.timings.iter().find(|of| of.name == timing.name) {
                timing.latencies = timing.latencies.since(&before.latencies);
                timing.ms_sum -= before.ms_sum;
            }
        }
        since
    }
}
