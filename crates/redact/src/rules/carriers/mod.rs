//! Values of sensitive names that no sign of assignment joins to the name: in markup, SQL, forms,
//! command lines and dumps of structures.

mod beside;
mod code;
mod escaped;
mod members;
mod wrapped;

use std::ops::Range;

pub(super) use beside::last_value_end;
use beside::{changed_value, typed_element};
use code::{annotated_value, block_value, default_value, near_value, option_value};
use escaped::escaped_value;
pub(super) use escaped::{escape_length, quote_entity_length};
use members::{contained_value, paired_value};
use wrapped::{dumped_string, wrapped_value};

use super::commands::argument_at;
use super::{RuleText, match_if_nonempty, starts_ignoring_case};
use crate::looks::{
    has_secret_form, is_between_strings, is_chosen_value, is_mixed_random, is_random_value,
    is_reference, is_secret_identifier,
};
use crate::names::NameClass;
use crate::{Kind, Match};

/// Finds the value that a carrier has beside the name at a place.
type CarrierRule = fn(RuleText<'_>, &Range<usize>) -> Option<(Range<usize>, Certainty)>;

/// The part of a text after a name that is read to find the value.
const WINDOW_BYTES: usize = 256;
const BLANKS_MAX: usize = 8;

/// How much a carrier says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// The name and the value are those of a structure.
    Named,
    /// Nothing else than a value can be here.
    Sure,
    /// A value may be here, if it looks like a secret.
    Likely,
    /// Prose may be here.
    Doubtful,
}

/// Returns the value of the sensitive name at `name`, if a carrier other than a sign and a value
/// follows.
pub(super) fn carried_value_at(
    look: RuleText<'_>,
    name: Range<usize>,
    class: NameClass,
) -> Option<Match> {
    let carriers: [CarrierRule; 15] = [
        markup_value,
        attribute_value,
        paired_value,
        contained_value,
        typed_element,
        changed_value,
        form_value,
        opened_value,
        escaped_value,
        annotated_value,
        default_value,
        option_value,
        block_value,
        spaced_value,
        near_value,
    ];
    carriers.into_iter().find_map(|carrier| {
        let (value, certainty) = carrier(look, &name)?;
        let text = &look.text[value.clone()];
        let is_secret = is_carried_secret(text, class, certainty);
        is_secret.then(|| match_if_nonempty(Kind::Credential, value.start, value.end))?
    })
}

/// Returns whether a value is one: no placeholder, no type, no sentence.
fn is_carried_secret(text: &[u8], class: NameClass, certainty: Certainty) -> bool {
    const LEAST: usize = 3;
    /// Words that settings of passwords have for values.
    const SETTINGS: [&[u8]; 5] = [b"always", b"never", b"none", b"on_create", b"required"];
    let is_value = text.len() >= LEAST
        && !is_reference(text)
        && !is_secret_identifier(text)
        && !is_between_strings(text);
    let is_code = text.len() <= 4 && text.iter().all(u8::is_ascii_digit);
    is_value
        && match (certainty, class) {
            (_, NameClass::Plain) => false,
            (_, NameClass::CardCode) => is_code,
            (Certainty::Doubtful, NameClass::Formed(_)) if is_fingerprint(text) => false,
            (_, NameClass::Formed(form)) => has_secret_form(text, form),
            (Certainty::Named, _) => !SETTINGS.contains(&text),
            (Certainty::Doubtful, _) => is_mixed_random(text) && !is_file_name(text),
            (_, NameClass::Chosen) => is_chosen_value(text),
            (Certainty::Likely, NameClass::Made) => is_random_value(text),
            (Certainty::Sure, NameClass::Made) => {
                is_random_value(text) || text.len() >= 8 && text.iter().any(u8::is_ascii_digit)
            }
        }
}

/// Returns whether a value is the fingerprint of a public key, as `gpg` prints it: `RSA key 5DE1…`.
fn is_fingerprint(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    matches!(text.len(), 16 | 40) && text.iter().all(is_digit)
}

