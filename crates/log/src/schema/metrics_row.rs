//! What events with the same labels add up to.

use std::array;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{EventType, Latencies, Status, TokenHistogram, Usd, is_llm_call};
use crate::json::Json;

/// What events of one set of labels add up to. Labels that an event does not have are empty.
///
/// Serialized, it is a row of `audit.totals`. What is empty or zero is left out, and so is `status` if it is `ok`.
/// The cost is a string with all its digits, because JSON numbers are often read as floating point.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MetricsRow {
    /// The type, as in a line.
    pub event_type: String,
    /// The status.
    pub status: Status,
    /// The agent.
    pub agent: String,
    /// The action.
    pub action: String,
    /// The model.
    pub model: String,
    /// The tenant.
    pub tenant: String,
    /// The number of events.
    pub events: u64,
    /// Tokens that models read, including cached ones.
    pub tokens_input: u64,
    /// Tokens that models wrote, including reasoning.
    pub tokens_output: u64,
    /// Model calls by the tokens that each read. It is not in `audit.totals`.
    pub calls_by_input: TokenHistogram,
    /// Model calls by the tokens that each wrote. It is not in `audit.totals`.
    pub calls_by_output: TokenHistogram,
    /// What is known of the kinds of these tokens.
    pub usage: TokenKinds,
    /// The cost in US dollars, exactly.
    pub cost_usd: Usd,
    /// The number of events whose cost is known.
    pub priced: u64,
    /// The sum of all latencies, in milliseconds.
    pub latency_ms_sum: f64,
    /// The latencies of the events that have one.
    pub latencies: Latencies,
    /// The sum of all times to the first token, in milliseconds.
    pub first_token_ms_sum: f64,
    /// The times to the first token.
    pub first_tokens: Latencies,
}

/// Tokens by their kinds, under the names of `data.usage`. All but `cache_read`, `cache_write` and
/// `audio_input` are output tokens. `cache_write_1h` is a part of `cache_write`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the schema")]
pub struct TokenKinds {
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub reasoning: u64,
    pub audio_input: u64,
    pub audio_output: u64,
}

impl TokenKinds {
    /// The names, in the order of [`counts`](Self::counts).
    pub const NAMES: [&str; 6] =
        ["cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input", "audio_output"];

    /// Returns the counts.
    pub fn counts(self) -> [u64; 6] {
        let Self { cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output } =
            self;
        [cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output]
    }

    /// Makes one of counts in the order of [`NAMES`](Self::NAMES).
    pub fn from_counts(counts: [u64; 6]) -> Self {
        let [cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output] =
            counts;
        Self { cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output }
    }
}

impl Serialize for TokenKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = Self::NAMES.into_iter().zip(self.counts());
        serializer.collect_map(counts.filter(|(_, count)| *count > 0))
    }
}

impl MetricsRow {
    /// Whether these are requests that ended (`request.end`).
    pub fn is_request(&self) -> bool {
        self.event_type == EventType::RequestEnd.name()
    }

    /// Whether these are calls of models (`llm.invoke`, `llm.error`). Only they count tokens and cost, because
    /// events of requests and agents repeat them.
    pub fn is_llm_call(&self) -> bool {
        is_llm_call(&self.event_type)
    }

    /// Whether these are calls of models with tokens or a cost, as [`Line::is_paid`](crate::Line::is_paid) says it
    /// of one.
    pub fn is_paid(&self) -> bool {
        self.is_llm_call() && (self.priced > 0 || self.tokens_input > 0 || self.tokens_output > 0)
    }

    /// Whether these are calls of tools that ended (`tool.result`, `tool.error`).
    pub fn is_tool_call(&self) -> bool {
        [EventType::ToolResult, EventType::ToolError].iter().any(|of| of.name() == self.event_type)
    }

    /// Whether the status is `error`.
    pub fn is_error(&self) -> bool {
        self.status == Status::Error
    }

    /// Whether the status is `timeout`.
    pub fn is_timeout(&self) -> bool {
        self.status == Status::Timeout
    }

    /// Whether these are retries, by their status or as an `agent.retry`.
    pub fn is_retry(&self) -> bool {
        self.status == Status::Retry || self.event_type == EventType::AgentRetry.name()
    }

