//! Fits the help of all subcommands to the terminal.

use clap::Command;
use clap::builder::StyledStr;

use super::text::wrap_with_indent;

/// Wider lines are hard to read.
const COLUMNS_MAX: usize = 100;
/// The lines of lists, each of which stays one. They are indented so.
const LIST_INDENT: usize = 2;

/// Breaks the help of a command for a terminal of so many columns. Without one, lines stay as they are.
pub(crate) fn fit_help(command: Command, columns: Option<usize>) -> Command {
    let Some(columns) = columns else { return command.term_width(0) };
    fit_to_columns(command.term_width(columns.min(COLUMNS_MAX)), columns.min(COLUMNS_MAX))
}

fn fit_to_columns(mut command: Command, columns: usize) -> Command {
    let fit = |text: &StyledStr| break_again(&text.to_string(), columns);
    if let Some(text) = command.get_after_help().map(fit) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(fit) {
        command = command.after_long_help(text);
    }
    command.mut_subcommands(|subcommand| fit_to_columns(subcommand, columns))
}

/// Breaks a text whose paragraphs are broken for another width.
fn break_again(text: &str, columns: usize) -> String {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines() {
        match paragraphs.last_mut() {
            Some(last) if continues(last, line) => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ => paragraphs.push(line.to_owned()),
        }
    }
    let broken = paragraphs.iter().flat_map(|paragraph| {
        let hanging = if indent_of(paragraph) == LIST_INDENT { LIST_INDENT } else { 0 };
        wrap_with_indent(paragraph, columns, hanging)
    });
    broken.collect::<Vec<_>>().join("\n")
}

/// Whether a line belongs to the paragraph of the line before it.
fn continues(before: &str, line: &str) -> bool {
    let indent = indent_of(line);
    !before.is_empty() && !line.is_empty() && indent != LIST_INDENT && indent == indent_of(before)
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_again_and_lists_stay() {
        let text =
            "One two three\nfour five.\n\nExamples:\n  a b c d e f\n  g\n      doc of\n      g";
        let narrow = "One two\nthree four\nfive.\n\nExamples:\n  a b c d e\n    f\n  g\n      doc of\n      g";
        assert_eq!(break_again(text, 12), narrow);
        let wide = "One two three four five.\n\nExamples:\n  a b c d e f\n  g\n      doc of g";
        assert_eq!(break_again(text, 80), wide);
    }
}
