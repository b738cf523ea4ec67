//! One environment variable, and the macro that makes a setting of it.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::values::SECRET;
use super::variables::Settings;
use crate::error::Error;

/// An environment variable that sets a setting.
#[derive(Clone, Copy)]
pub struct Variable {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    /// The lines of the documentation. The first paragraph is for every page; the rest is for the builder.
    pub(super) lines: &'static [&'static str],
    /// The default in the documentation if it differs from machine to machine.
    pub(super) default: Option<&'static str>,
    pub(super) accepted: fn() -> String,
    pub(super) is_secret: fn() -> bool,
    /// Sets the setting. The error is what is accepted.
    pub(super) set: fn(&mut Settings, &OsStr) -> Result<(), String>,
    pub(super) show: fn(&Settings) -> String,
    /// Checks the setting, whoever set it. The error is what is accepted.
    pub(super) check: fn(&Settings) -> Result<(), String>,
    pub(super) fallback: Option<Fallback>,
}

/// Another variable that sets the same setting if the first is not set.
#[derive(Clone, Copy)]
pub(super) struct Fallback {
    pub(super) name: &'static str,
    pub(super) set: fn(&mut Settings, &OsStr) -> Result<(), String>,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Variable {
    /// Returns its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the name of another variable that decides if this one is not set.
    pub fn fallback(&self) -> Option<&'static str> {
        self.fallback.as_ref().map(|fallback| fallback.name)
    }

    /// Returns the heading that documentation puts it under.
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// Returns a sentence or more in Markdown, without links and on one line.
    pub fn documentation(&self) -> String {
        let paragraph =
            self.lines.iter().map(|line| line.trim()).take_while(|line| !line.is_empty());
        paragraph.collect::<Vec<_>>().join(" ")
    }

    /// Returns the value that holds if neither the environment nor the builder sets one.
    pub fn default_value(&self) -> String {
        self.default.map_or_else(|| (self.show)(&Settings::default()), str::to_owned)
    }

    /// Describes the accepted values.
    pub fn accepted(&self) -> String {
        (self.accepted)()
    }

    /// Returns the value of this setting.
    pub(crate) fn show(&self, settings: &Settings) -> String {
        (self.show)(settings)
    }

    /// Returns whether this build uses the setting. Otherwise the variable may be for another library, with
    /// other values.
    fn is_used(&self) -> bool {
        (cfg!(feature = "otlp") || !self.name.starts_with("OTEL_"))
            && (cfg!(feature = "alerts") || !self.is_of_alerts())
    }

    fn is_of_alerts(&self) -> bool {
        self.group == "Alerts"
    }

    /// Sets what the environment says, and returns the name of the variable that said it.
    pub(crate) fn read(
        &self,
        settings: &mut Settings,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<&'static str>, Error> {
        let fallback = self.fallback.as_ref().map(|fallback| (fallback.name, fallback.set));
        let mut decided_by = None;
        // The variable itself is the last, so it decides. The fallback is checked in any case.
        for (name, set) in fallback.into_iter().chain([(self.name, self.set)]) {
            // The OpenTelemetry specification treats an empty variable as one that is not set.
            let Some(given) = lookup(name).filter(|given| !given.is_empty()) else { continue };
            let Err(accepted) = set(settings, &given) else {
                decided_by = Some(name);
                continue;
            };
            if self.is_used() {
                let shown = match (self.is_secret)() {
                    true => SECRET.into(),
                    false => given.to_string_lossy(),
                };
                return Err(Error::config(name, shown, accepted));
            }
        }
        Ok(decided_by)
    }

    /// Refuses a value that is not accepted, whoever set it.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), Error> {
        let is_forbidden = self.is_of_alerts() && settings.alerts.asked == Some(false);
        if !self.is_used() || is_forbidden {
            return Ok(());
        }
        (self.check)(settings)
            .map_err(|accepted| Error::config(self.name, self.show(settings), accepted))
    }
}

