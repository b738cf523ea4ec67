//! Names, units and buckets of the metrics, by the version of OpenTelemetry's GenAI conventions.
//!
//! `Stable` is [version 1.41 of the conventions](https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai),
//! with the durations of agents and tools that instrumentations add to it. `GenAi01` is the state of
//! [their own repository](https://github.com/open-telemetry/semantic-conventions-genai). It counts tokens by
//! counters of their own.
//!
//! What no convention names has the names of the page for Prometheus, so that the same dashboards work.

use llm_audit_log::schema::{Latencies, MetricsRow, TokenHistogram};
use llm_audit_log::{Status, Usd};

/// A version of OpenTelemetry's GenAI conventions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conventions {
    /// What instrumentations emit today.
    #[default]
    Stable,
    /// The conventions in a repository of their own, before their first release.
    GenAi01,
}

/// An attribute, and how it is read from a row. If it is empty, it is left out.
pub(super) type Attribute = (&'static str, fn(&MetricsRow) -> &str);

/// A histogram.
pub(super) struct Spread {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
    /// Upper bounds of the buckets.
    pub(super) bounds: &'static [f64],
    pub(super) of: fn(&MetricsRow) -> bool,
    /// What is spread. If there are several, an attribute of their own names each.
    pub(super) parts: &'static [SpreadPart],
    pub(super) attributes: &'static [Attribute],
}

/// A histogram of a row.
pub(super) struct SpreadPart {
    pub(super) attribute: Option<(&'static str, &'static str)>,
    pub(super) values: for<'a> fn(&'a MetricsRow) -> Values<'a>,
}

/// The values of a histogram, and their sum.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    /// The sum is in milliseconds. Bounds are in seconds.
    Times(&'a Latencies, f64),
    Tokens(TokenHistogram, u64),
}

/// A sum that only grows.
pub(super) struct Total {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
    pub(super) of: fn(&MetricsRow) -> bool,
    /// The summands. If there are several, an attribute of their own names each.
    pub(super) parts: &'static [Part],
    pub(super) attributes: &'static [Attribute],
}

/// A summand of a row.
pub(super) struct Part {
    pub(super) attribute: Option<(&'static str, &'static str)>,
    pub(super) value: fn(&MetricsRow) -> Amount,
}

/// A number of something, or money.
#[derive(Clone, Copy)]
pub(super) enum Amount {
    Count(u64),
    Money(Usd),
}

impl Conventions {
    pub(super) fn spreads(self) -> impl Iterator<Item = &'static Spread> {
        let tokens = match self {
            Self::Stable => TOKEN_USAGE,
            Self::GenAi01 => &[],
        };
        TIMES.iter().chain(tokens)
    }

    pub(super) fn totals(self) -> impl Iterator<Item = &'static Total> {
        let tokens = match self {
            Self::Stable => TOKENS,
            Self::GenAi01 => TOKENS_GEN_AI_0_1,
        };
        tokens.iter().chain(OWN)
    }
}

/// Advised for calls of models and tools, and for first chunks.
const CALL_BOUNDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Advised for the tokens of a call: those of [`TokenHistogram`].
const TOKEN_BOUNDS: [f64; 14] = {
    let (mut bounds, mut at) = ([0.0; 14], 0);
    while at < bounds.len() {
        bounds[at] = llm_audit_log::schema::TOKEN_BOUNDS[at] as f64;
        at += 1;
    }
    bounds
};
/// For what the recorder measures of itself, which is mostly short.
pub(super) const OWN_BOUNDS: &[f64] =
    &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Advised for agents.
const AGENT_BOUNDS: &[f64] =
    &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];

const OPERATION: Attribute = ("gen_ai.operation.name", operation);
const REQUEST_MODEL: Attribute = ("gen_ai.request.model", |row| &row.model);
const AGENT_NAME: Attribute = ("gen_ai.agent.name", |row| &row.agent);
const TOOL_NAME: Attribute = ("gen_ai.tool.name", |row| &row.action);
const ERROR_TYPE: Attribute = ("error.type", error_type);

