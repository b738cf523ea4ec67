//! Texts of alerts as every service takes them: without control characters, and not too long.

use std::collections::BTreeMap;

use super::payload::fingerprint;
use crate::Alert;

/// The longest name, label, value or trace id, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The longest sentence or command, in characters. PagerDuty takes a summary of 1,024.
const SENTENCE_CHARS_MAX: usize = 800;

/// Returns the alert with texts that no service refuses, and that change nothing on a terminal.
pub(super) fn cleaned(alert: &Alert) -> Alert {
    Alert {
        rule: clean_name(&alert.rule),
        objective: clean_name(&alert.objective),
        service: clean_name(&alert.service),
        severity: alert.severity,
        subject: alert.subject.as_ref().map(|(kind, value)| (clean_name(kind), clean_name(value))),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        summary: clean(&alert.summary, SENTENCE_CHARS_MAX),
        value: clean_name(&alert.value),
        target: clean_name(&alert.target),
        window: clean_name(&alert.window),
        traces: alert.traces.iter().take(3).map(|trace| clean_name(trace)).collect(),
        command: clean(&alert.command, SENTENCE_CHARS_MAX),
    }
}

/// Cleans a text that tells alerts from others. One that was cut ends in a hash of the whole, so that it stays apart
/// from others that begin alike.
fn clean_name(text: &str) -> String {
    let cleaned = clean(text, NAME_CHARS_MAX);
    if text.chars().count() <= NAME_CHARS_MAX {
        return cleaned;
    }
    let hash = fingerprint(&BTreeMap::from([("", text)]));
    cut(&cleaned, NAME_CHARS_MAX - hash.len()) + &hash
}

/// Replaces each control character by a space, and cuts the text to its first `chars_max` characters.
fn clean(text: &str, chars_max: usize) -> String {
    let visible = text.chars().map(|c| if is_control(c) { ' ' } else { c });
    cut(&visible.collect::<String>(), chars_max)
}

/// Returns whether a character changes how others are shown: controls, marks of direction, zero-width ones.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cuts a text to at most `chars_max` characters. A text that was cut ends in `…`.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// Returns what fires or is resolved, in a few words: `[FIRING] error-rate of benefits`.
pub(super) fn title(alert: &Alert) -> String {
    let state = if alert.is_firing() { "FIRING" } else { "RESOLVED" };
    let mut title = format!("[{state}] {} of {}", alert.rule, alert.service);
    if let Some((kind, value)) = &alert.subject {
        title += &format!(", {kind} {value}");
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_spaces() {
        for (given, expected) in [
            ("5 % of 20", "5 % of 20"),
            ("a\nb\tc\r\u{1b}[31md", "a b c  [31md"),
            ("user \u{202e}txt.exe\u{200b}!", "user  txt.exe !"),
            ("Größe 🚀", "Größe 🚀"),
        ] {
            assert_eq!(clean(given, 100), expected, "{given:?}");
        }
    }

    #[test]
    fn long_names_that_begin_alike_stay_apart() {
        let names = ["a", "b"].map(|end| clean_name(&("é".repeat(250) + end)));
        assert!(names.iter().all(|name| name.chars().count() == NAME_CHARS_MAX), "{names:?}");
        assert!(names[0] != names[1] && names[0].starts_with(&"é".repeat(183)), "{names:?}");
        assert_eq!(clean_name(&"é".repeat(200)), "é".repeat(200));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("éééé", 4), "éééé");
        assert_eq!(cut("ééééé", 4), "ééé…");
    }
}
