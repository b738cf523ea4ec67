//! The pages that list the variables contain what the table says. `LLM_AUDIT_BLESS=1` writes them.

use std::fmt::Write as _;
use std::{env, fs};

use llm_audit::environment::{VARIABLES, Variable};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const CRATE_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/variables.md");
const START: &str = "<!-- variables:start -->\n";
const END: &str = "<!-- variables:end -->\n";

/// Returns a heading and a table for each group.
fn tables() -> String {
    let mut text = String::new();
    let mut group = "";
    for variable in VARIABLES {
        if variable.group() != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = variable.group();
            write!(text, "{gap}### {group}\n\n| variable | default | accepted | meaning |\n")
                .unwrap();
            text.push_str("|---|---|---|---|\n");
        }
        text.push_str(&row(variable));
    }
    text
}

fn row(variable: &Variable) -> String {
    let default = match variable.default_value() {
        none if none == "none" && variable.name() != "AUDIT_COMPRESS" => none,
        text if text.contains(' ') => text,
        value => format!("`{value}`"),
    };
    let (name, accepted) = (variable.name(), variable.accepted());
    format!("| `{name}` | {default} | {accepted} | {} |\n", variable.documentation())
}

fn page(text: &str) -> String {
    let (before, rest) = text.split_once(START).unwrap_or_else(|| panic!("{PAGE} lacks {START}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{PAGE} lacks {END}"));
    format!("{before}{START}\n{}\n{END}{after}", tables())
}

#[test]
fn the_pages_contain_the_table_of_variables() {
    let text = fs::read_to_string(PAGE).expect("docs/configuration.md");
    for (path, expected) in [(PAGE, page(&text)), (CRATE_PAGE, tables())] {
        if env::var_os("LLM_AUDIT_BLESS").is_some() {
            fs::write(path, expected).unwrap_or_else(|error| panic!("{path}: {error}"));
            continue;
        }
        let found = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(
            found == expected,
            "{path} differs from the table in src/config/variables.rs; LLM_AUDIT_BLESS=1 cargo test \
             --test variables writes it. It should be:\n{expected}"
        );
    }
}
