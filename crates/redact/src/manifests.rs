//! Finds the values in Secrets of Kubernetes in YAML, whose names may say nothing.
//!
//! `data` may be before `kind`, so a whole text is read line by line. Each line is looked at once.

use std::ops::Range;

use llm_audit_process::cell::Lazy;
use memchr::memmem::Finder;

use super::keys::MANIFEST_KIND;
use super::placeholders::is_in_placeholder;
use super::steps::count_steps;
use super::{Kind, Match};

/// Mappings that are open at once. If there are more, the outermost ones are forgotten.
const MAPPINGS_MAX: usize = 32;

/// Returns whether a text may have such a manifest in it.
pub(super) fn may_have_manifest(text: &str) -> bool {
    const KIND: &[u8] = b"kind";
    static FINDER: Lazy<Finder<'_>> = Lazy::new(|| Finder::new(KIND));
    let text = text.as_bytes();
    memchr::memchr(b'\n', text).is_some()
        && FINDER.find_iter(text).any(|at| {
            let Some(value) = without_quote(&text[at + KIND.len()..]).strip_prefix(b":") else {
                return false;
            };
            without_quote(value.trim_ascii_start()).starts_with(MANIFEST_KIND.as_bytes())
        })
}

fn without_quote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").or(text.strip_prefix(b"'")).unwrap_or(text)
}

/// Returns the values in all such manifests of a text, in any order.
#[cold]
pub(super) fn find_manifest_values(text: &str) -> Vec<Match> {
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
#[derive(Default)]
struct Mapping {
    indent: usize,
    is_secret: bool,
    has_version: bool,
    /// It is an item of a list, or the outermost one.
    is_alone: bool,
    /// A value is not a text, as in no manifest. A number may become a placeholder.
    has_other_values: bool,
    /// The quote that is open at the end of a line.
    quote: Option<char>,
    /// Its key `data` is open, and the names there have so many blanks before them, if one was read.
    data: Option<Option<usize>>,
    /// The values of that key.
    values: Vec<Range<usize>>,
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
        if content.is_empty() {
            return;
        }
        if indent == 0 && content.starts_with("---") {
            return self.close_mappings(0);
        }
        if let Some(open) = self.mappings.iter_mut().rfind(|open| open.data.is_some())
            && indent > open.indent
        {
            return open.read_data(start + indent, indent, content);
        }
        if content.starts_with('#') {
            return;
        }
        let member =
            content.strip_prefix("- ").map_or(content, |item| item.trim_start_matches(' '));
        let at = indent + content.len() - member.len();
        self.close_mappings(indent + 1);
        let Some((name, value)) = name_and_value(member) else { return };
        if self.mappings.last().is_none_or(|open| open.indent < at) {
            if self.mappings.len() == MAPPINGS_MAX {
                self.mappings.remove(0);
            }
            let is_alone = at > indent || self.mappings.is_empty();
            self.mappings.push(Mapping { indent: at, is_alone, ..Mapping::default() });
        }
        let Some(open) = self.mappings.last_mut() else { return };
        open.is_secret |= name == "kind" && unquoted(without_comment(value)) == MANIFEST_KIND;
        open.has_version |= name == "apiVersion" && !value.is_empty();
        open.data = None;
        if matches!(name, "data" | "stringData") {
            open.data = Some(None);
            open.read_flow(start + line.len() - value.len(), value);
        }
    }

    /// Closes the mappings with at least so many blanks before their members.
    fn close_mappings(&mut self, indent: usize) {
        while let Some(closed) = self.mappings.pop_if(|open| open.indent >= indent) {
            let is_manifest = closed.is_secret
                && (closed.has_version || closed.is_alone && !closed.has_other_values);
            let values = closed.values.into_iter().filter(|_| is_manifest);
            let secrets = values.filter(|value| is_secret_value(&self.text[value.clone()]));
            self.found.extend(secrets.map(|value| Match {
                start: value.start,
                end: value.end,
                kind: Kind::Credential,
            }));
        }
    }
}

