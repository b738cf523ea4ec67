//! Shared parts of the tests of the whole: folders read back, and sinks that hold, fail and panic.
#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

pub mod alone;
pub mod collector;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use llm_audit::export::Exporter;
use llm_audit::{AuditLogger, Builder};
use serde_json::{Value, json};

/// Long enough for a busy machine; no test waits for it to pass.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A logger into `folder` that keeps everything, whatever the environment says.
pub fn logger(folder: &Path) -> Builder {
    AuditLogger::builder().without_environment().directory(folder).debug(true)
}

pub fn data(n: u64) -> Value {
    json!({ "n": n })
}

/// Every line of every file of a folder, in the order of the files' names.
pub fn lines(folder: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // A folder also has a key, and the state of alerts.
    files.retain(|file| !file.file_name().unwrap().to_string_lossy().starts_with('.'));
    files.sort();
    files.iter().flat_map(|file| parse(&std::fs::read(file).unwrap())).collect()
}

fn parse(text: &[u8]) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with(b"\n"), "whole lines");
    String::from_utf8(text.to_vec())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What an exporter saw.
#[derive(Clone, Default)]
pub struct Seen(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    text: Vec<u8>,
    is_held: bool,
    is_released: bool,
}

impl Seen {
    pub fn lines(&self) -> Vec<Value> {
        parse(&self.0.0.lock().unwrap().text)
    }

    pub fn wait_until_held(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !state.is_held).unwrap());
    }

    pub fn release(&self) {
        self.0.0.lock().unwrap().is_released = true;
        self.0.1.notify_all();
    }
}

/// An exporter that keeps every line.
pub fn memory() -> (impl Exporter, Seen) {
    let seen = Seen::default();
    (Memory(seen.clone()), seen)
}

/// A logger into memory alone that keeps everything, whatever the environment says.
pub fn memory_logger() -> (AuditLogger, Seen) {
    let (exporter, seen) = memory();
    let logger = AuditLogger::builder().without_environment().files(false).debug(true);
    (logger.exporter(exporter).build().unwrap(), seen)
}

struct Memory(Seen);

impl Exporter for Memory {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.0.0.lock().unwrap().text.extend_from_slice(lines);
        Ok(())
    }
}

/// An exporter that holds the writer at its first event until released.
pub fn gate() -> (impl Exporter, Seen) {
    let seen = Seen::default();
    (Gate(seen.clone()), seen)
}

struct Gate(Seen);

impl Exporter for Gate {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.0.lock().unwrap();
        if parse(lines).iter().any(|line| line.get("seq").is_some()) {
            state.is_held = true;
            self.0.0.1.notify_all();
            state = self.0.0.1.wait_while(state, |state| !state.is_released).unwrap();
        }
        state.text.extend_from_slice(lines);
        Ok(())
    }
}

/// An exporter that refuses its first batches of events.
pub fn failing(batches: u32) -> (impl Exporter, Seen) {
    let seen = Seen::default();
    (Failing(batches, seen.clone()), seen)
}

struct Failing(u32, Seen);

impl Exporter for Failing {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        let has_events = parse(lines).iter().any(|line| line.get("seq").is_some());
        if has_events && self.0 > 0 {
            self.0 -= 1;
            return Err(io::Error::other("no"));
        }
        self.1.0.0.lock().unwrap().text.extend_from_slice(lines);
        Ok(())
    }
}

pub struct Panicking;

impl Exporter for Panicking {
    fn export(&mut self, _lines: &[u8]) -> io::Result<()> {
        std::panic::resume_unwind(Box::new("an exporter's own"))
    }
}

/// An exporter that flushes the logger it belongs to, and its answer.
pub fn asker() -> (impl Exporter, Answer) {
    let answer = Answer(Arc::default());
    (Asker(answer.clone()), answer)
}

#[derive(Clone)]
pub struct Answer(Arc<(Mutex<Asked>, Condvar)>);

/// Whom to ask, and what the answer was.
type Asked = (Option<AuditLogger>, Option<String>);

impl Answer {
    pub fn give(&self, logger: AuditLogger) {
        self.0.0.lock().unwrap().0 = Some(logger);
        self.0.1.notify_all();
    }

    pub fn take(&self) -> String {
        let state = self.0.0.lock().unwrap();
        self.0.1.wait_while(state, |state| state.1.is_none()).unwrap().1.clone().unwrap()
    }
}

struct Asker(Answer);

impl Exporter for Asker {
    fn export(&mut self, _lines: &[u8]) -> io::Result<()> {
        let state = self.0.0.0.lock().unwrap();
        let mut state =
            self.0.0.1.wait_while(state, |state| state.0.is_none() && state.1.is_none()).unwrap();
        if let Some(logger) = state.0.take() {
            state.1 = Some(logger.flush(DEADLINE).unwrap_err().to_string());
            self.0.0.1.notify_all();
        }
        Ok(())
    }
}
