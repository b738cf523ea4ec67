//! Output for people: exit codes, colours, text, units and progress.

mod counts;
mod exit;
mod help;
mod html;
mod progress;
mod spread;
mod style;
mod table;
mod text;
mod units;

pub(crate) use counts::print_counts;
pub(crate) use exit::{CommandExit, CommandFailure, close_log_on_signals, complain_on_stderr};
pub(crate) use help::fit_help;
pub(crate) use html::{escape_html, html_document, write_page};
pub(crate) use progress::Progress;
pub(crate) use spread::SpreadJson;
pub(crate) use style::Style;
pub(crate) use table::Table;
pub(crate) use text::{
    escape_for_terminal, escape_json_for_terminal, fit_to_width, terminal_columns, terminal_rows,
    wrap_to_terminal, wrap_to_width,
};
pub(crate) use units::{
    format_count, format_dollars, format_duration, format_exact_cost, format_period, format_time,
    sparkline,
};
