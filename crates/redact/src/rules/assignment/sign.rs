//! Reads what is between a name and its value: a sign, a type, the brackets and quotes of the value.

use super::value::quoted_value_end;
use super::{AssignedName, is_blank_beside_sign};
use crate::looks::{is_random_value, is_text_type};
use crate::rules::RuleText;
use crate::steps::count_steps;

/// What is between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssignmentSign {
    /// A sign of assignment without a blank beside it.
    Close,
    /// A sign with blanks beside it, or a word for it.
    Apart,
    /// A comma, or a sign before the value that is used if the name has none: `||`.
    Comma,
    /// The bracket of a call: `setPassword("…")`.
    Call,
}

/// The place of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValuePlace {
    pub(super) sign: AssignmentSign,
    pub(super) start: usize,
    pub(super) quote: Option<u8>,
}

/// Blanks on one side of the sign. Tables and configurations are aligned by them.
const BLANKS_MAX: usize = 256;
const ESCAPES_MAX: usize = 7;

/// What a sign demands of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Nothing,
    /// Nothing, and a type may be before the value.
    MayHaveType,
    /// Quotes, because code has the sign for other uses.
    Quotes,
    /// The same. The value is one of several that are judged more strictly.
    Alternative,
    /// It is not a sign of assignment.
    Never,
}

/// Signs, each before those that are its beginning.
const SIGNS: [(&[u8], Demand); 23] = [
    ("→".as_bytes(), Demand::Nothing),
    (b"::=", Demand::Nothing),
    (b":: ", Demand::Quotes),
    (b"::", Demand::Never),
    (b":=", Demand::Nothing),
    (b":-", Demand::Nothing),
    (b":", Demand::MayHaveType),
    (b"===", Demand::Nothing),
    (b"=>", Demand::Nothing),
    (b"==", Demand::Nothing),
    (b"=", Demand::Nothing),
    (b"!==", Demand::Quotes),
    (b"!=", Demand::Quotes),
    (b"?:", Demand::Alternative),
    (b"??=", Demand::Quotes),
    (b"??", Demand::Alternative),
    (b"?=", Demand::Nothing),
    (b"||=", Demand::Quotes),
    (b"||", Demand::Alternative),
    (b"+=", Demand::Quotes),
    (b".=", Demand::Quotes),
    (b"->", Demand::Quotes),
    (b"<-", Demand::Quotes),
];

/// Returns the place of the value after a name.
pub(super) fn value_after_name(look: RuleText<'_>, name: &AssignedName<'_>) -> Option<ValuePlace> {
    let closing = closing_end(look, name.end);
    let at = emphasis_end(look, array_end(look, closing.unwrap_or(name.end)));
    // The bracket of a nested parameter: `user%5Bpassword%5D=…`.
    let is_nested = name.is_parameter && look.rest_from(at).starts_with(b"%5D");
    let at = at + if is_nested { b"%5D".len() } else { 0 };
    let place = blanks_end(look, at);
    let typed = bracketed_type_end(look, place).map(|end| blanks_end(look, end));
    let place = typed.filter(|&end| sign_at(look, end).is_some()).unwrap_or(place);
    let is_bare = closing.is_none();
    match (sign_at(look, place), look.byte_at(place)?) {
        (Some((_, Demand::Never)), _) => None,
        (Some((length, demand)), _) => {
            let value = assigned_value_place(look, place + length, demand)?;
            let is_apart = value.sign == AssignmentSign::Close && is_bare && place > at;
            Some(if is_apart { ValuePlace { sign: AssignmentSign::Apart, ..value } } else { value })
        }
        (None, b'(') if is_bare && place == at => call_value(look, name, place),
        // In a tuple of Erlang too: `{password, "…"}`.
        (None, b',' | b';') if !is_bare || look.byte_before(name.start) == Some(b'{') => {
            assigned_value_place(look, place + 1, Demand::Alternative)
        }
        (None, _) if place > at => {
            word_sign_value(look, place, &look.text[look.edge..name.start], is_bare)
        }
        _ => None,
    }
}

