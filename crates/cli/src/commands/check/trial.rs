//! A trial of the configuration: what a service would do with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llm_audit::environment::Environment;
use llm_audit::export::Exporter;
use llm_audit::reader::{self, Folder};
use llm_audit::{AuditEvent, AuditLogger, ErrorDetail, EventType, replay};
use serde_json::json;

use crate::ui::format_time;

/// What must not be in a log: a password, an address, a card and a key, all made up.
const SECRETS: [&str; 4] =
    ["hunter2-Zk71-rain", "ana.silva@mail.example", "4111111111111111", "AKIA0123456789ABCDEF"];
/// More events than the queue of the trial can hold.
const EVENTS: u64 = 1_000;
const QUEUE_CAPACITY: usize = 64;
/// Less free space than this is a warning.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// How long a part of the trial may take.
const WITHIN: Duration = Duration::from_secs(10);
/// 2025 began so many seconds after the Unix epoch. A clock before it was never set.
const CLOCK_SECONDS_MIN: u64 = 1_735_689_600;

/// One thing that was checked.
pub(super) struct Checked {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine,
    /// It works, and somebody should look at it.
    Warning,
    Failed,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What a check says if it is fine, or else what is wrong.
type Verdict = Result<String, (Outcome, String)>;

/// Checks what a service in this environment would do. Nothing is checked if it would not start.
pub(super) fn check_by_trial(environment: &Environment) -> Vec<Checked> {
    if !environment.refused.is_empty() {
        return Vec::new();
    }
    let value = |name: &str| {
        let setting = environment.settings.iter().find(|known| known.variable.name() == name);
        setting.map_or("", |setting| setting.value.as_str())
    };
    let checks = [
        ("recording", check_recording(value("AUDIT_ENABLED"))),
        ("redaction and lines", check_lines()),
        ("emit", check_that_emit_never_waits()),
        ("sampling", check_sampling(&value)),
        ("folder", check_folder(Path::new(value("AUDIT_LOG_DIR")))),
        ("clock", check_clock(SystemTime::now())),
    ];
    let checked = checks.into_iter().map(|(name, verdict)| match verdict {
        Ok(what) => Checked { name, outcome: Outcome::Fine, what },
        Err((outcome, what)) => Checked { name, outcome, what },
    });
    checked.collect()
}

fn failed(what: impl ToString) -> (Outcome, String) {
    (Outcome::Failed, what.to_string())
}

fn check_recording(enabled: &str) -> Verdict {
    match enabled {
        "true" => Ok("events are recorded".to_owned()),
        _ => Err((Outcome::Warning, "AUDIT_ENABLED=false: nothing is recorded".to_owned())),
    }
}

/// Records events with secrets into a folder of its own and reads them back.
fn check_lines() -> Verdict {
    let dir = tempfile::tempdir().map_err(failed)?;
    record_secrets(dir.path()).map_err(failed)?;
    let (events, bytes) = read_trial(dir.path()).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    if let Some(found) = SECRETS.iter().find(|made_up| text.contains(**made_up)) {
        return Err(failed(format!("the trial log holds {found}, which must not be there")));
    }
    if let Some(finding) = reader::verify(dir.path()).map_err(failed)?.findings.first() {
        return Err(failed(finding));
    }
    check_snapshot(dir.path())?;
    Ok(format!(
        "a password, an address, a card and a key were taken out of {events} trial events, whose lines \
         are JSON of version 3.0; the failed one can be read for a replay"
    ))
}

/// Reads the failure back with its inputs, as a replay does.
fn check_snapshot(dir: &Path) -> Result<(), (Outcome, String)> {
    let errors = replay::errors_from_jsonl(dir, "trial").map_err(failed)?;
    let snapshot = errors.first().and_then(|event| event.error.as_ref()?.input_snapshot.as_ref());
    match snapshot.map(|snapshot| &snapshot["args"]["key"]) {
        Some(key) if key.is_string() => Ok(()),
        _ => Err((
            Outcome::Warning,
            "failures have no input_snapshot, so their inputs are not known for a replay; \
             AUDIT_INCLUDE_SNAPSHOTS=true keeps them"
                .to_owned(),
        )),
    }
}

fn record_secrets(dir: &Path) -> Result<(), llm_audit::Error> {
    let [password, address, card, key] = SECRETS;
    let builder = AuditLogger::builder().directory(dir).files(true).stdout(false).stderr(false);
    let logger = builder.enabled(true).debug(true).notices(false).alerts(false).build()?;
    let data = json!({"password": password, "text": format!("{address} pays with {card}")});
    let called = AuditEvent::new(EventType::ToolCall, "check", "trial").data(&data);
    let snapshot = json!({"args": {"key": key, "to": [address]}});
    let message = format!("no access for {address} with password={password}");
    let error = ErrorDetail::new("Refused", message).input_snapshot(&snapshot);
    logger.emit(&called);
    logger.emit(&AuditEvent::new(EventType::ToolError, "check", "trial").error(&error));
    logger.shutdown(WITHIN).map(drop)
}

/// How many events there are, and all lines. Each is parsed as any other program would.
fn read_trial(dir: &Path) -> Result<(u64, Vec<u8>), Box<dyn std::error::Error>> {
    let (mut events, mut bytes) = (0, Vec::new());
    let folder = Folder::open(dir)?;
    let mut lines = folder.lines();
    while let Some(entry) = lines.next_line()? {
        bytes.extend_from_slice(entry.bytes);
        let line: serde_json::Value = serde_json::from_slice(entry.bytes)?;
        if line["event_version"] != "3.0" {
            return Err("a line has no event_version 3.0".into());
        }
        let event_type = line["event_type"].as_str();
        events += u64::from(event_type.is_some_and(|name| !name.starts_with("audit.")));
    }
    if events == 2 { Ok((events, bytes)) } else { Err(format!("{events} of 2 events").into()) }
}

/// An exporter that hangs until the other end is dropped.
struct Hangs(Receiver<()>);

impl Exporter for Hangs {
    fn export(&mut self, _: &[u8]) -> io::Result<()> {
        let _ = self.0.recv();
        Ok(())
    }
}

/// Emits more than the queue can hold while an exporter hangs.
fn check_that_emit_never_waits() -> Verdict {
    let dir = tempfile::tempdir().map_err(failed)?;
    let (release, hangs) = mpsc::channel();
    let builder = AuditLogger::builder().directory(dir.path()).stdout(false).stderr(false);
    let builder = builder.enabled(true).debug(true).alerts(false).queue_capacity(QUEUE_CAPACITY);
    let logger = builder.notices(false).exporter(Hangs(hangs)).build().map_err(failed)?;
    let (done, is_done) = mpsc::channel();
    let emitting = logger.clone();
    thread::spawn(move || {
        for _ in 0..EVENTS {
            emitting.emit(&AuditEvent::new(EventType::ToolCall, "check", "trial"));
        }
        let _ = done.send(());
    });
    let has_waited = is_done.recv_timeout(WITHIN).is_err();
    drop(release);
    logger.shutdown(WITHIN).map_err(failed)?;
    let counts = logger.accounting();
    match (has_waited, counts.adds_up()) {
        (true, _) => Err(failed("emit waits for an exporter that hangs")),
        (_, false) => Err(failed("the accounting does not add up")),
        _ => Ok(format!(
            "{EVENTS} events did not wait for an exporter that hangs; {} were overwritten and counted",
            counts.overwritten
        )),
    }
}

fn check_sampling<'v>(value: &impl Fn(&str) -> &'v str) -> Verdict {
    let keeps_all = |name| value(name).parse().is_ok_and(|rate: f64| rate >= 1.0);
    let why = match () {
        () if value("AUDIT_DEBUG") == "true" => "AUDIT_DEBUG=true",
        () if keeps_all("TRACE_SAMPLE_RATE") => "TRACE_SAMPLE_RATE=1",
        () if keeps_all("SUCCESS_SAMPLE_RATE") => "SUCCESS_SAMPLE_RATE=1",
        () => {
            let [traces, spans] = ["TRACE_SAMPLE_RATE", "SUCCESS_SAMPLE_RATE"].map(value);
            return Ok(format!("{traces} of the traces and {spans} of the other spans are kept"));
        }
    };
    let what = "keeps every event: right for a trial, expensive in production";
    Err((Outcome::Warning, format!("{why} {what}")))
}

