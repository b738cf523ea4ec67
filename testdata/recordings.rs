//! Samples of this repository, and recordings of other people beside it.
//!
//! A *sample* is a small file in `testdata/samples`. It was made for this project, so every clone
//! has it. A *recording* is a larger file of real data. It is not part of the repository.
//! `LLM_AUDIT_DATA` names the folder of the recordings; the default is `../shared/data`. A relative
//! path starts at the repository.
//!
//! A test that reads a recording must also pass without it. Both functions report on stderr how
//! many records they found, or which file is missing. `recordings.sh` and `recordings.py` follow
//! the same rule.

use std::ffi::OsString;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The environment variable that names the folder of the recordings.
pub const VARIABLE: &str = "LLM_AUDIT_DATA";

/// The folder of the recordings, if the variable is unset or empty.
const FOLDER: &str = "../shared/data";

/// Returns the text of a sample.
///
/// # Panics
///
/// If the sample cannot be read.
pub fn sample(name: &str) -> String {
    let text = read(&sample_path(name));
    report(&format!("samples/{name}: {} lines", lines(&text)));
    text
}

/// Returns the path of a sample, for programs that open files themselves.
pub fn sample_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

/// Returns the text of a recording, unpacked if its name ends in `.gz`, or `None` if it is absent.
///
/// # Panics
///
/// If the recording exists and cannot be read.
pub fn recording(name: &str) -> Option<String> {
    let folder = folder(env::var_os(VARIABLE));
    let path = folder.join(name);
    if !path.exists() {
        report(&format!("{name} is not in {} ({VARIABLE} names the folder)", folder.display()));
        return None;
    }
    let text = read(&path);
    report(&format!("{name}: {} lines in {}", lines(&text), folder.display()));
    Some(text)
}

/// Returns the folder of the recordings for a value of the variable.
fn folder(named: Option<OsString>) -> PathBuf {
    let named = named.filter(|named| !named.is_empty()).unwrap_or_else(|| FOLDER.into());
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("this package lies in the repository").join(named)
}

fn read(path: &Path) -> String {
    let bytes = if path.extension().is_some_and(|end| end == "gz") {
        // `gzip` is on every machine that runs the gates; a crate would serve two files.
        let unpacked = Command::new("gzip").arg("-dc").arg(path).output();
        let unpacked = unpacked.unwrap_or_else(|error| panic!("gzip cannot be run: {error}"));
        assert!(unpacked.status.success(), "gzip cannot unpack {}", path.display());
        unpacked.stdout
    } else {
        fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    String::from_utf8(bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Writes past the capture of `cargo test`, so that a run with fewer cases shows as one.
fn report(what: &str) {
    let _ = writeln!(stderr(), "testdata: {what}");
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn objects(name: &str) -> Vec<Value> {
        sample(name).lines().map(|line| serde_json::from_str(line).expect(name)).collect()
    }

    #[test]
    fn the_folder_is_the_named_one_or_the_one_beside_the_repository() {
        let repository = sample_path("..").join("..");
        let at = |named: &str| folder(Some(named.into()));
        assert_eq!(at("/else/where"), Path::new("/else/where"));
        assert!(at("target/data").ends_with("target/data"));
        assert_eq!(
            at("testdata").canonicalize().expect("this package"),
            repository.join("testdata").canonicalize().expect("this package")
        );
        assert_eq!(folder(None), at(""));
        assert!(folder(None).ends_with(FOLDER));
    }

    #[test]
    fn a_recording_that_is_absent_is_none() {
        assert_eq!(recording("no-such-recording.jsonl"), None);
    }

    #[test]
    fn events_have_what_record_requires() {
        let events = objects("agent-events.jsonl");
        assert!(events.len() >= 40, "{}", events.len());
        for event in &events {
            for name in ["event_type", "agent", "action", "status"] {
                assert!(event[name].is_string(), "{name} of {event}");
            }
        }
    }

    #[test]
    fn usages_state_what_is_expected() {
        let usages = objects("provider-usage.jsonl");
        assert!(usages.len() >= 20, "{}", usages.len());
        for usage in &usages {
            let expect = usage.get("expect").expect("an expectation, or null");
            assert!(expect.is_null() || expect["input"].is_u64(), "{usage}");
        }
        let prices: Value = serde_json::from_str(&sample("prices.json")).expect("prices");
        let priced = usages.iter().filter(|u| u["cost_usd"].is_string());
        let named = priced.filter(|u| prices.get(u["model"].as_str().unwrap_or("")).is_some());
        assert!(named.count() >= 15);
    }

    #[test]
    fn labelled_parts_lie_in_their_texts() {
        for row in objects("pii-vectors.jsonl") {
            let text: Vec<char> = row["text"].as_str().expect("a text").chars().collect();
            for span in row["spans"].as_array().expect("spans") {
                let at = |name: &str| span[name].as_u64().expect("an offset") as usize;
                let part: String = text[at("start")..at("end")].iter().collect();
                assert_eq!(span["value"], part, "{row}");
            }
        }
    }

    #[test]
    fn secrets_and_look_alikes_are_both_there() {
        let rows = objects("secret-vectors.jsonl");
        let labelled = |label: u64| rows.iter().filter(|row| row["label"] == label).count();
        assert!(labelled(1) >= 15 && labelled(0) >= 5, "{} {}", labelled(1), labelled(0));
        assert_eq!(labelled(0) + labelled(1), rows.len());
    }
}
