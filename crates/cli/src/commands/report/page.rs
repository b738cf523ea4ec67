//! The page, as text; `html` shows the same one.

use std::io::{self, Write};

use super::collect::{Logger, Report};
use crate::commands::errors::{failure_lines, fit_failure};
use crate::commands::figures::{
    Sort, basis_notes, cost_table, format_estimate, format_share, sorted_groups, stats_table,
    unpriced_note,
};
use crate::ui::{
    Style, Table, escape_for_terminal, fit_to_width, format_count, format_duration, format_period,
    sparkline, wrap_to_width,
};

/// The most rows of a table, and the most failures.
const ROWS_MAX: usize = 6;
/// The parts of the time for which traffic is shown.
const PARTS: usize = 60;
/// The same in a narrow terminal.
const PARTS_NARROW: usize = 20;

/// A page: its title, and sections.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) sections: Vec<(&'static str, Vec<Block>)>,
}

/// A part of a section.
pub(super) enum Block {
    Line(String),
    /// What failed, and what is said about it.
    Failure(Vec<String>),
    Table(Table),
}

impl Page {
    pub(super) fn print(
        &self,
        style: Style,
        columns: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        writeln!(out, "{}", fit_to_width(&self.title, columns))?;
        for (name, blocks) in &self.sections {
            writeln!(out, "\n{}", style.paint_bold(name))?;
            for block in blocks {
                block.print(style, columns.saturating_sub(2), out)?;
            }
        }
        Ok(())
    }
}

impl Block {
    fn print(&self, style: Style, columns: usize, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Line(line) => {
                let lines = wrap_to_width(line, columns);
                lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
            }
            Self::Table(table) => {
                table.lines(columns).iter().try_for_each(|line| writeln!(out, "  {line}"))
            }
            Self::Failure(lines) => {
                let lines = fit_failure(lines, columns);
                lines.iter().enumerate().try_for_each(|(at, line)| match at {
                    0 => writeln!(out, "  {}", style.paint_error(line)),
                    _ => writeln!(out, "  {line}"),
                })
            }
        }
    }
}

impl Report {
    /// The page, in a width of so many columns. `log` is what a further command needs to read the same log.
    pub(super) fn page(&self, columns: usize, log: Option<&str>) -> Page {
        let sections = [
            ("Traffic", self.traffic(columns)),
            ("Failures", self.failure_groups(log)),
            ("Slowest", self.slowest(columns)),
            ("Cost", self.cost(columns)),
            ("Retries and caches", self.retries()),
            ("Evaluations", self.seen.judgements.evaluations(ROWS_MAX)),
            ("Feedback", self.seen.judgements.feedback()),
            ("Redacted", self.redacted()),
            ("Recorder", self.recorder()),
            ("Not read", self.not_read()),
        ];
        let sections = sections.into_iter().filter(|(_, blocks)| !blocks.is_empty()).collect();
        Page { title: self.title(), sections }
    }

    fn title(&self) -> String {
        let services = self.seen.loggers.values().filter_map(|logger| logger.service.as_deref());
        let services: std::collections::BTreeSet<_> = services.collect();
        let services: Vec<_> = services.into_iter().map(escape_for_terminal).collect();
        let of = if services.is_empty() { "the log".to_owned() } else { services.join(", ") };
        match self.sums.total.times.range() {
            Some((from, to)) => {
                let took = format_duration((to - from) as f64 / 1e3);
                format!("Report of {of}, {}, {took}", format_period(from, to))
            }
            None => format!("Report of {of}"),
        }
    }

