//! The name of a caller's own event type in the line.

use crate::sanitize::{Redactions, Sanitizer};
use llm_audit_log::is_event_type_name;

/// The longest name, in bytes. A longer one is cut.
const BYTES_MAX: usize = 128;
/// The prefix that keeps these names apart from the log's own.
const PREFIX: &[u8] = b"user.";
/// What the log's own types begin with. Alone, these words are kept for the log, too.
const RESERVED: [&str; 2] = ["audit", "alert"];
/// The name of a type if its own name would show something that must be redacted.
const REDACTED: &str = "redacted";

/// A name built on the stack.
struct EventTypeName {
    /// [`PREFIX`], then the name.
    bytes: [u8; PREFIX.len() + BYTES_MAX],
    used: usize,
}

/// Calls `then` with the name of the type `given`.
pub(crate) fn with_event_type_name<R>(
    given: &str,
    sanitizer: &Sanitizer,
    counts: &mut Redactions,
    then: impl FnOnce(&str) -> R,
) -> R {
    let mut is_clean = |name: &str| {
        let found = sanitizer.matches(name).inspect(|found| counts.add(found.kind));
        found.count() == 0
    };
    if !is_clean(given) {
        return then(REDACTED);
    }
    if is_event_type_name(given) && !RESERVED.contains(&given) && given.len() <= BYTES_MAX {
        return then(given);
    }
    let name = EventTypeName::from_given(given);
    // A cut is a new word boundary.
    then(if is_clean(name.as_str()) { name.as_str() } else { REDACTED })
}

impl EventTypeName {
    fn from_given(given: &str) -> Self {
        let mut name = Self { bytes: [0; PREFIX.len() + BYTES_MAX], used: PREFIX.len() };
        name.bytes[..PREFIX.len()].copy_from_slice(PREFIX);
        for (index, word) in given.split('.').enumerate() {
            if index > 0 {
                name.push(b'.');
            }
            if word.is_empty() {
                name.push(b'_');
            }
            // Nothing is read after what fits, however long the given name is.
            for c in word.chars().take(BYTES_MAX) {
                name.push(match c.to_ascii_lowercase() {
                    plain @ ('a'..='z' | '0'..='9' | '_') => plain as u8,
                    _ => b'_',
                });
            }
            if name.used == name.bytes.len() {
                break;
            }
        }
        name
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
    }

    fn as_str(&self) -> &str {
        let given = &self.bytes[PREFIX.len()..self.used];
        let first = given.split(|byte| *byte == b'.').next();
        let is_own = RESERVED.iter().any(|word| first == Some(word.as_bytes()));
        let name = if is_own { &self.bytes[..self.used] } else { given };
        let name = std::str::from_utf8(&name[..name.len().min(BYTES_MAX)]).unwrap_or(REDACTED);
        name.strip_suffix('.').unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_a_valid_one() {
        let long = "x".repeat(200);
        let dotted = format!("{}.tail", "y".repeat(127));
        let digits = format!("{}.{}", "z".repeat(111), "4".repeat(20));
        let cases = [
            ("cart.checkout", "cart.checkout"),
            ("Cart.CheckOut", "cart.checkout"),
            ("größe/neu", "gr__e_neu"),
            ("", "_"),
            (".", "_._"),
            ("a..b.", "a._.b._"),
            ("audit", "user.audit"),
            ("Audit.Start", "user.audit.start"),
            ("alert.fired", "user.alert.fired"),
            ("audits.x", "audits.x"),
            ("user.audit.x", "user.audit.x"),
            ("llm.invoke", "llm.invoke"),
            ("mail.ann@example.org", "redacted"),
            (&long, &long[..128]),
            (&dotted, &dotted[..127]),
            // Twenty digits are not a card number. The sixteen that the cut would leave are.
            (&digits, "redacted"),
        ];
        for (given, expected) in cases {
            let name = with_event_type_name(
                given,
                &Sanitizer::default(),
                &mut Redactions::default(),
                str::to_owned,
            );
            assert_eq!(name, expected, "{given:?}");
            assert!(is_event_type_name(&name), "{given:?}");
        }
    }

    #[test]
    fn what_a_name_held_is_counted() {
        let mut counts = Redactions::default();
        with_event_type_name("ann@example.org", &Sanitizer::default(), &mut counts, |_| ());
        assert_eq!(counts.get(crate::sanitize::Kind::Email), 1);
    }
}
