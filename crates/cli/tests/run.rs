//! `run`: a program in a span of its own, its end, its signals and its output.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use common::{command, events, folder, text};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// `llm-audit run`, whose log is in this folder, as is that of what it runs.
fn run_command(dir: &str, args: &[&str]) -> Command {
    let mut command = command(&[&["run"], args].concat());
    command.env("AUDIT_LOG_DIR", dir).env("PATH", "/usr/bin:/bin");
    command
}

fn run(dir: &str, args: &[&str]) -> Output {
    run_command(dir, args).output().unwrap()
}

/// Starts it, and returns its stdin and stdout. A shell has what it runs in the background ignore SIGINT.
fn start(dir: &str, args: &[&str]) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = start_into(Stdio::piped(), dir, args);
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, stdin, BufReader::new(stdout))
}

fn start_into(stdout: impl Into<Stdio>, dir: &str, args: &[&str]) -> Child {
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_llm-audit"), "run"]).args(args);
    command.env_clear().env("AUDIT_LOG_DIR", dir).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(stdout).spawn().unwrap()
}

/// A pipe with no room left, whose writer does not block, and how many bytes are in it.
fn full_pipe() -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let mut bytes = 0;
    loop {
        match writer.write(&[b'-'; 4096]) {
            Ok(written) => bytes += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (reader, writer, bytes),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until there is an event of this type.
fn wait_for(child: &mut Child, dir: &str, event_type: &str) {
    let has_come = |event: &Value| event["event_type"] == event_type;
    while !Path::new(dir).exists() || !events(dir).iter().any(has_come) {
        assert!(child.try_wait().unwrap().is_none(), "it ended without {event_type}");
    }
}

fn read_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// The only event of this type and action.
fn event(dir: &str, event_type: &str, action: &str) -> Value {
    let is_it = |e: &Value| e["event_type"] == event_type && e["action"] == action;
    let found: Vec<_> = events(dir).into_iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{event_type} {action}: {found:?}");
    found[0].clone()
}

/// The texts of the lines that were recorded of an output.
fn texts(dir: &str, stream: &str) -> Vec<String> {
    let of_stream = |e: &Value| e["event_type"] == "log.line" && e["action"] == stream;
    let lines = events(dir).into_iter().filter(of_stream);
    lines.map(|line| line["data"]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_is_a_span_that_the_program_is_told_of() {
    let (_keep, dir) = folder();
    let ended = run(&dir, &["--", "sh", "-c", "echo $TRACEPARENT $TRACESTATE; exit 3"]);
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(3), &b""[..]));
    let (begin, end) = (event(&dir, "request.start", "sh"), event(&dir, "request.end", "sh"));
    let told = String::from_utf8(ended.stdout).unwrap();
    let ids = [&end["trace_id"], &end["span_id"]].map(|id| id.as_str().unwrap());
    assert!(told.starts_with(&format!("00-{}-{}-03 ot=th:0", ids[0], ids[1])), "{told}");
    assert_eq!((&begin["trace_id"], &begin["span_id"]), (&end["trace_id"], &end["span_id"]));
    assert_eq!(end.get("parent_span_id"), None);
    let said = "sh -c 'echo $TRACEPARENT $TRACESTATE; exit 3'";
    assert_eq!(begin["data"]["command"], said);
    assert_eq!((&end["agent"], &end["status"]), (&json!("run"), &json!("error")));
    assert_eq!(end["data"], json!({ "exit_code": 3 }));
    assert_eq!(end["error"]["type"], "ExitCode");
    assert_eq!(end["error"]["message"], "sh ended with exit code 3");
    assert!(end["latency_ms"].as_f64().unwrap() > 0.0, "{end}");
}

#[test]
fn the_trace_that_it_starts_in_goes_on() {
    let (_keep, dir) = folder();
    let mut command = run_command(&dir, &["--agent", "nightly", "--action", "job", "true"]);
    let ended = command.env("TRACEPARENT", TRACEPARENT).output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]));
    let end = event(&dir, "request.end", "job");
    assert_eq!((&end["trace_id"], &end["parent_span_id"]), (&json!(TRACE), &json!(PARENT)));
    assert_eq!((&end["agent"], &end["status"]), (&json!("nightly"), &json!("ok")));
}

