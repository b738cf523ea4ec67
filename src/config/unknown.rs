//! Variables that look like settings but are not known, and the closest known names.

use std::ffi::OsString;
use std::fmt;

use llm_audit_log::edit_distance;

use super::variables::VARIABLES;

/// What the names of the library's own variables begin with.
const PREFIX: &str = "AUDIT_";
/// Variables that only the command reads.
const OF_THE_COMMAND: [&str; 1] = ["AUDIT_RECEIVE_TOKEN"];

/// A variable of the environment that begins with `AUDIT_` and is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The known name that is closest to it.
    pub closest: &'static str,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        write!(f, "{name} is not a known variable; the closest is {}", self.closest)
    }
}

/// Returns those of the names that begin with `AUDIT_` and are not known, in order.
pub(crate) fn find_unknown_variables(
    names: impl IntoIterator<Item = OsString>,
) -> Vec<UnknownVariable> {
    let is_unknown = |name: &String| {
        name.starts_with(PREFIX) && known_variable_names().all(|known| known != name)
    };
    let names = names.into_iter().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(is_unknown).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| UnknownVariable { closest: closest_variable_name(&name), name })
        .collect()
}

fn known_variable_names() -> impl Iterator<Item = &'static str> {
    let own = VARIABLES.iter();
    let own = own.flat_map(|variable| [variable.name()].into_iter().chain(variable.fallback()));
    own.chain(OF_THE_COMMAND)
}

fn closest_variable_name(name: &str) -> &'static str {
    known_variable_names().min_by_key(|known| edit_distance(name, known)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_the_one_that_was_meant() {
        for (name, meant) in [
            ("AUDIT_FSYCN", "AUDIT_FSYNC"),
            ("AUDIT_LOGDIR", "AUDIT_LOG_DIR"),
            ("AUDIT_SAMPLE_RATE", "TRACE_SAMPLE_RATE"),
            ("AUDIT_ERROR_SAMPLE_RATE", "ERROR_SAMPLE_RATE"),
            ("AUDIT_QUEUE_SIZE", "AUDIT_QUEUE_BYTES"),
            ("AUDIT_RETENTION", "AUDIT_RETENTION_DAYS"),
            ("AUDIT_debug", "AUDIT_DEBUG"),
        ] {
            assert_eq!(closest_variable_name(name), meant, "{name}");
        }
    }

    #[test]
    fn only_names_of_ours_are_unknown() {
        let names = [
            "AUDIT_FSYNC",
            "AUDIT_RECEIVE_TOKEN",
            "AUDIT_FSYCN",
            "PATH",
            "LLM_AUDIT_FSYCN",
            "AUDITOR",
            "AUDIT_DBUG\n",
        ];
        let unknown = find_unknown_variables(names.map(OsString::from));
        let texts: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        let expected = [
            "AUDIT_DBUG\\n is not a known variable; the closest is AUDIT_DEBUG",
            "AUDIT_FSYCN is not a known variable; the closest is AUDIT_FSYNC",
        ];
        assert_eq!(texts, expected);
    }
}
