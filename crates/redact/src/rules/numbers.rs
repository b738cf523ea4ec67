//! Bank accounts and social security numbers.

use super::{RuleText, match_if_nonempty};
use crate::{Kind, Match};

/// The lengths of the IBANs of each country, from the registry of SWIFT (ISO 13616).
const COUNTRIES: &[u8] = b"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27\
DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30\
KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29\
RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// The countries whose account numbers have no letters, by the same registry. An id in hexadecimal
/// digits begins with some of their codes.
const WITHOUT_LETTERS: &[u8] =
    b"AEATBABEBICRCZDEDJDKEEEGESFIFOGLHRHUILISLTLYMEMNMRNOPLPTRSSDSESISKSOSTTL\
TNVAXK";

/// The code of a country, which two digits follow.
#[rustfmt::skip]
pub(super) const IBAN: [[&[u8]; 2]; 24] = [
    [b"aA", b"dDeEtTlLzZ"],
    [b"bB", b"aAeEgGhHiIrRyY"],
    [b"cC", b"hHrRyYzZ"],
    [b"dD", b"eEjJkKoO"],
    [b"eE", b"eEgGsS"],
    [b"fF", b"iIkKoOrR"],
    [b"gG", b"bBeEiIlLrRtT"],
    [b"hH", b"nNrRuU"],
    [b"iI", b"eElLqQrRsStT"],
    [b"jJ", b"oO"],
    [b"kK", b"wWzZ"],
    [b"lL", b"bBcCiItTuUvVyY"],
    [b"mM", b"cCdDeEkKnNrRtTuU"],
    [b"nN", b"iIlLoO"],
    [b"oO", b"mM"],
    [b"pP", b"kKlLsStT"],
    [b"qQ", b"aA"],
    [b"rR", b"oOsSuU"],
    [b"sS", b"aAcCdDeEiIkKmMoOtTvV"],
    [b"tT", b"lLnNrR"],
    [b"uU", b"aA"],
    [b"vV", b"aAgG"],
    [b"xX", b"kK"],
    [b"yY", b"eE"],
];

/// Returns an IBAN in either case. It is one word, or groups with single spaces, or groups of four
/// with hyphens. A UUID has other groups.
pub(super) fn iban_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let upper = |at: usize| look.byte_at(at).map(|byte| byte.to_ascii_uppercase());
    let country = [upper(at)?, upper(at + 1)?];
    if look.byte_before(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let mut lengths = COUNTRIES.chunks_exact(4);
    let length = lengths.find(|entry| entry[..2] == country)?;
    let length = usize::from(length[2] - b'0') * 10 + usize::from(length[3] - b'0');
    let mut text = [0; 34];
    let (mut count, mut end, mut hyphens) = (0, at, 0);
    while count < length {
        match upper(end)? {
            byte @ (b'A'..=b'Z' | b'0'..=b'9') => {
                text[count] = byte;
                count += 1;
            }
            b' ' if count >= 4 && look.byte_at(end - 1) != Some(b' ') => {}
            b'-' if count % 4 == 0 && hyphens == count / 4 - 1 => hyphens += 1,
            _ => return None,
        }
        end += 1;
    }
    if hyphens > 0 && hyphens != (length - 1) / 4 {
        return None;
    }
    let next = look.byte_at(end);
    let is_bounded = !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let has_letters = text[4..length].iter().any(u8::is_ascii_uppercase);
    if has_letters && WITHOUT_LETTERS.chunks_exact(2).any(|code| code == country) {
        return None;
    }
    (is_bounded && iban_modulo_97(&text[..length]) == 1)
        .then(|| match_if_nonempty(Kind::Iban, at, end))?
}

/// Computes the check of ISO 7064, MOD 97-10. The first four characters go last, and letters count
/// from 10.
fn iban_modulo_97(text: &[u8]) -> u32 {
    text[4..].iter().chain(&text[..4]).fold(0, |rest, &byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

/// Returns a United States social security number: three, two and four digits with the same
/// separator. Numbers that are never issued do not match.
pub(super) fn us_ssn_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text: &[u8; 11] = look.rest_from(at).first_chunk()?;
    let separator = text[3];
    let has_form = text.iter().enumerate().all(|(i, byte)| match i {
        3 | 6 => *byte == separator,
        _ => byte.is_ascii_digit(),
    });
    if !has_form || !(separator == b'-' || separator == b' ') {
        return None;
    }
    let joins = |beside: Option<u8>, beyond: Option<u8>| match beside {
        Some(b'-' | b'.' | b'/' | b'+') => beyond.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        Some(b' ') => separator == b' ' && beyond.is_some_and(|byte| byte.is_ascii_digit()),
        beside => beside.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
    };
    let front = &look.text[look.edge..at];
    let beyond = front.len().checked_sub(2).map(|at| front[at]);
    let is_apart = !joins(front.last().copied(), beyond)
        && !joins(look.byte_at(at + 11), look.byte_at(at + 12));
    let (area, group, serial) = (&text[..3], &text[4..6], &text[7..]);
    let is_possible =
        area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000";
    (is_apart && is_possible).then(|| match_if_nonempty(Kind::UsSsn, at, at + 11))?
}
