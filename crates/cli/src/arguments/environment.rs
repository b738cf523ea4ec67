//! The variables that `--help` lists, from the table of the library.

use std::fmt::Write as _;

use llm_audit::environment::VARIABLES;

const WIDTH: usize = 96;
const INDENT: &str = "      ";

/// Returns `after` and the variables that a logger reads, without those of groups that a subcommand has no use for.
pub(crate) fn help_with_environment(after: &str, unused_groups: &[&str]) -> String {
    let mut text = after.to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Environment:");
    for variable in VARIABLES.iter().filter(|of| !unused_groups.contains(&of.group())) {
        let (name, default) = (variable.name(), variable.default_value());
        let words = format!("{} Accepted: {}.", variable.documentation(), variable.accepted());
        let _ = write!(text, "\n  {name} [default: {default}]"); // a string takes everything
        wrap_help_text(&words.replace('`', ""), &mut text);
    }
    text
}

/// Adds indented lines of at most [`WIDTH`] columns, if every word fits one.
fn wrap_help_text(words: &str, text: &mut String) {
    let mut columns = WIDTH;
    for word in words.split(' ') {
        let width = word.chars().count() + 1;
        if columns + width > WIDTH {
            text.push('\n');
            text.push_str(INDENT);
            columns = INDENT.len();
        } else {
            text.push(' ');
        }
        text.push_str(word);
        columns += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_listed_and_every_line_fits() {
        let text = help_with_environment("Before.", &[]);
        assert!(text.starts_with("Before.\n\nEnvironment:\n"), "{text}");
        for variable in VARIABLES {
            assert!(text.contains(&format!("\n  {} [default: ", variable.name())), "{text}");
        }
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(!line.ends_with(' ') && !line.contains('`'), "{line}");
        }
    }
}