/// Returns the place of the value after a sign that ends at `behind`.
fn assigned_value_place(look: RuleText<'_>, behind: usize, demand: Demand) -> Option<ValuePlace> {
    let behind = match emphasis_end(look, behind) {
        end if look.byte_at(end) == Some(b' ') => end,
        _ => behind,
    };
    let declared =
        if demand == Demand::MayHaveType { declared_value_start(look, behind) } else { None };
    let value = declared.unwrap_or_else(|| {
        let value = blanks_end(look, behind);
        let may_be_node = demand == Demand::MayHaveType && value > behind;
        if may_be_node { node_content_start(look, value) } else { value }
    });
    let sign = match demand {
        Demand::Alternative => AssignmentSign::Comma,
        _ if value > behind => AssignmentSign::Apart,
        _ => AssignmentSign::Close,
    };
    let code = b"<code>";
    let value = value + if look.rest_from(value).starts_with(code) { code.len() } else { 0 };
    // Quotes of typography have no escapes.
    let curly = ["“", "‘", "„", "«"]
        .iter()
        .find(|quote| look.rest_from(value).starts_with(quote.as_bytes()));
    if let Some(quote) = curly {
        return Some(ValuePlace { sign, start: value + quote.len(), quote: None });
    }
    match quoted_value_start(look, value) {
        Some((start, quote)) => Some(ValuePlace { sign, start, quote: Some(quote) }),
        None if matches!(demand, Demand::Nothing | Demand::MayHaveType) => {
            Some(ValuePlace { sign, start: value, quote: None })
        }
        None => None,
    }
}

/// Passes what YAML has before the content of a node: a tag of a type, an anchor. The content may have
/// become a placeholder, before which the text ends.
fn node_content_start(look: RuleText<'_>, start: usize) -> usize {
    const PROPERTIES_MAX: usize = 2;
    /// Code has these words after the same sign.
    const REFERENCES: [&[u8]; 3] = [b"&mut", b"&dyn", b"&raw"];
    let mut at = start;
    for _ in 0..PROPERTIES_MAX {
        if !matches!(look.byte_at(at), Some(b'!' | b'&')) {
            break;
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!&_-".contains(&byte);
        let end = look.run_end(at, is_part).min(at + super::NAME_BYTES_MAX);
        let property = &look.text[at..end];
        let is_property = property.starts_with(b"!!")
            || property == b"!unsafe"
            || property.len() > 1 && property[0] == b'&' && !REFERENCES.contains(&property);
        let next = blanks_end(look, end);
        let is_last = next == end || matches!(look.byte_at(next), Some(b'\r' | b'\n'));
        if !is_property || is_last {
            break;
        }
        at = next;
    }
    at
}

/// Passes blanks, also those that do not break a line, and the colours of a terminal.
fn blanks_end(look: RuleText<'_>, at: usize) -> usize {
    let mut end = look.run_end(at, is_blank_beside_sign).min(at + BLANKS_MAX);
    while let Some(length) =
        colour_or_blank_length(look.rest_from(end)).filter(|_| end < at + BLANKS_MAX)
    {
        end = look.run_end(end + length, is_blank_beside_sign).min(at + BLANKS_MAX);
    }
    end
}

/// Returns the length of the colour of a terminal or of a blank beyond ASCII that begins a text.
#[inline]
fn colour_or_blank_length(text: &[u8]) -> Option<usize> {
    const COLOUR_BYTES_MAX: usize = 16;
    match text {
        [0x1B, b'[', rest @ ..] => {
            let part = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
            let length = rest.iter().take(COLOUR_BYTES_MAX).take_while(part).count();
            (rest.get(length) == Some(&b'm')).then_some(length + 3)
        }
        [0xC2, 0xA0 | 0xAB, ..] => Some(2),
        // The opening quotes of prose.
        [0xE2, 0x80, 0x9C | 0x98 | 0x9E, ..] => Some(3),
        _ => None,
    }
}

/// Passes what ends bold text after a name or a sign: `**Password**:`, `<b>Password:</b>`.
fn emphasis_end(look: RuleText<'_>, at: usize) -> usize {
    const MARKS: [&[u8]; 9] = [
        b"**",
        b"__",
        b"</b>",
        b"</strong>",
        b"</em>",
        b"</code>",
        "\u{201d}".as_bytes(),
        "\u{2019}".as_bytes(),
        "\u{bb}".as_bytes(),
    ];
    let rest = look.rest_from(at);
    at + MARKS.iter().find(|mark| rest.starts_with(mark)).map_or(0, |mark| mark.len())
}

/// Returns the sign at a place, as its length.
fn sign_at(look: RuleText<'_>, at: usize) -> Option<(usize, Demand)> {
    let rest = look.rest_from(at);
    // A type may be optional: `apiKey?: string`.
    let is_optional =
        matches!(rest, [b'?' | b'!', b':', b' ', next, ..] if !b"\"'`".contains(next));
    let skipped = usize::from(is_optional);
    let (sign, demand) = SIGNS.iter().find(|(sign, _)| rest[skipped..].starts_with(sign))?;
    Some((skipped + sign.len(), *demand))
}

/// Returns the end of the name's own closing quote, and of a bracket after it. The key of a hash of Perl
/// has only the bracket.
fn closing_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    if look.rest_from(at).starts_with(b"} = ") {
        return Some(at + 1);
    }
    let (behind, _) = quote_at(look, at)?;
    let bracket = matches!(look.byte_at(behind), Some(b']' | b')' | b'}'));
    Some(behind + usize::from(bracket))
}

