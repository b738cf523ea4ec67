//! Whether the lines of a logger are complete JSON, and what it does to their texts.

use std::error::Error;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::child::{Task, lines, start};
use crate::event::Event;
use crate::sequential::Sequential;

/// Has all that JSON must escape, and letters outside of ASCII.
const HARD: &str = "She said \"no\",\nthen \\ and a \t and \u{1} and \u{7f}: déjà vu 🦀";
const EMAIL: &str = "ana.lopez@mail.example";

/// What a logger does to the texts of its events.
#[derive(Deserialize, Serialize)]
pub struct Findings {
    /// Whether what JSON must escape can be read back.
    pub escapes: bool,
    /// Whether an e-mail address is not in the file.
    pub redacts: bool,
}

/// Logs two events to each of which something must be done, and reads what is in the file.
pub fn run(task: &Task, folder: &Path) -> Result<Findings, Box<dyn Error>> {
    let logger = start(task, folder)?;
    let floor = Sequential::new();
    for text in [HARD, &format!("Write to {EMAIL} today")] {
        let redacted = floor.redact(text);
        logger.log(&Event::new(if task.redact { &redacted } else { text }));
    }
    logger.close();
    let lines = lines(folder)?;
    let texts = lines.iter().map(|line| text_of(line)).collect::<Result<Vec<_>, _>>()?;
    let [hard, email] = <[String; 2]>::try_from(texts.into_iter().flatten().collect::<Vec<_>>())
        .map_err(|texts| {
            format!("{}: of two events {} are in {lines:?}", task.peer, texts.len())
        })?;
    if !email.starts_with("Write to ") {
        return Err(format!("{}: a text arrived as {email:?}", task.peer).into());
    }
    Ok(Findings { escapes: hard == HARD, redacts: !lines.concat().contains(EMAIL) })
}

/// Returns the text of the event in a line, or `None` if the logger wrote the line for itself.
fn text_of(line: &str) -> Result<Option<String>, Box<dyn Error>> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| format!("{error} in the line {line}"))?;
    let Some(text) = member(&value, "text") else { return Ok(None) };
    let event = Event::new("");
    for (name, expected) in [
        ("tool", Value::from(event.tool)),
        ("latency_ms", Value::from(event.latency_ms)),
        ("cached", Value::from(event.cached)),
    ] {
        if member(&value, name) != Some(&expected) {
            return Err(format!("{name} is not {expected} in the line {line}").into());
        }
    }
    Ok(text.as_str().map(str::to_owned))
}

/// Returns the member of this name, at any depth.
fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    members.get(name).or_else(|| members.values().find_map(|value| member(value, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_accepted_only_if_it_is_complete() {
        let event = |text: &str| Event::new(text).json();
        let nested = format!(r#"{{"level":"INFO","fields":{}}}"#, event("at \"home\"\n"));
        for (line, text) in [
            (event("hello"), Some("hello")),
            (nested, Some("at \"home\"\n")),
            (r#"{"event_type":"audit.start"}"#.to_owned(), None),
        ] {
            assert_eq!(text_of(&line).expect("a complete line").as_deref(), text);
        }
        let whole = event("hello");
        for line in [
            whole[..whole.len() - 1].to_owned(),
            whole.replace("hello", "a \"quote\""),
            whole.replace("12.5", "\"12.5\""),
            whole.replace(r#""cached":true"#, r#""other":true"#),
        ] {
            assert!(text_of(&line).is_err(), "accepted: {line}");
        }
    }
}
