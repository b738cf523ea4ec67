//! What model calls cost: exact prices per token.

use crate::usage::Usage;

/// An amount of US dollars, exact: a whole number of 10⁻²⁷ dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

/// What a call of `model` with this usage costs; `None` where the price is not known.
pub fn calculate_cost(_model: &str, _usage: impl Into<Usage>) -> Option<Usd> {
    None
}
