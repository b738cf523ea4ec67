//! The documents of OpenSLO, as they are written.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::{API_VERSION, SOURCE_TYPE};
use crate::alert::Severity;
use crate::objectives::{Payer, Selection};
use crate::span::Span;

/// One document of the file.
pub(super) struct Document {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
}

pub(super) enum Spec {
    Slo(Box<SloSpec>),
    Sli(SliSpec),
    AlertPolicy(PolicySpec),
    AlertCondition(ConditionSpec),
    /// A kind that says nothing of objectives, such as `Service`.
    Other,
}

#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
}

/// Reads the members one by one, so that what is in `spec` keeps its place.
struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OpenSLO document with `apiVersion`, `kind`, `metadata` and `spec`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let (mut kind, mut metadata, mut spec) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                DocumentKey::ApiVersion => {
                    map.next_value::<ApiVersion>()?;
                }
                DocumentKey::Kind => kind = Some(map.next_value::<String>()?),
                DocumentKey::Metadata => metadata = Some(map.next_value()?),
                DocumentKey::Spec => {
                    spec = Some(match kind.as_deref() {
                        Some("SLO") => Spec::Slo(map.next_value()?),
                        Some("SLI") => Spec::Sli(map.next_value()?),
                        Some("AlertPolicy") => Spec::AlertPolicy(map.next_value()?),
                        Some("AlertCondition") => Spec::AlertCondition(map.next_value()?),
                        Some(_) => map.next_value::<IgnoredAny>().map(|_| Spec::Other)?,
                        None => return Err(de::Error::custom("`kind` has to come before `spec`")),
                    });
                }
            }
        }
        let metadata = metadata.ok_or_else(|| de::Error::missing_field("metadata"))?;
        Ok(Document { metadata, spec: spec.ok_or_else(|| de::Error::missing_field("spec"))? })
    }
}

/// The members of a document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum DocumentKey {
    ApiVersion,
    Kind,
    Metadata,
    Spec,
}

/// `openslo/v1`.
struct ApiVersion;

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_only(API_VERSION, deserializer).map(|()| Self)
    }
}

/// Reads a text that has to be this one.
fn read_only<'de, D: Deserializer<'de>>(accepted: &str, deserializer: D) -> Result<(), D::Error> {
    let given = String::deserialize(deserializer)?;
    match given == accepted {
        true => Ok(()),
        false => Err(de::Error::custom(format_args!(
            "\"{given}\" is not accepted; accepted: {accepted}"
        ))),
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SloSpec {
    #[serde(default)]
    pub(super) description: String,
    #[serde(rename = "service")]
    _service: Option<String>,
    pub(super) indicator: Option<InlineSli>,
    pub(super) indicator_ref: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) time_window: Vec<TimeWindow>,
    pub(super) budgeting_method: Option<Spanned<String>>,
    pub(super) objectives: Spanned<Vec<SloObjective>>,
    pub(super) alert_policies: Option<Vec<PolicyEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InlineSli {
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    pub(super) spec: SliSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TimeWindow {
    pub(super) duration: Span,
    pub(super) is_rolling: Option<Spanned<bool>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SloObjective {
    #[serde(rename = "displayName")]
    _display_name: Option<String>,
    pub(super) op: Option<Spanned<String>>,
    pub(super) value: Option<Spanned<f64>>,
    pub(super) target: Option<Spanned<f64>>,
    pub(super) target_percent: Option<Spanned<f64>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SliSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    pub(super) ratio_metric: Option<RatioMetric>,
    pub(super) threshold_metric: Option<Metric<Measured>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RatioMetric {
    #[serde(rename = "counter")]
    _counter: Option<bool>,
    pub(super) bad: Option<Metric<Selection>>,
    pub(super) good: Option<Metric<Selection>>,
    pub(super) total: Metric<Selection>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metric<S> {
    pub(super) metric_source: MetricSource<S>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MetricSource<S> {
    #[serde(rename = "metricSourceRef")]
    _metric_source_ref: Option<String>,
    #[serde(rename = "type")]
    _source_type: SourceType,
    pub(super) spec: S,
}

/// `llm-audit`.
#[derive(Clone)]
struct SourceType;

impl<'de> Deserialize<'de> for SourceType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_only(SOURCE_TYPE, deserializer).map(|()| Self)
    }
}

/// The `spec` of a threshold metric.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    pub(super) measure: Measure,
    #[serde(default)]
    pub(super) of: Selection,
    pub(super) by: Option<Payer>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    LatencyMs,
    CostUsd,
}

/// The name of a policy, or the policy itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyEntry {
    pub(super) alert_policy_ref: Option<Spanned<String>>,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    pub(super) spec: Option<PolicySpec>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicySpec {
    pub(super) conditions: Vec<ConditionEntry>,
}

/// The name of a condition, or the condition itself.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConditionEntry {
    pub(super) condition_ref: Option<Spanned<String>>,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: Option<ConditionSpec>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    pub(super) severity: Severity,
    pub(super) condition: BurnCondition,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BurnCondition {
    pub(super) kind: Spanned<String>,
    #[serde(rename = "op")]
    _op: Option<String>,
    pub(super) threshold: Spanned<f64>,
    pub(super) lookback_window: Spanned<Span>,
    #[serde(rename = "alertAfter")]
    _alert_after: Option<String>,
}