/// Returns whether a value is words and the extension of a file.
fn is_file_name(text: &[u8]) -> bool {
    const EXTENSION_BYTES_MAX: usize = 5;
    let Some(dot) = text.iter().rposition(|&byte| byte == b'.') else { return false };
    let (stem, extension) = (&text[..dot], &text[dot + 1..]);
    (2..=EXTENSION_BYTES_MAX).contains(&extension.len())
        && extension.iter().all(u8::is_ascii_lowercase)
        && stem.split(|byte| !byte.is_ascii_alphanumeric()).all(|part| !is_random_value(part))
}

/// Returns the value of an element of markup: `<password>…</password>`, `<key>password</key>` and
/// the element after it, `<td>password</td>` and the next cell.
fn markup_value(look: RuleText<'_>, name: &Range<usize>) -> Option<(Range<usize>, Certainty)> {
    let rest = window_from(look, name.end);
    let before = look.byte_before(name.start);
    if before == Some(b';') && rest.starts_with(b"&gt;") {
        let start = name.end + b"&gt;".len();
        let length = memchr::memmem::find(window_from(look, start), b"&lt;")?;
        return Some((start..start + length, Certainty::Likely));
    }
    if matches!(before, Some(b'<' | b':')) {
        let tag = tag_end(rest)?;
        // The name in a closing tag, or a tag without content.
        let is_open = !rest[..tag].ends_with(b"/>");
        let content = content_at(look, name.end + tag).filter(|_| is_open)?;
        return Some((content, Certainty::Sure));
    }
    let close = rest.strip_prefix(b"</")?;
    let first = tag_name(close);
    let next = &close[first.len()..];
    let next = next.strip_prefix(b">")?.trim_ascii_start();
    let second = tag_name(next.strip_prefix(b"<")?);
    let at = name.end + rest.len() - next.len() + 1 + second.len();
    let tag = tag_end(window_from(look, at))?;
    let is_value = [&b"string"[..], b"value", b"data"].contains(&second) && first != b"label";
    let certainty = if is_value { Certainty::Sure } else { Certainty::Doubtful };
    Some((content_at(look, at + tag)?, certainty))
}

/// Returns the name at the beginning of a tag.
fn tag_name(text: &[u8]) -> &[u8] {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_:".contains(byte);
    &text[..text.iter().take_while(is_part).count()]
}

/// Returns the length of the rest of a tag after its name, if it is a tag.
fn tag_end(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().position(|byte| b"<>\n[".contains(byte))?;
    let is_tag = end == 0 || rest[0] == b' ' && rest[..end].contains(&b'=');
    (rest[end] == b'>' && is_tag).then_some(end + 1)
}

/// Returns the content of an element up to its closing tag. Without that tag the brackets before it
/// are a placeholder of the author.
fn content_at(look: RuleText<'_>, at: usize) -> Option<Range<usize>> {
    const CDATA: &[u8] = b"<![CDATA[";
    let at = at + if look.rest_from(at).starts_with(CDATA) { CDATA.len() } else { 0 };
    let rest = window_from(look, at);
    let is_end = |at: &usize| {
        let rest = &rest[*at..];
        b"<>\n\r".contains(&rest[0]) || rest.starts_with(b"]]>") || rest.starts_with(b"[REDACTED")
    };
    let length = (0..rest.len()).find(is_end)?;
    let is_closed = [&b"</"[..], b"]]>"].iter().any(|close| rest[length..].starts_with(close));
    let text = &rest[..length];
    let start = at + length - text.trim_ascii_start().len();
    is_closed.then(|| start..start + text.trim_ascii().len())
}