/// The same in all versions so far.
static TIMES: &[Spread] = &[
    Spread {
        name: "gen_ai.client.operation.duration",
        description: "GenAI operation duration.",
        unit: "s",
        bounds: CALL_BOUNDS,
        of: MetricsRow::is_llm_call,
        parts: LATENCIES,
        attributes: &[OPERATION, REQUEST_MODEL, AGENT_NAME, ERROR_TYPE],
    },
    Spread {
        name: "gen_ai.client.operation.time_to_first_chunk",
        description: "Time to receive the first chunk of a streamed response.",
        unit: "s",
        bounds: CALL_BOUNDS,
        of: MetricsRow::is_llm_call,
        parts: &[SpreadPart {
            attribute: None,
            values: |row| Values::Times(&row.first_tokens, row.first_token_ms_sum),
        }],
        attributes: &[OPERATION, REQUEST_MODEL, AGENT_NAME],
    },
    Spread {
        name: "gen_ai.execute_tool.duration",
        description: "The duration of a single tool execution.",
        unit: "s",
        bounds: CALL_BOUNDS,
        of: MetricsRow::is_tool_call,
        parts: LATENCIES,
        attributes: &[OPERATION, TOOL_NAME, AGENT_NAME, ERROR_TYPE],
    },
    Spread {
        name: "gen_ai.invoke_agent.duration",
        description: "The end-to-end duration of a single agent invocation.",
        unit: "s",
        bounds: AGENT_BOUNDS,
        of: is_agent_call,
        parts: LATENCIES,
        attributes: &[OPERATION, AGENT_NAME, ERROR_TYPE],
    },
    Spread {
        name: "llm_audit.request_latency",
        description: "How long requests took.",
        unit: "s",
        bounds: CALL_BOUNDS,
        of: MetricsRow::is_request,
        parts: LATENCIES,
        attributes: &[AGENT, ACTION],
    },
];

/// In place of counters. The version in a repository of its own has counters again.
static TOKEN_USAGE: &[Spread] = &[Spread {
    name: "gen_ai.client.token.usage",
    description: "Number of input and output tokens used.",
    unit: "{token}",
    bounds: &TOKEN_BOUNDS,
    of: MetricsRow::is_llm_call,
    parts: &[
        SpreadPart {
            attribute: Some(("gen_ai.token.type", "input")),
            values: |row| Values::Tokens(row.calls_by_input, row.tokens_input),
        },
        SpreadPart {
            attribute: Some(("gen_ai.token.type", "output")),
            values: |row| Values::Tokens(row.calls_by_output, row.tokens_output),
        },
    ],
    attributes: &[OPERATION, REQUEST_MODEL, AGENT_NAME],
}];

/// The conventions have the histogram alone, which knows neither tenants nor kinds of tokens.
static TOKENS: &[Total] = &[
    Total {
        name: "llm_audit.tokens",
        description: "Tokens of model calls, input including cached ones, output including reasoning.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[
            Part {
                attribute: Some(("direction", "input")),
                value: |row| Amount::Count(row.tokens_input),
            },
            Part {
                attribute: Some(("direction", "output")),
                value: |row| Amount::Count(row.tokens_output),
            },
        ],
        attributes: &[AGENT, MODEL, TENANT],
    },
    Total {
        name: "llm_audit.token_kinds",
        description: "Parts of the tokens of model calls, by kind. Kinds may overlap.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[
            of_kind("cache_read", |row| Amount::Count(row.usage.cache_read)),
            of_kind("cache_write", |row| Amount::Count(row.usage.cache_write)),
            of_kind("cache_write_1h", |row| Amount::Count(row.usage.cache_write_1h)),
            of_kind("reasoning", |row| Amount::Count(row.usage.reasoning)),
            of_kind("audio_input", |row| Amount::Count(row.usage.audio_input)),
            of_kind("audio_output", |row| Amount::Count(row.usage.audio_output)),
        ],
        attributes: &[AGENT, MODEL, TENANT],
    },
];

const MODALITY: &str = "gen_ai.token.modality";
const TOKEN_ATTRIBUTES: &[Attribute] = &[OPERATION, REQUEST_MODEL, AGENT_NAME];

static TOKENS_GEN_AI_0_1: &[Total] = &[
    Total {
        name: "gen_ai.client.inference.usage.input_tokens",
        description: "The number of input tokens used, including cached tokens.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[
            of_audio(|row| Amount::Count(row.usage.audio_input)),
            of_unknown(|row| Amount::Count(row.tokens_input.saturating_sub(row.usage.audio_input))),
        ],
        attributes: TOKEN_ATTRIBUTES,
    },
    Total {
        name: "gen_ai.client.inference.usage.output_tokens",
        description: "The number of output tokens used, including reasoning tokens.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[
            of_audio(|row| Amount::Count(row.usage.audio_output)),
            of_unknown(|row| {
                Amount::Count(row.tokens_output.saturating_sub(row.usage.audio_output))
            }),
        ],
        attributes: TOKEN_ATTRIBUTES,
    },
    Total {
        name: "gen_ai.client.inference.usage.cache_read.input_tokens",
        description: "The number of input tokens read from a cache.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[of_unknown(|row| Amount::Count(row.usage.cache_read))],
        attributes: TOKEN_ATTRIBUTES,
    },
    Total {
        name: "gen_ai.client.inference.usage.cache_write.input_tokens",
        description: "The number of input tokens written to a cache.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[of_unknown(|row| Amount::Count(row.usage.cache_write))],
        attributes: TOKEN_ATTRIBUTES,
    },
    Total {
        name: "gen_ai.client.inference.usage.reasoning.output_tokens",
        description: "The number of output tokens used for reasoning.",
        unit: "{token}",
        of: MetricsRow::is_llm_call,
        parts: &[of_unknown(|row| Amount::Count(row.usage.reasoning))],
        attributes: TOKEN_ATTRIBUTES,
    },
];

