//! The log's own lines, `audit.*` and `alert.*`: how each is written and, next to that, how it is read.

mod alert;
mod retired;
mod start;
mod stop;
mod totals;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub use alert::AlertChange;
pub use retired::{Retired, Seqs};
pub use start::{Sampling, SamplingRates, Start, Started};
pub use stop::{Stop, Stopped, Totals};
pub use totals::{EventTotals, UserRow, UserTotals};

use super::{AppendJson, LineFields, Status};
use crate::json::Json;
use crate::schema::Line;

/// What the types of all own lines begin with.
const PREFIXES: [&str; 2] = ["audit.", "alert."];
/// The `agent` of all own lines.
const AGENT: &str = "llm-audit";

/// Makes the types of the own lines from one table of variants, names and descriptions.
macro_rules! notice_types {
    ($($variant:ident = $name:literal, $status:ident, $doc:literal;)+) => {
        /// What kind of own line it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum NoticeType {
            $(#[doc = concat!("`", $name, "`: ", $doc, ".")] $variant,)+
        }

        impl NoticeType {
            /// Every type, in the order in which a log has them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as it is in a line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The `status` of the line.
            pub const fn status(self) -> Status {
                match self {
                    $(Self::$variant => Status::$status,)+
                }
            }

            /// What a line of this type reports, in a few words.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $doc,)+
                }
            }
        }
    };
}

notice_types! {
    Start = "audit.start", Ok, "the first line of every file that a logger writes: who writes, and how";
    Loss = "audit.loss", Error, "a run of lost events: their numbers, and why no line has them";
    Retired = "audit.retired", Ok, "retention removed a file: its name and the numbers in it";
    Totals = "audit.totals", Ok, "what all events of a minute add up to, also those that sampling left out";
    Stop = "audit.stop", Ok, "the last line of a logger: the whole accounting";
    AlertFired = "alert.fired", Error, "an alert rule is broken: by what, and traces that show it";
    AlertResolved = "alert.resolved", Ok, "an alert rule is not broken any more";
}

/// Whether a type of this name is one of the log's own.
pub fn is_own_type_name(name: impl AsRef<[u8]>) -> bool {
    PREFIXES.iter().any(|prefix| name.as_ref().starts_with(prefix.as_bytes()))
}

impl NoticeType {
    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

/// The `data` of an own line.
pub trait Notice: Serialize + Sized {
    /// The type of the line.
    fn notice_type(&self) -> NoticeType;

    /// Appends the line. It has a number of its own, and no ids.
    fn write(&self, out: &mut Vec<u8>, of: NoticeHead<'_>) {
        write_notice_line(out, of, self.notice_type(), self);
    }
}

/// What an own line has before its type.
#[derive(Clone, Copy, Debug)]
pub struct NoticeHead<'a> {
    /// Who writes.
    pub instance: &'a str,
    /// The number of the line among the own lines of the instance, from 1.
    pub notice: u64,
    /// When, in microseconds since the Unix epoch.
    pub timestamp: i64,
}

fn write_notice_line(
    out: &mut Vec<u8>,
    head: NoticeHead<'_>,
    of: NoticeType,
    data: &dyn AppendJson,
) {
    let name = of.name();
    let fields = LineFields {
        instance: Some(head.instance),
        notice: Some(head.notice),
        timestamp: Some(head.timestamp),
        event_type: Some(name),
        agent: Some(AGENT),
        action: name.split_once('.').map(|(_, action)| action),
        status: Some(of.status()),
        data: Some(data),
        ..LineFields::default()
    };
    fields.write(out);
}

/// An own line, read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReadNotice {
    /// `audit.start`.
    Start(Started),
    /// `audit.loss`; `None` if a count is missing.
    Loss(Option<Loss>),
    /// `audit.retired`.
    Retired(Retired),
    /// `audit.totals`; `None` if a part of it cannot be read.
    Totals(Option<Box<EventTotals>>),
    /// `audit.stop`; `None` if a count is missing.
    Stop(Option<Stopped>),
    /// `alert.fired` and `alert.resolved`; `None` if a part of it cannot be read.
    Alert(Option<Box<AlertChange>>),
    /// A line of a type that this version does not know.
    Unknown,
}

impl ReadNotice {
    /// Reads the line. Returns `None` if it is an event.
    pub fn of(line: &Line<'_>) -> Option<Self> {
        let name = line.event_type().filter(|name| is_own_type_name(name))?;
        let data = line.data();
        Some(match NoticeType::from_name(name) {
            Some(NoticeType::Start) => Self::Start(Started::read(data)),
            Some(NoticeType::Loss) => Self::Loss(Loss::read(data)),
            Some(NoticeType::Retired) => Self::Retired(Retired::read(data)),
            Some(NoticeType::Totals) => Self::Totals(EventTotals::read(data).map(Box::new)),
            Some(NoticeType::Stop) => Self::Stop(Stopped::read(data)),
            Some(NoticeType::AlertFired | NoticeType::AlertResolved) => {
                Self::Alert(AlertChange::read(data).map(Box::new))
            }
            None => Self::Unknown,
        })
    }
}

/// A count in `data`.
fn count_in_notice(data: Option<Json<'_>>, name: &str) -> Option<u64> {
    data?.get(name)?.as_u64()
}

/// `audit.loss`: the numbers that no line has, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The first of the numbers.
    pub first_seq: u64,
    /// The last of the numbers.
    pub last_seq: u64,
    /// Events that newer ones overwrote in the queue.
    pub overwritten: u64,
    /// Events that the disk did not take.
    pub io_lost: u64,
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

impl Notice for Loss {
    fn notice_type(&self) -> NoticeType {
        NoticeType::Loss
    }
}

impl Loss {
    fn read(data: Option<Json<'_>>) -> Option<Self> {
        Some(Self {
            overwritten: count_in_notice(data, "overwritten")?,
            io_lost: count_in_notice(data, "io_lost")?,
            first_seq: count_in_notice(data, "first_seq")?,
            last_seq: count_in_notice(data, "last_seq")?,
        })
    }
}

#[cfg(test)]
mod tests;
