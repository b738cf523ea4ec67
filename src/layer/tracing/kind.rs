//! The kind of an operation, read from its fields.

pub(super) use llm_audit_log::schema::gen_ai::OperationKind;

use super::fields::GenAiFields;
use super::names;

/// Returns the kind as far as the fields are known by now; `None` if no field decides it.
pub(super) fn kind_of_fields(fields: &GenAiFields) -> Option<OperationKind<'_>> {
    let models = [names::REQUEST_MODEL, names::RESPONSE_MODEL];
    let has_model = || models.iter().any(|names| fields.text(names).is_some());
    match fields.text(names::OPERATION) {
        Some(operation) => Some(OperationKind::of_name(operation, has_model())),
        None if fields.text(names::TOOL).is_some() => Some(OperationKind::Tool),
        None if has_model() || fields.usage().is_some() => Some(OperationKind::Model),
        None => None,
    }
}