    /// Adds the figures of another row to this one. The labels stay.
    pub fn merge(&mut self, other: &Self) {
        self.change_counts(other, u64::saturating_add);
        self.cost_usd += other.cost_usd;
        self.latency_ms_sum += other.latency_ms_sum;
        self.latencies.merge(&other.latencies);
        self.first_token_ms_sum += other.first_token_ms_sum;
        self.first_tokens.merge(&other.first_tokens);
    }

    /// Returns this row with what came since `earlier`, which is the same row at an earlier time.
    pub fn since(mut self, earlier: &Self) -> Self {
        self.change_counts(earlier, u64::saturating_sub);
        self.cost_usd = self.cost_usd - earlier.cost_usd;
        self.latency_ms_sum -= earlier.latency_ms_sum;
        self.latencies = self.latencies.since(&earlier.latencies);
        self.first_token_ms_sum -= earlier.first_token_ms_sum;
        self.first_tokens = self.first_tokens.since(&earlier.first_tokens);
        self
    }

    fn change_counts(&mut self, other: &Self, change: fn(u64, u64) -> u64) {
        let (mine, others) = (self.usage.counts(), other.usage.counts());
        self.usage = TokenKinds::from_counts(array::from_fn(|at| change(mine[at], others[at])));
        self.events = change(self.events, other.events);
        self.tokens_input = change(self.tokens_input, other.tokens_input);
        self.tokens_output = change(self.tokens_output, other.tokens_output);
        self.calls_by_input.change(other.calls_by_input, change);
        self.calls_by_output.change(other.calls_by_output, change);
        self.priced = change(self.priced, other.priced);
    }

    /// Reads a row of `audit.totals`. Returns `None` if the type or the number of events is missing.
    pub(super) fn read(json: Json<'_>) -> Option<Self> {
        let text = |name| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let count = |name| json.get(name).and_then(Json::as_u64).unwrap_or_default();
        let number = |name| json.get(name).and_then(Json::as_f64).unwrap_or_default();
        let usage = json.get("usage");
        let kind = |name| usage.and_then(|usage| usage.get(name)?.as_u64()).unwrap_or_default();
        Some(Self {
            event_type: json.get("event_type")?.as_str()?.to_owned(),
            status: json
                .get("status")
                .map_or(Some(Status::Ok), |name| Status::from_name(name.as_str()?))?,
            agent: text("agent"),
            action: text("action"),
            model: text("model"),
            tenant: text("tenant"),
            events: json.get("events")?.as_u64()?,
            tokens_input: count("tokens_input"),
            tokens_output: count("tokens_output"),
            calls_by_input: TokenHistogram::default(),
            calls_by_output: TokenHistogram::default(),
            usage: TokenKinds::from_counts(TokenKinds::NAMES.map(kind)),
            cost_usd: text("cost_usd").parse().unwrap_or_default(),
            priced: count("priced"),
            latency_ms_sum: number("latency_ms_sum"),
            latencies: json.get("latencies").map(Latencies::read).unwrap_or_default(),
            first_token_ms_sum: number("first_token_ms_sum"),
            first_tokens: json.get("first_tokens").map(Latencies::read).unwrap_or_default(),
        })
    }
}

impl Serialize for MetricsRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event_type", &self.event_type)?;
        if self.status != Status::Ok {
            map.serialize_entry("status", self.status.name())?;
        }
        let texts = [
            ("agent", &self.agent),
            ("action", &self.action),
            ("model", &self.model),
            ("tenant", &self.tenant),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            map.serialize_entry(name, text)?;
        }
        map.serialize_entry("events", &self.events)?;
        let counts = [("tokens_input", self.tokens_input), ("tokens_output", self.tokens_output)];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            map.serialize_entry(name, &count)?;
        }
        if self.usage != TokenKinds::default() {
            map.serialize_entry("usage", &self.usage)?;
        }
        if self.priced > 0 {
            map.serialize_entry("cost_usd", &self.cost_usd.to_string())?;
            map.serialize_entry("priced", &self.priced)?;
        }
        let times = [
            ("latency_ms_sum", self.latency_ms_sum, "latencies", &self.latencies),
            ("first_token_ms_sum", self.first_token_ms_sum, "first_tokens", &self.first_tokens),
        ];
        for (sum_name, sum, name, latencies) in times {
            if latencies.count() > 0 {
                map.serialize_entry(sum_name, &sum)?;
                map.serialize_entry(name, latencies)?;
            }
        }
        map.end()
    }
}