/// Writes a file in the folder, or in the one in which it would be created, and removes it.
fn check_folder(dir: &Path) -> Verdict {
    let is_link = dir.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        return Err(failed(format!(
            "{} is a symbolic link, which a logger refuses",
            dir.display()
        )));
    }
    let existing = nearest_folder(dir);
    tempfile::tempfile_in(&existing)
        .map_err(|error| failed(format!("{} cannot be written: {error}", existing.display())))?;
    let shown = dir.display();
    match free_bytes(&existing) {
        Some(free) if free < FREE_BYTES_MIN => {
            let free = free >> 20;
            Err((Outcome::Warning, format!("{shown} has only {free} MiB of free space")))
        }
        Some(free) => Ok(format!("{shown} can be written, {} GiB are free", free >> 30)),
        None => Ok(format!("{shown} can be written")),
    }
}

/// The folder, or the nearest one above it that exists.
fn nearest_folder(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let existing = absolute.ancestors().find(|path| path.exists());
    existing.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(unix)]
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

fn check_clock(now: SystemTime) -> Verdict {
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) if since.as_secs() >= CLOCK_SECONDS_MIN => {
            let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            Ok(format!("it is {}", format_time(micros)))
        }
        _ => Err(failed("the clock is before 2025; files and retention go by its day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_a_failure() {
        assert!(check_clock(SystemTime::now()).is_ok());
        assert_eq!(check_clock(UNIX_EPOCH).unwrap_err().0, Outcome::Failed);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_folder(&dir.path().join("new/logs")).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (outcome, what) = check_folder(&file).unwrap_err();
        assert_eq!(outcome, Outcome::Failed);
        assert!(what.contains("cannot be written"), "{what}");
    }

    #[test]
    fn the_trial_finds_nothing_wrong() {
        assert!(check_lines().is_ok_and(|what| what.contains("2 trial events")));
        assert!(check_that_emit_never_waits().is_ok());
    }
}
