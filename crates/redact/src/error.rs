//! The one error of the crate.

use std::fmt;

/// A setting or a value that is not accepted. The message contains its name, its value and what is
/// accepted.
pub struct Error(Box<Cause>);

enum Cause {
    /// A sanitizer that cannot be built, or a value that cannot be protected.
    Refused { what: &'static str, why: String },
    /// A variable of the environment.
    Variable { name: &'static str, given: String, accepted: String },
}

impl Error {
    pub(crate) fn refused(what: &'static str, why: impl Into<String>) -> Self {
        Self(Box::new(Cause::Refused { what, why: why.into() }))
    }

    pub(crate) fn variable(
        name: &'static str,
        given: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        let (given, accepted) = (given.into(), accepted.into());
        Self(Box::new(Cause::Variable { name, given, accepted }))
    }

    /// Returns whether a variable of the environment was not accepted.
    pub fn is_variable(&self) -> bool {
        matches!(*self.0, Cause::Variable { .. })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Refused { what, why } => write!(f, "not a valid {what}: {why}"),
            Cause::Variable { name, given, accepted } => {
                write!(f, "{name} is {given:?}; accepted: {accepted}")
            }
        }
    }
}

impl std::error::Error for Error {}
