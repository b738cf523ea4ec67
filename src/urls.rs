//! URLs inside of texts, without what may name a person.

/// Returns the text with every URL cut after its host.
pub(crate) fn without_url_paths(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
        let (url, rest) = part.split_at(part.find(is_end).unwrap_or(part.len()));
        // Punctuation after the URL, as in `for url (…)`.
        let after = &url[url.trim_end_matches([')', ']', ',', ';', ':', '.']).len()..];
        let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len() - after.len())];
        let host = authority.rsplit('@').next().unwrap_or_default();
        out.extend(["://", host, after, rest]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_end_with_their_host() {
        for (text, expected) in [
            ("no url", "no url"),
            ("error for url (https://a.example/m/ana?q=x)", "error for url (https://a.example)"),
            ("at https://ana:pw@a.example:8443: x", "at https://a.example:8443: x"),
            ("GET \"http://[::1]:80/a)b?c=d\" http://b", "GET \"http://[::1]:80\" http://b"),
        ] {
            assert_eq!(without_url_paths(text), expected);
        }
    }
}
