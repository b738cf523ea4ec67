//! Classifies keys by what they say about their values.

use super::confusables::{UndisguisedText, is_disguise_char};
use super::digits::{is_id_name, is_time_name};
use super::looks::has_secret_form;
use super::names::{self, NameClass, SecretForm, last_word_of_name};

/// The keys of the floor, whose whole value is redacted.
pub(super) const SENSITIVE: [&str; 6] =
    ["password", "secret", "token", "api_key", "authorization", "cookie"];

/// What a key says about its value, by its text alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyClass {
    /// Nothing.
    #[default]
    Plain,
    /// The whole value is redacted, unless it is null or a boolean.
    Sensitive,
    /// The same, except below `logprobs`: the key is `token`.
    ModelToken,
    /// A text is redacted whole if it has this form.
    Formed(SecretForm),
    /// Below it, at any depth, `token` is not a sensitive key.
    Logprobs,
    /// A number is a card, if it looks like one.
    Card,
    /// A text is the name of the value beside it, as in `{"name": "Authorization", "value": …}`.
    Name,
    /// A text describes the field of a form that the text beside it is typed into:
    /// `{"element": "Password input", "text": …}`.
    Field,
    /// The value that has such a name.
    Value,
    /// The same, if it looks like a secret: `default`.
    OtherValue,
    /// In a list names and values alternate.
    Headers,
    /// Below it numbers are counts or scores, by the name of what is counted.
    Counts,
    /// Beside it `token` may be a word of a model.
    ModelSign,
    /// The kind of a manifest. One kind has secrets under any name.
    ManifestKind,
    /// In such a manifest, an object of them.
    ManifestData,
    /// If it is true, or the type of a secret, the value beside it is a secret: `{"sensitive": true, "value": …}`.
    Flag,
    /// The same, if the name of a variable is beside it too: `{"key": "DEPLOY", "value": …, "masked": true}`.
    VariableFlag,
    /// Sixteen digits are the id of a span or a trace, and not a card.
    TraceId,
    /// Sixteen digits are a time in microseconds, and not a card, if they may be one.
    Time,
}

impl KeyClass {
    /// Returns whether the key is the name of a secret.
    #[inline]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Sensitive | Self::ModelToken)
    }
}

/// Returns the class of a key, by its text before it is itself redacted.
///
/// A key is split at separators and at changes of case. Its last words decide, in any case.
/// `apiKey`, `X-API-KEY` and `db.password` are sensitive, but `token_count` and `secretary` are
/// not. A Kelvin sign counts as a `k`, and full-width letters as what they are shaped after.
/// Zero-width characters are ignored. If a key waives a rule, it must match literally: `logprobs`
/// and `top_logprobs` in lower case only.
#[inline]
pub fn classify_key(key: &str) -> KeyClass {
    if matches!(key, "logprobs" | "top_logprobs" | "logprobsResult") {
        return KeyClass::Logprobs;
    }
    match classify_key_as_name(key) {
        NameClass::Plain => classify_number_or_pair(key.as_bytes()),
        // The name of a package, or the folder of one.
        _ if key.starts_with("node_modules/") || key.starts_with('@') && key.contains('/') => {
            KeyClass::Plain
        }
        NameClass::Formed(form) => KeyClass::Formed(form),
        _ if key.eq_ignore_ascii_case("token") => KeyClass::ModelToken,
        _ => KeyClass::Sensitive,
    }
}

/// Returns what a key says about its value as the name of a secret.
#[inline]
pub(super) fn classify_key_as_name(key: &str) -> NameClass {
    match key.is_ascii() {
        true => names::classify_name(key.as_bytes()),
        false => names::classify_name(undisguised_key(key).as_bytes()),
    }
}

/// Returns whether an environment variable contains a secret. The shell's `PWD` is not a password.
pub(super) fn is_sensitive_variable(name: &str, value: &str) -> bool {
    match classify_key(name) {
        KeyClass::Formed(form) => has_secret_form(value.as_bytes(), form),
        class => class.is_secret() && !matches!(name, "PWD" | "OLDPWD"),
    }
}