/// Joins tables. `N` is the number of their variables.
pub(super) const fn joined<const N: usize>(tables: &[&[Variable]]) -> [Variable; N] {
    let mut all = [tables[0][0]; N];
    let (mut table, mut row, mut at) = (0, 0, 0);
    while table < tables.len() {
        if row == tables[table].len() {
            (table, row) = (table + 1, 0);
            continue;
        }
        all[at] = tables[table][row];
        (row, at) = (row + 1, at + 1);
    }
    all
}

/// Declares [`Settings`], the table of variables, and the plain methods of the builder.
///
/// An entry has its documentation, the variable's name, and the kind of its values. Then comes one of:
///
/// - `fn name(argument: Given): Type = default`: a field of this name, and a method of the builder that
///   sets it.
/// - `at path`: the place in `Settings` that it sets. Its field is listed in `fields`, and its method of
///   the builder is written by hand.
///
/// Three things may follow, in this order:
///
/// - `or "NAME" = kind`: a variable that decides if this one is not set.
/// - `if relation`: a check that looks at other settings, too.
/// - `shown "text"`: the default in the documentation.
macro_rules! settings {
    (
        fields { $($(#[$about:meta])* $other:ident: $other_type:ty = $other_default:expr,)* }
        $(group $group:literal $(
            $(#[doc = $line:literal])+
            $name:literal = $values:expr
            $(, fn $field:ident($argument:ident: $given:ty): $type:ty = $default:expr)?
            $(, at $($path:ident).+)?
            $(, or $fallback:literal = $fallback_values:expr)?
            $(, if $relation:path)?
            $(, shown $shown:literal)?;
        )+)+
    ) => {
        /// The settings of a logger. Every field has its final value.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Settings {
            $($(#[$about])* pub(crate) $other: $other_type,)*
            $($($(pub(crate) $field: $type,)?)+)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($other: $other_default,)*
                    $($($($field: $default,)?)+)+
                }
            }
        }

        /// The variables of the table.
        const TABLE: &[Variable] = &[$($(
            settings!(
                @variable $group, [$($line),+], $name, $values,
                [$($field)? $($($path).+)?],
                [$($fallback, $fallback_values)?], [$($relation)?], [$($shown)?]
            ),
        )+)+];

        impl Builder {
            $($(settings!(
                @setter [$($line)+] $name $(fn $field($argument: $given): $type)?
            );)+)+
        }
    };

    (
        @variable $group:expr, [$($line:expr),+], $name:expr, $values:expr,
        [$($place:ident).+],
        [$($fallback:expr, $fallback_values:expr)?], [$($relation:path)?], [$($shown:literal)?]
    ) => {
        Variable {
            name: $name,
            group: $group,
            lines: &[$($line),+],
            default: settings!(@shown $($shown)?),
            accepted: || $values.accepted(),
            is_secret: || $values.is_secret(),
            set: |settings, given| {
                settings.$($place).+ = $values.read(given)?;
                Ok(())
            },
            show: |settings| $values.show(&settings.$($place).+),
            check: |settings| {
                $($relation(settings)?;)?
                match $values.accepts(&settings.$($place).+) {
                    true => Ok(()),
                    false => Err($values.accepted()),
                }
            },
            fallback: settings!(@fallback [$($place).+] $($fallback, $fallback_values)?),
        }
    };

    (@shown) => { None };
    (@shown $shown:literal) => { Some($shown) };

    (@fallback [$($place:ident).+]) => { None };
    (@fallback [$($place:ident).+] $name:expr, $values:expr) => {
        Some(Fallback {
            name: $name,
            set: |settings, given| {
                settings.$($place).+ = $values.read(given)?;
                Ok(())
            },
        })
    };

    (@setter [$($line:literal)+] $name:literal) => {};
    (
        @setter [$($line:literal)+] $name:literal
        fn $field:ident($argument:ident: $given:ty): $type:ty
    ) => {
        $(#[doc = $line])+
        #[doc = ""]
        #[doc = concat!("The variable is `", $name, "`.")]
        pub fn $field(self, $argument: $given) -> Self {
            let value: $type = $argument.into();
            self.set(move |settings| settings.$field = value)
        }
    };
}

pub(super) use settings;
