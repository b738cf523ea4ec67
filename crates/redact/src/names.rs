//! Classifies names of secrets: one table and one function for every carrier.
//!
//! The carriers are JSON keys, fields of structures, assignments in texts, headers, parameters in
//! URLs and environment variables. All of them ask [`classify_name`]. A name is read by its last words. Its
//! case and its separators do not matter: `apiKey`, `X-API-KEY`, `api.key` and `apikey` are the
//! same. Digits at its end do not matter either.

use NameClass::{Chosen, DoubtfulChosen, DoubtfulMade, Made, Plain};

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameClass {
    /// Nothing.
    Plain,
    /// A text may assign to it a secret that a machine made. In a structure its value is mostly
    /// something else: `next_token`.
    DoubtfulMade,
    /// The same, for a secret that somebody chose: `boarding_pass`.
    DoubtfulChosen,
    /// The value is a secret that a machine made.
    Made,
    /// The value is a secret that somebody chose.
    Chosen,
}

impl NameClass {
    /// Returns whether the value is a secret whatever it looks like.
    #[inline]
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Made | Self::Chosen)
    }

    /// Returns whether somebody chose the secret, so that it may be a word.
    pub(super) fn is_chosen(self) -> bool {
        matches!(self, Self::DoubtfulChosen | Self::Chosen)
    }
}

