//! Which traces keep their content, [`CaptureContent`].

use serde::ser::{Serialize, Serializer};

use crate::json::Json;

/// In which traces layers and helpers record content: prompts, completions, arguments, results and
/// bodies (`AUDIT_CAPTURE_CONTENT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureContent {
    /// In none.
    #[default]
    Never,
    /// In all.
    Always,
    /// In those that fail. Until then, events with content wait in memory.
    Failed,
}

impl CaptureContent {
    /// The value of `AUDIT_CAPTURE_CONTENT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "false",
            Self::Always => "true",
            Self::Failed => "failed",
        }
    }

    /// Reads what `audit.start` says.
    pub(super) fn read(json: Json<'_>) -> Option<Self> {
        match json.as_bool() {
            Some(captures) => Some(captures.into()),
            None => (json.as_str()? == Self::Failed.name()).then_some(Self::Failed),
        }
    }
}

impl From<bool> for CaptureContent {
    /// Captures content in all traces, or in none.
    fn from(captures: bool) -> Self {
        if captures { Self::Always } else { Self::Never }
    }
}

impl Serialize for CaptureContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Failed => serializer.serialize_str(self.name()),
            _ => serializer.serialize_bool(*self == Self::Always),
        }
    }
}