/// Returns the value beside a name that is an attribute: `<add key="ApiKey" value="…"/>`,
/// `<entry key="password">…</entry>`.
fn attribute_value(look: RuleText<'_>, name: &Range<usize>) -> Option<(Range<usize>, Certainty)> {
    let rest = window_from(look, name.end);
    let escapes = rest.iter().take_while(|&&byte| byte == b'\\').count();
    let quote = *rest.get(escapes).filter(|byte| matches!(byte, b'"' | b'\''))?;
    let before = &look.text[look.edge.max(name.start.saturating_sub(128))..name.start];
    let before = before.strip_suffix(&[quote])?;
    let before = &before[..before.len() - escapes.min(before.len())];
    let is_sign = |byte: &u8| matches!(byte, b' ' | b'=');
    let signs = before.iter().rev().take_while(|byte| is_sign(byte)).count();
    let attribute = before[..before.len() - signs].to_ascii_lowercase();
    let is_named = before[before.len() - signs..].contains(&b'=')
        && [&b" name"[..], b" key", b" id", b" type", b" property"]
            .iter()
            .any(|name| attribute.ends_with(name));
    let open = before.iter().rposition(|byte| b"<>".contains(byte));
    if !is_named || open.is_none_or(|at| before[at] != b'<') {
        return None;
    }
    let tag = rest.iter().position(|byte| b"<>".contains(byte)).unwrap_or(rest.len());
    for attribute in [&b" value="[..], b" value = ", b" content=", b" defaultvalue="] {
        let found = (0..tag).find(|&at| starts_ignoring_case(&rest[at..tag], attribute));
        if let Some(at) = found {
            let (start, end) = argument_at(look, name.end + at + attribute.len())?;
            return Some((start..end, Certainty::Sure));
        }
    }
    if let Some(at) = memchr::memmem::rfind(before, b" value=") {
        let from = name.start - escapes - 1 - (before.len() - at) + b" value=".len();
        let (start, end) = argument_at(look, from)?;
        // A match is near its trigger, which is in the name.
        let is_near = end < name.start && name.end - start <= 80;
        return is_near.then_some((start..end, Certainty::Sure));
    }
    let is_element = rest.get(tag) == Some(&b'>') && !rest[..tag].ends_with(b"/");
    let content = name.end + tag + 1;
    // The value may be in an element of its own, also on the next line.
    let inside = window_from(look, content);
    let inner = inside.trim_ascii_start().strip_prefix(b"<value>");
    let skipped = inner.map_or(0, |inner| inside.len() - inner.len());
    Some((content_at(look, content + skipped).filter(|_| is_element)?, Certainty::Likely))
}

/// Returns the value of a part of a form: `name="password"`, an empty line, and the value.
fn form_value(look: RuleText<'_>, name: &Range<usize>) -> Option<(Range<usize>, Certainty)> {
    let rest = window_from(look, name.end);
    let rest = rest.strip_prefix(b"\\").unwrap_or(rest).strip_prefix(b"\"")?;
    let before = &look.text[look.edge..name.start];
    let before = &before[before.len().saturating_sub(8)..];
    if !before.ends_with(b"name=\"") && !before.ends_with(b"name=\\\"") {
        return None;
    }
    let gap = [&b"\r\n\r\n"[..], b"\n\n", b"\\r\\n\\r\\n", b"\\n\\n"];
    let (place, gap) =
        gap.iter().filter_map(|gap| Some((memchr::memmem::find(rest, gap)?, gap.len()))).min()?;
    let head = &rest[..place];
    let start = name.end + window_from(look, name.end).len() - rest.len() + place + gap;
    let is_head = !head.windows(2).any(|two| two == b"--");
    let length =
        window_from(look, start).iter().take_while(|&&byte| !b"\r\n\\[".contains(&byte)).count();
    is_head.then_some((start..start + length, Certainty::Sure))
}

