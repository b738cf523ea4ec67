//! Words of commands that are printed to be copied, or recorded.

use std::path::Path;

/// Returns a path, or another word, as one word of a shell. If it is an option or a variable with its value, only the
/// value is quoted: there the rules of redaction look for it.
pub fn shell_word(word: &Path) -> String {
    let word = word.display().to_string();
    if !word.is_empty() && is_plain(&word) {
        return word;
    }
    let (name, value) = word.split_at(value_start(&word));
    match value.contains('\'') {
        false => format!("{name}'{value}'"),
        true => format!("{name}\"{}\"", escaped(value)),
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "_./-+,:@%=".contains(c))
}

/// Returns where the value begins in `--name=value`, `NAME=value` and `-nvalue`, and otherwise 0.
fn value_start(word: &str) -> usize {
    let is_short = word.starts_with('-') && !word.starts_with("--");
    // In `-phunter2=` a value has begun already.
    let is_name = |name: &str| !is_short || !name.contains(|c: char| c.is_ascii_digit());
    let start = match word.split_once('=') {
        Some((name, _)) if is_name(name) => name.len() + 1,
        _ if is_short => 2,
        _ => 0,
    };
    if word.get(..start).is_some_and(is_plain) { start } else { 0 }
}

/// Returns a text as it is between double quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\\"$`".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::shell_word;

    const WORDS: [(&str, &str); 11] = [
        ("", "''"),
        ("logs/a-b.jsonl", "logs/a-b.jsonl"),
        ("my logs", "'my logs'"),
        ("Ana's $HOME\\ \"x\" `y`", "\"Ana's \\$HOME\\\\ \\\"x\\\" \\`y\\`\""),
        ("-phunter2&more", "-p'hunter2&more'"),
        ("-phunter2=&more", "-p'hunter2=&more'"),
        ("-Dpassword=a b", "-Dpassword='a b'"),
        ("--db2-password=a b", "--db2-password='a b'"),
        ("DB2_PASSWORD=a b", "DB2_PASSWORD='a b'"),
        ("https://example.com/?a=b", "'https://example.com/?a=b'"),
        ("-é ö", "'-é ö'"),
    ];

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        for (word, expected) in WORDS {
            let quoted = shell_word(Path::new(word));
            assert_eq!(quoted, expected);
            let script = format!("printf %s {quoted}");
            let read = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
            assert_eq!(String::from_utf8(read).unwrap(), word);
        }
    }
}
