//! The name of a secret is one in every carrier: keys, texts, headers, URLs, fields of structures.

use llm_audit_redact::{Redactions, Sanitizer, debug, is_sensitive_header};

const SECRET: &str = "k3Jx9vQ2mZ7tLp0WsYb5";

/// Names that some carriers knew and others did not, and some that all knew.
const NAMES: [&str; 22] = [
    "password",
    "PGPASSWORD",
    "dbpassword",
    "password1",
    "dbPass",
    "mail.smtp.pass",
    "keystore_pass",
    "pass_phrase",
    "accesskeysecret",
    "bottoken",
    "identitytoken",
    "authkey",
    "masterkey",
    "ssh_key",
    "ALGOLIA_ADMIN_KEY",
    "session_key",
    "clientSecret",
    "secret_value",
    "X-Api-Key",
    "access_token",
    "credential",
    "password_hash",
];

fn line(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    out
}

#[test]
fn a_name_of_a_secret_is_one_in_every_carrier() {
    for name in NAMES {
        let texts = [
            line(&format!("{{\"{name}\":\"{SECRET}\"}}")),
            line(&format!("{{\"name\":\"{name}\",\"value\":\"{SECRET}\"}}")),
            line(&format!("{{\"{name}\":\"{SECRET}\"")),
            line(&format!("{name}={SECRET}")),
            line(&format!("set {name}: \"{SECRET}\", please")),
            line(&format!("GET /a?page=2&{name}={SECRET}&n=1")),
        ];
        for text in texts {
            assert!(!text.contains(SECRET), "{name}: {text}");
        }
        let shown = std::collections::BTreeMap::from([(name, SECRET)]);
        let counts = &mut Redactions::default();
        let shown = debug::redacted(&shown, &Sanitizer::default(), counts).unwrap();
        assert!(!shown.contains(SECRET), "{name}: {shown}");
        // Headers are in lower case, which hides the beginning of a word.
        let header = name.to_ascii_lowercase();
        assert!(is_sensitive_header(&header) || header == "dbpass", "{name}");
    }
}

#[test]
fn a_name_that_is_none_hides_nothing() {
    for name in ["public_key", "author", "compass", "secretary", "cache_key", "next_page_token"] {
        let given =
            format!("{{\"{name}\":\"{SECRET}\",\"n\":[{{\"name\":\"{name}\",\"value\":1}}]}}");
        assert_eq!(line(&given), given);
        let given = format!("set {name}={SECRET}, please");
        assert_eq!(line(&given), given);
    }
}