/// Returns the value after a sign and something that opens it: `Some("…")`, `{…}` in a string of
/// settings, `[…]` and `{…}` of a structure. Also returns a value of JSON that a text contains, and
/// the value of an index in brackets.
fn opened_value(look: RuleText<'_>, name: &Range<usize>) -> Option<(Range<usize>, Certainty)> {
    let rest = look.rest_from(name.end);
    if let Some(rest) = rest.strip_prefix(b"\";s:") {
        return dumped_string(look, name.end + look.rest_from(name.end).len() - rest.len());
    }
    let (at, closing) = sign_end(look, name.end)?;
    let is_quoted = closing.iter().any(|byte| b"\"'".contains(byte));
    let rest = window_from(look, at);
    match *rest.first()? {
        b'[' | b'{' if rest[1..].starts_with(b"REDACTED") => None,
        b'{' if !is_quoted => braced_setting(look, name, at),
        b'[' | b'{' => container_value(look, at),
        b'"' if is_quoted => json_value(look, name, at),
        b'N' if rest.get(1) == Some(&b'\'') => {
            argument_at(look, at + 1).map(|(start, end)| (start..end, Certainty::Likely))
        }
        b's' if rest.starts_with(b"string(") => dumped_string(look, at + b"string(".len()),
        b'(' if rest.starts_with(b"(string) (len=") => {
            dumped_string(look, at + b"(string) (len=".len())
        }
        _ if closing == b"]" => argument_at(look, at)
            .filter(|&(_, end)| !matches!(look.byte_at(end), Some(b'(' | b'<')))
            .map(|(start, end)| (start..end, Certainty::Likely)),
        _ => wrapped_value(look, at),
    }
}

/// Returns a quoted value after a quoted name. What a model says is under the bare name `token`.
fn json_value(
    look: RuleText<'_>,
    name: &Range<usize>,
    at: usize,
) -> Option<(Range<usize>, Certainty)> {
    let (start, end) = argument_at(look, at)?;
    let has = |is: fn(&u8) -> bool| look.text[start..end].iter().any(is);
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let is_model_token = look.text[name.clone()].eq_ignore_ascii_case(b"token");
    let is_path = look.text[start..end].iter().filter(|&&byte| byte == b'/').count() > 1;
    (is_mixed && !is_model_token && !is_path).then_some((start..end, Certainty::Named))
}

/// Passes what closes a name, and a sign of assignment. Also returns what closes the name.
fn sign_end(look: RuleText<'_>, at: usize) -> Option<(usize, &[u8])> {
    let closes = |byte| matches!(byte, b'"' | b'\'' | b'\\' | b']');
    let closed = look.run_end(at, closes).min(at + 4);
    let is_blank = |byte| byte == b' ' || byte == b'\t';
    let sign = look.run_end(closed, is_blank).min(closed + BLANKS_MAX);
    let behind = match look.rest_from(sign) {
        [b':' | b'=', b'=' | b'>', ..] | [b'-', b'>', ..] => sign + 2,
        [b':', b':', ..] => return None,
        [b':' | b'=', ..] => sign + 1,
        _ => return None,
    };
    Some((look.run_end(behind, is_blank).min(behind + BLANKS_MAX), &look.text[at..closed]))
}

/// Returns the value in the braces of a string of settings: `Uid=sa;PWD={…};`.
fn braced_setting(
    look: RuleText<'_>,
    name: &Range<usize>,
    at: usize,
) -> Option<(Range<usize>, Certainty)> {
    let rest = &window_from(look, at)[1..];
    let length = rest.iter().position(|byte| b"}\n[".contains(byte))?;
    let is_setting =
        look.byte_before(name.start) == Some(b';') || rest.get(length + 1) == Some(&b';');
    let is_setting = is_setting && &look.text[name.end..at] == b"=";
    let is_closed = rest[length] == b'}' && !rest[..length].contains(&b'{');
    let value = at + 1..at + 1 + length;
    let is_name = rest[..length].iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    (is_setting && is_closed && !is_name).then_some((value, Certainty::Sure))
}

