//! Private keys in PEM.

use super::{RuleText, is_base64_byte, match_if_nonempty, position_of_part};
use crate::{Kind, Match};

/// Returns a block from `-----BEGIN … PRIVATE KEY…-----` to the end of its last line. If the block
/// has no last line, it extends to the end of the text.
pub(super) fn private_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LABEL_BYTES_MAX: usize = 64;
    let start = look.run_start(at, 5, |byte| byte == b'-');
    let label = look.rest_from(at).strip_prefix(b"BEGIN ").filter(|_| start < at)?;
    let label = &label[..label.len().min(LABEL_BYTES_MAX)];
    let label = &label[..position_of_part(label, b"-----")?];
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    if position_of_part(label, b"PRIVATE KEY").is_none() || !label.iter().all(is_label) {
        return None;
    }
    let from = at + b"BEGIN ".len() + label.len();
    let end =
        position_of_part(look.rest_from(from), b"-----END ").map_or(look.text.len(), |ahead| {
            let closing = from + ahead + b"-----END ".len();
            let line =
                &look.rest_from(closing)[..look.rest_from(closing).len().min(LABEL_BYTES_MAX)];
            closing + position_of_part(line, b"-----").map_or(0, |ahead| ahead + 5)
        });
    match_if_nonempty(Kind::PrivateKey, start, end)
}

/// Returns the same block in base64: `-----BEGIN ` at the beginning, and `PRIVATE KEY` soon after.
pub(super) fn encoded_private_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text = look.rest_from(at);
    let begins = text.starts_with(b"LS0tLS1CRUdJTi");
    let head = &text[..text.len().min(80)];
    // `PRIVATE KEY`, encoded at each of the three offsets that it may have in a group of bytes.
    let names: [&[u8]; 3] = [b"UFJJVkFURSBLRV", b"BSSVZBVEUgS0VZ", b"QUklWQVRFIEtFW"];
    let is_private = begins && names.iter().any(|name| position_of_part(head, name).is_some());
    is_private.then(|| match_if_nonempty(Kind::PrivateKey, at, look.run_end(at, is_base64_byte)))?
}