    fn traffic(&self, columns: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (name, figures) in [("events", &self.sums.total), ("requests", &self.sums.requests)] {
            if figures.events == 0 {
                continue;
            }
            let estimate = figures.estimate;
            let share = format_share(estimate.failed, estimate.events);
            let mut line = format!(
                "{:>8} {name}, {} failed ({share})",
                format_estimate(figures.events, estimate.events),
                format_estimate(figures.failed, estimate.failed)
            );
            for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                let latency = figures.latency_ms(share);
                line += &latency
                    .map_or(String::new(), |ms| format!(", {name} {}", format_duration(ms)));
            }
            blocks.push(Block::Line(line));
        }
        if let Some(range) = self.sums.total.times.range() {
            let times = &self.sums.total.times;
            let line = match columns < PARTS + 11 {
                true => sparkline(&times.parts::<PARTS_NARROW>(range)),
                false => sparkline(&times.parts::<PARTS>(range)),
            };
            blocks.push(Block::Line(format!("         {line}")));
        }
        blocks.extend(basis_notes(&self.sums.total, &self.basis).into_iter().map(Block::Line));
        blocks
    }

    fn failure_groups(&self, log: Option<&str>) -> Vec<Block> {
        let groups = self.seen.failures.by_count();
        let lines = |group| Block::Failure(failure_lines(group, &self.seen.failures, log));
        let shown = groups.iter().take(ROWS_MAX).map(|group| lines(group));
        let mut blocks: Vec<_> = shown.collect();
        let more = groups.len().saturating_sub(ROWS_MAX);
        if more > 0 {
            let more = format_count(more as u64, "more kind");
            let log = log.unwrap_or_default();
            blocks.push(Block::Line(format!("{more}: llm-audit errors{log}")));
        }
        blocks
    }

    fn slowest(&self, columns: usize) -> Vec<Block> {
        let by = ["agent", "action"].map(str::to_owned);
        let groups = sorted_groups(&self.sums.actions, Sort::P99);
        let shown = &groups[..groups.len().min(ROWS_MAX)];
        match shown {
            [] => Vec::new(),
            shown => vec![Block::Table(stats_table(&by, shown, &self.sums.actions, columns))],
        }
    }

    fn cost(&self, columns: usize) -> Vec<Block> {
        let groups = sorted_groups(&self.sums.models, Sort::Cost);
        let shown = &groups[..groups.len().min(ROWS_MAX)];
        if shown.is_empty() {
            return Vec::new();
        }
        let table = cost_table(&["model".to_owned()], shown, &self.sums.models, columns);
        let mut blocks = vec![Block::Table(table)];
        if self.sums.saved >= 0.000_001 {
            let all = self.sums.models.total.estimate.cost_usd + self.sums.saved;
            let (saved, share) = (self.sums.saved, format_share(self.sums.saved, all));
            blocks.push(Block::Line(format!("caching saved ${saved:.6} ({share})")));
        }
        blocks.extend(unpriced_note(&self.sums.models).map(Block::Line));
        blocks
    }

    fn retries(&self) -> Vec<Block> {
        let count = |name: &str| {
            let (exact, estimate) = self.sums.count_of(name);
            (format_estimate(exact, estimate), estimate)
        };
        let [retries, fallbacks] = ["agent.retry", "agent.fallback"].map(count);
        let [hits, misses] = ["cache.hit", "cache.miss"].map(count);
        let mut blocks = Vec::new();
        if retries.1 + fallbacks.1 > 0.0 {
            let line = format!("{:>8} retries, {} fallbacks", retries.0, fallbacks.0);
            blocks.push(Block::Line(line));
        }
        if hits.1 + misses.1 > 0.0 {
            let share = format_share(hits.1, hits.1 + misses.1);
            let line = format!("{:>8} cache hits, {} misses ({share} hit)", hits.0, misses.0);
            blocks.push(Block::Line(line));
        }
        blocks
    }

    fn redacted(&self) -> Vec<Block> {
        let mut kinds: Vec<_> = self.seen.placeholders.iter().collect();
        kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), *kind));
        let lines = kinds.iter().take(2 * ROWS_MAX);
        lines.map(|(kind, count)| Block::Line(format!("{count:>8} {kind}"))).collect()
    }

    fn not_read(&self) -> Vec<Block> {
        let lines = match self.damage.bad_lines {
            0 => None,
            bad => {
                let lines = format_count(bad, "line");
                Some(format!("{lines} cannot be read; llm-audit verify says which"))
            }
        };
        let file =
            |error: &String| format!("{}; the rest of it is left out", escape_for_terminal(error));
        let files = self.damage.files.iter().take(ROWS_MAX).map(file);
        let mut blocks: Vec<_> = lines.into_iter().chain(files).map(Block::Line).collect();
        let more = self.damage.files.len().saturating_sub(ROWS_MAX);
        if more > 0 {
            blocks.push(Block::Line(format_count(more as u64, "more file")));
        }
        blocks
    }

    fn recorder(&self) -> Vec<Block> {
        let shown = self.seen.loggers.iter().take(ROWS_MAX);
        let lines = shown.flat_map(|(id, logger)| logger_lines(id, logger));
        let mut blocks: Vec<_> = lines.map(Block::Line).collect();
        let more = self.seen.loggers.len().saturating_sub(ROWS_MAX);
        if more > 0 {
            blocks.push(Block::Line(format_count(more as u64, "more logger")));
        }
        blocks
    }
}

fn logger_lines(id: &str, logger: &Logger) -> [String; 2] {
    let known =
        |text: &Option<String>| escape_for_terminal(text.as_deref().unwrap_or("?")).into_owned();
    let pid = logger.pid.map_or("?".to_owned(), |pid| pid.to_string());
    let (id, service) = (escape_for_terminal(id), known(&logger.service));
    let lost = match logger.overwritten.saturating_add(logger.io_lost) {
        0 => "nothing lost".to_owned(),
        lost => format!("{lost} events LOST"),
    };
    let state = match logger.totals {
        Some(totals) => format!(
            "closed, {lost}: {} emitted, {} written, {} sampled out",
            totals.emitted, totals.written, totals.sampled_out
        ),
        None => format!("no audit.stop yet, {lost} so far; llm-audit verify says more"),
    };
    [format!("{id} {service} on {}, pid {pid}", known(&logger.host)), format!("         {state}")]
}
