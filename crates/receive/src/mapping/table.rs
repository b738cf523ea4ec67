//! Tables that say where the attributes of a sender go.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use llm_audit_log::schema::gen_ai::AttributeNames;

/// Where the value of an attribute goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// The event's `agent`.
    Agent,
    /// A member of `data`.
    Data(&'static str),
    /// A number that is a member of `data`, also if it is sent as text.
    Number(&'static str),
    /// A number of seconds, which is a member of `data` in milliseconds.
    Seconds(&'static str),
    /// `data.url`, without its query and fragment.
    Url,
    /// Nowhere: the query of a URL often has credentials and content.
    Query,
    /// A member of `data`, if content is captured.
    Content(&'static str),
    /// Nowhere: it is the name of the record, which decides the type.
    EventType,
    /// The operation, which decides the type.
    Operation,
    /// `data.tool`, and the action of a tool's event.
    Tool,
    /// The model that was asked: `data.model`, unless another one answered.
    RequestModel,
    /// The model that answered: `data.model`.
    ResponseModel,
    /// A count of tokens, under the name that its provider has for it.
    Tokens(&'static str),
    /// `cost_usd`.
    Cost,
    /// `latency_ms`.
    LatencyMs,
    /// Whether it succeeded.
    Success,
    /// `error.type`.
    ErrorType,
    /// `error.message`.
    ErrorMessage,
    /// `error.traceback`.
    Traceback,
    /// The sender's own number: `data.origin.sequence`.
    Sequence,
    /// Nowhere: the time of the record says the same.
    Time,
}

/// A row: the names of an attribute, the first of which counts, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) names: AttributeNames,
    pub(super) to: To,
}

/// Makes a row.
pub(super) const fn row(names: AttributeNames, to: To) -> Row {
    Row { names, to }
}

/// Rows by the names of their attributes.
#[derive(Debug)]
pub(super) struct Table {
    /// The rank of each name among all. The names are ours, so nobody can make them collide, and a fast hash will do.
    ranks: HashMap<&'static str, u16, FixedState>,
    /// Where each name goes, by its rank.
    places: Vec<To>,
}

impl Table {
    /// Returns the table of these rows. A name of an earlier row hides the same name of a later one.
    pub(super) fn new<'r>(rows: impl Iterator<Item = &'r Row>) -> Self {
        let names = rows.flat_map(|row| row.names.iter().map(|name| (*name, row.to)));
        let (mut ranks, mut places) = (HashMap::default(), Vec::new());
        for (rank, (name, to)) in (0..).zip(names) {
            ranks.entry(name).or_insert(rank);
            places.push(to);
        }
        Self { ranks, places }
    }

    /// Returns the rank of a name: of two names for the same place, that with the lower one counts.
    pub(super) fn rank(&self, name: &str) -> Option<u16> {
        self.ranks.get(name).copied()
    }

    /// Returns where the name of this rank goes.
    pub(super) fn place(&self, rank: u16) -> To {
        self.places[usize::from(rank)]
    }
}
