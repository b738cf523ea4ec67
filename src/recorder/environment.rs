//! Reads the environment without starting a logger: every setting, its value and its source.
//!
//! Use it for checks before a deployment, or for a page of a service that shows its configuration.
//! `llm-audit check` prints the same.
//!
//! # Examples
//!
//! ```
//! use llm_audit::environment::{Environment, VARIABLES};
//!
//! let environment = Environment::read();
//! for setting in &environment.settings {
//!     println!("{} = {}", setting.variable.name(), setting.value);
//! }
//! for error in &environment.refused {
//!     println!("{error}"); // init() would fail
//! }
//! assert_eq!(environment.settings.len(), VARIABLES.len());
//! ```

use std::env;
use std::ffi::OsString;

use crate::config::{self, Settings};
pub use crate::config::{UnknownVariable, Variable};
use crate::error::Error;
use crate::pricing::Pricing;
use crate::sanitize::protect_variables;

/// Every variable that the library reads, in the order of the documentation.
pub static VARIABLES: &[Variable] = config::VARIABLES;

/// The settings that a logger would take from the environment.
#[derive(Debug)]
#[non_exhaustive]
pub struct Environment {
    /// Every variable with its value, in the order of [`VARIABLES`].
    pub settings: Vec<Setting>,
    /// One error for each variable that is not accepted. If there is one, [`init`](crate::init)
    /// would fail.
    pub refused: Vec<Error>,
    /// Variables that begin with `AUDIT_` and are not known.
    pub unknown: Vec<UnknownVariable>,
}

/// One setting, with the value that a logger would use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// The variable.
    pub variable: &'static Variable,
    /// The value in use. If the value in the environment is refused, this is the default.
    pub value: String,
    /// What decided the value.
    pub source: Source,
}

/// What decides a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The default, because no variable is set.
    Default,
    /// The variable of this name: the setting's own or its [fallback](Variable::fallback).
    Environment(&'static str),
    /// Other settings, because the default does not fit them.
    Derived,
    /// The default, because the value in the environment is refused.
    Refused,
}

impl Environment {
    /// Reads the environment of the process. It starts no logger and changes no file. If
    /// `AUDIT_PRICING_FILE` is set, it reads that file.
    pub fn read() -> Self {
        Self::from_lookup(&|name| env::var_os(name), env::vars_os().map(|(name, _)| name))
    }

    fn from_lookup(
        lookup: &dyn Fn(&str) -> Option<OsString>,
        names: impl IntoIterator<Item = OsString>,
    ) -> Self {
        let (mut settings, mut refused) = (Settings::default(), Vec::new());
        let mut sources: Vec<_> = VARIABLES
            .iter()
            .map(|variable| read_variable_into(variable, &mut settings, lookup, &mut refused))
            .collect();
        let defaults = Settings::default();
        for (variable, source) in VARIABLES.iter().zip(&mut sources) {
            if *source == Source::Default && variable.show(&settings) != variable.show(&defaults) {
                *source = Source::Derived;
            }
        }
        for (name, error) in prepare_start_settings(&mut settings) {
            refused.push(error);
            let at = VARIABLES.iter().position(|variable| variable.name() == name);
            at.into_iter().for_each(|at| sources[at] = Source::Refused);
        }
        let setting = |(variable, source): (&'static Variable, Source)| {
            let settings = if source == Source::Refused { &defaults } else { &settings };
            Setting { variable, value: variable.show(settings), source }
        };
        let settings = VARIABLES.iter().zip(sources).map(setting).collect();
        Self { settings, refused, unknown: config::find_unknown_variables(names) }
    }
}

/// Stores a variable's value in the settings unless the value is refused.
fn read_variable_into(
    variable: &'static Variable,
    settings: &mut Settings,
    lookup: &dyn Fn(&str) -> Option<OsString>,
    refused: &mut Vec<Error>,
) -> Source {
    let mut changed = settings.clone();
    let source = variable.read(&mut changed, lookup).and_then(|source| {
        changed.fit_events_to_queue();
        variable.check(&changed).map(|()| source)
    });
    match source {
        Ok(source) => {
            *settings = changed;
            source.map_or(Source::Default, Source::Environment)
        }
        Err(error) => {
            // A variable of several settings is refused once.
            if refused.iter().all(|known| known.to_string() != error.to_string()) {
                refused.push(error);
            }
            Source::Refused
        }
    }
}

