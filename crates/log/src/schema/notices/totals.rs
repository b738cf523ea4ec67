//! `audit.totals`: what all events of a time add up to, before sampling.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Notice, NoticeType};
use crate::json::Json;
use crate::schema::{FieldShape, Line, MetricsRow, Time, Usd, spelled_time};

const MINUTE: i64 = 60_000_000;

/// `audit.totals`: what the events of a time add up to, including those that sampling left out.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EventTotals {
    /// The time begins here, in microseconds since the Unix epoch; the beginning of a minute.
    pub from: i64,
    /// The time ends before this; the beginning of a minute.
    pub to: i64,
    /// All events up to this number are in these totals or in earlier ones.
    pub through_seq: u64,
    /// Events that are counted under `other`, because there were too many sets of labels.
    pub others: u64,
    /// The figures, by their labels.
    pub rows: Vec<MetricsRow>,
    /// The users who spent most.
    pub users: UserTotals,
}

/// The users of the most cost, and of the most events if there is no cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserTotals {
    /// The users, those who spent most first.
    pub top: Vec<UserRow>,
    /// What any other user has at most: events and cost.
    pub rest_max: (u64, Usd),
}

/// What one user has at least, and what may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct UserRow {
    pub user: String,
    pub events: u64,
    /// Input and output tokens.
    pub tokens: u64,
    pub cost_usd: Usd,
    /// What may come on top of `events` and of `cost_usd`, because the user was not among the first all the time.
    pub events_error: u64,
    pub cost_usd_error: Usd,
}

impl Notice for EventTotals {
    fn notice_type(&self) -> NoticeType {
        NoticeType::Totals
    }
}

impl Serialize for EventTotals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("from", &spelled_time(self.from))?;
        map.serialize_entry("to", &spelled_time(self.to))?;
        map.serialize_entry("through_seq", &self.through_seq)?;
        if self.others > 0 {
            map.serialize_entry("others", &self.others)?;
        }
        map.serialize_entry("rows", &self.rows)?;
        if !self.users.top.is_empty() {
            map.serialize_entry("users", &self.users.top)?;
            map.serialize_entry("users_rest_events_max", &self.users.rest_max.0)?;
            map.serialize_entry("users_rest_cost_usd_max", &self.users.rest_max.1.to_string())?;
        }
        map.end()
    }
}

impl Serialize for UserRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("user", &self.user)?;
        map.serialize_entry("events", &self.events)?;
        map.serialize_entry("tokens", &self.tokens)?;
        map.serialize_entry("cost_usd", &self.cost_usd.to_string())?;
        if self.events_error > 0 {
            map.serialize_entry("events_error", &self.events_error)?;
            map.serialize_entry("cost_usd_error", &self.cost_usd_error.to_string())?;
        }
        map.end()
    }
}

impl EventTotals {
    /// Returns the minute in which the events count: the last one of the time. Totals of more than a minute come after
    /// the log could not be written, and only then does a reader learn of their events.
    pub fn minute(&self) -> i64 {
        self.to - MINUTE
    }

    /// Returns [`minute`](Self::minute) of a line, if it is an `audit.totals`, without reading the rest of it.
    pub(crate) fn minute_of(line: &Line<'_>) -> Option<i64> {
        let is_totals = line.event_type() == Some(NoticeType::Totals.name());
        let to = is_totals.then(|| Time::read(line.data()?.get("to")?)).flatten()?;
        to.checked_sub(MINUTE)
    }

    /// Reads the line's `data`. Returns `None` if its times are missing. A row that cannot be read makes it
    /// `None`, too, because its events would be missing in every sum.
    pub(super) fn read(data: Option<Json<'_>>) -> Option<Self> {
        let data = data?;
        let time = |name| Time::read(data.get(name)?);
        let count = |name| data.get(name).and_then(Json::as_u64);
        let users = data.get("users").into_iter().flat_map(Json::items).map(UserRow::read);
        Some(Self {
            from: time("from")?,
            to: time("to")?,
            through_seq: count("through_seq")?,
            others: count("others").unwrap_or_default(),
            rows: data.get("rows")?.items().map(MetricsRow::read).collect::<Option<_>>()?,
            users: UserTotals {
                top: users.collect::<Option<_>>()?,
                rest_max: (
                    count("users_rest_events_max").unwrap_or_default(),
                    usd(data, "users_rest_cost_usd_max"),
                ),
            },
        })
    }
}

impl UserRow {
    fn read(json: Json<'_>) -> Option<Self> {
        let count = |name| json.get(name).and_then(Json::as_u64);
        Some(Self {
            user: json.get("user")?.as_str()?.to_owned(),
            events: count("events")?,
            tokens: count("tokens").unwrap_or_default(),
            cost_usd: usd(json, "cost_usd"),
            events_error: count("events_error").unwrap_or_default(),
            cost_usd_error: usd(json, "cost_usd_error"),
        })
    }
}

/// Reads exact money, which is a string.
fn usd(json: Json<'_>, name: &str) -> Usd {
    json.get(name).and_then(|cost| cost.as_str()?.parse().ok()).unwrap_or_default()
}
