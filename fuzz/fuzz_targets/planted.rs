//! A secret of every kind does not survive, wherever in a text it is. Nor does it if that text is
//! deep in JSON or in strings of JSON, however it is escaped, in whatever pieces it is written.
#![no_main]

use std::io::Write;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llm_audit::Sanitizer;
use llm_audit::sanitize::RedactingWriter;
use llm_audit_fuzz::Text;
use serde_json::{Value, json};

/// What comes before a random part, and how long that is. In two halves, so that no file holds a
/// secret.
const FORMS: [(&str, usize); 27] = [
    ("sk-", 48),
    ("sk-proj-", 60),
    ("sk-ant-api03-", 90),
    ("ghp_", 36),
    ("github_pat_", 82),
    ("glpat-", 20),
    ("xoxb-123456789012-", 24),
    ("AIza", 35),
    ("ya29.", 60),
    ("GOCSPX-", 28),
    ("sk_live_", 24),
    ("hf_", 34),
    ("npm_", 36),
    ("pypi-AgEIcHlwaS5vcmc", 70),
    ("hvs.", 90),
    ("pplx-", 48),
    ("lsv2_pt_", 43),
    ("ABSK", 80),
    ("shpat_", 32),
    ("NRAK-", 27),
    ("glsa_", 41),
    ("lin_api_", 40),
    ("ntn_", 46),
    ("PMAK-", 59),
    ("gsk_", 52),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxNyJ9.", 43),
    ("kim@post.example/", 0),
];

#[derive(Arbitrary, Debug)]
struct Input {
    form: u8,
    before: Text,
    behind: Text,
    /// Around the text, from the inside out.
    wraps: Vec<Wrap>,
    escapes: bool,
    piece: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Wrap {
    List,
    Member,
    Pair,
    /// A string of JSON; no more than three of them are looked into.
    Json,
}

impl Input {
    fn secret(&self) -> (String, &'static str) {
        let (prefix, length) = FORMS[usize::from(self.form) % FORMS.len()];
        let random: String = "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(length).collect();
        let core = if length == 0 { "kim@post" } else { "c3D4e5F6g7H8" };
        (format!("{prefix}{random}"), core)
    }

    /// The text, apart from what is around the secret.
    fn text(&self) -> String {
        format!("{}, {}; {}", self.before.0, self.secret().0, self.behind.0)
    }

    fn line(&self) -> String {
        let mut strings = 0;
        let wrapped =
            self.wraps.iter().take(12).fold(Value::String(self.text()), |value, wrap| match wrap {
                Wrap::List => json!([1, value]),
                Wrap::Member => json!({"a": value, "b": null}),
                Wrap::Pair => json!([["x-note", value], {"name": "note", "value": 1}]),
                Wrap::Json if strings < 3 => {
                    strings += 1;
                    Value::String(value.to_string())
                }
                Wrap::Json => value,
            });
        let line = json!({"data": wrapped}).to_string();
        if self.escapes { spelled(&line) } else { line }
    }
}

/// The letters of a line that has no escape sequences yet, as such.
fn spelled(line: &str) -> String {
    if line.contains('\\') {
        return line.to_owned();
    }
    let spell = |c: char| match c {
        'a'..='z' | '_' | '@' => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    };
    // `null` is not a string.
    line.split("null")
        .map(|part| part.chars().map(spell).collect())
        .collect::<Vec<String>>()
        .join("null")
}

/// What is in the strings of a line, however deep.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            found.push(text.clone());
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                strings(&inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.iter().for_each(|(key, item)| {
            found.push(key.clone());
            strings(item, found);
        }),
        _ => {}
    }
}

fuzz_target!(|input: Input| {
    let core = input.secret().1;
    // What was not planted here may stay.
    if [&input.before, &input.behind].iter().any(|text| text.0.contains(&core[..4])) {
        return;
    }
    let text = input.text();
    let redacted = Sanitizer::default().redact_str(&text).into_owned();
    assert!(!redacted.contains(core), "{text:?} became {redacted:?}");

    let line = input.line();
    let mut redacted = String::new();
    Sanitizer::default().redact_line(&line, &mut redacted, &mut Default::default());
    let value: Value = serde_json::from_str(&redacted)
        .unwrap_or_else(|error| panic!("{line} became {redacted}: {error}"));
    let mut found = Vec::new();
    strings(&value, &mut found);
    assert!(!found.iter().any(|text| text.contains(core)), "{line} became {redacted}");

    let mut writer = RedactingWriter::new(Vec::new(), Sanitizer::default());
    for piece in line.as_bytes().chunks(usize::from(input.piece) + 1) {
        writer.write_all(piece).expect("a Vec takes all");
    }
    let written = writer.finish().expect("a Vec takes all");
    assert_eq!(String::from_utf8_lossy(&written), redacted, "in pieces of {}", input.piece);
});
