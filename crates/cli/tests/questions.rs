//! The questions of docs/operations.md: its very commands, on a log that the demo filled with failures. The
//! answers have the shape that the page shows.
#![cfg(all(unix, feature = "demo"))]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{command, folder, run};

const PAGE: &str = include_str!("../../../docs/operations.md");
/// The width in which the page was written.
const COLUMNS: &str = "96";

/// The part of the page that asks the log.
fn section() -> &'static str {
    let (_, section) = PAGE.split_once("\n## Ask the log\n").unwrap();
    section.split("\n## ").next().unwrap()
}

/// The commands of the transcript, each with the lines of its answer.
fn transcript() -> Vec<(&'static str, Vec<&'static str>)> {
    let (_, text) = section().split_once("```text\n").unwrap();
    let text = text.split("\n```").next().unwrap();
    let mut all = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push((command, Vec::new())),
            (None, last) => last.unwrap().1.push(line),
        }
    }
    all
}

/// Runs a line of the page as a shell does, and returns all that it prints.
fn in_shell(line: &str, dir: &str, at: &Path) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_llm-audit")).parent().unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{{ {line}; }} 2>&1")).current_dir(at).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    shell.env("AUDIT_LOG_DIR", dir).env("COLUMNS", COLUMNS);
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{line}: {text}");
    text
}

/// What a line is, whatever its figures and names are.
fn shape(line: &str) -> String {
    let cells: Vec<_> = line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
    let is_figure = |c: char| c.is_ascii_digit() || matches!(c, '$' | '~' | '-');
    let has_digit = |word: &&str| word.chars().any(|c| c.is_ascii_digit());
    let is_duration =
        |word: &str| word.ends_with('s') && word.starts_with(|c: char| c.is_ascii_digit());
    let words = || line.split_whitespace().map(|word| if has_digit(&word) { "0" } else { word });
    match line {
        _ if line.contains(" spans, ") => "the counts".to_owned(),
        _ if line.contains("llm-audit trace ") => "an example".to_owned(),
        _ if line.starts_with("        ") => "a message".to_owned(),
        // On a busy machine a span takes seconds.
        _ if line.split_whitespace().any(is_duration) && line.contains(['█', '│']) => {
            "a span".to_owned()
        }
        _ if line.starts_with(['│', '├', '└']) => "a note".to_owned(),
        _ if line.contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']) => {
            "a group".to_owned()
        }
        _ if line.starts_with("llm-audit: not captured: ") => "a gap".to_owned(),
        _ if line.contains(" calls; ") => "the calls".to_owned(),
        // A header has no figures.
        _ if cells.len() >= 6 && !cells.iter().any(|cell| cell.starts_with(is_figure)) => {
            cells.join(" ")
        }
        _ if cells.len() >= 6 && cells[1..].iter().all(|c| has_digit(c) || *c == "-") => {
            format!("a row of {} cells", cells.len())
        }
        _ => words().collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn every_command_of_the_page_has_an_answer_of_the_shape_that_it_shows() {
    let (keep, dir) = folder();
    assert_eq!(run(&["demo", "--requests", "120", "--dir", &dir]).code, 0);
    let errors = run(&["errors", "--json", "--dir", &dir]).json();
    let id = errors["groups"][0]["trace_id"].as_str().unwrap()[..12].to_owned();
    let transcript = transcript();
    assert_eq!(transcript.len(), 5);
    for (line, expected) in transcript {
        let is_id = |word: &&str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let of_page = line.split(' ').find(is_id).unwrap_or("no id");
        // Midnight is between the demo and the question now and then.
        let line = line.replace("--since today", "--since yesterday");
        let answer = in_shell(&line.replace(of_page, &id), &dir, keep.path());
        let shapes = |lines: Vec<&str>| lines.into_iter().map(shape).collect::<BTreeSet<_>>();
        let (found, shown) = (shapes(answer.lines().collect()), shapes(expected));
        // An error of the trace may be among its first lines, and a gap may not be there.
        let may_differ = |shape: &&String| !["a note", "a gap", ""].contains(&shape.as_str());
        let of = |shapes: &BTreeSet<String>| -> Vec<_> {
            shapes.iter().filter(may_differ).cloned().collect()
        };
        assert_eq!(of(&found), of(&shown), "{line}\n{answer}");
    }
    assert!(keep.path().join(format!("tests/replay_{id}.rs")).exists());
}

#[test]
fn every_command_of_the_table_runs() {
    let (keep, dir) = folder();
    assert_eq!(run(&["demo", "--requests", "120", "--dir", &dir]).code, 0);
    let rows = section().lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let commands: Vec<_> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .map(|line| line.replace("--since today", "--since yesterday"))
        .collect();
    assert_eq!(commands.len(), 7, "{commands:?}");
    for line in commands.iter().filter(|line| !line.contains("ID")) {
        if !line.contains("tail -f") {
            assert!(!in_shell(line, &dir, keep.path()).is_empty(), "{line}");
            continue;
        }
        // What is in quotes is one word.
        let words = line.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        let args: Vec<_> = words.skip(1).chain(["--dir", &dir]).collect();
        let mut child = command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
        let first = first.unwrap().unwrap();
        assert!(first.contains("error") || first.contains("timeout"), "{line}\n{first}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