/// Returns the value in a list or an object of a structure, without the outermost quotes.
fn container_value(look: RuleText<'_>, at: usize) -> Option<(Range<usize>, Certainty)> {
    let rest = window_from(look, at);
    let close = if rest[0] == b'[' { b']' } else { b'}' };
    let inside = &rest[1..];
    let end =
        inside.iter().position(|&byte| byte == close || byte == b'\n').unwrap_or(inside.len());
    let inside = &inside[..end];
    // `[MASKED]`, `[FILTERED]`
    let is_masked = inside.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    if is_masked || memchr::memmem::find(inside, b"[REDACTED").is_some() {
        return None;
    }
    let quotes = || inside.iter().enumerate().filter(|(_, byte)| b"\"'".contains(byte));
    let (Some((first, _)), Some((last, _))) = (quotes().next(), quotes().next_back()) else {
        // The values of a map of Go have no quotes.
        let is_type = rest[1 + end..].starts_with(b"]::");
        let is_part = |byte: &u8| byte.is_ascii_graphic() && !b"[{".contains(byte);
        let is_word = !is_type && inside.iter().all(is_part);
        return is_word.then_some((at + 1..at + 1 + end, Certainty::Likely));
    };
    let is_secret = |part: &[u8]| is_random_value(part) && !is_reference(part);
    let mut parts = inside.split(|byte| b"\"'\\".contains(byte));
    let is_one = first < last && parts.any(is_secret);
    let value = if close == b']' { first + 1..last } else { 0..end };
    is_one.then_some((at + 1 + value.start..at + 1 + value.end, Certainty::Sure))
}

/// Returns the value after a blank: `PASSWORD '…'` of SQL, `--token …`, `ENV API_TOKEN …`,
/// `login … password …`.
fn spaced_value(look: RuleText<'_>, name: &Range<usize>) -> Option<(Range<usize>, Certainty)> {
    let blanks = look.run_end(name.end, |byte| byte == b' ');
    if blanks == name.end || blanks > name.end + BLANKS_MAX {
        return None;
    }
    let (start, end) = argument_at(look, blanks)?;
    let text = &look.text[start..end];
    let is_quoted = start > blanks;
    let before = &look.text[look.edge.max(name.start.saturating_sub(64))..name.start];
    // The quote that opened the name ends it here.
    if is_quoted && before.last() == Some(&look.text[start - 1]) {
        return None;
    }
    let is_option =
        look.text[name.clone()].starts_with(b"--") || look.text[name.clone()].starts_with(b"-");
    let words = || before.split(u8::is_ascii_whitespace).rev().filter(|word| !word.is_empty());
    let names = |all: &[&[u8]], word: &[u8]| all.iter().any(|one| word.eq_ignore_ascii_case(one));
    let setters: [&[u8]; 7] = [b"env", b"arg", b"set", b"setx", b"setenv", b"export", b"put"];
    // The shell fish has options between: `set -gx NAME …`.
    let mut commands = words().take(4).skip_while(|word| word.starts_with(b"-"));
    let is_set = commands.next().is_some_and(|word| names(&setters, word))
        || words().take(3).any(|word| names(&[b"config", b"configure"], word));
    let is_login = words().take(4).any(|word| names(&[b"login"], word));
    // In prose a word follows, and another parameter in a list of them.
    let is_word = text.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-.,:;)".contains(byte));
    let is_parameter = text.contains(&b'=') && !is_random_end(text);
    let certainty = match () {
        () if text.starts_with(b"-") && !is_quoted && !is_mixed_random(text)
            || !is_quoted && (is_word && !is_random_value(text) || is_parameter) =>
        {
            return None;
        }
        () if is_quoted || is_login => Certainty::Likely,
        () if is_option || is_set => Certainty::Likely,
        // More blanks are between columns.
        () if blanks > name.end + 1 || text.contains(&b':') || is_parameter => return None,
        () => Certainty::Doubtful,
    };
    Some((start..end, certainty))
}

/// Returns whether the equals signs of a value are the padding of base64.
fn is_random_end(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    padding <= 2 && !text[..text.len() - padding].contains(&b'=')
}

/// Returns the part of a text that is read from a place on.
fn window_from(look: RuleText<'_>, at: usize) -> &[u8] {
    let rest = look.rest_from(at);
    &rest[..rest.len().min(WINDOW_BYTES)]
}

#[cfg(test)]
mod tests;
