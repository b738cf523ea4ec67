//! Values that are redacted because they were registered, whatever they look like.
//!
//! A value has several forms: as it is, escaped for JSON, percent-encoded, in base64. They are
//! found by grams of four bytes. A table has a bit for each gram of each form. The text is examined
//! at every place, or at every eighth if the form is long enough. If the bit is set, the text there
//! is looked up among the forms of each length. A scan takes locks only after it finds such a bit.
//! It takes those of a thousandth of the table and of a sixty-fourth of the forms. So values can be
//! added and removed while other threads emit.

mod forms;
mod index;

use std::fmt;
use std::sync::Arc;

use forms::forms_of_value;
use index::{GRAM, protect_form, release_form};
pub(super) use index::{
    allow_protection_changes, find_protected, hold_protection_changes, nothing_is_protected,
    open_protection_in_child,
};

use super::Kind;
use super::keys::is_sensitive_variable;
use crate::error::Error;

/// The least length, in bytes, at which variables are protected by their name alone.
const ENVIRONMENT_MIN: usize = 12;

/// Redacts this value as `[REDACTED_known]` wherever it appears from now on, in the whole process,
/// until the returned guard is dropped. Examples are the customer of a request and the key of a
/// service.
///
/// It is found in the same upper and lower case: as it is, escaped for JSON up to three times, and
/// percent-encoded. It is found in base64 if it has six bytes or more. Then at most one character
/// remains at each end, which other values share. If it overlaps a match of a rule, both are
/// redacted whole.
///
/// It is meant for texts: a JSON number that is not in a string is not examined. Any thread may
/// call it at any time, and emits do not stop. Each value costs some kilobytes while it is
/// protected.
///
/// # Errors
///
/// The value is shorter than four bytes, or it is part of a placeholder (`REDACTED`, `email`), from
/// which it could not be distinguished.
///
/// # Examples
///
/// ```
/// let sanitizer = llm_audit_redact::Sanitizer::default();
/// let customer = llm_audit_redact::protect_value("Zoë Quill")?;
/// assert_eq!(sanitizer.redact_str("for Zoë Quill: q=Zo%C3%AB+Quill"), "for [REDACTED_known]: q=[REDACTED_known]");
/// drop(customer);
/// assert_eq!(sanitizer.redact_str("Zoë Quill"), "Zoë Quill");
/// # Ok::<(), llm_audit_redact::Error>(())
/// ```
pub fn protect_value(value: impl AsRef<str>) -> Result<ProtectedValue, Error> {
    let value = value.as_ref();
    let refused = |why: String| Err(Error::refused("value to protect", why));
    if value.len() < GRAM {
        return refused("it is shorter than 4 bytes".to_owned());
    }
    let others = ["[TOO_DEEP]", "[UNSERIALIZABLE]", "[TRUNCATED:"];
    let mut placeholders = Kind::ALL.iter().map(|kind| kind.placeholder()).chain(others);
    if let Some(placeholder) = placeholders.find(|placeholder| placeholder.contains(value)) {
        return refused(format!("it is part of the placeholder {placeholder}"));
    }
    let forms: Vec<Arc<str>> = forms_of_value(value).into_iter().map(Arc::from).collect();
    forms.iter().for_each(protect_form);
    Ok(ProtectedValue(forms))
}

/// Protects the values of these environment variables, as [`protect_value`] does. White space
/// around a name is ignored. The name `none` and an empty name are skipped.
///
/// # Errors
///
/// A variable is not set or is not UTF-8, or [`protect_value`] does not accept its value. The error
/// contains the name and not the value. A name in other characters than those of variables, or one
/// that is not set and not in upper case, may be a secret itself: the error has its position.
pub fn protect_environment<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<Vec<ProtectedValue>, Error> {
    let protect = |position: usize, name: &str| {
        let refused = |fault, accepted| Error::variable("AUDIT_REDACT_ENV", fault, accepted);
        let accepted = "names of set variables with UTF-8 values, separated by commas; none";
        let value = match std::env::var(name) {
            _ if !is_variable_name(name) => {
                let fault = format!("entry {position} is no name of a variable");
                return Err(refused(fault, accepted));
            }
            Ok(value) => value,
            Err(_) if is_certain_name(name) => {
                return Err(refused(format!("is {name:?}"), accepted));
            }
            Err(_) => {
                let fault = format!("entry {position} is no variable that is set");
                return Err(refused(fault, accepted));
            }
        };
        protect_value(value).map_err(|_| {
            refused(
                format!("is {name:?}"),
                "variables whose value has at least 4 bytes and is not part of a placeholder",
            )
        })
    };
    let mut values = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        match name.as_ref().trim() {
            "none" | "" => {}
            name => values.push(protect(at + 1, name)?),
        }
    }
    Ok(values)
}

/// Letters, digits and underscores, and no digit first.
fn is_variable_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_of_name)
}

/// Whether a name is hardly the secret itself: in upper case, words of letters, and short.
fn is_certain_name(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_upper = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_upper && digits <= 3 && (name.contains('_') || name.len() <= 16)
}

/// Protects the named variables, or those with a sensitive name if `named` is `None`. Returns the names
/// of the variables, and guards that end the protection when dropped.
pub fn protect_variables(
    named: Option<Vec<String>>,
) -> Result<(Vec<String>, Vec<ProtectedValue>), Error> {
    if let Some(named) = named {
        let values = protect_environment(&named)?;
        let names =
            named.iter().map(|name| name.trim()).filter(|name| !["none", ""].contains(name));
        return Ok((names.map(str::to_owned).collect(), values));
    }
    // Nobody named these variables, so it is not an error if one cannot be protected.
    let protect = |name: String| Some((protect_environment([&name]).ok()?.pop()?, name));
    let protected = sensitive_variable_names().into_iter().filter_map(protect);
    Ok(protected.map(|(value, name)| (name, value)).unzip())
}

/// Returns the variables whose name is that of a secret and whose value is long enough for one.
fn sensitive_variable_names() -> Vec<String> {
    let is_secret = |name: &str, value: &str| {
        is_sensitive_variable(name, value) && value.len() >= ENVIRONMENT_MIN
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut names: Vec<_> =
        variables.filter(|(name, value)| is_secret(name, value)).map(|(name, _)| name).collect();
    names.sort();
    names
}

/// A guard that keeps a value protected until it is dropped; see [`protect_value`].
#[must_use = "the value is protected until this is dropped"]
pub struct ProtectedValue(Vec<Arc<str>>);

impl ProtectedValue {
    /// Protects the value to the end of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl fmt::Debug for ProtectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedValue").finish_non_exhaustive()
    }
}

impl Drop for ProtectedValue {
    fn drop(&mut self) {
        self.0.iter().for_each(release_form);
    }
}

#[cfg(test)]
mod tests;
