//! Arguments that several subcommands take.

mod dir;
mod environment;
mod events;
mod filter;
mod input;
mod rules;

pub(crate) use dir::LogDir;
pub(crate) use environment::help_with_environment;
pub(crate) use filter::FilterArgs;
pub(crate) use input::LogInput;
pub(crate) use rules::RuleArgs;
