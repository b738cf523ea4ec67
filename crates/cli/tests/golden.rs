//! What people see: every query of the command on one log, at two widths, with and without colours.
//!
//! `LLM_AUDIT_BLESS=1` writes the expected files anew; read the difference before you commit it.

mod common;

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use common::{command, run_with};

const QUERIES: [&[&str]; 10] = [
    &["report"],
    &["errors", "-n", "5"],
    &["stats"],
    &["stats", "--by", "agent,action", "--type", "tool"],
    &["stats", "--by", "day,status"],
    &["cost"],
    &["cost", "--by", "agent,model"],
    &["trace", "--failed"],
    &["tail", "-n", "12"],
    &["verify"],
];

fn golden() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// What all queries print.
fn shown(columns: &str, colours: bool) -> String {
    QUERIES.iter().fold(String::new(), |mut all, query| {
        let mut command = command(&[query, &["log.jsonl"][..]].concat());
        command.current_dir(golden()).env("COLUMNS", columns);
        if colours {
            command.env("CLICOLOR_FORCE", "1");
        }
        let run = run_with(command, |_| Ok(()));
        assert_eq!((run.code, &*run.stderr), (0, ""), "{query:?}: {run:?}");
        write!(all, "$ llm-audit {}\n{}\n", query.join(" "), run.stdout).unwrap();
        all
    })
}

fn check(name: &str, columns: &str, colours: bool) {
    let (path, shown) = (golden().join(name), shown(columns, colours));
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        fs::write(&path, &shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(shown == expected, "{name} differs; LLM_AUDIT_BLESS=1 writes it anew\n{shown}");
}

#[test]
fn at_80_columns() {
    check("80.txt", "80", false);
}

#[test]
fn at_80_columns_in_colour() {
    check("80-colour.txt", "80", true);
}

#[test]
fn at_160_columns() {
    check("160.txt", "160", false);
}

#[test]
fn at_160_columns_in_colour() {
    check("160-colour.txt", "160", true);
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in [40, 50, 60, 70, 80, 160] {
        let shown = shown(&columns.to_string(), false);
        let lines = shown.lines().filter(|line| !line.starts_with('$'));
        let wide: Vec<_> = lines.filter(|line| line.chars().count() > columns).collect();
        assert!(wide.is_empty(), "{columns}: {wide:#?}");
    }
}
