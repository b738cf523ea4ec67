//! `docs/schema.md` has the tables that the schema makes. `LLM_AUDIT_BLESS=1` writes them there.

use std::fmt::Write as _;
use std::{env, fs};

use llm_audit_log::EventType;
use llm_audit_log::schema::notices::NoticeType;
use llm_audit_log::schema::{FIELDS, Presence};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");

fn fields() -> String {
    let mut table = "| field | type | in | meaning |\n|---|---|---|---|\n".to_owned();
    for field in FIELDS {
        let (name, of, meaning) = (field.name, field.type_name, field.description);
        let lines = match field.presence {
            Presence::Always | Presence::Required => "every line",
            Presence::Notice => "the log's own lines",
            Presence::Event | Presence::RequiredEvent => "every event",
            _ => "some events",
        };
        let required = if field.presence.is_required() { ", required on input" } else { "" };
        writeln!(table, "| `{name}` | {of} | {lines}{required} | {meaning} |").expect("a string");
    }
    table
}

fn types() -> String {
    let mut table = "| type | reports | span |\n|---|---|---|\n".to_owned();
    for event_type in EventType::ALL {
        let span = if event_type.shares_span() { "of its operation" } else { "its own" };
        let (name, reports) = (event_type.name(), event_type.description());
        writeln!(table, "| `{name}` | {reports} | {span} |").expect("a string");
    }
    for notice in NoticeType::ALL {
        let (name, reports) = (notice.name(), notice.description());
        writeln!(table, "| `{name}` | {reports} | none |").expect("a string");
    }
    table
}

/// Replaces what is between the two comments of this name.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let (start, end) = (format!("<!-- {name}:start -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{PATH} lacks {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PATH} lacks {end}"));
    format!("{before}{start}{table}{end}{after}")
}

#[test]
fn the_tables_of_the_documentation_are_those_of_the_schema() {
    let text = fs::read_to_string(PATH).expect("docs/schema.md");
    let expected = replaced(&replaced(&text, "fields", &fields()), "types", &types());
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        fs::write(PATH, expected).expect("docs/schema.md can be written");
        return;
    }
    assert!(
        text == expected,
        "docs/schema.md differs from the schema; LLM_AUDIT_BLESS=1 cargo test -p llm-audit-log \
         --test docs writes it. It should be:\n{expected}"
    );
}
