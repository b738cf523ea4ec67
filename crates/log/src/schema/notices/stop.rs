//! `audit.stop`: the last line of a logger.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Notice, NoticeType, count_in_notice};
use crate::json::Json;

/// `audit.stop`: the whole accounting.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of the accounting")]
pub struct Stop<'a> {
    pub totals: Totals,
    /// Events that sampling left out, and that the memory for held events had no room for.
    pub hold_full: u64,
    /// Failed traces that lack such events.
    pub torn_traces: u64,
    pub unserializable: u64,
    pub truncated: u64,
    pub export_errors: u64,
    /// The variables that decided what was sampled out.
    pub sampled_out_by: String,
    /// How often each kind was redacted.
    pub redactions: BTreeMap<&'a str, u64>,
    /// Lines of input that `record` refused, by reason. They were no events.
    pub refused: &'a BTreeMap<&'static str, u64>,
    /// Models without a price, and how often each was asked for.
    pub unpriced: &'a BTreeMap<String, u64>,
    /// Calls of models past the last one that is named.
    pub unpriced_others: u64,
    /// Models with answers without a readable usage, and the number of these answers.
    pub unmetered: &'a BTreeMap<String, u64>,
    /// Such answers of models past the last one that is named.
    pub unmetered_others: u64,
    /// Versions of the file of prices that could not be read.
    pub prices_refused: u64,
    /// What was wrong with the last one.
    pub prices_refused_last: &'a str,
}

impl Serialize for Stop<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, of) in TOTALS {
            map.serialize_entry(name, &of(self.totals))?;
        }
        map.serialize_entry("unserializable", &self.unserializable)?;
        map.serialize_entry("truncated", &self.truncated)?;
        map.serialize_entry("export_errors", &self.export_errors)?;
        if self.totals.sampled_out > 0 {
            map.serialize_entry("sampled_out_by", &self.sampled_out_by)?;
        }
        for (name, count) in [("hold_full", self.hold_full), ("torn_traces", self.torn_traces)] {
            if count > 0 {
                map.serialize_entry(name, &count)?;
            }
        }
        map.serialize_entry("redactions", &self.redactions)?;
        if !self.refused.is_empty() {
            map.serialize_entry("refused", self.refused)?;
        }
        let by_model = [
            ("unpriced", self.unpriced, "unpriced_others", self.unpriced_others),
            ("unmetered", self.unmetered, "unmetered_others", self.unmetered_others),
        ];
        for (name, models, others_name, others) in by_model {
            if !models.is_empty() || others > 0 {
                map.serialize_entry(name, models)?;
            }
            if others > 0 {
                map.serialize_entry(others_name, &others)?;
            }
        }
        if self.prices_refused > 0 {
            map.serialize_entry("prices_refused", &self.prices_refused)?;
            map.serialize_entry("prices_refused_last", self.prices_refused_last)?;
        }
        map.end()
    }
}

impl Notice for Stop<'_> {
    fn notice_type(&self) -> NoticeType {
        NoticeType::Stop
    }
}

/// What a reader takes from an `audit.stop`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The counts that must add up.
    pub totals: Totals,
    /// Events that sampling left out, and that the memory for held events had no room for.
    pub hold_full: u64,
    /// Failed traces that lack such events.
    pub torn_traces: u64,
    /// Lines of input that `record` refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

impl Stopped {
    pub(super) fn read(data: Option<Json<'_>>) -> Option<Self> {
        let refused = data.and_then(|data| data.get("refused")).into_iter().flat_map(Json::members);
        let count = |name| count_in_notice(data, name).unwrap_or(0);
        Some(Self {
            totals: Totals::read(data)?,
            hold_full: count("hold_full"),
            torn_traces: count("torn_traces"),
            refused: refused
                .filter_map(|(reason, count)| Some((reason.to_owned(), count.as_u64()?)))
                .collect(),
        })
    }
}

/// The counts of `audit.stop` that must add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs, reason = "the names are those of the accounting")]
pub struct Totals {
    pub emitted: u64,
    pub written: u64,
    pub overwritten: u64,
    pub sampled_out: u64,
    pub rejected: u64,
    pub io_lost: u64,
    pub queued: u64,
    /// Emits that other threads had begun and not finished; 0 if the line does not say.
    #[serde(skip)]
    pub in_flight: u64,
}

/// Reads one count.
type TotalsCount = fn(Totals) -> u64;

/// The counts in the order of the line.
const TOTALS: [(&str, TotalsCount); 8] = [
    ("emitted", |totals| totals.emitted),
    ("written", |totals| totals.written),
    ("overwritten", |totals| totals.overwritten),
    ("sampled_out", |totals| totals.sampled_out),
    ("rejected", |totals| totals.rejected),
    ("io_lost", |totals| totals.io_lost),
    ("queued", |totals| totals.queued),
    ("in_flight", |totals| totals.in_flight),
];

impl Totals {
    fn read(data: Option<Json<'_>>) -> Option<Self> {
        let count = |name| count_in_notice(data, name);
        Some(Self {
            emitted: count("emitted")?,
            written: count("written")?,
            overwritten: count("overwritten")?,
            sampled_out: count("sampled_out")?,
            rejected: count("rejected")?,
            io_lost: count("io_lost")?,
            queued: count("queued")?,
            in_flight: count("in_flight").unwrap_or(0),
        })
    }

    /// The last number given: one to each event that was written, or lost after sampling.
    pub fn last_seq(self) -> u64 {
        self.written.saturating_add(self.overwritten).saturating_add(self.io_lost)
    }

    /// The sum of all ends, which is `emitted` if the accounting adds up.
    pub fn ends(self) -> u64 {
        TOTALS.iter().skip(1).map(|(_, of)| of(self)).fold(0, u64::saturating_add)
    }
}
