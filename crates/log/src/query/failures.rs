//! What failed, in groups of failures that are alike.

use std::collections::HashMap;

use super::Timeline;
use crate::schema::{Line, Status};

/// The most kinds of failures that are held. Further ones are counted in [`Failures::other`].
const KINDS_MAX: usize = 1_000;
/// The bytes of a message that tell one kind from another.
const MESSAGE_BYTES: usize = 200;
/// The fewest characters of a word with digits that is taken for an id.
const ID_LENGTH_MIN: usize = 8;

/// Events that failed or timed out, in groups of the same type, agent, action and error. Messages that
/// differ only in numbers and ids are the same.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: HashMap<[String; 5], Failure>,
    /// How many there are.
    pub total: u64,
    /// How many are of none of the first 1,000 kinds.
    pub other: u64,
    /// When all of them were.
    pub times: Timeline,
}

/// Failures that are alike.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Failure {
    /// The type of the events.
    pub event_type: String,
    /// Who failed.
    pub agent: String,
    /// What failed.
    pub action: String,
    /// The `type` of the error, if it has one.
    pub error_type: Option<String>,
    /// The message of the newest one.
    pub message: Option<String>,
    /// How many there are.
    pub count: u64,
    /// The time of the oldest one, in microseconds since the Unix epoch.
    pub first: Option<i64>,
    /// The time of the newest one.
    pub last: Option<i64>,
    /// The trace of the newest one.
    pub trace_id: Option<String>,
    /// When they were.
    pub times: Timeline,
}

impl Failures {
    /// Adds an event, if it failed or timed out.
    pub fn add(&mut self, line: &Line<'_>) {
        if !line.status().is_some_and(Status::is_failure) {
            return;
        }
        self.total += 1;
        line.timestamp().into_iter().for_each(|time| self.times.add(time, 1.0));
        let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let error_type = line.error().and_then(|error| error.get("type")?.as_str());
        let key = [
            text(line.event_type()),
            text(line.agent()),
            text(line.action()),
            text(error_type),
            line.error_message().map(without_numbers).unwrap_or_default(),
        ];
        if let Some(failure) = self.kinds.get_mut(&key) {
            return failure.note(line);
        }
        if self.kinds.len() >= KINDS_MAX {
            self.other += 1;
            return;
        }
        let [event_type, agent, action, ..] = key.clone();
        let failure = self.kinds.entry(key).or_insert_with(|| Failure {
            event_type,
            agent,
            action,
            error_type: error_type.map(str::to_owned),
            ..Failure::default()
        });
        failure.note(line);
    }

    /// The kinds of failures, the most frequent first; of equally frequent ones the newest.
    pub fn by_count(&self) -> Vec<&Failure> {
        let mut kinds: Vec<_> = self.kinds.values().collect();
        kinds.sort_by_key(|kind| {
            let Failure { event_type, agent, action, error_type, message, .. } = kind;
            let rest = (event_type, agent, error_type, message);
            std::cmp::Reverse((kind.count, kind.last, action, rest))
        });
        kinds
    }
}

impl Failure {
    fn note(&mut self, line: &Line<'_>) {
        let time = line.timestamp();
        self.count += 1;
        self.first = [self.first, time].into_iter().flatten().min();
        time.into_iter().for_each(|time| self.times.add(time, 1.0));
        if time >= self.last {
            self.last = time;
            copy_text(&mut self.message, line.error_message());
            copy_text(&mut self.trace_id, line.trace_id());
        }
    }
}

/// Copies a text without an allocation if there was one before.
fn copy_text(to: &mut Option<String>, text: Option<&str>) {
    match (to, text) {
        (Some(to), Some(text)) => text.clone_into(to),
        (to, text) => *to = text.map(str::to_owned),
    }
}

/// A message as it tells kinds apart: `#` in the place of each number and id.
fn without_numbers(message: &str) -> String {
    if has_no_number(message.as_bytes()) {
        return message.to_owned();
    }
    let mut text = String::new();
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut rest = message;
    while let Some(first) = rest.chars().next().filter(|_| text.len() < MESSAGE_BYTES) {
        let token = &rest[..rest.find(|c| !is_of_token(c)).unwrap_or(rest.len())];
        let token = token.trim_end_matches('.');
        match token {
            "" => text.push(first),
            token if is_id(token) || token.parse::<f64>().is_ok() => text.push('#'),
            token => push_words_without_numbers(token, &mut text),
        }
        rest = &rest[token.len().max(first.len_utf8())..];
    }
    text
}

/// Whether a message is short and has no number, `inf`, `nan` or id, found fast. `false` says nothing.
fn has_no_number(message: &[u8]) -> bool {
    let is_name =
        |word: &[u8]| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan");
    message.len() < MESSAGE_BYTES
        && !message.iter().any(u8::is_ascii_digit)
        && !message.windows(3).any(is_name)
        // A UUID may have no digits.
        && memchr::memchr_iter(b'-', message).count() < 4
}

/// Whether it is a UUID or a hexadecimal number.
fn is_id(token: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = token.len() == 36 && token.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    is_uuid && token.split('-').all(is_hex) || token.strip_prefix("0x").is_some_and(is_hex)
}