const AGENT: Attribute = ("agent", |row| &row.agent);
const ACTION: Attribute = ("action", |row| &row.action);
const MODEL: Attribute = ("model", |row| &row.model);
const TENANT: Attribute = ("tenant", |row| &row.tenant);
const STATUS: Attribute = ("status", |row| row.status.name());
const EVENT_TYPE: Attribute = ("event_type", |row| &row.event_type);

const EVENTS: &[Part] = &[Part { attribute: None, value: |row| Amount::Count(row.events) }];

/// What no convention names.
static OWN: &[Total] = &[
    Total {
        name: "llm_audit.requests",
        description: "Requests that ended.",
        unit: "{request}",
        of: MetricsRow::is_request,
        parts: EVENTS,
        attributes: &[AGENT, ACTION, TENANT, STATUS],
    },
    Total {
        name: "llm_audit.llm_calls",
        description: "Model calls that ended.",
        unit: "{call}",
        of: MetricsRow::is_llm_call,
        parts: EVENTS,
        attributes: &[AGENT, ACTION, MODEL, TENANT, STATUS],
    },
    Total {
        name: "llm_audit.tool_calls",
        description: "Tool calls that ended.",
        unit: "{call}",
        of: MetricsRow::is_tool_call,
        parts: EVENTS,
        attributes: &[AGENT, ACTION, TENANT, STATUS],
    },
    Total {
        name: "llm_audit.events",
        description: "Events, before sampling.",
        unit: "{event}",
        of: |_| true,
        parts: EVENTS,
        attributes: &[EVENT_TYPE, STATUS],
    },
    Total {
        name: "llm_audit.errors",
        description: "Events with the status error.",
        unit: "{event}",
        of: MetricsRow::is_error,
        parts: EVENTS,
        attributes: &[EVENT_TYPE, AGENT, ACTION],
    },
    Total {
        name: "llm_audit.timeouts",
        description: "Events with the status timeout.",
        unit: "{event}",
        of: MetricsRow::is_timeout,
        parts: EVENTS,
        attributes: &[EVENT_TYPE, AGENT, ACTION],
    },
    Total {
        name: "llm_audit.retries",
        description: "Steps that are tried again.",
        unit: "{event}",
        of: MetricsRow::is_retry,
        parts: EVENTS,
        attributes: &[EVENT_TYPE, AGENT, ACTION],
    },
    Total {
        name: "llm_audit.cost_usd",
        description: "Cost of model calls whose price is known, in US dollars.",
        // Braces, because collectors add other units to the name for Prometheus.
        unit: "{USD}",
        of: MetricsRow::is_llm_call,
        parts: &[Part { attribute: None, value: |row| Amount::Money(row.cost_usd) }],
        attributes: &[AGENT, MODEL, TENANT],
    },
];

const fn of_kind(kind: &'static str, value: fn(&MetricsRow) -> Amount) -> Part {
    Part { attribute: Some(("kind", kind)), value }
}

const fn of_audio(value: fn(&MetricsRow) -> Amount) -> Part {
    Part { attribute: Some((MODALITY, "audio")), value }
}

/// Tokens of whose modality nothing is known.
const fn of_unknown(value: fn(&MetricsRow) -> Amount) -> Part {
    Part { attribute: Some((MODALITY, "unknown")), value }
}

const LATENCIES: &[SpreadPart] = &[SpreadPart {
    attribute: None,
    values: |row| Values::Times(&row.latencies, row.latency_ms_sum),
}];

/// Whether these are the invocations of agents that the `tracing` layer records.
fn is_agent_call(row: &MetricsRow) -> bool {
    row.event_type == "agent.invoke"
}

fn operation(row: &MetricsRow) -> &str {
    match row {
        _ if row.is_tool_call() => "execute_tool",
        _ if is_agent_call(row) => "invoke_agent",
        _ if row.action.contains("embed") => "embeddings",
        _ => "chat",
    }
}

fn error_type(row: &MetricsRow) -> &str {
    match row.status {
        Status::Timeout => "timeout",
        status if status.is_failure() => "_OTHER",
        _ => "",
    }
}
