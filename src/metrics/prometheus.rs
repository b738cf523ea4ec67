//! The figures as Prometheus reads them: its text format 0.0.4, and OpenMetrics 1.0.

use std::collections::BTreeMap;
use std::fmt;

use llm_audit_log::Usd;
use llm_audit_log::schema::Latencies;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::own::{OwnUnit, own_counters, own_gauges, own_timings};
use super::{Accounting, Metrics, MetricsRow, TokenKinds};

/// Upper bounds of the buckets in seconds: those that OpenTelemetry advises for
/// [`gen_ai.client.operation.duration`](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
const BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Upper bounds in seconds for what the recorder measures of itself, which is mostly short.
const OWN_BUCKETS: [f64; 11] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// A format that Prometheus scrapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// The text format of Prometheus, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl TextFormat {
    /// Returns the format that a scraper asks for by its `Accept` header. Without one it is that of Prometheus.
    pub fn from_accept(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Returns the `Content-Type` of the format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Returns the figures of a logger as a page that Prometheus scrapes.
///
/// All names begin with `llm_audit_`. Times are in seconds, and money is in US dollars. The registry of the
/// application is not touched.
///
/// # Examples
///
/// ```
/// use llm_audit::metrics::{TextFormat, prometheus_text};
/// use llm_audit::{AuditEvent, AuditLogger, EventType};
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let logger = AuditLogger::builder().directory(&folder).build()?;
/// logger.emit(&AuditEvent::new(EventType::RequestEnd, "benefits", "answer").latency_ms(90.0));
///
/// let page = prometheus_text(&logger.metrics(), &logger.accounting(), TextFormat::Prometheus);
/// let line = r#"llm_audit_requests_total{agent="benefits",action="answer",tenant="",status="ok"} 1"#;
/// assert!(page.contains(line), "{page}");
/// # drop(logger);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
pub fn prometheus_text(metrics: &Metrics, accounting: &Accounting, format: TextFormat) -> String {
    let mut registry = Registry::with_prefix("llm_audit");
    registry.register_collector(Box::new(Exposition(metrics.clone(), accounting.clone())));
    let mut page = String::new();
    let written = match format {
        TextFormat::Prometheus => prometheus_text::encode(&mut page, &registry),
        TextFormat::OpenMetrics => text::encode(&mut page, &registry),
    };
    // Nothing here fails, and writing into a string does not either.
    debug_assert!(written.is_ok());
    page
}

#[derive(Debug)]
struct Exposition(Metrics, Accounting);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let Self(metrics, accounting) = self;
        let mut page = Page { encoder, rows: &metrics.rows };
        page.write_operations()?;
        page.write_failures()?;
        page.write_tokens_and_cost()?;
        page.write_latencies()?;
        page.write_objectives(metrics)?;
        page.write_gauges(metrics, accounting)?;
        page.write_shipping(metrics)?;
        page.write_recorder(metrics, accounting)
    }
}

struct Page<'e, 'a> {
    encoder: DescriptorEncoder<'e>,
    rows: &'a [MetricsRow],
}

