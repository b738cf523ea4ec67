//! Redacted text: no floor rule matches in it, outside the placeholders it is the input byte for
//! byte, and redacting it again changes nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use llm_audit::Sanitizer;
use llm_audit_fuzz::Text;
use regex::Regex;

/// The floor rules over ASCII: whatever matches here matches the floor itself. The neighbours of a
/// card are spelled out, since `\b` of this crate differs from the floor's beyond ASCII.
static RULES: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    let (digits, gap) = ("[0-9]{4}", r"[ \t\n\r\x0b\x0c\x1c-\x1f-]?");
    let edge = r"[\x00-/:-@\[-^`{-\x7f]";
    let card = format!("(?:^|{edge}){digits}{gap}{digits}{gap}{digits}{gap}{digits}(?:$|{edge})");
    [
        r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}",
        &card,
        r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+",
        r"AKIA[0-9A-Z]{16}",
    ]
    .map(|rule| Regex::new(rule).expect("a valid rule"))
});

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[REDACTED(?:_[a-z0-9_]+)?\]").expect("a valid rule"));

/// What the contract excepts from the card rule, in a wider form than it says: the fraction of a number
/// with one digit before the point, microseconds since 1970, UUIDs, and ids under their names.
static EXCEPTIONS: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"(?:^|[^0-9.])[0-9]\.[0-9]{16}",
        "(?:1[5-9]|20)[0-9]{14}",
        "(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "(?i)(?:span|trace|parent)[^0-9]*[0-9]{16}",
        "(?i)(?:b3|uber-trace-id)[^0-9a-f]*(?:[0-9a-f]{1,32}[-:])*[0-9]{16}",
    ];
    Regex::new(&forms.join("|")).expect("valid forms")
});

/// Whether `redacted` is `text` with some of it, at least a byte each, replaced by placeholders.
fn same_outside_placeholders(text: &str, redacted: &str) -> bool {
    let mut pieces = PLACEHOLDER.split(redacted);
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        let Some(replaced) = rest.chars().next() else { return false };
        rest = &rest[replaced.len_utf8()..];
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        // The first place is as good as any later one: it leaves most for the pieces to come.
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

fuzz_target!(|text: Text| {
    let text = text.0;
    let sanitizer = Sanitizer::default();
    let redacted = sanitizer.redact_str(&text);
    let plain = EXCEPTIONS.replace_all(&redacted, "\u{e9}");
    for rule in RULES.iter() {
        assert!(!rule.is_match(&plain), "{rule} matches {redacted:?}, redacted from {text:?}");
    }
    assert!(same_outside_placeholders(&text, &redacted), "{text:?} became {redacted:?}");
    assert_eq!(sanitizer.redact_str(&redacted), redacted, "redacted twice, from {text:?}");
});
