//! JSON that is spread over several lines, where one line is one value.

/// Follows JSON over several lines, so that it is told once and not for each line.
#[derive(Debug, Default)]
pub(crate) struct SpreadJson {
    is_inside: bool,
    was_told: bool,
}

impl SpreadJson {
    /// Notes a line and returns whether it is a part. Such JSON begins with a line that ends in an opening
    /// bracket. What follows is indented, up to the next bracket at the start of a line.
    pub(crate) fn is_part(&mut self, line: &[u8]) -> bool {
        let was_inside = self.is_inside;
        match line.first() {
            Some(b'{' | b'[') => {
                self.is_inside = Self::begins_with(line);
                self.is_inside
            }
            Some(b'}' | b']') => {
                self.is_inside = false;
                was_inside
            }
            _ => was_inside,
        }
    }

    /// Whether a line begins JSON over several lines.
    pub(crate) fn begins_with(line: &[u8]) -> bool {
        matches!(line.first(), Some(b'{' | b'['))
            && matches!(line.trim_ascii_end(), [.., b'{' | b'['])
    }

    /// Whether the last line that was noted is followed by further parts.
    pub(crate) fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// What is said of a part that alone does not parse: nothing after the first time.
    pub(crate) fn notice(&mut self, command: &str) -> Option<String> {
        let was_told = std::mem::replace(&mut self.was_told, true);
        (!was_told).then(|| {
            format!("looks like JSON over several lines: jq -c . FILE | llm-audit {command}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SpreadJson;

    #[test]
    fn json_over_several_lines_is_told_from_bad_lines() {
        let mut spread = SpreadJson::default();
        for (line, expected) in [
            ("{\"a\":", false),
            ("{\r\n", true),
            ("  \"a\": [\n", true),
            ("  ]\n", true),
            ("}\n", true),
            ("\"a\": 1\n", false),
            ("[\n", true),
            ("{\"a\":1}\n", false),
            ("  1\n", false),
        ] {
            assert_eq!(spread.is_part(line.as_bytes()), expected, "{line:?}");
        }
        assert!(spread.notice("redact").is_some() && spread.notice("redact").is_none());
    }
}
