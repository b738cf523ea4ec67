//! Messages that are spread over numbered attributes, such as `gen_ai.prompt.0.content`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Before the number, and the member of `data` that the messages are.
pub(super) const NUMBERED: &[(&str, &str)] = &[
    ("gen_ai.prompt.", "prompt"),
    ("gen_ai.completion.", "completion"),
    ("llm.prompts.", "prompt"),
    ("llm.completions.", "completion"),
    ("llm.input_messages.", "prompt"),
    ("llm.output_messages.", "completion"),
    ("retrieval.documents.", "documents"),
    ("reranker.input_documents.", "documents"),
    ("reranker.output_documents.", "result"),
    ("embedding.embeddings.", "prompt"),
];

/// The messages of a record, by the member of `data` and by number.
#[derive(Debug, Default)]
pub(super) struct Messages(BTreeMap<(&'static str, u32), Map<String, Value>>);

impl Messages {
    /// Adds the value of a numbered attribute; gives it back if the name is not one.
    pub(super) fn add(&mut self, name: &str, value: Value) -> Option<Value> {
        let Some((member, number, rest)) = split(name) else { return Some(value) };
        self.0.entry((member, number)).or_default().insert(rest.to_owned(), value);
        None
    }

    /// Adds a message at the end of a list.
    pub(super) fn push(&mut self, member: &'static str, message: Map<String, Value>) {
        let last = self.0.range((member, 0)..=(member, u32::MAX)).next_back();
        let number = last.map_or(0, |((_, number), _)| number.saturating_add(1));
        self.0.insert((member, number), message);
    }

    /// Puts the messages into members that have no value yet.
    pub(super) fn put(self, data: &mut Map<String, Value>) {
        let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for ((member, _), message) in self.0 {
            lists.entry(member).or_default().push(Value::Object(message));
        }
        for (member, list) in lists {
            data.entry(member).or_insert(Value::Array(list));
        }
    }
}

/// Returns the member of `data`, the number, and the name inside the message.
fn split(name: &str) -> Option<(&'static str, u32, &str)> {
    let (rest, member) =
        NUMBERED.iter().find_map(|(prefix, member)| Some((name.strip_prefix(prefix)?, *member)))?;
    // OpenLLMetry once sent a whole message under its number.
    let (number, rest) = rest.split_once('.').unwrap_or((rest, "content"));
    let rest = ["message.", "document.", "embedding."]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))
        .unwrap_or(rest);
    Some((member, number.parse().ok()?, rest))
}
