//! Alerts to a command.
#![cfg(unix)]

use std::process::Command as Process;
use std::time::Duration;
use std::{env, fs};

use llm_audit_slo::notify::{Command, Notifier};
use serde_json::Value;

use crate::alert;

fn command(text: &str) -> Command {
    Command::new(text).expect("a command")
}

#[test]
fn a_command_gets_the_alert_as_json_on_its_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("with space.json");
    command(&format!("tee '{}'", file.display())).notify(&alert()).expect("it succeeds");
    let json: Value = serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON");
    assert_eq!(json["alerts"][0]["labels"]["alertname"], "error-rate");
    assert_eq!(json["status"], "firing");
}

#[test]
fn no_shell_reads_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("words");
    let text = format!(
        r#"sh -c 'printf "%s\n" "$@" > "$0"' "{}" $HOME * a\ b '$(id)' "" ; | ~"#,
        file.display()
    );
    command(&text).notify(&alert()).expect("it succeeds");
    let words = fs::read_to_string(&file).expect("the file");
    assert_eq!(
        words.lines().collect::<Vec<_>>(),
        ["$HOME", "*", "a b", "$(id)", "", ";", "|", "~"]
    );
}

#[test]
fn a_command_that_fails_is_tried_again() {
    for (text, expected) in [
        ("sh -c 'exit 3'", "exit status: 3"),
        ("/no/such/program", "No such file or directory (os error 2)"),
    ] {
        let error = command(text).notify(&alert()).expect_err("it fails");
        assert_eq!(error.to_string(), expected);
        assert!(error.is_temporary());
    }
}

#[test]
fn a_command_that_does_not_end_is_killed() {
    let mut command = command("sleep 1000000").with_limit(Duration::ZERO);
    let error = command.notify(&alert()).expect_err("it is killed");
    assert_eq!(error.to_string(), "killed after 0ns");
}

/// The system then discards the exit codes of children. The test runs itself in such a process.
#[test]
fn a_command_is_run_if_the_application_ignores_its_children() {
    const NAME: &str = "command::a_command_is_run_if_the_application_ignores_its_children";
    const INNER: &str = "LLM_AUDIT_TEST_INNER";
    if env::var_os(INNER).is_some() {
        command("true").notify(&alert()).expect("its end is not known");
        let mut hangs = command("sleep 1000000").with_limit(Duration::ZERO);
        assert_eq!(
            hangs.notify(&alert()).expect_err("it is killed").to_string(),
            "killed after 0ns"
        );
        return;
    }
    let mut perl = Process::new("perl");
    perl.args(["-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV"]);
    let inner =
        perl.arg(env::current_exe().expect("a path")).args(["--exact", NAME]).env(INNER, "1");
    let output = inner.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