impl Mapping {
    /// Reads a line of the data: a name and its value, or a further line of a value.
    fn read_data(&mut self, start: usize, indent: usize, content: &str) {
        let names_indent = *self.data.get_or_insert_default().get_or_insert(indent);
        if indent > names_indent {
            let inside = self.quote.and_then(|quote| content.strip_suffix(quote));
            self.quote = self.quote.filter(|_| inside.is_none());
            return self.values.push(start..start + inside.unwrap_or(content).len());
        }
        self.quote = None;
        if let Some((_, value)) = name_and_value(content) {
            self.read_value(start + content.len() - value.len(), value);
        }
    }

    /// Reads the members of a mapping in braces: `{a: …, b: …}`. If it does not end on its line, it is not
    /// read.
    fn read_flow(&mut self, start: usize, value: &str) {
        let Some(inside) = value.strip_prefix('{') else { return };
        if !without_comment(value).ends_with('}') {
            return self.data = None;
        }
        let (mut at, mut quote) = (0, None);
        for (end, byte) in inside.bytes().chain([b'}']).enumerate() {
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b',' | b'}') => {
                    let member = inside[at..end].trim_start();
                    if let Some((_, value)) = name_and_value(member) {
                        self.read_value(start + 1 + end - value.len(), value);
                    }
                    at = end + 1;
                }
                _ => {}
            }
            if at > inside.len() || quote.is_none() && byte == b'}' {
                break;
            }
        }
    }

    /// Reads a value that begins at a place, on one line.
    fn read_value(&mut self, start: usize, value: &str) {
        let value = without_comment(value);
        let is_head = value.starts_with(['|', '>']) && value.len() <= 3;
        let inside = unquoted(value);
        if inside.len() < value.len() {
            return self.values.push(start + 1..start + 1 + inside.len());
        }
        self.quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
        let quote = usize::from(self.quote.is_some());
        let is_other = matches!(value, "true" | "false" | "yes" | "no");
        let is_structure = value.starts_with(['{', '[']) && !is_template(value);
        self.has_other_values |= is_other || is_structure && !is_placeholder(value);
        if !is_head && !is_structure && !matches!(value, "null" | "~") {
            self.values.push(start + quote..start + value.len());
        }
    }
}

/// Returns the name and the value of a member of a mapping.
fn name_and_value(member: &str) -> Option<(&str, &str)> {
    let (name, value) = member.split_once(':')?;
    let name = name.trim_start_matches('\u{feff}');
    let is_one = !name.is_empty()
        && (!name.contains(' ') || unquoted(name).len() < name.len())
        && (value.is_empty() || value.starts_with([' ', '\t']));
    is_one.then(|| (unquoted(name), value.trim_start()))
}

/// Returns a value without what follows it on its line.
fn without_comment(value: &str) -> &str {
    let quoted =
        value.starts_with(['"', '\'']).then(|| value[1..].rfind(value.as_bytes()[0] as char));
    match quoted.flatten() {
        Some(length) => &value[..length + 2],
        None => value.find(" #").map_or(value, |end| &value[..end]).trim_end(),
    }
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or(inside('\'')).unwrap_or(value)
}

/// Returns whether a value is not empty, nor a placeholder of ours or of a template.
fn is_secret_value(value: &str) -> bool {
    !value.is_empty() && !is_placeholder(value) && !is_template(value)
}

fn is_placeholder(value: &str) -> bool {
    value.starts_with('[') && is_in_placeholder(value, 0..value.len())
}

