//! Arguments that several subcommands take.

mod dir;
mod environment;
mod events;
mod filter;
mod followed;
mod input;
mod rules;
mod unknown;

/// Reads a count, for options such as `-n`.
pub(crate) fn parse_count(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "a whole number is needed")
}

pub(crate) use dir::LogDir;
pub(crate) use environment::help_with_environment;
pub(crate) use events::{Damage, EventsRead, complain_of_bad_lines, complain_of_damage};
pub(crate) use filter::{FilterArgs, parse_duration, parse_time};
pub(crate) use followed::Followed;
pub(crate) use input::LogInput;
pub(crate) use rules::RuleArgs;
pub(crate) use unknown::complain_of_unknown_type;
