//! The chunks of a streamed answer, and the usage that they give together.

use llm_audit_log::json::Json;
use serde_json::{Map, Value};

/// The longest chunk of a stream that is read, and the longest body.
#[cfg(any(feature = "macros", feature = "tower"))]
pub(crate) const CHUNK_BYTES_MAX: usize = 1 << 20;
/// The depth to which the members of a chunk's usage are kept. No provider nests counts deeper.
const DEPTH_KEPT: usize = 4;
/// The number of elements kept of a list in it.
const ITEMS_KEPT: usize = 64;
/// The number of members kept of an object in it. The attributes of a span can be a hundred.
const MEMBERS_KEPT: usize = 256;

/// A body that was streamed as text: server-sent events, or a JSON value a line.
///
/// Returns the texts of the chunks, which are JSON or markers such as `[DONE]`.
pub(crate) fn split_chunks(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut chunks = Vec::new();
    for event in text.split("\n\n") {
        let data: Vec<&str> = event.split(['\n', '\r']).filter_map(chunk_line).collect();
        // Data of several lines is one value, but some servers leave out the line between two events.
        match data.iter().all(|line| line.starts_with('{') && line.ends_with('}')) {
            true => chunks.extend(data.into_iter().map(str::to_owned)),
            false => chunks.push(data.join("\n")),
        }
    }
    chunks
}

fn chunk_line(line: &str) -> Option<&str> {
    let line = line.trim();
    let data = line.strip_prefix("data:").map(str::trim);
    data.or_else(|| line.starts_with('{').then_some(line))
}

/// Reports whether a text that begins with `{` is several JSON values, each on its own line.
pub(super) fn has_value_a_line(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_value = |line: &str| line.starts_with('{') && line.ends_with('}');
    lines.next().is_some_and(is_value) && lines.next().is_some_and(is_value)
}

/// Adds the members of a later chunk's usage to those of the chunks before it.
///
/// Counts of a stream are cumulative, so the later one replaces the earlier one. Zeros and nulls do
/// not: some providers write them for what an earlier chunk has told.
pub(super) fn merge_usage_members(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    for (name, value) in later {
        let has_room = earlier.len() < MEMBERS_KEPT;
        match (earlier.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(value)) => merge_usage_members(known, value),
            (Some(known), value) if !says_nothing(&value) || says_nothing(known) => *known = value,
            (Some(_), _) => {}
            (None, value) if has_room => drop(earlier.insert(name, value)),
            (None, _) => {}
        }
    }
}

fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_u64() == Some(0)
}

/// Returns the members of a chunk's usage, to a bounded depth and number.
pub(super) fn usage_members(usage: Json<'_>) -> Map<String, Value> {
    members_to_depth(usage, DEPTH_KEPT)
}

fn members_to_depth(json: Json<'_>, deeper: usize) -> Map<String, Value> {
    let members = json.members().take(MEMBERS_KEPT);
    members.map(|(name, value)| (name.to_owned(), value_to_depth(value, deeper))).collect()
}

fn value_to_depth(json: Json<'_>, deeper: usize) -> Value {
    if json.is_object() && deeper > 0 {
        Value::Object(members_to_depth(json, deeper - 1))
    } else if json.is_array() && deeper > 0 {
        json.items().take(ITEMS_KEPT).map(|item| value_to_depth(item, deeper - 1)).collect()
    } else if let Some(text) = json.as_str() {
        Value::from(text)
    } else if let Some(number) = json.as_u64() {
        Value::from(number)
    } else {
        json.as_f64().map_or(Value::Null, Value::from)
    }
}