/// Classifies keys that describe numbers or the values beside theirs.
fn classify_number_or_pair(key: &[u8]) -> KeyClass {
    let is = |word: &[u8], words: &[&[u8]]| words.iter().any(|one| word.eq_ignore_ascii_case(one));
    let Some(end) = key.last_chunk::<3>() else {
        return match () {
            () if key == b"id" => KeyClass::ModelSign,
            () if is(key, &[b"cc"]) => KeyClass::Card,
            () if is_time_name(key) => KeyClass::Time,
            () => KeyClass::Plain,
        };
    };
    match &end.map(|byte| byte.to_ascii_lowercase()) {
        b"ons" if key == b"redactions" => KeyClass::Counts,
        b"nts" | b"res" | b"els" | b"hts" | b"obs" | b"its" | b"ies" | b"cab"
            if is(last_word_of_name(key).1, &COUNTS) =>
        {
            KeyClass::Counts
        }
        b"rob" | b"mma" | b"pos" | b"ity" | b"ord" | b"unk" | b"ext" | b"ype"
            if MODEL_SIGNS.contains(&key) =>
        {
            KeyClass::ModelSign
        }
        b"ype" if key == b"Type" => KeyClass::Flag,
        b"ame" | b"key" | b"der" | b"eld" | b"ble" | b"ter" | b"rty" | b"bel" | b"ing" | b"ion"
        | b"ram" | b"ute" | b"ath" | b"var"
            if is(key, &NAMES) || is(key, &VARIABLE_NAMES) =>
        {
            KeyClass::Name
        }
        b"ent" | b"tor" if is(key, &[b"element", b"selector"]) => KeyClass::Field,
        b"lue" | b"ues" if is(key, &VALUES) => KeyClass::Value,
        b"lue" | b"val" | b"ult" | b"ent" if is(key, &OTHER_VALUES) => KeyClass::OtherValue,
        b"ind" if key == b"kind" => KeyClass::ManifestKind,
        b"ata" if is_manifest_data(key) => KeyClass::ManifestData,
        b"ive" | b"cho" | b"ret" if is_flag_name(key) => KeyClass::Flag,
        b"ure" | b"ted" | b"ked" if is(key, &[b"secure", b"protected", b"masked"]) => {
            KeyClass::VariableFlag
        }
        b"ers" if is(key, &[b"rawheaders", b"raw_headers"]) => KeyClass::Headers,
        b"ber" | b"num" | [_, b'n', b'o'] | b"ard" | b"pan" | b"_cc" => {
            let (rest, last) = last_word_of_name(key);
            let (_, before) = last_word_of_name(rest);
            let is_number = is(last, &[b"number", b"num", b"no"]);
            let is_card = is(last, &CARDS) || is_number && is(before, &CARDS);
            if is_card { KeyClass::Card } else { KeyClass::Plain }
        }
        [_, b'i', b'd'] if is_id_name(key) => KeyClass::TraceId,
        end if may_end_time_name(end) && is_time_name(key) => KeyClass::Time,
        _ => KeyClass::Plain,
    }
}

/// Returns whether the name of a time may end so: `created_at`, `timestamp`, `expiry`.
fn may_end_time_name(end: &[u8; 3]) -> bool {
    matches!(
        end,
        b"ime"
            | b"amp"
            | b"och"
            | b"art"
            | b"end"
            | b"nce"
            | b"til"
            | b"ate"
            | b"res"
            | b"ros"
            | b"gin"
            | b"gan"
            | b"ish"
            | b"een"
            | b"iry"
            | b"ine"
            | b"hen"
            | b"now"
            | b"sec"
            | [b't' | b'd' | b'h' | b'p' | b'i' | b'g' | b'v' | b'u', b'e', b'd']
            | [_, b't' | b'u', b's']
            | [_, b'a', b't']
    )
}

