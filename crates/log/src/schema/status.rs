//! How a step ended.

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It did what was asked.
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

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}
