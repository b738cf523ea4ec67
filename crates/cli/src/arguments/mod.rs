//! Arguments that several subcommands take.

mod dir;
mod rules;

pub(crate) use dir::Dir;
pub(crate) use rules::Rules;
