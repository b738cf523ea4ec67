//! Which events of a log are asked for.

mod expression;
mod filter;
mod parse;

pub use expression::Expression;
pub use filter::Filter;
