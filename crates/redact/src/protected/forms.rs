//! The forms in which a protected value is found: escaped, percent-encoded, in base64.

use std::collections::BTreeSet;
use std::fmt::Write;

/// The shortest value that is searched in base64. If it were shorter, other text would be taken for
/// it.
const BASE64_MIN: usize = 6;
/// Returns a value in every form in which it is found.
pub(super) fn forms_of_value(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([value.to_owned()]);
    let escapes = [
        json_form,
        |text: &str| json_form(text).replace('/', "\\/"),
        ascii_form,
        // The form of PHP's `json_encode`.
        |text: &str| ascii_form(text).replace('/', "\\/"),
        ascii_upper_form,
        html_form,
    ];
    for escape in escapes {
        let mut escaped = value.to_owned();
        for _ in 0..3 {
            escaped = escape(&escaped);
            forms.insert(escaped.clone());
        }
    }
    // The characters that stay as they are, apart from letters, digits and `-._`. They differ in
    // RFC 3986, in paths, in encodeURIComponent, in encodeURI and in forms (the URL standard).
    for kept in ["~", "~/", "~!'()*", "~!'()*;/?:@&=+$,#", "*"] {
        for (upper, space) in [(true, "%20"), (true, "+"), (false, "%20"), (false, "+")] {
            forms.insert(percent_form(value, kept, upper, space));
        }
    }
    if value.len() >= BASE64_MIN {
        for last in [b"+/", b"-_"] {
            forms.extend((0..3).map(|before| base64_inner_form(value.as_bytes(), before, last)));
            let whole = base64_whole_form(value.as_bytes(), last);
            forms.insert(whole.trim_end_matches('=').to_owned());
            forms.insert(whole);
        }
    }
    forms
}

fn json_form(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Escapes a text like Go's `encoding/json`, for scripts in HTML.
fn html_form(text: &str) -> String {
    let escaped = json_form(text).replace('&', "\\u0026");
    escaped.replace('<', "\\u003c").replace('>', "\\u003e")
}

/// Escapes a text like Python's `json.dumps`.
fn ascii_form(text: &str) -> String {
    let mut out = String::new();
    let mut units = [0; 2];
    for c in json_form(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("a String takes all");
            }
        }
    }
    out
}

fn ascii_upper_form(text: &str) -> String {
    let mut out = String::new();
    let lower = ascii_form(text);
    let mut parts = lower.split("\\u");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let hex = part.len().min(4);
        out.push_str("\\u");
        out.push_str(&part[..hex].to_ascii_uppercase());
        out.push_str(&part[hex..]);
    }
    out
}

fn percent_form(text: &str, kept: &str, upper: bool, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        match c {
            ' ' => out.push_str(space),
            _ if c.is_ascii_alphanumeric() || "-._".contains(c) || kept.contains(c) => out.push(c),
            _ if upper => write!(out, "%{byte:02X}").expect("a String takes all"),
            _ => write!(out, "%{byte:02x}").expect("a String takes all"),
        }
    }
    out
}

/// Returns the base64 digits that depend on this value alone, if it is after `before` more bytes.
fn base64_inner_form(value: &[u8], before: usize, last: &[u8; 2]) -> String {
    let (from, to) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
    (from..to).map(|digit| base64_form_digit(value, digit * 6 - before * 8, last)).collect()
}

pub(super) fn base64_whole_form(value: &[u8], last: &[u8; 2]) -> String {
    let digits = (value.len() * 8).div_ceil(6);
    let padding = digits.next_multiple_of(4) - digits;
    let digits = (0..digits).map(|digit| base64_form_digit(value, digit * 6, last));
    digits.chain(std::iter::repeat_n('=', padding)).collect()
}

/// Returns the digit of the six bits from this one on.
fn base64_form_digit(value: &[u8], bit: usize, last: &[u8; 2]) -> char {
    let byte = |at: usize| u16::from(value.get(at).copied().unwrap_or(0));
    let two = byte(bit / 8) << 8 | byte(bit / 8 + 1);
    char::from(match (two >> (10 - bit % 8) & 63) as u8 {
        n @ 0..26 => b'A' + n,
        n @ 26..52 => b'a' + n - 26,
        n @ 52..62 => b'0' + n - 52,
        n => last[usize::from(n - 62)],
    })
}
