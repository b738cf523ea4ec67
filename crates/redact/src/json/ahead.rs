//! Looks ahead in JSON: the ends of its containers, and the direct members of one.
//!
//! The value of a sensitive key may stay because of what is in it or beside it. Members are read
//! ahead without what is inside them, so each is read ahead at most twice, however deep it is.

use super::spelling::decode_json_spelling;
use super::tokens::{JsonParser, JsonToken, MalformedJson, Quoted};
use crate::steps::count_steps;
use crate::walk::{ObjectProbe, TypeValue};

/// The containers of a text, each with its beginning and its end, by their beginnings.
pub(super) struct ContainerEnds(Vec<(usize, usize)>);

impl ContainerEnds {
    /// Reads the whole text.
    pub(super) fn of_json(json: &str) -> Result<Self, MalformedJson> {
        let (mut parser, mut ends, mut open) = (JsonParser::new(json), Vec::new(), Vec::new());
        while let Some(token) = parser.next_token()? {
            match token {
                JsonToken::Open => {
                    open.push(ends.len());
                    ends.push((parser.token_start(), json.len()));
                }
                JsonToken::Close => {
                    let closed: Option<usize> = open.pop();
                    let end: Option<&mut (usize, usize)> = closed.and_then(|at| ends.get_mut(at));
                    end.into_iter().for_each(|(_, end)| *end = parser.token_end());
                }
                _ => {}
            }
        }
        Ok(Self(ends))
    }

    /// Returns the end of the container that begins at `start`.
    fn container_end(&self, start: usize) -> Result<usize, MalformedJson> {
        let found = self.0.binary_search_by_key(&start, |&(start, _)| start);
        found.map(|at| self.0[at].1).map_err(|_| MalformedJson)
    }

    /// Passes the direct members of the object at `start` to the probe, until it has seen enough.
    pub(super) fn probe_object(
        &self,
        json: &str,
        start: usize,
        probe: &mut ObjectProbe,
    ) -> Result<(), MalformedJson> {
        let mut parser = JsonParser::at_value(json, start);
        let (mut key_scratch, mut text_scratch) = (String::new(), String::new());
        parser.next_token()?;
        while let Some(JsonToken::Key(key)) = parser.next_token()? {
            count_steps(1);
            let key = decode_quoted(json, key, &mut key_scratch);
            let needs_type = ObjectProbe::needs_type_or_kind(key);
            let value = match parser.next_token()?.ok_or(MalformedJson)? {
                JsonToken::String(text) if needs_type => {
                    TypeValue::from_text(decode_quoted(json, text, &mut text_scratch))
                }
                JsonToken::Open => {
                    let start = parser.token_start();
                    parser.pass_container(self.container_end(start)?);
                    if needs_type { type_of_list(json, start)? } else { TypeValue::Other }
                }
                _ => TypeValue::Other,
            };
            if !probe.read(key, value) {
                break;
            }
        }
        Ok(())
    }
}

/// Returns what the container at `start` says as a type, which may be a list of texts.
fn type_of_list(json: &str, start: usize) -> Result<TypeValue, MalformedJson> {
    let (mut parser, mut scratch) = (JsonParser::at_value(json, start), String::new());
    let mut value = TypeValue::Schema;
    parser.next_token()?;
    loop {
        value = match parser.next_token()? {
            Some(JsonToken::String(text)) if value == TypeValue::Schema => {
                TypeValue::from_text(decode_quoted(json, text, &mut scratch))
            }
            Some(JsonToken::Close)
                if value == TypeValue::Schema && json[start..].starts_with('[') =>
            {
                return Ok(value);
            }
            _ => return Ok(TypeValue::Other),
        };
    }
}

/// Returns whether the container at `start` has nothing in it.
pub(super) fn is_empty_container(json: &str, start: usize) -> bool {
    json[start + 1..].trim_ascii_start().starts_with([']', '}'])
}

fn decode_quoted<'t>(json: &'t str, quoted: Quoted, scratch: &'t mut String) -> &'t str {
    decode_json_spelling(&json[quoted.start..quoted.end], quoted.escaped, scratch)
}
