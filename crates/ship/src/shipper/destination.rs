//! The places that lines go to.

use std::fmt;
use std::iter;
use std::ops::Range;
use std::time::Duration;

use llm_audit_log::Line;

use super::Origin;

/// How often in a row a destination may fail with the same items before they may be the reason, and how often with a
/// part of them.
const FAILURES_MAX: u32 = 8;
const FAILURES_AGAIN_MAX: u32 = 2;
/// How often in a row it may leave the same items without an answer.
const UNANSWERED_MAX: u32 = 3;

/// A place that lines go to. Implementations send; reading, retries and positions are those of the
/// [`Shipper`](super::Shipper).
pub trait Destination: fmt::Debug {
    /// What a line becomes, such as a log record.
    type Item;

    /// A name for the position's file, which [`destination_name`](super::destination_name) makes. Another destination
    /// has another one.
    fn name(&self) -> &str;

    /// The most that one batch may have.
    fn limits(&self) -> BatchLimits;

    /// Shows a line that was sent by an earlier shipper. What becomes of later lines may depend on it.
    fn recall(&mut self, _line: &Line<'_>, _origin: Option<&Origin>) {}

    /// Makes an item of a line, and says in which part of the batch it is sent. Each part is sent and acknowledged by
    /// itself, as the spans and the log records of OTLP are. `None` if the line is not sent.
    ///
    /// All lines of a batch become items before the first part is sent, and parts are sent in their order.
    fn item(&mut self, line: &Line<'_>, source: &LineSource<'_>) -> Option<(usize, Self::Item)>;

    /// Puts the items of a part in the order in which they are sent, and returns those of each request.
    fn arrange(&self, items: &mut [Shipped<Self::Item>]) -> Vec<Range<usize>> {
        iter::once(0..items.len()).collect()
    }

    /// Sends items of one part. It returns when the destination has acknowledged or refused them.
    ///
    /// # Errors
    ///
    /// [`SendError`] says whether the same items may be taken later.
    fn send(&mut self, part: usize, items: &[Shipped<Self::Item>]) -> Result<Rejected, SendError>;
}

/// The origin of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineSource<'a> {
    /// The bytes of the line.
    pub bytes: &'a [u8],
    /// Its file within the folder, and its place there.
    pub file: &'a str,
    /// The bytes of the file before it.
    pub offset: u64,
    /// Who wrote it, if its `audit.start` was read.
    pub origin: Option<&'a Origin>,
}

/// The most that one batch may have.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct BatchLimits {
    pub lines: usize,
    pub bytes: usize,
}

/// An item, and the line that it was made of.
#[derive(Debug)]
pub struct Shipped<T> {
    /// The item.
    pub item: T,
    /// Which line of the batch it was made of.
    pub(super) line: usize,
}

/// What the destination did not take of items that it acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many items.
    pub count: u64,
    /// Which ones, by their place; `None` if the destination does not say so.
    pub places: Option<Vec<usize>>,
    /// What the destination says.
    pub why: String,
}

/// Why items were not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The destination may take the same items later.
    Later {
        /// What happened.
        why: String,
        /// The pause that the destination asks for.
        after: Option<Duration>,
    },
    /// The destination ended the connection or did not answer in time. Fewer items may get through. They are never
    /// refused for it.
    Unanswered {
        /// What happened.
        why: String,
    },
    /// The destination answered that it failed, and others may fare better. If it does so again and again, and accepts
    /// others meanwhile, these items are the reason.
    Failed {
        /// What the destination says.
        why: String,
        /// The pause that the destination asks for.
        after: Option<Duration>,
    },
    /// It will never take them, at least one of them. If it says so of everything, its settings are the reason.
    Refused {
        /// What the destination says.
        why: String,
    },
}

impl SendError {
    /// How often in a row it happens before the items may be the reason; `None` if they never are.
    pub(super) fn tries(&self, has_failed: bool) -> Option<u32> {
        match self {
            Self::Later { .. } => None,
            Self::Unanswered { .. } => Some(UNANSWERED_MAX),
            Self::Failed { .. } if has_failed => Some(FAILURES_AGAIN_MAX),
            Self::Failed { .. } => Some(FAILURES_MAX),
            Self::Refused { .. } => Some(1),
        }
    }

    /// What happened, and the pause that the destination asks for.
    pub(super) fn into_parts(self) -> (String, Option<Duration>) {
        match self {
            Self::Later { why, after } | Self::Failed { why, after } => (why, after),
            Self::Unanswered { why } | Self::Refused { why } => (why, None),
        }
    }
}
