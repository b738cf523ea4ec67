//! Arguments that several subcommands take.

mod dir;
mod environment;
mod rules;

pub(crate) use dir::Dir;
pub(crate) use environment::with_environment;
pub(crate) use rules::Rules;
