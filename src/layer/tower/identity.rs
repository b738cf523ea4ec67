//! Whom a request is for, as its headers say.

use http::header::{HeaderMap, HeaderName};

use crate::config::percent_decoded;

/// The longest id that is read, in bytes.
const ID_BYTES_MAX: usize = 256;
/// The most bytes of baggage that are read, as many as the standard requires.
const BAGGAGE_BYTES_MAX: usize = 8_192;
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Returns the id in a header, if it is there. It is empty if the header is there twice or cannot be an id, so that
/// baggage does not take its place.
pub(super) fn id_in_header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    let only = Some(first).filter(|_| all.next().is_none());
    let text = only.and_then(|only| std::str::from_utf8(only.as_bytes()).ok());
    Some(text.and_then(id_of).unwrap_or_default())
}

/// Returns the id under the first of these names that W3C baggage has one for.
///
/// The header is a list of `name=value;properties`, and values are percent-encoded.
pub(super) fn member_of_baggage(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    let all = headers.get_all(BAGGAGE);
    if all.iter().map(|header| header.len()).sum::<usize>() > BAGGAGE_BYTES_MAX {
        return None;
    }
    let texts = all.iter().filter_map(|header| header.to_str().ok());
    let members = texts.flat_map(|text| text.split(',')).filter_map(|member| {
        let (name, value) = member.split(';').next()?.split_once('=')?;
        Some((name.trim(), value))
    });
    let members: Vec<_> = members.collect();
    let value = |wanted: &&str| {
        let (_, value) = members.iter().find(|(name, _)| name == wanted)?;
        id_of(&percent_decoded(value.trim())?)
    };
    names.iter().find_map(value)
}

/// Returns a text as an id, unless it is empty, too long, or has a control character.
fn id_of(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    let is_id = !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.contains(char::is_control);
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn an_id_is_one_short_header_without_controls() {
        let (long, longest) = ("a".repeat(257), "b".repeat(256));
        let cases: [(&[&str], Option<&str>); 10] = [
            (&["u-1842"], Some("u-1842")),
            (&[" ann@example.org "], Some("ann@example.org")),
            (&["\u{fc}nal"], Some("\u{fc}nal")),
            (&[], None),
            (&["a\tb"], Some("")),
            (&["c1\u{85}"], Some("")),
            (&[""], Some("")),
            (&["u-1", "u-2"], Some("")),
            (&[&long], Some("")),
            (&[&longest], Some(&longest)),
        ];
        for (values, expected) in cases {
            let all: Vec<_> = values.iter().map(|value| ("x-user", *value)).collect();
            let found = id_in_header(&headers(&all), &HeaderName::from_static("x-user"));
            assert_eq!(found.as_deref(), expected, "{values:?}");
        }
        let mut latin = HeaderMap::new();
        latin.insert("x-user", http::HeaderValue::from_bytes(b"\xfcnal").unwrap());
        let found = id_in_header(&latin, &HeaderName::from_static("x-user"));
        assert_eq!(found.as_deref(), Some(""));
    }

    #[test]
    fn baggage_is_read_as_the_standard_has_it() {
        let cases: [(&[&str], Option<&str>); 9] = [
            (&["user.id=ann"], Some("ann")),
            (&["a=1, user.id = ann ;p=1;q"], Some("ann")),
            (&["a=1", "enduser.id=bob,b=2"], Some("bob")),
            (&["enduser.id=bob,user.id=ann"], Some("ann")),
            (&["user.id=ann%40example.org"], Some("ann@example.org")),
            (&["user.id=%0aann"], None),
            (&["user.id=a%0ab"], None),
            (&["user.id=%ff"], None),
            (&["user.id=,user_id=ann,xuser.id=ann"], None),
        ];
        for (values, expected) in cases {
            let all: Vec<_> = values.iter().map(|value| ("baggage", *value)).collect();
            let found = member_of_baggage(&headers(&all), &["user.id", "enduser.id"]);
            assert_eq!(found.as_deref(), expected, "{values:?}");
        }
        let full = format!("user.id=ann,a={}", "b".repeat(BAGGAGE_BYTES_MAX - 14));
        assert_eq!(
            member_of_baggage(&headers(&[("baggage", &full)]), &["user.id"]).as_deref(),
            Some("ann")
        );
        let over = [("baggage", &*full), ("baggage", "c")];
        assert_eq!(member_of_baggage(&headers(&over), &["user.id"]), None);
    }
}
