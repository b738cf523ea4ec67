//! Redaction: text in, redacted text out. The crate `llm-audit-redact`, under the recorder's name.

#[cfg(feature = "tracing")]
pub(crate) use llm_audit_redact::floor_word;
pub(crate) use llm_audit_redact::{
    Around, KeyClass, KeyNumbers, Matches, Pairs, Place, Role, Secrecy, debug, floor_char_boundary,
    protect_variables, redact_nested,
};
pub use llm_audit_redact::{
    Error, Kind, LineKind, Match, PrivateKeyLines, Profile, ProtectedValue, RedactingWriter,
    Redactions, Replacement, Sanitizer, SanitizerBuilder, protect_environment, protect_value,
};
