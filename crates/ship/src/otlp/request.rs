//! Rows of figures as a request of OTLP.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use llm_audit_log::Usd;
use llm_audit_log::schema::{Latencies, MetricsRow};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::conventions::{Amount, Attribute, Conventions, Part, Times, Total};

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

/// Returns the request that contains the figures of the rows.
pub(super) fn request_of(
    rows: &[MetricsRow],
    period: Period,
    conventions: Conventions,
    resource: &[(String, String)],
) -> ExportMetricsServiceRequest {
    let times = conventions.times().iter().map(|times| histogram_of(rows, times, period));
    let totals = conventions.totals().map(|total| sum_of(rows, total, period));
    let metrics = times.chain(totals).flatten().collect();
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
fn histogram_of(rows: &[MetricsRow], of: &Times, period: Period) -> Option<Metric> {
    let mut points: BTreeMap<Labels<'_>, (Latencies, f64)> = BTreeMap::new();
    for row in rows.iter().filter(|row| (of.of)(row)) {
        let (times, sum_ms) = (of.times)(row);
        if times.count() > 0 {
            let point = points.entry(labels(row, of.attributes)).or_default();
            point.0.merge(times);
            point.1 += sum_ms / 1_000.0;
        }
    }
    let data_points: Vec<_> = points
        .into_iter()
        .map(|(labels, (times, sum))| HistogramDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: unix_nanos(period.from),
            time_unix_nano: unix_nanos(period.to),
            count: times.count(),
            sum: Some(sum),
            bucket_counts: bucket_counts(&times, of.bounds),
            explicit_bounds: of.bounds.to_vec(),
            ..HistogramDataPoint::default()
        })
        .collect();
    let data = Histogram { data_points, aggregation_temporality: temporality(period) };
    let is_empty = data.data_points.is_empty();
    (!is_empty).then(|| metric(of.name, of.description, "s", Data::Histogram(data)))
}

fn bucket_counts(times: &Latencies, bounds: &[f64]) -> Vec<u64> {
    let mut below = 0;
    let up_to = bounds.iter().map(|seconds| times.count_to_ms(seconds * 1_000.0));
    let counts = up_to.chain([times.count()]);
    counts.map(|up_to| up_to - std::mem::replace(&mut below, up_to)).collect()
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
    let data_points: Vec<_> = points
        .into_iter()
        .map(|(labels, amount)| NumberDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: unix_nanos(period.from),
            time_unix_nano: unix_nanos(period.to),
            value: Some(amount.value()),
            ..NumberDataPoint::default()
        })
        .collect();
    let aggregation_temporality = temporality(period);
    let data = Sum { data_points, aggregation_temporality, is_monotonic: true };
    let is_empty = data.data_points.is_empty();
    (!is_empty).then(|| metric(of.name, of.description, of.unit, Data::Sum(data)))
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
