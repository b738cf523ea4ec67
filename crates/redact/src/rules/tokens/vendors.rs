//! Tokens that begin with the name of a vendor in small letters and a separator: `acme_…`,
//! `acme-live-…`.
//!
//! The table has the vendors whose tokens are known. A general rule finds tokens of other vendors. It
//! asks for 20 random characters, and stays away from ids that services use in the open.

use super::super::randomness::{is_random_string, is_random_word};
use super::super::{RuleText, is_base64url_byte, match_if_nonempty, spelled_escape_length};
use super::table::VENDORS;
use crate::{Kind, Match};

/// The bytes of a word that are read before the trigger.
const BEFORE_BYTES_MAX: usize = 64;
/// The longest prefix of the table.
const PREFIX_BYTES_MAX: usize = 24;
/// The shortest random part of a token whose vendor is not known, and the longest.
const BODY_BYTES_MIN: usize = 20;
const BODY_BYTES_MAX: usize = 256;

/// Returns the token of a vendor in whose word the trigger is.
pub(crate) fn vendor_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = vendor_word_start(look, at)?;
    // Every prefix begins with a letter, and many ids with a digit.
    look.byte_at(start).filter(u8::is_ascii_alphabetic)?;
    let head = look.rest_from(start);
    let head = &head[..head.len().min(PREFIX_BYTES_MAX)];
    let first = first_two(head)?;
    let rows = &VENDORS[VENDORS.partition_point(|row| first_two(row.prefix) < Some(first))..];
    let rows = rows.iter().take_while(|row| first_two(row.prefix) == Some(first));
    let listed = rows.filter(|row| head.starts_with(row.prefix)).filter_map(|row| {
        let end = row.body_end(look, start + row.prefix.len())?;
        match_if_nonempty(row.kind, start, end)
    });
    listed.last().or_else(|| unlisted_token_at(look, start))
}

/// Returns the first two bytes as a number.
fn first_two(text: &[u8]) -> Option<u16> {
    text.first_chunk().map(|first| u16::from_be_bytes(*first))
}

/// Returns the beginning of the word around a trigger, if it is near. In text that spells line ends
/// as `\n` or `%0A`, the letters of the escape are not part of the word.
fn vendor_word_start(look: RuleText<'_>, at: usize) -> Option<usize> {
    let start = look.run_start(at, BEFORE_BYTES_MAX, is_base64url_byte);
    match look.byte_before(start) {
        Some(before) if is_base64url_byte(before) => None,
        Some(b'\\' | b'%') => {
            let escape = look.text[start - 1..].first_chunk().and_then(spelled_escape_length);
            Some(start + escape.map_or(0, |length| length - 1))
        }
        _ => Some(start),
    }
}

/// Returns the word from `start` on if it is a prefix in small letters and random characters.
fn unlisted_token_at(look: RuleText<'_>, start: usize) -> Option<Match> {
    // What is part of a path, a name or an address is found in the open.
    if look.byte_before(start).is_some_and(|byte| b"/.#$@%&".contains(&byte)) {
        return None;
    }
    let window = &look.rest_from(start)[..look.rest_from(start).len().min(BODY_BYTES_MAX + 64)];
    let length = window.iter().take_while(|&&byte| is_base64url_byte(byte)).count();
    let (word, rest) = window.split_at(length);
    if is_clickup_token(word) {
        return match_if_nonempty(Kind::ApiToken, start, start + length);
    }
    let (vendor, body) = unlisted_token_parts(word)?;
    // The name of a file, a call, or an address.
    let goes_on = match rest {
        [b'.', next, ..] => next.is_ascii_alphanumeric(),
        [b'(' | b'@' | b'/', ..] => true,
        _ => false,
    };
    let is_one = (BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&body.len())
        && !goes_on
        && OPEN_IDS.binary_search(&vendor).is_err()
        && (is_random_string(body) || word.starts_with(b"sk-") && is_random_word(body));
    is_one.then(|| match_if_nonempty(Kind::ApiToken, start, start + word.len()))?
}

/// Returns whether a word is `pk_`, a number, `_` and 32 capitals and digits. Other keys with `pk_` are
/// public.
fn is_clickup_token(word: &[u8]) -> bool {
    word.strip_prefix(b"pk_").is_some_and(|rest| {
        let number = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let body = rest[number..].strip_prefix(b"_").unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        number > 0 && body.len() == 32 && body.iter().all(is_part)
    })
}

/// Returns the prefix of a vendor, and what follows it and the words that describe the token, such as `live`
/// and `v1`.
fn unlisted_token_parts(word: &[u8]) -> Option<(&[u8], &[u8])> {
    const TAGS_MAX: usize = 3;
    let cut = |text: &'_ [u8]| text.iter().position(|byte| matches!(byte, b'_' | b'-'));
    let vendor = &word[..cut(word)?];
    let is_vendor = (2..=12).contains(&vendor.len())
        && vendor[0].is_ascii_lowercase()
        && vendor.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let mut body = is_vendor.then(|| &word[vendor.len() + 1..])?;
    for _ in 0..TAGS_MAX {
        let Some(tag) = cut(body).filter(|&end| is_token_tag(&body[..end])) else { break };
        body = &body[tag + 1..];
    }
    Some((vendor, body))
}

