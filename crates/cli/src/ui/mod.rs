//! Output for people: exit codes, colours, text, units and progress.

mod exit;
mod progress;
mod style;
mod text;
mod units;

pub(crate) use exit::{Exit, Failure, close_on_signals, complain};
pub(crate) use progress::Progress;
pub(crate) use style::Style;
pub(crate) use text::{columns, fitted, shown, shown_json};
pub(crate) use units::{count, dollars, duration, exact, time};
