//! Redacts text. These are the items of the crate `llm-audit-redact`.

#[cfg(feature = "macros")]
pub(crate) use llm_audit_redact::debug;
#[cfg(any(feature = "macros", feature = "tracing"))]
#[allow(unused_imports, reason = "one of the two features alone does not use it")]
pub(crate) use llm_audit_redact::floor_word;
#[cfg(feature = "tower")]
pub(crate) use llm_audit_redact::is_sensitive_header;
#[cfg(any(feature = "tower", feature = "tracing"))]
pub(crate) use llm_audit_redact::mend_lone_surrogates;
pub use llm_audit_redact::{
    Error, Finding, Kind, LineKind, Match, PrivateKeyLines, Profile, ProtectedValue,
    RedactingWriter, Redactions, Replacement, Sanitizer, SanitizerBuilder, protect_environment,
    protect_value, sanitize,
};
pub(crate) use llm_audit_redact::{
    Fate, Frame, KeyClass, KeyNumbers, Matches, ObjectForm, ObjectProbe, Shape, Slot, TextNote,
    TypeValue, floor_char_boundary, is_phone_number, may_begin_json, protect_variables,
    redact_nested,
};
