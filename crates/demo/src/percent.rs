//! Texts inside a URL's query, and as names of files.

use std::fmt::Write as _;

/// `text` with every byte but letters, digits, `-` and `_` spelled in percent. As the name of a file
/// it leads nowhere else: neither `/` nor `.` is left.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_leads_elsewhere() {
        let cases = [
            ("transcripts/m-1", "transcripts%2Fm-1"),
            ("../etc", "%2E%2E%2Fetc"),
            ("a+b@c&d=é", "a%2Bb%40c%26d%3D%C3%A9"),
        ];
        for (text, encoded) in cases {
            assert_eq!(super::percent_encode(text), encoded);
        }
    }
}
