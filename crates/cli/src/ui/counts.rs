//! Named counts, such as an accounting.

use std::io::{self, Write};

/// Prints each count in a line, with its name in so many columns, or all as the members of one JSON object. Names need no
/// escapes.
pub(crate) fn print_counts(
    counts: &[(&str, u64)],
    name_columns: usize,
    as_json: bool,
) -> io::Result<()> {
    let text: String = match as_json {
        true => {
            let members = counts.iter().map(|(name, count)| format!("\"{name}\":{count}"));
            format!("{{{}}}\n", members.collect::<Vec<_>>().join(","))
        }
        false => {
            let line = |(name, count): &(&str, u64)| format!("{name:<name_columns$}{count:>10}\n");
            counts.iter().map(line).collect()
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
