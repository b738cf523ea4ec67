//! How does the attribute learn what a type can do? By method resolution on [`Pick`]: of several
//! traits with the same method that one is taken whose receiver needs the fewest dereferences, and
//! one whose bounds do not hold is passed over. It sees concrete types, references, and generic
//! parameters by their bounds.

use std::any::type_name;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::ops::Deref;

use serde::Serialize;

use crate::event::ErrorDetail;
use crate::record::members::Value;
use crate::recorder::Outlet;
use crate::sanitize::{Redactions, debug};

/// What is asked what it can do: `(&&&Pick(&value)).audit_span_value()` and so on.
#[derive(Debug)]
pub struct Pick<'a, T>(pub &'a T);

/// What `capture_args` may name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded: it implements neither `serde::Serialize` nor `Debug`",
    label = "named in `capture_args`, but neither `Serialize` nor `Debug`",
    note = "derive one of them, or leave the argument out of `capture_args(...)`"
)]
pub trait Recordable {}

/// First choice: as its `Serialize` has it.
pub trait SerializeValue<'a> {
    fn audit_span_value(&self) -> Value<'a>;
    fn audit_span_named_value(&self) -> Value<'a> {
        self.audit_span_value()
    }
}

impl<'a, T: Serialize> SerializeValue<'a> for &&Pick<'a, T> {
    fn audit_span_value(&self) -> Value<'a> {
        Value::payload(self.0)
    }
}

/// Then the text of its `Debug`.
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

/// Then the name of its type.
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

/// First choice: an error of the standard library's kind, with its sources.
pub trait StandardError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Error> StandardError for &&&&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::from_error(self.0)
    }
}

/// Then what points to one: `Box<dyn Error>`, `anyhow::Error` and the like.
pub trait InnerError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Deref<Target: Error>> InnerError for &&&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::of_chain(type_name::<E>(), &**self.0)
    }
}

/// Then its text.
pub trait DisplayError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E: Display> DisplayError for &&Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::new(type_name::<E>(), self.0.to_string())
    }
}

/// Then the text of its `Debug`.
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

/// Then its type alone.
pub trait AnyError {
    fn audit_span_detail(&self) -> ErrorDetail<'static>;
}

impl<E> AnyError for Pick<'_, E> {
    fn audit_span_detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::new(type_name::<E>(), "")
    }
}

/// What a function returned: `Split(&returned).audit_span_split()` is its value and its error.
#[derive(Debug)]
pub struct Split<'a, R>(pub &'a R);

/// The error of a function that does not return a `Result`.
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

/// Any other type is a value.
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
