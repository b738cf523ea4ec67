//! How the command speaks: exit codes, errors, colours, and text that cannot harm a terminal.

use std::borrow::Cow;
use std::env;
use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use llm_audit::reader::Folder;
use llm_audit::{Status, Usd};
use serde_json::value::RawValue;
use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a command ends where nothing kept it from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    Finding,
    NoData,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::NoData => 3,
        })
    }
}

/// What kept a command from its work, for a person to read; exit code 2.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    /// The output was closed by who reads it.
    pub(crate) is_closed_pipe: bool,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_closed_pipe: false }
    }

    pub(crate) fn writing(error: io::Error) -> Self {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { what: format!("cannot write the output: {error}"), is_closed_pipe }
    }

    pub(crate) fn stdin(error: io::Error) -> Self {
        Self::new(format!("cannot read stdin: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<llm_audit::reader::Error> for Failure {
    fn from(error: llm_audit::reader::Error) -> Self {
        llm_audit::Error::from(error).into()
    }
}

impl From<llm_audit::Error> for Failure {
    fn from(error: llm_audit::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Says something on stderr, in one piece. Where stderr is gone too, nobody is left to tell.
pub(crate) fn complain(what: impl Display) {
    let what = what.to_string();
    let lines: Vec<_> = what.lines().map(shown).collect();
    let _ = io::stderr().write_all(format!("llm-audit: {}\n", lines.join("\n")).as_bytes());
}

/// From now on Ctrl-C and SIGTERM close the log before they end the process.
pub(crate) fn close_on_signals() -> Result<(), Failure> {
    #[cfg(unix)]
    llm_audit::close_on_signals()?;
    Ok(())
}

/// Which folder the log is in.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Dir {
    /// Folder of the log [default: AUDIT_LOG_DIR, else logs]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Dir {
    pub(crate) fn path(&self) -> PathBuf {
        let named = || env::var_os("AUDIT_LOG_DIR").filter(|dir| !dir.is_empty());
        self.dir.clone().or_else(|| named().map(PathBuf::from)).unwrap_or_else(|| "logs".into())
    }

    /// The folder, where it is there and has files of the log; says so where not.
    pub(crate) fn open(&self) -> Result<Option<Folder>, Failure> {
        let path = self.path();
        if !path.try_exists().unwrap_or(true) {
            complain(format_args!("no data: there is no folder {}", path.display()));
            return Ok(None);
        }
        let folder = Folder::open(&path)?;
        if folder.files().is_empty() {
            complain(format_args!(
                "no data: no audit-*.jsonl or audit-*.jsonl.zst in {}",
                path.display()
            ));
            return Ok(None);
        }
        Ok(Some(folder))
    }
}

/// Whether and how output is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) colour: bool,
}

impl Style {
    /// For stdout: colours on a terminal that has them, unless `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: !refused && io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn by_status(self, status: Option<Status>, text: &str) -> String {
        match status {
            Some(Status::Ok) => self.paint("32", text),
            Some(Status::Error) => self.paint("31", text),
            Some(Status::Timeout) => self.paint("35", text),
            Some(Status::Retry) => self.paint("33", text),
            None => text.to_owned(),
        }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// `text` with everything that a terminal would obey, or that would turn the line around, spelled
/// out: `\u{1b}`.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// JSON that says the same and harms no terminal either: `\u009b`. What JSON itself does not let
/// stand in a string is whitespace between its values.
pub(crate) fn shown_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\u{7f}'.. if is_unsafe(c) => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            _ if is_unsafe(c) => safe.push(' '),
            _ => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

/// `text` in at most `width` columns.
pub(crate) fn fitted(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut fitted, mut columns) = (String::new(), 1);
    for c in text.chars() {
        columns += c.width().unwrap_or(0);
        if columns > width {
            break;
        }
        fitted.push(c);
    }
    fitted + "…"
}

/// How many columns stdout has; `None` where it is no terminal.
pub(crate) fn columns() -> Option<usize> {
    terminal_size_of(io::stdout()).map(|(Width(columns), _)| usize::from(columns).clamp(40, 400))
}

/// A time as people read it, in UTC.
pub(crate) fn time(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        Err(_) => "out of range".to_owned(),
    }
}

/// Milliseconds in the unit that people say them in, at most seven characters below a day.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => "?".to_owned(),
        ms if ms < 99.95 => format!("{ms:.1}ms"),
        ms if ms < 999.5 => format!("{ms:.0}ms"),
        ms if ms < 59_995.0 => format!("{:.2}s", ms / 1e3),
        ms if ms < 3_599_500.0 => {
            let seconds = (ms / 1e3).round();
            format!("{:.0}m{:02.0}s", (seconds / 60.0).floor(), seconds % 60.0)
        }
        ms => {
            let minutes = (ms / 6e4).round();
            format!("{:.0}h{:02.0}m", (minutes / 60.0).floor(), minutes % 60.0)
        }
    }
}

/// An amount as the number it is, with all of its digits, for `--json`.
pub(crate) fn exact(cost: Usd) -> Option<Box<RawValue>> {
    RawValue::from_string(cost.to_string()).ok()
}

/// US dollars: cents where they are enough, else up to six digits behind the point.
pub(crate) fn dollars(cost: Usd) -> String {
    let digits = format!("{:.6}", cost.as_f64());
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let fraction = fraction.trim_end_matches('0');
    format!("${whole}.{fraction:0<2}")
}

/// `3 events`, `1 event`.
pub(crate) fn count(n: u64, what: &str) -> String {
    let mut text = n.to_string();
    let _ = write!(text, " {what}{}", if n == 1 { "" } else { "s" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_safe() {
        let cases = [
            ("plain é 😀", "plain é 😀"),
            ("\x1b[2Jx", "\\u{1b}[2Jx"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn json_is_safe_and_says_the_same() {
        let value = "\u{9b}31m \u{202e}x\u{7f} é 名";
        let json = format!("{{\"a\":\r{}}}\t", serde_json::to_string(value).unwrap());
        let safe = shown_json(&json);
        assert_eq!(safe, "{\"a\": \"\\u009b31m \\u202ex\\u007f é 名\"} ");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap()["a"], value);
        assert!(matches!(shown_json("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }

    #[test]
    fn durations() {
        let cases = [
            (0.0, "0.0ms"),
            (12.34, "12.3ms"),
            (99.96, "100ms"),
            (999.9, "1.00s"),
            (59_999.0, "1m00s"),
            (125_000.0, "2m05s"),
            (3_600_000.0, "1h00m"),
            (f64::INFINITY, "?"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn money_and_counts() {
        let cases =
            [(0.0, "$0.00"), (1.5, "$1.50"), (0.000125, "$0.000125"), (12.3456, "$12.3456")];
        for (cost, expected) in cases {
            assert_eq!(dollars(Usd::try_from(cost).unwrap()), expected);
        }
        assert_eq!((count(1, "event"), count(0, "event")), ("1 event".into(), "0 events".into()));
    }
}
