//! Kinds that are found only if a builder was asked for them. Each is a guess that prefers to find
//! too much: version numbers pass for addresses, order numbers for telephone numbers, hashes for
//! secrets.

use std::net::Ipv6Addr;

use super::bytes::base64_digit;
use super::{Kind, Match};

/// Adds the matches of this kind.
pub(super) fn find_opt_in_kind(kind: Kind, text: &str, found: &mut Vec<Match>) {
    match kind {
        Kind::Phone => {
            find_opt_in_runs(text, is_phone_byte, phone_in_run, kind, found);
            // Numbers beside it would hide a number with a plus.
            let is_of_international = |byte| byte != b'+' && is_phone_byte(byte);
            for (plus, _) in text.match_indices('+') {
                let rest = &text.as_bytes()[plus + 1..];
                let length = rest.iter().take_while(|&&byte| is_of_international(byte)).count();
                add_opt_in_if_alone(
                    text,
                    plus,
                    phone_in_run(&text[plus..plus + 1 + length]),
                    kind,
                    found,
                );
            }
        }
        Kind::IpAddress => {
            find_opt_in_runs(
                text,
                |byte| byte.is_ascii_digit() || byte == b'.',
                ipv4_in_run,
                kind,
                found,
            );
            find_opt_in_runs(
                text,
                |byte| byte.is_ascii_hexdigit() || b":.".contains(&byte),
                ipv6_in_run,
                kind,
                found,
            );
        }
        Kind::CryptoWallet => {
            find_opt_in_runs(text, |byte| byte.is_ascii_alphanumeric(), wallet_in_run, kind, found);
        }
        Kind::HighEntropy => {
            find_opt_in_runs(text, is_base64_run_byte, high_entropy_in_run, kind, found)
        }
        _ => {}
    }
}

/// Asks every longest run of such bytes for a match inside it. The match is added if no other
/// letter or digit is beside it.
fn find_opt_in_runs(
    text: &str,
    is_of: impl Fn(u8) -> bool,
    ask: impl Fn(&str) -> Option<(usize, usize)>,
    kind: Kind,
    found: &mut Vec<Match>,
) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = match bytes[at..].iter().position(|&byte| is_of(byte)) {
            Some(ahead) => at + ahead,
            None => return,
        };
        let length = bytes[start..].iter().take_while(|&&byte| is_of(byte)).count();
        at = start + length;
        add_opt_in_if_alone(text, start, ask(&text[start..at]), kind, found);
    }
}

/// Adds the part after `start`, unless it is beside a letter or digit.
fn add_opt_in_if_alone(
    text: &str,
    start: usize,
    part: Option<(usize, usize)>,
    kind: Kind,
    found: &mut Vec<Match>,
) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let Some((from, to)) = part else { return };
    let (start, end, bytes) = (start + from, start + to, text.as_bytes());
    if !bytes[..start].last().is_some_and(is_word) && !bytes.get(end).is_some_and(is_word) {
        found.push(Match { start, end, kind });
    }
}

fn is_phone_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+()-. /".contains(&byte)
}

/// Finds a number of ITU-T E.164: a plus and 7 to 15 digits. If there is no plus, it finds the
/// North American 3-3-4, or a trunk prefix `0` and 9 to 11 digits in groups.
fn phone_in_run(run: &str) -> Option<(usize, usize)> {
    let start = run.find(|c: char| c.is_ascii_digit() || c == '+' || c == '(')?;
    let end = run.rfind(|c: char| c.is_ascii_digit())? + 1;
    let number = run.get(start..end)?;
    let groups: Vec<_> =
        number.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let digits: usize = groups.iter().map(|group| group.len()).sum();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    let is_phone = match number.as_bytes().first()? {
        b'+' => (7..=15).contains(&digits) && !number[1..].contains('+'),
        _ if number.contains('+') => false,
        _ if lengths == [3, 3, 4] => !groups[0].starts_with(['0', '1']),
        _ if lengths == [1, 3, 3, 4] => groups[0] == "1",
        _ => {
            let trunk = groups[0].starts_with('0') && groups.len() > 1;
            trunk && (9..=11).contains(&digits) && lengths.iter().all(|length| *length >= 2)
        }
    };
    is_phone.then_some((start, end))
}

/// Reports whether the whole text is a telephone number, as [`Kind::Phone`] finds it. Digits alone are none.
pub fn is_phone_number(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    // An id of digits is not split into groups, which would allocate.
    !is_number && text.bytes().all(is_phone_byte) && phone_in_run(text) == Some((0, text.len()))
}

/// Finds four numbers of a byte each, in the dotted form.
fn ipv4_in_run(run: &str) -> Option<(usize, usize)> {
    let dotted = run.trim_end_matches('.');
    let start = dotted.len() - dotted.trim_start_matches('.').len();
    let parts: Vec<_> = dotted[start..].split('.').collect();
    let is_byte = |part: &&str| part.len() <= 3 && part.parse::<u8>().is_ok();
    (parts.len() == 4 && parts.iter().all(is_byte)).then_some((start, dotted.len()))
}

