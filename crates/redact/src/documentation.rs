//! The lists of docs/redaction.md contain what the tables say. `LLM_AUDIT_BLESS=1` writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use crate::Kind;
use crate::rules::documented_prefixes;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redaction.md");

/// Returns whether a kind is that of one service.
fn is_service_kind(kind: Kind) -> bool {
    let of_service = documented_prefixes().any(|(service, _)| service == kind);
    of_service || kind.description().starts_with("A secret of")
}

/// Returns a row for each kind that is not of one service.
fn kinds_table() -> String {
    let mut text = "| found | rule | becomes |\n|---|---|---|\n".to_owned();
    for kind in Kind::ALL.into_iter().filter(|&kind| !is_service_kind(kind)) {
        let (name, placeholder) = (kind.name(), kind.placeholder());
        let description = kind.description().trim_end_matches('.');
        writeln!(text, "| {description} | `{name}` | `{placeholder}` |").unwrap();
    }
    text
}

/// Returns a row for each kind of one service, and one for all other services.
fn services_table() -> String {
    let mut text = "| found | rule | begins with |\n|---|---|---|\n".to_owned();
    for kind in Kind::ALL.into_iter().filter(|&kind| is_service_kind(kind)) {
        let prefixes: BTreeSet<_> = documented_prefixes()
            .filter(|(service, _)| *service == kind)
            .map(|(_, prefix)| prefix)
            .collect();
        let prefixes: Vec<_> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
        let prefixes = match prefixes.is_empty() {
            true => "a form of its own".to_owned(),
            false => prefixes.join(" "),
        };
        let description = kind.description().trim_end_matches('.');
        writeln!(text, "| {description} | `{}` | {prefixes} |", kind.name()).unwrap();
    }
    text
}

/// Returns the page with this list between its two marks.
fn page_with_list(page: &str, name: &str, list: &str) -> String {
    let (start, end) = (format!("<!-- {name}:start -->\n"), format!("<!-- {name}:end -->\n"));
    let (before, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{PAGE} lacks {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} lacks {end}"));
    format!("{before}{start}\n{list}\n{end}{after}")
}

#[test]
fn the_page_contains_the_tables() {
    let given = fs::read_to_string(PAGE).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    let lists = [("kinds", kinds_table()), ("services", services_table())];
    let expected =
        lists.iter().fold(given.clone(), |page, (name, list)| page_with_list(&page, name, list));
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        return fs::write(PAGE, expected).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    }
    assert!(
        given == expected,
        "docs/redaction.md differs from the tables of the rules; LLM_AUDIT_BLESS=1 cargo test -p \
         llm-audit-redact documentation writes it"
    );
}
