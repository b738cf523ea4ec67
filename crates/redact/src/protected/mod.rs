//! Values that are redacted because somebody said so, whatever they look like.
//!
//! A value has several forms: as it is, escaped for JSON, percent-encoded, in base64. Where any of
//! them stands is found by grams of four bytes: a table has a bit for each gram of each form, the
//! text is asked at every place, or at every eighth where the form is long enough. Where the bit is
//! set, what the text has there of the length of a form is looked up among the forms. A scan takes no
//! lock but behind such a bit, and then those of a thousandth of the table and of a sixty-fourth of
//! the forms, so that values come and go while others emit.

mod forms;
mod index;

use std::fmt;
use std::sync::Arc;

use forms::forms;
use index::{GRAM, protect, release};
pub(super) use index::{are_none, find, hold_changes, let_changes, open_in_child};

use super::Kind;
use super::keys::is_sensitive_variable;
use crate::error::Error;

/// Variables are protected by their name alone from this length, in bytes.
const ENVIRONMENT_MIN: usize = 12;

/// Redacts this value as `[REDACTED_known]` wherever it appears from now on, in the whole process,
/// until what is returned is dropped: the customer that a request is of, a key of the service.
///
/// It is found as it is, upper and lower case apart, and also escaped for JSON up to three times,
/// percent-encoded, and in base64 from six bytes on (at most a character at each end is left, which
/// others share). Where it overlaps what a rule finds, all of both goes.
///
/// It is for texts: a number that is no text is not looked at. Any thread may call it at any time;
/// emits are not stopped. Each value costs some kilobytes while it is protected.
///
/// # Errors
///
/// The value is shorter than four bytes, or lies inside a placeholder (`REDACTED`, `email`), which
/// could then not be told from it.
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
        return refused(format!("it is a part of the placeholder {placeholder}"));
    }
    let forms: Vec<Arc<str>> = forms(value).into_iter().map(Arc::from).collect();
    forms.iter().for_each(protect);
    Ok(ProtectedValue(forms))
}

/// Protects the values of these variables of the environment, as [`protect_value`] does. White space
/// around a name is no part of it; `none` and nothing are the name of none.
///
/// # Errors
///
/// A variable is not set, is no UTF-8, or its value is not accepted by [`protect_value`]. The error
/// names it and not its value.
pub fn protect_environment<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<Vec<ProtectedValue>, Error> {
    let protect = |name: &str| {
        let refused = |why: String| Error::variable("AUDIT_REDACT_ENV", name, why);
        let value = std::env::var(name).map_err(|_| {
            refused("names of variables that are set, to UTF-8, with commas between; none".into())
        })?;
        protect_value(value).map_err(|_| {
            refused(
                "variables whose value has 4 bytes and more, and is no part of a placeholder"
                    .into(),
            )
        })
    };
    let mut values = Vec::new();
    for name in names {
        match name.as_ref().trim() {
            "none" | "" => {}
            name => values.push(protect(name)?),
        }
    }
    Ok(values)
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
    // Nobody asked for these, so what cannot be protected is no error.
    let protect = |name: String| Some((protect_environment([&name]).ok()?.pop()?, name));
    let protected = sensitive_variables().into_iter().filter_map(protect);
    Ok(protected.map(|(value, name)| (name, value)).unzip())
}

/// The variables whose name is that of a secret and whose value is long enough to be one.
fn sensitive_variables() -> Vec<String> {
    let is_secret =
        |name: &str, value: &str| is_sensitive_variable(name) && value.len() >= ENVIRONMENT_MIN;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut names: Vec<_> =
        variables.filter(|(name, value)| is_secret(name, value)).map(|(name, _)| name).collect();
    names.sort();
    names
}

/// A value is redacted as long as this lives; see [`protect_value`].
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
        self.0.iter().for_each(release);
    }
}

#[cfg(test)]
mod tests;
