//! What a report says, collected line by line.

use std::collections::BTreeMap;

use llm_audit::reader::{Failures, Figures, Groups, Json, Line};
use llm_audit::{Prices, Usd};
use llm_audit_log::schema::notices::{ReadNotice, Totals};

use crate::ui::CommandFailure;

/// What every placeholder of the redactor begins with.
const PLACEHOLDER: &str = "[REDACTED";
/// The most kinds of them that are told apart.
const PLACEHOLDERS_MAX: usize = 200;

/// Everything that a report says.
pub(crate) struct Report {
    pub(super) total: Figures,
    /// Of the `request.end` events.
    pub(super) requests: Figures,
    pub(crate) types: Groups,
    /// By agent and action, of the events that have a latency and are no requests.
    pub(super) actions: Groups,
    pub(crate) models: Groups,
    /// Calls without a known price, by model.
    pub(super) unpriced: Groups,
    pub(super) failures: Failures,
    /// What the calls would have cost in addition without a cache, by the prices of this version.
    pub(super) saved: f64,
    /// Placeholders in the events, by their text.
    pub(super) placeholders: BTreeMap<String, u64>,
    /// The loggers, by their id.
    pub(super) loggers: BTreeMap<String, Logger>,
    prices: Prices,
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

impl Report {
    pub(crate) fn new() -> Result<Self, CommandFailure> {
        let by = |fields: &[&str]| {
            let fields = fields.iter().map(|field| field.parse()).collect::<Result<_, _>>();
            fields.map(Groups::new).map_err(|error| CommandFailure::new(error.to_string()))
        };
        Ok(Self {
            total: Figures::default(),
            requests: Figures::default(),
            types: by(&["event_type"])?,
            actions: by(&["agent", "action"])?,
            models: by(&["model"])?,
            unpriced: by(&["model"])?,
            failures: Failures::default(),
            saved: 0.0,
            placeholders: BTreeMap::new(),
            loggers: BTreeMap::new(),
            prices: Prices::built_in(),
        })
    }

    /// Adds an event that counts as `weight` of them.
    pub(crate) fn add(&mut self, line: &Line<'_>, weight: f64) {
        self.total.add(line, weight);
        self.types.add(line, weight);
        self.failures.add(line);
        match line.event_type() {
            Some("request.end") => self.requests.add(line, weight),
            _ if line.latency_ms().is_some() => self.actions.add(line, weight),
            _ => {}
        }
        if line.is_paid() {
            self.add_paid(line, weight);
        }
        count_placeholders(line.json(), &mut self.placeholders);
    }

    fn add_paid(&mut self, line: &Line<'_>, weight: f64) {
        self.models.add(line, weight);
        if line.cost_usd().is_none() {
            self.unpriced.add(line, weight);
        }
        let costs = [self.prices.cost_without_cache(line), self.prices.cost_of(line)];
        if let [Some(without), Some(with)] = costs.map(|cost| cost.map(Usd::as_f64)) {
            self.saved += (without - with) * weight;
        }
    }

    /// Notes one of the log's own lines.
    pub(crate) fn note(&mut self, line: &Line<'_>) {
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

    /// How many events have this type: as they are, and by their weights.
    pub(super) fn count_of(&self, event_type: &str) -> (u64, f64) {
        let mut of_type = self.types.iter().filter(|(values, _)| values[0] == event_type);
        of_type.next().map_or((0, 0.0), |(_, figures)| (figures.events, figures.estimate.events))
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