#[test]
fn what_a_program_records_is_below_the_innermost_run() {
    let (_keep, dir) = folder();
    let this = env!("CARGO_BIN_EXE_llm-audit");
    let script = "\"$0\" run --action inner -- \"$0\" record";
    let mut command = run_command(&dir, &["--action", "outer", "--", "sh", "-c", script, this]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let line = json!({"event_type": "cache.hit", "agent": "a", "action": "get", "status": "ok"});
    let foreign = json!({"trace_id": "ab12", "span_id": "1", "parent_span_id": "2"});
    let given = json!({"event_type": "cache.hit", "agent": "a", "action": "given", "status": "ok",
        "trace_id": "ab12", "span_id": "1", "parent_span_id": "2"});
    writeln!(child.stdin.take().unwrap(), "{line}\n{given}").unwrap();
    assert!(child.wait().unwrap().success());
    let outer = event(&dir, "request.end", "outer");
    let inner = event(&dir, "request.end", "inner");
    let hit = event(&dir, "cache.hit", "get");
    assert_eq!(inner["parent_span_id"], outer["span_id"]);
    assert_eq!(hit["parent_span_id"], inner["span_id"]);
    assert_eq!((&inner["trace_id"], &hit["trace_id"]), (&outer["trace_id"], &outer["trace_id"]));
    let given = event(&dir, "cache.hit", "given");
    for name in ["trace_id", "span_id", "parent_span_id"] {
        let (is, was) = (given[name].as_str().unwrap(), foreign[name].as_str().unwrap());
        assert_eq!(is.trim_start_matches('0'), was, "{name}");
    }
}

#[test]
fn a_program_that_a_signal_ends_is_an_error_with_its_reason() {
    let (_keep, dir) = folder();
    let ended = run(&dir, &["--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(ended.status.code(), Some(137));
    let end = event(&dir, "request.end", "sh");
    assert_eq!(end["data"], json!({ "exit_code": 137, "signal": "SIGKILL" }));
    assert_eq!(end["error"]["type"], "Killed");
    assert_eq!(end["error"]["message"], "sh was ended by SIGKILL");
}

#[test]
fn a_program_that_cannot_start_is_an_error_too() {
    for (program, code, kind) in
        [("nowhere/agent", 127, "NotFound"), ("/etc/passwd", 126, "NotStarted")]
    {
        let (_keep, dir) = folder();
        let ended = run(&dir, &["--action", "x", "--", program]);
        assert_eq!(ended.status.code(), Some(code), "{program}");
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert!(stderr.starts_with("llm-audit: cannot start "), "{stderr}");
        let end = event(&dir, "request.end", "x");
        assert_eq!(
            (&end["data"], &end["error"]["type"]),
            (&json!({"exit_code": code}), &json!(kind))
        );
    }
}

#[test]
fn signals_go_on_to_the_program_which_decides() {
    let script = |name| format!("trap 'kill $!; exit 7' {name}; sleep 600 & echo ready; wait");
    for (name, sent) in [
        ("TERM", Signal::TERM),
        ("INT", Signal::INT),
        ("HUP", Signal::HUP),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("ALRM", Signal::ALARM),
        ("VTALRM", Signal::VTALARM),
        ("PROF", Signal::PROF),
        ("IO", Signal::IO),
        ("WINCH", Signal::WINCH),
        ("CONT", Signal::CONT),
    ] {
        let (_keep, dir) = folder();
        let (mut child, _stdin, mut stdout) = start(&dir, &["--", "sh", "-c", &script(name)]);
        assert_eq!(read_line(&mut stdout), "ready");
        signal(child.id(), sent);
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
        assert_eq!(event(&dir, "request.end", "sh")["data"]["exit_code"], 7, "{name}");
    }
}

#[test]
fn a_program_without_a_handler_ends_by_the_signal() {
    let (_keep, dir) = folder();
    let script = "echo ready; exec sleep 600";
    let (mut child, _stdin, mut stdout) = start(&dir, &["--", "sh", "-c", script]);
    assert_eq!(read_line(&mut stdout), "ready");
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(event(&dir, "request.end", "sh")["data"]["signal"], "SIGTERM");
}

#[test]
fn a_signal_that_is_ignored_stays_so_in_the_program() {
    let (_keep, dir) = folder();
    let mut shell = Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" run -- sh -c 'kill -HUP $$; echo alive'";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_llm-audit")]).env("AUDIT_LOG_DIR", &dir);
    assert_eq!(shell.output().unwrap().stdout, b"alive\n");
}

#[test]
fn without_a_log_the_program_runs_all_the_same() {
    let ended = run("/proc/nowhere", &["--output", "--", "sh", "-c", "echo out; exit 4"]);
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(4), &b"out\n"[..]));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(stderr.starts_with("llm-audit: not recorded: "), "{stderr}");
}

#[test]
fn arguments_are_recorded_redacted_and_the_environment_never() {
    let (_keep, dir) = folder();
    let args = ["--", "true", "--password", "hunter2hunter2", "for", "ana@example.com"];
    let mut command = run_command(&dir, &args);
    assert!(command.env("PLAN", "a-plan-of-nobody").status().unwrap().success());
    let begin = event(&dir, "request.start", "true");
    let expected = "true --password [REDACTED_credential] for [REDACTED_email]";
    assert_eq!(begin["data"], json!({ "command": expected }));
    let log = text(&dir);
    assert!(!log.contains("hunter2hunter2") && !log.contains("a-plan-of-nobody"), "{log}");
}

/// The program is nowhere: what counts is what the start says.
#[test]
fn secrets_that_are_words_of_their_own_are_redacted() {
    let commands: [&[&str]; 14] = [
        &["curl", "-u", "bob:hunter2secret", "https://example.com"],
        &["curl", "-ubob:hunter2secret", "https://example.com"],
        &["curl", "--user", "bob:hunter2secret", "https://example.com"],
        &["curl", "-u", "bob:hunter2secret&more", "https://example.com"],
        &["curl", "-ubob:hunter2'secret", "https://example.com"],
        &["mysql", "-phunter2secret", "plans"],
        &["mysql", "-phunter2=secret&more", "plans"],
        &["deploy", "--password=hunter2secret more"],
        &["sh", "-c", "curl -u 'bob:hunter2secret' https://example.com"],
        &["sh", "-c", "curl -u \"bob:hunter2secret\" -d '$x' https://example.com"],
        // These names are also those of harmless things: the value decides, too.
        &["deploy", "--pass", "Hunter2-secret9"],
        &["deploy", "--pass=Hunter2-secret9"],
        &["env", "GITHUB_PAT=k3J9xQ2mV7pLz8RtYw4NbC6s", "true"],
        &["env", "GITHUB_PAT=k3J9xQ2mV7pLz8RtYw4NbC6s&", "true"],
    ];
    for words in commands {
        let (_keep, dir) = folder();
        let mut command = run_command(&dir, &[&["--action", "x", "--"], words].concat());
        command.env("PATH", "/nowhere").output().unwrap();
        let begin = event(&dir, "request.start", "x");
        let command = begin["data"]["command"].as_str().unwrap();
        assert!(command.starts_with(words[0]) && command.contains("[REDACTED_"), "{command}");
        assert!(
            ["unter2", "secret", "k3J9"].iter().all(|part| !command.contains(part)),
            "{command}"
        );
    }
}

#[test]
fn output_is_passed_on_unchanged_and_recorded_redacted() {
    let (_keep, dir) = folder();
    let key = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----";
    let script = format!(
        "printf 'mail ana@example.com\\n\\n\\377{key}\\nlast'; \
         printf '{{\"level\":\"error\",\"msg\":\"no\",\"password\":\"hunter2\"}}\\n' >&2"
    );
    let ended = run(&dir, &["--output", "--agent", "desk", "--", "sh", "-c", &script]);
    let mut out = b"mail ana@example.com\n\n\xff".to_vec();
    out.extend_from_slice(key.replace("\\n", "\n").as_bytes());
    out.extend_from_slice(b"\nlast");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&out));
    assert_eq!(ended.stdout, out);
    assert_eq!(ended.stderr, b"{\"level\":\"error\",\"msg\":\"no\",\"password\":\"hunter2\"}\n");
    let texts = texts(&dir, "stdout");
    assert_eq!(
        (&*texts[0], texts.last().map(String::as_str)),
        ("mail [REDACTED_email]", Some("last"))
    );
    assert!(texts.iter().all(|text| !text.contains("MIIEvQ")), "{texts:?}");
    let error = event(&dir, "log.line", "stderr");
    assert_eq!((&error["agent"], &error["status"]), (&json!("desk"), &json!("error")));
    assert_eq!(error["data"]["password"], "[REDACTED]");
    let end = event(&dir, "request.end", "sh");
    assert_eq!((&error["trace_id"], &error["parent_span_id"]), (&end["trace_id"], &end["span_id"]));
}