/// Appends the words of a token. A long word with digits is an id.
fn push_words_without_numbers(token: &str, text: &mut String) {
    for word in token.split_inclusive(['-', '_', '.']) {
        let name = word.trim_end_matches(['-', '_', '.']);
        let has_digit = name.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && name.len() >= ID_LENGTH_MIN {
            text.push('#');
        } else {
            // The letters of `250ms`, with one sign for all digits of a number.
            let mut before = ' ';
            let signs = name.chars().map(|c| if c.is_ascii_digit() { '#' } else { c });
            for sign in signs {
                if sign != '#' || before != '#' {
                    text.push(sign);
                }
                before = sign;
            }
        }
        *text += &word[name.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(failures: &mut Failures, second: u32, message: &str) {
        let text = format!(
            r#"{{"trace_id":"a{second}","timestamp":"2026-01-02T03:04:{second:02}Z",
                "event_type":"tool.error","agent":"a","action":"x","status":"error",
                "error":{{"type":"T","message":"{message}"}}}}"#
        );
        failures.add(&crate::parse(&mut text.into_bytes()).unwrap());
    }

    #[test]
    fn messages_that_differ_in_numbers_and_ids_are_alike() {
        let mut failures = Failures::default();
        add(&mut failures, 7, "no plan 17 of 4bf92f3577b34da6 in 0.25 s");
        add(&mut failures, 9, "no plan 18 of 00f067aa0ba902b7 in 1.5 s");
        add(&mut failures, 8, "no plan 19 of a1b2c3d4e5f60718 in 12.75 s");
        add(&mut failures, 3, "no route to eu-1");
        let kinds = failures.by_count();
        assert_eq!(kinds.iter().map(|kind| kind.count).collect::<Vec<_>>(), [3, 1]);
        let kind = kinds[0];
        assert_eq!(kind.trace_id.as_deref(), Some("a9"));
        assert_eq!(kind.message.as_deref(), Some("no plan 18 of 00f067aa0ba902b7 in 1.5 s"));
        assert_eq!(kind.last.unwrap() - kind.first.unwrap(), 2_000_000);
        assert_eq!((failures.total, failures.other), (4, 0));
    }

    #[test]
    fn the_order_is_the_same_each_time() {
        let order = || {
            let mut failures = Failures::default();
            for at in 0..40_u8 {
                let [event_type, agent, error_type, message] = [0, 1, 2, 3]
                    .map(|part| if at % 4 == part { char::from(b'a' + at) } else { '-' });
                let text = format!(
                    r#"{{"timestamp":"2026-01-02T03:04:05Z","event_type":"{event_type}","agent":"{agent}",
                        "action":"x","status":"error",
                        "error":{{"type":"{error_type}","message":"{message}"}}}}"#
                );
                failures.add(&crate::parse(&mut text.into_bytes()).unwrap());
            }
            let kinds = failures.by_count();
            assert_eq!(kinds.len(), 40);
            let texts = kinds.into_iter().map(|kind| {
                format!(
                    "{} {} {:?} {:?}",
                    kind.event_type, kind.agent, kind.error_type, kind.message
                )
            });
            texts.collect::<Vec<_>>()
        };
        assert_eq!(order(), order());
    }

    #[test]
    fn numbers_and_ids_have_many_forms() {
        for (messages, kind) in [
            (
                [
                    "no job c7a8f3d2-1b2c-4d5e-8f90-a1b2c3d4e5f6",
                    "no job 00112233-aabb-ccdd-eeff-001122334455",
                ],
                "no job #",
            ),
            (["timed out after 250ms.", "timed out after 1317ms."], "timed out after #ms."),
            (["at 0x7ffe: x", "at 0x12de: x"], "at #: x"),
            (["x 1e5, 5", "x 0.25, 2"], "x #, #"),
            (["10.0.0.1:8080 é", "127.0.0.12:443 é"], "#.#.#.#:# é"),
            (["req_8f7a6b5c4d3e", "req_00a1b2c3"], "req_#"),
            (["gpt-4o", "gpt-5o"], "gpt-#o"),
        ] {
            assert_eq!(messages.map(without_numbers), [kind, kind]);
        }
        for (message, kind) in [
            ("no-one is... é", "no-one is... é"),
            ("took inf s", "took # s"),
            ("got -NaN.", "got #."),
            ("no job abcdefab-abcd-abcd-abcd-abcdefabcdef", "no job #"),
        ] {
            assert_eq!(without_numbers(message), kind);
        }
        assert!(without_numbers(&"né 1".repeat(1_000)).len() < MESSAGE_BYTES + 8);
    }

    #[test]
    fn there_are_not_more_kinds_than_memory_is_for() {
        let letters =
            |n: usize| n.to_string().bytes().map(|b| char::from(b + 49)).collect::<String>();
        let mut failures = Failures::default();
        for n in 0..KINDS_MAX + 7 {
            add(&mut failures, 1, &letters(n));
        }
        assert_eq!(failures.by_count().len(), KINDS_MAX);
        assert_eq!((failures.total, failures.other), (KINDS_MAX as u64 + 7, 7));
    }

    #[test]
    fn what_went_well_is_no_failure() {
        let mut failures = Failures::default();
        for status in ["ok", "retry"] {
            let mut line = format!(r#"{{"status":"{status}"}}"#).into_bytes();
            failures.add(&crate::parse(&mut line).unwrap());
        }
        assert_eq!(failures.total, 0);
    }
}
