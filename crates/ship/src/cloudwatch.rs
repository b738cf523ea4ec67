//! Figures in CloudWatch's embedded metric format: lines of JSON that CloudWatch Logs turns into metrics.
//!
//! The format is that of [its specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//! Lambda reads such lines from standard output. On other machines the CloudWatch agent or the `awslogs` driver does.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use llm_audit_log::Usd;
use llm_audit_log::schema::{Latencies, MetricsRow};
use serde_json::{Map, Number, Value, json};

use crate::since::rows_since;

/// The namespace of the metrics.
const NAMESPACE: &str = "llm-audit";
/// So many agents are told apart, and so many pairs of an agent and a model. CloudWatch bills each metric.
const GROUPS_MAX: usize = 100;
/// What the other ones are counted under.
const OTHER: &str = "other";

/// Makes lines in CloudWatch's embedded metric format, each time of what was counted since the last time.
///
/// There is a line for the service, one for each agent, and one for each model of an agent. The first
/// hundred agents, and as many pairs of an agent and a model, by their number of events, have lines of their own.
/// All other ones share a line with the name `other`.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
///
/// use llm_audit_log::schema::MetricsRow;
/// use llm_audit_ship::cloudwatch::CloudWatchLines;
///
/// # let mut row = MetricsRow::default();
/// # (row.event_type, row.agent, row.events) = ("request.end".to_owned(), "benefits".to_owned(), 2);
/// # let rows = [row];
/// let mut lines = CloudWatchLines::new("desk");
/// // At the end of each invocation, or once a minute:
/// print!("{}", lines.since_last(&rows, SystemTime::now()));
/// assert_eq!(lines.since_last(&rows, SystemTime::now()), "", "nothing is new");
/// ```
#[derive(Clone, Debug)]
pub struct CloudWatchLines {
    service: String,
    written: Vec<MetricsRow>,
}

impl CloudWatchLines {
    /// Returns one that has written nothing yet. The name of the service is a dimension of every metric.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), written: Vec::new() }
    }

    /// Returns what the rows have counted since the last call, as lines of this time. Rows are cumulative: each
    /// call gets all that was counted since the start.
    pub fn since_last(&mut self, rows: &[MetricsRow], at: SystemTime) -> String {
        let new = rows_since(rows, &self.written);
        self.written = rows.to_vec();
        let service = || ("service", dimension(&self.service));
        let agent = |row: &MetricsRow| ("agent", dimension(&row.agent));
        let model = |row: &MetricsRow| ("model", dimension(&row.model));
        let calls = || new.iter().filter(|row| row.is_llm_call());
        let groups = [
            grouped(new.iter(), |_| vec![service()]),
            grouped(new.iter(), |row| vec![service(), agent(row)]),
            grouped(calls(), |row| vec![service(), agent(row), model(row)]),
        ];
        let mut lines = String::new();
        for (dimensions, rows) in groups.into_iter().flatten() {
            lines.push_str(&line(&dimensions, &rows, at));
            lines.push('\n');
        }
        lines
    }
}

