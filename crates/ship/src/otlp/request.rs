//! Rows of figures as a request of OTLP.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use llm_audit_log::Usd;
use llm_audit_log::schema::MetricsRow;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::conventions::{
    Amount, Attribute, Conventions, OWN_BOUNDS, Part, Spread, SpreadPart, Total, Values,
};
use super::{Counter, Figures, Timing};

/// Names and values of one point.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// What all points of a request have in common.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) from: SystemTime,
    pub(super) to: SystemTime,
    /// Whether the figures are those of the period alone. Otherwise a later request contains them again.
    pub(super) is_delta: bool,
}

/// Returns the request that contains the figures.
pub(super) fn request_of(
    figures: &Figures,
    period: Period,
    conventions: Conventions,
    resource: &[(String, String)],
) -> ExportMetricsServiceRequest {
    let Figures { rows, counters, gauges, timings } = figures;
    let spreads = conventions.spreads().map(|spread| histogram_of(rows, spread, period));
    let totals = conventions.totals().map(|total| sum_of(rows, total, period));
    let counters = counters.iter().map(|counter| own_sum_of(counter, period));
    let gauges = gauges.iter().map(|gauge| own_gauge_of(gauge, period));
    let timings = timings.iter().map(|timing| own_histogram_of(timing, period));
    let metrics =
        spreads.chain(totals).chain(counters).chain(gauges).chain(timings).flatten().collect();
    let scope = InstrumentationScope {
        name: "llm-audit".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let attributes = resource.iter().map(|(name, value)| attribute(name, value)).collect();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// Returns a histogram, or `None` if there is nothing in it.
fn histogram_of(rows: &[MetricsRow], of: &Spread, period: Period) -> Option<Metric> {
    let mut points: BTreeMap<Labels<'_>, Buckets> = BTreeMap::new();
    for row in rows.iter().filter(|row| (of.of)(row)) {
        for SpreadPart { attribute, values } in of.parts {
            let values = values(row);
            if !values.is_empty() {
                let labels = labels(row, of.attributes).into_iter().chain(*attribute).collect();
                points.entry(labels).or_default().add(values, of.bounds);
            }
        }
    }
    let points = points.into_iter();
    let points = points.map(|(labels, buckets)| buckets.point(&labels, of.bounds, period));
    let data = histogram(points.collect(), period)?;
    Some(metric(of.name, of.description, of.unit, data))
}

/// Returns the histogram of what the recorder measures of itself.
fn own_histogram_of(of: &Timing, period: Period) -> Option<Metric> {
    let values = Values::Times(&of.latencies, of.ms_sum);
    let mut buckets = Buckets::default();
    buckets.add(values, OWN_BOUNDS);
    let points = (!values.is_empty()).then(|| buckets.point(&Vec::new(), OWN_BOUNDS, period));
    let data = histogram(points.into_iter().collect(), period)?;
    Some(metric(&own_name(of.name), of.description, "s", data))
}

fn histogram(data_points: Vec<HistogramDataPoint>, period: Period) -> Option<Data> {
    let aggregation_temporality = temporality(period);
    let is_empty = data_points.is_empty();
    (!is_empty).then_some(Data::Histogram(Histogram { data_points, aggregation_temporality }))
}

/// The counts of the buckets of a point, and the sum of its values.
#[derive(Default)]
struct Buckets {
    counts: Vec<u64>,
    sum: f64,
}

impl Buckets {
    fn add(&mut self, values: Values<'_>, bounds: &[f64]) {
        let counts = values.bucket_counts(bounds);
        self.counts.resize(counts.len(), 0);
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum = sum.saturating_add(count);
        }
        self.sum += values.sum();
    }

    fn point(self, labels: &Labels<'_>, bounds: &[f64], period: Period) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: unix_nanos(period.from),
            time_unix_nano: unix_nanos(period.to),
            count: self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            sum: Some(self.sum),
            bucket_counts: self.counts,
            explicit_bounds: bounds.to_vec(),
            ..HistogramDataPoint::default()
        }
    }
}

