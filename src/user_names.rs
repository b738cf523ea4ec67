//! What takes the place of ids of users that are personal.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use hmac_sha256::HMAC;

use crate::sanitize::{Sanitizer, is_phone_number};

/// Bytes of the hash that are shown: 96 bits, so that no two users of a service share a name.
const HASH_BYTES: usize = 12;
/// What a name begins with.
const PREFIX: &str = "u_";
/// Bytes that a key has at least.
pub(crate) const KEY_BYTES_MIN: usize = 16;

/// The key of the hashes, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserKey(Vec<u8>);

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}

impl UserKey {
    /// Returns `None` if the key is too short.
    pub(crate) fn new(key: impl Into<Vec<u8>>) -> Option<Self> {
        Some(Self(key.into())).filter(Self::is_long)
    }

    /// Returns a key that may be too short.
    pub(crate) fn unchecked(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_long(&self) -> bool {
        self.0.len() >= KEY_BYTES_MIN
    }

    /// Returns a key that nobody else has.
    pub(crate) fn random() -> Self {
        let mut key = [0; 32];
        // Without random bits of the operating system there is no logger either.
        if getrandom::fill(&mut key).is_err() {
            fastrand::fill(&mut key);
        }
        Self(key.to_vec())
    }
}

/// Names users. An id that redaction leaves as it is, is its own name. A personal one, such as a mail address,
/// becomes a keyed hash, and so does a telephone number, which redaction finds only if it is asked for. Otherwise all such users would have the same placeholder.
///
/// The hash is HMAC-SHA-256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)), of which 96 bits are kept.
#[derive(Clone)]
pub(crate) struct UserNames {
    sanitizer: Sanitizer,
    key: UserKey,
}

impl UserNames {
    pub(crate) fn new(sanitizer: Sanitizer, key: &UserKey) -> Self {
        Self { sanitizer, key: key.clone() }
    }

    /// Returns the name of a user.
    pub(crate) fn name<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if is_phone_number(id) {
            return Cow::Owned(self.hashed(id));
        }
        match self.sanitizer.redact_str(id) {
            Cow::Borrowed(_) => Cow::Borrowed(id),
            Cow::Owned(redacted) if redacted == id => Cow::Borrowed(id),
            Cow::Owned(_) => Cow::Owned(self.hashed(id)),
        }
    }

    /// Returns what tells this key from others.
    pub(crate) fn key_id(&self) -> String {
        let mut hash = self.hashed("llm-audit key");
        hash.drain(..PREFIX.len());
        hash.truncate(8);
        hash
    }

    fn hashed(&self, id: &str) -> String {
        let hash = HMAC::mac(id, &self.key.0);
        let mut name = PREFIX.to_owned();
        for byte in &hash[..HASH_BYTES] {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(key: &str) -> UserNames {
        UserNames::new(Sanitizer::default(), &UserKey::new(key).unwrap())
    }

    #[test]
    fn a_mail_address_becomes_a_hash_under_the_key() {
        let (names, other) = (names("0123456789abcdef"), names("0123456789abcdeg"));
        // As `openssl dgst -sha256 -hmac 0123456789abcdef` computes it.
        assert_eq!(names.name("ann@example.org"), "u_b2eadfbaaca8f7b30b765633");
        assert_ne!(names.name("ann@example.org"), names.name("bob@example.org"));
        assert_ne!(names.name("ann@example.org"), other.name("ann@example.org"));
    }

    #[test]
    fn a_telephone_number_becomes_a_hash() {
        for id in ["+44 20 7946 0018", "+6281234567890", "(415) 555-0123", "0812-3456-789"] {
            let name = names("0123456789abcdef").name(id).into_owned();
            assert!(name.starts_with("u_") && name.len() == 26, "{id}: {name}");
        }
    }

    #[test]
    fn other_ids_stay() {
        for id in [
            "u-1842",
            "",
            "1842",
            "4155550123",
            "2026-11-30",
            "call +44 20 7946 0018",
            "alice",
            "3f0c2f6e-5b1f-4a53-9d3e-0a6a3f0b3e11",
        ] {
            assert_eq!(names("0123456789abcdef").name(id), id);
        }
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(UserKey::new("0123456789abcde"), None);
        assert_eq!(format!("{:?}", UserKey::new("0123456789abcdef")), "Some([set])");
        assert_ne!(UserKey::random(), UserKey::random());
    }

    #[test]
    fn the_id_of_a_key_is_the_same_in_every_process() {
        assert_eq!(names("0123456789abcdef").key_id(), names("0123456789abcdef").key_id());
        assert_eq!(names("0123456789abcdef").key_id().len(), 8);
    }
}
