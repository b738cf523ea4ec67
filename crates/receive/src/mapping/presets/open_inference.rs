//! OpenInference, as its specification and its instrumentations of Python and JavaScript have it.

use super::super::table::{Row, To, row};

pub(super) static ROWS: &[Row] = &[
    row(&["llm.model_name", "embedding.model_name", "reranker.model_name"], To::RequestModel),
    row(&["llm.provider", "llm.system"], To::Data("provider")),
    row(&["llm.finish_reason"], To::Data("finish_reasons")),
    row(&["llm.invocation_parameters", "embedding.invocation_parameters"], To::Data("parameters")),
    row(&["llm.cost.total"], To::Cost),
    row(&["agent.name"], To::Agent),
    row(&["tool_call.id", "tool.id"], To::Data("call_id")),
    row(&["tool_call.function.name"], To::Tool),
    row(&["tool_call.function.arguments", "tool.parameters"], To::Content("arguments")),
    row(&["input.value"], To::Content("prompt")),
    row(&["output.value"], To::Content("completion")),
    row(&["reranker.query"], To::Content("prompt")),
    row(
        &["llm.prompt_template.template", "llm.prompt_template.variables"],
        To::Content("template"),
    ),
    row(&["tag.tags"], To::Data("tags")),
    row(&["metadata"], To::Data("metadata")),
];
