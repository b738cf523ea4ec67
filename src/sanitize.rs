//! Redaction: text in, redacted text out. The crate `llm-audit-redact`, under the recorder's name.

pub use llm_audit_redact::{
    Error, Kind, LineKind, Match, PrivateKeyLines, Profile, ProtectedValue, RedactingWriter,
    Redactions, Replacement, Sanitizer, SanitizerBuilder, protect_environment, protect_value,
};
pub(crate) use llm_audit_redact::{
    Fate, Frame, KeyNumbers, Matches, Secrecy, Shape, Slot, debug, floor_char_boundary, floor_word,
    protect_variables, redact_nested,
};
