//! Runs the built command for the tests, and makes the logs they give it to read.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// How a run of the command ended, and what it said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The only JSON object on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Holds for every run: errors say who speaks, except in JSON.
    fn checked(self) -> Self {
        if let Some(first) = self.stderr.lines().next() {
            assert!(first.starts_with("llm-audit: ") || first.starts_with('{'), "{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// The command with nothing of this process's environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-audit"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Run {
    run_with(command(args), |_| Ok(()))
}

pub fn run_on(args: &[&str], stdin: &[u8]) -> Run {
    run_with(command(args), |to| to.write_all(stdin))
}

/// Runs with what `feed` writes on stdin.
pub fn run_with(
    mut command: Command,
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send,
) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, feed)
}

/// Runs with a stdout that nobody reads.
pub fn run_closed(mut command: Command, stdin: &[u8]) -> Run {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped());
    finish(command, |to| to.write_all(stdin))
}

fn finish(mut command: Command, feed: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send) -> Run {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || match feed(&mut stdin) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("{error}"),
            _ => {}
        });
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }.checked()
    })
}

/// A folder that is gone at the end, and its path as an argument.
pub fn folder() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs").to_str().unwrap().to_owned();
    (dir, path)
}

/// Every line of a log folder, parsed, the log's own ones apart.
pub fn events(dir: impl AsRef<Path>) -> Vec<serde_json::Value> {
    let own = |line: &serde_json::Value| {
        line["event_type"].as_str().is_some_and(|name| name.starts_with("audit."))
    };
    text(dir).lines().map(|line| serde_json::from_str(line).unwrap()).filter(|l| !own(l)).collect()
}

/// How many event lines a log folder has, however deep they nest.
pub fn event_lines(dir: impl AsRef<Path>) -> usize {
    text(dir).lines().filter(|line| !line.contains("\"event_type\":\"audit.")).count()
}

/// All files of a log folder, one after the other.
pub fn text(dir: impl AsRef<Path>) -> String {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    // A folder also has a key, and readers leave a folder of indexes.
    paths.retain(|path| path.is_file() && !path.ends_with(".key"));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

pub const FILE: &str = "audit-2026-01-02.jsonl";
pub const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub const OTHER: &str = "0af7beef16cd43dd8448eb211c80319c";

/// Makes the folder with one file.
pub fn write(dir: &str, name: &str, text: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(Path::new(dir).join(name), text).unwrap();
}

/// An event line: its number, trace, span and further members.
pub fn event(seq: u64, trace: &str, span: &str, more: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"00000000000000aa","seq":{seq},"trace_id":"{trace}","span_id":"{span}","timestamp":"2026-01-02T03:04:05.{seq:06}Z","event_type":"llm.invoke","agent":"planner","action":"chat","status":"ok"{more}}}"#
    ) + "\n"
}

pub fn own(kind: &str, data: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"00000000000000aa","timestamp":"2026-01-02T03:04:05.000000Z","event_type":"audit.{kind}","data":{{{data}}}}}"#
    ) + "\n"
}

/// A whole log of events 1 to `last`, every one in a span of its own.
pub fn whole(last: u64) -> String {
    let events: String =
        (1..=last).map(|seq| event(seq, TRACE, &format!("{seq:016x}"), "")).collect();
    let counts = format!(
        r#""emitted":{last},"written":{last},"overwritten":0,"sampled_out":0,"rejected":0,"io_lost":0,"queued":0"#
    );
    own("start", "\"first\":true") + &events + &own("stop", &counts)
}

/// A whole log of one event, of this service and instance.
pub fn log_of_service(service: &str, instance: &str, trace: &str, span: &str) -> String {
    let start = format!(r#""first":true,"service":"{service}","host":"web-3","pid":4242"#);
    let counts = r#""emitted":1,"written":1,"overwritten":0,"sampled_out":0,"rejected":0,"io_lost":0,"queued":0"#;
    let log = own("start", &start) + &event(1, trace, span, "") + &own("stop", counts);
    log.replace("00000000000000aa", instance)
}