/// Names and values, in their order.
type Dimensions = Vec<(&'static str, String)>;

/// Returns the rows by their dimensions. If there are too many groups, those with the fewest events are one.
fn grouped<'a>(
    rows: impl Iterator<Item = &'a MetricsRow>,
    dimensions: impl Fn(&MetricsRow) -> Dimensions,
) -> Vec<(Dimensions, Vec<&'a MetricsRow>)> {
    let mut groups = BTreeMap::<Dimensions, Vec<&MetricsRow>>::new();
    for row in rows {
        groups.entry(dimensions(row)).or_default().push(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    let events = |rows: &[&MetricsRow]| rows.iter().map(|row| row.events).sum::<u64>();
    groups.sort_by_key(|(_, rows)| std::cmp::Reverse(events(rows)));
    let others = groups.split_off(groups.len().min(GROUPS_MAX));
    if let Some((first, _)) = others.first() {
        let is_service = |name: &str| name == "service";
        let name = |(name, value): &(&'static str, String)| {
            (*name, if is_service(name) { value.clone() } else { OTHER.to_owned() })
        };
        let dimensions = first.iter().map(name).collect();
        groups.push((dimensions, others.into_iter().flat_map(|(_, rows)| rows).collect()));
    }
    groups
}

fn line(dimensions: &Dimensions, rows: &[&MetricsRow], at: SystemTime) -> String {
    let figures = figures(rows);
    let metrics: Vec<_> =
        figures.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let names: Vec<_> = dimensions.iter().map(|(name, _)| *name).collect();
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut line = Map::new();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics});
    let timestamp = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let aws = json!({"Timestamp": timestamp, "CloudWatchMetrics": [directive]});
    line.insert("_aws".to_owned(), aws);
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.extend(figures.into_iter().map(|(name, _, value)| (name, Value::Number(value))));
    Value::Object(line).to_string()
}

/// Returns the names, units and values of a line. What did not happen is left out, except errors, so that an
/// alarm on them has data.
fn figures(rows: &[&MetricsRow]) -> Vec<(String, &'static str, Number)> {
    let mut all = MetricsRow::default();
    rows.iter().for_each(|row| all.merge(row));
    let of = |is: fn(&MetricsRow) -> bool| rows.iter().copied().filter(move |row| is(row));
    let events = |is| of(is).map(|row| row.events).sum::<u64>();
    let mut calls = MetricsRow::default();
    of(MetricsRow::is_llm_call).for_each(|row| calls.merge(row));
    let counts = [
        ("events", all.events),
        ("requests", events(MetricsRow::is_request)),
        ("llm_calls", calls.events),
        ("tool_calls", events(MetricsRow::is_tool_call)),
        ("errors", events(MetricsRow::is_error)),
        ("timeouts", events(MetricsRow::is_timeout)),
        ("retries", events(MetricsRow::is_retry)),
        ("tokens_input", calls.tokens_input),
        ("tokens_output", calls.tokens_output),
    ];
    let counts = counts.into_iter().filter(|(name, count)| *count > 0 || *name == "errors");
    let counts = counts.map(|(name, count)| (name.to_owned(), "Count", Number::from(count)));
    let cost = Number::from_f64(calls.cost_usd.as_f64())
        .filter(|_| calls.priced > 0 || calls.cost_usd != Usd::ZERO);
    let cost = cost.map(|cost| ("cost_usd".to_owned(), "None", cost));
    let latencies = latencies("request", rows, MetricsRow::is_request)
        .chain(latencies("llm", rows, MetricsRow::is_llm_call))
        .chain(latencies("tool", rows, MetricsRow::is_tool_call));
    counts.chain(cost).chain(latencies).collect()
}

/// Returns percentiles, because a line cannot contain a histogram.
fn latencies(
    kind: &str,
    rows: &[&MetricsRow],
    is: fn(&MetricsRow) -> bool,
) -> impl Iterator<Item = (String, &'static str, Number)> {
    let mut all = Latencies::default();
    rows.iter().filter(|row| is(row)).for_each(|row| all.merge(&row.latencies));
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)].into_iter().filter_map(move |(name, share)| {
        let ms = all.quantile_ms(share).and_then(Number::from_f64)?;
        Some((format!("{kind}_latency_{name}"), "Milliseconds", ms))
    })
}