/// Returns the end of the size of an array: `password[32]`.
fn array_end(look: RuleText<'_>, at: usize) -> usize {
    const SIZE_BYTES_MAX: usize = 6;
    let digits = look.rest_from(at).strip_prefix(b"[").unwrap_or_default();
    let length =
        digits.iter().take(SIZE_BYTES_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    if digits.get(length) == Some(&b']') { at + length + 2 } else { at }
}

/// Returns the end of an opening or closing quote and the escapes before it, and the quote.
fn quote_at(look: RuleText<'_>, at: usize) -> Option<(usize, u8)> {
    let quote = look.run_end(at, |byte| byte == b'\\').min(at + ESCAPES_MAX);
    let byte = look.byte_at(quote).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    Some((quote + 1, byte))
}

/// Returns the beginning of a quoted value, and its quote. A letter may be before the quote, as in
/// `b"…"` or `@"…"`, or a bracket or a constructor, as in `['…']` or `Some("…")`.
fn quoted_value_start(look: RuleText<'_>, at: usize) -> Option<(usize, u8)> {
    const TRIPLE: usize = 2;
    let prefix = look.byte_at(at).filter(|byte| b"bruf@NL'$".contains(byte));
    let inner = prefix.and_then(|prefix| quote_at(look, at + 1).filter(|inner| inner.1 != prefix));
    let inner = inner.filter(|&(from, quote)| quoted_value_end(look, from, quote).is_some());
    let Some((start, quote)) = inner.or_else(|| quote_at(look, at)) else {
        let (start, quote) = wrapped_quote(look, at)?;
        return quoted_value_end(look, start, quote).is_some().then_some((start, quote));
    };
    let is_triple = look.rest_from(start).starts_with(&[quote; TRIPLE]);
    Some((start + if is_triple { TRIPLE } else { 0 }, quote))
}

/// Returns the end of an opening quote in what constructs the value, and the quote:
/// `sensitive(tostring("…"))`, `tolist(["…"])`. After the bracket of a call the line may end.
fn wrapped_quote(look: RuleText<'_>, at: usize) -> Option<(usize, u8)> {
    const WRAPPERS_MAX: usize = 3;
    let (mut at, mut is_call) = (at, false);
    for _ in 0..WRAPPERS_MAX {
        let inside = wrapper_end(look, at)?;
        is_call |= look.byte_before(inside) == Some(b'(');
        at = match is_call {
            true => {
                look.run_end(inside, |byte| byte.is_ascii_whitespace()).min(inside + BLANKS_MAX)
            }
            false => blanks_end(look, inside),
        };
        let quote = quote_at(look, at);
        if quote.is_some() || !is_call {
            return quote;
        }
    }
    None
}

/// Returns the end of a type in brackets after a name: `password (sensitive string): …`.
fn bracketed_type_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    const TYPE_BYTES_MAX: usize = 40;
    let [b'(', rest @ ..] = look.rest_from(at) else { return None };
    let is_part = |byte: &&u8| byte.is_ascii_alphabetic() || b" ,_".contains(byte);
    let length = rest.iter().take(TYPE_BYTES_MAX).take_while(is_part).count();
    count_steps(length + 1);
    let mut words =
        rest[..length].split(|byte| b" ,".contains(byte)).filter(|word| !word.is_empty());
    let is_word = |word| is_text_type(word) || matches!(word, b"required" | b"optional");
    let is_type = length > 0 && rest.get(length) == Some(&b')') && words.all(is_word);
    is_type.then_some(at + length + 2)
}

