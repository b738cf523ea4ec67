//! Classifies names of secrets: one table and one function for every carrier.
//!
//! The carriers are JSON keys, fields of structures, assignments in texts, headers, parameters in
//! URLs and environment variables. All of them ask [`classify_name`]. A name is read by its last words. Its
//! case and its separators do not matter: `apiKey`, `X-API-KEY`, `api.key` and `apikey` are the
//! same. Digits at its end do not matter either, nor does a last word such as `prod` or `test`.

mod words;

use NameClass::{CardCode, Chosen, Formed, Made, Plain};
use words::{
    AFTER_PASSWORDS, FOREIGN_PASSWORDS, KEY_WORDS, KEYS, MODEL_TOKENS, MODEL_TOKENS_IN_A_WORD,
    NO_LONG_TOKENS, NO_PASSES, NO_TOKENS, NO_TOKENS_IN_A_WORD, OPEN_KEYS, PASS_WORDS,
    PASSES_IN_A_WORD, PASSWORDS, PASSWORDS_IN_A_WORD, SEEDS, SESSIONS, SIGNATURES, SUFFIXES,
    TOKENS,
};

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameClass {
    /// Nothing.
    Plain,
    /// The value is a secret if it has this form.
    Formed(SecretForm),
    /// The value is a secret that a machine made.
    Made,
    /// The value is a secret that somebody chose.
    Chosen,
    /// The value is the security code of a card.
    CardCode,
}

/// The form that a value must have to be a secret, if its name alone does not make it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretForm {
    /// A random string.
    Random,
    /// A random string or a UUID.
    RandomOrUuid,
    /// A password that is not a word or a number.
    Password,
    /// The same, or a word with a digit.
    Chosen,
    /// Four to eight digits.
    Pin,
    /// Letters of both cases and digits, as an argument of a command.
    Argument,
    /// The same after the name of a user and a colon.
    UserArgument,
    /// Three or four digits.
    CardCode,
    /// Nine digits.
    SocialSecurityNumber,
    /// Twelve words or more.
    Phrase,
    /// Any text but JSON, which is read.
    Opaque,
}

impl NameClass {
    /// Returns whether a number is a secret too.
    pub(super) fn may_be_number(self) -> bool {
        matches!(self, Chosen | CardCode)
    }
}

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
    let Some(end) = name.last_chunk::<3>() else {
        return if name.eq_ignore_ascii_case(b"pw") { Formed(SecretForm::Password) } else { Plain };
    };
    let end = end.map(|byte| byte.to_ascii_lowercase());
    // Every key is checked here, and most end otherwise.
    let class = match classify_name_by_ending(name, end) {
        Plain if is_suffix_ending(end) => classify_suffixed_name(name),
        class => class,
    };
    if class == Plain || is_placeholder_name(name) { Plain } else { class }
}