#[test]
fn output_is_passed_on_before_its_line_ends() {
    let (_keep, dir) = folder();
    let script = "printf 'name? '; read name; echo \"hello $name\"";
    let (mut child, mut stdin, mut stdout) = start(&dir, &["--output", "--", "sh", "-c", script]);
    let mut prompt = [0; 6];
    stdout.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"name? ");
    stdin.write_all(b"ana\n").unwrap();
    assert_eq!(read_line(&mut stdout), "hello ana");
    assert!(child.wait().unwrap().success());
    assert_eq!(texts(&dir, "stdout"), ["name? hello ana"]);
}

#[test]
fn a_line_without_end_takes_no_memory_without_end() {
    let (_keep, dir) = folder();
    let script = "head -c 3000000 /dev/zero | tr '\\0' a; echo; echo next";
    let ended = run(&dir, &["--output", "--", "sh", "-c", script]);
    assert_eq!(ended.stdout.len(), 3_000_006);
    assert_eq!(texts(&dir, "stdout"), ["[TRUNCATED:3000001]", "next"]);
}

#[test]
fn a_program_whose_reader_is_gone_finds_its_output_closed() {
    let (_keep, dir) = folder();
    let (mut child, _stdin, stdout) = start(&dir, &["--output", "--", "yes"]);
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert_eq!(event(&dir, "request.end", "yes")["data"]["signal"], "SIGPIPE");
}

