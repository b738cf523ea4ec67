//! Evaluations and feedback of a report, by their lines; `Judgements`.

use std::collections::BTreeMap;

use llm_audit::reader::Line;
use llm_audit_log::schema::Judgement;
use serde::{Serialize, Serializer};

use super::page::Block;
use crate::commands::figures::format_share;
use crate::ui::{Table, escape_for_terminal, format_count};

/// The most names, and labels of a name, that are told apart.
const NAMES_MAX: usize = 200;
/// What the others count under.
const OTHER: &str = "other";

/// What was judged, and how. Sampling leaves none of it out.
#[derive(Default)]
pub(super) struct Judgements {
    evaluations: BTreeMap<String, Judged>,
    feedback: Judged,
}

/// Judgements of one kind.
#[derive(Default, Serialize)]
struct Judged {
    count: u64,
    #[serde(rename = "mean_score")]
    scores: Mean,
    labels: BTreeMap<String, u64>,
}

/// A larger mean is shown by its power of ten. One absurd score would take the whole width.
const SHORT_BELOW: f64 = 1e9;

/// The mean of numbers. JSON has null if there are none.
#[derive(Default)]
struct Mean {
    count: u64,
    sum: f64,
}

impl Mean {
    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    fn shown(&self) -> Option<String> {
        let shown = |mean: f64| match mean.abs() < SHORT_BELOW {
            true => format!("{mean:.3}"),
            false => format!("{mean:.3e}"),
        };
        self.get().map(shown)
    }
}

impl Serialize for Mean {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

/// One name, for `--json`.
#[derive(Serialize)]
pub(super) struct EvaluationObject<'j> {
    name: &'j str,
    #[serde(flatten)]
    judged: &'j Judged,
}

/// Feedback, for `--json`.
#[derive(Serialize)]
pub(super) struct FeedbackObject<'j> {
    count: u64,
    up: u64,
    down: u64,
    mean_score: &'j Mean,
}

impl Judged {
    fn add(&mut self, judgement: &Judgement<'_>) {
        self.count += 1;
        if let Some(score) = judgement.score {
            self.scores.count += 1;
            self.scores.sum += score;
        }
        if let Some(label) = judgement.label {
            *entry(&mut self.labels, label) += 1;
        }
    }

    fn labelled(&self, label: &str) -> u64 {
        self.labels.get(label).copied().unwrap_or(0)
    }

    /// The labels with their counts, the most frequent first.
    fn shown_labels(&self) -> String {
        let mut labels: Vec<_> = self.labels.iter().collect();
        labels.sort_by_key(|(label, count)| (std::cmp::Reverse(**count), *label));
        let shown = labels.iter().map(|(label, count)| format!("{count} {label}"));
        escape_for_terminal(&shown.collect::<Vec<_>>().join(", ")).into_owned()
    }
}

/// The entry of a name, or that of the others if there are too many.
fn entry<'e, T: Default>(entries: &'e mut BTreeMap<String, T>, name: &str) -> &'e mut T {
    let is_known = entries.contains_key(name) || entries.len() < NAMES_MAX;
    entries.entry(if is_known { name } else { OTHER }.to_owned()).or_default()
}

impl Judgements {
    /// Adds a line, if it is one of them.
    pub(super) fn add(&mut self, line: &Line<'_>) {
        match Judgement::of(line) {
            Some(judgement) if judgement.is_feedback => self.feedback.add(&judgement),
            Some(judgement) => entry(&mut self.evaluations, judgement.name).add(&judgement),
            None => {}
        }
    }

    /// The evaluations, those of which there are most first, and so many of them at most.
    pub(super) fn evaluations(&self, rows_max: usize) -> Vec<Block> {
        let mut names: Vec<_> = self.evaluations.iter().collect();
        names.sort_by_key(|(name, judged)| (std::cmp::Reverse(judged.count), *name));
        let header = ["evaluation", "labels", "count", "mean score"].map(str::to_owned);
        let mut table = Table::new(2, header.into());
        for (name, judged) in names.iter().take(rows_max) {
            let mean = judged.scores.shown().unwrap_or_else(|| "-".to_owned());
            let name = escape_for_terminal(name).into_owned();
            table.push(vec![name, judged.shown_labels(), judged.count.to_string(), mean]);
        }
        let mut blocks = Vec::new();
        if !names.is_empty() {
            blocks.push(Block::Table(table));
        }
        let more = names.len().saturating_sub(rows_max);
        if more > 0 {
            let more = format_count(more as u64, "more evaluation");
            blocks.push(Block::Line(format!("{more}: llm-audit stats --type eval --by data.name")));
        }
        blocks
    }

    pub(super) fn feedback(&self) -> Vec<Block> {
        let [up, down] = ["up", "down"].map(|thumb| self.feedback.labelled(thumb));
        let mut lines = Vec::new();
        if up + down > 0 {
            let share = format_share(up as f64, (up + down) as f64);
            lines.push(format!("{up:>8} thumbs up, {down} down ({share} up)"));
        }
        if let Some(mean) = self.feedback.scores.shown() {
            let count = format_count(self.feedback.scores.count, "score");
            lines.push(format!("{mean:>8} on average, of {count}"));
        }
        if lines.is_empty() && self.feedback.count > 0 {
            lines.push(format!("{:>8} without a thumb or a score", self.feedback.count));
        }
        lines.into_iter().map(Block::Line).collect()
    }

    pub(super) fn evaluation_objects(&self) -> Vec<EvaluationObject<'_>> {
        self.evaluations.iter().map(|(name, judged)| EvaluationObject { name, judged }).collect()
    }

    pub(super) fn feedback_object(&self) -> FeedbackObject<'_> {
        let Judged { count, scores, .. } = &self.feedback;
        let [up, down] = ["up", "down"].map(|thumb| self.feedback.labelled(thumb));
        FeedbackObject { count: *count, up, down, mean_score: scores }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_short_whatever_the_scores_are() {
        let shown = |sum| Mean { count: 2, sum }.shown().unwrap();
        assert_eq!([shown(1.5), shown(-5e300), shown(4e9)], ["0.750", "-2.500e300", "2.000e9"]);
    }
}