/// Returns whether all of a value is one of a template: `{{ … }}`, `${…}`, `(( … ))`, `<…>`, `$NAME`.
fn is_template(value: &str) -> bool {
    let is_between = |(open, close)| value.starts_with(open) && value.ends_with(close);
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    [("{{", "}}"), ("${", "}"), ("$(", ")"), ("((", "))"), ("<", ">")].into_iter().any(is_between)
        || value.strip_prefix('$').is_some_and(|name| name.chars().all(is_name))
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
        for given in [
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: @d2FsbnV0@\n  b: @Y29wcGVy@\n",
            "data:\n  a: @d2FsbnV0@\nkind: Secret\nstringData:\n  b: \"@walnut@\"\n  c: '@it''s@'\n",
            "items:\n- data:\n    a: @walnut@\n  kind: Secret\n- data:\n    a: stays\n  kind: ConfigMap\n\
             - kind: 'Secret'\n  data:\n    b: @copper@\n",
            "kind: Secret\nstringData:\n  a.yaml: |\n    @x: walnut@\n    @# copper@\n  b: @w@\ntype: Opaque\n",
            "kind: Secret\ndata:\n  a: @walnut@\n---\nkind: ConfigMap\ndata:\n  a: stays\n",
            "kind: Secret # of lemon\n# x\ndata: # d\n  # of x\n  a: @walnut@ # y\n  b: \"@w # x@\" # z\n",
            "kind: Secret\ndata: {a: @walnut@, b: \"@c, d@\", e: }\ntype: Opaque\n",
            "\u{feff}\"apiVersion\": \"v1\"\n\"kind\": \"Secret\"\n\"data\":\n  \"a b\":\t\"@walnut@\"\n",
            "x:\n  kind:\tSecret\n  data:\n    a: @$walnut@\n    b: @${X}walnut@\n  apiVersion: v1\n",
            "kind: Secret\ndata:\n  a: \"@walnut@\n    @copper@\"\n  b: @c@\n",
            "x ana.b\ndata:\n  a: @walnut@\n  password: @q7Xk2Lm9@\n  c: @copper@\nkind: \"Secret\"\n",
        ] {
            for given in [given.to_owned(), given.replace('\n', "\r\n")] {
                let parts: Vec<&str> = given.split('@').collect();
                let plain = parts.concat();
                let expected: String = (0..parts.len())
                    .map(|at| if at % 2 == 0 { parts[at] } else { "[REDACTED_credential]" })
                    .collect();
                assert_eq!(redacted(&plain), expected);
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "kind: ConfigMap\ndata:\n  a: walnut7copper\n",
            "kind: SecretProviderClass\ndata:\n  a: walnut7copper\n",
            "kind: Secret\nmetadata:\n  name: walnut7copper\n",
            "spec:\n  kind: Secret\ndata:\n  a: walnut7copper\n",
            "kind: Secret\n---\nkind: ConfigMap\ndata:\n  a: walnut7copper\n",
            "kind: Secret\ndata:\n  a: {{ .Values.walnut7 | b64enc }}\n  b: ${COPPER}\n",
            "kind: Secret\ndata:\n  # a: walnut7copper\nx: y\n",
            "kind: Secret\ndata:\n  a: null\n  b: ~\n  c: (( vault walnut7 ))\n  d: <walnut7>\n",
            "kind: Secret\ndata: {a: walnut7copper,\n  b: copper}\n",
            "match:\n  kind: Secret\n  data:\n    present: walnut7copper\n",
            "kind: Secret\ndata:\n  a: walnut7copper\n  b: true\n",
            "kind: Secret\ndata: walnut7copper\n",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn each_line_is_looked_at_once() {
        for text in [
            "- kind: Secret\n  data:\n    a: walnut\n".repeat(2000),
            (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth % 400))).collect::<String>()
                + "kind: Secret\ndata:\n  a: walnut\n",
            "kind: Secret\ndata: {a: ".repeat(2000),
            format!("kind: Secret\ndata: {{{}}}", "a: b, ".repeat(9000)),
            "kind:Secret".repeat(2000) + "\n",
        ] {
            let before = STEPS.get();
            let _ = Sanitizer::default().matches(&text).count();
            let steps = STEPS.get() - before;
            assert!(steps < 100 * text.len(), "{steps} steps for {} bytes", text.len());
        }
    }

    #[test]
    fn redacting_twice_changes_nothing() {
        let parts = [
            "kind: Secret\n",
            "data:\n",
            "stringData:",
            "\n",
            "  ",
            " ",
            "a: ",
            "walnut",
            "\"",
            "'",
            "{",
            "}",
            ",",
            "password: ",
            "q7Xk2Lm9Zt4R",
            "# ",
            "- ",
            "---\n",
            "ana@otter.test",
            "|\n",
            "\r\n",
            "[REDACTED]",
            "é",
        ];
        let mut rng = fastrand::Rng::with_seed(8);
        for _ in 0..20_000 {
            let text: String = ["kind: Secret\n", "data:"]
                .into_iter()
                .chain((0..14).map(|_| parts[rng.usize(..parts.len())]))
                .collect();
            redacted(&text);
        }
    }
}
