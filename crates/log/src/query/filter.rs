//! The filters that every subcommand has.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Expression;
use super::timeline::MINUTE;
use crate::schema::{Line, MetricsRow, Status};

/// Which events are wanted. A field that is `None` or empty asks for nothing.
///
/// # Examples
///
/// ```
/// use llm_audit_log::{Filter, parse};
///
/// let mut filter = Filter::default();
/// filter.event_type = Some("tool".to_owned());
/// filter.slower = Some(500.0);
/// let mut line = br#"{"event_type":"tool.result","latency_ms":812.5}"#.to_vec();
/// assert!(filter.matches(&parse(&mut line)?));
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Not before this time, in microseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Before this time, in microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// This agent.
    pub agent: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// This event type, or all below it: `tool` is `tool.call`, `tool.result` and `tool.error`.
    pub event_type: Option<String>,
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// Models whose name begins so, whatever the case; [`Line::model`] finds it.
    pub model: Option<String>,
    /// Traces whose id begins so, in lower case.
    pub trace: Option<String>,
    /// Slower than this, in milliseconds.
    pub slower: Option<f64>,
    /// What holds besides.
    pub expression: Option<Expression>,
}

impl Filter {
    /// Whether the line is wanted. A line without the field that is asked for is not.
    pub fn matches(&self, line: &Line<'_>) -> bool {
        self.matches_time(line)
            && self.agent.as_deref().is_none_or(|agent| line.agent() == Some(agent))
            && self.action.as_deref().is_none_or(|action| line.action() == Some(action))
            && is_among(&self.statuses, line.status())
            && self.event_type.as_ref().is_none_or(|wanted| is_below(wanted, line.event_type()))
            && self.slower.is_none_or(|least| line.latency_ms().is_some_and(|took| took > least))
            && self.trace.as_ref().is_none_or(|id| begins_with(line.trace_id(), id))
            && self.model.as_ref().is_none_or(|model| begins_with(line.model(), model))
            && self.expression.as_ref().is_none_or(|expression| expression.matches(line))
    }

    /// Whether the labels of totals say which events are wanted, and whole minutes when.
    pub(super) fn is_of_labels(&self) -> bool {
        let Self { since, until, trace, slower, expression, .. } = self;
        let has_minutes =
            since.zip(*until).is_none_or(|(since, until)| minute_of(since) < minute_of(until));
        trace.is_none() && slower.is_none() && expression.is_none() && has_minutes
    }

    /// Whether both times are in the period.
    pub(super) fn is_within(&self, first: i64, last: i64) -> bool {
        self.since.is_none_or(|since| first >= since) && self.until.is_none_or(|until| last < until)
    }

    /// Whether the minute that begins at this time is wanted: the one with `since` is, the one with `until`
    /// is not. So the events of periods side by side add up.
    pub(super) fn matches_minute(&self, minute: i64) -> bool {
        self.since.is_none_or(|since| minute >= minute_of(since))
            && self.until.is_none_or(|until| minute < minute_of(until))
    }

    /// Whether the events of a row of totals are wanted, if its minute is.
    pub(super) fn matches_row(&self, row: &MetricsRow) -> bool {
        let is = |wanted: &Option<String>, label: &str| {
            wanted.as_ref().is_none_or(|wanted| !label.is_empty() && wanted == label)
        };
        is(&self.agent, &row.agent)
            && is(&self.action, &row.action)
            && is_among(&self.statuses, Some(row.status))
            && self.event_type.as_ref().is_none_or(|wanted| is_below(wanted, Some(&row.event_type)))
            && self.model.as_ref().is_none_or(|model| begins_with(Some(&row.model), model))
    }

    /// Whether an event type is the one that is asked for, or below it.
    pub fn is_type_below(wanted: &str, event_type: &str) -> bool {
        is_below(wanted, Some(event_type))
    }

    fn matches_time(&self, line: &Line<'_>) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        line.timestamp().is_some_and(|time| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        })
    }
}

