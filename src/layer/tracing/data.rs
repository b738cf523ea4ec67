//! The `data` of an operation's event.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::fields::GenAiFields;
use crate::pricing::Usage;

/// The members of `data`, in their order.
#[derive(Default)]
pub(super) struct OperationData(Vec<(&'static str, OperationDatum)>);

pub(super) enum OperationDatum {
    Text(String),
    Number(f64),
    Content(Value),
    Usage(Usage),
    Milliseconds(f64),
    Total(Usage),
}

impl OperationData {
    pub(super) fn put(&mut self, name: &'static str, datum: OperationDatum) {
        self.0.push((name, datum));
    }

    pub(super) fn put_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(name, OperationDatum::Text(text.to_owned()));
        }
    }

    /// Puts a text that is a number.
    pub(super) fn put_number(&mut self, name: &'static str, text: Option<&str>) {
        let number = text.and_then(|text| text.parse().ok());
        if let Some(number) = number.filter(|number: &f64| number.is_finite()) {
            self.put(name, OperationDatum::Number(number));
        }
    }

    pub(super) fn put_total(&mut self, fields: &GenAiFields) {
        if let Some(usage) = fields.usage() {
            self.put("total", OperationDatum::Total(usage));
        }
    }

    pub(super) fn put_content(&mut self, name: &'static str, fields: &GenAiFields, names: &[&str]) {
        if let Some(content) = fields.content(names) {
            self.put(name, OperationDatum::Content(content));
        }
    }
}

impl Serialize for OperationData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, datum) in &self.0 {
            match datum {
                OperationDatum::Text(text) => map.serialize_entry(name, text)?,
                OperationDatum::Number(number) => map.serialize_entry(name, number)?,
                OperationDatum::Content(content) => map.serialize_entry(name, content)?,
                OperationDatum::Usage(usage) => map.serialize_entry(name, usage)?,
                OperationDatum::Milliseconds(ms) => map.serialize_entry(name, ms)?,
                OperationDatum::Total(usage) => map.serialize_entry(name, &TotalUsage(*usage))?,
            }
        }
        map.end()
    }
}

/// The sum of the tokens of several calls.
struct TotalUsage(Usage);

impl Serialize for TotalUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(input) = self.0.tokens_input() {
            map.serialize_entry("tokens_input", &input)?;
        }
        if let Some(output) = self.0.tokens_output() {
            map.serialize_entry("tokens_output", &output)?;
        }
        map.serialize_entry("usage", &self.0)?;
        map.end()
    }
}