/// Returns the end of the bracket before a quoted value, and of what constructs a value from it.
fn wrapper_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    const WRAPPER_BYTES_MAX: usize = 40;
    const WRAPPERS: [&[u8]; 20] = [
        b"Some",
        b"Just",
        b"Ok",
        b"Secret",
        b"SecretStr",
        b"SecretString",
        b"SecureString",
        b"String",
        b"string",
        b"str",
        b"byte",
        b"from",
        b"new",
        b"sensitive",
        b"nonsensitive",
        b"tostring",
        b"tolist",
        b"toset",
        b"jsonencode",
        b"base64encode",
    ];
    if look.byte_at(at) == Some(b'[') && look.byte_at(at + 1) != Some(b']') {
        let is_placeholder = look.rest_from(at).starts_with(b"[REDACTED");
        return (!is_placeholder).then_some(at + 1);
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.[]".contains(&byte);
    let part = look.rest_from(at).iter().take(WRAPPER_BYTES_MAX + 1);
    let end = at + part.take_while(|byte| is_part(**byte)).count();
    count_steps(end - at + 1);
    let name = &look.text[at..end];
    let is_list = look.byte_at(end) == Some(b'{') && name.starts_with(b"[]");
    if !is_list && look.byte_at(end) != Some(b'(') || end - at > WRAPPER_BYTES_MAX {
        return None;
    }
    let last = name.rsplit(|byte| b":.]".contains(byte)).next().unwrap_or(name);
    WRAPPERS.contains(&last).then_some(end + 1)
}

