//! URLs inside of texts, without what may name a person.

/// Returns the text with every URL cut after its host.
#[cfg(any(feature = "macros", feature = "tower"))]
pub(crate) fn without_url_paths(text: &str) -> String {
    cut_urls(text, |_| true, str::to_owned)
}

/// Returns the text with every URL cut after its host, and each host as `shown` makes it.
///
/// Punctuation at the end of a URL belongs to the text, as in `for url (…)`: a `]` only if `may_end_with_bracket` says
/// so of the URL.
pub(crate) fn cut_urls(
    text: &str,
    may_end_with_bracket: impl Fn(&str) -> bool,
    shown: impl Fn(&str) -> String,
) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
        let (url, rest) = part.split_at(part.find(is_end).unwrap_or(part.len()));
        let is_after =
            |c| matches!(c, ')' | ',' | ';' | ':' | '.') || c == ']' && may_end_with_bracket(url);
        let after = &url[url.trim_end_matches(is_after).len()..];
        let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len() - after.len())];
        let host = authority.rsplit('@').next().unwrap_or_default();
        out.extend(["://", &shown(host), after, rest]);
    }
    out
}

#[cfg(all(test, any(feature = "macros", feature = "tower")))]
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
