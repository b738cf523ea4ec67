//! Lines that belong together: settings, manifests and structures over several lines.
//!
//! A name may be on one line and its value on the next. What begins such a block is rare in logs, so
//! most lines are blocks of their own.

/// What a block is, which decides which lines belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A line and those that are further to the right, up to a closing bracket or tag below it.
    Indented {
        /// The blanks before the first line.
        indent: usize,
    },
    /// The assignments below a head in brackets, as in TOML and INI files.
    Section,
    /// A YAML document of Kubernetes.
    Manifest,
}

impl Block {
    /// The block that begins with this line.
    pub(super) fn beginning_with(line: &str) -> Option<Self> {
        let (indent, content) = split_indent(line);
        let content = content.trim_end();
        let member = content.trim_start_matches("- ");
        if member.starts_with("apiVersion:") || member.starts_with("kind:") {
            return Some(Self::Manifest);
        }
        if indent == 0 && content.starts_with('[') && content.ends_with(']') && is_head(content) {
            return Some(Self::Section);
        }
        let opens = content.ends_with(['{', '[', '(', ':', '|']) || content.starts_with("- ");
        let is_tag = content.starts_with('<') && content.ends_with('>') && !content.contains("</");
        let is_open_tag = is_tag && !content.ends_with("/>");
        (opens || is_open_tag).then_some(Self::Indented { indent })
    }

    /// Returns whether this line belongs to the block, and whether it is the last one for certain.
    pub(super) fn continues_with(self, line: &str) -> Continues {
        let (indent, content) = split_indent(line);
        let content = content.trim_end();
        match self {
            Self::Indented { indent: of_first } => {
                let closes = content.starts_with(['}', ']', ')']) || content.starts_with("</");
                match indent {
                    _ if content.is_empty() => Continues::No,
                    deeper if deeper > of_first => Continues::Yes,
                    same if same == of_first && closes => Continues::AndEnds,
                    _ => Continues::No,
                }
            }
            Self::Section if content.contains('=') && !content.starts_with('[') => Continues::Yes,
            Self::Section => Continues::No,
            Self::Manifest if content == "---" || !is_yaml(indent, content) => Continues::No,
            Self::Manifest => Continues::Yes,
        }
    }
}

/// Whether a line belongs to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continues {
    Yes,
    AndEnds,
    No,
}

/// The blanks before a line, and the rest. Signs of a plan of Terraform count as blanks.
fn split_indent(line: &str) -> (usize, &str) {
    let content = line.trim_start_matches([' ', '\t']);
    let content = match content.get(..2) {
        Some("+ " | "~ ") => content[2..].trim_start(),
        Some("- ") if line.len() > content.len() && content.contains(" = ") => {
            content[2..].trim_start()
        }
        _ => content,
    };
    (line.len() - content.len(), content)
}

/// Returns whether it is a name in brackets, and not a list.
fn is_head(content: &str) -> bool {
    let name = content.trim_matches(['[', ']']);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:\" ".contains(&b))
}

/// Returns whether a line can be part of a YAML document: it is further to the right, empty, a comment,
/// an element, or a name and a colon.
fn is_yaml(indent: usize, content: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-\"'".contains(&b))
    };
    let has_name = || {
        let (name, rest) = content.split_once(':').unwrap_or_default();
        is_name(name) && (rest.is_empty() || rest.starts_with(' '))
    };
    indent > 0
        || content.is_empty()
        || content.starts_with(['#', '}'])
        || content.starts_with("- ")
        || has_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines the first block of a text has; 0 if its first line begins none.
    fn block_lines(text: &str) -> usize {
        let mut lines = text.lines();
        let Some(block) = lines.next().and_then(Block::beginning_with) else { return 0 };
        let mut count = 1;
        for line in lines {
            match block.continues_with(line) {
                Continues::Yes => count += 1,
                Continues::AndEnds => return count + 1,
                Continues::No => break,
            }
        }
        count
    }

    #[test]
    fn lines_that_belong_together_are_one_block() {
        for (text, lines) in [
            ("env:\n  - name: a\n    value: b\nnext: x", 3),
            ("  - name: a\n    value: b\n  - name: c", 2),
            ("variable \"a\" {\n  type = string\n  default = \"b\"\n}\nvariable \"c\" {", 4),
            ("  + setting {\n      + name = \"a\"\n      + value = \"b\"\n    }\nx", 4),
            ("Var {\n    name: \"a\",\n    value: Some(\n        \"b\",\n    ),\n}\n}", 6),
            ("[[settings]]\nname = \"a\"\nvalue = \"b\"\n\n[x]", 3),
            ("<setting name=\"a\">\n  <value>b</value>\n</setting>\n<x>", 3),
            ("apiVersion: v1\ndata:\n  a: b\nkind: Secret\n\n# x\n---\nkind: x", 6),
            ("kind: Secret\nmetadata:\n  name: x\n2026-01-02 INFO started", 3),
            ("password:\n  secret\nx", 2),
        ] {
            assert_eq!(block_lines(text), lines, "{text}");
        }
    }

    #[test]
    fn most_lines_are_blocks_of_their_own() {
        for text in [
            "2026-01-02 03:04:05 INFO a = b\n  c",
            "{\"a\":1}\n  x",
            "[\"a\", \"b\"]\nx = y",
            "<a>b</a>\n  x",
            "<a/>\n  x",
            "",
            "a",
        ] {
            assert_eq!(block_lines(text), 0, "{text}");
        }
    }
}
