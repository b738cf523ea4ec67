//! `alert.fired`, `alert.resolved`: an alert rule is broken, or is not broken any more.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Notice, NoticeType};
use crate::json::Json;
use crate::schema::{FieldShape, Time, spelled_time};

/// `alert.fired` and `alert.resolved`: what an alert was about when it changed its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AlertChange {
    pub rule: String,
    pub objective: String,
    /// The service that the rule judged.
    pub service: String,
    pub severity: String,
    /// The user or tenant that it is about: `user` or `tenant`, and the value.
    pub subject: Option<(String, String)>,
    /// Since when the rule is broken, in microseconds since the Unix epoch.
    pub starts_at: i64,
    /// Since when it is not broken any more, if the alert is resolved.
    pub ends_at: Option<i64>,
    /// One sentence.
    pub summary: String,
    pub value: String,
    pub target: String,
    pub window: String,
    /// Up to three traces that failed, or were slow.
    pub traces: Vec<String>,
}

impl Notice for AlertChange {
    fn notice_type(&self) -> NoticeType {
        match self.ends_at {
            None => NoticeType::AlertFired,
            Some(_) => NoticeType::AlertResolved,
        }
    }
}

impl Serialize for AlertChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rule", &self.rule)?;
        map.serialize_entry("objective", &self.objective)?;
        map.serialize_entry("service", &self.service)?;
        map.serialize_entry("severity", &self.severity)?;
        if let Some((name, value)) = &self.subject {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("starts_at", &spelled_time(self.starts_at))?;
        if let Some(ends_at) = self.ends_at {
            map.serialize_entry("ends_at", &spelled_time(ends_at))?;
        }
        map.serialize_entry("summary", &self.summary)?;
        map.serialize_entry("value", &self.value)?;
        map.serialize_entry("target", &self.target)?;
        map.serialize_entry("window", &self.window)?;
        map.serialize_entry("traces", &self.traces)?;
        map.end()
    }
}

impl AlertChange {
    /// Reads the line's `data`. Returns `None` without a rule or a start. Whatever else is missing is empty.
    pub(super) fn read(data: Option<Json<'_>>) -> Option<Self> {
        let data = data?;
        let text = |name: &str| Some(data.get(name)?.as_str()?.to_owned());
        let time = |name| Time::read(data.get(name)?);
        let subject = |name: &str| Some((name.to_owned(), text(name)?));
        let traces = data.get("traces").into_iter().flat_map(Json::items);
        Some(Self {
            rule: text("rule")?,
            objective: text("objective").unwrap_or_default(),
            service: text("service").unwrap_or_default(),
            severity: text("severity").unwrap_or_default(),
            subject: subject("user").or_else(|| subject("tenant")),
            starts_at: time("starts_at")?,
            ends_at: time("ends_at"),
            summary: text("summary").unwrap_or_default(),
            value: text("value").unwrap_or_default(),
            target: text("target").unwrap_or_default(),
            window: text("window").unwrap_or_default(),
            traces: traces.filter_map(|trace| Some(trace.as_str()?.to_owned())).collect(),
        })
    }
}