/// The beginning of a minute.
fn minute_of(time: i64) -> i64 {
    time - time.rem_euclid(MINUTE)
}

/// Reads a time as people write it, such as `2026-01-02` or `2026-01-02T03:04:05Z`, in microseconds since
/// the Unix epoch. Without an offset it is UTC, as all times of a log are.
pub fn parse_time(text: &str) -> Option<i64> {
    parse_moment(text).map(Timestamp::as_microsecond)
}

pub(super) fn parse_moment(text: &str) -> Option<Timestamp> {
    let civil = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(civil)
}

fn is_among(wanted: &[Status], status: Option<Status>) -> bool {
    wanted.is_empty() || status.is_some_and(|status| wanted.contains(&status))
}

fn is_below(wanted: &str, event_type: Option<&str>) -> bool {
    event_type
        .and_then(|found| found.strip_prefix(wanted))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || wanted.ends_with('.'))
}

/// Whether a text begins so, in upper or lower case.
fn begins_with(text: Option<&str>, start: &str) -> bool {
    let head = text.and_then(|text| text.get(..start.len()));
    head.is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"trace_id":"0AF7651916cd43dd8448eb211c80319c",
        "timestamp":"2026-01-02T03:04:05Z","event_type":"tool.error","agent":"planner",
        "action":"search","status":"error","latency_ms":500,"data":{"model":"gpt-4o-mini"}}"#;

    fn is_wanted(filter: &Filter) -> bool {
        let mut line = LINE.as_bytes().to_vec();
        filter.matches(&crate::parse(&mut line).unwrap())
    }

    #[test]
    fn each_filter_decides_by_its_field() {
        let text = |text: &str| Some(text.to_owned());
        let time = 1_767_323_045_000_000;
        let none = Filter::default;
        assert!(is_wanted(&none()));
        for (yes, no) in [
            (Filter { since: Some(time), ..none() }, Filter { since: Some(time + 1), ..none() }),
            (Filter { until: Some(time + 1), ..none() }, Filter { until: Some(time), ..none() }),
            (Filter { agent: text("planner"), ..none() }, Filter { agent: text("p"), ..none() }),
            (Filter { action: text("search"), ..none() }, Filter { action: text("s"), ..none() }),
            (
                Filter { event_type: text("tool"), ..none() },
                Filter { event_type: text("too"), ..none() },
            ),
            (
                Filter { event_type: text("tool.error"), ..none() },
                Filter { event_type: text("tool.err"), ..none() },
            ),
            (
                Filter { statuses: vec![Status::Timeout, Status::Error], ..none() },
                Filter { statuses: vec![Status::Timeout, Status::Ok], ..none() },
            ),
            (Filter { model: text("gpt-4o"), ..none() }, Filter { model: text("gpt-5"), ..none() }),
            (Filter { trace: text("0af7"), ..none() }, Filter { trace: text("af7"), ..none() }),
            (Filter { slower: Some(499.9), ..none() }, Filter { slower: Some(500.0), ..none() }),
            (
                Filter { expression: "data.model ~ '4O'".parse().ok(), ..none() },
                Filter { expression: "data.model ~ '5'".parse().ok(), ..none() },
            ),
        ] {
            assert!(is_wanted(&yes), "{yes:?}");
            assert!(!is_wanted(&no), "{no:?}");
        }
    }

    #[test]
    fn a_line_without_the_field_is_not_wanted() {
        let mut line = br#"{"event_type":"audit.stop"}"#.to_vec();
        let line = crate::parse(&mut line).unwrap();
        for filter in [
            Filter { since: Some(i64::MIN), ..Filter::default() },
            Filter { slower: Some(-1.0), ..Filter::default() },
            Filter { statuses: Status::ALL.to_vec(), ..Filter::default() },
            Filter { model: Some(String::new()), ..Filter::default() },
            Filter { trace: Some(String::new()), ..Filter::default() },
        ] {
            assert!(!filter.matches(&line), "{filter:?}");
        }
    }
}