/// Returns the beginning of the value after a type: `: string = "…"`. The type begins at `at`, after
/// blanks. If the value has no quotes, this is no declaration.
fn declared_value_start(look: RuleText<'_>, at: usize) -> Option<usize> {
    const TYPE_BYTES_MAX: usize = 48;
    let start = blanks_end(look, at);
    let first = look.byte_at(start)?;
    if !first.is_ascii_alphabetic() && !b"&*[".contains(&first) {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b" _.:&'<>[]|?*,".contains(byte);
    let length = look.rest_from(start).iter().take(TYPE_BYTES_MAX).take_while(is_part).count();
    value_start_after_type(look, start, start + length)
}

/// Returns the beginning of a quoted value after a type, an equals sign and blanks. A placeholder is
/// not a type.
fn value_start_after_type(look: RuleText<'_>, start: usize, equals: usize) -> Option<usize> {
    let is_sign = look.byte_at(equals) == Some(b'=') && look.byte_at(equals + 1) != Some(b'=');
    let value = blanks_end(look, equals + 1);
    // A secret may end with an equals sign before the quote that closes it.
    let name = &look.text[start..equals];
    let is_type = !name.windows(9).any(|nine| nine == b"[REDACTED") && !is_random_value(name);
    let is_value = || {
        quoted_value_start(look, value).is_some()
            || is_text_type(name.trim_ascii_end())
                && look.byte_at(value).is_some_and(|byte| byte.is_ascii_graphic())
    };
    (is_sign && is_type && is_value()).then_some(value)
}

/// Returns the value after a word instead of a sign: `password is "…"`, `token or "…"`; after a
/// type, as in Go: `var apiToken string = "…"`; or after nothing: `#define API_KEY "…"`.
fn word_sign_value(
    look: RuleText<'_>,
    at: usize,
    before: &[u8],
    is_bare: bool,
) -> Option<ValuePlace> {
    const TYPES: [&[u8]; 8] =
        [b"string", b"*string", b"String", b"[]byte", b"text", b"str", b"As String", b"as string"];
    let rest = look.rest_from(at);
    let is_macro = is_bare && before.ends_with(b"#define ");
    let (value, sign) = match rest {
        _ if is_macro => (at, AssignmentSign::Apart),
        [b'i', b's', b' ', ..] => (at + 3, AssignmentSign::Apart),
        [b'o', b'r', b' ', ..] => (at + 3, AssignmentSign::Comma),
        _ => {
            let type_name = TYPES.iter().find(|one| is_bare && rest.starts_with(one));
            let length = type_name.map(|one| one.len()).or_else(|| sized_type_length(rest))?;
            let equals = blanks_end(look, at + length);
            let equals = equals + usize::from(look.byte_at(equals) == Some(b':'));
            (value_start_after_type(look, at, equals)?, AssignmentSign::Apart)
        }
    };
    let (start, quote) = quoted_value_start(look, blanks_end(look, value))?;
    Some(ValuePlace { sign, start, quote: Some(quote) })
}

/// Returns the length of a type of SQL with its size: `VARCHAR2(64)`.
fn sized_type_length(text: &[u8]) -> Option<usize> {
    const TYPE_BYTES_MAX: usize = 24;
    let text = &text[..text.len().min(TYPE_BYTES_MAX)];
    let open = text.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let size = text[open..].strip_prefix(b"(")?;
    let length = size.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    (open > 0 && size[length] == b')').then_some(open + length + 2)
}

/// Returns the only argument of a call of a method that sets a secret, at whose bracket `at` is.
fn call_value(look: RuleText<'_>, name: &AssignedName<'_>, at: usize) -> Option<ValuePlace> {
    /// Verbs of functions whose argument is a name, or whatever it is, no secret to be set.
    const GETTERS: [&[u8]; 26] = [
        b"get",
        b"fetch",
        b"find",
        b"read",
        b"load",
        b"lookup",
        b"has",
        b"is",
        b"can",
        b"check",
        b"verify",
        b"validate",
        b"parse",
        b"delete",
        b"remove",
        b"reset",
        b"revoke",
        b"create",
        b"generate",
        b"make",
        b"new",
        b"require",
        b"expect",
        b"test",
        b"list",
        b"by",
    ];
    let method = name.text.rsplit(|byte| *byte == b'.').next().unwrap_or(name.text);
    let verb = method
        .iter()
        .enumerate()
        .skip(1)
        .position(|(_, byte)| byte.is_ascii_uppercase() || *byte == b'_')
        .map_or(method, |length| &method[..length + 1]);
    if GETTERS.iter().any(|getter| verb.eq_ignore_ascii_case(getter)) {
        return None;
    }
    let (start, quote) = quote_at(look, blanks_end(look, at + 1))?;
    let end = quoted_value_end(look, start, quote)?;
    let (closing, _) = quote_at(look, end)?;
    (look.byte_at(closing) == Some(b')')).then_some(ValuePlace {
        sign: AssignmentSign::Call,
        start,
        quote: Some(quote),
    })
}