/// Classifies a name by its last letters. `end` is the last three in lower case.
#[inline]
fn classify_name_by_ending(name: &[u8], end: [u8; 3]) -> NameClass {
    let (class, endings): (_, &[&[u8]]) = match &end {
        b"ken" => return classify_token_name(name),
        b"ens" if name.eq_ignore_ascii_case(b"tokens") => return Formed(SecretForm::Random),
        b"ens" => (Made, &TOKENS),
        b"key" => return classify_key_name(name),
        b"eys" => return classify_key_name(&name[..name.len() - 1]),
        b"ass" => return classify_pass_name(name),
        b"ord" => (Chosen, &[b"password", b"passord", b"wachtwoord", b"senord"]),
        b"rds" => (Chosen, &[b"passwords"]),
        b"swd" => (Chosen, &[b"passwd"]),
        b"pwd" => (Chosen, &[b"pwd"]),
        b"ort" => (Chosen, &[b"passwort", b"kennwort"]),
        b"nha"
        | b"ena"
        | b"sse"
        | b"slo"
        | &[0xC3, 0xB1, b'a']
        | &[0xC5, 0x82, b'o']
        | &[0xE7, ..]
        | &[0xBB, 0xD1, 0x8C]
        | &[0xE3, 0x83, 0x89]
        | &[0xED, 0x98, 0xB8] => (Chosen, &FOREIGN_PASSWORDS),
        b"new" | b"old" => (Chosen, &PASSWORDS_IN_A_WORD),
        b"eed" => (Formed(SecretForm::Random), &SEEDS),
        // Django's cookie. With other letters it is the id of something.
        b"nid" if name == b"sessionid" => return Formed(SecretForm::Random),
        b"sid" | b"nid" => (Formed(SecretForm::Random), &SESSIONS),
        b"ash" if name_ends_with(name, b"apihash") => return Formed(SecretForm::Random),
        b"ode" => return classify_code_name(name),
        b"des" => (Made, &[b"recoverycodes", b"backupcodes"]),
        b"ase" => return classify_phrase_name(name),
        b"ret" => (Made, &[b"secret"]),
        // The names of objects with credentials for images.
        b"ets" if name_ends_with(name, b"pullsecrets") => return Formed(SecretForm::Random),
        b"ets" => (Made, &[b"secrets"]),
        b"ial" => (Made, &[b"credential"]),
        b"als" => (Made, &[b"credentials"]),
        b"kie" => (Made, &[b"cookie"]),
        b"ies" => (Made, &[b"cookies"]),
        b"ion" if name_ends_with(name, b"authorization") => return Made,
        b"ion" | b"ash" | b"est" | b"lue" | b"irm" | b"ext" => {
            return classify_name_after_password(name);
        }
        b"ing" => (Formed(SecretForm::Opaque), &[b"secretstring"]),
        b"ure" => (Formed(SecretForm::Random), &SIGNATURES),
        b"ary" => (Made, &[b"secretbinary"]),
        b"eam" => (Made, &[b"honeycombteam"]),
        b"ent" => (Made, &[b"authident"]),
        b"fig" => (Made, &[b"registryconfig"]),
        b"nic" => (Formed(SecretForm::Phrase), &[b"mnemonic"]),
        b"ber" => (Formed(SecretForm::SocialSecurityNumber), &[b"socialsecuritynumber"]),
        end => return classify_word_name(name, end),
    };
    if name_ends_with_any(name, endings) { class } else { Plain }
}

/// Classifies names whose last word is short, so that it has to be a word of its own.
fn classify_word_name(name: &[u8], end: &[u8; 3]) -> NameClass {
    let (word, class): (&[u8], _) = match end {
        b"cvv" | b"cvc" => (end, CardCode),
        b"pat" => (end, Formed(SecretForm::Random)),
        b"jwt" => (end, Formed(SecretForm::Random)),
        b"uth" => (b"auth", Formed(SecretForm::RandomOrUuid)),
        b"red" => (b"cred", Formed(SecretForm::RandomOrUuid)),
        b"eds" => (b"creds", Formed(SecretForm::RandomOrUuid)),
        b"rer" => (b"bearer", Formed(SecretForm::RandomOrUuid)),
        b"pin" => (end, Formed(SecretForm::Pin)),
        b"otp" => {
            return if name_ends_with_word(name, &[b"otp", b"totp"]) {
                Formed(SecretForm::Pin)
            } else {
                Plain
            };
        }
        b"ssn" => (end, Formed(SecretForm::SocialSecurityNumber)),
        [_, b'p', b'w'] => (b"pw", Formed(SecretForm::Password)),
        _ => return Plain,
    };
    if name_ends_with_word(name, &[word]) { class } else { Plain }
}

/// Returns whether a name may end with one of the [`SUFFIXES`], by its last three letters.
#[inline]
fn is_suffix_ending(end: [u8; 3]) -> bool {
    matches!(
        &end,
        b"ere"
            | b"rod"
            | b"ion"
            | b"dev"
            | b"ing"
            | b"est"
            | b"ive"
            | b"cal"
            | b"box"
            | b"ult"
            | b"new"
            | b"old"
            | b"ent"
            | b"kup"
            | b"ase"
            | b"ary"
            | b"ext"
    )
}

