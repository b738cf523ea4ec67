//! Which events of a log are asked for, and their figures.

mod counting;
mod expression;
mod failures;
mod figures;
mod filter;
mod groups;
mod parse;
mod scan;
mod timeline;

pub use counting::{Basis, Counting, Sums};
pub use expression::Expression;
pub use failures::{Failure, Failures};
pub use figures::{Estimate, Figures};
pub use filter::{Filter, parse_time};
pub use groups::{GroupBy, Groups};
pub use scan::{Scan, Scanned};
pub use timeline::Timeline;
