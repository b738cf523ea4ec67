//! Text that cannot harm a terminal and fits its width.

use std::borrow::Cow;
use std::env;
use std::fmt::Write;
use std::io;

use terminal_size::{Height, Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns `text` with control characters and changes of direction spelled out, as in `\u{1b}`.
pub(crate) fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe_on_terminal) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe_on_terminal(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Returns equal JSON that is safe on a terminal: characters of strings become escapes such as
/// `\u009b`. Those that JSON forbids in strings can only be whitespace between values.
pub(crate) fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe_on_terminal) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\u{7f}'.. if is_unsafe_on_terminal(c) => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            _ if is_unsafe_on_terminal(c) => safe.push(' '),
            _ => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe_on_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

/// Cuts `text` to at most `width` columns.
pub(crate) fn fit_to_width(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
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

/// Breaks `text` between its words into lines of at most `width` columns. All but the first are indented by
/// two more. A word that is longer is broken.
pub(crate) fn wrap_to_width(text: &str, width: usize) -> Vec<String> {
    wrap_with_indent(text, width, 2)
}

/// Breaks `text` as [`wrap_to_width`] does, and indents all lines but the first by `more`.
pub(super) fn wrap_with_indent(text: &str, width: usize, more: usize) -> Vec<String> {
    let body = text.trim_start_matches(' ');
    let indent = (text.len() - body.len()).min(width / 2);
    let (mut lines, mut line) = (Vec::new(), " ".repeat(indent));
    let next_line = " ".repeat(indent + more);
    let mut used = indent;
    for (at, word) in body.split(' ').enumerate() {
        if at > 0 && used + 1 + word.width() <= width {
            line.push(' ');
            used += 1;
        } else if at > 0 {
            lines.push(std::mem::replace(&mut line, next_line.clone()));
            used = next_line.len();
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > width {
                lines.push(std::mem::replace(&mut line, next_line.clone()));
                used = next_line.len();
            }
            line.push(c);
            used += columns;
        }
    }
    lines.push(line);
    lines
}

/// Breaks a text as [`wrap_to_width`] does for stdout. It stays one line if that has no width.
pub(crate) fn wrap_to_terminal(text: &str) -> String {
    wrap_to_width(text, terminal_columns().unwrap_or(usize::MAX)).join("\n")
}

/// Returns how many rows of a table the terminal has room for, if stdout is one.
pub(crate) fn terminal_rows() -> Option<usize> {
    terminal_size_of(io::stdout())
        .map(|(_, Height(rows))| usize::from(rows).saturating_sub(6).max(1))
}

/// Returns how many columns stdout has, or the variable `COLUMNS` if it is not a terminal.
pub(crate) fn terminal_columns() -> Option<usize> {
    let of_terminal = terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into());
    let columns = of_terminal.or_else(|| env::var("COLUMNS").ok()?.parse().ok());
    columns.map(|columns: usize| columns.clamp(40, 400))
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
            assert_eq!(escape_for_terminal(text), expected);
        }
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let text = "instance 00ab  benefits on web-3, 12 events, 名前名前名前名前名前名前";
        assert_eq!(wrap_to_width(text, 100), [text]);
        let expected =
            ["instance 00ab  benefits on", "  web-3, 12 events,", "  名前名前名前名前名前名前"];
        assert_eq!(wrap_to_width(text, 26), expected);
        for width in 10..80 {
            let lines = wrap_to_width(text, width);
            assert!(lines.iter().all(|line| line.width() <= width), "{width} {lines:?}");
            let words = |text: &str| text.replace(' ', "");
            assert_eq!(words(&lines.concat()), words(text));
        }
    }

    #[test]
    fn json_is_safe_and_says_the_same() {
        let value = "\u{9b}31m \u{202e}x\u{7f} é 名";
        let json = format!("{{\"a\":\r{}}}\t", serde_json::to_string(value).unwrap());
        let safe = escape_json_for_terminal(&json);
        assert_eq!(safe, "{\"a\": \"\\u009b31m \\u202ex\\u007f é 名\"} ");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap()["a"], value);
        assert!(matches!(escape_json_for_terminal("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }
}
