//! Finds random values near a name in code, templates and blocks, without a sign between them.

use std::ops::Range;

use super::{Certainty, argument_at, window_from};
use crate::looks::{is_irregular_password, is_mixed_random};
use crate::rules::RuleText;

/// Returns the random value of the variable whose annotation has the name:
/// `[Alias("password")] $x = "…"`, `@Named("apiKey") String key = "…"`.
pub(super) fn annotated_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const DECLARATION_BYTES_MAX: usize = 64;
    let [quote @ (b'"' | b'\''), b')', rest @ ..] = look.rest_from(name.end) else { return None };
    if !look.text[look.edge..name.start].ends_with(&[b'(', *quote]) {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b" \t_$.:<>?[]".contains(byte);
    let length = rest.iter().take(DECLARATION_BYTES_MAX).take_while(is_part).count();
    let value = rest[length..].strip_prefix(b"=")?.trim_ascii_start();
    let (start, end) = argument_at(look, look.text.len() - value.len())?;
    let text = &look.text[start..end];
    let is_quoted = matches!(value.first(), Some(b'"' | b'\''));
    (is_quoted && is_irregular_password(text)).then_some((start..end, Certainty::Likely))
}

/// Returns a random string that code or a template takes if the name has no value:
/// `{{ password | default('…') }}`, `config("SECRET_KEY", default="…")`.
pub(super) fn default_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const BETWEEN_BYTES_MAX: usize = 12;
    let line = window_from(look, name.end).split(|&byte| byte == b'\n').next()?;
    let words = [&b"default"[..], b"unwrap_or", b"fallback", b"or_else"];
    let (word, place) = words
        .iter()
        .find_map(|word| memchr::memmem::find(line, word).map(|place| (word, place)))?;
    // The name had another value, and a second redaction finds no more than the first.
    if memchr::memmem::find(&line[..place], b"[REDACTED").is_some() {
        return None;
    }
    let behind = &line[place + word.len()..];
    let behind = &behind[..behind.len().min(BETWEEN_BYTES_MAX)];
    let quote = behind.iter().position(|byte| b"\"'".contains(byte))?;
    let between = &behind[..quote];
    let is_between = |byte: &u8| byte.is_ascii_alphabetic() || b" _(=:|".contains(byte);
    let has_sign = between.iter().any(|byte| b"(=:".contains(byte));
    // A filter of a template: `| default "…"`.
    let is_filter = between == b" " && line[..place].ends_with(b"| ");
    if !between.iter().all(is_between) || !has_sign && !is_filter {
        return None;
    }
    let (start, end) = argument_at(look, name.end + place + word.len() + quote)?;
    is_irregular_password(&look.text[start..end]).then_some((start..end, Certainty::Likely))
}

/// Returns the value in another option of a command that has the name: `--name DB_PASSWORD --value …`.
pub(super) fn option_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const OPTIONS: [&[u8]; 4] = [b" --value", b" --body", b" --secret-string", b" -b"];
    let rest = window_from(look, name.end);
    let rest = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"'")).unwrap_or(rest);
    let at = name.end + window_from(look, name.end).len() - rest.len();
    let line = rest.split(|&byte| b"\n;|".contains(&byte)).next()?;
    if !line.starts_with(b" -") {
        return None;
    }
    OPTIONS.iter().find_map(|option| {
        let behind = memchr::memmem::find(line, option)? + option.len();
        matches!(line.get(behind), Some(b' ' | b'='))
            .then(|| argument_at(look, at + behind + 1))?
            .map(|(start, end)| (start..end, Certainty::Sure))
    })
}

/// Returns the random word in the line after a name and its colon, as in a block of YAML.
pub(super) fn block_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const INDENT_BYTES_MAX: usize = 32;
    let rest = window_from(look, name.end).strip_prefix(b":")?;
    let head = rest.iter().position(|&byte| byte == b'\n')?;
    if ![&b""[..], b"|", b"|-", b"|+", b">", b">-", b">+"].contains(&rest[..head].trim_ascii()) {
        return None;
    }
    let indented = &rest[head + 1..];
    let indent = indented.iter().take_while(|&&byte| byte == b' ').count();
    let word = &indented[indent..];
    let word = &word[..word.iter().position(u8::is_ascii_whitespace).unwrap_or(word.len())];
    let start = name.end + 1 + head + 1 + indent;
    let is_random = is_irregular_password(word);
    let ends_line = matches!(look.byte_at(start + word.len()), None | Some(b'\r' | b'\n'));
    ((1..INDENT_BYTES_MAX).contains(&indent) && ends_line && is_random && !word.contains(&b':'))
        .then_some((start..start + word.len(), Certainty::Likely))
}

/// Returns the random string in quotes that is next after a name in code: `strcpy(password, "…")`,
/// `get("#password").type("…")`, `password { "…" }`.
pub(super) fn near_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const BETWEEN_BYTES_MAX: usize = 24;
    let rest = window_from(look, name.end);
    let rest = &rest[..rest.len().min(BETWEEN_BYTES_MAX)];
    let closing = usize::from(matches!(rest, [b'"' | b'\'', ..]));
    // The end of a selector: `input[name=password]'`.
    let closing = if matches!(rest, [b']', b'"' | b'\'', ..]) { 2 } else { closing };
    let length = rest[closing..].iter().position(|byte| b"\"'\n;[".contains(byte))?;
    let at = closing + length;
    let between = &rest[closing..at];
    let is_between = |byte: &u8| byte.is_ascii_alphabetic() || b" ._,(){}=>:<-".contains(byte);
    let is_joined = between.iter().any(|byte| b",({}".contains(byte)) || between == b" with ";
    if !matches!(rest[at], b'"' | b'\'') || !between.iter().all(is_between) || !is_joined {
        return None;
    }
    let (start, end) = argument_at(look, name.end + at)?;
    is_mixed_random(&look.text[start..end]).then_some((start..end, Certainty::Likely))
}