/// Returns a value that CloudWatch takes: not empty, of printable ASCII.
fn dimension(value: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let value: String = value.chars().map(plain).take(1_024).collect();
    if value.trim().is_empty() { "-".to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use llm_audit_log::Status;
    use llm_audit_log::schema::latency_bucket;

    use super::*;

    fn row(event_type: &str, agent: &str, model: &str, events: u64) -> MetricsRow {
        let mut row = MetricsRow::default();
        row.event_type = event_type.to_owned();
        row.agent = agent.to_owned();
        row.model = model.to_owned();
        row.events = events;
        row.latencies.add_to_bucket(latency_bucket(2_000), events);
        row
    }

    fn lines(lines: &mut CloudWatchLines, rows: &[MetricsRow]) -> Vec<Value> {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let text = lines.since_last(rows, at);
        assert!(text.is_empty() || text.ends_with('\n'));
        let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().for_each(check);
        lines
    }

    /// Checks a line against the specification's schema and limits.
    fn check(line: &Value) {
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_u64);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 1);
        let namespace = directives[0]["Namespace"].as_str().unwrap();
        assert!((1..=1_024).contains(&namespace.len()));
        let sets = directives[0]["Dimensions"].as_array().unwrap();
        let names: Vec<_> = sets.iter().flat_map(|set| set.as_array().unwrap()).collect();
        assert!(sets.len() == 1 && (1..=30).contains(&names.len()));
        for name in &names {
            let value = line[name.as_str().unwrap()].as_str().unwrap();
            assert!(!value.trim().is_empty() && value.is_ascii() && value.len() <= 1_024);
        }
        let metrics = directives[0]["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
            let unit = metric["Unit"].as_str().unwrap();
            assert!(["Count", "Milliseconds", "None"].contains(&unit), "{unit}");
        }
        assert_eq!(line.as_object().unwrap().len(), 1 + names.len() + metrics.len());
    }

    #[test]
    fn the_lines_of_service_agents_and_models_have_exact_figures() {
        let mut call = row("llm.invoke", "benefits", "gpt-4o", 3);
        (call.tokens_input, call.tokens_output) = (300, 40);
        call.cost_usd = "0.25".parse().unwrap();
        let mut failed = row("tool.error", "search", "", 1);
        failed.status = Status::Error;
        let mut rows = [row("request.end", "benefits", "", 2), call, failed];
        let mut emf = CloudWatchLines::new("desk");
        let first = lines(&mut emf, &rows);
        let names: Vec<_> = first
            .iter()
            .map(|line| [&line["service"], &line["agent"], &line["model"]].map(Value::as_str))
            .collect();
        let expected = [
            [Some("desk"), None, None],
            [Some("desk"), Some("benefits"), None],
            [Some("desk"), Some("search"), None],
            [Some("desk"), Some("benefits"), Some("gpt-4o")],
        ];
        assert_eq!(names, expected);
        let whole = &first[0];
        for (name, value) in [
            ("events", json!(6)),
            ("requests", json!(2)),
            ("llm_calls", json!(3)),
            ("tool_calls", json!(1)),
            ("errors", json!(1)),
            ("tokens_input", json!(300)),
            ("tokens_output", json!(40)),
            ("cost_usd", json!(0.25)),
            ("llm_latency_p95", json!(2.0)),
        ] {
            assert_eq!(whole[name], value, "{name}");
        }
        assert_eq!((&first[1]["errors"], first[1].get("timeouts")), (&json!(0), None));

        rows[0].events = 7;
        let second = lines(&mut emf, &rows);
        assert_eq!(second.len(), 2);
        assert!(second.iter().all(|line| line["requests"] == 5 && line["events"] == 5));
        assert_eq!(lines(&mut emf, &rows).len(), 0);
    }

    #[test]
    fn dimensions_are_bounded_and_lose_no_event() {
        let rows: Vec<_> =
            (0..1_000).map(|n| row("llm.invoke", "a", &format!("модель-{n}"), n + 1)).collect();
        let lines = lines(&mut CloudWatchLines::new(""), &rows);
        assert_eq!(lines.len(), 2 + GROUPS_MAX + 1);
        let models = lines.iter().filter(|line| line.get("model").is_some());
        assert_eq!(models.map(|line| line["events"].as_u64().unwrap()).sum::<u64>(), 500_500);
        let last = lines.last().unwrap();
        assert_eq!([&last["service"], &last["agent"], &last["model"]], ["-", OTHER, OTHER]);
        assert_eq!(lines[2]["model"], "??????-999");
    }
}
