//! Lines that are longer than an event of CloudWatch Logs may be.

use llm_audit_log::Line;
use serde_json::{Map, Value};

use super::chunks::{EVENT_BYTES, REQUEST_BYTES_MAX};
use crate::shipper::LineSource;

/// The longest message of an event.
pub(super) const MESSAGE_BYTES_MAX: usize = REQUEST_BYTES_MAX - EVENT_BYTES;

/// Returns the line, or its fields without the payload if it is too long. `cut` then says where all of it is.
pub(super) fn message_of(line: &Line<'_>, source: &LineSource<'_>) -> String {
    let text = String::from_utf8_lossy(source.bytes);
    if text.len() <= MESSAGE_BYTES_MAX {
        return text.into_owned();
    }
    let (mut fields, mut left) = (Map::new(), FIELDS_BYTES_MAX);
    for (name, value) in line.json().members() {
        let text = serde_json::to_string(&value).unwrap_or_default();
        let bytes = name.len() + text.len();
        if bytes <= left.min(MEMBER_BYTES_MAX) {
            left -= bytes;
            fields.insert(name.to_owned(), serde_json::from_str(&text).unwrap_or(Value::Null));
        }
    }
    let place = serde_json::json!({
        "file": source.file, "offset": source.offset, "bytes": source.bytes.len(),
    });
    fields.insert("cut".to_owned(), place);
    Value::Object(fields).to_string()
}

/// The longest member that a line keeps when it is cut. The schema has some twenty of them.
const MEMBER_BYTES_MAX: usize = 8_192;
/// The most that all of them take. Escapes make a text up to six times as long.
const FIELDS_BYTES_MAX: usize = 128 << 10;
