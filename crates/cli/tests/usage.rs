//! Answers to arguments: help, mistakes, and streams that nobody holds.

mod common;

use common::{FILE, TRACE, command, folder, run, run_closed, whole, write};

#[test]
fn help_is_fine_and_mistakes_are_not() {
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--help"], 0, "Exit codes"),
        (&["--version"], 0, "llm-audit"),
        (&["check", "--help"], 0, "Examples"),
        (&["record", "--help"], 0, "Examples"),
        (&["redact", "--help"], 0, "Examples"),
        (&["verify", "--help"], 0, "Examples"),
        (&["tail", "--help"], 0, "Examples"),
        (&["trace", "--help"], 0, "Examples"),
        (&[], 2, ""),
        (&["nonsense"], 2, ""),
        (&["record", "--nonsense"], 2, ""),
        (&["trace"], 2, ""),
        (&["tail", "--status", "fine"], 2, ""),
    ];
    for (args, code, expected) in cases {
        let run = run(args);
        assert_eq!(run.code, code, "{args:?} {run:?}");
        assert!(run.stdout.contains(expected), "{args:?} {run:?}");
        assert_eq!(run.stderr.is_empty(), code == 0, "{args:?} {run:?}");
    }
}

#[test]
fn help_fits_the_terminal() {
    let names = ["report", "errors", "tail", "trace", "stats", "cost", "check", "record", "slo"];
    for columns in [60, 80, 100, 160] {
        let at = columns.to_string();
        for name in [""].iter().chain(&names) {
            let words: Vec<_> =
                [*name, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
            let mut help = command(&words);
            help.env("COLUMNS", &at);
            let run = common::run_with(help, |_| Ok(()));
            let widest = run.stdout.lines().map(|line| line.chars().count()).max().unwrap();
            assert!((50..=columns.min(100)).contains(&widest), "{columns} {name} {}", run.stdout);
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &whole(3));
    let cases: [(&[&str], i32); 7] = [
        (&["tail", "--dir", &dir], 0),
        (&["trace", TRACE, "--dir", &dir], 0),
        (&["--help"], 0),
        (&["check"], 0),
        (&["redact"], 0),
        (&["verify", "--dir", &dir], 0),
        (&["scan"], 1),
    ];
    for (args, code) in cases {
        let run = run_closed(command(args), b"to ana@example.org\n");
        assert_eq!((run.code, &*run.stderr), (code, ""), "{args:?} {run:?}");
    }
}

#[test]
fn the_folder_comes_from_the_environment_or_is_logs() {
    let (keep, dir) = folder();
    write(&dir, FILE, &whole(3));
    let mut named = command(&["verify"]);
    named.env("AUDIT_LOG_DIR", &dir);
    let mut default = command(&["verify"]);
    default.current_dir(keep.path());
    for command in [named, default] {
        let run = common::run_with(command, |_| Ok(()));
        assert_eq!(run.code, 0, "{run:?}");
    }
}

#[test]
fn no_log_is_no_data_and_no_folder_is_a_mistake() {
    let (_keep, dir) = folder();
    for expected in [3, 2] {
        for args in [&["verify"][..], &["tail"], &["trace", "0af7"]] {
            let run = run(&[args, &["--dir", &dir]].concat());
            assert_eq!(run.code, expected, "{args:?} {run:?}");
            assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?} {run:?}");
        }
        std::fs::write(&dir, "a file, where a folder is looked for").unwrap();
    }
}
