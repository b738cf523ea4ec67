//! Every public path and signature of `llm-audit`, named as a user's crate would name it.
//!
//! Most of this is checked when it compiles and never runs. An item that moves to another crate
//! has to stay reachable under its path here, with the same signature.
//!
//! One file covers one module of the library. A line that names an item pins it:
//!
//! - functions and methods: `let _: fn(&A) -> B = path;`. A generic one is called by a function that
//!   has the same bounds. Requiring more, or returning less, does not compile;
//! - fields ([`fields!`]), variants ([`variants!`]), traits ([`implement!`]) and `#[must_use]`
//!   ([`must_be_used!`]);
//! - a function whose error may become that of another crate: [`converted`].
//!
//! The lines allow what stays compatible: new items, and `#[non_exhaustive]` on results, enums of
//! settings and kinds of lines.
#![expect(dead_code, reason = "compiling is the test")]
#![expect(clippy::extra_unused_lifetimes, reason = "the types of `let _` use them")]
#![deny(unfulfilled_lint_expectations)]

mod alerts;
mod context;
mod environment;
mod event;
mod export;
mod layer;
mod logger;
mod metrics;
mod pricing;
mod reader;
mod replay;
mod sanitize;
mod settings;
mod shipping;
mod span;
mod testing;

use std::error::Error;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// What a value has that any thread may share, also across a caught panic.
trait Plain: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe {}
impl<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + ?Sized> Plain for T {}

/// What a value has that any thread may share.
trait Shared: Send + Sync + Unpin {}
impl<T: Send + Sync + Unpin + ?Sized> Shared for T {}

/// Converts the error of a call as a user's `?` does. The error may be of any type that behaves.
fn converted<T, E>(result: Result<T, E>) -> Result<T, llm_audit::Error>
where
    E: Error + Send + Sync + 'static,
    llm_audit::Error: From<E>,
{
    Ok(result?)
}

/// Takes the place of a value in code that never runs.
fn any<T>() -> T {
    unreachable!("this code is only compiled")
}

/// Pins which traits a type implements.
macro_rules! implement {
    ($($type:ty: $($bound:path),+;)+) => {
        $(const _: fn() = || {
            fn is<T: $($bound +)+>() {}
            is::<$type>();
        };)+
    };
}

/// Pins that a type does not implement a trait.
macro_rules! not_implement {
    ($($type:ty: $bound:path;)+) => {
        $(const _: fn() = || {
            trait Ambiguous<A> {
                fn once() {}
            }
            impl<T> Ambiguous<()> for T {}
            struct Implemented;
            impl<T: $bound> Ambiguous<Implemented> for T {}
            <$type as Ambiguous<_>>::once();
        };)+
    };
}

/// Pins the types of public fields, which are read through a raw pointer: nothing coerces there.
macro_rules! fields {
    ($type:ty { $($field:tt: $kind:ty),+ $(,)? }) => {
        const _: fn(&$type) = |value| {
            $(let _: *const $kind = &raw const value.$field;)+
        };
    };
}

/// Pins that variants without fields are there to construct and to match.
macro_rules! variants {
    ($enum:ident { $($variant:ident),+ $(,)? }) => {
        const _: fn($enum) = |value| {
            $(let _: $enum = $enum::$variant;)+
            #[allow(unreachable_patterns, reason = "the enum may become non-exhaustive")]
            match value {
                $($enum::$variant => {})+
                _ => {}
            }
        };
    };
}

/// Pins that the compiler warns when a value of this type is dropped unused.
macro_rules! must_be_used {
    ($($type:ty),+ $(,)?) => {
        $(const _: fn() = || {
            #[expect(unused_must_use)]
            fn unused() {
                crate::any::<$type>();
            }
        };)+
    };
}

use {fields, implement, must_be_used, not_implement, variants};
