//! What the log says of itself: the `data` of `audit.start`, `audit.loss`, `audit.retired` and
//! `audit.stop`.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::config::Settings;
use crate::metrics::Accounting;
use crate::pricing::{Refused, Unpriced};
use crate::sampler::SamplingPolicy;

/// `audit.start`: who writes, and how.
pub(super) struct Start<'a> {
    pub(super) settings: &'a Settings,
    pub(super) host: &'a str,
    pub(super) rules: u64,
    /// Whether this is the first file of the instance, so that its numbers begin here.
    pub(super) first: bool,
    pub(super) torn_bytes: u64,
}

impl Serialize for Start<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
        map.serialize_entry("host", self.host)?;
        map.serialize_entry("pid", &std::process::id())?;
        map.serialize_entry("service", &self.settings.service)?;
        map.serialize_entry("first", &self.first)?;
        map.serialize_entry("sampling", &Sampling(&self.settings.sampling))?;
        map.serialize_entry("capture_content", &self.settings.capture_content)?;
        map.serialize_entry("include_snapshots", &self.settings.include_snapshots)?;
        map.serialize_entry("redaction_profile", self.settings.sanitizer.profile().name())?;
        map.serialize_entry("redact_env", &self.settings.redact_environment)?;
        map.serialize_entry("redaction_rules", &format!("{:016x}", self.rules))?;
        map.serialize_entry("torn_bytes", &self.torn_bytes)?;
        map.serialize_entry("fsync", &self.settings.fsync.to_string())?;
        map.serialize_entry("max_file_bytes", &self.settings.max_file_bytes)?;
        map.serialize_entry("compress", self.settings.compress.name())?;
        // Also where there is none: then whatever is missing was not retired.
        map.serialize_entry("retention_days", &self.settings.retention_days)?;
        map.serialize_entry("max_total_bytes", &self.settings.max_total_bytes)?;
        map.end()
    }
}

struct Sampling<'a>(&'a SamplingPolicy);

impl Serialize for Sampling<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SamplingPolicy { trace_rate, success_rate, error_rate, slow_threshold_ms, debug } =
            self.0;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("trace_rate", trace_rate)?;
        map.serialize_entry("success_rate", success_rate)?;
        map.serialize_entry("error_rate", error_rate)?;
        map.serialize_entry("slow_threshold_ms", slow_threshold_ms)?;
        map.serialize_entry("debug", debug)?;
        map.end()
    }
}

/// `audit.loss`: the numbers that no line holds, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) overwritten: u64,
    pub(super) io_lost: u64,
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("overwritten", &self.overwritten)?;
        map.serialize_entry("io_lost", &self.io_lost)?;
        map.serialize_entry("first_seq", &self.first_seq)?;
        map.serialize_entry("last_seq", &self.last_seq)?;
        map.end()
    }
}

/// Instances that one `audit.retired` line names at most.
const INSTANCES_MAX: usize = 1_000;

/// `audit.retired`: a file that was removed, why, and the numbers that went with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retired {
    pub(super) file: String,
    pub(super) bytes: u64,
    /// The variable whose limit it was past.
    pub(super) why: &'static str,
    /// `None`: it could not be read.
    pub(super) instances: Option<Vec<Seqs>>,
}

impl Retired {
    /// The same, of the instances alone that have numbers in it.
    pub(super) fn numbered(&self) -> Self {
        let mut numbered = self.clone();
        numbered.instances.iter_mut().for_each(|found| found.retain(|seqs| seqs.last_seq > 0));
        numbered
    }
}

impl Serialize for Retired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("file", &self.file)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.serialize_entry("why", self.why)?;
        map.serialize_entry("instances", &self.instances.as_deref().map(Instances))?;
        let more = self.instances.iter().flatten().count().saturating_sub(INSTANCES_MAX);
        if more > 0 {
            map.serialize_entry("instances_more", &more)?;
        }
        map.end()
    }
}

struct Instances<'a>(&'a [Seqs]);

impl Serialize for Instances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        // The last ones are those that other files go on with.
        for seqs in self.0.iter().rev().take(INSTANCES_MAX) {
            seq.serialize_element(seqs)?;
        }
        seq.end()
    }
}

/// The numbers of one instance that a file holds or tells of as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seqs {
    pub(super) instance: String,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// Its event lines.
    pub(super) events: u64,
    pub(super) overwritten: u64,
    pub(super) io_lost: u64,
}

impl Seqs {
    pub(super) fn of(instance: &str) -> Self {
        let instance = instance.to_owned();
        Self { instance, first_seq: u64::MAX, last_seq: 0, events: 0, overwritten: 0, io_lost: 0 }
    }

    /// An event line has this number.
    pub(super) fn hold(&mut self, seq: u64) {
        self.events += 1;
        self.reach((seq, seq));
    }

    /// An `audit.loss` line tells of these.
    pub(super) fn lose(&mut self, range: (u64, u64), overwritten: u64, io_lost: u64) {
        self.overwritten = self.overwritten.saturating_add(overwritten);
        self.io_lost = self.io_lost.saturating_add(io_lost);
        self.reach(range);
    }

    fn reach(&mut self, (first, last): (u64, u64)) {
        self.first_seq = self.first_seq.min(first);
        self.last_seq = self.last_seq.max(last);
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

/// `audit.stop`: the whole accounting.
pub(super) struct Stop<'a> {
    pub(super) accounting: &'a Accounting,
    pub(super) sampling: &'a SamplingPolicy,
    pub(super) unpriced: &'a Unpriced,
    pub(super) prices_refused: &'a Refused,
}

impl Serialize for Stop<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let accounting = self.accounting;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("emitted", &accounting.emitted)?;
        for (name, count) in accounting.ends() {
            map.serialize_entry(name, &count)?;
        }
        for (name, count) in [
            // Emits that other threads had begun and not finished when this line was written.
            ("in_flight", accounting.emitted.saturating_sub(accounting.accounted())),
            ("unserializable", accounting.unserializable),
            ("truncated", accounting.truncated),
            ("export_errors", accounting.export_errors),
        ] {
            map.serialize_entry(name, &count)?;
        }
        if accounting.sampled_out > 0 {
            map.serialize_entry("sampled_out_by", &self.sampling.decided_by())?;
        }
        let redactions: BTreeMap<_, _> = accounting
            .redactions
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.name(), count))
            .collect();
        map.serialize_entry("redactions", &redactions)?;
        if self.unpriced.total() > 0 {
            map.serialize_entry("unpriced", &self.unpriced.names)?;
        }
        if self.unpriced.others > 0 {
            map.serialize_entry("unpriced_others", &self.unpriced.others)?;
        }
        if self.prices_refused.count > 0 {
            map.serialize_entry("prices_refused", &self.prices_refused.count)?;
            map.serialize_entry("prices_refused_last", &self.prices_refused.last)?;
        }
        map.end()
    }
}
