//! The senders whose records have shapes of their own.

mod claude_code;
mod codex;
mod gemini_cli;
mod gen_ai;
mod open_inference;

use std::borrow::Cow;
use std::sync::LazyLock;

use llm_audit_log::schema::Status;

pub(super) use gen_ai::{JUDGEMENTS, judgement_of};

use super::draft::Draft;
use super::origin::Origin;
use super::table::{Row, Table};

/// What a record is, which its attributes decide.
pub(super) struct EventShape {
    pub(super) event_type: Cow<'static, str>,
    pub(super) action: String,
    pub(super) status: Status,
    /// Its tokens and its cost are the event's. Otherwise another record has them, too.
    pub(super) owns_tokens: bool,
}

impl EventShape {
    fn new(event_type: impl Into<Cow<'static, str>>, action: impl Into<String>) -> Self {
        let event_type = event_type.into();
        let is_retry = event_type == "agent.retry";
        let status = if is_retry { Status::Retry } else { Status::Ok };
        Self { event_type, action: action.into(), status, owns_tokens: false }
    }

    /// Returns the shape of a record whose tokens and cost are the event's if it is a call of a model.
    fn owning_tokens(self) -> Self {
        let owns_tokens = matches!(&*self.event_type, "llm.invoke" | "llm.error");
        Self { owns_tokens, ..self }
    }
}

/// The signal that a record came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Log,
    Span,
}

/// What an event of an agent becomes.
pub(super) struct AgentEvent {
    /// Without the agent's prefix.
    pub(super) name: &'static str,
    pub(super) becomes: &'static str,
    /// If it failed.
    pub(super) failed: &'static str,
}

const fn event(name: &'static str, becomes: &'static str, failed: &'static str) -> AgentEvent {
    AgentEvent { name, becomes, failed }
}

/// A sender's table.
pub(super) struct Preset {
    /// The names of its records begin so; empty for any sender.
    prefix: &'static str,
    /// Whose rows come first.
    pub(super) rows: &'static [&'static [Row]],
    pub(super) events: &'static [AgentEvent],
    shape: fn(&Preset, &mut Draft, Signal, &str) -> EventShape,
}

/// Every preset; the last one takes what no other takes.
pub(super) static PRESETS: [&Preset; 4] =
    [&claude_code::PRESET, &codex::PRESET, &gemini_cli::PRESET, &gen_ai::PRESET];

static TABLES: LazyLock<[Table; 4]> =
    LazyLock::new(|| PRESETS.map(|preset| Table::new(preset.rows.iter().copied().flatten())));

static JUDGEMENT_TABLE: LazyLock<Table> = LazyLock::new(|| {
    let rows = gen_ai::PRESET.rows.iter().copied().flatten();
    Table::new(rows.chain(JUDGEMENTS))
});

/// A preset with its table.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    preset: &'static Preset,
    pub(super) table: &'static Table,
}

impl Sender {
    /// Returns the sender of a record of this name.
    pub(super) fn of(origin: &Origin, name: &str) -> Self {
        let service = origin.service.as_deref().unwrap_or_default();
        let is_sent =
            |preset: &Preset| name.starts_with(preset.prefix) || preset.is_service(service);
        let at = PRESETS.iter().position(|preset| is_sent(preset)).unwrap_or(PRESETS.len() - 1);
        let table = if judgement_of(name).is_some() { &*JUDGEMENT_TABLE } else { &TABLES[at] };
        Self { preset: PRESETS[at], table }
    }

    pub(super) fn is_agent(self) -> bool {
        !self.preset.prefix.is_empty()
    }

    /// Decides what a record of this name is.
    pub(super) fn shape(self, draft: &mut Draft, signal: Signal, name: &str) -> EventShape {
        (self.preset.shape)(self.preset, draft, signal, name)
    }
}

impl Preset {
    /// Whether a service has the agent's name, as in `claude-code` and `codex_cli_rs`.
    fn is_service(&self, service: &str) -> bool {
        let name = self.prefix.trim_end_matches('.').bytes();
        let mut rest = service.bytes().map(|byte| if byte == b'-' { b'_' } else { byte });
        let begins = name.clone().all(|byte| rest.next() == Some(byte));
        begins && name.len() > 0 && matches!(rest.next(), None | Some(b'_'))
    }

    /// Returns the shape of an agent's log record: one of its events, or its own name.
    fn log_shape(&self, draft: &mut Draft, name: &str) -> EventShape {
        let Some(short) = name.strip_prefix(self.prefix) else {
            return gen_ai::log_shape(draft, name, false);
        };
        let Some(event) = self.events.iter().find(|event| event.name == short) else {
            return EventShape::new(name.to_owned(), short);
        };
        let event_type = if draft.has_failed() { event.failed } else { event.becomes };
        let tool = draft.tool.as_deref().filter(|_| event_type.starts_with("tool."));
        EventShape::new(event_type, tool.unwrap_or(short)).owning_tokens()
    }
}