/// Names of labels, each with how it is read from a row.
type LabelNames = [(&'static str, fn(&MetricsRow) -> &str)];

const AGENT: (&str, fn(&MetricsRow) -> &str) = ("agent", |row| &row.agent);
const ACTION: (&str, fn(&MetricsRow) -> &str) = ("action", |row| &row.action);
const MODEL: (&str, fn(&MetricsRow) -> &str) = ("model", |row| &row.model);
const TENANT: (&str, fn(&MetricsRow) -> &str) = ("tenant", |row| &row.tenant);
const STATUS: (&str, fn(&MetricsRow) -> &str) = ("status", |row| row.status.name());
const EVENT_TYPE: (&str, fn(&MetricsRow) -> &str) = ("event_type", |row| &row.event_type);

impl<'a> Page<'_, 'a> {
    fn write_operations(&mut self) -> fmt::Result {
        let by = &[AGENT, ACTION, TENANT, STATUS];
        self.write_events("requests", "Requests that ended", by, MetricsRow::is_request)?;
        self.write_events("tool_calls", "Tool calls that ended", by, MetricsRow::is_tool_call)?;
        let by = &[AGENT, ACTION, MODEL, TENANT, STATUS];
        self.write_events("llm_calls", "Model calls that ended", by, MetricsRow::is_llm_call)?;
        self.write_events("events", "Events, before sampling", &[EVENT_TYPE, STATUS], |_| true)
    }

    fn write_failures(&mut self) -> fmt::Result {
        let by = &[EVENT_TYPE, AGENT, ACTION];
        self.write_events("errors", "Events with the status error", by, MetricsRow::is_error)?;
        self.write_events(
            "timeouts",
            "Events with the status timeout",
            by,
            MetricsRow::is_timeout,
        )?;
        self.write_events("retries", "Steps that are tried again", by, MetricsRow::is_retry)
    }

    fn write_tokens_and_cost(&mut self) -> fmt::Result {
        let by = &[AGENT, MODEL, TENANT];
        let tokens = self.sums(by, MetricsRow::is_llm_call, |sum: &mut [u64; 2], row| {
            sum[0] = sum[0].saturating_add(row.tokens_input);
            sum[1] = sum[1].saturating_add(row.tokens_output);
        });
        let help = "Tokens of model calls, input including cached ones, output including reasoning";
        let tokens = tokens.into_iter().flat_map(|(labels, sums)| {
            let directions = ["input", "output"].into_iter().zip(sums);
            directions.map(move |(direction, tokens)| {
                let direction = ("direction", direction);
                (labels.iter().copied().chain([direction]).collect::<Vec<_>>(), tokens)
            })
        });
        self.write_counters("tokens", help, None, tokens)?;
        let kinds =
            self.sums(by, MetricsRow::is_llm_call, |sum: &mut MetricsRow, row| sum.merge(row));
        let kinds = kinds.into_iter().flat_map(|(labels, sum)| {
            let counts = TokenKinds::NAMES.into_iter().zip(sum.usage.counts());
            counts.filter(|(_, count)| *count > 0).map(move |(kind, tokens)| {
                (labels.iter().copied().chain([("kind", kind)]).collect::<Vec<_>>(), tokens)
            })
        });
        let help = "Parts of the tokens of model calls, by kind. Kinds may overlap";
        self.write_counters("token_kinds", help, None, kinds)?;
        let costs =
            self.sums(by, MetricsRow::is_llm_call, |sum: &mut Usd, row| *sum += row.cost_usd);
        let costs = costs.into_iter().map(|(labels, cost)| (labels, cost.as_f64()));
        let help = "Cost of model calls whose price is known, in US dollars";
        self.write_counters("cost", help, Some(&Unit::Other("usd".to_owned())), costs)
    }

    fn write_latencies(&mut self) -> fmt::Result {
        let by = &[AGENT, ACTION];
        self.write_histogram(
            "request_latency",
            "How long requests took",
            by,
            MetricsRow::is_request,
        )?;
        self.write_histogram(
            "tool_latency",
            "How long tool calls took",
            by,
            MetricsRow::is_tool_call,
        )?;
        let by = &[AGENT, MODEL];
        self.write_histogram(
            "llm_latency",
            "How long model calls took",
            by,
            MetricsRow::is_llm_call,
        )
    }

    fn write_objectives(&mut self, metrics: &Metrics) -> fmt::Result {
        let counters = metrics.objectives.iter().flat_map(|of| {
            let results = [("good", of.good), ("bad", of.bad)];
            results.map(|(result, count)| ([("slo", &*of.slo), ("result", result)], count))
        });
        self.write_counters("slo_events", "Events that an objective counts", None, counters)
    }

    fn write_gauges(&mut self, metrics: &Metrics, accounting: &Accounting) -> fmt::Result {
        let active = metrics.active_traces();
        let help = "Traces whose request has started and not ended";
        self.write_gauge("active_traces", help, active)?;
        let help = "Events that wait for the writer, or are held";
        self.write_gauge("queue_size", help, accounting.queued)
    }

    /// Writes how far the destinations are that this process ships to.
    fn write_shipping(&mut self, metrics: &Metrics) -> fmt::Result {
        for of in own_gauges(metrics).iter().filter(|of| !of.counts.is_empty()) {
            let unit = match of.unit {
                OwnUnit::Bytes => Some(Unit::Bytes),
                OwnUnit::Seconds => Some(Unit::Seconds),
                _ => None,
            };
            let suffix = unit.as_ref().map_or(String::new(), |unit| format!("_{}", unit.as_str()));
            let name = of.name.strip_suffix(&*suffix).unwrap_or(of.name);
            let kind = MetricType::Gauge;
            let mut family =
                self.encoder.encode_descriptor(name, of.description, unit.as_ref(), kind)?;
            for (value, count) in &of.counts {
                let labels = [(of.label, value.as_str())];
                let mut metric = family.encode_family(&labels)?;
                metric.encode_gauge(&i64::try_from(*count).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }

    fn write_recorder(&mut self, metrics: &Metrics, accounting: &Accounting) -> fmt::Result {
        for of in own_counters(metrics, accounting) {
            let unit = (of.unit == OwnUnit::Bytes).then_some(&Unit::Bytes);
            let labels =
                |value| Vec::from_iter((!of.label.is_empty()).then_some((of.label, value)));
            let counts = of.counts.iter().map(|(value, count)| (labels(value.as_str()), *count));
            self.write_counters(of.name, of.description, unit, counts)?;
        }
        for of in own_timings(metrics) {
            let times = (of.timings.ms_sum / 1_000.0, of.timings.latencies.clone());
            let points = [(Vec::new(), times)].into_iter().collect();
            self.write_histograms(of.name, of.description, &OWN_BUCKETS, points)?;
        }
        Ok(())
    }

    /// Writes how many events there are, by labels.
    fn write_events(
        &mut self,
        name: &str,
        help: &str,
        by: &LabelNames,
        of: fn(&MetricsRow) -> bool,
    ) -> fmt::Result {
        let sums = self.sums(by, of, |sum: &mut u64, row| *sum += row.events);
        self.write_counters(name, help, None, sums)
    }

    fn write_counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        counters: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in counters {
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn write_gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn write_histogram(
        &mut self,
        name: &str,
        help: &str,
        by: &LabelNames,
        of: fn(&MetricsRow) -> bool,
    ) -> fmt::Result {
        let sums = self.sums(by, of, |(sum, all): &mut (f64, Latencies), row| {
            *sum += row.latency_ms_sum / 1_000.0;
            all.merge(&row.latencies);
        });
        self.write_histograms(name, help, &BUCKETS, sums)
    }

    /// Writes times by their labels, each with its sum in seconds.
    fn write_histograms(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[f64],
        times: BTreeMap<Vec<(&str, &str)>, (f64, Latencies)>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut family = self.encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (labels, (sum, latencies)) in times.iter().filter(|(_, times)| times.1.count() > 0) {
            let mut below = 0;
            let bounds = bounds.iter().map(|seconds| {
                let upto = latencies.count_to_ms(seconds * 1_000.0);
                (*seconds, upto - std::mem::replace(&mut below, upto))
            });
            let mut buckets: Vec<_> = bounds.collect();
            buckets.push((f64::INFINITY, latencies.count() - below));
            let mut metric = family.encode_family(labels)?;
            metric.encode_histogram::<NoLabelSet>(*sum, latencies.count(), &buckets, None)?;
        }
        Ok(())
    }

    /// Adds up rows that have the same labels.
    fn sums<S: Default>(
        &self,
        by: &LabelNames,
        of: fn(&MetricsRow) -> bool,
        add: impl Fn(&mut S, &MetricsRow),
    ) -> BTreeMap<Vec<(&'static str, &'a str)>, S> {
        let mut sums = BTreeMap::new();
        for row in self.rows.iter().filter(|row| of(row)) {
            let labels = by.iter().map(|(name, read)| (*name, read(row))).collect();
            add(sums.entry(labels).or_default(), row);
        }
        sums
    }
}
