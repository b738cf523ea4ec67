//! Tool results on their way into a prompt: what of them is worth its tokens.

use serde_json::{Map, Value};

/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 160;

/// Returns what is left of a tool's result without empty members and repeated entries of lists, and
/// with long texts cut.
///
/// `serde_json` bounds the depth of what was parsed, and so of this.
pub(crate) fn compress_tool_result(result: &Value) -> Value {
    match result {
        Value::Object(members) => Value::Object(compress_result_members(members)),
        Value::Array(items) => {
            let mut kept: Vec<Value> = Vec::with_capacity(items.len());
            for item in items.iter().map(compress_tool_result) {
                if !is_empty_result(&item) && !kept.contains(&item) {
                    kept.push(item);
                }
            }
            Value::Array(kept)
        }
        Value::String(text) => match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]).into(),
            None => text.trim().into(),
        },
        other => other.clone(),
    }
}

fn compress_result_members(members: &Map<String, Value>) -> Map<String, Value> {
    let compressed =
        members.iter().map(|(name, value)| (name.clone(), compress_tool_result(value)));
    compressed.filter(|(_, value)| !is_empty_result(value)).collect()
}

fn is_empty_result(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An estimate of how many tokens a model reads `text` as: one for every four characters, the rule
/// of thumb that OpenAI gives for English.
pub(crate) fn estimate_prompt_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_and_repeated_parts_go_and_long_texts_are_cut() {
        let long = "é".repeat(TEXT_CHARS_MAX + 1);
        let result = json!({
            "plans": [{"name": "gold", "notes": ""}, {"name": "gold"}, {}],
            "none": null, "zero": 0, "no": false, "deep": {"empty": {"er": []}}, "text": long,
        });
        let cut = format!("{}…", "é".repeat(TEXT_CHARS_MAX));
        let expected = json!({"plans": [{"name": "gold"}], "zero": 0, "no": false, "text": cut});
        assert_eq!(compress_tool_result(&result), expected);
        assert_eq!(compress_tool_result(&expected)["plans"], expected["plans"]);
    }

    #[test]
    fn tokens_are_a_quarter_of_the_characters() {
        for (text, tokens) in [("", 0), ("a", 1), ("abcd", 1), ("abcdé", 2)] {
            assert_eq!(estimate_prompt_tokens(text), tokens);
        }
    }
}
