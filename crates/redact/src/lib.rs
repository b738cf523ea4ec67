//! Redaction of personal data and secrets in text and JSON.
//!
//! A [`Sanitizer`] replaces e-mail addresses, card numbers, tokens, private keys and everything
//! else that has a [`Kind`]. The placeholders look like `[REDACTED_email]`. In JSON it replaces the
//! whole value of a sensitive key by `"[REDACTED]"`, unless the value is `true`, `false` or `null`.
//! Sensitive keys are `password`, `apiKey`, `Set-Cookie` and others, in any case.
//!
//! Three guarantees hold for every text. No rule matches the output, not even beside a placeholder.
//! Outside the placeholders every byte stays. If the output is redacted again, nothing changes.
//!
//! Names, birth dates, postal addresses and free-form identifiers are not found. If a text may
//! contain them, protect them as values ([`protect_value`]), or put them under sensitive keys.
//! [`Sanitizer::builder`] adds kinds, keys and patterns.

mod builder;
mod bytes;
mod confusables;
mod cut;
pub mod debug;
mod digits;
mod error;
mod explain;
mod extent;
mod json;
mod key_numbers;
mod keys;
mod kind;
mod lines;
mod looks;
mod manifests;
mod names;
mod opt_in;
mod options;
mod patterns;
mod placeholders;
mod prefilter;
mod protected;
mod recent_keys;
mod redactions;
mod rules;
mod sanitizer;
mod scan;
mod steps;
mod value;
mod walk;

use llm_audit_process::fork;

pub use builder::SanitizerBuilder;
pub use bytes::may_begin_json;
pub use cut::{floor_char_boundary, floor_word};
pub use error::Error;
pub use explain::Finding;
pub use json::{LineKind, mend_lone_surrogates, redact_nested};
pub use key_numbers::KeyNumbers;
pub use keys::KeyClass;
pub use kind::{Kind, Match, Placeholder};
pub use lines::{LINE_BYTES_MAX, PrivateKeyLines, RedactingWriter};
pub use names::{SecretForm, is_sensitive_header};
pub use opt_in::is_phone_number;
pub use options::{Place, Replacement};
pub use protected::{ProtectedValue, protect_environment, protect_value, protect_variables};
pub use redactions::Redactions;
pub use sanitizer::{Profile, Sanitizer};
pub use scan::Matches;
pub use value::sanitize;
pub use walk::{Fate, Frame, ObjectForm, ObjectProbe, Secrecy, Shape, Slot, TextNote, TypeValue};

/// Makes every later fork find complete rules and complete tables of protected values. It is called
/// before either is begun.
fn hook_redaction_forks() {
    /// A child must not inherit rules that are half made, or a table that is half changed.
    static HOOKS: fork::ForkHooks = fork::ForkHooks {
        before: || {
            scan::RuleSet::defaults();
            protected::hold_protection_changes();
        },
        parent: protected::allow_protection_changes,
        child: protected::open_protection_in_child,
    };
    fork::register_fork_hooks(&HOOKS);
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod samples;

/// See `__fuzz`.
#[cfg(fuzzing)]
pub fn candidates(text: &[u8], edge: usize) -> [Vec<usize>; 2] {
    scan::RuleSet::defaults().candidates(text, edge)
}
