//! Detects the traits of a type by method resolution on [`Pick`] ("autoref specialization").
//!
//! Several traits have the same method. The compiler takes the one whose receiver needs the fewest
//! dereferences, and skips a trait if its bounds do not hold. That works for concrete types, for
//! references, and for generic parameters by their bounds.

use std::any::type_name;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::ops::Deref;

use serde::Serialize;

use crate::panics::display_text;
use crate::record::event::ErrorDetail;
use crate::record::members::Value;
use crate::recorder::Outlet;
use crate::sanitize::{Redactions, debug};

/// Wraps a value whose traits are wanted, as in `(&&&Pick(&value)).audit_span_value()`.
#[derive(Debug)]
pub struct Pick<'a, T>(pub &'a T);

/// A type that `capture_args` may name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded: it implements neither `serde::Serialize` nor `Debug`",
    label = "named in `capture_args`, but neither `Serialize` nor `Debug`",
    note = "derive one of them, or leave the argument out of `capture_args(...)`"
)]
pub trait Recordable {}

/// First choice: the value that `Serialize` gives, except of a lock.
pub trait SerializeValue<'a> {
    fn audit_span_value(&self) -> Value<'a>;
    fn audit_span_named_value(&self) -> Value<'a> {
        self.audit_span_value()
    }
}

impl<'a, T: Serialize> SerializeValue<'a> for &&Pick<'a, T> {
    fn audit_span_value(&self) -> Value<'a> {
        match names_lock(type_name::<T>()) {
            true => Value::text(type_name::<T>()),
            false => Value::payload(self.0),
        }
    }
}

/// Returns whether a type is a lock, or a pointer, a container or a generic type around one. The
/// `Serialize` impl of a lock waits for it: the call would block, or change what `try_lock` returns.
fn names_lock(type_name: &str) -> bool {
    ["Mutex<", "RwLock<"].iter().any(|lock| type_name.contains(lock))
}

/// Second choice: the text of `Debug`.
pub trait DebugValue<'a> {
    fn audit_span_value(&self) -> Value<'a>;
    fn audit_span_named_value(&self) -> Value<'a> {
        self.audit_span_value()
    }
}

impl<'a, T: Debug> DebugValue<'a> for &Pick<'a, T> {
    fn audit_span_value(&self) -> Value<'a> {
        Value::debug(self.0)
    }
}

/// Last choice: the name of the type.
pub trait AnyValue<'a> {
    type Type;
    fn audit_span_value(&self) -> Value<'a>;
    fn audit_span_named_value(&self) -> Value<'a>
    where
        Self::Type: Recordable,
    {
        self.audit_span_value()
    }
}

impl<'a, T> AnyValue<'a> for Pick<'a, T> {
    type Type = T;
    fn audit_span_value(&self) -> Value<'a> {
        Value::text(type_name::<T>())
    }
}

/// First choice: an error that implements `std::error::Error`, with its sources.
pub trait StandardError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Error> StandardError for &&&&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::from_error(self.0)
    }
}

/// Second choice: a pointer to such an error, as `Box<dyn Error>` and `anyhow::Error` are.
pub trait InnerError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Deref<Target: Error>> InnerError for &&&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::from_named_error(type_name::<E>(), &**self.0)
    }
}

/// Third choice: the text of `Display`.
pub trait DisplayError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Display> DisplayError for &&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::new(type_name::<E>(), display_text(self.0))
    }
}

/// Fourth choice: the text of `Debug`.
pub trait DebugError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Debug> DebugError for &Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        let text =
            debug::redacted(self.0, &Outlet::default().sanitizer(), &mut Redactions::default());
        ErrorDetail::new(type_name::<E>(), text.unwrap_or_default())
    }
}

/// Last choice: the name of the type, without a text.
pub trait AnyError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E> AnyError for Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::new(type_name::<E>(), "")
    }
}

/// Splits a returned value: `Split(&returned).audit_span_split()` gives its value and its error.
#[derive(Debug)]
pub struct Split<'a, R>(pub &'a R);

/// The error type of a function that does not return a `Result`.
#[derive(Debug)]
pub enum NoError {}

impl<'a, T, E> Split<'a, Result<T, E>> {
    pub fn audit_span_split(&self) -> (Option<&'a T>, Option<&'a E>) {
        (self.0.as_ref().ok(), self.0.as_ref().err())
    }
}

impl<'a, T> Split<'a, Option<T>> {
    pub fn audit_span_split(&self) -> (Option<&'a T>, Option<&'a NoError>) {
        (self.0.as_ref(), None)
    }
}

/// Treats any other type as a value.
pub trait Plain<'a> {
    type Value;
    fn audit_span_split(&self) -> (Option<&'a Self::Value>, Option<&'a NoError>);
}

impl<'a, R> Plain<'a> for Split<'a, R> {
    type Value = R;
    fn audit_span_split(&self) -> (Option<&'a R>, Option<&'a NoError>) {
        (Some(self.0), None)
    }
}
