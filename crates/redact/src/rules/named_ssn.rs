//! United States social security numbers after their name, with any separators.

use super::{RuleText, match_if_nonempty};
use crate::{Kind, Match};

/// Separators between the groups: none, an ASCII one, a hyphen of Unicode, or a dash.
const SEPARATORS: [&str; 10] = ["-", " ", ".", "/", "‐", "‑", "‒", "–", "−", ""];
/// The digits of the groups.
const GROUPS: [usize; 3] = [3, 2, 4];
/// The most bytes between the name and the number.
const BETWEEN_BYTES_MAX: usize = 8;

/// Returns the number after `ssn`, which begins at `at`: `SSN: 038‑17‑7424`, `ssn=038177424`.
pub(super) fn named_ssn_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    if look.byte_before(at).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let name = at + b"ssn".len();
    let is_between = |byte: u8| b" \t:=#\"'\\is".contains(&byte);
    let start = look.run_end(name, is_between).min(name + BETWEEN_BYTES_MAX);
    let rest = look.rest_from(start);
    let length =
        SEPARATORS.iter().find_map(|separator| grouped_length(rest, separator.as_bytes()))?;
    let next = rest.get(length);
    let joins = next.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
    (!joins).then(|| match_if_nonempty(Kind::UsSsn, start, start + length))?
}

/// Returns the length of the number at the beginning of a text, if this is its separator.
fn grouped_length(text: &[u8], separator: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (i, digits) in GROUPS.into_iter().enumerate() {
        if i > 0 {
            length += text.get(length..)?.strip_prefix(separator).map(|_| separator.len())?;
        }
        let group = text.get(length..length + digits)?;
        length += group.iter().all(u8::is_ascii_digit).then_some(digits)?;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use crate::Sanitizer;

    #[test]
    fn a_social_security_number_after_its_name_has_any_separators() {
        let sanitizer = Sanitizer::default();
        for number in ["219.09.9999", "219‑09‑9999", "219099999", "219-09-9999", "219/09/9999"]
        {
            for before in ["SSN: ", "ssn=", "her ssn is ", "ssn '"] {
                let text = format!("{before}{number}, then");
                let expected = format!("{before}[REDACTED_us_ssn], then");
                assert_eq!(sanitizer.redact_str(&text), expected);
            }
        }
        for text in ["ssn 219.09.99991", "missn 219.09.9999", "build 219.09.9999", "ssn 219099999a"]
        {
            assert_eq!(sanitizer.redact_str(text), text);
        }
    }
}