/// Returns whether a part of a token describes it: a word, a version or a short number.
fn is_token_tag(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let digits = part.len() - letters;
    letters <= 10 && digits <= 2 && part[letters..].iter().all(u8::is_ascii_digit)
}

/// What ids begin with that services use in the open, and names of files, classes and hashes. Sorted.
#[rustfmt::skip]
static OPEN_IDS: [&[u8]; 247] = [
    b"account", b"acct", b"acl", b"agent", b"ami", b"ap", b"apikey", b"app", b"aria", b"asset", b"asst",
    b"attachment", b"audio", b"ba", b"batch", b"blob", b"block", b"boundary", b"bpc", b"bps", b"branch",
    b"bugfix", b"build", b"cache", b"call", b"card", b"cat", b"cbtxn", b"ch", b"channel", b"charge", b"chat",
    b"chatcmpl", b"chunk", b"ci", b"class", b"client", b"cluster", b"cmpl", b"comment", b"commit", b"contact",
    b"container", b"conv", b"conversation", b"cookie", b"cs", b"css", b"ctx", b"cur", b"cus", b"customer",
    b"dash", b"data", b"dataset", b"db", b"deal", b"deployment", b"dispute", b"doc", b"document", b"dpl",
    b"eipalloc", b"embedding", b"eni", b"ent", b"entity", b"env", b"etag", b"eval", b"evalrun", b"event",
    b"evt", b"execution", b"fc", b"feat", b"feature", b"file", b"fn", b"folder", b"font", b"form", b"fp",
    b"ft", b"ftjob", b"function", b"gen", b"gid", b"group", b"grp", b"hash", b"hook", b"hotfix", b"icfg",
    b"icon", b"id", b"idn", b"igw", b"ii", b"il", b"image", b"img", b"in", b"index", b"input", b"instance",
    b"inv", b"invite", b"invoice", b"isub", b"item", b"iv", b"job", b"lead", b"link", b"location", b"lst",
    b"lt", b"main", b"mandate", b"mcp", b"mcpl", b"mcpr", b"md5", b"mem", b"member", b"memory", b"message",
    b"model", b"modr", b"msg", b"msgbatch", b"node", b"nonce", b"note", b"obj", b"object", b"order", b"org",
    b"output", b"page", b"pages", b"payment", b"payout", b"phc", b"pi", b"pk", b"plan", b"plink", b"pm",
    b"pmpt", b"po", b"policy", b"post", b"price", b"prj", b"prod", b"product", b"proj", b"project", b"promo",
    b"pub", b"publishable", b"py", b"query", b"record", b"refund", b"release", b"report", b"req", b"request",
    b"resp", b"response", b"result", b"rev", b"role", b"rollout", b"row", b"rs", b"rtb", b"rtc", b"rule",
    b"run", b"sc", b"search", b"sesn", b"sess", b"session", b"setatt", b"seti", b"sg", b"sha1", b"sha256",
    b"sha384", b"sha512", b"shipment", b"si", b"skill", b"snap", b"span", b"src", b"srn", b"srvtoolu",
    b"static", b"step", b"style", b"sub", b"subnet", b"tag", b"task", b"team", b"theme", b"thr", b"thread",
    b"ticket", b"tok", b"tool", b"toolu", b"tooluse", b"topic", b"topup", b"tr", b"trace", b"transfer",
    b"trr", b"turn", b"tx", b"txn", b"u", b"uid", b"upload", b"urn", b"user", b"usr", b"vector", b"version",
    b"vid", b"video", b"vol", b"vpc", b"vs", b"vsf", b"wamid", b"workflow", b"workspace", b"wrkspc", b"ws",
];

/// Returns the prefixes of ids that stay, for the documentation.
#[cfg(test)]
pub(crate) fn documented_open_ids() -> impl Iterator<Item = &'static str> {
    OPEN_IDS.iter().map(|id| str::from_utf8(id).expect("an id is text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(OPEN_IDS.is_sorted(), "the ids in the open");
        let prefixes: Vec<_> = VENDORS.iter().map(|row| row.prefix).collect();
        assert!(prefixes.iter().all(|prefix| prefix[0].is_ascii_alphabetic()), "letters");
        assert!(prefixes.is_sorted(), "the vendors");
        for prefix in prefixes {
            let is_one = prefix.len() <= PREFIX_BYTES_MAX
                && matches!(prefix, [.., last, b'_' | b'-'] if last.is_ascii_alphanumeric());
            assert!(is_one, "{}", prefix.escape_ascii());
        }
    }
}
