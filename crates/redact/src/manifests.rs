//! Finds the values of Kubernetes secrets in YAML, whose names may say nothing.
//!
//! `data` may be before `kind`, so a whole text is read line by line. Each line is looked at once.

use std::ops::Range;

use super::steps::count_steps;
use super::{Kind, Match};

/// Mappings that are open at once. If there are more, the outermost ones are forgotten.
const MAPPINGS_MAX: usize = 32;

/// Returns whether a text may have the manifest of a secret in it.
pub(super) fn may_have_secret(text: &str) -> bool {
    const KIND: &[u8] = b"kind:";
    let text = text.as_bytes();
    memchr::memchr(b'\n', text).is_some()
        && memchr::memmem::find_iter(text, KIND).any(|at| is_secret_kind(&text[at + KIND.len()..]))
}

/// Returns whether a value of YAML is the kind of a secret.
fn is_secret_kind(value: &[u8]) -> bool {
    let line = value.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(line.trim_ascii(), b"Secret" | b"\"Secret\"" | b"'Secret'")
}

/// Returns the values of all secrets in a text, in any order.
#[cold]
pub(super) fn find_secret_values(text: &str) -> Vec<Match> {
    let mut reader = ManifestReader { text, mappings: Vec::new(), found: Vec::new() };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        count_steps(line.len());
        reader.read_line(start, line.trim_end());
        start += line.len();
    }
    reader.close_mappings(0);
    reader.found
}

/// A mapping that is open.
struct Mapping {
    indent: usize,
    is_secret: bool,
    /// A value of its key `data` is being read.
    is_in_data: bool,
    /// The values of that key.
    values: Vec<Range<usize>>,
    /// The blanks before the names of those values.
    names_indent: Option<usize>,
}

struct ManifestReader<'t> {
    text: &'t str,
    mappings: Vec<Mapping>,
    found: Vec<Match>,
}

impl ManifestReader<'_> {
    fn read_line(&mut self, start: usize, line: &str) {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.is_empty() || content.starts_with('#') {
            return;
        }
        if content.starts_with("---") && indent == 0 {
            return self.close_mappings(0);
        }
        let at_data = self.mappings.iter().rposition(|open| open.is_in_data);
        if let Some(open) = at_data.map(|at| &mut self.mappings[at])
            && indent > open.indent
        {
            return open.read_value(start + indent, indent, content);
        }
        let item = content.strip_prefix("- ").map(|rest| rest.trim_start_matches(' '));
        let member = item.unwrap_or(content);
        let member_indent = indent + content.len() - member.len();
        self.close_mappings(indent + 1);
        if !is_member(member) {
            return;
        }
        if self.mappings.last().is_none_or(|open| open.indent < member_indent) {
            if self.mappings.len() == MAPPINGS_MAX {
                self.mappings.remove(0);
            }
            let (is_secret, is_in_data, values, names_indent) = (false, false, Vec::new(), None);
            self.mappings.push(Mapping {
                indent: member_indent,
                is_secret,
                is_in_data,
                values,
                names_indent,
            });
        }
        if let Some(open) = self.mappings.last_mut() {
            let kind = member.strip_prefix("kind:");
            open.is_secret |= kind.is_some_and(|kind| is_secret_kind(kind.as_bytes()));
            open.is_in_data = matches!(member, "data:" | "stringData:");
            open.names_indent = None;
        }
    }

    /// Closes the mappings with at least so many blanks before their members.
    fn close_mappings(&mut self, indent: usize) {
        while let Some(closed) = self.mappings.pop_if(|open| open.indent >= indent) {
            if closed.is_secret {
                let values = closed.values.into_iter().filter(|value| value.start < value.end);
                let matches = values.filter(|value| !is_placeholder(&self.text[value.clone()]));
                self.found.extend(matches.map(|value| Match {
                    start: value.start,
                    end: value.end,
                    kind: Kind::Credential,
                }));
            }
        }
    }
}

