//! How far one name is from another, to tell which one was meant.

/// Counts the edits from one text to the other: characters inserted, removed or replaced, and
/// neighbours swapped.
pub fn edit_distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // The rows of the table are the characters of `from`; only the last three are kept.
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row; to.len() + 1];
        for column in 1..=to.len() {
            let is_same = from[row - 1] == to[column - 1];
            let mut edits = (last[column - 1] + usize::from(!is_same))
                .min(last[column] + 1)
                .min(current[column - 1] + 1);
            let (a, b) = (&from[..row], &to[..column]);
            if let ([.., a, b], [.., c, d]) = (a, b)
                && (a, b) == (d, c)
            {
                edits = edits.min(before_last[column - 2] + 1);
            }
            current[column] = edits;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "acb", 1),
            ("abc", "ac", 1),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
        ];
        for (from, to, edits) in cases {
            assert_eq!(edit_distance(from, to), edits, "{from} {to}");
        }
    }
}
