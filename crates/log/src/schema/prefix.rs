//! The beginning of a line as this library writes it, read without parsing the line.

/// How every line of this library begins, up to its instance.
const HEAD: &str = concat!("{\"event_version\":\"", super::version!(), "\",\"instance\":\"");
/// What follows the instance of an event.
const SEQ: &str = "\",\"seq\":";
/// The length of an instance.
const INSTANCE_BYTES: usize = 16;

/// Who wrote a line, and the number of the event in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefix<'l> {
    /// The logger that wrote the line.
    pub instance: &'l str,
    /// `None` for one of the log's own lines.
    pub seq: Option<u64>,
}

impl<'l> Prefix<'l> {
    /// Reads the beginning of `line`. Returns `None` if this library did not write it.
    pub fn of(line: &'l [u8]) -> Option<Self> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let rest = line.strip_prefix(HEAD.as_bytes())?;
        let (instance, rest) = rest.split_at_checked(INSTANCE_BYTES)?;
        let digits = rest.strip_prefix(SEQ.as_bytes()).unwrap_or_default();
        let end = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        Some(Self { instance: text(instance)?, seq: text(&digits[..end])?.parse().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::LineFields;

    #[test]
    fn what_the_writer_begins_with_is_read() {
        let instance = "0123456789abcdef";
        for seq in [None, Some(0), Some(7), Some(u64::MAX)] {
            let fields = LineFields {
                instance: Some(instance),
                seq,
                agent: Some("a"),
                ..LineFields::default()
            };
            let mut line = Vec::new();
            fields.write(&mut line);
            assert_eq!(Prefix::of(&line), Some(Prefix { instance, seq }));
        }
    }

    #[test]
    fn what_others_write_is_not() {
        let cases = [
            r#"{"instance":"0123456789abcdef","seq":1}"#,
            r#"{"event_version":"2.0","instance":"0123456789abcdef","seq":1}"#,
            r#"{"event_version":"3.0","instance":"0123"#,
            "",
        ];
        for case in cases {
            assert_eq!(Prefix::of(case.as_bytes()), None, "{case}");
        }
        let torn = br#"{"event_version":"3.0","instance":"0123456789abcdef","seq":"#;
        assert_eq!(Prefix::of(torn).and_then(|prefix| prefix.seq), None);
    }
}
