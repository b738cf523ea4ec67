//! What a report says, collected line by line.

use std::collections::BTreeMap;
use std::ops::Range;

use llm_audit::reader::{Basis, Counting, Failures, Figures, Filter, Groups, Json, Line, Sums};
use llm_audit::{Prices, Usd};
use llm_audit_log::schema::MetricsRow;
use llm_audit_log::schema::notices::{ReadNotice, Totals};

use super::judgements::Judgements;
use crate::arguments::Damage;
use crate::ui::CommandFailure;

/// What every placeholder of the redactor begins with.
const PLACEHOLDER: &str = "[REDACTED";
/// The most kinds of them that are told apart.
const PLACEHOLDERS_MAX: usize = 200;

/// Everything that a report says.
pub(crate) struct Report {
    pub(crate) sums: ReportSums,
    pub(super) basis: Basis,
    pub(super) seen: Seen,
    pub(super) damage: Damage,
}

/// What is collected for a report.
pub(crate) struct Collected {
    counting: Counting<ReportSums>,
    seen: Seen,
}

/// What events add up to.
#[derive(Clone)]
pub(crate) struct ReportSums {
    pub(super) total: Figures,
    /// Of the `request.end` events.
    pub(super) requests: Figures,
    pub(crate) types: Groups,
    /// By agent and action, of the events that have a latency and are no requests.
    pub(super) actions: Groups,
    pub(crate) models: Groups,
    /// What the calls would have cost in addition without a cache, by the prices of this version.
    pub(super) saved: f64,
}

/// What lines show.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) failures: Failures,
    pub(super) judgements: Judgements,
    /// Placeholders in the events, by their text.
    pub(super) placeholders: BTreeMap<String, u64>,
    /// The loggers, by their id.
    pub(super) loggers: BTreeMap<String, Logger>,
}

/// A logger, by the log's own lines.
#[derive(Default)]
pub(super) struct Logger {
    pub(super) service: Option<String>,
    pub(super) host: Option<String>,
    pub(super) pid: Option<u64>,
    /// The whole accounting, if it was closed.
    pub(super) totals: Option<Totals>,
    /// By the `audit.loss` lines.
    pub(super) overwritten: u64,
    pub(super) io_lost: u64,
}

impl Collected {
    /// Begins a report of the events that the filter wants.
    pub(crate) fn new(filter: &Filter) -> Result<Self, CommandFailure> {
        let by = |fields: &[&str]| {
            let fields = fields.iter().map(|field| field.parse()).collect::<Result<_, _>>();
            fields.map(Groups::new).map_err(|error| CommandFailure::new(error.to_string()))
        };
        let sums = ReportSums {
            total: Figures::default(),
            requests: Figures::default(),
            types: by(&["event_type"])?,
            actions: by(&["agent", "action"])?,
            models: by(&["model"])?,
            saved: 0.0,
        };
        Ok(Self { counting: Counting::new(sums, filter, &[]), seen: Seen::default() })
    }

    /// Returns the parts, which are borrowed apart while the log is read.
    pub(super) fn parts(&mut self) -> (&mut Counting<ReportSums>, &mut Seen) {
        (&mut self.counting, &mut self.seen)
    }

    pub(crate) fn finish(self) -> Report {
        let (sums, basis) = self.counting.finish();
        Report { sums, basis, seen: self.seen, damage: Damage::default() }
    }
}

impl Seen {
    /// Adds an event, and in `counting` if it counts as `weight` of them.
    pub(super) fn add(
        &mut self,
        counting: &mut Counting<ReportSums>,
        line: &Line<'_>,
        weight: f64,
    ) {
        counting.add(line, weight, |sums| sums.add(line, weight));
        self.failures.add(line);
        self.judgements.add(line);
        count_placeholders(line.json(), &mut self.placeholders);
    }

    /// Notes one of the log's own lines.
    pub(super) fn note(&mut self, line: &Line<'_>) {
        let (Some(id), Some(notice)) = (line.instance(), ReadNotice::of(line)) else { return };
        let logger = self.loggers.entry(id.to_owned()).or_default();
        match notice {
            ReadNotice::Start(start) => {
                logger.service = start.service.or(logger.service.take());
                logger.host = start.host.or(logger.host.take());
                logger.pid = start.pid.or(logger.pid);
            }
            ReadNotice::Loss(Some(loss)) => {
                logger.overwritten = logger.overwritten.saturating_add(loss.overwritten);
                logger.io_lost = logger.io_lost.saturating_add(loss.io_lost);
            }
            ReadNotice::Stop(Some(stop)) => logger.totals = Some(stop.totals),
            _ => {}
        }
    }
}

impl ReportSums {
    fn add(&mut self, line: &Line<'_>, weight: f64) {
        self.total.add(line, weight);
        self.types.add(line, weight);
        match line.event_type() {
            Some("request.end") => self.requests.add(line, weight),
            _ if line.latency_ms().is_some() => self.actions.add(line, weight),
            _ => {}
        }
        if line.is_paid() {
            self.models.add(line, weight);
            let prices = Prices::built_in();
            let costs = [prices.cost_without_cache(line), prices.cost_of(line)];
            self.saved += saved(costs) * weight;
        }
    }

    /// How many events have this type: as they are, and by their weights.
    pub(super) fn count_of(&self, event_type: &str) -> (u64, f64) {
        let mut of_type = self.types.iter().filter(|(values, _)| values[0] == event_type);
        of_type.next().map_or((0, 0.0), |(_, figures)| (figures.events, figures.estimate.events))
    }
}

impl Sums for ReportSums {
    fn add_row(&mut self, row: &MetricsRow, times: Range<i64>) {
        self.total.add_row(row, times.clone());
        self.types.add_row(row, times.clone());
        match row.is_request() {
            true => self.requests.add_row(row, times.clone()),
            false if row.latencies.count() > 0 => self.actions.add_row(row, times.clone()),
            false => {}
        }
        if row.is_paid() {
            self.models.add_row(row, times.clone());
            self.saved += saved(Prices::built_in().costs_of_row(row));
        }
    }

    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.requests.merge(&other.requests);
        self.types.merge(&other.types);
        self.actions.merge(&other.actions);
        self.models.merge(&other.models);
        self.saved += other.saved;
    }
}

/// What a cache saved, by the costs without it and with it. Nothing if one is not known.
fn saved(costs: [Option<Usd>; 2]) -> f64 {
    match costs.map(|cost| cost.map(Usd::as_f64)) {
        [Some(without), Some(with)] => without - with,
        _ => 0.0,
    }
}

/// Counts the placeholders in all texts of a value.
fn count_placeholders(json: Json<'_>, counts: &mut BTreeMap<String, u64>) {
    for mut text in json.texts() {
        while let Some(at) = text.find(PLACEHOLDER) {
            text = &text[at..];
            let end = text.bytes().position(|byte| byte == b']').map_or(text.len(), |end| end + 1);
            // Any other text in brackets is somebody's own.
            let is_kind =
                |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9');
            let kind = &text[PLACEHOLDER.len()..end];
            let is_known = kind.strip_suffix(']').is_some_and(|kind| kind.bytes().all(is_kind));
            if let Some(count) = counts.get_mut(&text[..end]) {
                *count += 1;
            } else if is_known && counts.len() < PLACEHOLDERS_MAX {
                counts.insert(text[..end].to_owned(), 1);
            }
            text = &text[PLACEHOLDER.len()..];
        }
    }
}