/// Names by their last three letters: their class, and what they have to end with.
type NameEndingGroup = (&'static [u8; 3], NameClass, &'static [&'static [u8]]);

/// The last letters of names that are sensitive whatever is before them. Most names end with none of
/// the three letters.
const ENDINGS: [NameEndingGroup; 20] = [
    (b"ord", Chosen, &[b"password"]),
    (b"rds", Chosen, &[b"passwords"]),
    (b"swd", Chosen, &[b"passwd"]),
    (b"pwd", Chosen, &[b"pwd"]),
    (b"ort", Chosen, &[b"passwort"]),
    (b"ode", Chosen, &[b"passcode"]),
    (b"ase", Chosen, &[b"passphrase"]),
    (b"ret", Made, &[b"secret"]),
    (b"ets", Made, &[b"secrets"]),
    (b"key", Made, &KEYS),
    (b"ial", Made, &[b"credential"]),
    (b"als", Made, &[b"credentials"]),
    (b"kie", Made, &[b"cookie"]),
    (b"ies", Made, &[b"cookies"]),
    (b"ion", Made, &[b"authorization", b"confirmation"]),
    (b"ash", Made, &[b"hash"]),
    (b"est", Made, &[b"digest"]),
    (b"lue", Made, &[b"value"]),
    (b"irm", Made, &[b"confirm"]),
    (b"ext", Made, &[b"text"]),
];
/// Words after a password that do not make it something else.
const AFTER_PASSWORDS: [&[u8]; 6] =
    [b"hash", b"digest", b"value", b"confirmation", b"confirm", b"text"];
/// The passwords that such a word may follow.
const PASSWORDS: [&[u8]; 5] = [b"password", b"passwd", b"pwd", b"passphrase", b"secret"];
/// Keys to a door, not to a map.
const KEYS: [&[u8]; 17] = [
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"secretkey",
    b"accountkey",
    b"encryptionkey",
    b"signingkey",
    b"authkey",
    b"masterkey",
    b"subscriptionkey",
    b"sessionkey",
    b"storagekey",
    b"servicekey",
    b"adminkey",
    b"hmackey",
    b"sshkey",
    b"sharedkey",
];
/// Words before `token` that make it a part of a text or a place in a list.
const NO_TOKENS: [&[u8]; 30] = [
    b"decoded",
    b"input",
    b"output",
    b"prompt",
    b"completion",
    b"total",
    b"cached",
    b"audio",
    b"reasoning",
    b"eot",
    b"max",
    b"min",
    b"next",
    b"page",
    b"continuation",
    b"eos",
    b"bos",
    b"pad",
    b"unk",
    b"sep",
    b"mask",
    b"cls",
    b"stop",
    b"start",
    b"end",
    b"per",
    b"first",
    b"last",
    b"special",
    b"image",
];
/// The same, if no separator is between the word and `token`: `subtoken`, but not `sub_token`.
const NO_TOKENS_IN_A_WORD: [&[u8]; 3] = [b"nextpage", b"sub", b"pre"];
/// Words before `tokens` that make them credentials.
const TOKENS: [&[u8]; 5] =
    [b"accesstokens", b"refreshtokens", b"authtokens", b"apitokens", b"sessiontokens"];
/// Words before `pass` that make it something other than a password.
const NO_PASSES: [&[u8]; 26] = [
    b"boarding",
    b"day",
    b"week",
    b"weekly",
    b"month",
    b"monthly",
    b"season",
    b"ski",
    b"lift",
    b"bus",
    b"rail",
    b"train",
    b"transit",
    b"travel",
    b"gate",
    b"hall",
    b"parking",
    b"free",
    b"low",
    b"high",
    b"band",
    b"first",
    b"second",
    b"single",
    b"tests",
    b"checks",
];

/// Parameters that sign a URL or are a key for it, with the sign after them.
pub(super) const URL_PARAMETERS: [&[u8]; 8] = [
    b"sig=",
    b"signature=",
    b"key=",
    b"x-amz-signature=",
    b"x-amz-security-token=",
    b"x-amz-credential=",
    b"x-goog-signature=",
    b"x-goog-credential=",
];

/// What the name of a header contains if the header carries a credential.
const HEADER_PARTS: [&str; 9] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "password",
    "credential",
    "signature",
    "api-key",
    "apikey",
];

/// Returns whether a header carries a credential, by its name in lower case: `set-cookie`,
/// `proxy-authorization`, `x-amz-security-token`.
pub fn is_sensitive_header(name: &str) -> bool {
    classify_name(name.as_bytes()) != Plain || HEADER_PARTS.iter().any(|part| name.contains(part))
}

/// Returns what a name says about its value.
#[inline]
pub(super) fn classify_name(name: &[u8]) -> NameClass {
    let last = name.iter().rposition(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    let name = last.map_or(&name[..0], |last| &name[..=last]);
    let Some(end) = name.last_chunk::<3>() else { return Plain };
    let end = end.map(|byte| byte.to_ascii_lowercase());
    // Every key is checked here, and most end otherwise.
    let class = match &end {
        b"ken" => classify_token_name(name),
        b"ens" if name_ends_with_any(name, &TOKENS) => Made,
        b"eys" if KEYS.iter().any(|key| name_ends_with(&name[..name.len() - 1], key)) => Made,
        b"ass" => classify_pass_name(name),
        b"cvv" | b"cvc" if name.len() == 3 || last_word_of_name(name).1.len() == 3 => Chosen,
        end => classify_name_by_ending(name, end),
    };
    if class == Plain || is_placeholder_name(name) { Plain } else { class }
}

#[inline]
fn classify_name_by_ending(name: &[u8], end: &[u8; 3]) -> NameClass {
    match ENDINGS.iter().find(|(last, ..)| *last == end) {
        Some((_, class, endings)) if name_ends_with_any(name, endings) => {
            let after = AFTER_PASSWORDS.iter().find(|word| name_ends_with(name, word));
            match after.is_some_and(|word| !name_follows_password(name, word.len())) {
                true => Plain,
                false => *class,
            }
        }
        _ if end == b"ase" && name_ends_with(name, b"secretbase") => Made,
        _ => Plain,
    }
}

/// Returns whether a password is before the last `letters` letters of a name.
fn name_follows_password(name: &[u8], letters: usize) -> bool {
    let is_letter = |&at: &usize| name[at].is_ascii_alphanumeric() || name[at] >= 0x80;
    let start = (0..name.len()).rev().filter(is_letter).nth(letters - 1);
    start.is_some_and(|start| name_ends_with_any(&name[..start], &PASSWORDS))
}

fn classify_token_name(name: &[u8]) -> NameClass {
    if !name_ends_with(name, b"token") {
        return Plain;
    }
    let (rest, last) = last_word_of_name(name);
    let is_one_word = last.len() > 5;
    let before = if is_one_word { &last[..last.len() - 5] } else { last_word_of_name(rest).1 };
    let is_part = is_one_word && is_one_of_name_words(before, &NO_TOKENS_IN_A_WORD);
    let is_counted = || rest.to_ascii_lowercase().windows(5).any(|part| part == b"_per_");
    match is_part || is_one_of_name_words(before, &NO_TOKENS) || is_counted() {
        true => DoubtfulMade,
        false => Made,
    }
}

/// Returns whether `pass` means a password. Other words end with it too, so it has to be a word of
/// its own, after another one.
fn classify_pass_name(name: &[u8]) -> NameClass {
    let (rest, last) = last_word_of_name(name);
    let (_, before) = last_word_of_name(rest);
    match () {
        () if rest.is_empty() || !last.eq_ignore_ascii_case(b"pass") => Plain,
        () if is_one_of_name_words(before, &NO_PASSES) => DoubtfulChosen,
        () => Chosen,
    }
}

/// Returns whether the name is the end of a placeholder, which says nothing about the text before
/// it was redacted.
fn is_placeholder_name(name: &[u8]) -> bool {
    let bracket = name.iter().rposition(|&byte| byte == b'[');
    bracket.is_some_and(|at| name[at..].starts_with(b"[REDACTED"))
}

fn is_one_of_name_words(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|one| word.eq_ignore_ascii_case(one))
}

fn name_ends_with_any(name: &[u8], endings: &[&[u8]]) -> bool {
    endings.iter().any(|ending| name_ends_with(name, ending))
}

/// Returns whether a name ends with these letters, whatever their case and separators.
pub(super) fn name_ends_with(name: &[u8], ending: &[u8]) -> bool {
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte >= 0x80;
    let mut letters = name.iter().rev().filter(is_letter);
    ending
        .iter()
        .rev()
        .all(|byte| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(byte)))
}

