//! Colours on a terminal.

use std::env;
use std::io::{self, IsTerminal};

use llm_audit::Status;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) colour: bool,
}

impl Style {
    /// Returns the style of stdout: colours on a terminal that has them, or anywhere if `CLICOLOR_FORCE`
    /// is set, but never if `NO_COLOR` is.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_wanted = is_set("CLICOLOR_FORCE") || io::stdout().is_terminal() && !is_dumb;
        Self { colour: is_wanted && !is_set("NO_COLOR") }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn paint_by_status(self, status: Option<Status>, text: &str) -> String {
        match status {
            Some(status) => self.paint(status.colour(), text),
            None => text.to_owned(),
        }
    }

    pub(crate) fn paint_error(self, text: &str) -> String {
        self.paint(Status::Error.colour(), text)
    }

    pub(crate) fn paint_bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn paint_faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}