/// Keys of the name in `{"name": …, "value": …}`.
const NAMES: [&[u8]; 18] = [
    b"name",
    b"key",
    b"header",
    b"field",
    b"parameterkey",
    b"parameter_key",
    b"optionname",
    b"variable",
    b"parameter",
    b"property",
    b"label",
    b"setting",
    b"option",
    b"param",
    b"attribute",
    b"path",
    b"variablename",
    b"keyname",
];
/// Other keys of the name, which may be beside one of those.
const VARIABLE_NAMES: [&[u8]; 6] =
    [b"variable_name", b"key_name", b"envvar", b"env_var", b"envname", b"env_name"];
/// Keys of the value there.
const VALUES: [&[u8]; 10] = [
    b"value",
    b"values",
    b"parametervalue",
    b"parameter_value",
    b"newvalue",
    b"new_value",
    b"oldvalue",
    b"old_value",
    b"defaultvalue",
    b"default_value",
];
/// Other keys of the value, which may be beside one of those.
const OTHER_VALUES: [&[u8]; 7] =
    [b"val", b"default", b"current", b"currentvalue", b"current_value", b"envvalue", b"env_value"];

/// Returns whether a key is one of a name, and another one may be beside it.
pub(super) fn may_be_second(key: &str) -> bool {
    VARIABLE_NAMES.iter().any(|one| key.as_bytes().eq_ignore_ascii_case(one))
}

/// The kind of a manifest of secrets, as Kubernetes has it.
pub(super) const MANIFEST_KIND: &str = "Secret";

/// Returns whether a key is that of the data of a manifest.
pub(super) fn is_manifest_data(key: &[u8]) -> bool {
    key == b"data" || key == b"stringData"
}

/// Keys of a flag beside the value of a secret, without `is` before them. `secret` is the name of a
/// secret too, if its value is not a flag.
const FLAGS: [&[u8]; 3] = [b"sensitive", b"secret", b"noecho"];

/// Returns whether a key with the value `true` makes a secret of the value beside it: `isSecret`.
pub(super) fn is_flag_name(key: &[u8]) -> bool {
    let bare = match key {
        [b'i' | b'I', b's' | b'S', b'_', rest @ ..] | [b'i' | b'I', b's' | b'S', rest @ ..] => rest,
        _ => key,
    };
    FLAGS.iter().any(|flag| bare.eq_ignore_ascii_case(flag))
}

/// Words for numbers by the names of what is counted or scored.
const COUNTS: [&[u8]; 9] = [
    b"counts",
    b"scores",
    b"labels",
    b"weights",
    b"probs",
    b"probabilities",
    b"frequencies",
    b"logits",
    b"vocab",
];

/// Members beside the word of a model, and the member whose value may say so.
const MODEL_SIGNS: [&[u8]; 8] =
    [b"logprob", b"lemma", b"pos", b"entity", b"word", b"chunk", b"text", b"type"];

/// Words for a payment card, or for its number.
const CARDS: [&[u8]; 9] = [
    b"card",
    b"pan",
    b"cc",
    b"creditcard",
    b"debitcard",
    b"cardnumber",
    b"cardno",
    b"cardnum",
    b"ccnumber",
];

#[cold]
fn undisguised_key(key: &str) -> String {
    let lower =
        |c: char| -> String { if c.is_ascii() { c.into() } else { c.to_lowercase().collect() } };
    UndisguisedText::from_original(key).text.chars().map(lower).collect()
}

