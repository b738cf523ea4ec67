//! How a step ended.

use memchr::memmem;

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// It did what was asked.
    #[default]
    Ok,
    /// It failed.
    Error,
    /// It took too long.
    Timeout,
    /// It will be tried again.
    Retry,
}

impl Status {
    /// Every status, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Timeout, Self::Retry];

    /// The name as it is in a line.
    #[inline]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Retry => "retry",
        }
    }

    /// Whether the step did not do what was asked: `error` or `timeout`.
    #[inline]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Error | Self::Timeout)
    }

    /// The colour of the status on a terminal, as the parameter of an SGR escape sequence.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Error => "31",
            Self::Timeout => "35",
            Self::Retry => "33",
        }
    }

    /// Finds the status of a line as this library writes it, without parsing the line.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        const FIELD: &[u8] = br#""status":""#;
        // No JSON string contains these bytes, since its quotes are escaped, and `data` comes later.
        let value = &line[memmem::find(line, FIELD)? + FIELD.len()..];
        Self::from_name(std::str::from_utf8(value.split(|byte| *byte == b'"').next()?).ok()?)
    }

    /// The status of a failure with an error of this type: a timeout for names such as `timeout`, `DeadlineExceeded`
    /// and `tokio::time::error::Elapsed`, and for the status codes 408 and 504.
    pub fn of_error_type(error_type: &str) -> Self {
        let alphanumeric = error_type.chars().filter(char::is_ascii_alphanumeric);
        let letters: String = alphanumeric.map(|c| c.to_ascii_lowercase()).collect();
        let words = ["timeout", "timedout", "deadlineexceeded", "elapsed"];
        match matches!(&*letters, "408" | "504") || words.iter().any(|word| letters.contains(word))
        {
            true => Self::Timeout,
            false => Self::Error,
        }
    }

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}
