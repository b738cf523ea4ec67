//! Counts every event before it is sampled, by its labels.

mod cells;
mod counters;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;
mod texts;
mod users;

use std::collections::{BTreeMap, HashMap};

use llm_audit_log::schema::notices::EventTotals;
use llm_audit_log::schema::{Latencies, MetricsRow};
use llm_audit_log::{EventType, Status, Usd};

use super::accounting::shard_of_thread;
use super::{ShippingHealth, Timings};
use crate::record::event::AuditEvent;
use crate::sanitize::Sanitizer;
use crate::user_names::{UserKey, UserNames};
use counters::Counters;
use table::{LABEL_BYTES_MAX, OTHER, Row, Table};
use users::Users;

/// Counts events by their labels, as an [`AuditLogger`](crate::AuditLogger) does with all that it is given.
///
/// It counts before sampling, so its figures are those of all events. Labels are the type, the status, the
/// agent, the action, the model and the tenant. They are redacted first. A thousand sets of labels are told apart.
/// In five hundred further ones the model and the tenant are `other`, and in the rest also the agent and the
/// action. A label over 256 bytes is `other`, too.
///
/// No call waits for another one. The memory is bounded: a set of labels needs at most 230 KB, and usually
/// less than 10 KB. A cost below zero is not counted.
///
/// # Examples
///
/// ```
/// use llm_audit::metrics::MetricsCollector;
/// use llm_audit::{AuditEvent, EventType, Status};
///
/// let collector = MetricsCollector::default();
/// collector.record_tool_call("benefits", "tool.search", Status::Ok, 12.5);
/// collector.record_tool_call("benefits", "tool.search", Status::Timeout, 2_000.0);
/// collector.observe(&AuditEvent::new(EventType::RequestEnd, "benefits", "answer").latency_ms(90.0));
///
/// let metrics = collector.metrics();
/// assert_eq!((metrics.tool_calls_total(), metrics.timeouts_total()), (2, 1));
/// assert_eq!(metrics.request_latency().count(), 1);
/// ```
pub struct MetricsCollector {
    table: Table,
    users: Users,
    user_names: UserNames,
    counters: Counters,
}

impl Default for MetricsCollector {
    fn default() -> Self {
        Self::new(Sanitizer::default())
    }
}

impl MetricsCollector {
    /// Returns a collector without counts, whose labels this sanitizer redacts.
    ///
    /// Users whose ids are personal are told apart by a hash under a key of this collector alone.
    pub fn new(sanitizer: Sanitizer) -> Self {
        Self::with_user_names(UserNames::new(sanitizer.clone(), &UserKey::random()), sanitizer)
    }

    pub(crate) fn with_user_names(user_names: UserNames, sanitizer: Sanitizer) -> Self {
        let (users, counters) = (Users::default(), Counters::default());
        Self { table: Table::new(sanitizer), users, user_names, counters }
    }

    /// Counts an event. Its `data` is not read: the model, the tenant and the user are those of
    /// [`AuditEvent::model`], [`AuditEvent::tenant`] and [`AuditEvent::user`].
    pub fn observe(&self, event: &AuditEvent<'_>) {
        self.observe_in(event, shard_of_thread());
    }

    /// Counts an event in the shard of this thread.
    #[inline(always)]
    pub(crate) fn observe_in(&self, event: &AuditEvent<'_>, shard: usize) {
        if let Some(cells) = self.table.cells(event, shard) {
            cells.add(event, shard);
        }
        if event.has_members && !event.user.is_empty() {
            self.observe_user(event, shard);
        }
    }

    #[inline(never)]
    fn observe_user(&self, event: &AuditEvent<'_>, shard: usize) {
        let name = match event.user.len() {
            ..=LABEL_BYTES_MAX => self.user_names.name(event.user),
            _ => OTHER.into(),
        };
        self.users.add(&name, event, shard);
    }