#[test]
fn the_end_is_recorded_while_something_else_has_the_output() {
    let (_keep, dir) = folder();
    let script = "sleep 600 & echo $!";
    let (mut child, _stdin, mut stdout) = start(&dir, &["--output", "--", "sh", "-c", script]);
    let sleeper: u32 = read_line(&mut stdout).parse().unwrap();
    wait_for(&mut child, &dir, "request.end");
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    signal(sleeper, Signal::KILL);
}

#[test]
fn a_signal_after_the_end_loses_no_output() {
    let (_keep, dir) = folder();
    let script = "head -c 3000000 /dev/zero | tr '\\0' a; sleep 600 & echo $!";
    let (mut child, _stdin, mut stdout) = start(&dir, &["--output", "--", "sh", "-c", script]);
    // The rest is in pipes, because nobody reads it, while the program is at its end or near it.
    let mut first = vec![0; 2_900_000];
    stdout.read_exact(&mut first).unwrap();
    wait_for(&mut child, &dir, "request.end");
    signal(child.id(), Signal::TERM);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let sleeper = rest.trim_start_matches('a').trim_end();
    assert_eq!(rest.len(), 100_000 + sleeper.len() + 1);
    signal(sleeper.parse().unwrap(), Signal::KILL);
}

#[test]
fn output_that_cannot_be_written_is_recorded() {
    let (_keep, dir) = folder();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let script = "head -c 300000 /dev/zero | tr '\\0' a; echo; echo last; exit 3";
    let ended = run_command(&dir, &["--output", "--", "sh", "-c", script]).stdout(full).output();
    let ended = ended.unwrap();
    assert_eq!(ended.status.code(), Some(3));
    let texts = texts(&dir, "stdout");
    assert_eq!((texts[0].len() > 1000, &*texts[1]), (true, "last"));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(stderr.starts_with("llm-audit: stdout is not passed on any more: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn output_that_does_not_block_waits_for_its_reader() {
    let (_keep, dir) = folder();
    let (mut reader, writer, bytes) = full_pipe();
    let mut child = start_into(writer, &dir, &["--output", "--", "sh", "-c", "echo out; exit 3"]);
    wait_for(&mut child, &dir, "log.line");
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(&all[bytes..], "out\n");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// The first one ends the program, and the second one the wait for a reader.
#[test]
fn a_second_signal_ends_it_while_nobody_reads() {
    let (_keep, dir) = folder();
    let (_reader, writer, _) = full_pipe();
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    let script = "echo out; exec sleep 600";
    let mut child = start_into(writer, &dir, &["--output", "--", "sh", "-c", script]);
    wait_for(&mut child, &dir, "log.line");
    signal(child.id(), Signal::TERM);
    wait_for(&mut child, &dir, "request.end");
    signal(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_signal_that_ends_nothing_does_not_end_the_wait_for_output() {
    let (_keep, dir) = folder();
    let script = "exec 3<&0; (read line <&3; echo late $line) & echo ready";
    let (mut child, mut stdin, mut stdout) = start(&dir, &["--output", "--", "sh", "-c", script]);
    assert_eq!(read_line(&mut stdout), "ready");
    wait_for(&mut child, &dir, "request.end");
    signal(child.id(), Signal::USR1);
    signal(child.id(), Signal::CONT);
    stdin.write_all(b"line\n").unwrap();
    assert_eq!(read_line(&mut stdout), "late line");
    assert!(child.wait().unwrap().success());
}