/// Returns a key of the caller's own as its letters and digits, in lower case.
pub(super) fn normalize_key(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns whether the key, or its last words, are this key of the caller's own.
pub(super) fn key_ends_with(key: &str, own: &str) -> bool {
    // The name of a placeholder says nothing about the text before it was redacted, nor does what
    // is left beside it.
    if key.contains("[REDACTED") {
        return false;
    }
    let disguised =
        key.contains(is_disguise_char).then(|| UndisguisedText::from_original(key).text);
    let mut rest = disguised.as_deref().unwrap_or(key);
    let mut own = own.chars().rev().peekable();
    let mut behind = None;
    while own.peek().is_some() {
        let Some(c) = rest.chars().next_back() else { return false };
        rest = &rest[..rest.len() - c.len_utf8()];
        if c.is_alphanumeric() && !c.to_lowercase().rev().all(|lower| own.next() == Some(lower)) {
            return false;
        }
        if own.peek().is_none() {
            // As in `last_word_of_name`: a capital begins a word after a small letter, and before one.
            return rest.chars().next_back().is_none_or(|before| {
                !before.is_alphanumeric()
                    || c.is_uppercase()
                        && (!before.is_uppercase() || behind.is_some_and(char::is_lowercase))
            });
        }
        behind = Some(c);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_keys() {
        use KeyClass::{
            Card, Counts, Field, Flag, Formed, Headers, Logprobs, ManifestData, ManifestKind,
            ModelSign, ModelToken, Name, OtherValue, Plain, Sensitive, Time, TraceId, Value,
            VariableFlag,
        };
        let cases = [
            ("password", Sensitive),
            ("PassWord", Sensitive),
            ("API_KEY", Sensitive),
            ("to\u{212A}en", Sensitive),
            ("COO\u{212A}IE", Sensitive),
            ("token", ModelToken),
            ("Token", ModelToken),
            ("tokens", Formed(SecretForm::Random)),
            ("password ", Sensitive),
            ("apikey", Sensitive),
            ("", Plain),
            ("logprobs", Logprobs),
            ("logprobsResult", Logprobs),
            ("word_counts", Counts),
            ("labels", Counts),
            ("lemma", ModelSign),
            ("id", ModelSign),
            ("Text", Plain),
            ("top_logprobs", Logprobs),
            ("Logprobs", Plain),
            ("pass\u{200B}word", Sensitive),
            ("ａｐｉ_ｋｅｙ", Sensitive),
            ("access_token", Sensitive),
            ("[REDACTED_aws_secret]", Plain),
            ("x [REDACTED_github_token_2]", Plain),
            ("Name", Name),
            ("key", Name),
            ("value", Value),
            ("default", OtherValue),
            ("envVar", Name),
            ("element", Field),
            ("sensitive", Flag),
            ("isSensitive", Flag),
            ("masked", VariableFlag),
            ("Type", Flag),
            ("insensitive", Plain),
            ("kind", ManifestKind),
            ("Kind", Plain),
            ("stringData", ManifestData),
            ("rawHeaders", Headers),
            ("headers", Plain),
            ("cc", Card),
            ("user_cc", Card),
            ("pass", Formed(SecretForm::Password)),
            ("OPENAI_KEY", Formed(SecretForm::RandomOrUuid)),
            ("decoded_token", Formed(SecretForm::Random)),
            ("output_cost_per_reasoning_token", Formed(SecretForm::Random)),
            ("renderpass", Formed(SecretForm::Random)),
            ("ParameterKey", Name),
            ("parameter_value", Value),
            ("cardNumber", Card),
            ("account_number", Plain),
            ("username", Plain),
            ("span_id", TraceId),
            ("parentSpanId", TraceId),
            ("plan_id", Plain),
            ("ts", Time),
            ("startTime", Time),
            ("created_us", Time),
        ];
        let sensitive = "apiKey API-KEY x-api-key access_token clientSecret Set-Cookie db.password \
            passphrase credentials APIKey DB_PASSWORD userPassword password_hash newPassword2 \
            proxy-authorization X-Amz-Security-Token aws_secret_access_key privateKey id_token cvv \
            session_token client_credentials AccountKey smtp_pass authTokens HTTPToken";
        let plain = "max_tokens tokens_input token_count token_type tokenizer author \
            secretary keyboard public_key cache_key keys primary_key tokens_output next_token \
            page_token password_policy passenger compass monkey authority cookie_count \
            secret_name secret_arn tokenized hash content model \
            access_key_id ion";
        let sensitive = sensitive.split_whitespace().map(|key| (key, Sensitive));
        let plain = plain.split_whitespace().map(|key| (key, Plain));
        let cases = cases.into_iter().chain(sensitive).chain(plain);
        for (key, class) in cases {
            assert_eq!(classify_key(key), class, "{key:?}");
        }
    }
}
