//! `audit.retired`: a file that retention removed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Loss, Notice, NoticeType, count_in_notice};
use crate::json::Json;

/// The most instances that one `audit.retired` line names.
const INSTANCES_MAX: usize = 1_000;

/// `audit.retired`: a file that was removed, why, and the numbers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The name of the file.
    pub file: String,
    /// The bytes of the file.
    pub bytes: u64,
    /// The variable that sets the limit.
    pub why: Cow<'static, str>,
    /// `None`: the file could not be read.
    pub instances: Option<Vec<Seqs>>,
    /// How many events in it the destinations of shippers had not acknowledged, by their names. `None` is an
    /// unknown number. Destinations that had all of them are left out.
    pub unshipped: BTreeMap<String, Option<u64>>,
}

impl Retired {
    /// The same without the instances that have no numbers in the file.
    pub fn numbered(&self) -> Self {
        let mut numbered = self.clone();
        numbered.instances.iter_mut().for_each(|found| found.retain(|seqs| seqs.last_seq > 0));
        numbered
    }

    /// Reads the line. Instances without an id or without both ends of their numbers are left out.
    pub(super) fn read(data: Option<Json<'_>>) -> Self {
        let member = |name| data?.get(name);
        let text = |name| member(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let instances = member("instances");
        let found = instances.map(Json::items).into_iter().flatten();
        let is_unread = instances.is_some_and(Json::is_null);
        Self {
            file: text("file"),
            bytes: count_in_notice(data, "bytes").unwrap_or(0),
            why: text("why").into(),
            instances: (!is_unread).then(|| found.filter_map(Seqs::read).collect()),
            unshipped: member("unshipped")
                .map(Json::members)
                .into_iter()
                .flatten()
                .map(|(name, events)| (name.to_owned(), events.as_u64()))
                .collect(),
        }
    }
}

impl Serialize for Retired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("file", &self.file)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.serialize_entry("why", &self.why)?;
        map.serialize_entry("instances", &self.instances.as_deref().map(RetiredInstances))?;
        let more = self.instances.iter().flatten().count().saturating_sub(INSTANCES_MAX);
        if more > 0 {
            map.serialize_entry("instances_more", &more)?;
        }
        if !self.unshipped.is_empty() {
            map.serialize_entry("unshipped", &self.unshipped)?;
        }
        map.end()
    }
}

impl Notice for Retired {
    fn notice_type(&self) -> NoticeType {
        NoticeType::Retired
    }
}

struct RetiredInstances<'a>(&'a [Seqs]);

impl Serialize for RetiredInstances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        // The last ones are those that continue in other files.
        for seqs in self.0.iter().rev().take(INSTANCES_MAX) {
            seq.serialize_element(seqs)?;
        }
        seq.end()
    }
}

/// The numbers of one instance that a file holds or reports as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seqs {
    /// The instance.
    pub instance: String,
    /// The first number; `u64::MAX` if there is none.
    pub first_seq: u64,
    /// The last number; 0 if there is none.
    pub last_seq: u64,
    /// Its event lines.
    pub events: u64,
    /// By its `audit.loss` lines.
    pub overwritten: u64,
    /// By its `audit.loss` lines.
    pub io_lost: u64,
}

impl Seqs {
    /// No numbers yet.
    pub fn of(instance: &str) -> Self {
        let instance = instance.to_owned();
        Self { instance, first_seq: u64::MAX, last_seq: 0, events: 0, overwritten: 0, io_lost: 0 }
    }

    /// Adds the number of an event line.
    pub fn hold(&mut self, seq: u64) {
        self.events += 1;
        self.widen((seq, seq));
    }

    /// Adds the numbers of an `audit.loss` line.
    pub fn lose(&mut self, loss: Loss) {
        self.overwritten = self.overwritten.saturating_add(loss.overwritten);
        self.io_lost = self.io_lost.saturating_add(loss.io_lost);
        self.widen((loss.first_seq, loss.last_seq));
    }

    fn widen(&mut self, (first, last): (u64, u64)) {
        self.first_seq = self.first_seq.min(first);
        self.last_seq = self.last_seq.max(last);
    }

    fn read(json: Json<'_>) -> Option<Self> {
        let count = |name| count_in_notice(Some(json), name);
        Some(Self {
            instance: json.get("instance").and_then(Json::as_str)?.to_owned(),
            first_seq: count("first_seq")?,
            last_seq: count("last_seq")?,
            events: count("events").unwrap_or(0),
            overwritten: count("overwritten").unwrap_or(0),
            io_lost: count("io_lost").unwrap_or(0),
        })
    }
}

impl Serialize for Seqs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("instance", &self.instance)?;
        map.serialize_entry("first_seq", &self.first_seq)?;
        map.serialize_entry("last_seq", &self.last_seq)?;
        map.serialize_entry("events", &self.events)?;
        map.serialize_entry("overwritten", &self.overwritten)?;
        map.serialize_entry("io_lost", &self.io_lost)?;
        map.end()
    }
}