/// Finds what the standard library reads as an address, if it has a digit: `a::b` is a path of
/// Rust.
fn ipv6_in_run(run: &str) -> Option<(usize, usize)> {
    // `ip:2001:db8::1`
    let start = usize::from(run.starts_with(':') && !run.starts_with("::"));
    let address = run[start..].trim_end_matches('.');
    let address = match address.strip_suffix(':') {
        Some(rest) if !rest.ends_with(':') => rest,
        _ => address,
    };
    let has_digit = address.bytes().any(|byte| byte.is_ascii_digit());
    (has_digit && address.matches(':').count() > 1 && address.parse::<Ipv6Addr>().is_ok())
        .then_some((start, start + address.len()))
}

/// Finds addresses of Bitcoin (base58 from `1` and `3`, bech32), Litecoin, Ethereum and Tron. Their
/// checksums are not verified.
fn wallet_in_run(run: &str) -> Option<(usize, usize)> {
    let is_base58 = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte))
            && text.bytes().any(|byte| byte.is_ascii_lowercase())
            && text.bytes().any(|byte| byte.is_ascii_uppercase())
            && text.bytes().any(|byte| byte.is_ascii_digit())
    };
    let is_bech32 = |text: &str| {
        let of = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        text.bytes().all(|byte| of(byte) && !b"1bio".contains(&byte))
    };
    let lower = run.to_ascii_lowercase();
    let bech32 = ["bc1", "ltc1", "tb1"].iter().find_map(|prefix| lower.strip_prefix(prefix));
    let is_wallet = match run.as_bytes() {
        [b'0', b'x', hex @ ..] => hex.len() == 40 && hex.iter().all(u8::is_ascii_hexdigit),
        [b'1' | b'3', ..] if (26..=35).contains(&run.len()) => is_base58(run),
        [b'T', ..] if run.len() == 34 => is_base58(run),
        _ => bech32.is_some_and(|data| (38..=59).contains(&data.len()) && is_bech32(data)),
    };
    is_wallet.then_some((0, run.len()))
}

fn is_base64_run_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// The shortest run that may be random, in bytes.
const RANDOM_BYTES: usize = 24;

/// Finds 24 characters or more of Shannon entropy over 4.2 bits, or 32 or more hexadecimal ones
/// over 3. They must have a digit and a letter, and letters of both cases if they are not
/// hexadecimal.
fn high_entropy_in_run(run: &str) -> Option<(usize, usize)> {
    let text = run.trim_end_matches('=');
    if text.len() < RANDOM_BYTES {
        return None;
    }
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase);
    let is_random = match is_hex {
        true => text.len() >= 32 && has(u8::is_ascii_digit) && shannon_entropy(text) > 3.0,
        false => is_mixed && has(u8::is_ascii_uppercase) && shannon_entropy(text) > 4.2,
    };
    is_random.then_some((0, run.len()))
}

/// Returns the bits per byte, by the bytes' own frequencies (Shannon).
fn shannon_entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let share = |count: &u32| f64::from(*count) / text.len() as f64;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// The least digits of base64 that are decoded.
const ENCODED_BYTES: usize = 16;

/// Adds encoded text whose decoded text would be redacted.
pub(super) fn find_encoded_secrets(
    text: &str,
    by_rules: &dyn Fn(&str) -> Option<Kind>,
    found: &mut Vec<Match>,
) {
    let kind = |decoded: Vec<u8>| by_rules(&String::from_utf8(decoded).ok()?);
    let mut add = |part: &str, decoded: Option<Vec<u8>>| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        if let Some(kind) = decoded.and_then(kind) {
            found.push(Match { start, end: start + part.len(), kind });
        }
    };
    for run in text.split(|c: char| !(c.is_ascii() && is_base64_run_byte(c as u8))) {
        add(run, decode_base64_run(run));
        // A `/`, `-` or `=` may be a digit, or it may separate two words.
        for part in run.split(['/', '-', '=']).filter(|part| part.len() < run.len()) {
            let padding =
                run[part.as_ptr() as usize - run.as_ptr() as usize + part.len()..].bytes();
            let padding = padding.take_while(|&byte| byte == b'=').take(2).count();
            let end = part.as_ptr() as usize - text.as_ptr() as usize + part.len() + padding;
            add(&text[end - part.len() - padding..end], decode_base64_run(part));
        }
    }
    let is_of_url = |c: char| c.is_ascii_alphanumeric() || "%-._~+!*'()@:;,/?=&$".contains(c);
    for run in text.split(|c: char| !is_of_url(c)) {
        // One value ends at the beginning of the next.
        for part in run.split(['&', '=', '?', '/', ';', ',']) {
            if part.contains('%') {
                add(part, decode_percent_part(part));
            }
        }
    }
}

/// Decodes base64 in either alphabet, padded or not.
fn decode_base64_run(run: &str) -> Option<Vec<u8>> {
    if run.len() < ENCODED_BYTES {
        return None;
    }
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for byte in run.trim_end_matches('=').bytes() {
        bits = bits << 6 | base64_digit(byte)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

fn decode_percent_part(part: &str) -> Option<Vec<u8>> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (hex(bytes.next())? * 16 + hex(bytes.next())?) as u8
            }
            byte => byte,
        });
    }
    Some(out)
}
