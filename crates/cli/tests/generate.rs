//! `completions`, `man`, and what somebody sees first.

mod common;

use std::fs;

use common::{folder, run};

const SUBCOMMANDS: [&str; 15] = [
    "check",
    "cost",
    "completions",
    "errors",
    "fixture",
    "man",
    "record",
    "redact",
    "report",
    "run",
    "scan",
    "slo",
    "stats",
    "tail",
    "trace",
];

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = run(&["completions", shell]);
        assert_eq!((run.code, &*run.stderr), (0, ""), "{shell}");
        for name in SUBCOMMANDS.iter().chain(&["--since", "--reprice"]) {
            let name = name.trim_start_matches("--");
            assert!(run.stdout.contains(name), "no {name} for {shell}");
        }
    }
    let run = run(&["completions", "csh"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("possible values: bash"), "{run:?}");
}

#[test]
fn every_subcommand_has_a_man_page() {
    let (_keep, dir) = folder();
    let written = run(&["man", "--out", &dir]);
    assert_eq!((written.code, &*written.stdout), (0, ""), "{written:?}");
    for name in SUBCOMMANDS.iter().chain(&["slo-check", "slo-rules"]) {
        let page = fs::read_to_string(format!("{dir}/llm-audit-{name}.1")).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let page = run(&["man"]);
    assert!(page.stdout.contains("Exit codes"), "{page:?}");
    assert_eq!(run(&["man", "--out", "/proc/nowhere"]).code, 2);
}

#[test]
fn somebody_who_types_the_name_alone_sees_what_to_do() {
    let run = run(&[]);
    assert_eq!(run.code, 2, "{run:?}");
    for part in ["First steps:", "llm-audit demo", "llm-audit record", "Exit codes:"] {
        assert!(run.stderr.contains(part), "no {part} in {}", run.stderr);
    }
}