    /// Counts a request, as its `request.end` event does.
    pub fn record_request(&self, agent: &str, action: &str, status: Status, latency_ms: f64) {
        let event = AuditEvent::new(EventType::RequestEnd, agent, action);
        self.observe(&event.status(status).latency_ms(latency_ms));
    }

    /// Counts a call of a chat model, with its input and output tokens: an `llm.error` if it failed, otherwise
    /// an `llm.invoke`. The action is `chat`.
    pub fn record_llm_call(
        &self,
        agent: &str,
        model: &str,
        status: Status,
        latency_ms: f64,
        tokens: (u64, u64),
    ) {
        let event_type =
            if status.is_failure() { EventType::LlmError } else { EventType::LlmInvoke };
        let event = AuditEvent::new(event_type, agent, "chat").status(status);
        self.observe(&event.model(model).latency_ms(latency_ms).tokens(tokens.0, tokens.1));
    }

    /// Counts a tool call: a `tool.error` if it failed, otherwise a `tool.result`.
    pub fn record_tool_call(&self, agent: &str, action: &str, status: Status, latency_ms: f64) {
        let event_type =
            if status.is_failure() { EventType::ToolError } else { EventType::ToolResult };
        let event = AuditEvent::new(event_type, agent, action).status(status);
        self.observe(&event.latency_ms(latency_ms));
    }

    /// Adds to a counter of your own.
    ///
    /// The name is redacted. A hundred names are told apart, and the rest is counted under `other`, as is a name over
    /// 256 bytes. Use names that are fixed in the code.
    pub fn count(&self, name: &str, count: u64) {
        self.counters.add(name, count, self.table.sanitizer());
    }

    /// Returns what was counted so far.
    pub fn metrics(&self) -> Metrics {
        let mut rows: Vec<_> = self.table.rows().map(|(_, row)| self.row_of(row)).collect();
        rows.retain(|row| row.events > 0);
        rows.sort_by(|a, b| labels(a).cmp(&labels(b)));
        let counters = self.counters.read(|name| self.shown(name));
        Metrics { rows, others: self.table.others(), counters, ..Metrics::default() }
    }
}

impl MetricsCollector {
    /// Returns what was counted since the last call with the same `taken`.
    pub(crate) fn take_totals(&self, taken: &mut TakenMetrics) -> EventTotals {
        let mut rows = Vec::new();
        for (place, row) in self.table.rows() {
            let row = self.row_of(row);
            let before = taken.rows.entry(place).or_default();
            let since = row.clone().since(before);
            // Otherwise what an event that is being counted has added already would be in no totals.
            if since.events > 0 {
                *before = row;
                rows.push(since);
            }
        }
        rows.sort_by(|a, b| labels(a).cmp(&labels(b)));
        let others = self.table.others();
        let mut totals = EventTotals::default();
        totals.others = others - std::mem::replace(&mut taken.others, others);
        if !rows.is_empty() {
            totals.users = self.users.take();
            // A value may have been protected after its user came.
            totals.users.top.iter_mut().for_each(|row| row.user = self.shown(&row.user));
        }
        totals.rows = rows;
        totals
    }

    /// Returns a label as it may be shown. A value may have been protected after its row was made.
    fn shown(&self, label: &str) -> String {
        self.table.sanitizer().redact_str(label).into_owned()
    }

    fn row_of(&self, row: &Row) -> MetricsRow {
        let labels = &row.labels;
        let mut figures = row.cells.figures();
        figures.event_type.clone_from(&labels.event_type);
        figures.status = labels.status;
        figures.agent = self.shown(&labels.agent.text);
        figures.action = self.shown(&labels.action.text);
        figures.model = self.shown(&labels.model.text);
        figures.tenant = self.shown(&labels.tenant.text);
        figures
    }
}

/// What was taken from a collector so far.
#[derive(Default)]
pub(crate) struct TakenMetrics {
    /// By the places of the rows.
    rows: HashMap<usize, MetricsRow>,
    others: u64,
}