impl Values<'_> {
    fn is_empty(self) -> bool {
        match self {
            Self::Times(times, _) => times.count() == 0,
            Self::Tokens(calls, _) => calls.count() == 0,
        }
    }

    fn bucket_counts(self, bounds: &[f64]) -> Vec<u64> {
        let times = match self {
            Self::Times(times, _) => times,
            Self::Tokens(calls, _) => return calls.counts().to_vec(),
        };
        let mut below = 0;
        let up_to = bounds.iter().map(|seconds| times.count_to_ms(seconds * 1_000.0));
        let counts = up_to.chain([times.count()]);
        counts.map(|up_to| up_to - std::mem::replace(&mut below, up_to)).collect()
    }

    fn sum(self) -> f64 {
        match self {
            Self::Times(_, ms) => ms / 1_000.0,
            Self::Tokens(_, tokens) => tokens as f64,
        }
    }
}

/// Returns a sum, or `None` if it is zero everywhere.
fn sum_of(rows: &[MetricsRow], of: &Total, period: Period) -> Option<Metric> {
    let mut points: BTreeMap<Labels<'_>, Amount> = BTreeMap::new();
    for row in rows.iter().filter(|row| (of.of)(row)) {
        for Part { attribute, value } in of.parts {
            let amount = value(row);
            if !amount.is_zero() {
                let labels = labels(row, of.attributes).into_iter().chain(*attribute).collect();
                let sum = points.entry(labels);
                sum.and_modify(|sum| *sum = sum.plus(amount)).or_insert(amount);
            }
        }
    }
    let points = points.into_iter().map(|(labels, amount)| amount.point(&labels, period));
    let data = sum(points.collect(), period)?;
    Some(metric(of.name, of.description, of.unit, data))
}

/// Returns the sum of what the recorder counts beside events.
fn own_sum_of(of: &Counter, period: Period) -> Option<Metric> {
    let counts = of.counts.iter().filter(|(_, count)| *count > 0);
    let data = sum(counts.map(|count| own_point_of(of, count, period)).collect(), period)?;
    Some(metric(&own_name(of.name), of.description, of.unit, data))
}

/// Returns the gauge of what the recorder measures at this time, or `None` if there is nothing.
fn own_gauge_of(of: &Counter, period: Period) -> Option<Metric> {
    let points = of.counts.iter().map(|count| own_point_of(of, count, period));
    let data = (!of.counts.is_empty()).then(|| Gauge { data_points: points.collect() })?;
    Some(metric(&own_name(of.name), of.description, of.unit, Data::Gauge(data)))
}

fn own_point_of(of: &Counter, (value, count): &(String, u64), period: Period) -> NumberDataPoint {
    let labels = [(of.label, value.as_str())].into_iter().filter(|(name, _)| !name.is_empty());
    Amount::Count(*count).point(&labels.collect(), period)
}

fn own_name(name: &str) -> String {
    format!("llm_audit.{name}")
}

fn sum(data_points: Vec<NumberDataPoint>, period: Period) -> Option<Data> {
    let aggregation_temporality = temporality(period);
    let is_empty = data_points.is_empty();
    (!is_empty).then_some(Data::Sum(Sum {
        data_points,
        aggregation_temporality,
        is_monotonic: true,
    }))
}

impl Amount {
    fn is_zero(self) -> bool {
        match self {
            Self::Count(count) => count == 0,
            Self::Money(money) => money == Usd::ZERO,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Count(one), Self::Count(two)) => Self::Count(one.saturating_add(two)),
            (Self::Money(one), Self::Money(two)) => Self::Money(one + two),
            _ => unreachable!("the parts of a metric have one kind of amount"),
        }
    }

    fn point(self, labels: &Labels<'_>, period: Period) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: unix_nanos(period.from),
            time_unix_nano: unix_nanos(period.to),
            value: Some(self.value()),
            ..NumberDataPoint::default()
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Count(count) => Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
            Self::Money(money) => Value::AsDouble(money.as_f64()),
        }
    }
}

fn labels<'a>(row: &'a MetricsRow, of: &[Attribute]) -> Labels<'a> {
    let labels = of.iter().map(|(name, read)| (*name, read(row)));
    labels.filter(|(_, value)| !value.is_empty()).collect()
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn temporality(period: Period) -> i32 {
    match period.is_delta {
        true => AggregationTemporality::Delta.into(),
        false => AggregationTemporality::Cumulative.into(),
    }
}

fn attributes(labels: &Labels<'_>) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