/// Returns what is before the last word, and the word.
pub(super) fn last_word_of_name(name: &[u8]) -> (&[u8], &[u8]) {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
    let end = name.iter().rposition(|&byte| is_letter(byte)).map_or(0, |last| last + 1);
    let begins = |at: usize| {
        let (before, this) = (name[at - 1], name[at]);
        !is_letter(before)
            || this.is_ascii_uppercase()
                && (!before.is_ascii_uppercase()
                    || name[..end].get(at + 1).is_some_and(u8::is_ascii_lowercase))
    };
    let start = (1..end).rev().find(|&at| begins(at)).unwrap_or(0);
    (&name[..start], &name[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_after_a_password_leaves_it_one() {
        for password in ["password", "passwd", "pwd", "passphrase", "secret"] {
            for after in ["hash", "digest", "value", "confirmation", "confirm", "text"] {
                let capital = format!("{}{}", after[..1].to_uppercase(), &after[1..]);
                for name in [
                    format!("{password}_{after}"),
                    format!("new-{password}.{after}"),
                    format!("{password}{capital}"),
                    format!("{password}{after}"),
                ] {
                    assert_eq!(classify_name(name.as_bytes()), Made, "{name}");
                }
                assert_eq!(classify_name(format!("order_{after}").as_bytes()), Plain, "{after}");
            }
        }
    }

    #[test]
    fn a_token_is_a_part_of_a_text_only_in_one_word() {
        for name in ["sub_token", "subToken", "pre-token", "nextpage_token", "CvV", "cVC"] {
            assert!(classify_name(name.as_bytes()).is_secret(), "{name}");
        }
        for name in ["subtoken", "pretoken", "nextpagetoken", "next_page_token"] {
            assert!(!classify_name(name.as_bytes()).is_secret(), "{name}");
        }
    }

    #[test]
    fn names_have_classes() {
        let chosen = "password PASSWORD db.password PGPASSWORD dbpassword password1 user-passwd \
            PGPWD passphrase pass_phrase passcode cvv CVC card_cvv dbPass mail.smtp.pass _pass \
            keystore_pass smtp_pass Passwort oldPasswords";
        let made = "secret clientSecret accesskeysecret token bottoken identitytoken x-csrf-token \
            HTTPToken access_tokens apikey api_keys X-API-KEY authkey masterkey ALGOLIA_ADMIN_KEY \
            ssh_key sharedAccessKey cookie Set-Cookie sessioncookie authorization \
            proxy-authorization credentials aws_credential password_hash secretValue \
            newPasswordConfirm password_confirmation secretBase admin_token helper_token";
        let doubtful = "next_token nextPageToken maxtoken eosToken boarding_pass tests_pass \
            cost_per_big_token";
        let plain = "tokens max_tokens author keyboard public_key primary_key cache_key monkey \
            pass passenger compass password_policy secret_name cvvx hash text authority key ion \
            [REDACTED_aws_secret] ab";
        for name in chosen.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Chosen, "{name}");
        }
        for name in made.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Made, "{name}");
        }
        for name in doubtful.split_whitespace() {
            let class = classify_name(name.as_bytes());
            assert!(matches!(class, DoubtfulMade | DoubtfulChosen), "{name}: {class:?}");
        }
        for name in plain.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Plain, "{name}");
        }
    }
}