/// Runs those parts of a logger's start that need neither a folder nor a thread. Stores the names
/// of the protected variables in the settings. Returns each refused variable and its error.
fn prepare_start_settings(settings: &mut Settings) -> Vec<(&'static str, Error)> {
    let mut refused = Vec::new();
    match protect_variables(settings.redact_environment.take()) {
        Ok((names, _protected)) => settings.redact_environment = Some(names),
        Err(error) => refused.push(("AUDIT_REDACT_ENV", error.into())),
    }
    let file = settings.pricing_file.as_deref();
    if let Err(error) = Pricing::open(file, &settings.sanitizer) {
        refused.push(("AUDIT_PRICING_FILE", error));
    }
    refused
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        Environment::from_lookup(&lookup, variables.iter().map(|(name, _)| name.into()))
    }

    fn shown<'e>(environment: &'e Environment, name: &str) -> (&'e str, Source) {
        let setting =
            environment.settings.iter().find(|setting| setting.variable.name() == name).unwrap();
        (&setting.value, setting.source)
    }

    #[test]
    fn a_setting_has_its_value_and_its_source() {
        let other = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let environment = of(&[
            ("AUDIT_QUEUE_BYTES", "65536"),
            ("AUDIT_FILE_MODE", "640"),
            ("AUDIT_EXPORTER", "stdout,jsonfile"),
            ("AUDIT_DEBUG", ""),
            ("AUDIT_REDACT_ENV", "none"),
            (other, "span_only"),
        ]);
        for (name, expected) in [
            ("AUDIT_QUEUE_BYTES", ("65536", Source::Environment("AUDIT_QUEUE_BYTES"))),
            ("AUDIT_MAX_EVENT_BYTES", ("32768", Source::Derived)),
            ("AUDIT_FILE_MODE", ("0640", Source::Environment("AUDIT_FILE_MODE"))),
            ("AUDIT_EXPORTER", ("jsonfile, stdout", Source::Environment("AUDIT_EXPORTER"))),
            ("AUDIT_DEBUG", ("false", Source::Default)),
            ("AUDIT_REDACT_ENV", ("none", Source::Environment("AUDIT_REDACT_ENV"))),
            ("AUDIT_CAPTURE_CONTENT", ("true", Source::Environment(other))),
            ("AUDIT_RETENTION_DAYS", ("none", Source::Default)),
        ] {
            assert_eq!(shown(&environment, name), expected, "{name}");
        }
        assert!(environment.refused.is_empty() && environment.unknown.is_empty());
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_variable_of_several_settings_is_refused_once() {
        let environment = of(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")]);
        assert_eq!(environment.refused.len(), 1);
        for part in ["METRICS", "LOGS", "TRACES"] {
            let name = format!("OTEL_EXPORTER_OTLP_{part}_TIMEOUT");
            assert_eq!(shown(&environment, &name), ("10000", Source::Refused));
        }
    }

    #[test]
    fn every_refused_variable_is_named_at_once() {
        let given = [
            ("AUDIT_FSYNC", "sometimes"),
            ("AUDIT_QUEUE_BYTES", "1000"),
            ("AUDIT_MAX_TOTAL_BYTES", "5000"),
            ("AUDIT_PRICING_FILE", "/nonexistent/prices.json"),
            ("AUDIT_REDACT_ENV", "LLM_AUDIT_NOT_SET"),
        ];
        let environment = of(&given);
        let texts: Vec<_> = environment.refused.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), given.len(), "{texts:?}");
        for (name, _) in given {
            assert!(texts.iter().any(|text| text.contains(name)), "{name} {texts:?}");
            assert_eq!(shown(&environment, name).1, Source::Refused, "{name}");
        }
        assert_eq!(shown(&environment, "AUDIT_QUEUE_BYTES").0, "67108864");
        assert_eq!(shown(&environment, "AUDIT_MAX_EVENT_BYTES"), ("262144", Source::Default));
    }
}
