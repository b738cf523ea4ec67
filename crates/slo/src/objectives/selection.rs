//! Selections of events by their labels.

use std::fmt;
use std::marker::PhantomData;

use llm_audit_log::schema::MetricsRow;
use llm_audit_log::{Filter, Line, Status};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The labels of events, by which they are selected. Labels that an event does not have are empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels<'a> {
    event_type: &'a str,
    status: Status,
    agent: &'a str,
    action: &'a str,
    model: &'a str,
    tenant: &'a str,
}

impl<'a> Labels<'a> {
    pub(crate) fn of_row(row: &'a MetricsRow) -> Self {
        Self {
            event_type: &row.event_type,
            status: row.status,
            agent: &row.agent,
            action: &row.action,
            model: &row.model,
            tenant: &row.tenant,
        }
    }

    pub(crate) fn of_line(line: &'a Line<'_>) -> Self {
        Self {
            event_type: line.event_type().unwrap_or_default(),
            status: line.status().unwrap_or_default(),
            agent: line.agent().unwrap_or_default(),
            action: line.action().unwrap_or_default(),
            model: line.model().unwrap_or_default(),
            tenant: member(line, "tenant").unwrap_or_default(),
        }
    }
}

/// A text in `data` of an event.
pub(crate) fn member<'l>(line: &'l Line<'_>, name: &str) -> Option<&'l str> {
    line.data()?.get(name)?.as_str()
}

/// Which events are meant: those of any of its clauses, or all others. Without a clause it is every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub(crate) clauses: Vec<Clause>,
    /// Whether it means all other events.
    pub(crate) is_negated: bool,
}

/// What holds for an event: each label is one of those listed, or anything if none is.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clause {
    /// Types, or what they begin with: `tool` is `tool.call`, `tool.result` and `tool.error`.
    #[serde(rename = "type")]
    pub(crate) event_type: Listed<String>,
    pub(crate) status: Listed<StatusName>,
    pub(crate) agent: Listed<String>,
    pub(crate) action: Listed<String>,
    pub(crate) model: Listed<String>,
    pub(crate) tenant: Listed<String>,
}

impl Selection {
    pub(crate) fn matches(&self, labels: &Labels<'_>) -> bool {
        let is_any = |clauses: &[Clause]| clauses.iter().any(|clause| clause.matches(labels));
        (self.clauses.is_empty() || is_any(&self.clauses)) != self.is_negated
    }

    /// Reports whether it selects all events.
    pub(crate) fn is_everything(&self) -> bool {
        self.clauses.is_empty() && !self.is_negated
    }

    /// Returns the other events.
    pub(crate) fn negate(self) -> Self {
        Self { is_negated: !self.is_negated, ..self }
    }
}

impl Clause {
    fn matches(&self, labels: &Labels<'_>) -> bool {
        let is_listed = |listed: &Listed<String>, label: &str| listed.allows(|one| one == label);
        self.event_type.allows(|one| Filter::is_type_below(one, labels.event_type))
            && self.status.allows(|one| one.0 == labels.status)
            && is_listed(&self.agent, labels.agent)
            && is_listed(&self.action, labels.action)
            && is_listed(&self.model, labels.model)
            && is_listed(&self.tenant, labels.tenant)
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed<T>(pub(crate) Vec<T>);

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Listed<T> {
    fn allows(&self, is_one: impl FnMut(&T) -> bool) -> bool {
        self.0.is_empty() || self.0.iter().any(is_one)
    }
}

/// A status by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StatusName(pub(crate) Status);

impl<'de> Deserialize<'de> for StatusName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Status::from_name(&name).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "\"{name}\" is not a status; accepted: ok, error, timeout, retry"
            ))
        })
    }
}

/// Reads one value or a list of them, without losing the place of what is wrong in it.
struct OneOrMany<T>(PhantomData<T>, &'static str);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0} or a list of {0}s", self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::deserialize(StrDeserializer::new(text)).map(|one| vec![one])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany(PhantomData, "text")).map(Self)
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let clauses = deserializer.deserialize_any(OneOrMany(PhantomData, "selection"))?;
        Ok(Self { clauses, is_negated: false })
    }
}
