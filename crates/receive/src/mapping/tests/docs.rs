//! `docs/receive-mapping.md` has the tables of the presets. `LLM_AUDIT_BLESS=1` writes them there.

use std::fmt::Write;

use llm_audit_log::schema::gen_ai;

use super::super::messages::NUMBERED;
use super::super::origin::{LEFT_OUT, RESOURCE, SHARED};
use super::super::presets::{JUDGEMENTS, PRESETS, Preset};
use super::super::table::{Row, To};
use super::*;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/receive-mapping.md");

fn place(to: To) -> String {
    let field = match to {
        To::Agent => "`agent`",
        To::Data(name) | To::Number(name) | To::Seconds(name) => return format!("`data.{name}`"),
        To::Content(name) => return format!("`data.{name}`, content"),
        To::Url => "`data.url`, without its query and fragment",
        To::Query => "nothing",
        To::EventType => "the type",
        To::Operation => "the operation",
        To::Tool => "`data.tool`, `action` of tools",
        To::RequestModel => "`data.model`; `data.request_model` if another model answered",
        To::ResponseModel => "`data.model`",
        To::Tokens(name) => return tokens(name).to_owned(),
        To::Cost => "`cost_usd`",
        To::LatencyMs => "`latency_ms` of log records",
        To::Success => "whether it succeeded",
        To::ErrorType => "`error.type`",
        To::ErrorMessage => "`error.message`",
        To::Traceback => "`error.traceback`",
        To::Sequence => "`data.origin.sequence`",
        To::Time => "nothing; the time of the record says the same",
    };
    field.to_owned()
}

/// What a count under its provider's name is. A part that a provider counts beside its whole is added to it.
fn tokens(name: &str) -> &'static str {
    let is = |names: &[&str], others: &[&str]| names[0] == name || others.contains(&name);
    match name {
        _ if is(gen_ai::INPUT, &["input_tokens", "promptTokenCount"]) => "`tokens_input`",
        _ if is(gen_ai::OUTPUT, &["output_tokens", "candidatesTokenCount"]) => "`tokens_output`",
        _ if is(
            gen_ai::CACHE_READ,
            &["cache_read_input_tokens", "cached_input_tokens", "cachedContentTokenCount"],
        ) =>
        {
            "`data.usage.cache_read`"
        }
        _ if is(gen_ai::CACHE_WRITE, &["cache_creation_input_tokens"]) => {
            "`data.usage.cache_write`"
        }
        _ if is(gen_ai::REASONING, &["reasoning_output_tokens", "thoughtsTokenCount"]) => {
            "`data.usage.reasoning`"
        }
        _ if is(gen_ai::AUDIO_INPUT, &[]) => "`data.usage.audio_input`",
        _ if is(gen_ai::AUDIO_OUTPUT, &[]) => "`data.usage.audio_output`",
        _ if is(gen_ai::AUDIO_CACHE_READ, &[]) => "`data.usage.audio_cache_read`",
        _ if is(gen_ai::SERVICE_TIER, &[]) => "`data.usage.service_tier`",
        _ if is(gen_ai::TOTAL, &["totalTokenCount"]) => "the sum, which completes the others",
        "toolUsePromptTokenCount" => "a part of `tokens_input`",
        _ => panic!("{name} has no meaning"),
    }
}

fn attributes(rows: &[Row]) -> String {
    let mut table = "| attribute | becomes |\n|---|---|\n".to_owned();
    for row in rows {
        let names: Vec<_> = row.names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(table, "| {} | {} |", names.join(", "), place(row.to)).expect("a text");
    }
    table
}

fn events(preset: &Preset) -> String {
    let mut table = "| log record | becomes |\n|---|---|\n".to_owned();
    for event in preset.events {
        let failed = match event.failed == event.becomes {
            true => String::new(),
            false => format!(", `{}` if it failed", event.failed),
        };
        writeln!(table, "| `{}` | `{}`{failed} |", event.name, event.becomes).expect("a text");
    }
    table + "\n"
}

fn resource() -> String {
    let mut table = "| attribute of the resource | becomes |\n|---|---|\n".to_owned();
    for (name, member) in RESOURCE {
        writeln!(table, "| `{name}` | `data.origin.{member}` |").expect("a text");
    }
    for (name, member) in SHARED {
        writeln!(table, "| `{name}` | `data.{member}` of records without one |").expect("a text");
    }
    let left_out: Vec<_> = LEFT_OUT.iter().map(|prefix| format!("`{prefix}*`")).collect();
    writeln!(table, "| any other of {} | nothing |", left_out.join(", ")).expect("a text");
    table + "| any other | `data.origin.attributes`, 32 at most |\n"
}

fn numbered() -> String {
    let mut table = "| attributes | become |\n|---|---|\n".to_owned();
    for (prefix, member) in NUMBERED {
        writeln!(table, "| `{prefix}N.*` | `data.{member}` |").expect("a text");
    }
    table
}

/// Replaces what is between the two comments of this name.
fn replaced(text: String, name: &str, table: &str) -> String {
    let (start, end) = (format!("<!-- {name}:start -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{PATH} lacks {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PATH} lacks {end}"));
    format!("{before}{start}{table}{end}{after}")
}

#[test]
fn the_documentation_has_the_tables_of_the_presets() {
    let mut text = fs::read_to_string(PATH).expect("docs/receive-mapping.md");
    text = replaced(text, "resource", &resource());
    text = replaced(text, "numbered", &numbered());
    let [agents @ .., others] = &PRESETS;
    for (name, preset) in ["claude_code", "codex", "gemini_cli"].into_iter().zip(agents) {
        text = replaced(text, name, &(events(preset) + &attributes(preset.rows[0])));
    }
    for (name, rows) in
        ["gen_ai", "open_inference", "frameworks", "common"].into_iter().zip(others.rows)
    {
        text = replaced(text, name, &attributes(rows));
    }
    text = replaced(text, "judgements", &attributes(JUDGEMENTS));
    assert_file(PATH.into(), &text);
}