/// What a collector has counted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// A row for every set of labels, in the order of the labels.
    pub rows: Vec<MetricsRow>,
    /// Events that are counted under `other`, because there were too many sets of labels.
    pub others: u64,
    /// The counters that the application named itself, with [`MetricsCollector::count`] or [`count`](crate::count).
    pub counters: BTreeMap<String, u64>,
    /// Bytes that an [`AuditLogger`](crate::AuditLogger) has handed to the kernel for its files.
    pub bytes_written: u64,
    /// How long its writes took: one for a batch of lines.
    pub writes: Timings,
    /// How long its syncs took (`AUDIT_FSYNC`).
    pub syncs: Timings,
    /// The events of each objective, with the feature `slo`; those of an [`AuditLogger`](crate::AuditLogger) alone.
    pub objectives: Vec<ObjectiveEvents>,
    /// The destinations that the log of an [`AuditLogger`](crate::AuditLogger) is shipped to.
    pub shipping: Vec<ShippingHealth>,
}

/// The events that an objective counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectiveEvents {
    /// The name of the objective.
    pub slo: String,
    /// Events that are as promised.
    pub good: u64,
    /// All others.
    pub bad: u64,
}

/// Returns what rows are ordered by.
fn labels(row: &MetricsRow) -> [&str; 6] {
    let MetricsRow { event_type, agent, action, model, tenant, .. } = row;
    [event_type, agent, action, model, tenant, row.status.name()]
}

impl Metrics {
    /// Returns how many requests ended (`request.end`).
    pub fn requests_total(&self) -> u64 {
        self.events(MetricsRow::is_request)
    }

    /// Returns how many model calls ended (`llm.invoke`, `llm.error`).
    pub fn llm_calls_total(&self) -> u64 {
        self.events(MetricsRow::is_llm_call)
    }

    /// Returns how many tool calls ended (`tool.result`, `tool.error`).
    pub fn tool_calls_total(&self) -> u64 {
        self.events(MetricsRow::is_tool_call)
    }

    /// Returns how many events have the status `error`.
    pub fn errors_total(&self) -> u64 {
        self.events(MetricsRow::is_error)
    }

    /// Returns how many events have the status `timeout`.
    pub fn timeouts_total(&self) -> u64 {
        self.events(MetricsRow::is_timeout)
    }

    /// Returns how many events are a retry, by their status or as an `agent.retry`.
    pub fn retries_total(&self) -> u64 {
        self.events(MetricsRow::is_retry)
    }

    /// Returns how many traces have a request that has started and not ended.
    pub fn active_traces(&self) -> u64 {
        let started = self.events(|row| row.event_type == EventType::RequestStart.name());
        started.saturating_sub(self.requests_total())
    }

    /// Returns the latencies of requests.
    pub fn request_latency(&self) -> Latencies {
        self.latencies(MetricsRow::is_request)
    }

    /// Returns the latencies of model calls.
    pub fn llm_latency(&self) -> Latencies {
        self.latencies(MetricsRow::is_llm_call)
    }

    /// Returns the latencies of tool calls.
    pub fn tool_latency(&self) -> Latencies {
        self.latencies(MetricsRow::is_tool_call)
    }

    /// Returns the cost of all model calls in US dollars, exactly.
    pub fn cost_usd(&self) -> Usd {
        self.rows.iter().filter(|row| row.is_llm_call()).map(|row| row.cost_usd).sum()
    }

    fn events(&self, of: fn(&MetricsRow) -> bool) -> u64 {
        self.rows.iter().filter(|row| of(row)).map(|row| row.events).sum()
    }

    fn latencies(&self, of: fn(&MetricsRow) -> bool) -> Latencies {
        let mut all = Latencies::default();
        for row in self.rows.iter().filter(|row| of(row)) {
            all.merge(&row.latencies);
        }
        all
    }
}
