//! The lists of docs/redaction.md contain what the tables say. `LLM_AUDIT_BLESS=1` writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use crate::Kind;
use crate::names::{NameClass, SecretForm, classify_name, documented_exemptions};
use crate::rules::{documented_open_ids, documented_prefixes};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redaction.md");

/// Returns whether a kind is that of one service.
fn is_service_kind(kind: Kind) -> bool {
    let of_service = documented_prefixes().any(|(service, _)| service == kind);
    of_service || kind.description().starts_with("A secret of")
}

/// Returns a row for each kind that is not of one service.
fn kinds_table() -> String {
    let mut text = "| found | rule | becomes |\n|---|---|---|\n".to_owned();
    for kind in Kind::ALL.into_iter().filter(|&kind| !is_service_kind(kind)) {
        let (name, placeholder) = (kind.name(), kind.placeholder());
        let description = kind.description().trim_end_matches('.');
        writeln!(text, "| {description} | `{name}` | `{placeholder}` |").unwrap();
    }
    text
}

/// Returns a row for each kind of one service, and one for all other services.
fn services_table() -> String {
    let mut text = "| found | rule | begins with |\n|---|---|---|\n".to_owned();
    for kind in Kind::ALL.into_iter().filter(|&kind| is_service_kind(kind)) {
        let prefixes: BTreeSet<_> = documented_prefixes()
            .filter(|(service, _)| *service == kind)
            .map(|(_, prefix)| prefix)
            .collect();
        let prefixes: Vec<_> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
        let prefixes = match prefixes.is_empty() {
            true => "a form of its own".to_owned(),
            false => prefixes.join(" "),
        };
        let description = kind.description().trim_end_matches('.');
        writeln!(text, "| {description} | `{}` | {prefixes} |", kind.name()).unwrap();
    }
    text
}

/// Names that are listed by what they say about their values.
const NAMES: &str = "password passwords passwd pwd passwort passphrase passcode pass dbpass senha contrase\u{f1}a mot_de_passe kennwort wachtwoord secret secrets token \
    api_tokens auth_tokens credential credentials cookie cookies authorization cvv cvc api_key \
    apikey access_key private_key secret_key account_key encryption_key signing_key auth_key master_key \
    subscription_key session_key ssh_key license_key service_role_key deploy_key OPENAI_KEY openaiKey password_hash \
    auth bearer jwt creds pat tokens APP_KEYS api_hash auth_code device_code totp_seed prompt_token boarding_pass bypass pw pin otp totp security_code ssn mnemonic seed_phrase recovery_codes backup_codes \
    SecretString SecretBinary";

/// Returns a row for each class of names.
fn names_table() -> String {
    let classes = [
        (NameClass::Chosen, "anything that is not a word for it or a placeholder"),
        (NameClass::CardCode, "a text or a number"),
        (NameClass::Made, "anything in JSON, and elsewhere what looks random"),
        (NameClass::Formed(SecretForm::Password), "a password that is not a word or a number"),
        (NameClass::Formed(SecretForm::Random), "a random string"),
        (NameClass::Formed(SecretForm::Pin), "4 to 8 digits as text, or a random string"),
        (NameClass::Formed(SecretForm::RandomOrUuid), "a random string or a UUID"),
        (NameClass::Formed(SecretForm::CardCode), "3 or 4 digits as text"),
        (NameClass::Formed(SecretForm::SocialSecurityNumber), "nine digits, or a random string"),
        (NameClass::Formed(SecretForm::Phrase), "12 words or more, or a random string"),
        (NameClass::Formed(SecretForm::Opaque), "any text; JSON is read"),
    ];
    let mut text = "| the name ends with | its value goes if it is |\n|---|---|\n".to_owned();
    for (class, value) in classes {
        let names = NAMES.split_whitespace();
        let names = names.filter(|name| classify_name(name.as_bytes()) == class);
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            writeln!(text, "| {} | {value} |", names.join(" ")).unwrap();
        }
    }
    text
}

/// Returns a row for each last word of names that others before it make harmless.
fn exempt_names_table() -> String {
    let mut text = "| the last word | after one of | a random string |\n|---|---|---|\n".to_owned();
    for (last, words, is_judged) in documented_exemptions() {
        let random = if is_judged { "goes" } else { "stays" };
        let words: BTreeSet<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
        let words: Vec<_> = words.into_iter().collect();
        writeln!(text, "| `{last}` | {} | {random} |", words.join(" ")).unwrap();
    }
    text
}

/// Returns the prefixes of ids that services use in the open.
fn open_ids_list() -> String {
    let ids: Vec<_> = documented_open_ids().map(|id| format!("`{id}`")).collect();
    format!("{}\n", ids.join(" "))
}

#[test]
fn every_listed_name_is_sensitive() {
    for name in NAMES.split_whitespace() {
        assert_ne!(classify_name(name.as_bytes()), NameClass::Plain, "{name}");
    }
}

/// Returns the page with this list between its two marks.
fn page_with_list(page: &str, name: &str, list: &str) -> String {
    let (start, end) = (format!("<!-- {name}:start -->\n"), format!("<!-- {name}:end -->\n"));
    let (before, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{PAGE} lacks {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} lacks {end}"));
    format!("{before}{start}\n{list}\n{end}{after}")
}

#[test]
fn the_page_contains_the_tables() {
    let given = fs::read_to_string(PAGE).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    let lists = [
        ("kinds", kinds_table()),
        ("services", services_table()),
        ("names", names_table()),
        ("exempt-names", exempt_names_table()),
        ("open-ids", open_ids_list()),
    ];
    let expected =
        lists.iter().fold(given.clone(), |page, (name, list)| page_with_list(&page, name, list));
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        return fs::write(PAGE, expected).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    }
    assert!(
        given == expected,
        "docs/redaction.md differs from the tables of the rules; LLM_AUDIT_BLESS=1 cargo test -p \
         llm-audit-redact documentation writes it"
    );
}