/// Classifies a name such as `API_KEY_PROD` by what is before its last word.
fn classify_suffixed_name(name: &[u8]) -> NameClass {
    let (rest, last) = last_word_of_name(name);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let Some(end) =
        rest.iter().rposition(is_letter).filter(|_| is_one_of_name_words(last, &SUFFIXES))
    else {
        return Plain;
    };
    let rest = &rest[..=end];
    let Some(end) = rest.last_chunk::<3>() else { return Plain };
    match classify_name_by_ending(rest, end.map(|byte| byte.to_ascii_lowercase())) {
        // It may be a switch, a policy or a name.
        Made if !last.eq_ignore_ascii_case(b"base") => Formed(SecretForm::Random),
        class => class,
    }
}

/// Classifies a name that ends with what may be said of a password: `password_hash`.
fn classify_name_after_password(name: &[u8]) -> NameClass {
    let after = AFTER_PASSWORDS.iter().find(|word| name_ends_with(name, word));
    match after.is_some_and(|word| name_follows_password(name, word.len())) {
        true => Made,
        false => Plain,
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
    let is_word = |words, joined| {
        is_one_of_name_words(before, words) || is_one_word && is_one_of_name_words(before, joined)
    };
    let is_counted = || rest.to_ascii_lowercase().windows(5).any(|part| part == b"_per_");
    match () {
        () if is_word(&NO_TOKENS, &NO_TOKENS_IN_A_WORD) => Plain,
        () if name_ends_with_any(name, &NO_LONG_TOKENS) => Plain,
        () if is_word(&MODEL_TOKENS, &MODEL_TOKENS_IN_A_WORD) || is_counted() => {
            Formed(SecretForm::Random)
        }
        () => Made,
    }
}

/// Classifies keys. A key is a secret if its value looks like one, unless its name says that
/// anybody may know it: `OPENAI_KEY`, but not `PUBLIC_KEY`. Some keys are secrets in any case.
fn classify_key_name(name: &[u8]) -> NameClass {
    if name_ends_with_any(name, &KEYS) {
        return Made;
    }
    let (rest, last) = last_word_of_name(name);
    // The word before it may be joined: `openaikey`. In `signkEy` the last word is `Ey`.
    let joined = &last[..last.len().saturating_sub(b"key".len())];
    let before = if joined.is_empty() { last_word_of_name(rest).1 } else { joined };
    let is_open = !name_ends_with(name, b"key")
        || before.is_empty()
        || is_one_of_name_words(before, &OPEN_KEYS)
        || is_one_of_name_words(last, &KEY_WORDS);
    // The UUID of a record may be a key too. Variables of the environment and headers have no such keys.
    let is_outer = || name.starts_with(b"X-") || name.starts_with(b"x-");
    match is_open {
        true => Plain,
        false if is_outer() || !name.iter().any(u8::is_ascii_lowercase) => {
            Formed(SecretForm::RandomOrUuid)
        }
        false => Formed(SecretForm::Random),
    }
}

/// Classifies names that end with `pass`. Other words end with it too, and a test passes.
fn classify_pass_name(name: &[u8]) -> NameClass {
    let (rest, last) = last_word_of_name(name);
    let before = last_word_of_name(rest).1;
    match last.len() {
        4 if !last.eq_ignore_ascii_case(b"pass") => Plain,
        4 if before.is_empty() => Formed(SecretForm::Password),
        4 if is_one_of_name_words(before, &NO_PASSES) => Formed(SecretForm::Random),
        4 => Chosen,
        _ if !name_ends_with(last, b"pass") || is_one_of_name_words(last, &PASS_WORDS) => Plain,
        _ if is_one_of_name_words(&last[..last.len() - 4], &NO_PASSES) => {
            Formed(SecretForm::Random)
        }
        _ if name_ends_with_any(&last[..last.len() - 4], &PASSES_IN_A_WORD) => Chosen,
        _ => Formed(SecretForm::Password),
    }
}

fn classify_phrase_name(name: &[u8]) -> NameClass {
    const PHRASES: [&[u8]; 6] = [
        b"passphrase",
        b"seedphrase",
        b"recoveryphrase",
        b"backupphrase",
        b"secretphrase",
        b"mnemonicphrase",
    ];
    match () {
        () if name_ends_with_any(name, &PHRASES) => Chosen,
        () if name_ends_with(name, b"secretbase") => Made,
        () => Plain,
    }
}

fn classify_code_name(name: &[u8]) -> NameClass {
    const PINS: [&[u8]; 6] =
        [b"verificationcode", b"otpcode", b"mfacode", b"smscode", b"onetimecode", b"accesscode"];
    const GRANTS: [&[u8]; 3] = [b"authcode", b"authorizationcode", b"devicecode"];
    match () {
        () if name_ends_with(name, b"passcode") => Chosen,
        () if name_ends_with_any(name, &[b"recoverycode", b"backupcode"]) => Made,
        () if name_ends_with_any(name, &PINS) => Formed(SecretForm::Pin),
        () if name_ends_with_any(name, &GRANTS) => Formed(SecretForm::Random),
        () if name_ends_with(name, b"securitycode") => Formed(SecretForm::CardCode),
        () => Plain,
    }
}

/// Returns whether a name has the word for a password in another language.
pub(super) fn is_foreign_password(name: &[u8]) -> bool {
    name_ends_with_any(name, &FOREIGN_PASSWORDS)
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

/// Returns whether a name, or its last word, is one of these words.
fn name_ends_with_word(name: &[u8], words: &[&[u8]]) -> bool {
    is_one_of_name_words(name, words) || is_one_of_name_words(last_word_of_name(name).1, words)
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

/// Returns the words that make a name one of no secret, for the documentation: the word after them,
/// the words, and whether a random string goes even so.
#[cfg(test)]
pub(super) fn documented_exemptions() -> [(&'static str, Vec<&'static str>, bool); 4] {
    let texts = |words: &[&'static [u8]]| -> Vec<_> {
        words.iter().map(|word| str::from_utf8(word).expect("a word is text")).collect()
    };
    [
        ("key", texts(&OPEN_KEYS), false),
        ("token", texts(&NO_TOKENS), false),
        ("token", texts(&MODEL_TOKENS), true),
        ("pass", texts(&NO_PASSES), true),
    ]
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
        for name in ["sub_token", "subToken", "pre-token", "nextpage_token"] {
            assert_eq!(classify_name(name.as_bytes()), Made, "{name}");
        }
        for name in ["nextpagetoken", "next_page_token"] {
            assert_eq!(classify_name(name.as_bytes()), Plain, "{name}");
        }
        for name in ["subtoken", "pretoken"] {
            assert_eq!(classify_name(name.as_bytes()), Formed(SecretForm::Random), "{name}");
        }
    }

    #[test]
    fn the_endings_are_those_of_the_suffixes() {
        for suffix in SUFFIXES {
            let ending: [u8; 3] = *suffix.last_chunk().unwrap();
            assert!(is_suffix_ending(ending), "{}", suffix.escape_ascii());
        }
    }

    #[test]
    fn a_suffix_names_one_of_several_secrets() {
        let cases = [
            ("DB_PASSWORD_PROD", Chosen),
            ("password_here", Chosen),
            ("smtpPassTest", Chosen),
            ("STRIPE_SECRET_KEY_LIVE", Formed(SecretForm::Random)),
            ("api_key_dev_2", Formed(SecretForm::Random)),
            ("SECRET_KEY_BASE", Made),
            ("token_production", Formed(SecretForm::Random)),
            ("_test_test_live", Plain),
            ("contest", Plain),
            ("prod", Plain),
            ("database", Plain),
        ];
        for (name, class) in cases {
            assert_eq!(classify_name(name.as_bytes()), class, "{name}");
        }
    }

    #[test]
    fn some_names_need_a_value_of_a_form() {
        let cases = [
            (
                SecretForm::Random,
                "openaiKey vendor-key GITLAB_PAT pat jwt userJwt maxtoken eosToken num_token cost_per_big_token \
                 boarding_pass tests_pass x-acme-bypass subpass config_key openaikey signkEy signkEYs PHPSESSID JSESSIONID connect.sid sessionid ASP.NET_SessionId \
                 app_previous_keys tokens totp_seed MFASeed api_hash authCode \
                 authorization_code device_code",
            ),
            (
                SecretForm::RandomOrUuid,
                "MISTRAL_KEY APP_KEYS X-Search-Key gateway_auth _auth bearer creds aws_cred",
            ),
            (SecretForm::Password, "pass PASS xyzpass pw db_pw userPw"),
            (SecretForm::CardCode, "security_code cardSecurityCode"),
            (SecretForm::Pin, "pin card_pin userPin otp totp login_otp verificationCode mfa_code"),
            (SecretForm::SocialSecurityNumber, "ssn SSN employee_ssn social_security_number"),
            (SecretForm::Phrase, "mnemonic walletMnemonic"),
            (SecretForm::Opaque, "SecretString secret_string"),
        ];
        for (form, names) in cases {
            for name in names.split_whitespace() {
                assert_eq!(classify_name(name.as_bytes()), Formed(form), "{name}");
            }
        }
    }

    #[test]
    fn names_have_classes() {
        let chosen = "password PASSWORD db.password PGPASSWORD dbpassword password1 user-passwd \
            PGPWD passphrase pass_phrase passcode dbPass mail.smtp.pass dbpass SSHPASS pwd2 \
            keystore_pass smtp_pass Passwort oldPasswords seed_phrase passwordNew passwdold \
            password_old senha nova_senha contrase\u{f1}a mot_de_passe Kennwort \
            \u{5bc6}\u{7801} \u{430}\u{440}\u{43e}\u{43b}\u{44c}";
        let made = "secret clientSecret accesskeysecret token bottoken identitytoken x-csrf-token \
            HTTPToken access_tokens apikey api_keys X-API-KEY authkey masterkey ALGOLIA_ADMIN_KEY \
            ssh_key sharedAccessKey cookie Set-Cookie sessioncookie authorization \
            proxy-authorization credentials aws_credential password_hash secretValue \
            newPasswordConfirm password_confirmation secretBase admin_token helper_token \
            license_key signaturekey service_role_key deployKey recovery_code backup_codes secrets";
        let plain = "max_tokens tokens_in author keyboard public_key primary_key cache_key monkey \
            passenger compass trespass password_policy secret_name cvvx hash text authority key ion \
            next_token nextPageToken PublicKeyToken start_token \
            progressToken syncToken resume_token pagination_token skip-token \
            ClientRequestToken idempotency_token cancellationToken \
            idempotency-key sort_key PARTITION_KEY ParameterKey Sec-WebSocket-Key turkey keys monkeys hotkey publickeys recv-keys authorized_keys \
            sessionId session_id sid SESSIONID code_seed foo_hash country_code threshold renew npw \
            shipping spin napkin path author foot pin_count \
            [REDACTED_aws_secret] ab";
        for name in chosen.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Chosen, "{name}");
        }
        for name in made.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Made, "{name}");
        }
        for name in ["cvv", "CVC", "card_cvv", "cvv2", "CvV", "cVC"] {
            assert_eq!(classify_name(name.as_bytes()), CardCode, "{name}");
        }
        for name in plain.split_whitespace() {
            assert_eq!(classify_name(name.as_bytes()), Plain, "{name}");
        }
    }
}
