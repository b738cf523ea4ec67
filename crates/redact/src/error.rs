//! The one error of the crate.

use std::fmt;

/// A setting or a value that is not accepted. The message contains its name, its value and what is
/// accepted.
pub struct Error(Box<Cause>);

enum Cause {
    /// A sanitizer that cannot be built, or a value that cannot be protected.
    Refused { what: &'static str, why: String },
    /// A variable of the environment.
    Variable { name: &'static str, fault: String, accepted: String },
}

impl Error {
    pub(crate) fn refused(what: &'static str, why: impl Into<String>) -> Self {
        Self(Box::new(Cause::Refused { what, why: why.into() }))
    }

    /// `fault` is read after the name, such as `is "x"`.
    pub(crate) fn variable(
        name: &'static str,
        fault: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        let (fault, accepted) = (fault.into(), accepted.into());
        Self(Box::new(Cause::Variable { name, fault, accepted }))
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
            Cause::Variable { name, fault, accepted } => {
                write!(f, "{name} {fault}; accepted: {accepted}")
            }
        }
    }
}

impl std::error::Error for Error {}