impl Mapping {
    /// Reads a line of the data: a name and its value, or a further line of the value.
    fn read_value(&mut self, start: usize, indent: usize, content: &str) {
        let names_indent = *self.names_indent.get_or_insert(indent);
        let name = content.find(':').filter(|&end| {
            indent <= names_indent && matches!(content.as_bytes().get(end + 1), None | Some(b' '))
        });
        let value = name.map_or(content, |end| content[end + 1..].trim_start());
        if name.is_some() && matches!(value, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
            return;
        }
        let from = start + content.len() - value.len();
        let inside = [b'"', b'\''].into_iter().find_map(|quote| {
            let quoted = value.as_bytes().strip_prefix(&[quote])?;
            Some(quoted.strip_suffix(&[quote]).unwrap_or(quoted).len())
        });
        let value = match inside {
            Some(length) => from + 1..from + 1 + length,
            None => from..from + value.len(),
        };
        self.values.push(value);
    }
}

/// Returns whether a line is a member of a mapping: a name without blanks and a colon.
fn is_member(line: &str) -> bool {
    let end = line.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(line.len());
    end > 0 && line[end..].starts_with(':')
}

fn is_placeholder(value: &str) -> bool {
    value.starts_with("[REDACTED") && value.find(']') == Some(value.len() - 1)
}

#[cfg(test)]
mod tests {
    use crate::Sanitizer;
    use crate::steps::STEPS;

    fn redacted(text: &str) -> String {
        let once = Sanitizer::default().redact_str(text).into_owned();
        assert_eq!(Sanitizer::default().redact_str(&once), once);
        once
    }

    #[test]
    fn every_value_of_a_secret_goes_whatever_its_name_is() {
        for (given, expected) in [
            (
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: b3R0ZXI=\n  b: bGVtb24=\n",
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: *\n  b: *\n",
            ),
            (
                "data:\n  a: b3R0ZXI=\nkind: Secret\nstringData:\n  b: \"otter\"\n",
                "data:\n  a: *\nkind: Secret\nstringData:\n  b: \"*\"\n",
            ),
            (
                "items:\n- data:\n    a: otter\n  kind: Secret\n- data:\n    a: stays\n  kind: ConfigMap\n\
                 - kind: 'Secret'\n  data:\n    b: lemon\n",
                "items:\n- data:\n    a: *\n  kind: Secret\n- data:\n    a: stays\n  kind: ConfigMap\n\
                 - kind: 'Secret'\n  data:\n    b: *\n",
            ),
            (
                "kind: Secret\nstringData:\n  a.yaml: |\n    x: otter\n    y: lemon\n  b: w\ntype: Opaque\n",
                "kind: Secret\nstringData:\n  a.yaml: |\n    *\n    *\n  b: *\ntype: Opaque\n",
            ),
            (
                "kind: Secret\ndata:\n  a: otter\n---\nkind: ConfigMap\ndata:\n  a: stays\n",
                "kind: Secret\ndata:\n  a: *\n---\nkind: ConfigMap\ndata:\n  a: stays\n",
            ),
            (
                "x ana@otter.test\ndata:\n  a: otter\n  password: q7Xk2Lm9\n  c: lemon\nkind: Secret\n",
                "x [REDACTED_email]\ndata:\n  a: *\n  password: *\n  c: *\nkind: Secret\n",
            ),
        ] {
            assert_eq!(redacted(given), expected.replace('*', "[REDACTED_credential]"));
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "kind: ConfigMap\ndata:\n  a: otter7lemon\n",
            "kind: SecretProviderClass\ndata:\n  a: otter7lemon\n",
            "kind: Secret\nmetadata:\n  name: otter7lemon\n",
            "spec:\n  kind: Secret\ndata:\n  a: otter7lemon\n",
            "kind: Secret\n---\nkind: ConfigMap\ndata:\n  a: otter7lemon\n",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn each_line_is_looked_at_once() {
        for text in [
            "- kind: Secret\n  data:\n    a: otter\n".repeat(2000),
            (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth % 400))).collect::<String>()
                + "kind: Secret\ndata:\n  a: otter\n",
        ] {
            let before = STEPS.get();
            let _ = Sanitizer::default().matches(&text).count();
            let steps = STEPS.get() - before;
            assert!(steps < 100 * text.len(), "{steps} steps for {} bytes", text.len());
        }
    }
}
