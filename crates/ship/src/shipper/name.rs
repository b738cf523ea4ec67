//! The names of destinations, which are those of their files.

use hmac_sha256::Hash;

/// The longest name, so that what is added to it still is the name of a file.
const BYTES_MAX: usize = 200;
/// The bytes of a hash and of what is before it.
const HASH_BYTES: usize = "_0123456789abcdef".len();

/// Returns a name for a destination, such as `otlp_http_localhost_4318`, that can be read and is safe as the name of a
/// file. Others have another one.
///
/// Letters, digits, `.` and `-` stay as they are. Any other byte becomes `=` and two hexadecimal digits. If the name is
/// too long, a hash is its end.
pub fn destination_name(kind: &str, parts: &[&str]) -> String {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('_');
        part.bytes().for_each(|byte| push_byte(&mut name, byte));
    }
    if name.len() > BYTES_MAX {
        let hash = name_hash(&name);
        name.truncate(BYTES_MAX - HASH_BYTES);
        name.push_str(&format!("_{hash}"));
    }
    name
}

/// Returns what replaces a text in a name if it is too long or may be a secret. It stays the same, as positions are
/// found by it.
pub(crate) fn name_hash(text: &str) -> String {
    Hash::hash(text.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn push_byte(name: &mut String, byte: u8) {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => name.push(byte.into()),
        other => name.push_str(&format!("={other:02X}")),
    }
}

/// Whether a text can be the name of a destination.
pub(super) fn is_destination_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_read_and_differ() {
        let names = [
            destination_name("cloudwatch", &["llm-audit", "benefits/host-1"]),
            destination_name("cloudwatch", &["llm-audit", "benefits_host-1"]),
            destination_name("cloudwatch", &["llm-audit_benefits", "host-1"]),
            destination_name("otlp", &["http", "localhost", "4318"]),
            destination_name("otlp", &["http", "::1", "4318"]),
            destination_name("otlp", &["../\n\u{e4}"]),
        ];
        let expected = [
            "cloudwatch_llm-audit_benefits=2Fhost-1",
            "cloudwatch_llm-audit_benefits=5Fhost-1",
            "cloudwatch_llm-audit=5Fbenefits_host-1",
            "otlp_http_localhost_4318",
            "otlp_http_=3A=3A1_4318",
            "otlp_..=2F=0A=C3=A4",
        ];
        assert_eq!(names, expected);
        assert!(names.iter().all(|name| is_destination_name(name)));
        assert!(!is_destination_name("../other") && !is_destination_name("a\0"));
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let long = |end: &str| destination_name("otlp", &[&("x".repeat(300) + end)]);
        assert_eq!((long("a").len(), long("a") == long("a")), (BYTES_MAX, true));
        assert_ne!(long("a"), long("b"));
        // The first bytes of SHA-256. With another hash all events would be sent again.
        assert_eq!(name_hash("abc"), "ba7816bf8f01cfea");
    }
}
