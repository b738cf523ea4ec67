//! The report as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use llm_audit::reader::Basis;
use llm_audit_log::schema::notices::Totals;
use serde::Serialize;

use super::collect::Report;
use super::judgements::{EvaluationObject, FeedbackObject};
use crate::arguments::Damage;
use crate::commands::errors::FailureObject;
use crate::commands::figures::{FiguresObject, Sort, UnpricedObject, sorted_groups};
use crate::ui::escape_json_for_terminal;

#[derive(Serialize)]
struct ReportObject<'r> {
    from_us: Option<i64>,
    to_us: Option<i64>,
    total: FiguresObject<'r>,
    requests: FiguresObject<'r>,
    types: Vec<FiguresObject<'r>>,
    actions: Vec<FiguresObject<'r>>,
    models: Vec<FiguresObject<'r>>,
    unpriced_models: Vec<UnpricedObject<'r>>,
    /// In US dollars, by the prices of this version.
    saved_by_caching_usd: f64,
    failures: Vec<FailureObject<'r>>,
    evaluations: Vec<EvaluationObject<'r>>,
    feedback: FeedbackObject<'r>,
    placeholders: &'r BTreeMap<String, u64>,
    loggers: Vec<LoggerObject<'r>>,
    basis: &'r Basis,
    damage: &'r Damage,
}

#[derive(Serialize)]
struct LoggerObject<'r> {
    instance: &'r str,
    service: Option<&'r str>,
    host: Option<&'r str>,
    pid: Option<u64>,
    overwritten: u64,
    io_lost: u64,
    /// The accounting of `audit.stop`; null before it.
    accounting: Option<Totals>,
}

impl Report {
    pub(super) fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let range = self.sums.total.times.range();
        let loggers = self.seen.loggers.iter().map(|(instance, logger)| LoggerObject {
            instance,
            service: logger.service.as_deref(),
            host: logger.host.as_deref(),
            pid: logger.pid,
            overwritten: logger.overwritten,
            io_lost: logger.io_lost,
            accounting: logger.totals,
        });
        let object = ReportObject {
            from_us: range.map(|(from, _)| from),
            to_us: range.map(|(_, to)| to),
            total: FiguresObject::new(&[], &self.sums.total),
            requests: FiguresObject::new(&[], &self.sums.requests),
            types: FiguresObject::of_groups(&sorted_groups(&self.sums.types, Sort::Events)),
            actions: FiguresObject::of_groups(&sorted_groups(&self.sums.actions, Sort::P99)),
            models: FiguresObject::of_groups(&sorted_groups(&self.sums.models, Sort::Cost)),
            unpriced_models: UnpricedObject::of_groups(&self.sums.models),
            saved_by_caching_usd: (self.sums.saved * 1e9).round() / 1e9,
            failures: FailureObject::of_failures(&self.seen.failures),
            evaluations: self.seen.judgements.evaluation_objects(),
            feedback: self.seen.judgements.feedback_object(),
            placeholders: &self.seen.placeholders,
            loggers: loggers.collect(),
            basis: &self.basis,
            damage: &self.damage,
        };
        writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
    }
}
